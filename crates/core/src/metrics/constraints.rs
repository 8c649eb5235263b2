//! Moments of samples beside what was asked of them, and the relaxed model that training saw.

use super::{given, mean_with_tail, Better, Metric, Outcome, Tail};
use crate::num::largest;
use crate::statistics::Statistics;

/// Moments of the model's samples beside what was asked of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments {
    /// E_q\[T\], one per statistic.
    pub mean: Vec<f64>,
    /// Its standard errors.
    pub std_err: Vec<f64>,
    /// Standard deviations of T under the model.
    pub std_dev: Vec<f64>,
    /// m.
    pub target: Vec<f64>,
    /// The Lagrange multipliers that training ended with, and the natural parameters of the exact
    /// solution, to whose negatives they tend.
    pub multipliers: Option<(Vec<f64>, Vec<f64>)>,
    /// Samples whose T is not finite, left out.
    pub non_finite: usize,
}

impl Moments {
    /// Of points given as rows.
    pub fn of(statistics: &Statistics, target: &[f64], rows: &[f64], dim: usize) -> Self {
        let m = target.len();
        let (mut n, mut non_finite) = (0.0, 0);
        let (mut mean, mut squares, mut t) = (vec![0.0; m], vec![0.0; m], vec![0.0; m]);
        for x in rows.chunks_exact(dim) {
            statistics.evaluate(x, &mut t);
            if !t.iter().all(|v| v.is_finite()) {
                non_finite += 1;
                continue;
            }
            n += 1.0;
            for ((mean, squares), t) in mean.iter_mut().zip(&mut squares).zip(&t) {
                let before = t - *mean;
                *mean += before / n;
                *squares += before * (t - *mean);
            }
        }
        let std_dev: Vec<f64> = squares.iter().map(|s| (s / (n - 1.0)).sqrt()).collect();
        Self {
            std_err: std_dev.iter().map(|s| s / n.sqrt()).collect(),
            mean,
            std_dev,
            target: target.to_vec(),
            multipliers: None,
            non_finite,
        }
    }

    /// Distances of the means from their targets, in standard deviations of the statistics, with
    /// their standard errors in the same unit.
    fn errors(&self) -> impl Iterator<Item = (f64, Option<f64>)> + '_ {
        (0..self.mean.len()).map(|i| {
            let (off, dev) = (self.mean[i] - self.target[i], self.std_dev[i]);
            (off.abs() / dev, Some(self.std_err[i] / dev))
        })
    }

    /// The largest error, which is NaN if one is: a statistic without a finite mean is not met. Not
    /// applicable where no error is finite.
    fn worst(&self, errors: impl Iterator<Item = (f64, Option<f64>)>, n: usize) -> Outcome {
        let errors: Vec<_> = errors.collect();
        if !errors.iter().any(|(v, _)| v.is_finite()) {
            return Outcome::none("no statistic has a finite mean").without(self.non_finite);
        }
        let value = largest(errors.iter().map(|(v, _)| *v));
        let std_err = errors.iter().find(|(v, _)| *v == value).and_then(|e| e.1);
        Outcome::of(value, std_err, n).without(self.non_finite)
    }
}

const NO_CONSTRAINTS: &str = "no moments are asked for";

fn constraint_error(moments: &Option<Moments>, n: usize) -> Outcome {
    given(moments, NO_CONSTRAINTS, |m| {
        m.worst(m.errors(), n - m.non_finite)
    })
}

/// max_i |E_q\[T_i\] - m_i| / sd_q(T_i)
pub(super) const CONSTRAINT_ERROR: Metric = Metric {
    name: "constraint_error",
    describe: "largest error of a constrained moment, in standard deviations of its statistic",
    unit: "sd",
    better: Better::Lower,
    solved: || [0.0, 0.75],
    evaluate: |on| constraint_error(&on.moments, on.samples),
};

/// max_i |lambda_i + eta_i| sd_q(T_i), eta_i being the natural parameters of the exact solution.
pub(super) const MULTIPLIER_ERROR: Metric = Metric {
    name: "multiplier_error",
    describe: "largest distance of a multiplier from the exact one, in nats per standard deviation",
    unit: "nats/sd",
    better: Better::Lower,
    solved: || [0.0, 0.12],
    evaluate: |on| {
        let Some(moments) = &on.moments else {
            return Outcome::none(NO_CONSTRAINTS);
        };
        let Some((multipliers, eta)) = &moments.multipliers else {
            return Outcome::none("the exact solution is not known");
        };
        let each = multipliers.iter().zip(eta).zip(&moments.std_dev);
        let errors = each.map(|((l, e), s)| ((l + e).abs() * s, None));
        moments.worst(errors, on.samples)
    },
};

pub(super) const RELAXED_CONSTRAINT_ERROR: Metric = Metric {
    name: "relaxed_constraint_error",
    describe: "the same of the relaxed model that was trained",
    unit: "sd",
    better: Better::Lower,
    solved: || [0.0, 1.5],
    evaluate: |on| {
        given(&on.relaxed, NOT_RELAXED, |relaxed| {
            constraint_error(&relaxed.moments, relaxed.below.len())
        })
    },
};

const NOT_RELAXED: &str = "not trained through a relaxation";

pub(super) const ENTROPY_BELOW: Metric = Metric {
    name: "relaxed_entropy_low",
    describe: "lower bound of the relaxed model's entropy (nested density, own weights included)",
    unit: "nats",
    better: Better::Neither,
    solved: || [1.0, 0.7],
    evaluate: |on| {
        given(&on.relaxed, NOT_RELAXED, |r| {
            mean_with_tail(r.below.clone(), Tail::around)
        })
    },
};

pub(super) const ENTROPY_ABOVE: Metric = Metric {
    name: "relaxed_entropy_high",
    describe: "upper bound of the relaxed model's entropy (nested density, own weights excluded)",
    unit: "nats",
    better: Better::Neither,
    solved: || [1.0, 1.3],
    evaluate: |on| {
        given(&on.relaxed, NOT_RELAXED, |r| {
            mean_with_tail(r.above.clone(), Tail::around)
        })
    },
};
