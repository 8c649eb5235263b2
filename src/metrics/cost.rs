//! What the model cost.

use super::{Better, Metric, Outcome};

fn exact(value: f64) -> Outcome {
    Outcome::Value {
        value,
        std_err: None,
        n: 1,
        non_finite: 0,
    }
}

/// Trainable numbers.
pub const PARAMETERS: Metric = Metric {
    name: "parameters",
    describe: "trainable numbers of the model",
    unit: "numbers",
    better: Better::Neither,
    is_cost: false,
    evaluate: |on| exact(on.cost.parameters as f64),
};

/// Optimizer steps until training ended.
pub const STEPS: Metric = Metric {
    name: "steps",
    describe: "optimizer steps until training ended",
    unit: "steps",
    better: Better::Neither,
    is_cost: false,
    evaluate: |on| exact(on.cost.steps as f64),
};

/// Wall time of training, validations included.
pub const SECONDS: Metric = Metric {
    name: "seconds",
    describe: "wall time of training, validations included",
    unit: "s",
    better: Better::Lower,
    is_cost: true,
    evaluate: |on| exact(on.cost.seconds),
};

/// Training steps per second of wall time.
pub const STEPS_PER_SECOND: Metric = Metric {
    name: "steps_per_second",
    describe: "training steps per second of wall time",
    unit: "1/s",
    better: Better::Higher,
    is_cost: true,
    evaluate: |on| exact(on.cost.steps as f64 / on.cost.seconds.max(1e-9)),
};
