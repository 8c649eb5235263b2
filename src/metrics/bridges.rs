//! Mass where there should be next to none.

use super::{Better, Metric, Outcome, NO_TRUTH};

/// q({x : p(x) < lambda}) - P_p(p(X) < lambda), lambda being the truth's own 0.1 % density level:
/// the excess mass between and around the modes. For a truth of bounded support it is the mass
/// outside.
pub const BRIDGE_MASS: Metric = Metric {
    name: "bridge_mass",
    describe: "excess mass of the model where the truth is below its own 0.1 % density level",
    unit: "share",
    better: Better::Near(0.0),
    is_cost: false,
    evaluate: |on| {
        let Some(known) = &on.known else {
            return Outcome::none(NO_TRUTH);
        };
        let (below, expected) = (known.of_samples.below, known.level.below);
        let variance = below * (1.0 - below) / on.samples as f64
            + expected * (1.0 - expected) / known.level.points as f64;
        Outcome::Value {
            value: below - expected,
            std_err: Some(variance.sqrt()),
            n: on.samples,
            non_finite: 0,
        }
    },
};
