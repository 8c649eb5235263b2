//! How well the density fits.

use super::{mean_of, Better, Metric, Outcome, NO_TRUTH};

/// Of values that are +inf where the model's density is 0: their mean is, too, and not that of the
/// rest.
fn mean_or_infinite(values: impl Iterator<Item = f64> + Clone) -> Outcome {
    match values.clone().filter(|v| *v == f64::INFINITY).count() {
        0 => mean_of(values),
        missed => Outcome::NotApplicable {
            why: "infinite: held-out points where the model's density is 0",
            non_finite: missed,
        },
    }
}

/// -(1/n) sum_i log q(x_i) over held-out points.
pub const NEGATIVE_LOG_LIKELIHOOD: Metric = Metric {
    name: "nll",
    describe: "negative log-likelihood of held-out points",
    unit: "nats",
    better: Better::Lower,
    is_cost: false,
    evaluate: |on| match &on.log_q {
        Some(log_q) if on.has_data => mean_or_infinite(log_q.iter().map(|l| -l)),
        _ => Outcome::none("there is no data"),
    },
};

/// KL(p || q) = (1/n) sum_i \[log p(x_i) - log q(x_i)\] over held-out points: the entropy is
/// replaced by its own estimate on the same points, so the error is that of the difference.
/// Infinite where the truth has mass and the model none.
pub const KULLBACK_LEIBLER: Metric = Metric {
    name: "kl",
    describe: "KL(p||q), truth p against model q",
    unit: "nats",
    better: Better::Lower,
    is_cost: false,
    evaluate: |on| match (&on.known, &on.log_q) {
        (Some(known), Some(log_q)) => {
            mean_or_infinite(known.log_p.iter().zip(log_q).map(|(p, q)| p - q))
        }
        _ => Outcome::none(NO_TRUTH),
    },
};

/// 1 / E_p\[p / q\] over held-out points: the share of the model's samples that importance sampling of
/// the truth is left with in the limit of many. It sees modes that the model lacks, which
/// the effective sample size of its own samples does not; 0 where q = 0 at a point of the
/// truth. The standard error is that of the ratio to first order, too small where few points have
/// most of the weight.
pub const FORWARD_EFFECTIVE_SAMPLE_SIZE: Metric = Metric {
    name: "forward_ess",
    describe: "effective sample size from held-out points, 1 / E_p[p/q]: sees lost modes",
    unit: "share",
    better: Better::Higher,
    is_cost: false,
    evaluate: |on| {
        let (Some(known), Some(log_q)) = (&on.known, &on.log_q) else {
            return Outcome::none(NO_TRUTH);
        };
        let log_w = known.log_p.iter().zip(log_q).map(|(p, q)| p - q);
        let most = log_w.clone().fold(f64::NEG_INFINITY, f64::max);
        if most == f64::INFINITY {
            return Outcome::Value {
                value: 0.0,
                std_err: None,
                n: log_q.len(),
                non_finite: log_w.filter(|w| *w == f64::INFINITY).count(),
            };
        }
        // Relative to the largest weight, which alone can overflow.
        match mean_of(log_w.map(|w| (w - most).exp())) {
            Outcome::Value {
                value: mean,
                std_err,
                n,
                non_finite,
            } => {
                let value = (-most).exp() / mean;
                Outcome::Value {
                    value,
                    std_err: std_err.map(|e| value * e / mean),
                    n,
                    non_finite,
                }
            }
            none => none,
        }
    },
};
