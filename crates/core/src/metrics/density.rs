//! How well the density fits: log ratios to the truth at held-out points and at samples of the model.

use std::f64::consts::LN_2;

use super::{
    given, mean_of, mean_with_tail, Better, Evaluation, Metric, Outcome, Tail, NO_POINTS, NO_TRUTH,
};
use crate::num::largest;

/// The mean of values that are +inf where the model's density is 0 is infinite, too, and not the mean of
/// the rest.
pub(super) fn mean_or_infinite(values: Vec<f64>, tail: fn(Vec<f64>) -> Option<Tail>) -> Outcome {
    match values.iter().filter(|v| **v == f64::INFINITY).count() {
        0 => mean_with_tail(values, tail),
        missed => Outcome::NotApplicable {
            why: "infinite: held-out points where the model's density is 0",
            non_finite: missed,
        },
    }
}

/// log p - log q at held-out points.
fn log_ratios(on: &Evaluation) -> Option<Vec<f64>> {
    let log_p = &on.known.as_ref()?.log_p;
    let both = log_p.iter().zip(on.log_q.as_ref()?);
    Some(both.map(|(p, q)| p - q).collect())
}

pub(super) const NEGATIVE_LOG_LIKELIHOOD: Metric = Metric {
    name: "nll",
    describe: "negative log-likelihood of held-out points",
    unit: "nats",
    better: Better::Lower,
    solved: || [0.02, 0.32],
    evaluate: |on| match &on.log_q {
        Some(log_q) if on.has_data => {
            mean_or_infinite(log_q.iter().map(|l| -l).collect(), Tail::around)
        }
        _ => Outcome::none("there is no data"),
    },
};

/// The entropy is replaced by its own estimate on the same points, so the error is that of the difference.
pub(super) const KULLBACK_LEIBLER: Metric = Metric {
    name: "kl",
    describe: "KL(p||q), truth p against model q",
    unit: "nats",
    better: Better::Lower,
    solved: || [0.0, 0.3],
    evaluate: |on| match log_ratios(on) {
        Some(log_ratios) => mean_or_infinite(log_ratios, Tail::above),
        None => Outcome::none(NO_TRUTH),
    },
};

/// 1 / E_p\[p / q\]; 0 where q = 0 at a point of the truth. It has no standard error: that of the mean weight
/// is too small just where few points have most of the weight, which the tail shows.
pub(super) const FORWARD_EFFECTIVE_SAMPLE_SIZE: Metric = Metric {
    name: "forward_ess",
    describe: "effective sample size from held-out points, 1 / E_p[p/q]: sees lost modes",
    unit: "share",
    better: Better::Higher,
    solved: || [1.0, (-0.3f64).exp()],
    evaluate: |on| {
        given(&log_ratios(on), NO_TRUTH, |log_w| {
            // NaN is dropped here: the mean leaves it out and counts it.
            let most = log_w.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            if most == f64::INFINITY {
                let infinite = log_w.iter().filter(|w| **w == f64::INFINITY).count();
                return Outcome::of(0.0, None, log_w.len()).without(infinite);
            }
            // Relative to the largest weight, which alone can overflow.
            let weights = log_w.iter().map(|w| (w - most).exp()).collect();
            let mut found = mean_with_tail(weights, Tail::above);
            if let Outcome::Value { value, std_err, .. } = &mut found {
                (*value, *std_err) = ((-most).exp() / *value, None);
            }
            found
        })
    },
};

/// It does not see modes that the model lacks; infinite where the model has mass and the truth none.
pub(super) const REVERSE_KULLBACK_LEIBLER: Metric = Metric {
    name: "reverse_kl",
    describe: "KL(q||p), model q against truth p",
    unit: "nats",
    better: Better::Lower,
    solved: || [0.0, 0.3],
    evaluate: |on| {
        given(&on.own_log_p, NO_TRUTH, |log_p| {
            let outside = log_p.iter().filter(|l| **l == f64::NEG_INFINITY).count();
            if outside > 0 {
                let why = "infinite: samples where the true density is 0";
                return Outcome::none(why).without(outside);
            }
            let log_ratios = on.own_log_q.iter().zip(log_p).map(|(q, p)| q - p);
            mean_with_tail(log_ratios.collect(), Tail::above)
        })
    },
};

/// (sum w)^2 / (n sum w^2) with w = p / q at samples of the model. k is that of w.
pub(super) const EFFECTIVE_SAMPLE_SIZE: Metric = Metric {
    name: "ess",
    describe: "effective sample size of importance sampling the truth by the model, per sample",
    unit: "share",
    better: Better::Higher,
    solved: || [1.0, 1.0],
    evaluate: |on| {
        given(&on.own_log_p, NO_TRUTH, |log_p| {
            let log_w = log_p.iter().zip(&on.own_log_q).map(|(p, q)| p - q);
            let log_w: Vec<f64> = log_w.filter(|w| *w < f64::INFINITY).collect();
            let most = largest(log_w.iter().copied());
            let (n, lost) = (log_w.len(), log_p.len() - log_w.len());
            if most == f64::NEG_INFINITY {
                let why = "no sample where the true density is positive";
                return Outcome::none(why).without(lost);
            }
            let weights: Vec<f64> = log_w.iter().map(|w| (w - most).exp()).collect();
            let sum: f64 = weights.iter().sum();
            let squares: f64 = weights.iter().map(|w| w * w).sum();
            let share = sum * sum / (n as f64 * squares);
            // The shares are of the squares, which it needs the mean of.
            let tail = Tail::above(weights.iter().map(|w| w * w).collect());
            let k = Tail::above(weights).and_then(|t| t.k);
            let tail = tail.map(|tail| Tail { k, ..tail });
            Outcome::of(share, None, n).without(lost).with(tail)
        })
    },
};

