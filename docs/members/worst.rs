//! Where the model is worst.

use crate::metrics::{Better, Metric, Outcome, NO_TRUTH};

/// The largest log p(x) - log q(x) over held-out points x.
pub const WORST_LOG_RATIO: Metric = Metric {
    name: "worst_log_ratio",
    describe: "largest log p - log q over held-out points",
    unit: "nats",
    better: Better::Lower,
    is_cost: false,
    evaluate: |on| {
        let (Some(known), Some(log_q)) = (&on.known, &on.log_q) else {
            return Outcome::none(NO_TRUTH);
        };
        let ratios = known.log_p.iter().zip(log_q).map(|(p, q)| p - q);
        let finite: Vec<f64> = ratios.filter(|r| r.is_finite()).collect();
        if finite.is_empty() {
            let (why, non_finite) = ("no point has a finite value", log_q.len());
            return Outcome::NotApplicable { why, non_finite };
        }
        Outcome::Value {
            value: finite.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            std_err: None,
            n: finite.len(),
            non_finite: log_q.len() - finite.len(),
        }
    },
};
