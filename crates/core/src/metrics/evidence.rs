//! What the model says about the normaliser of the target, log Z = log int p~, from the log weights
//! log w = log p~ - log q at its own samples and at those of the target.

use super::density::mean_or_infinite;
use super::{given, mean_of, mean_with_tail, Better, Evaluation, Metric, Outcome, Tail};
use crate::num::largest;

/// Estimates of log Z whose errors are averaged.
const ESTIMATES: usize = 10;

/// Samples of one estimate, as in the programs of FAB (Midgley et al. 2023).
const SAMPLES: usize = 2000;

const NO_TARGET: &str = "no target density is known";
const NO_SAMPLES: &str = "there are no samples of the target";
const NO_CONSTANT: &str = "log Z of the target is unknown";

/// log w at samples of the model.
fn own_log_weights(on: &Evaluation) -> Option<Vec<f64>> {
    let log_p = &on.target.as_ref()?.own;
    let both = log_p.iter().zip(&on.own_log_q);
    Some(both.map(|(p, q)| p - q).collect())
}

/// log w at held-out points, which are samples of the target.
fn log_weights(on: &Evaluation) -> Result<Vec<f64>, Outcome> {
    let target = on.target.as_ref().ok_or(Outcome::none(NO_TARGET))?;
    let both = target.points.as_ref().zip(on.log_q.as_ref());
    let (log_p, log_q) = both.ok_or(Outcome::none(NO_SAMPLES))?;
    Ok(log_p.iter().zip(log_q).map(|(p, q)| p - q).collect())
}

/// E_q\[log p~ - log q\] = log Z - KL(q || p): it does not see modes that the model lacks.
pub(super) const EVIDENCE_LOWER_BOUND: Metric = Metric {
    name: "elbo",
    describe: "E_q[log p - log q], p as the target states it: log Z - KL(q||p)",
    unit: "nats",
    better: Better::Higher,
    solved: || [0.0, -0.3],
    evaluate: |on| {
        given(&own_log_weights(on), NO_TARGET, |log_w| {
            let zeros = log_w.iter().filter(|w| **w == f64::NEG_INFINITY).count();
            if zeros > 0 {
                let why = "minus infinity: samples where the target's density is 0";
                return Outcome::none(why).without(zeros);
            }
            let mut found = mean_with_tail(log_w.iter().map(|w| -w).collect(), Tail::above);
            if let Outcome::Value { value, .. } = &mut found {
                *value = -*value;
            }
            found
        })
    },
};

/// E_p\[log p~ - log q\] = log Z + KL(p || q) (Ji and Shen 2019; Blessing et al. 2024): it sees lost modes.
pub(super) const EVIDENCE_UPPER_BOUND: Metric = Metric {
    name: "eubo",
    describe: "E_p[log p - log q], p as the target states it: log Z + KL(p||q)",
    unit: "nats",
    better: Better::Lower,
    solved: || [0.0, 0.3],
    evaluate: |on| match log_weights(on) {
        Ok(log_w) => mean_or_infinite(log_w, Tail::above),
        Err(none) => none,
    },
};

