//! What is to be fitted without data: the table `[problems.NAME]` of an experiment file.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::maximum_entropy::MaximumEntropy;
use super::reverse_kl::{ReverseKl, ReverseKlSpec};
use super::scale::Scaling;
use super::Objective;
use crate::bijections::SupportSpec;
use crate::data::{DataSet, DataSpec, ExponentialFamilySpec, Problem, Support};
use crate::error::BadValue;
use crate::statistics::Statistics;
use crate::{Error, Result};

/// What is to be fitted without data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ProblemSpec {
    /// A density that is known up to a constant.
    ReverseKl(ReverseKlSpec),
    /// The density of greatest entropy under moment constraints.
    MaximumEntropy(MaximumEntropySpec),
}

/// A kind of objective, as `mdn list objectives` shows it: name, one line, settings.
pub const KINDS: &[(&str, &str, &str)] = &[
    (
        "maximum_likelihood",
        "mean negative log-likelihood of the training points: what a table `[data.NAME]` is trained by",
        "",
    ),
    (
        "reverse_kl",
        "KL(q||p) to a density known up to a constant, by samples of the model: a table `[problems.NAME]`",
        "{ target.energy = { potential = \"u1\" }, anneal = { from = 0.1, over = 0.5 } }",
    ),
    (
        "maximum_entropy",
        "the greatest entropy under E[T(x)] = m, by the augmented Lagrangian: a table `[problems.NAME]`",
        "{ statistics = [\"x^2+y^2\", \"x^4+y^4\", \"x*y\"], moments = [4.68, 12.78, 1.2], rounds = 10 }",
    ),
];

/// `[problems.NAME.maximum_entropy]`: either `problem`, the name of one whose solution is known, or
/// `statistics` and `moments`.
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
    /// What a round must leave of the constraints' error, if c is not to grow.
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

/// What is known of a maximum-entropy problem's solution.
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

    /// D, or what is wrong with the settings.
    pub fn check(&self) -> std::result::Result<usize, BadValue> {
        let dim = match self.named()? {
            Some(problem) => problem.dim(),
            None => self.dim(),
        };
        BadValue::unless((1..=64).contains(&dim), "dim", "1 <= `dim` <= 64", dim)?;
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
        // In a box, logarithms are not bound to be negative.
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
        BadValue::unless(
            (1..=1000).contains(&self.rounds),
            "rounds",
            "1 <= `rounds` <= 1000",
            self.rounds,
        )?;
        let real = |key: &str, value: f64, low: f64, high: f64| {
            let expected = format!("{low} <= `{key}` <= {high}");
            BadValue::unless((low..=high).contains(&value), key, &expected, value)
        };
        real("penalty", self.penalty, 1e-6, 1e6)?;
        real("penalty_growth", self.penalty_growth, 1.0, 1e3)?;
        real("penalty_cap", self.penalty_cap, self.penalty, 1e9)?;
        real("progress", self.progress, 0.0, 1.0)?;
        BadValue::unless(
            (2_000..=100_000_000).contains(&self.samples),
            "samples",
            "2000 <= `samples` <= 100000000",
            self.samples,
        )?;
        Ok(dim)
    }

    /// Why the entropy has no maximum, if nothing bounds it.
    fn unbounded(&self) -> Option<String> {
        let bounded = matches!(
            self.support,
            Some(SupportSpec::Box(_) | SupportSpec::Simplex)
        );
        if self.problem.is_some() || bounded {
            return None;
        }
        let (statistics, _) = self.parsed().ok()?;
        statistics.unbounded_direction()
    }
}

impl ProblemSpec {
    /// D, or what is wrong with the settings; the key begins with the kind.
    pub fn check(&self) -> std::result::Result<usize, BadValue> {
        match self {
            Self::ReverseKl(s) => s.check().map_err(|e| e.below("reverse_kl")),
            Self::MaximumEntropy(s) => s.check().map_err(|e| e.below("maximum_entropy")),
        }
    }

    /// What may be meant and is likely not, one line each.
    pub fn warnings(&self) -> Vec<String> {
        match self {
            Self::ReverseKl(_) => Vec::new(),
            Self::MaximumEntropy(s) => s
                .unbounded()
                .map(|why| {
                    format!(
                        "the problem has no solution unless the support is bounded: {why}, so the \
                         entropy grows without end (add such a statistic, or `support`)"
                    )
                })
                .into_iter()
                .collect(),
        }
    }

    /// The objective, before its first step.
    pub fn build(&self) -> Result<Box<dyn Objective>> {
        Ok(match self {
            Self::ReverseKl(s) => Box::new(ReverseKl::new(s)?),
            Self::MaximumEntropy(s) => Box::new(MaximumEntropy::new(s)?),
        })
    }

    /// The law of the solution as a data set, where it is known: what a model is measured against.
    pub fn solution(&self) -> Result<Option<Box<dyn DataSet>>> {
        match self {
            Self::ReverseKl(s) => s.target.build().map(Some),
            Self::MaximumEntropy(s) => s
                .problem
                .as_ref()
                .map(|problem| {
                    DataSpec::ExponentialFamily(ExponentialFamilySpec {
                        problem: problem.clone(),
                    })
                    .build()
                })
                .transpose(),
        }
    }

    /// The map from R^D onto the support, if it is not R^D.
    pub fn support(&self) -> Option<SupportSpec> {
        match self {
            Self::ReverseKl(s) => s.support(),
            Self::MaximumEntropy(s) => match s.named() {
                Ok(Some(problem)) if problem.support == Support::Simplex => {
                    Some(SupportSpec::Simplex)
                }
                _ => s.support.clone(),
            },
        }
    }
}
