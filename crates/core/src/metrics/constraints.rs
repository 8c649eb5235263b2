//! How well moment constraints are met.

use super::moments::Moments;
use super::{Better, Metric, Outcome};

const NO_CONSTRAINTS: &str = "no moments are asked for";

fn worst(moments: Option<&Moments>, otherwise: &'static str, n: usize) -> Outcome {
    let Some(moments) = moments else {
        return Outcome::none(otherwise);
    };
    match moments.worst() {
        None => Outcome::NotApplicable {
            why: "no statistic has a finite mean",
            non_finite: moments.non_finite,
        },
        Some((value, std_err)) => Outcome::Value {
            value,
            std_err: Some(std_err),
            n: n - moments.non_finite,
            non_finite: moments.non_finite,
        },
    }
}

/// max_i |E_q\[T_i\] - m_i| / sd_q(T_i) over samples of the model.
pub const CONSTRAINT_ERROR: Metric = Metric {
    name: "constraint_error",
    describe: "largest error of a constrained moment, in standard deviations of its statistic",
    unit: "sd",
    better: Better::Lower,
    is_cost: false,
    evaluate: |on| worst(on.moments.as_ref(), NO_CONSTRAINTS, on.samples),
};

/// max_i |lambda_i + eta_i| sd_q(T_i): how far the multipliers are from the negative natural
/// parameters of the exact solution, in nats per standard deviation.
pub const MULTIPLIER_ERROR: Metric = Metric {
    name: "multiplier_error",
    describe: "largest distance of a multiplier from the exact one, in nats per standard deviation",
    unit: "nats/sd",
    better: Better::Lower,
    is_cost: false,
    evaluate: |on| {
        let Some(moments) = &on.moments else {
            return Outcome::none(NO_CONSTRAINTS);
        };
        let Some((multipliers, eta)) = &moments.multipliers else {
            return Outcome::none("the exact solution is not known");
        };
        let each = multipliers.iter().zip(eta).zip(&moments.std_dev);
        Outcome::Value {
            value: each
                .map(|((l, e), s)| (l + e).abs() * s)
                .fold(0.0, f64::max),
            std_err: None,
            n: on.samples,
            non_finite: moments.non_finite,
        }
    },
};

/// [`CONSTRAINT_ERROR`] of the relaxed model.
pub const RELAXED_CONSTRAINT_ERROR: Metric = Metric {
    name: "relaxed_constraint_error",
    describe: "the same of the relaxed model that was trained",
    unit: "sd",
    better: Better::Lower,
    is_cost: false,
    evaluate: |on| {
        let Some(relaxed) = &on.relaxed else {
            return Outcome::none(super::relaxed::NOT_RELAXED);
        };
        worst(
            relaxed.moments.as_ref(),
            NO_CONSTRAINTS,
            relaxed.below.len(),
        )
    },
};
