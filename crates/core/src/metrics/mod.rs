//! What is measured on a trained model: each metric with its unit, its direction, its standard
//! error, the points it was computed on and those it had to leave out.

pub mod agreement;
pub mod borders;
pub mod conditioning;
pub mod constraints;
pub mod cost;
pub mod density;
pub mod distances;
pub mod evaluation;
pub mod evidence;
pub mod isoperimetry;
pub mod known;
pub mod mass;
pub mod memberships;
pub mod modes;
pub mod neighbours;
pub mod pairs;
pub mod tails;

#[cfg(test)]
mod laws;
#[cfg(test)]
mod laws_by_model;
#[cfg(test)]
mod laws_by_sample;

use std::borrow::Borrow;

pub use evaluation::{Cost, Evaluation};
pub use tails::{rests_on_few, Tail};

/// Which values of a metric are good.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Better {
    /// The lower the better.
    Lower,
    /// The higher the better.
    Higher,
    /// The nearer to this value the better.
    Near(f64),
    /// Neither: a description, such as the number of parameters.
    Neither,
}

impl std::fmt::Display for Better {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Lower => f.write_str("lower"),
            Self::Higher => f.write_str("higher"),
            Self::Near(v) => write!(f, "near {v}"),
            Self::Neither => f.write_str("neither"),
        }
    }
}

/// What a metric found.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// A value.
    Value {
        /// The value, over the points where it is finite.
        value: f64,
        /// Its standard error, where it has one.
        std_err: Option<f64>,
        /// Points it was computed on.
        n: usize,
        /// Points left out because their value was not finite.
        non_finite: usize,
        /// The tail of what it is a mean of, where that is log ratios or weights.
        tail: Option<Tail>,
    },
    /// No value: printed as a dash, never as 0.
    NotApplicable {
        /// Why.
        why: &'static str,
        /// Points whose value was not finite, where that is the reason.
        non_finite: usize,
    },
}

impl Outcome {
    /// A value on `n` points.
    fn of(value: f64, std_err: Option<f64>, n: usize) -> Self {
        Self::Value {
            value,
            std_err,
            n,
            non_finite: 0,
            tail: None,
        }
    }

    /// No value, for a reason that is in the setting and not in the points.
    fn none(why: &'static str) -> Self {
        Self::NotApplicable { why, non_finite: 0 }
    }

    /// The same, with this many points left out.
    fn without(mut self, count: usize) -> Self {
        match &mut self {
            Self::Value { non_finite, .. } | Self::NotApplicable { non_finite, .. } => {
                *non_finite = count;
            }
        }
        self
    }

    /// The same, with this tail.
    fn with(mut self, found: Option<Tail>) -> Self {
        if let Self::Value { tail, .. } = &mut self {
            *tail = found;
        }
        self
    }
}

/// What `evaluate` makes of `found`, or the reason why there is nothing.
fn given<T>(found: &Option<T>, why: &'static str, evaluate: impl FnOnce(&T) -> Outcome) -> Outcome {
    found.as_ref().map_or(Outcome::none(why), evaluate)
}

/// Something to measure.
pub struct Metric {
    /// The key in CSV files.
    pub name: &'static str,
    /// What it says, in one line.
    pub describe: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// Which values are good.
    pub better: Better,
    /// Its values on the two solved cases of the tests (`laws/solved.rs`): a perfect model and one that is
    /// off. A test checks both.
    pub solved: fn() -> [f64; 2],
    /// Its value.
    pub evaluate: fn(&Evaluation) -> Outcome,
}

impl Metric {
    /// Whether it depends on the machine, so that equal runs differ in it: times and rates do.
    pub fn is_cost(&self) -> bool {
        matches!(self.unit, "s" | "1/s")
    }
}

