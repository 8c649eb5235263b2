//! The model that a relaxation trained, whose density has no closed form.

use super::{mean_of, Better, Evaluation, Metric, Outcome};

pub(super) const NOT_RELAXED: &str = "not trained through a relaxation";

/// E\[-log of the nested density with a sample's own weights\]: never above the relaxed model's
/// entropy.
pub struct EntropyBelow;

impl Metric for EntropyBelow {
    fn name(&self) -> &'static str {
        "relaxed_entropy_low"
    }
    fn describe(&self) -> &'static str {
        "lower bound of the relaxed model's entropy (nested density, own weights included)"
    }
    fn unit(&self) -> &'static str {
        "nats"
    }
    fn better(&self) -> Better {
        Better::Neither
    }
    fn evaluate(&self, on: &Evaluation) -> Outcome {
        match &on.relaxed {
            None => Outcome::none(NOT_RELAXED),
            Some(relaxed) => mean_of(relaxed.below.iter().copied()),
        }
    }
}

/// E\[-log of the nested density without a sample's own weights\]: never below the relaxed model's
/// entropy.
pub struct EntropyAbove;

impl Metric for EntropyAbove {
    fn name(&self) -> &'static str {
        "relaxed_entropy_high"
    }
    fn describe(&self) -> &'static str {
        "upper bound of the relaxed model's entropy (nested density, own weights excluded)"
    }
    fn unit(&self) -> &'static str {
        "nats"
    }
    fn better(&self) -> Better {
        Better::Neither
    }
    fn evaluate(&self, on: &Evaluation) -> Outcome {
        match &on.relaxed {
            None => Outcome::none(NOT_RELAXED),
            Some(relaxed) => mean_of(relaxed.above.iter().copied()),
        }
    }
}
