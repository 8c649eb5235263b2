//! Whether every mode has its share.

use super::{Better, Metric, Outcome, NO_TRUTH};

/// Total variation between the true mode weights w and the model's, which are the mean over its
/// samples of the true responsibilities: (1/2) (sum_j |w^_j - w_j| + share outside every mode).
/// The standard error is that of the linearised sum. A perfect model does not reach 0 but about
/// 0.4 sqrt((modes - 1) / n).
pub const MODE_TOTAL_VARIATION: Metric = Metric {
    name: "mode_tv",
    describe: "total variation between the true and the model's mode weights",
    unit: "share",
    better: Better::Lower,
    is_cost: false,
    evaluate: |on| {
        let Some(known) = &on.known else {
            return Outcome::none(NO_TRUTH);
        };
        let found = &known.of_samples;
        let outside = 1.0 - found.all.iter().sum::<f64>();
        let apart = found
            .all
            .iter()
            .zip(&known.weights)
            .map(|(f, w)| (f - w).abs());
        Outcome::Value {
            value: 0.5 * (apart.sum::<f64>() + outside.max(0.0)),
            std_err: Some((found.variance / on.samples as f64).sqrt()),
            n: on.samples,
            non_finite: 0,
        }
    },
};

/// max over modes of |ln(w^_j / w_j)|: one that is wrong by half and one that holds twice its share are as
/// far off, and a faint mode counts as much as a heavy one. Infinite where the samples have nothing of a
/// mode. The standard error, sqrt((1 - w^_j) / (n w^_j)) of the worst mode, is exact for separate modes and too large
/// where they overlap.
pub const MODE_WORST_RATIO: Metric = Metric {
    name: "mode_worst_ratio",
    describe: "largest |log| ratio of the model's weight of a mode to its true weight",
    unit: "nats",
    better: Better::Lower,
    is_cost: false,
    evaluate: |on| {
        let Some(known) = &on.known else {
            return Outcome::none(NO_TRUTH);
        };
        let found = &known.of_samples.all;
        let ratios = found.iter().zip(&known.weights);
        let log_ratios = ratios.map(|(f, w)| (f / w).ln().abs());
        let largest = log_ratios.enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
        let Some((worst, value)) = largest else {
            return Outcome::none(NO_TRUTH);
        };
        if !value.is_finite() {
            return Outcome::NotApplicable {
                why: "infinite: modes without any sample",
                non_finite: found.iter().filter(|f| !(**f > 0.0)).count(),
            };
        }
        let n = on.samples as f64;
        Outcome::Value {
            value,
            std_err: Some(((1.0 - found[worst]).max(0.0) / (n * found[worst])).sqrt()),
            n: on.samples,
            non_finite: 0,
        }
    },
};

/// Modes that hold at least a tenth of what the truth's own points give them, counting only points
/// where the truth is not below its own 0.1 % level (of a mode that never is, all points count).
pub const MODES_COVERED: Metric = Metric {
    name: "modes_covered",
    describe: "modes with at least a tenth of their true weight",
    unit: "modes",
    better: Better::Higher,
    is_cost: false,
    evaluate: |on| {
        let Some(known) = &on.known else {
            return Outcome::none(NO_TRUTH);
        };
        let covered = (0..known.weights.len())
            .filter(|&j| {
                let (true_share, found) = if known.dense[j] > 0.0 {
                    (known.dense[j], known.of_samples.dense[j])
                } else {
                    (known.weights[j], known.of_samples.all[j])
                };
                found >= 0.1 * true_share
            })
            .count();
        Outcome::Value {
            value: covered as f64,
            std_err: None,
            n: on.samples,
            non_finite: 0,
        }
    },
};