pub(super) const ENTROPY: Metric = Metric {
    name: "entropy",
    describe: "differential entropy of the model",
    unit: "nats",
    better: Better::Neither,
    solved: || [0.0, -0.3],
    evaluate: |on| mean_with_tail(on.own_log_q.iter().map(|q| -q).collect(), Tail::around),
};

pub(super) const ENTROPY_ERROR: Metric = Metric {
    name: "entropy_error",
    describe: "entropy of the model minus that of the truth",
    unit: "nats",
    better: Better::Near(0.0),
    solved: || [0.0, -0.3],
    evaluate: |on| {
        given(&on.entropy, NO_TRUTH, |truth| {
            let surplus = on.own_log_q.iter().map(|q| -q - truth.value);
            let mut found = mean_with_tail(surplus.collect(), Tail::around);
            if let Outcome::Value {
                std_err: Some(error),
                ..
            } = &mut found
            {
                *error = error.hypot(truth.error);
            }
            found
        })
    },
};

/// (1/2) E_p\[f(log p/q)\] + (1/2) E_q\[f(log q/p)\] over held-out points and the model's samples. Each
/// half is a mean of its own, so the variances add. f is bounded above, so no tail rules the mean.
fn symmetric(on: &Evaluation, f: impl Fn(f64) -> f64) -> Outcome {
    let (Some(known), Some(log_q), Some(own_log_p)) = (&on.known, &on.log_q, &on.own_log_p) else {
        return Outcome::none(NO_TRUTH);
    };
    let ratio = |here: &f64, there: &f64| {
        // A density of 0 at a point of the other law is an answer, not a failure.
        if *there == f64::NEG_INFINITY && *here > f64::NEG_INFINITY {
            f64::INFINITY
        } else {
            here - there
        }
    };
    let of_points = known.log_p.iter().zip(log_q).map(|(p, q)| ratio(p, q));
    let of_samples = on.own_log_q.iter().zip(own_log_p).map(|(q, p)| ratio(q, p));
    match (mean_of(of_points.map(&f)), mean_of(of_samples.map(&f))) {
        (
            Outcome::Value {
                value: a,
                std_err: a_err,
                n: a_n,
                non_finite: a_lost,
                ..
            },
            Outcome::Value {
                value: b,
                std_err: b_err,
                n: b_n,
                non_finite: b_lost,
                ..
            },
        ) => {
            let std_err = a_err.zip(b_err).map(|(a, b)| 0.5 * a.hypot(b));
            Outcome::of(0.5 * (a + b), std_err, a_n + b_n).without(a_lost + b_lost)
        }
        (none @ Outcome::NotApplicable { .. }, _) | (_, none) => none,
    }
}

/// (1/2) int |p - q| = E_m\[tanh(|log p - log q| / 2)\] with m = (p + q) / 2: unlike a grid it resolves
/// modes of any width.
pub(super) const TOTAL_VARIATION: Metric = Metric {
    name: "tv",
    describe: "total variation between the truth and the model",
    unit: "share",
    better: Better::Lower,
    solved: || [0.0, 0.15f64.tanh()],
    evaluate: |on| symmetric(on, |log_ratio| (0.5 * log_ratio.abs()).tanh()),
};

/// (1/2) KL(p || m) + (1/2) KL(q || m) with m = (p + q) / 2, at most ln 2.
pub(super) const JENSEN_SHANNON: Metric = Metric {
    name: "js",
    describe: "Jensen-Shannon divergence between the truth and the model",
    unit: "nats",
    better: Better::Lower,
    solved: || [0.0, 2f64.ln() - (1.0 + (-0.3f64).exp()).ln()],
    evaluate: |on| {
        // ln(2 p / (p + q)) with r = log p/q, by the larger of the two.
        symmetric(on, |r| match r {
            r if r >= 0.0 => LN_2 - (-r).exp().ln_1p(),
            r => LN_2 + r - r.exp().ln_1p(),
        })
    },
};

/// With any of it KL(p || q) is infinite.
pub(super) const MISSED_MASS: Metric = Metric {
    name: "missed_mass",
    describe: "share of held-out points where the model's density is 0",
    unit: "share",
    better: Better::Lower,
    solved: || [0.0, 0.0],
    evaluate: |on| {
        given(&on.log_q, NO_POINTS, |log_q| {
            mean_of(log_q.iter().map(|l| match *l {
                f64::NEG_INFINITY => 1.0,
                l if l.is_nan() => f64::NAN,
                _ => 0.0,
            }))
        })
    },
};
