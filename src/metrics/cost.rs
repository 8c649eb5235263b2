//! What the model cost.

use super::{Better, Evaluation, Metric, Outcome};

fn exact(value: f64) -> Outcome {
    Outcome::Value {
        value,
        std_err: None,
        n: 1,
        non_finite: 0,
    }
}

/// Free numbers.
pub struct Parameters;

impl Metric for Parameters {
    fn name(&self) -> &'static str {
        "parameters"
    }
    fn describe(&self) -> &'static str {
        "free numbers of the model, trained or fitted"
    }
    fn unit(&self) -> &'static str {
        "numbers"
    }
    fn better(&self) -> Better {
        Better::Neither
    }
    fn evaluate(&self, on: &Evaluation) -> Outcome {
        match on.cost.parameters {
            Some(count) => exact(count as f64),
            None => Outcome::none("the model keeps its training points"),
        }
    }
}

/// Optimizer steps until training ended.
pub struct Steps;

impl Metric for Steps {
    fn name(&self) -> &'static str {
        "steps"
    }
    fn describe(&self) -> &'static str {
        "optimizer steps until training ended"
    }
    fn unit(&self) -> &'static str {
        "steps"
    }
    fn better(&self) -> Better {
        Better::Neither
    }
    fn evaluate(&self, on: &Evaluation) -> Outcome {
        exact(on.cost.steps as f64)
    }
}

/// Wall time of training, validations included; of the fit for a model without training steps.
pub struct Seconds;

impl Metric for Seconds {
    fn name(&self) -> &'static str {
        "seconds"
    }
    fn describe(&self) -> &'static str {
        "wall time of training, validations included, or of the fit of a model without steps"
    }
    fn unit(&self) -> &'static str {
        "s"
    }
    fn better(&self) -> Better {
        Better::Lower
    }
    fn is_cost(&self) -> bool {
        true
    }
    fn evaluate(&self, on: &Evaluation) -> Outcome {
        exact(on.cost.seconds)
    }
}

/// Wall time of all trials, where settings were searched for.
pub struct SearchSeconds;

impl Metric for SearchSeconds {
    fn name(&self) -> &'static str {
        "search_seconds"
    }
    fn describe(&self) -> &'static str {
        "wall time of all trials of a search together (`seconds` is that of the chosen one)"
    }
    fn unit(&self) -> &'static str {
        "s"
    }
    fn better(&self) -> Better {
        Better::Lower
    }
    fn is_cost(&self) -> bool {
        true
    }
    fn evaluate(&self, on: &Evaluation) -> Outcome {
        on.cost
            .search_seconds
            .map_or(Outcome::none("no search"), exact)
    }
}

/// Training steps per second of wall time.
pub struct StepsPerSecond;

impl Metric for StepsPerSecond {
    fn name(&self) -> &'static str {
        "steps_per_second"
    }
    fn describe(&self) -> &'static str {
        "training steps per second of wall time"
    }
    fn unit(&self) -> &'static str {
        "1/s"
    }
    fn better(&self) -> Better {
        Better::Higher
    }
    fn is_cost(&self) -> bool {
        true
    }
    fn evaluate(&self, on: &Evaluation) -> Outcome {
        match on.cost.steps {
            0 => Outcome::none("the model takes no training steps"),
            steps => exact(steps as f64 / on.cost.seconds.max(1e-9)),
        }
    }
}
