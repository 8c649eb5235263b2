//! Whether every mode has its share, and how much mass lies where the truth has next to none.

use super::known::{entropy, LowDensity, HIGHER_SHARE};
use super::{given, Better, Metric, Outcome, NO_TRUTH};

/// (1/2) (sum_j |w^_j - w_j| + share outside every mode), w^_j being the mean over the samples of the
/// true responsibilities; the standard error is that of the linearised sum. A perfect model does not
/// reach 0 but about 0.4 sqrt((modes - 1) / n).
pub(super) const MODE_TOTAL_VARIATION: Metric = Metric {
    name: "mode_tv",
    describe: "total variation between the true and the model's mode weights",
    unit: "share",
    better: Better::Lower,
    solved: || [0.001, 0.5 * (0.15 + 0.201 + 0.051)],
    evaluate: |on| {
        given(&on.known, NO_TRUTH, |known| {
            let found = &known.of_samples;
            let outside = 1.0 - found.all.iter().sum::<f64>();
            let both = found.all.iter().zip(&known.weights);
            let apart = both.map(|(f, w)| (f - w).abs()).sum::<f64>();
            let std_err = (found.variance / on.samples as f64).sqrt();
            let value = 0.5 * (apart + outside.max(0.0));
            Outcome::of(value, Some(std_err), on.samples)
        })
    },
};

/// max over modes of |ln(w^_j / w_j)|, infinite where the samples have nothing of a mode. The standard
/// error of the worst mode, sqrt((1 - w^_j) / (n w^_j)), is too large where modes overlap.
pub(super) const MODE_WORST_RATIO: Metric = Metric {
    name: "mode_worst_ratio",
    describe: "largest |log| ratio of the model's weight of a mode to its true weight",
    unit: "nats",
    better: Better::Lower,
    solved: || [(0.75f64 / 0.749).ln(), 1.6f64.ln()],
    evaluate: |on| {
        given(&on.known, NO_TRUTH, |known| {
            let found = &known.of_samples.all;
            let ratios = found.iter().zip(&known.weights);
            let log_ratios = ratios.map(|(f, w)| ((f / w).ln().abs(), *f));
            let Some((value, share)) = log_ratios.max_by(|a, b| a.0.total_cmp(&b.0)) else {
                return Outcome::none(NO_TRUTH);
            };
            if !value.is_finite() {
                let lost = found.iter().filter(|f| !(**f > 0.0)).count();
                return Outcome::none("infinite: modes without any sample").without(lost);
            }
            let variance = (1.0 - share).max(0.0) / (on.samples as f64 * share);
            Outcome::of(value, Some(variance.sqrt()), on.samples)
        })
    },
};

/// Of what the truth's own points give them, counting only points where the truth is not below its own
/// 0.1 % level (of a mode that never is, all points count).
pub(super) const MODES_COVERED: Metric = Metric {
    name: "modes_covered",
    describe: "modes with at least a tenth of their true weight",
    unit: "modes",
    better: Better::Higher,
    solved: || [2.0, 2.0],
    evaluate: |on| {
        given(&on.known, NO_TRUTH, |known| {
            let is_covered = |j: &usize| match known.dense[*j] {
                dense if dense > 0.0 => known.of_samples.dense[*j] >= 0.1 * dense,
                _ => known.of_samples.all[*j] >= 0.1 * known.weights[*j],
            };
            let covered = (0..known.weights.len()).filter(is_covered).count();
            Outcome::of(covered as f64, None, on.samples)
        })
    },
};

