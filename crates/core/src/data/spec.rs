//! Which data set: the table `[data.NAME]` of an experiment file.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Benchmark, CheckerboardSpec, CirclesSpec, DataSet, Domain, EnergySpec, ExponentialFamilySpec,
    FileRecord, FileSpec, GridSpec, ManyMoonsSpec, MixtureSpec, MoonsSpec, PinwheelSpec, Potential,
    Problem, RingSpec, RingsSpec, SpiralsSpec, SplitGaussianSpec, StdDev, UniformSpec, BENCHMARKS,
};
use crate::error::BadValue;
use crate::{Error, Result};

/// Which data set, with its settings: a table `[data.NAME]` of an experiment file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum DataSpec {
    /// One of [`BENCHMARKS`] by its name.
    Benchmark(#[schemars(extend("enum" = names()))] String),
    /// Gaussians of one width, evenly placed on a circle.
    Ring(RingSpec),
    /// Gaussians of one width on a square lattice.
    Grid(GridSpec),
    /// Two interleaved half circles, blurred.
    Moons(MoonsSpec),
    /// A row of interleaved half circles, blurred.
    ManyMoons(ManyMoonsSpec),
    /// Circles, blurred.
    Circles(CirclesSpec),
    /// Concentric rings, Gaussian in the radius.
    Rings(RingsSpec),
    /// Gaussian petals, twisted.
    Pinwheel(PinwheelSpec),
    /// Two spirals, blurred.
    Spirals(SpiralsSpec),
    /// Uniform on the dark squares of a checkerboard.
    Checkerboard(CheckerboardSpec),
    /// Uniform on shapes.
    Uniform(UniformSpec),
    /// A Gaussian cut in two.
    SplitGaussian(SplitGaussianSpec),
    /// Gaussians given one by one, in any dimension.
    Mixture(MixtureSpec),
    /// exp(-U) / Z for an energy U of Rezende and Mohamed 2015 or its kin.
    Energy(EnergySpec),
    /// The exact solution of a maximum-entropy problem.
    ExponentialFamily(ExponentialFamilySpec),
    /// Points from a file.
    File(FileSpec),
}

fn names() -> Vec<&'static str> {
    BENCHMARKS.iter().map(|b| b.name).collect()
}

/// A kind of data set, as `mdn list data` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// The key in an experiment file.
    pub name: &'static str,
    /// The law in one line.
    pub what: &'static str,
    /// The settings in one line as an experiment file has them, with the defaults where there are
    /// any.
    pub settings: &'static str,
}

