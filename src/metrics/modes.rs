//! Whether every mode has its share.

use super::{Better, Evaluation, Metric, Outcome, NO_TRUTH};

/// Total variation between the true mode weights w and the model's, which are the mean over its
/// samples of the true responsibilities: (1/2) (sum_j |w^_j - w_j| + share outside every mode).
/// The standard error is that of the linearised sum; at a perfect model the value is not 0 but
/// about sqrt(modes / n) / 2.
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
            return Outcome::NotApplicable(NO_TRUTH);
        };
        let modes = known.weights.len();
        let n = on.samples as f64;
        let mut found = vec![0.0; modes];
        for row in known.samples.responsibilities.chunks_exact(modes) {
            for (sum, r) in found.iter_mut().zip(row) {
                *sum += f64::from(*r) / n;
            }
        }
        let outside = 1.0 - found.iter().sum::<f64>();
        let signs: Vec<f64> = found
            .iter()
            .zip(&known.weights)
            .map(|(f, w)| (f - w).signum())
            .collect();
        let value = 0.5
            * (found
                .iter()
                .zip(&known.weights)
                .map(|(f, w)| (f - w).abs())
                .sum::<f64>()
                + outside.max(0.0));
        let (mut sum, mut squares) = (0.0, 0.0);
        for row in known.samples.responsibilities.chunks_exact(modes) {
            let inside: f64 = row.iter().map(|r| f64::from(*r)).sum();
            let term: f64 = row.iter().zip(&signs).map(|(r, s)| f64::from(*r) * s).sum();
            let term = 0.5 * (term + 1.0 - inside);
            sum += term;
            squares += term * term;
        }
        let variance = (squares / n - (sum / n).powi(2)).max(0.0);
        Outcome::Value {
            value,
            std_err: Some((variance / n).sqrt()),
            n: on.samples,
            non_finite: 0,
        }
    }
}

/// Modes that hold at least a tenth of their true weight, counting only samples where the truth is
/// not below its own 0.1 % level.
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
            return Outcome::NotApplicable(NO_TRUTH);
        };
        let modes = known.weights.len();
        let mut found = vec![0.0; modes];
        let rows = known.samples.responsibilities.chunks_exact(modes);
        for (row, log_p) in rows.zip(&known.samples.log_p) {
            if *log_p >= known.low_level {
                for (sum, r) in found.iter_mut().zip(row) {
                    *sum += f64::from(*r) / on.samples as f64;
                }
            }
        }
        let covered = found
            .iter()
            .zip(&known.weights)
            .filter(|(f, w)| **f >= 0.1 * **w)
            .count();
        Outcome::Value {
            value: covered as f64,
            std_err: None,
            n: on.samples,
            non_finite: 0,
        }
    }
}
