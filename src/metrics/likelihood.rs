//! How well the density fits.

use super::{mean_of, Better, Evaluation, Metric, Outcome, NO_TRUTH};

/// -(1/n) sum_i log q(x_i) over held-out points.
pub struct NegativeLogLikelihood;

impl Metric for NegativeLogLikelihood {
    fn name(&self) -> &'static str {
        "nll"
    }
    fn describe(&self) -> &'static str {
        "negative log-likelihood of held-out points"
    }
    fn unit(&self) -> &'static str {
        "nats"
    }
    fn better(&self) -> Better {
        Better::Lower
    }
    fn evaluate(&self, on: &Evaluation) -> Outcome {
        match &on.log_q {
            Some(log_q) if on.has_data => mean_of(log_q.iter().map(|l| -l)),
            _ => Outcome::none("there is no data"),
        }
    }
}

/// KL(p || q) = (1/n) sum_i \[log p(x_i) - log q(x_i)\] over held-out points: the entropy is
/// replaced by its own estimate on the same points, so the error is that of the difference.
pub struct KullbackLeibler;

impl Metric for KullbackLeibler {
    fn name(&self) -> &'static str {
        "kl"
    }
    fn describe(&self) -> &'static str {
        "KL(p||q), truth p against model q"
    }
    fn unit(&self) -> &'static str {
        "nats"
    }
    fn better(&self) -> Better {
        Better::Lower
    }
    fn evaluate(&self, on: &Evaluation) -> Outcome {
        match (&on.known, &on.log_q) {
            (Some(known), Some(log_q)) => {
                mean_of(known.log_p.iter().zip(log_q).map(|(p, q)| p - q))
            }
            _ => Outcome::none(NO_TRUTH),
        }
    }
}