/// Every kind.
pub const KINDS: &[Kind] = &[
    Kind {
        name: "benchmark",
        what: "a target with fixed settings, by its name (mdn list targets)",
        settings: "\"ring8\"",
    },
    Kind {
        name: "ring",
        what: "Gaussians of one width, evenly placed on a circle (equal unless `weights` are given; D = 2)",
        settings: "{ modes = 8, radius = 2.828854314002829, std = 0.3536067892503536 }",
    },
    Kind {
        name: "grid",
        what: "Gaussians of one width on a square lattice (D = 2)",
        settings: "{ side = 5, spacing = 1.0, std = 0.1 }",
    },
    Kind {
        name: "moons",
        what: "two interleaved half circles, blurred (D = 2)",
        settings: "{ noise = 0.2 }",
    },
    Kind {
        name: "many_moons",
        what: "a row of interleaved half circles, blurred (D = 2)",
        settings: "{ moons = 8, noise = 0.08 }",
    },
    Kind {
        name: "circles",
        what: "circles, blurred (around 0 unless `centres`, equal unless `weights` are given; D = 2)",
        settings: "{ radii = [3.0, 1.5], std = 0.24 }",
    },
    Kind {
        name: "rings",
        what: "concentric rings, Gaussian in the radius and equally high (D = 2)",
        settings: "{ radii = [1.0, 2.0], std = 0.125 }",
    },
    Kind {
        name: "pinwheel",
        what: "Gaussian petals, twisted (D = 2)",
        settings: "{ arms = 5, radial_std = 0.3, tangential_std = 0.1, rate = 0.25 }",
    },
    Kind {
        name: "spirals",
        what: "two spirals of one and a half turns, blurred (D = 2)",
        settings: "{ noise = 0.1 }",
    },
    Kind {
        name: "checkerboard",
        what: "uniform on the dark squares of a checkerboard (D = 2)",
        settings: "{ squares = 4, half_width = 4.0 }",
    },
    Kind {
        name: "uniform",
        what: "uniform on shapes: rectangle, disc, annulus, triangle (equal unless `weights` are given; D = 2)",
        settings: "{ shapes = [{ disc = { centre = [0.0, 0.0], radius = 1.0 } }, { triangle = [[2.0, 0.0], [4.0, 0.0], [3.0, 1.0]] }] }",
    },
    Kind {
        name: "split_gaussian",
        what: "a normal cut along x1 = 0, its halves moved apart along x2 (D = 2)",
        settings: "{ shift = 2.0 }",
    },
    Kind {
        name: "mixture",
        what: "Gaussians given one by one, by `std_devs` or `covariances` (any D)",
        settings: "{ weights = [0.3, 0.7], means = [[-1.0, 0.0], [1.0, 0.5]], std_devs = [0.2, 0.4] }",
    },
    Kind {
        name: "energy",
        what: "exp(-U) / Z for the energies u1 to u4 of Rezende and Mohamed 2015 and dual_moon; domain plane (u1 and dual_moon alone), soft_wall, box or strip (D = 2)",
        settings: "{ potential = \"u1\" }",
    },
    Kind {
        name: "exponential_family",
        what: "the exact solution of a maximum-entropy problem: double_well_symmetric, double_well_tilted, four_wells_coupled, dirichlet_1_2_3, gaussian (D = 2)",
        settings: "{ problem = \"four_wells_coupled\" }",
    },
    Kind {
        name: "file",
        what: "points from a .csv, .tsv or .npy file, shared out into train, validation and test (any D; law unknown)",
        settings: "{ path = \"penguins.csv\", columns = [\"bill_length_mm\", \"bill_depth_mm\"], label = \"species\", on_bad_rows = \"refuse\", split = { train = 0.7, validation = 0.15, test = 0.15, seed = 0 } }",
    },
];

impl DataSpec {
    /// D, or what is wrong with the settings; the key begins with the kind, as in `ring.modes`.
    pub fn check(&self) -> std::result::Result<usize, BadValue> {
        match self {
            Self::Benchmark(name) => return (Benchmark::by_name(name)?.spec)().check(),
            Self::Ring(s) => s.check(),
            Self::Grid(s) => s.check(),
            Self::Moons(s) => s.check(),
            Self::ManyMoons(s) => s.check(),
            Self::Circles(s) => s.check(),
            Self::Rings(s) => s.check(),
            Self::Pinwheel(s) => s.check(),
            Self::Spirals(s) => s.check(),
            Self::Checkerboard(s) => s.check(),
            Self::Uniform(s) => s.check(),
            Self::SplitGaussian(s) => s.check(),
            Self::Mixture(s) => s.check(),
            Self::Energy(s) => s.check(),
            Self::ExponentialFamily(s) => s.check(),
            Self::File(s) => s.check(),
        }
        .map_err(|fault| fault.below(self.kind()))
    }

    /// What is wrong with the settings, as far as no file has to be read for it.
    pub fn check_settings(&self) -> std::result::Result<(), BadValue> {
        match self {
            Self::File(s) => s.check_settings().map_err(|e| e.below(self.kind())),
            _ => self.check().map(|_| ()),
        }
    }

    /// Reads the file of a `file`, writes down in the settings what it has (columns, checksum), and
    /// says what is in it; `None` for every other kind.
    pub fn settle(&mut self) -> std::result::Result<Option<FileRecord>, BadValue> {
        match self {
            Self::File(s) => s.settle().map(Some).map_err(|e| e.below("file")),
            _ => Ok(None),
        }
    }