/// The mean over [`ESTIMATES`] disjoint sets of [`SAMPLES`] (fewer where there are not so many) of
/// |s log mean w^s - log Z| with s = 1 for weights at the model's samples and -1 at the target's.
fn error_of(log_w: &[f64], s: f64, log_z: f64) -> Outcome {
    let size = (log_w.len() / ESTIMATES).min(SAMPLES);
    if size == 0 {
        return Outcome::none("too few samples");
    }
    let sets = || log_w.chunks_exact(size).take(ESTIMATES);
    let used = sets().flatten().map(|w| s * w);
    // A weight of 0 is an answer. One that is not a number or too large for any counts as lost.
    let is_weight = |w: &f64| *w < f64::INFINITY;
    let lost = used.clone().filter(|w| !is_weight(w)).count();
    let estimate = |set: &[f64]| {
        let kept: Vec<f64> = set.iter().map(|w| s * w).filter(is_weight).collect();
        let top = largest(kept.iter().copied());
        let sum: f64 = kept.iter().map(|w| (w - top).exp()).sum();
        s * (top + (sum / kept.len() as f64).ln())
    };
    let errors: Vec<f64> = sets().map(|set| (estimate(set) - log_z).abs()).collect();
    let without = errors.iter().filter(|e| !e.is_finite()).count();
    if without > 0 {
        let why = "infinite: an estimate without any positive weight";
        return Outcome::none(why).without(lost);
    }
    let top = largest(used.clone().filter(is_weight));
    let weights = used.filter(is_weight).map(|w| (w - top).exp());
    let tail = Tail::above(weights.collect());
    match mean_of(&errors) {
        Outcome::Value { value, std_err, .. } => {
            let n = size * ESTIMATES - lost;
            Outcome::of(value, std_err, n).without(lost).with(tail)
        }
        none => none,
    }
}

/// Of log mean w over the model's samples.
pub(super) const LOG_Z_ERROR: Metric = Metric {
    name: "log_z_error",
    describe: "mean |log Z^ - log Z| of ten estimates from 2,000 samples of the model each",
    unit: "nats",
    better: Better::Lower,
    solved: || [0.0, 0.3],
    evaluate: |on| {
        given(&own_log_weights(on), NO_TARGET, |log_w| {
            let log_z = on.target.as_ref().and_then(|target| target.log_z);
            given(&log_z, NO_CONSTANT, |log_z| error_of(log_w, 1.0, *log_z))
        })
    },
};

