//! Where the model is worst.

use crate::metrics::{Better, Metric, Outcome, NO_TRUTH};
use crate::num::largest;

/// The largest log p(x) - log q(x) over held-out points x.
pub const WORST_LOG_RATIO: Metric = Metric {
    name: "worst_log_ratio",
    describe: "largest log p - log q over held-out points",
    unit: "nats",
    better: Better::Lower,
    solved: || [0.0, 0.3],
    evaluate: |on| {
        let (Some(known), Some(log_q)) = (&on.known, &on.log_q) else {
            return Outcome::none(NO_TRUTH);
        };
        let ratios = known.log_p.iter().zip(log_q).map(|(p, q)| p - q);
        let ratios: Vec<f64> = ratios.filter(|r| !r.is_nan()).collect();
        let non_finite = log_q.len() - ratios.len();
        // Infinite where the model's density is 0: that is no value to leave out.
        match largest(ratios.iter().copied()) {
            value if value.is_finite() => {
                Outcome::of(value, None, ratios.len()).without(non_finite)
            }
            _ => Outcome::none("infinite, or unknown at every point").without(non_finite),
        }
    },
};
