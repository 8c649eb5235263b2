//! Densities, modes and entropies against values from another program
//! (`tests/reference/synthetic_targets.json`, which names its source).

use serde_json::Value;

use crate::data::{log_density, BENCHMARKS};

const TEXT: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/reference/synthetic_targets.json"
));

pub(super) fn numbers(value: &Value) -> Vec<f64> {
    let list = value.as_array().expect("a list");
    // null stands for zero density.
    list.iter()
        .map(|v| v.as_f64().unwrap_or(f64::NEG_INFINITY))
        .collect()
}

/// The file's number of a mode as ours: it counts dark squares with the white ones between them, and
/// stimper_cgm clockwise from the top.
fn renumbered(name: &str, mode: u64) -> u32 {
    (match name {
        "checkerboard" => mode / 2,
        "stimper_cgm" => (10 - mode) % 8,
        _ => mode,
    }) as u32
}

#[test]
fn agrees_with_the_reference_values() {
    let file: Value = serde_json::from_str(TEXT).expect("JSON");
    let (mut faults, mut found) = (Vec::new(), 0);
    for benchmark in BENCHMARKS {
        let name = benchmark.name;
        let want = &file["targets"][name];
        if want.is_null() {
            continue;
        }
        found += 1;
        let data = (benchmark.spec)().build().expect("fine");
        let truth = data.truth().expect("synthetic");
        let points = want["x"].as_array().expect("points");
        let log_p = numbers(&want["log_density"]);
        assert_eq!(points.len(), log_p.len());
        let quadrature = ["pinwheel", "two_spirals"].contains(&name);
        let tolerance = if quadrature { 1e-6 } else { 1e-9 };
        for (x, want) in points.iter().map(numbers).zip(&log_p) {
            let got = log_density(truth, &x);
            let near = (got - want).abs() <= tolerance * want.abs().max(1.0);
            if got != *want && !near {
                faults.push(format!("{name} at {x:?}: {got}, not {want}"));
            }
        }
        // The modes are those the points were drawn from: where modes overlap, some differ.
        let modes = want["mode"].as_array().expect("modes");
        let differ = points.iter().map(numbers).zip(modes).filter(|(x, mode)| {
            mode.as_u64().map(|m| renumbered(name, m)) != super::one(truth, x).1
        });
        let differ = differ.count();
        let overlap = ["moons", "many_moons8", "aniso6", "four_circles"].contains(&name);
        if differ > usize::from(overlap) {
            faults.push(format!("{name}: {differ} modes differ"));
        }
        let entropy = truth.entropy();
        let want = want["entropy"].as_f64().expect("a number");
        if (entropy.value - want).abs() > 3.0 * entropy.error + 1e-6 {
            faults.push(format!("{name}: H = {entropy:?}, not {want}"));
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
    assert_eq!(found, file["targets"].as_object().expect("a table").len());
}