/// All metrics, in the order in which tables show them.
pub const METRICS: &[Metric] = &[
    density::NEGATIVE_LOG_LIKELIHOOD,
    density::KULLBACK_LEIBLER,
    modes::MODE_TOTAL_VARIATION,
    modes::MODE_WORST_RATIO,
    modes::MODES_COVERED,
    modes::MODE_ENTROPY,
    modes::BRIDGE_MASS,
    agreement::MUTUAL_INFORMATION,
    density::REVERSE_KULLBACK_LEIBLER,
    density::EFFECTIVE_SAMPLE_SIZE,
    evidence::LOG_Z_ERROR,
    evidence::FORWARD_LOG_Z_ERROR,
    evidence::EVIDENCE_LOWER_BOUND,
    evidence::EVIDENCE_UPPER_BOUND,
    density::ENTROPY,
    density::ENTROPY_ERROR,
    constraints::ENTROPY_BELOW,
    constraints::ENTROPY_ABOVE,
    constraints::CONSTRAINT_ERROR,
    constraints::RELAXED_CONSTRAINT_ERROR,
    constraints::MULTIPLIER_ERROR,
    mass::MASS,
    density::FORWARD_EFFECTIVE_SAMPLE_SIZE,
    density::TOTAL_VARIATION,
    density::JENSEN_SHANNON,
    density::MISSED_MASS,
    modes::BRIDGE_MASS_1PC,
    modes::LEAK,
    modes::PRECISION,
    modes::RECALL,
    neighbours::NEIGHBOUR_PRECISION,
    neighbours::NEIGHBOUR_RECALL,
    distances::SLICED_WASSERSTEIN,
    distances::SLICED_WASSERSTEIN_FLOOR,
    distances::ENERGY_DISTANCE,
    distances::ENERGY_DISTANCE_FLOOR,
    distances::MAXIMUM_MEAN_DISCREPANCY,
    distances::MAXIMUM_MEAN_DISCREPANCY_FLOOR,
    agreement::ADJUSTED_RAND_INDEX,
    agreement::ACCURACY,
    agreement::ACCURACY_CEILING,
    memberships::USAGE_PERPLEXITY,
    memberships::DEAD_COMPONENTS,
    memberships::CALIBRATION_ERROR,
    memberships::LABEL_REGRET,
    conditioning::CONDITION_MEDIAN,
    conditioning::CONDITION_HIGH,
    conditioning::CONDITION_MAX,
    conditioning::EXPANSION_MEDIAN,
    conditioning::EXPANSION_HIGH,
    conditioning::LIPSCHITZ,
    conditioning::INVERSE_EXPANSION_MEDIAN,
    conditioning::INVERSE_EXPANSION_HIGH,
    conditioning::INVERSE_LIPSCHITZ,
    isoperimetry::PAIR_SLOPE,
    isoperimetry::BRIDGE_BOUND,
    conditioning::ROUND_TRIP,
    borders::BORDER_JUMP,
    cost::MULTIPLY_ADDS,
    cost::PARAMETERS,
    cost::STEPS,
    cost::STEPS_TO_KL,
    cost::TARGET_EVALUATIONS,
    cost::SECONDS,
    cost::SEARCH_SECONDS,
    cost::STEPS_PER_SECOND,
];

const NO_TRUTH: &str = "true density unknown";
const NO_LABELS: &str = "the points have no labels";
const NO_POINTS: &str = "there are no held-out points";
const NO_PARTS: &str = "the model has no parts";

/// Why points and samples were not compared.
fn too_few(on: &Evaluation) -> &'static str {
    match on.log_q {
        None => NO_POINTS,
        Some(_) => "too few points",
    }
}

/// The finite ones among the first `most` samples, or as many as there are points, and how many of
/// them are not finite; all as rows.
fn finite_samples(points: usize, samples: &[f64], dim: usize, most: usize) -> (Vec<f64>, usize) {
    let looked_at = points.min(samples.len() / dim).min(most);
    let rows = samples.chunks_exact(dim).take(looked_at);
    let finite = rows.filter(|row| row.iter().all(|v| v.is_finite()));
    let finite: Vec<f64> = finite.flatten().copied().collect();
    let lost = looked_at - finite.len() / dim;
    (finite, lost)
}

/// Mean of the finite values with its standard error; the others are counted.
fn mean_of(values: impl IntoIterator<Item: Borrow<f64>>) -> Outcome {
    let (mut n, mut non_finite, mut mean, mut squares) = (0usize, 0, 0.0, 0.0);
    for v in values {
        let v = *v.borrow();
        if !v.is_finite() {
            non_finite += 1;
            continue;
        }
        // Welford's recurrence: no cancellation between large sums.
        n += 1;
        let before = v - mean;
        mean += before / n as f64;
        squares += before * (v - mean);
    }
    if n == 0 {
        return Outcome::none("no point has a finite value").without(non_finite);
    }
    let std_err = (n > 1).then(|| (squares / (n - 1) as f64 / n as f64).sqrt());
    Outcome::of(mean, std_err, n).without(non_finite)
}

/// [`mean_of`] log ratios or weights, with their tail as `tail` sees it.
fn mean_with_tail(mut values: Vec<f64>, tail: fn(Vec<f64>) -> Option<Tail>) -> Outcome {
    let mean = mean_of(&values);
    values.retain(|v| v.is_finite());
    mean.with(tail(values))
}
