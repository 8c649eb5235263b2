//! Problems without data: the table `[problems.NAME]` of an experiment file.

use std::ops::Deref;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::maximum_entropy::{MaximumEntropy, GROUPS};
use super::reverse_kl::ReverseKlSpec;
use super::scale::Scaling;
use super::Objective;
use crate::bijections::SupportSpec;
use crate::data::{
    DataSet, DataSpec, ExponentialFamilySpec, Problem, ProgramSpec, Programs, Support,
};
use crate::error::BadValue;
use crate::statistics::Statistics;
use crate::{Error, Result};

/// What is fitted without data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ProblemSpec {
    /// KL(q||p) to a density known up to a constant, by samples of the model: a table `[problems.NAME]`.
    ReverseKl(ReverseKlSpec),
    /// The greatest entropy under E[T(x)] = m, by the augmented Lagrangian: a table `[problems.NAME]`.
    MaximumEntropy(MaximumEntropySpec),
}

impl Deref for ProblemSpec {
    type Target = dyn ProblemSettings;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::ReverseKl(s) => s,
            Self::MaximumEntropy(s) => s,
        }
    }
}

impl ProblemSpec {
    /// D, or what is wrong with the settings; the key begins with the objective's name.
    pub fn check(&self) -> std::result::Result<usize, BadValue> {
        let settings = self.deref();
        settings.check().map_err(|e| e.below(settings.name()))
    }

    /// Reads the files that the settings name and writes their checksums into the settings.
    pub fn settle(&mut self) -> std::result::Result<(), BadValue> {
        match self {
            Self::ReverseKl(s) => s.settle().map_err(|e| e.below("reverse_kl")),
            Self::MaximumEntropy(_) => Ok(()),
        }
    }

    /// Its paths of files and folders.
    pub fn paths_mut(&mut self) -> Vec<&mut PathBuf> {
        match self {
            Self::ReverseKl(s) => s.paths_mut(),
            Self::MaximumEntropy(_) => Vec::new(),
        }
    }

    /// Takes over the paths of `other` where the contents are equal.
    pub fn take_paths(&mut self, other: &Self) {
        if let (Self::ReverseKl(own), Self::ReverseKl(other)) = (self, other) {
            own.take_paths(other);
        }
    }

    /// The program that computes its target, if one does.
    pub fn program(&self) -> Option<&ProgramSpec> {
        match self {
            Self::ReverseKl(ReverseKlSpec {
                target: DataSpec::Program(program),
                ..
            }) => Some(program),
            _ => None,
        }
    }
}

/// What a problem's settings say before training. A new objective without data implements this for
/// its settings and [`Objective`] for itself; a [`ProblemSpec`] dereferences to it.
pub trait ProblemSettings {
    /// The key below `[problems.NAME]`.
    fn name(&self) -> &'static str;

    /// D, or what is wrong with the settings; keys are relative to the problem's own table.
    fn check(&self) -> std::result::Result<usize, BadValue>;

    /// The objective, before its first step; `programs` starts the program of a target.
    fn build(&self, programs: &dyn Programs) -> Result<Box<dyn Objective>>;

    /// Settings that are probably a mistake, one line each.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }

    /// The law of the solution as a data set, where it is known: what a model is measured against.
    fn solution(&self) -> Result<Option<Box<dyn DataSet>>> {
        Ok(None)
    }

    /// The map from R^D onto the support, if the support is not R^D.
    fn support(&self) -> Option<SupportSpec> {
        None
    }

    /// Whether training evaluates the model's density at its draws, so that relaxed draws, which have another
    /// one, do not fit.
    fn needs_own_density(&self) -> bool {
        false
    }

    /// The largest number of samples that are held at once beside a batch.
    fn samples_at_once(&self) -> usize {
        0
    }
}

