//! Whether every mode has its share.

use super::{Better, Evaluation, Metric, Outcome, NO_TRUTH};

/// Total variation between the true mode weights w and the model's, which are the mean over its
/// samples of the true responsibilities: (1/2) (sum_j |w^_j - w_j| + share outside every mode).
/// The standard error is that of the linearised sum. A perfect model does not reach 0 but about
/// 0.4 sqrt((modes - 1) / n).
pub struct ModeTotalVariation;

impl Metric for ModeTotalVariation {
    fn name(&self) -> &'static str {
        "mode_tv"
    }
    fn describe(&self) -> &'static str {
        "total variation between the true and the model's mode weights"
    }
    fn unit(&self) -> &'static str {
        "share"
    }
    fn better(&self) -> Better {
        Better::Lower
    }
    fn evaluate(&self, on: &Evaluation) -> Outcome {
        let Some(known) = &on.known else {
            return Outcome::none(NO_TRUTH);
        };
        let found = &known.of_samples;
        let outside = 1.0 - found.all.iter().sum::<f64>();
        let apart = found
            .all
            .iter()
            .zip(&known.weights)
            .map(|(f, w)| (f - w).abs());
        Outcome::Value {
            value: 0.5 * (apart.sum::<f64>() + outside.max(0.0)),
            std_err: Some((found.variance / on.samples as f64).sqrt()),
            n: on.samples,
            non_finite: 0,
        }
    }
}

/// Modes that hold at least a tenth of what the truth's own points give them, counting only points
/// where the truth is not below its own 0.1 % level (of a mode that never is, all points count).
pub struct ModesCovered;

impl Metric for ModesCovered {
    fn name(&self) -> &'static str {
        "modes_covered"
    }
    fn describe(&self) -> &'static str {
        "modes with at least a tenth of their true weight"
    }
    fn unit(&self) -> &'static str {
        "modes"
    }
    fn better(&self) -> Better {
        Better::Higher
    }
    fn evaluate(&self, on: &Evaluation) -> Outcome {
        let Some(known) = &on.known else {
            return Outcome::none(NO_TRUTH);
        };
        let covered = (0..known.weights.len())
            .filter(|&j| {
                let (true_share, found) = if known.dense[j] > 0.0 {
                    (known.dense[j], known.of_samples.dense[j])
                } else {
                    (known.weights[j], known.of_samples.all[j])
                };
                found >= 0.1 * true_share
            })
            .count();
        Outcome::Value {
            value: covered as f64,
            std_err: None,
            n: on.samples,
            non_finite: 0,
        }
    }
}
