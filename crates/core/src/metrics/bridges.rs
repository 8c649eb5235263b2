//! Mass where there should be next to none.

use super::known::LowDensity;
use super::{Better, Metric, Outcome, NO_TRUTH};

/// q({x : p(x) < lambda}) - P_p(p(X) < lambda).
fn excess(of: &LowDensity, samples: usize) -> Outcome {
    let LowDensity { level, mass } = of;
    let variance = mass * (1.0 - mass) / samples as f64
        + level.below * (1.0 - level.below) / level.points as f64;
    Outcome::Value {
        value: mass - level.below,
        std_err: Some(variance.sqrt()),
        n: samples,
        non_finite: 0,
    }
}

/// q({x : p(x) < lambda}) - P_p(p(X) < lambda), lambda being the truth's own 0.1 % density level:
/// the excess mass between and around the modes. For a uniform truth it is the mass outside.
pub const BRIDGE_MASS: Metric = Metric {
    name: "bridge_mass",
    describe: "excess mass of the model where the truth is below its own 0.1 % density level",
    unit: "share",
    better: Better::Near(0.0),
    is_cost: false,
    evaluate: |on| match &on.known {
        None => Outcome::none(NO_TRUTH),
        Some(known) => excess(&known.low[0], on.samples),
    },
};

/// The same at the truth's 1 % level.
pub const BRIDGE_MASS_1PC: Metric = Metric {
    name: "bridge_mass_1pc",
    describe: "the same at the truth's 1 % density level",
    unit: "share",
    better: Better::Near(0.0),
    is_cost: false,
    evaluate: |on| match &on.known {
        None => Outcome::none(NO_TRUTH),
        Some(known) => excess(&known.low[1], on.samples),
    },
};

/// q({x : p(x) = 0}): what a model leaves outside a bounded support.
pub const LEAK: Metric = Metric {
    name: "leak",
    describe: "mass of the model where the true density is 0",
    unit: "share",
    better: Better::Lower,
    is_cost: false,
    evaluate: |on| match &on.known {
        None => Outcome::none(NO_TRUTH),
        Some(known) => match known.leak {
            None => Outcome::none("the true density is 0 nowhere"),
            Some(leak) => Outcome::Value {
                value: leak,
                std_err: Some((leak * (1.0 - leak) / on.samples as f64).sqrt()),
                n: on.samples,
                non_finite: 0,
            },
        },
    },
};