/// `[problems.NAME.maximum_entropy]`: either `problem`, the name of a problem with a known solution,
/// or `statistics` and `moments`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MaximumEntropySpec {
    /// A built-in problem.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = Problem::names()))]
    pub problem: Option<String>,
    /// T, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub statistics: Vec<String>,
    /// m, one per statistic.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moments: Vec<f64>,
    /// Number of coordinates, for `statistics`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dim: Option<usize>,
    /// Natural parameters of the exact solution, where they are known: p(x) ~ exp(eta . T(x)).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta: Option<Vec<f64>>,
    /// log of its normaliser, for `eta`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_z: Option<f64>,
    /// A map from R^D onto the support; R^D itself if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub support: Option<SupportSpec>,
    /// Rounds of equally many steps, between which multipliers and penalty move.
    #[serde(default = "ten")]
    pub rounds: usize,
    /// In which units the constraints' errors are measured.
    #[serde(default)]
    pub scaling: Scaling,
    /// c of the first round.
    #[serde(default = "one")]
    pub penalty: f64,
    /// Factor by which c grows where the constraints do not come nearer.
    #[serde(default = "two")]
    pub penalty_growth: f64,
    /// The largest c: at the noise of the samples no constraint comes nearer, and c would grow
    /// without end. With `scaling = "covariance"` multipliers make Newton steps at c = 1, and larger
    /// ones overshoot where a round is too short for the model to follow; `"std_devs"` wants 10 or
    /// more.
    #[serde(default = "one")]
    pub penalty_cap: f64,
    /// c grows if a round leaves more than this share of the constraints' error.
    #[serde(default = "quarter")]
    pub progress: f64,
    /// Samples that multipliers move by.
    #[serde(default = "many")]
    pub samples: usize,
}

fn ten() -> usize {
    10
}
fn one() -> f64 {
    1.0
}
fn two() -> f64 {
    2.0
}
fn quarter() -> f64 {
    0.25
}
fn many() -> usize {
    51_200
}

/// The known solution of a maximum-entropy problem.
#[derive(Debug, Clone, PartialEq)]
pub struct Solution {
    /// Natural parameters.
    pub eta: Vec<f64>,
    /// log of the normaliser.
    pub log_z: f64,
}

impl Solution {
    /// log p of points given as rows.
    pub fn log_densities(&self, statistics: &Statistics, rows: &[f64]) -> Vec<f64> {
        let mut t = vec![0.0; self.eta.len()];
        rows.chunks_exact(statistics.dim())
            .map(|x| {
                statistics.evaluate(x, &mut t);
                t.iter().zip(&self.eta).map(|(t, e)| t * e).sum::<f64>() - self.log_z
            })
            .collect()
    }
}

impl MaximumEntropySpec {
    fn named(&self) -> std::result::Result<Option<Problem>, BadValue> {
        let Some(name) = &self.problem else {
            return Ok(None);
        };
        let free = self.statistics.is_empty() && self.moments.is_empty() && self.eta.is_none();
        BadValue::unless(
            free && self.dim.is_none() && self.log_z.is_none() && self.support.is_none(),
            "problem",
            "`problem` alone, which has statistics, moments and support of its own",
            "both",
        )?;
        Problem::by_name(name).map(Some)
    }

    fn dim(&self) -> usize {
        self.dim.unwrap_or(2)
    }

    fn parsed(&self) -> std::result::Result<(Statistics, Vec<f64>), BadValue> {
        if let Some(problem) = self.named()? {
            return Ok((problem.statistics, problem.moments));
        }
        BadValue::unless(
            !self.statistics.is_empty(),
            "statistics",
            "`problem`, or at least one of `statistics`",
            "neither",
        )?;
        let statistics =
            Statistics::parse(&self.statistics, self.dim()).map_err(|e| e.below("statistics"))?;
        Ok((statistics, self.moments.clone()))
    }

    /// T and m.
    pub fn constraints(&self) -> Result<(Statistics, Vec<f64>)> {
        self.parsed().map_err(|bad| Error::request(bad.to_string()))
    }

