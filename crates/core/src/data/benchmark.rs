//! Targets that have a name of their own, so that results can be compared.

use std::f64::consts::{FRAC_PI_3, FRAC_PI_4, PI, TAU};

use super::{
    CheckerboardSpec, CirclesSpec, DataSpec, EnergySpec, GridSpec, ManyMoonsSpec, MixtureSpec,
    MoonsSpec, PinwheelSpec, Potential, RingSpec, RingsSpec, Shape, SpiralsSpec, SplitGaussianSpec,
    StdDev, UniformSpec,
};
use crate::error::{did_you_mean, BadValue};

/// A target with fixed settings: `benchmark = "pinwheel"` in an experiment file.
#[derive(Debug, Clone, Copy)]
pub struct Benchmark {
    /// The name in an experiment file.
    pub name: &'static str,
    /// The law in one line.
    pub what: &'static str,
    /// What the labels number.
    pub labels: &'static str,
    /// Where it comes from.
    pub source: &'static str,
    /// The family that it belongs to, with its settings.
    pub spec: fn() -> DataSpec,
}

const FFJORD: &str = "Grathwohl et al. 2019, arXiv:1810.01367";
const STIMPER: &str = "Stimper et al. 2022, arXiv:2110.15828";
const CIF: &str = "Cornish et al. 2020, arXiv:1909.13833";
const ENERGIES: &str = "Rezende and Mohamed 2015, arXiv:1505.05770";
const OURS: &str = "ours";

