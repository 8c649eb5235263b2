//! Targets that have a name of their own, so that results can be compared.

use std::f64::consts::{FRAC_PI_3, FRAC_PI_4, TAU};

use super::checks::unknown_name;
use super::{DataSpec, Entropy, MixtureSpec, RingSpec};
use crate::bijections::PerCoordinate;
use crate::error::BadValue;

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
    /// Its entropy in nats with a bound on the error, from quadrature, where the law has no closed
    /// form; see `crates/core/tests/reference`.
    pub entropy: Option<(f64, f64)>,
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
        entropy: Some((2.831_880_406_137_704, 2e-10)),
        spec: || read("ring = {}"),
    },
    Benchmark {
        name: "imbalanced8",
        what: "ring8 with weights from 0.63 down to 0.00063, in equal ratios",
        labels: "the Gaussians, the heaviest first",
        source: OURS,
        entropy: Some((1.804_411_614_117_734, 2e-10)),
        spec: imbalanced8,
    },
    Benchmark {
        name: "grid25",
        what: "25 equal Gaussians on a 5 x 5 lattice, 10 std apart",
        labels: "the Gaussians, column by column",
        source: "Srivastava et al. 2017, arXiv:1705.07761",
        entropy: Some((1.451_579_943_154_036_4, 6e-10)),
        spec: || read("grid = {}"),
    },
    Benchmark {
        name: "grid25_hard",
        what: "25 equal Gaussians on a 5 x 5 lattice, 40 std apart",
        labels: "the Gaussians, column by column",
        source: "Srivastava et al. 2017, arXiv:1705.07761",
        entropy: Some((-2.013_851_151_899_088_7, 1e-10)),
        spec: || {
            read("grid = { side = 5, spacing = 0.7072135785007072, std = 0.017680339462517684 }")
        },
    },
    Benchmark {
        name: "stimper_moons",
        what:
            "exp(-U) / Z, U = ((|x| - 2) / 0.2)^2 / 2 - log(two Gaussians of std 0.3 at x1 = -2, 2)",
        labels: "the sides x1 < 0 and x1 >= 0",
        source: STIMPER,
        entropy: None,
        spec: || read("energy = { potential = \"dual_moon\" }"),
    },
    Benchmark {
        name: "stimper_cgm",
        what: "8 equal Gaussians of std 0.255 on a circle of radius 2",
        labels: "the Gaussians, anticlockwise from angle 0",
        source: STIMPER,
        entropy: Some((2.177_595_538_944_497_6, 2e-10)),
        spec: || read("ring = { modes = 8, radius = 2.0, std = 0.25512228824339317 }"),
    },
    Benchmark {
        name: "stimper_rings",
        what: "sum of exp(-((|x| - R) / 0.125)^2 / 2) over R = 1, 2, divided by Z",
        labels: "the rings, the inner one first",
        source: STIMPER,
        entropy: Some((2.275_892_811_525_216, 9e-11)),
        spec: || read("rings = {}"),
    },
    Benchmark {
        name: "moons",
        what: "two interleaved half circles of radius 2, blurred by 0.2",
        labels: "the moons, the upper one first",
        source: FFJORD,
        entropy: Some((2.393_879_199_063_970_7, 2e-7)),
        spec: || read("moons = {}"),
    },
    Benchmark {
        name: "many_moons8",
        what: "a row of 8 interleaved half circles of radius 0.8, blurred by 0.08",
        labels: "the moons from left to right",
        source: "ours, after Dinh et al. 2019, arXiv:1903.07714",
        entropy: Some((1.790_721_586_485_516_2, 6e-8)),
        spec: || read("many_moons = {}"),
    },
    Benchmark {
        name: "two_circles",
        what: "circles of radii 3 and 1.5, blurred by 0.24",
        labels: "the circles, the outer one first",
        source: FFJORD,
        entropy: Some((3.268_135_711_706_509, 2e-9)),
        spec: || read("circles = {}"),
    },
    Benchmark {
        name: "rings4",
        what: "circles of radii 3, 2.25, 1.5 and 0.75, blurred by 0.08",
        labels: "the circles, from the outermost",
        source: FFJORD,
        entropy: Some((2.623_182_770_302_863_6, 4e-10)),
        spec: || read("circles = { radii = [3.0, 2.25, 1.5, 0.75], std = 0.08 }"),
    },
    Benchmark {
        name: "four_circles",
        what: "four circles of radius 2 around (+-1, +-1) that cut each other, blurred by 0.1",
        labels: "the circles around (1, 1), (1, -1), (-1, 1), (-1, -1)",
        source: "Nielsen et al. 2020, arXiv:2007.02731",
        entropy: Some((2.870_819_017_466_422, 3e-10)),
        spec: || {
            read(
                "circles = { radii = [2.0, 2.0, 2.0, 2.0], \
                 centres = [[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]], std = 0.1 }",
            )
        },
    },
    Benchmark {
        name: "pinwheel",
        what: "five Gaussian petals, twisted",
        labels: "the petals",
        source: "Johnson et al. 2016, arXiv:1603.06277",
        entropy: Some((2.317_788_035_653_126, 2e-10)),
        spec: || read("pinwheel = {}"),
    },
    Benchmark {
        name: "two_spirals",
        what: "two spirals of one and a half turns, blurred by 0.1",
        labels: "the arms",
        source: FFJORD,
        entropy: Some((2.645_450_283_837_512_5, 2e-8)),
        spec: || read("spirals = {}"),
    },
    Benchmark {
        name: "checkerboard",
        what: "uniform on 8 squares of side 2",
        labels: "the squares, column by column from below",
        source: FFJORD,
        entropy: None,
        spec: || read("checkerboard = {}"),
    },
    Benchmark {
        name: "aniso6",
        what: "6 equal Gaussians of std 0.8 by 0.04, each turned by 45 degrees from its radius",
        labels: "the Gaussians, anticlockwise from angle 0",
        source: OURS,
        entropy: Some((1.187_391_387_080_337, 2e-10)),
        spec: aniso6,
    },
    Benchmark {
        name: "varscale5",
        what: "5 equal Gaussians on a circle of radius 4, of std 1, 0.32, 0.1, 0.032, 0.01",
        labels: "the Gaussians, the widest first",
        source: OURS,
        entropy: Some((-0.158_030_312_356_562_9, 2e-10)),
        spec: varscale5,
    },
    Benchmark {
        name: "2uniforms",
        what: "uniform on two rectangles of 1 by 2, a gap of 2 apart",
        labels: "the rectangles, the left one first",
        source: CIF,
        entropy: None,
        spec: || {
            read(
                "uniform.shapes = [{ rectangle = { low = [-2.0, -1.0], high = [-1.0, 1.0] } }, \
                 { rectangle = { low = [1.0, -1.0], high = [2.0, 1.0] } }]",
            )
        },
    },
    Benchmark {
        name: "annulus12",
        what: "uniform on the annulus 1 < |x| < 2",
        labels: "one mode",
        source: CIF,
        entropy: None,
        spec: || {
            read(
                "uniform.shapes = [{ annulus = { centre = [0.0, 0.0], inner = 1.0, outer = 2.0 } }]",
            )
        },
    },
    Benchmark {
        name: "shapes4",
        what: "uniform on a square, a disc, a triangle and an annulus, equally often",
        labels: "the shapes in that order",
        source: OURS,
        entropy: None,
        spec: || {
            read(
                "uniform.shapes = [{ rectangle = { low = [-3.0, 1.0], high = [-1.0, 3.0] } }, \
                 { disc = { centre = [2.0, 2.0], radius = 1.0 } }, \
                 { triangle = [[-3.0, -3.0], [-1.0, -3.0], [-2.0, -1.0]] }, \
                 { annulus = { centre = [2.0, -2.0], inner = 0.5, outer = 1.0 } }]",
            )
        },
    },
    Benchmark {
        name: "split_gaussian",
        what: "a normal cut along x1 = 0, its halves moved by -2 and 2 along x2",
        labels: "the halves x1 < 0 and x1 >= 0",
        source: CIF,
        entropy: None,
        spec: || read("split_gaussian = {}"),
    },
    Benchmark {
        name: "u1",
        what: "exp(-U1) / Z on the plane",
        labels: "the sides z1 < 0 and z1 >= 0",
        source: ENERGIES,
        entropy: None,
        spec: || read("energy = { potential = \"u1\" }"),
    },
    Benchmark {
        name: "u2",
        what: "exp(-U2) / Z between soft walls",
        labels: "one mode",
        source: ENERGIES,
        entropy: None,
        spec: || read("energy = { potential = \"u2\" }"),
    },
    Benchmark {
        name: "u3",
        what: "exp(-U3) / Z between soft walls",
        labels: "the ridges",
        source: ENERGIES,
        entropy: None,
        spec: || read("energy = { potential = \"u3\" }"),
    },
    Benchmark {
        name: "u4",
        what: "exp(-U4) / Z between soft walls",
        labels: "the ridges",
        source: ENERGIES,
        entropy: None,
        spec: || read("energy = { potential = \"u4\" }"),
    },
    Benchmark {
        name: "hd8",
        what: "16 equal Gaussians of std 0.5 at +-4 along 8 directions oblique to the axes",
        labels: "the Gaussians, first all at +4, then all at -4",
        source: OURS,
        entropy: Some((8.578_919_543_381_925, 2e-10)),
        spec: || oblique(8),
    },
    Benchmark {
        name: "hd16",
        what: "32 equal Gaussians of std 0.5 at +-4 along 16 directions oblique to the axes",
        labels: "the Gaussians, first all at +4, then all at -4",
        source: OURS,
        entropy: Some((15.078_397_545_091_624, 2e-10)),
        spec: || oblique(16),
    },
    Benchmark {
        name: "hd32",
        what: "64 equal Gaussians of std 0.5 at +-4 along 32 directions oblique to the axes",
        labels: "the Gaussians, first all at +4, then all at -4",
        source: OURS,
        entropy: Some((27.384_206_367_733_857, 3e-10)),
        spec: || oblique(32),
    },
];

impl Benchmark {
    /// The benchmark of this name, or what is wrong with the name.
    pub fn by_name(name: &str) -> Result<&'static Self, BadValue> {
        let found = BENCHMARKS.iter().find(|b| b.name == name);
        found.ok_or_else(|| {
            let names: Vec<_> = BENCHMARKS.iter().map(|b| b.name).collect();
            unknown_name("benchmark", name, &names)
        })
    }

    /// The entropy of the benchmark with these settings.
    pub(super) fn entropy_of(spec: &DataSpec) -> Option<Entropy> {
        let known = |b: &&Self| b.entropy.is_some() && (b.spec)() == *spec;
        let (value, error) = BENCHMARKS.iter().find(known)?.entropy?;
        Some(Entropy { value, error })
    }
}

/// The settings as an experiment file would have them.
pub(super) fn read(text: &str) -> DataSpec {
    toml::from_str(text).expect("settings of a benchmark")
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
    })
}
