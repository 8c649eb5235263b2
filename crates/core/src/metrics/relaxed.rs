//! The model that a relaxation trained, whose density has no closed form.

use super::{mean_of, Better, Metric, Outcome};

pub(super) const NOT_RELAXED: &str = "not trained through a relaxation";

/// E\[-log of the nested density with a sample's own weights\]: never above the relaxed model's
/// entropy.
pub const ENTROPY_BELOW: Metric = Metric {
    name: "relaxed_entropy_low",
    describe: "lower bound of the relaxed model's entropy (nested density, own weights included)",
    unit: "nats",
    better: Better::Neither,
    is_cost: false,
    evaluate: |on| match &on.relaxed {
        None => Outcome::none(NOT_RELAXED),
        Some(relaxed) => mean_of(relaxed.below.iter().copied()),
    },
};

/// E\[-log of the nested density without a sample's own weights\]: never below the relaxed model's
/// entropy.
pub const ENTROPY_ABOVE: Metric = Metric {
    name: "relaxed_entropy_high",
    describe: "upper bound of the relaxed model's entropy (nested density, own weights excluded)",
    unit: "nats",
    better: Better::Neither,
    is_cost: false,
    evaluate: |on| match &on.relaxed {
        None => Outcome::none(NOT_RELAXED),
        Some(relaxed) => mean_of(relaxed.above.iter().copied()),
    },
};