/// Of -log mean 1/w over the target's samples: it sees lost modes.
pub(super) const FORWARD_LOG_Z_ERROR: Metric = Metric {
    name: "forward_log_z_error",
    describe: "the same from samples of the target, -log mean(q/p): sees lost modes",
    unit: "nats",
    better: Better::Lower,
    solved: || [0.0, 0.3],
    evaluate: |on| match log_weights(on) {
        Ok(log_w) => {
            let log_z = on.target.as_ref().and_then(|target| target.log_z);
            given(&log_z, NO_CONSTANT, |log_z| error_of(&log_w, -1.0, *log_z))
        }
        Err(none) => none,
    },
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::evaluation::TargetValues;
    use crate::rng::Rng;

    /// A target p~ = 3 N(m, 1) and the model N(0, 1) on a line, n points of each.
    fn shifted(m: f64, n: usize) -> Evaluation {
        let mut rng = Rng::new(8);
        let mut normals = || -> Vec<f64> { (0..n).map(|_| rng.normal()).collect() };
        let (own, points): (Vec<f64>, Vec<f64>) =
            (normals(), normals().iter().map(|z| z + m).collect());
        let log_p = |x: &[f64]| -> Vec<f64> {
            x.iter()
                .map(|x| 3f64.ln() - 0.5 * (x - m) * (x - m))
                .collect()
        };
        let log_q = |x: &[f64]| -> Vec<f64> { x.iter().map(|x| -0.5 * x * x).collect() };
        Evaluation {
            own_log_q: log_q(&own),
            log_q: Some(log_q(&points)),
            target: Some(TargetValues {
                log_z: Some(3f64.ln()),
                own: log_p(&own),
                points: Some(log_p(&points)),
            }),
            ..Evaluation::default()
        }
    }

    fn value(metric: &Metric, on: &Evaluation) -> (f64, f64, usize) {
        match (metric.evaluate)(on) {
            Outcome::Value {
                value, std_err, n, ..
            } => (value, std_err.unwrap(), n),
            none => panic!("{}: {none:?}", metric.name),
        }
    }

    /// Both divergences of unit normals m apart are m^2 / 2, and log w is normal with variance m^2: an
    /// estimate from n samples has the standard deviation sqrt((exp(m^2) - 1) / n), and the mean of its size
    /// is that times sqrt(2 / pi).
    #[test]
    fn shifted_normals_have_their_bounds_and_errors() {
        let (m, log_z) = (0.5, 3f64.ln());
        let on = shifted(m, 100_000);
        for (metric, sign) in [(EVIDENCE_LOWER_BOUND, -1.0), (EVIDENCE_UPPER_BOUND, 1.0)] {
            let (found, error, _) = value(&metric, &on);
            let off = found - (log_z + sign * 0.5 * m * m);
            assert!(off.abs() < 4.0 * error && error < 0.002, "{found} {error}");
        }
        let expected = ((m * m).exp_m1() / 2000.0 * std::f64::consts::FRAC_2_PI).sqrt();
        for metric in [LOG_Z_ERROR, FORWARD_LOG_Z_ERROR] {
            let (found, error, n) = value(&metric, &on);
            assert!((found - expected).abs() < 4.0 * error, "{found} {expected}");
            assert_eq!(n, 20_000);
            assert_eq!(value(&metric, &shifted(m, 5000)).2, 5000);
        }
    }

    /// Weights 0 and 2 in turn have mean 1.
    #[test]
    fn weights_of_zero_count_and_what_is_no_weight_is_lost() {
        let zero = f64::NEG_INFINITY;
        let log_w: Vec<f64> = [zero, 2f64.ln()].repeat(1000);
        let Outcome::Value { value, n, .. } = error_of(&log_w, 1.0, 0.0) else {
            panic!("no value")
        };
        assert!(value < 1e-12 && n == 2000, "{value} {n}");
        let mut some = vec![0.0; 100];
        some[3] = f64::NAN;
        some[4] = f64::INFINITY;
        let found = error_of(&some, 1.0, 0.0);
        assert!(
            matches!(found, Outcome::Value { value, n: 98, non_finite: 2, .. } if value == 0.0),
            "{found:?}"
        );
        // An eleventh of the samples without any weight above 0.
        some[..10].fill(zero);
        assert_eq!(
            error_of(&some, 1.0, 0.0),
            Outcome::none("infinite: an estimate without any positive weight")
        );
        assert_eq!(
            error_of(&some[..9], 1.0, 0.0),
            Outcome::none("too few samples")
        );
    }

    /// What is not known leaves its metrics without a value, and the others with one.
    #[test]
    fn each_metric_says_what_it_lacks() {
        let reason = |metric: &Metric, on: &Evaluation| match (metric.evaluate)(on) {
            Outcome::NotApplicable { why, .. } => why,
            Outcome::Value { .. } => "",
        };
        let mut on = shifted(0.1, 1000);
        on.target.as_mut().unwrap().log_z = None;
        let all = [
            EVIDENCE_LOWER_BOUND,
            EVIDENCE_UPPER_BOUND,
            LOG_Z_ERROR,
            FORWARD_LOG_Z_ERROR,
        ];
        let reasons = |on: &Evaluation| all.each_ref().map(|metric| reason(metric, on));
        assert_eq!(reasons(&on), ["", "", NO_CONSTANT, NO_CONSTANT]);
        on.target.as_mut().unwrap().points = None;
        assert_eq!(reasons(&on), ["", NO_SAMPLES, NO_CONSTANT, NO_SAMPLES]);
        on.target = None;
        assert_eq!(reasons(&on), [NO_TARGET; 4]);
        let mut on = shifted(0.1, 1000);
        on.target.as_mut().unwrap().own[0] = f64::NEG_INFINITY;
        on.log_q.as_mut().unwrap()[0] = f64::NEG_INFINITY;
        let [low, high, reverse, forward] = reasons(&on);
        assert!(low.starts_with("minus infinity") && high.starts_with("infinite"));
        assert_eq!([reverse, forward], ["", ""]);
    }
}
