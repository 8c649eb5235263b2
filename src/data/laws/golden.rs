//! Densities, modes and entropies against values from another program
//! (`tests/reference/synthetic_targets.json`, which names its source).

use serde_json::Value;

use crate::data::{
    log_density, CheckerboardSpec, CirclesSpec, DataSpec, GridSpec, MixtureSpec, MoonsSpec,
    RingSpec, StdDev,
};

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

fn example(name: &str) -> DataSpec {
    let mut all = DataSpec::examples().into_iter();
    all.find(|(n, _)| *n == name).expect("an example").1
}

/// Six Gaussians of standard deviations 0.8 and 0.04, turned by 45 degrees from the radius.
fn aniso6() -> DataSpec {
    let angles = (0..6).map(|k| f64::from(k) * std::f64::consts::FRAC_PI_3);
    let covariance = |a: f64| {
        let (sin, cos) = (a + std::f64::consts::FRAC_PI_4).sin_cos();
        let (long, short) = (0.64, 0.0016);
        let across = (long - short) * sin * cos;
        vec![
            vec![long * cos * cos + short * sin * sin, across],
            vec![across, long * sin * sin + short * cos * cos],
        ]
    };
    DataSpec::Mixture(MixtureSpec {
        weights: vec![1.0 / 6.0; 6],
        means: angles
            .clone()
            .map(|a| vec![3.0 * a.cos(), 3.0 * a.sin()])
            .collect(),
        std_devs: None,
        covariances: Some(angles.map(covariance).collect()),
    })
}

/// Five Gaussians on a circle with standard deviations from 1 down to 0.01.
fn varscale5() -> DataSpec {
    let angle = |k: i32| std::f64::consts::TAU * f64::from(k) / 5.0;
    let std = |k: i32| StdDev::Each(vec![10f64.powf(-0.5 * f64::from(k)); 2]);
    DataSpec::Mixture(MixtureSpec {
        weights: vec![0.2; 5],
        means: (0..5)
            .map(|k| vec![4.0 * angle(k).cos(), 4.0 * angle(k).sin()])
            .collect(),
        std_devs: Some((0..5).map(std).collect()),
        covariances: None,
    })
}

/// 16 Gaussians in eight dimensions at +-4 e_j, reflected by I - 2 v v^T / |v|^2, v = (1..8).
fn hd8() -> DataSpec {
    let v: Vec<f64> = (1..=8).map(f64::from).collect();
    let square: f64 = v.iter().map(|a| a * a).sum();
    let mean = |j: usize, sign: f64| -> Vec<f64> {
        let entry = |i: usize| f64::from(u8::from(i == j)) - 2.0 * v[i] * v[j] / square;
        (0..8).map(|i| sign * 4.0 * entry(i)).collect()
    };
    DataSpec::Mixture(MixtureSpec {
        weights: vec![1.0 / 16.0; 16],
        means: (0..16)
            .map(|k| mean(k % 8, if k < 8 { 1.0 } else { -1.0 }))
            .collect(),
        std_devs: Some(vec![StdDev::Shared(0.5); 16]),
        covariances: None,
    })
}

fn targets() -> Vec<(&'static str, DataSpec)> {
    vec![
        ("ring8", DataSpec::Ring(RingSpec::default())),
        ("imbalanced8", example("imbalanced8")),
        ("grid25", DataSpec::Grid(GridSpec::default())),
        (
            "grid25_hard",
            DataSpec::Grid(GridSpec {
                side: 5,
                spacing: 2.0 / 2.828,
                std: 0.05 / 2.828,
            }),
        ),
        ("moons", DataSpec::Moons(MoonsSpec::default())),
        ("two_circles", DataSpec::Circles(CirclesSpec::default())),
        (
            "rings4",
            DataSpec::Circles(CirclesSpec {
                radii: vec![3.0, 2.25, 1.5, 0.75],
                std: 0.08,
                weights: None,
            }),
        ),
        (
            "checkerboard",
            DataSpec::Checkerboard(CheckerboardSpec::default()),
        ),
        ("aniso6", aniso6()),
        ("varscale5", varscale5()),
        ("hd8", hd8()),
    ]
}

#[test]
fn agrees_with_the_reference_values() {
    let file: Value = serde_json::from_str(TEXT).expect("JSON");
    let mut faults = Vec::new();
    for (name, spec) in targets() {
        let want = &file["targets"][name];
        let data = spec.build().expect("fine");
        let truth = data.truth().expect("synthetic");
        let points = want["x"].as_array().expect("points");
        let log_p = numbers(&want["log_density"]);
        assert_eq!(points.len(), log_p.len());
        for (x, want) in points.iter().map(numbers).zip(&log_p) {
            let got = log_density(truth, &x);
            let near = (got - want).abs() <= 1e-9 * want.abs().max(1.0);
            if got != *want && !near {
                faults.push(format!("{name} at {x:?}: {got}, not {want}"));
            }
        }
        // The modes are those the points were drawn from: where modes overlap, some differ.
        // The file counts the dark squares with the white ones between them.
        let per_mode = if name == "checkerboard" { 2 } else { 1 };
        let modes = want["mode"].as_array().expect("modes");
        let differ = points.iter().map(numbers).zip(modes).filter(|(x, mode)| {
            mode.as_u64().map(|m| (m / per_mode) as u32) != super::one(truth, x).1
        });
        let differ = differ.count();
        if differ > usize::from(name == "moons" || name == "aniso6") {
            faults.push(format!("{name}: {differ} modes differ"));
        }
        let entropy = truth.entropy();
        let want = want["entropy"].as_f64().expect("a number");
        if (entropy.value - want).abs() > entropy.error + 1e-6 {
            faults.push(format!("{name}: H = {entropy:?}, not {want}"));
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}
