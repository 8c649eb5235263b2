//! Data of extreme scales and shapes: every model trains on them as it does on data of scale 1, or
//! is refused with a reason.

use std::fmt::Write;

use super::*;
use mdn_core::bijections::BijectionSpec;
use mdn_core::data::FileSpec;
use mdn_core::models::{log_q, FlowSpec};
use mdn_core::train::Precision;

/// Nats by which training in other units may differ: rounding, amplified by a few steps.
const OFF: f64 = 0.02;

/// Points of two blobs.
fn blobs(n: usize) -> Vec<[f64; 2]> {
    let rng = &mut Rng::new(3);
    let centre = |i: usize| if i.is_multiple_of(2) { 1.5 } else { -1.0 };
    let mut near = |i: usize| centre(i) + 0.5 * rng.normal();
    (0..n).map(|i| [near(i), near(i)]).collect()
}

/// Kinds of data at scale 1.
fn kinds() -> Vec<(&'static str, Vec<[f64; 2]>)> {
    let all = blobs(120);
    let with = |f: &dyn Fn(usize, [f64; 2]) -> [f64; 2]| {
        all.iter().enumerate().map(|(i, p)| f(i, *p)).collect()
    };
    vec![
        ("blobs", all.clone()),
        // 0.1 is a number whose sums are rounded.
        (
            "a pile",
            with(&|i, p| if i.is_multiple_of(2) { [0.1, 0.7] } else { p }),
        ),
        ("three places", with(&|i, _| all[i % 3])),
        ("a lattice", with(&|i, _| [(i % 3) as f64, (i % 4) as f64])),
        ("a line", with(&|_, p| [p[0], 2.0 * p[0]])),
        ("twenty points", blobs(20)),
    ]
}

/// Other units: a factor for each coordinate and an offset.
const UNITS: [(&str, [f64; 2], f64); 4] = [
    ("small", [1e-12, 1e-12], 0.0),
    ("large", [1e12, 1e12], 0.0),
    ("small and large", [1e-12, 1e12], 0.0),
    // Single precision does not hold it.
    ("far", [1.0, 1.0], 1e8),
];

fn models() -> Vec<(String, ModelSpec)> {
    let examples = ModelSpec::examples().into_iter();
    let mut all: Vec<_> = examples.map(|(n, s)| (n.to_owned(), s)).collect();
    for (name, bijection) in BijectionSpec::examples() {
        let flow = FlowSpec {
            bijection,
            base: Default::default(),
            standardise: true,
        };
        all.push((format!("flow of {name}"), ModelSpec::Flow(flow)));
    }
    all
}

/// The file's points as a data set.
fn file(folder: &std::path::Path, rows: &[[f64; 2]]) -> DataSpec {
    let mut text = "x,y\n".to_owned();
    for row in rows {
        let _ = writeln!(text, "{:e},{:e}", row[0], row[1]);
    }
    let path = folder.join("points.csv");
    std::fs::write(&path, text).unwrap();
    DataSpec::File(FileSpec::new(path))
}

fn spec(data: DataSpec, model: &ModelSpec, precision: Precision) -> RunSpec {
    let short = TrainSpec {
        steps: 10,
        batch_size: 32,
        validate_every: 5,
        precision,
        ..TrainSpec::default()
    };
    super::spec(Task::Data(data), model, 1, short)
}

/// Mean negative log-density of the test points after training.
fn nll(spec: &RunSpec) -> Result<f64, String> {
    let (run, curves) = trained(spec, &compute(Choice::Auto)).map_err(|e| e.to_string())?;
    if let Some(why) = curves.diverged {
        return Err(why);
    }
    let law = run.law.as_ref().unwrap();
    let x = law.points(Split::Test, 1000, &mut Rng::new(0)).unwrap().x;
    let q = log_q(run.model(), &x.to_dtype(run.params.dtype()).unwrap()).unwrap();
    Ok(-q.iter().sum::<f64>() / q.len() as f64)
}

/// The density in other units is that of the data at scale 1 over the volume of the units.
#[test]
fn every_model_trains_alike_in_every_unit() {
    let folder = tempfile::tempdir().unwrap();
    for (kind, rows) in kinds() {
        for (name, model) in models() {
            let here = |unit: [f64; 2], offset: f64, precision| {
                let there = |p: &[f64; 2]| [p[0] * unit[0] + offset, p[1] * unit[1] + offset];
                let rows: Vec<_> = rows.iter().map(there).collect();
                let found = nll(&spec(file(folder.path(), &rows), &model, precision))?;
                Ok::<_, String>(found - unit.iter().map(|u| u.ln()).sum::<f64>())
            };
            let plain = here([1.0, 1.0], 0.0, Precision::F32).unwrap_or(f64::NAN);
            // How far a density on a handful of places may grow depends on the model.
            assert!((-40.0..50.0).contains(&plain), "{name} on {kind}: {plain}");
            // The units act through the standardisation, which all flows share: single bijections
            // meet the degenerate kinds in the units that hold both extremes.
            let all_units = kind == "blobs";
            let is_example = !name.starts_with("flow of");
            for (unit, factor, offset) in UNITS {
                let precision = match unit {
                    "far" => Precision::F64,
                    _ => Precision::F32,
                };
                let kept = match unit {
                    "small and large" => true,
                    "far" => all_units || is_example,
                    _ => all_units,
                };
                // Points of equal distance to two centres: rounding decides at which optimum EM ends.
                let tied = kind == "a lattice" && name.starts_with("gaussian_mixture");
                if !kept || tied {
                    continue;
                }
                let there = here(factor, offset, precision);
                let near = there.as_ref().is_ok_and(|t| (t - plain).abs() <= OFF);
                let what = format!("{name} on {kind} in {unit} units");
                assert!(near, "{what}: {there:?}, not {plain}");
            }
        }
    }
}

#[test]
fn what_cannot_be_learned_is_refused_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let all = blobs(120);
    let times = |factor: f64| {
        all.iter()
            .map(|p| p.map(|v| v * factor))
            .collect::<Vec<_>>()
    };
    let (f32, f64) = (Precision::F32, Precision::F64);
    for (rows, precision, why) in [
        (all[..6].to_vec(), f64, "at least 2 points in each split"),
        (times(1e-310), f32, "try train.precision=f64"),
        (times(1e-200), f64, "standard deviation is below 1e-150"),
        (times(1e-33), f32, "standard deviation is below 1e-30"),
    ] {
        let spec = spec(file(folder.path(), &rows), &model("flow = {}"), precision);
        let refused = Run::new(&spec, &compute(Choice::Auto)).err();
        let said = refused.map_or_else(String::new, |e| e.to_string());
        assert!(said.contains(why), "{why}: {said}");
    }
}

/// A cluster of equal points has no spread of its own.
#[test]
fn equal_points_of_a_cluster_are_no_spike() {
    let folder = tempfile::tempdir().unwrap();
    let places = [[0.1, 0.7], [5.0, 5.3], [9.1, -3.3]];
    let rows: Vec<_> = (0..90).map(|i| places[i % 3]).collect();
    let model = model("clusters = { clusters = 3 }");
    for precision in [Precision::F32, Precision::F64] {
        let found = nll(&spec(file(folder.path(), &rows), &model, precision)).unwrap();
        // ln 3 and a Gaussian as wide as the whole at its own centre: more than 4 nats.
        assert!((3.0..6.0).contains(&found), "{precision:?}: {found}");
    }
}