    /// The data set.
    pub fn build(&self) -> Result<Box<dyn DataSet>> {
        let bad = |fault: BadValue| Error::request(fault.to_string());
        self.check().map_err(bad)?;
        Ok(match self {
            Self::Benchmark(name) => (Benchmark::by_name(name).map_err(bad)?.spec)().build()?,
            Self::Ring(s) => Box::new(s.build()),
            Self::Grid(s) => Box::new(s.build()),
            Self::Moons(s) => Box::new(s.build()),
            Self::ManyMoons(s) => Box::new(s.build()),
            Self::Circles(s) => Box::new(s.build()),
            Self::Rings(s) => Box::new(s.build()),
            Self::Pinwheel(s) => Box::new(s.build()),
            Self::Spirals(s) => Box::new(s.build()),
            Self::Checkerboard(s) => Box::new(s.build()),
            Self::Uniform(s) => Box::new(s.build()),
            Self::SplitGaussian(s) => Box::new(s.build()),
            Self::Mixture(s) => Box::new(s.build().map_err(|e| bad(e.below(self.kind())))?),
            Self::Energy(s) => Box::new(s.build()),
            Self::ExponentialFamily(s) => {
                Box::new(s.build().map_err(|e| bad(e.below(self.kind())))?)
            }
            Self::File(s) => Box::new(s.build().map_err(|e| bad(e.below(self.kind())))?),
        })
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Benchmark(_) => "benchmark",
            Self::Ring(_) => "ring",
            Self::Grid(_) => "grid",
            Self::Moons(_) => "moons",
            Self::ManyMoons(_) => "many_moons",
            Self::Circles(_) => "circles",
            Self::Rings(_) => "rings",
            Self::Pinwheel(_) => "pinwheel",
            Self::Spirals(_) => "spirals",
            Self::Checkerboard(_) => "checkerboard",
            Self::Uniform(_) => "uniform",
            Self::SplitGaussian(_) => "split_gaussian",
            Self::Mixture(_) => "mixture",
            Self::Energy(_) => "energy",
            Self::ExponentialFamily(_) => "exponential_family",
            Self::File(_) => "file",
        }
    }

    /// Every benchmark and one or more of each kind with a known law, with the names under which tests show them.
    pub fn examples() -> Vec<(&'static str, Self)> {
        let energy = |potential, domain| Self::Energy(EnergySpec { potential, domain });
        let mut all: Vec<_> = BENCHMARKS.iter().map(|b| (b.name, (b.spec)())).collect();
        all.extend([
            ("by_name", Self::Benchmark("annulus12".to_owned())),
            ("correlated3", Self::Mixture(correlated())),
            ("line2", Self::Mixture(line())),
            ("five_d", Self::Mixture(five_d())),
            ("u3_strip", energy(Potential::U3, Some(Domain::Strip))),
            ("u4_box", energy(Potential::U4, Some(Domain::Box))),
        ]);
        all.extend(Problem::names().map(|name| {
            let problem = name.to_owned();
            (
                name,
                Self::ExponentialFamily(ExponentialFamilySpec { problem }),
            )
        }));
        all
    }
}

/// Three correlated Gaussians that overlap a little.
fn correlated() -> MixtureSpec {
    MixtureSpec {
        weights: vec![0.5, 0.3, 0.2],
        means: vec![vec![-1.5, 0.0], vec![1.0, 1.5], vec![1.0, -1.5]],
        std_devs: None,
        covariances: Some(vec![
            vec![vec![0.5, 0.4], vec![0.4, 0.5]],
            vec![vec![0.8, -0.3], vec![-0.3, 0.2]],
            vec![vec![0.1, 0.0], vec![0.0, 0.4]],
        ]),
    }
}

/// Two Gaussians on the line.
fn line() -> MixtureSpec {
    MixtureSpec {
        weights: vec![0.3, 0.7],
        means: vec![vec![-1.0], vec![1.5]],
        std_devs: Some(vec![StdDev::Shared(0.3), StdDev::Shared(0.6)]),
        covariances: None,
    }
}

/// Three Gaussians in five dimensions that overlap a little, with neighbouring coordinates
/// correlated.
fn five_d() -> MixtureSpec {
    let decaying = |variance: f64, rho: f64| {
        let entry = |i: i32, j: i32| variance * rho.powi((i - j).abs());
        (0..5)
            .map(|i| (0..5).map(|j| entry(i, j)).collect())
            .collect()
    };
    MixtureSpec {
        weights: vec![0.4, 0.35, 0.25],
        means: vec![
            vec![1.0, 0.0, -1.0, 0.5, 0.0],
            vec![-1.0, 1.0, 0.0, -0.5, 1.0],
            vec![0.0, -1.0, 1.0, 1.0, -1.0],
        ],
        std_devs: None,
        covariances: Some(vec![
            decaying(0.25, 0.5),
            decaying(0.5, -0.3),
            decaying(0.36, 0.7),
        ]),
    }
}
