//! How well the density fits.

use super::{mean_of, Better, Metric, Outcome, NO_TRUTH};

/// -(1/n) sum_i log q(x_i) over held-out points.
pub const NEGATIVE_LOG_LIKELIHOOD: Metric = Metric {
    name: "nll",
    describe: "negative log-likelihood of held-out points",
    unit: "nats",
    better: Better::Lower,
    is_cost: false,
    evaluate: |on| match &on.log_q {
        Some(log_q) if on.has_data => mean_of(log_q.iter().map(|l| -l)),
        _ => Outcome::none("there is no data"),
    },
};

/// KL(p || q) = (1/n) sum_i \[log p(x_i) - log q(x_i)\] over held-out points: the entropy is
/// replaced by its own estimate on the same points, so the error is that of the difference.
pub const KULLBACK_LEIBLER: Metric = Metric {
    name: "kl",
    describe: "KL(p||q), truth p against model q",
    unit: "nats",
    better: Better::Lower,
    is_cost: false,
    evaluate: |on| match (&on.known, &on.log_q) {
        (Some(known), Some(log_q)) => mean_of(known.log_p.iter().zip(log_q).map(|(p, q)| p - q)),
        _ => Outcome::none(NO_TRUTH),
    },
};