/// Every benchmark.
pub const BENCHMARKS: &[Benchmark] = &[
    Benchmark {
        name: "ring8",
        what: "8 equal Gaussians of std 0.354 on a circle of radius 2.83",
        labels: "the Gaussians, anticlockwise from angle 0",
        source: FFJORD,
        spec: || DataSpec::Ring(RingSpec::default()),
    },
    Benchmark {
        name: "imbalanced8",
        what: "ring8 with weights from 0.63 down to 0.00063, in equal ratios",
        labels: "the Gaussians, the heaviest first",
        source: OURS,
        spec: imbalanced8,
    },
    Benchmark {
        name: "grid25",
        what: "25 equal Gaussians on a 5 x 5 lattice, 10 std apart",
        labels: "the Gaussians, column by column",
        source: "Srivastava et al. 2017, arXiv:1705.07761",
        spec: || DataSpec::Grid(GridSpec::default()),
    },
    Benchmark {
        name: "grid25_hard",
        what: "25 equal Gaussians on a 5 x 5 lattice, 40 std apart",
        labels: "the Gaussians, column by column",
        source: "Srivastava et al. 2017, arXiv:1705.07761",
        spec: || {
            DataSpec::Grid(GridSpec {
                side: 5,
                spacing: 2.0 / 2.828,
                std: 0.05 / 2.828,
            })
        },
    },
    Benchmark {
        name: "stimper_moons",
        what:
            "exp(-U) / Z, U = ((|x| - 2) / 0.2)^2 / 2 - log(two Gaussians of std 0.3 at x1 = -2, 2)",
        labels: "the sides x1 < 0 and x1 >= 0",
        source: STIMPER,
        spec: || energy(Potential::DualMoon),
    },
    Benchmark {
        name: "stimper_cgm",
        what: "8 equal Gaussians of std 0.255 on a circle of radius 2",
        labels: "the Gaussians, anticlockwise from angle 0",
        source: STIMPER,
        spec: || {
            DataSpec::Ring(RingSpec {
                modes: 8,
                radius: 2.0,
                std: 2.0 / 3.0 * (PI / 8.0).sin(),
                weights: None,
            })
        },
    },
    Benchmark {
        name: "stimper_rings",
        what: "sum of exp(-((|x| - R) / 0.125)^2 / 2) over R = 1, 2, divided by Z",
        labels: "the rings, the inner one first",
        source: STIMPER,
        spec: || DataSpec::Rings(RingsSpec::default()),
    },
    Benchmark {
        name: "moons",
        what: "two interleaved half circles of radius 2, blurred by 0.2",
        labels: "the moons, the upper one first",
        source: FFJORD,
        spec: || DataSpec::Moons(MoonsSpec::default()),
    },
    Benchmark {
        name: "many_moons8",
        what: "a row of 8 interleaved half circles of radius 0.8, blurred by 0.08",
        labels: "the moons from left to right",
        source: "ours, after Dinh et al. 2019, arXiv:1903.07714",
        spec: || DataSpec::ManyMoons(ManyMoonsSpec::default()),
    },
    Benchmark {
        name: "two_circles",
        what: "circles of radii 3 and 1.5, blurred by 0.24",
        labels: "the circles, the outer one first",
        source: FFJORD,
        spec: || DataSpec::Circles(CirclesSpec::default()),
    },
    Benchmark {
        name: "rings4",
        what: "circles of radii 3, 2.25, 1.5 and 0.75, blurred by 0.08",
        labels: "the circles, from the outermost",
        source: FFJORD,
        spec: || {
            DataSpec::Circles(CirclesSpec {
                radii: vec![3.0, 2.25, 1.5, 0.75],
                centres: None,
                std: 0.08,
                weights: None,
            })
        },
    },
    Benchmark {
        name: "four_circles",
        what: "four circles of radius 2 around (+-1, +-1) that cut each other, blurred by 0.1",
        labels: "the circles around (1, 1), (1, -1), (-1, 1), (-1, -1)",
        source: "Nielsen et al. 2020, arXiv:2007.02731",
        spec: four_circles,
    },
    Benchmark {
        name: "pinwheel",
        what: "five Gaussian petals, twisted",
        labels: "the petals",
        source: "Johnson et al. 2016, arXiv:1603.06277",
        spec: || DataSpec::Pinwheel(PinwheelSpec::default()),
    },
    Benchmark {
        name: "two_spirals",
        what: "two spirals of one and a half turns, blurred by 0.1",
        labels: "the arms",
        source: FFJORD,
        spec: || DataSpec::Spirals(SpiralsSpec::default()),
    },
    Benchmark {
        name: "checkerboard",
        what: "uniform on 8 squares of side 2",
        labels: "the squares, column by column from below",
        source: FFJORD,
        spec: || DataSpec::Checkerboard(CheckerboardSpec::default()),
    },
    Benchmark {
        name: "aniso6",
        what: "6 equal Gaussians of std 0.8 by 0.04, each turned by 45 degrees from its radius",
        labels: "the Gaussians, anticlockwise from angle 0",
        source: OURS,
        spec: aniso6,
    },
    Benchmark {
        name: "varscale5",
        what: "5 equal Gaussians on a circle of radius 4, of std 1, 0.32, 0.1, 0.032, 0.01",
        labels: "the Gaussians, the widest first",
        source: OURS,
        spec: varscale5,
    },
    Benchmark {
        name: "2uniforms",
        what: "uniform on two rectangles of 1 by 2, a gap of 2 apart",
        labels: "the rectangles, the left one first",
        source: CIF,
        spec: || {
            let rectangle = |from: f64| Shape::Rectangle {
                low: [from, -1.0],
                high: [from + 1.0, 1.0],
            };
            uniform(vec![rectangle(-2.0), rectangle(1.0)])
        },
    },
    Benchmark {
        name: "annulus12",
        what: "uniform on the annulus 1 < |x| < 2",
        labels: "one mode",
        source: CIF,
        spec: || {
            uniform(vec![Shape::Annulus {
                centre: [0.0; 2],
                inner: 1.0,
                outer: 2.0,
            }])
        },
    },
    Benchmark {
        name: "shapes4",
        what: "uniform on a square, a disc, a triangle and an annulus, equally often",
        labels: "the shapes in that order",
        source: OURS,
        spec: || {
            uniform(vec![
                Shape::Rectangle {
                    low: [-3.0, 1.0],
                    high: [-1.0, 3.0],
                },
                Shape::Disc {
                    centre: [2.0, 2.0],
                    radius: 1.0,
                },
                Shape::Triangle([[-3.0, -3.0], [-1.0, -3.0], [-2.0, -1.0]]),
                Shape::Annulus {
                    centre: [2.0, -2.0],
                    inner: 0.5,
                    outer: 1.0,
                },
            ])
        },
    },
    Benchmark {
        name: "split_gaussian",
        what: "a normal cut along x1 = 0, its halves moved by -2 and 2 along x2",
        labels: "the halves x1 < 0 and x1 >= 0",
        source: CIF,
        spec: || DataSpec::SplitGaussian(SplitGaussianSpec::default()),
    },
    Benchmark {
        name: "u1",
        what: "exp(-U1) / Z on the plane",
        labels: "the sides z1 < 0 and z1 >= 0",
        source: ENERGIES,
        spec: || energy(Potential::U1),
    },
    Benchmark {
        name: "u2",
        what: "exp(-U2) / Z between soft walls",
        labels: "one mode",
        source: ENERGIES,
        spec: || energy(Potential::U2),
    },
    Benchmark {
        name: "u3",
        what: "exp(-U3) / Z between soft walls",
        labels: "the ridges",
        source: ENERGIES,
        spec: || energy(Potential::U3),
    },
    Benchmark {
        name: "u4",
        what: "exp(-U4) / Z between soft walls",
        labels: "the ridges",
        source: ENERGIES,
        spec: || energy(Potential::U4),
    },
    Benchmark {
        name: "hd8",
        what: "16 equal Gaussians of std 0.5 at +-4 along 8 directions oblique to the axes",
        labels: "the Gaussians, first all at +4, then all at -4",
        source: OURS,
        spec: || oblique(8),
    },
    Benchmark {
        name: "hd16",
        what: "32 equal Gaussians of std 0.5 at +-4 along 16 directions oblique to the axes",
        labels: "the Gaussians, first all at +4, then all at -4",
        source: OURS,
        spec: || oblique(16),
    },
    Benchmark {
        name: "hd32",
        what: "64 equal Gaussians of std 0.5 at +-4 along 32 directions oblique to the axes",
        labels: "the Gaussians, first all at +4, then all at -4",
        source: OURS,
        spec: || oblique(32),
    },
];

