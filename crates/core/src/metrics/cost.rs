//! What the model cost.

use super::{given, Better, Metric, Outcome};

fn exact(value: f64) -> Outcome {
    Outcome::of(value, None, 1)
}

fn count(found: Option<usize>, why: &'static str) -> Outcome {
    found.map_or(Outcome::none(why), |count| exact(count as f64))
}

pub(super) const PARAMETERS: Metric = Metric {
    name: "parameters",
    describe: "free numbers of the model, trained or fitted",
    unit: "numbers",
    better: Better::Neither,
    solved: || [42.0, 42.0],
    evaluate: |on| count(on.cost.parameters, "the model keeps its training points"),
};

pub(super) const STEPS: Metric = Metric {
    name: "steps",
    describe: "optimizer steps until training ended",
    unit: "steps",
    better: Better::Neither,
    solved: || [500.0, 500.0],
    evaluate: |on| exact(on.cost.steps as f64),
};

pub(super) const SECONDS: Metric = Metric {
    name: "seconds",
    describe: "wall time of training, validations included, or of the fit of a model without steps",
    unit: "s",
    better: Better::Lower,
    solved: || [2.0, 2.0],
    evaluate: |on| exact(on.cost.seconds),
};

pub(super) const SEARCH_SECONDS: Metric = Metric {
    name: "search_seconds",
    describe: "wall time of all trials of a search together (`seconds` is that of the chosen one)",
    unit: "s",
    better: Better::Lower,
    solved: || [5.0, 5.0],
    evaluate: |on| given(&on.cost.search_seconds, "no search", |s| exact(*s)),
};

pub(super) const STEPS_PER_SECOND: Metric = Metric {
    name: "steps_per_second",
    describe: "training steps per second of wall time",
    unit: "1/s",
    better: Better::Higher,
    solved: || [250.0, 250.0],
    evaluate: |on| match on.cost.steps {
        0 => Outcome::none("the model takes no training steps"),
        steps => exact(steps as f64 / on.cost.seconds.max(1e-9)),
    },
};

/// Each matrix counts as often as it is used; units, splines and components come on top.
pub(super) const MULTIPLY_ADDS: Metric = Metric {
    name: "multiply_adds",
    describe: "multiply-adds in the networks' matrices for one log-density",
    unit: "numbers",
    better: Better::Neither,
    solved: || [77.0, 77.0],
    evaluate: |on| count(on.cost.multiply_adds, "the model has no networks"),
};

/// Those of validations and metrics are not counted.
pub(super) const TARGET_EVALUATIONS: Metric = Metric {
    name: "target_evaluations",
    describe:
        "points at which training evaluated the target's log density, with or without its gradient",
    unit: "points",
    better: Better::Lower,
    solved: || [64_000.0, 64_000.0],
    evaluate: |on| {
        let count = on.cost.target_evaluations.map(|count| count as f64);
        given(&count, "training evaluates no target density", |n| {
            exact(*n)
        })
    },
};

/// KL(p || q) that counts as reached.
const REACHED: f64 = 0.05;

pub(super) const STEPS_TO_KL: Metric = Metric {
    name: "steps_to_kl",
    describe: "steps until KL(p||q) on the validation points is 0.05 nats or less",
    unit: "steps",
    better: Better::Lower,
    solved: || [200.0, 300.0],
    evaluate: |on| match &on.cost.validation_kl {
        None => Outcome::none("no maximum likelihood on data with a known density"),
        Some(curve) => match curve.iter().find(|(_, kl)| *kl <= REACHED) {
            None => Outcome::none("never reached"),
            Some((step, _)) => exact(*step as f64),
        },
    },
};
