//! Which data set: the table `[data.NAME]` of an experiment file.

use std::sync::{Arc, LazyLock};

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::law::Settings;
use super::{
    BananaSpec, Benchmark, CheckerboardSpec, CirclesSpec, DataSet, EnergySpec,
    ExponentialFamilySpec, ExpressionSpec, FileRecord, FileSpec, FunnelSpec, GridSpec,
    ManyMoonsSpec, ManyWellSpec, MixtureSpec, MoonsSpec, PinwheelSpec, Problem, RingSpec,
    RingsSpec, SpiralsSpec, SplitGaussianSpec, Target, UniformSpec, BENCHMARKS,
};
use crate::error::BadValue;
use crate::{Error, Result};

/// Which data set, with its settings: a table `[data.NAME]` of an experiment file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum DataSpec {
    /// a target with fixed settings, by its name (mdn list targets)
    Benchmark(#[schemars(extend("enum" = Benchmark::names()))] String),
    /// Gaussians of one width, evenly placed on a circle (equal unless `weights` are given; D = 2)
    Ring(RingSpec),
    /// Gaussians of one width on a square lattice (D = 2)
    Grid(GridSpec),
    /// two interleaved half circles, blurred (D = 2)
    Moons(MoonsSpec),
    /// a row of interleaved half circles, blurred (D = 2)
    ManyMoons(ManyMoonsSpec),
    /// circles, blurred (around 0 unless `centres`, equal unless `weights` are given; D = 2)
    Circles(CirclesSpec),
    /// concentric rings, Gaussian in the radius and equally high (D = 2)
    Rings(RingsSpec),
    /// Gaussian petals, twisted (D = 2)
    Pinwheel(PinwheelSpec),
    /// two spirals of one and a half turns, blurred (D = 2)
    Spirals(SpiralsSpec),
    /// uniform on the dark squares of a checkerboard (D = 2)
    Checkerboard(CheckerboardSpec),
    /// uniform on shapes: rectangle, disc, annulus, triangle (equal unless `weights` are given; D = 2)
    Uniform(UniformSpec),
    /// a normal cut along x1 = 0, its halves moved apart along x2 (D = 2)
    SplitGaussian(SplitGaussianSpec),
    /// Gaussians given one by one, by `std_devs` or `covariances`, or Student t with `degrees` (any D)
    Mixture(MixtureSpec),
    /// Neal's funnel: X1 ~ N(0, std^2), the others N(0, exp X1) (D >= 2)
    Funnel(FunnelSpec),
    /// a normal around a parabola, such as the Rosenbrock density (D = 2)
    Banana(BananaSpec),
    /// FAB's many-well: D / 2 independent double wells (D even)
    ManyWell(ManyWellSpec),
    /// exp(-U) / Z for the energies u1 to u4 of Rezende and Mohamed 2015 and dual_moon; domain plane (u1 and dual_moon alone), soft_wall, box or strip (D = 2)
    Energy(EnergySpec),
    /// the exact solution of a maximum-entropy problem: double_well_symmetric, double_well_tilted, four_wells_coupled, dirichlet_1_2_3, gaussian (D = 2)
    ExponentialFamily(ExponentialFamilySpec),
    /// exp(f) / Z for an expression f of the coordinates, such as "-(r-2)^2/0.18 + cos(5*theta)" (D = 1 to 3; any D as a target)
    Expression(ExpressionSpec),
    /// points from a .csv, .tsv or .npy file, shared out into train, validation and test (any D; law unknown)
    File(FileSpec),
}

impl DataSpec {
    /// D, or what is wrong with the settings; the key begins with the kind, as in `ring.modes`.
    pub fn check(&self) -> std::result::Result<usize, BadValue> {
        match self {
            Self::File(s) => s.check().map_err(|e| e.below("file")),
            _ => self.checked().map(|data| data.dim()),
        }
    }

    /// What is wrong with the settings, as far as no file has to be read for it.
    pub fn check_settings(&self) -> std::result::Result<(), BadValue> {
        match self {
            Self::File(s) => s.check_settings().map_err(|e| e.below("file")),
            _ => self.check().map(|_| ()),
        }
    }

    /// Reads the file of a `file`, writes its columns and checksum into the settings, and says what is
    /// in it; `None` for every other kind.
    pub fn settle(&mut self) -> std::result::Result<Option<FileRecord>, BadValue> {
        match self {
            Self::File(s) => s.settle().map(Some).map_err(|e| e.below("file")),
            _ => Ok(None),
        }
    }

    /// The data set.
    pub fn build(&self) -> Result<Box<dyn DataSet>> {
        let built = self.checked();
        built.map_err(|fault| Error::request(fault.to_string()))
    }

