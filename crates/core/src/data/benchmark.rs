//! Targets that have a name of their own, so that results can be compared.

use std::f64::consts::{FRAC_PI_3, FRAC_PI_4, TAU};
use std::sync::LazyLock;

use serde::Deserialize;

use super::checks::unknown_name;
use super::{DataSpec, Entropy, MixtureSpec, RingSpec};
use crate::bijections::PerCoordinate;
use crate::error::BadValue;

/// A target with fixed settings: `benchmark = "pinwheel"` in an experiment file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Benchmark {
    /// The name in an experiment file.
    pub name: String,
    /// The law in one line.
    pub what: String,
    /// What the labels number.
    pub labels: String,
    /// Where it comes from.
    pub source: String,
    /// Its entropy in nats with a bound on the error, where the law has no closed form.
    pub entropy: Option<(f64, f64)>,
    /// Its settings, where they are not computed.
    data: Option<DataSpec>,
}

/// Every benchmark, as `benchmarks.toml` lists them.
pub static BENCHMARKS: LazyLock<Vec<Benchmark>> = LazyLock::new(|| {
    #[derive(Deserialize)]
    struct Table {
        benchmark: Vec<Benchmark>,
    }
    let table = toml::from_str::<Table>(include_str!("benchmarks.toml"));
    table.expect("the table of benchmarks").benchmark
});

impl Benchmark {
    /// The benchmark of this name, or what is wrong with the name.
    pub fn by_name(name: &str) -> Result<&'static Self, BadValue> {
        let found = BENCHMARKS.iter().find(|b| b.name == name);
        found.ok_or_else(|| unknown_name("benchmark", name, &Self::names()))
    }

    /// The names of all benchmarks.
    pub(super) fn names() -> Vec<&'static str> {
        BENCHMARKS.iter().map(|b| b.name.as_str()).collect()
    }

    /// The family that it belongs to, with its settings.
    pub fn spec(&self) -> DataSpec {
        self.data.clone().unwrap_or_else(|| computed(&self.name))
    }

    /// The entropy of the benchmark with these settings.
    pub(super) fn entropy_of(spec: &DataSpec) -> Option<Entropy> {
        let known = |b: &&Self| b.entropy.is_some() && b.spec() == *spec;
        let (value, error) = BENCHMARKS.iter().find(known)?.entropy?;
        Some(Entropy { value, error })
    }
}

fn computed(name: &str) -> DataSpec {
    match name {
        "imbalanced8" => imbalanced8(),
        "aniso6" => aniso6(),
        "varscale5" => varscale5(),
        "hd8" => oblique(8),
        "hd16" => oblique(16),
        "hd32" => oblique(32),
        other => unreachable!("the settings of {other} are in the table"),
    }
}

/// Weights in proportion to 10^(-3 k / 7).
fn imbalanced8() -> DataSpec {
    let raw: Vec<f64> = (0..8)
        .map(|k| 10f64.powf(-3.0 * f64::from(k) / 7.0))
        .collect();
    let sum: f64 = raw.iter().sum();
    DataSpec::Ring(RingSpec {
        weights: Some(raw.iter().map(|w| w / sum).collect()),
        ..RingSpec::default()
    })
}

/// Means 3 (cos a, sin a), a = k pi / 3, and covariances R diag(0.8^2, 0.04^2) R^T with R the rotation
/// by a + pi / 4.
fn aniso6() -> DataSpec {
    let angles = (0..6).map(|k| f64::from(k) * FRAC_PI_3);
    let covariance = |a: f64| {
        let (sin, cos) = (a + FRAC_PI_4).sin_cos();
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
        degrees: None,
    })
}

/// Means 4 (cos a, sin a), a = 2 pi k / 5, and standard deviations 10^(-k / 2).
fn varscale5() -> DataSpec {
    let angle = |k: i32| TAU * f64::from(k) / 5.0;
    let std = |k: i32| PerCoordinate::All(10f64.powf(-0.5 * f64::from(k)));
    DataSpec::Mixture(MixtureSpec {
        weights: vec![0.2; 5],
        means: (0..5)
            .map(|k| vec![4.0 * angle(k).cos(), 4.0 * angle(k).sin()])
            .collect(),
        std_devs: Some((0..5).map(std).collect()),
        covariances: None,
        degrees: None,
    })
}

/// Means +-4 e_j, reflected by I - 2 v v^T / |v|^2 with v = (1, ..., D), so that no axis helps.
fn oblique(dim: usize) -> DataSpec {
    let v: Vec<f64> = (1..=dim).map(|i| i as f64).collect();
    let square: f64 = v.iter().map(|a| a * a).sum();
    let mean = |j: usize, sign: f64| -> Vec<f64> {
        let entry = |i: usize| f64::from(u8::from(i == j)) - 2.0 * v[i] * v[j] / square;
        (0..dim).map(|i| sign * 4.0 * entry(i)).collect()
    };
    let modes = 2 * dim;
    DataSpec::Mixture(MixtureSpec {
        weights: vec![1.0 / modes as f64; modes],
        means: (0..modes)
            .map(|k| mean(k % dim, if k < dim { 1.0 } else { -1.0 }))
            .collect(),
        std_devs: Some(vec![PerCoordinate::All(0.5); modes]),
        covariances: None,
        degrees: None,
    })
}
