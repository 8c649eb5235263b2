//! How well the model's own samples fit the truth.

use super::{mean_of, Better, Metric, Outcome, NO_TRUTH};

/// KL(q || p) = (1/n) sum_i \[log q(x_i) - log p(x_i)\] over samples of the model. It is blind to
/// modes that the model lacks; infinite where the model has mass and the truth none.
pub const REVERSE_KULLBACK_LEIBLER: Metric = Metric {
    name: "reverse_kl",
    describe: "KL(q||p), model q against truth p",
    unit: "nats",
    better: Better::Lower,
    is_cost: false,
    evaluate: |on| {
        let Some(log_p) = &on.own_log_p else {
            return Outcome::none(NO_TRUTH);
        };
        let outside = log_p.iter().filter(|l| **l == f64::NEG_INFINITY).count();
        if outside > 0 {
            return Outcome::NotApplicable {
                why: "infinite: samples where the true density is 0",
                non_finite: outside,
            };
        }
        mean_of(on.own_log_q.iter().zip(log_p).map(|(q, p)| q - p))
    },
};

/// (sum w)^2 / (n sum w^2) with w = p / q over samples of the model: the share of them that
/// importance sampling of the truth would be left with.
pub const EFFECTIVE_SAMPLE_SIZE: Metric = Metric {
    name: "ess",
    describe: "effective sample size of importance sampling the truth by the model, per sample",
    unit: "share",
    better: Better::Higher,
    is_cost: false,
    evaluate: |on| {
        let Some(log_p) = &on.own_log_p else {
            return Outcome::none(NO_TRUTH);
        };
        let log_w: Vec<f64> = log_p
            .iter()
            .zip(&on.own_log_q)
            .map(|(p, q)| p - q)
            .collect();
        let fine = log_w
            .iter()
            .copied()
            .filter(|w| !w.is_nan() && *w < f64::INFINITY);
        let most = fine.clone().fold(f64::NEG_INFINITY, f64::max);
        let n = fine.clone().count();
        let non_finite = log_w.len() - n;
        if n == 0 || most == f64::NEG_INFINITY {
            return Outcome::NotApplicable {
                why: "no sample where the true density is positive",
                non_finite,
            };
        }
        let (mut sum, mut squares) = (0.0, 0.0);
        for w in fine.map(|w| (w - most).exp()) {
            sum += w;
            squares += w * w;
        }
        Outcome::Value {
            value: sum * sum / (n as f64 * squares),
            std_err: None,
            n,
            non_finite,
        }
    },
};

/// H(q) = -(1/n) sum_i log q(x_i) over samples of the model.
pub const ENTROPY: Metric = Metric {
    name: "entropy",
    describe: "differential entropy of the model",
    unit: "nats",
    better: Better::Neither,
    is_cost: false,
    evaluate: |on| mean_of(on.own_log_q.iter().map(|q| -q)),
};

/// H(q) - H(p).
pub const ENTROPY_ERROR: Metric = Metric {
    name: "entropy_error",
    describe: "entropy of the model minus that of the truth",
    unit: "nats",
    better: Better::Near(0.0),
    is_cost: false,
    evaluate: |on| match on.entropy {
        None => Outcome::none(NO_TRUTH),
        Some(truth) => {
            let mut found = mean_of(on.own_log_q.iter().map(|q| -q - truth.value));
            if let Outcome::Value {
                std_err: Some(error),
                ..
            } = &mut found
            {
                *error = error.hypot(truth.error);
            }
            found
        }
    },
};
