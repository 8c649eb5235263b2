//! Divergences that are finite for any two densities, in any dimension.

use std::f64::consts::LN_2;

use super::{Better, Evaluation, Metric, Outcome, NO_TRUTH};

/// (1/2) E_p\[f(log p/q)\] + (1/2) E_q\[f(log q/p)\] over held-out points and the model's samples. Each
/// half is a mean of its own, so the variances add.
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
    let (points, samples) = (
        super::mean_of(of_points.map(&f)),
        super::mean_of(of_samples.map(&f)),
    );
    match (points, samples) {
        (
            Outcome::Value {
                value: a,
                std_err: a_err,
                n: a_n,
                non_finite: a_lost,
            },
            Outcome::Value {
                value: b,
                std_err: b_err,
                n: b_n,
                non_finite: b_lost,
            },
        ) => Outcome::Value {
            value: 0.5 * (a + b),
            std_err: a_err.zip(b_err).map(|(a, b)| 0.5 * a.hypot(b)),
            n: a_n + b_n,
            non_finite: a_lost + b_lost,
        },
        (none @ Outcome::NotApplicable { .. }, _) | (_, none) => none,
    }
}

/// TV(p, q) = (1/2) int |p - q| = E_m\[|p - q| / (p + q)\] with m = (p + q) / 2, whose integrand
/// tanh(|log p - log q| / 2) lies in \[0, 1\]: without bias for a normalised q, in any dimension and
/// however narrow the modes are, where a grid needs cells narrower than the narrowest mode.
pub const TOTAL_VARIATION: Metric = Metric {
    name: "tv",
    describe: "total variation between the truth and the model",
    unit: "share",
    better: Better::Lower,
    is_cost: false,
    evaluate: |on| symmetric(on, |log_ratio| (0.5 * log_ratio.abs()).tanh()),
};

/// JS(p, q) = (1/2) KL(p || m) + (1/2) KL(q || m) with m = (p + q) / 2: at most ln 2, finite also where
/// one of the densities is 0.
pub const JENSEN_SHANNON: Metric = Metric {
    name: "js",
    describe: "Jensen-Shannon divergence between the truth and the model",
    unit: "nats",
    better: Better::Lower,
    is_cost: false,
    evaluate: |on| {
        // ln(2 p / (p + q)) with r = log p/q, by the larger of the two.
        symmetric(on, |r| match r {
            r if r >= 0.0 => LN_2 - (-r).exp().ln_1p(),
            r => LN_2 + r - r.exp().ln_1p(),
        })
    },
};

/// P_p(q(X) = 0), the mass of the truth that the model cannot make: with any of it KL(p || q) is
/// infinite. Points where log q is not a number are left out and counted.
pub const MISSED_MASS: Metric = Metric {
    name: "missed_mass",
    describe: "share of held-out points where the model's density is 0",
    unit: "share",
    better: Better::Lower,
    is_cost: false,
    evaluate: |on| match &on.log_q {
        None => Outcome::none(super::NO_POINTS),
        Some(log_q) => super::mean_of(log_q.iter().map(|l| match *l {
            f64::NEG_INFINITY => 1.0,
            l if l.is_nan() => f64::NAN,
            _ => 0.0,
        })),
    },
};