    /// The exact solution, where it is known.
    pub fn solution(&self) -> Option<Solution> {
        if let Some(problem) = self.named().ok().flatten() {
            return Some(Solution {
                eta: problem.eta,
                log_z: problem.log_z,
            });
        }
        Some(Solution {
            eta: self.eta.clone()?,
            log_z: self.log_z?,
        })
    }
}

impl ProblemSettings for MaximumEntropySpec {
    fn name(&self) -> &'static str {
        "maximum_entropy"
    }

    fn check(&self) -> std::result::Result<usize, BadValue> {
        let dim = match self.named()? {
            Some(problem) => problem.dim(),
            None => self.dim(),
        };
        BadValue::within("dim", dim, 1, 64)?;
        let (statistics, moments) = self.parsed()?;
        let m = statistics.len();
        let as_many = |key: &str, n: usize| {
            let expected = format!("as many `{key}` as statistics, {m}");
            BadValue::unless(n == m, key, &expected, n)
        };
        as_many("moments", moments.len())?;
        if let Some(bad) = moments.iter().find(|v| !v.is_finite()) {
            return Err(BadValue::new("moments", "finite `moments`", bad));
        }
        let logs = self.problem.is_none() && statistics.on_simplex();
        let in_box = matches!(self.support, Some(SupportSpec::Box(_)));
        BadValue::unless(
            !logs || in_box || matches!(self.support, Some(SupportSpec::Simplex)),
            "support",
            "`support = \"simplex\"`, or a box of positive numbers, where there are logarithms",
            match self.support {
                None => "none",
                Some(_) => "another",
            },
        )?;
        // In a box, logarithms may be positive.
        let known = (!(logs && in_box)).then(|| statistics.infeasible(&moments));
        if let Some(why) = known.flatten() {
            return Err(BadValue::new(
                "moments",
                "moments that some density has",
                why,
            ));
        }
        if let Some(eta) = &self.eta {
            as_many("eta", eta.len())?;
        }
        BadValue::unless(
            self.eta.is_some() == self.log_z.is_some(),
            "eta",
            "`eta` and `log_z` together",
            "one of them",
        )?;
        if let Some(support) = &self.support {
            support.check(dim).map_err(|e| e.below("support"))?;
        }
        BadValue::within("rounds", self.rounds, 1, 1000)?;
        BadValue::within("penalty", self.penalty, 1e-6, 1e6)?;
        BadValue::within("penalty_growth", self.penalty_growth, 1.0, 1e3)?;
        BadValue::within("penalty_cap", self.penalty_cap, self.penalty, 1e9)?;
        BadValue::within("progress", self.progress, 0.0, 1.0)?;
        BadValue::within("samples", self.samples, 2_000, 100_000_000)?;
        Ok(dim)
    }

    fn build(&self, _programs: &dyn Programs) -> Result<Box<dyn Objective>> {
        Ok(Box::new(MaximumEntropy::new(self)?))
    }

    fn warnings(&self) -> Vec<String> {
        let bounded = matches!(
            self.support,
            Some(SupportSpec::Box(_) | SupportSpec::Simplex)
        );
        let constraints = self.parsed().ok();
        let free = constraints.filter(|_| !bounded && self.problem.is_none());
        let unbounded = free.and_then(|(statistics, _)| statistics.unbounded_direction());
        let warn = |why| {
            format!(
                "the problem has no solution unless the support is bounded: {why}, so the entropy \
                 grows without end (add such a statistic, or `support`)"
            )
        };
        unbounded.map(warn).into_iter().collect()
    }

    fn solution(&self) -> Result<Option<Box<dyn DataSet>>> {
        let Some(problem) = self.problem.clone() else {
            return Ok(None);
        };
        DataSpec::ExponentialFamily(ExponentialFamilySpec { problem })
            .build()
            .map(Some)
    }

    fn support(&self) -> Option<SupportSpec> {
        match self.named() {
            Ok(Some(problem)) if problem.support() == Support::Simplex => {
                Some(SupportSpec::Simplex)
            }
            _ => self.support.clone(),
        }
    }

    fn samples_at_once(&self) -> usize {
        self.samples / GROUPS
    }
}