impl Benchmark {
    /// The benchmark of this name, or what is wrong with the name.
    pub fn by_name(name: &str) -> Result<&'static Self, BadValue> {
        let mut all = BENCHMARKS.iter();
        all.find(|b| b.name == name).ok_or_else(|| {
            let names: Vec<_> = BENCHMARKS.iter().map(|b| b.name).collect();
            BadValue::new(
                "benchmark",
                format!("one of `{}`", names.join("`, `")),
                format_args!("`{name}`{}", did_you_mean(name, names)),
            )
        })
    }
}

fn energy(potential: Potential) -> DataSpec {
    DataSpec::Energy(EnergySpec {
        potential,
        domain: None,
    })
}

fn uniform(shapes: Vec<Shape>) -> DataSpec {
    DataSpec::Uniform(UniformSpec {
        shapes,
        weights: None,
    })
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

fn four_circles() -> DataSpec {
    DataSpec::Circles(CirclesSpec {
        radii: vec![2.0; 4],
        centres: Some(vec![[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]]),
        std: 0.1,
        weights: None,
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
    })
}

/// Means 4 (cos a, sin a), a = 2 pi k / 5, and standard deviations 10^(-k / 2).
fn varscale5() -> DataSpec {
    let angle = |k: i32| TAU * f64::from(k) / 5.0;
    let std = |k: i32| StdDev::Shared(10f64.powf(-0.5 * f64::from(k)));
    DataSpec::Mixture(MixtureSpec {
        weights: vec![0.2; 5],
        means: (0..5)
            .map(|k| vec![4.0 * angle(k).cos(), 4.0 * angle(k).sin()])
            .collect(),
        std_devs: Some((0..5).map(std).collect()),
        covariances: None,
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
        std_devs: Some(vec![StdDev::Shared(0.5); modes]),
        covariances: None,
    })
}
