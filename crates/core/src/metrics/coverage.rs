//! Precision and recall of a density: whether the model stays where the truth is, and reaches it.

use super::known::HIGHER_SHARE;
use super::{Better, Metric, Outcome, NO_TRUTH};

fn share(count: usize, n: usize, non_finite: usize) -> Outcome {
    let value = count as f64 / n as f64;
    Outcome::Value {
        value,
        std_err: Some((value * (1.0 - value) / n as f64).sqrt()),
        n,
        non_finite,
    }
}

/// Q(p(X) >= lambda), lambda being the truth's 1 % density level: 0.99 for the truth itself (1 for a
/// uniform one).
pub const PRECISION: Metric = Metric {
    name: "precision",
    describe: "model's mass where the truth is above its own 1 % density level (0.99 if equal)",
    unit: "share",
    better: Better::Higher,
    is_cost: false,
    evaluate: |on| match &on.known {
        None => Outcome::none(NO_TRUTH),
        Some(known) => {
            let inside = (1.0 - known.low[1].mass) * on.samples as f64;
            share(inside.round() as usize, on.samples, 0)
        }
    },
};

/// P_p(q(X) >= lambda), lambda being the model's own 1 % density level, from its samples: 0.99 for
/// the truth itself. A point where log q is not a number is not recalled, and counted.
pub const RECALL: Metric = Metric {
    name: "recall",
    describe: "truth's mass where the model is above its own 1 % density level (0.99 if equal)",
    unit: "share",
    better: Better::Higher,
    is_cost: false,
    evaluate: |on| {
        let (Some(_), Some(log_q)) = (&on.known, &on.log_q) else {
            return Outcome::none(NO_TRUTH);
        };
        let mut own: Vec<f64> = on.own_log_q.clone();
        own.retain(|l| !l.is_nan());
        if own.is_empty() || log_q.is_empty() {
            return Outcome::none("no sample has a density");
        }
        let rank = ((HIGHER_SHARE * own.len() as f64) as usize).min(own.len() - 1);
        let level = *own.select_nth_unstable_by(rank, f64::total_cmp).1;
        let reached = log_q.iter().filter(|l| **l >= level).count();
        let lost = log_q.iter().filter(|l| l.is_nan()).count();
        share(reached, log_q.len(), lost)
    },
};
