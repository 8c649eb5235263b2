//! Which data set: the table `[data.NAME]` of an experiment file.

use serde::{Deserialize, Serialize};

use super::{
    CheckerboardSpec, CirclesSpec, DataSet, Domain, EnergySpec, ExponentialFamilySpec, FileRecord,
    FileSpec, GridSpec, MixtureSpec, MoonsSpec, Potential, Problem, RingSpec, StdDev,
};
use crate::error::BadValue;
use crate::{Error, Result};

/// Which data set, with its settings: a table `[data.NAME]` of an experiment file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum DataSpec {
    /// Gaussians of one width, evenly placed on a circle.
    Ring(RingSpec),
    /// Gaussians of one width on a square lattice.
    Grid(GridSpec),
    /// Two interleaved half circles, blurred.
    Moons(MoonsSpec),
    /// Concentric circles, blurred.
    Circles(CirclesSpec),
    /// Uniform on the dark squares of a checkerboard.
    Checkerboard(CheckerboardSpec),
    /// Gaussians given one by one, in any dimension.
    Mixture(MixtureSpec),
    /// exp(-U) / Z for an energy U of Rezende and Mohamed 2015.
    Energy(EnergySpec),
    /// The exact solution of a maximum-entropy problem.
    ExponentialFamily(ExponentialFamilySpec),
    /// Points from a file.
    File(FileSpec),
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
        name: "circles",
        what: "concentric circles, blurred (equal unless `weights` are given; D = 2)",
        settings: "{ radii = [3.0, 1.5], std = 0.24 }",
    },
    Kind {
        name: "checkerboard",
        what: "uniform on the dark squares of a checkerboard (D = 2)",
        settings: "{ squares = 4, half_width = 4.0 }",
    },
    Kind {
        name: "mixture",
        what: "Gaussians given one by one, by `std_devs` or `covariances` (any D)",
        settings: "{ weights = [0.3, 0.7], means = [[-1.0, 0.0], [1.0, 0.5]], std_devs = [0.2, 0.4] }",
    },
    Kind {
        name: "energy",
        what: "exp(-U) / Z for the energies u1 to u4 of Rezende and Mohamed 2015; domain plane (u1 alone), soft_wall, box or strip (D = 2)",
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
            Self::Ring(s) => s.check(),
            Self::Grid(s) => s.check(),
            Self::Moons(s) => s.check(),
            Self::Circles(s) => s.check(),
            Self::Checkerboard(s) => s.check(),
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
            Self::Ring(s) => Box::new(s.build()),
            Self::Grid(s) => Box::new(s.build()),
            Self::Moons(s) => Box::new(s.build()),
            Self::Circles(s) => Box::new(s.build()),
            Self::Checkerboard(s) => Box::new(s.build()),
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
            Self::Ring(_) => "ring",
            Self::Grid(_) => "grid",
            Self::Moons(_) => "moons",
            Self::Circles(_) => "circles",
            Self::Checkerboard(_) => "checkerboard",
            Self::Mixture(_) => "mixture",
            Self::Energy(_) => "energy",
            Self::ExponentialFamily(_) => "exponential_family",
            Self::File(_) => "file",
        }
    }

    /// One or more of each kind with a known law, with the names under which tests and `mdn list data` show them.
    pub fn examples() -> Vec<(&'static str, Self)> {
        let energy = |potential, domain| Self::Energy(EnergySpec { potential, domain });
        let mut all = vec![
            ("ring8", Self::Ring(RingSpec::default())),
            ("imbalanced8", Self::Ring(imbalanced())),
            ("grid25", Self::Grid(GridSpec::default())),
            ("moons", Self::Moons(MoonsSpec::default())),
            ("two_circles", Self::Circles(CirclesSpec::default())),
            (
                "checkerboard",
                Self::Checkerboard(CheckerboardSpec::default()),
            ),
            ("correlated3", Self::Mixture(correlated())),
            ("line2", Self::Mixture(line())),
            ("five_d", Self::Mixture(five_d())),
            ("u1", energy(Potential::U1, None)),
            ("u2", energy(Potential::U2, None)),
            ("u3", energy(Potential::U3, None)),
            ("u4", energy(Potential::U4, None)),
            ("u3_strip", energy(Potential::U3, Some(Domain::Strip))),
            ("u4_box", energy(Potential::U4, Some(Domain::Box))),
        ];
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

/// The ring with weights from 0.63 down to 0.00063, in equal ratios.
fn imbalanced() -> RingSpec {
    let raw: Vec<f64> = (0..8)
        .map(|k| 10f64.powf(-3.0 * f64::from(k) / 7.0))
        .collect();
    let sum: f64 = raw.iter().sum();
    RingSpec {
        weights: Some(raw.iter().map(|w| w / sum).collect()),
        ..RingSpec::default()
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