/// H(w^) / H(w), w^_j being the mean over the samples of the true responsibilities, of those that are in
/// some mode: the entropic mode coverage H(w^) / log modes of Blessing et al. 2024 (arXiv:2406.07423),
/// divided by its expected value H(w) / log modes where the true weights w are unequal. A perfect model is
/// below 1 by about (modes - 1) / (2 n H(w)). The standard error is that of the linearised entropy, which is 0
/// where all found shares are equal.
pub(super) const MODE_ENTROPY: Metric = Metric {
    name: "mode_entropy",
    describe: "entropy of the model's mode weights, relative to that of the true ones",
    unit: "share",
    better: Better::Near(1.0),
    solved: || {
        let of = |a: f64, b: f64| entropy([a, b].into_iter().map(|w| w / (a + b)));
        [(0.25, 0.749), (0.4, 0.549)].map(|(a, b)| of(a, b) / of(0.25, 0.75))
    },
    evaluate: |on| {
        given(&on.known, NO_TRUTH, |known| {
            let best = entropy(known.weights.iter().copied());
            if known.weights.len() < 2 {
                return Outcome::none("the truth has one mode");
            }
            let found = &known.of_samples;
            if found.entropy.is_nan() {
                return Outcome::none("no sample is in a mode").without(on.samples);
            }
            let std_err = (found.entropy_variance / on.samples as f64).sqrt();
            Outcome::of(found.entropy / best, Some(std_err / best), on.samples)
        })
    },
};

/// q({x : p(x) < lambda}) - P_p(p(X) < lambda).
fn excess(of: &LowDensity, samples: usize) -> Outcome {
    let LowDensity { level, mass } = of;
    let variance = mass * (1.0 - mass) / samples as f64
        + level.below * (1.0 - level.below) / level.points as f64;
    Outcome::of(mass - level.below, Some(variance.sqrt()), samples)
}

pub(super) const BRIDGE_MASS: Metric = Metric {
    name: "bridge_mass",
    describe: "excess mass of the model where the truth is below its own 0.1 % density level",
    unit: "share",
    better: Better::Near(0.0),
    solved: || [0.0, 0.05],
    evaluate: |on| given(&on.known, NO_TRUTH, |k| excess(&k.low[0], on.samples)),
};

pub(super) const BRIDGE_MASS_1PC: Metric = Metric {
    name: "bridge_mass_1pc",
    describe: "the same at the truth's 1 % density level",
    unit: "share",
    better: Better::Near(0.0),
    solved: || [0.0, 0.05],
    evaluate: |on| given(&on.known, NO_TRUTH, |k| excess(&k.low[1], on.samples)),
};

pub(super) const LEAK: Metric = Metric {
    name: "leak",
    describe: "mass of the model where the true density is 0",
    unit: "share",
    better: Better::Lower,
    solved: || [0.001, 0.051],
    evaluate: |on| {
        given(&on.known, NO_TRUTH, |known| {
            given(&known.leak, "the true density is 0 nowhere", |leak| {
                share(*leak, on.samples)
            })
        })
    },
};

/// A share of `n` points, with its binomial standard error.
fn share(value: f64, n: usize) -> Outcome {
    Outcome::of(value, Some((value * (1.0 - value) / n as f64).sqrt()), n)
}

/// Q(p(X) >= lambda), lambda being the truth's 1 % density level; 1 for a uniform truth itself.
pub(super) const PRECISION: Metric = Metric {
    name: "precision",
    describe: "model's mass where the truth is above its own 1 % density level (0.99 if equal)",
    unit: "share",
    better: Better::Higher,
    solved: || [0.99, 0.94],
    evaluate: |on| {
        given(&on.known, NO_TRUTH, |known| {
            let n = on.samples as f64;
            share(((1.0 - known.low[1].mass) * n).round() / n, on.samples)
        })
    },
};

/// P_p(q(X) >= lambda), lambda being the model's own 1 % density level, from its samples. A point where
/// log q is not a number is not recalled, and counted.
pub(super) const RECALL: Metric = Metric {
    name: "recall",
    describe: "truth's mass where the model is above its own 1 % density level (0.99 if equal)",
    unit: "share",
    better: Better::Higher,
    // All of the model is denser than its own level only where log q is that of its samples.
    solved: || [0.999, 0.0],
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
        share(reached as f64 / log_q.len() as f64, log_q.len()).without(lost)
    },
};