    /// Whether there is a law with a normaliser and a sampler.
    pub fn has_law(&self) -> bool {
        match self {
            Self::File(_) => false,
            Self::Expression(s) => s.has_law(),
            Self::Benchmark(name) => Benchmark::by_name(name).is_ok_and(|b| b.spec().has_law()),
            _ => true,
        }
    }

    /// The density up to a constant, or what is wrong with the settings.
    pub fn target(&self) -> std::result::Result<Target, BadValue> {
        let expected = "a target with a known density";
        let unknown = || BadValue::new("", expected, "points from a file");
        match self {
            Self::File(_) => Err(unknown()),
            Self::Expression(s) => s.target().map_err(|e| e.below("expression")),
            Self::Benchmark(name) => Benchmark::by_name(name)?.spec().target(),
            _ => Target::of(Arc::from(self.checked()?)).ok_or_else(unknown),
        }
    }

    fn checked(&self) -> std::result::Result<Box<dyn DataSet>, BadValue> {
        let (kind, settings): (_, &dyn Settings) = match self {
            Self::Benchmark(name) => return Benchmark::by_name(name)?.spec().checked(),
            Self::File(s) => return Ok(Box::new(s.build().map_err(|e| e.below("file"))?)),
            Self::Ring(s) => ("ring", s),
            Self::Grid(s) => ("grid", s),
            Self::Moons(s) => ("moons", s),
            Self::ManyMoons(s) => ("many_moons", s),
            Self::Circles(s) => ("circles", s),
            Self::Rings(s) => ("rings", s),
            Self::Pinwheel(s) => ("pinwheel", s),
            Self::Spirals(s) => ("spirals", s),
            Self::Checkerboard(s) => ("checkerboard", s),
            Self::Uniform(s) => ("uniform", s),
            Self::SplitGaussian(s) => ("split_gaussian", s),
            Self::Mixture(s) => ("mixture", s),
            Self::Funnel(s) => ("funnel", s),
            Self::Banana(s) => ("banana", s),
            Self::ManyWell(s) => ("many_well", s),
            Self::Energy(s) => ("energy", s),
            Self::ExponentialFamily(s) => ("exponential_family", s),
            Self::Expression(s) => ("expression", s),
        };
        let law = settings.law().map_err(|e| e.below(kind))?;
        Ok(Box::new(law.with_entropy(Benchmark::entropy_of(self))))
    }

    /// Every benchmark and one or more of each kind with a known law, with names for tests.
    pub fn examples() -> Vec<(&'static str, Self)> {
        let benchmarks = BENCHMARKS.iter().map(|b| (b.name.as_str(), b.spec()));
        let mut all: Vec<_> = benchmarks.collect();
        all.extend(
            EXAMPLES
                .iter()
                .map(|(name, spec)| (name.as_str(), spec.clone())),
        );
        all.extend(Problem::names().into_iter().map(|name| {
            let problem = name.to_owned();
            let spec = ExponentialFamilySpec { problem };
            (name, Self::ExponentialFamily(spec))
        }));
        all
    }
}

/// Laws that are not benchmarks: correlated Gaussians that overlap a little, in the plane, on the line
/// and in three dimensions, and energies on parts of the plane.
static EXAMPLES: LazyLock<IndexMap<String, DataSpec>> =
    LazyLock::new(|| toml::from_str(EXAMPLE_TABLES).expect("the table of examples"));

const EXAMPLE_TABLES: &str = r#"
by_name.benchmark = "annulus12"

[correlated3.mixture]
weights = [0.5, 0.3, 0.2]
means = [[-1.5, 0], [1, 1.5], [1, -1.5]]
covariances = [[[0.5, 0.4], [0.4, 0.5]], [[0.8, -0.3], [-0.3, 0.2]], [[0.1, 0], [0, 0.4]]]

[line2.mixture]
weights = [0.3, 0.7]
means = [[-1], [1.5]]
std_devs = [0.3, 0.6]

[three_d.mixture]
weights = [0.6, 0.4]
means = [[1, 0, -1], [-1, 1, 0]]
covariances = [
    [[0.5, 0.2, 0.1], [0.2, 0.4, -0.1], [0.1, -0.1, 0.3]],
    [[0.3, -0.2, 0], [-0.2, 0.6, 0.2], [0, 0.2, 0.5]],
]

[student3.mixture]
weights = [0.3, 0.7]
means = [[-1, 2, 0], [3, 0, 1]]
std_devs = [0.5, [1, 2, 0.7]]
degrees = 4.5

[funnel3.funnel]
dim = 3
std = 1.5

[two_wells.many_well]
dim = 2

[eight_wells.many_well]
dim = 6

[u3_strip.energy]
potential = "u3"
domain = "strip"

[u4_box.energy]
potential = "u4"
domain = "box"

[five_wells.expression]
log_density = "-(r-2)^2/0.18 + cos(5*theta)"
"#;
