//! How well moment constraints are met.

use super::moments::Moments;
use super::{Better, Evaluation, Metric, Outcome};

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
pub struct ConstraintError;

impl Metric for ConstraintError {
    fn name(&self) -> &'static str {
        "constraint_error"
    }
    fn describe(&self) -> &'static str {
        "largest error of a constrained moment, in standard deviations of its statistic"
    }
    fn unit(&self) -> &'static str {
        "sd"
    }
    fn better(&self) -> Better {
        Better::Lower
    }
    fn evaluate(&self, on: &Evaluation) -> Outcome {
        worst(on.moments.as_ref(), NO_CONSTRAINTS, on.samples)
    }
}

/// max_i |lambda_i + eta_i| sd_q(T_i): how far the multipliers are from the negative natural
/// parameters of the exact solution, in nats per standard deviation.
pub struct MultiplierError;

impl Metric for MultiplierError {
    fn name(&self) -> &'static str {
        "multiplier_error"
    }
    fn describe(&self) -> &'static str {
        "largest distance of a multiplier from the exact one, in nats per standard deviation"
    }
    fn unit(&self) -> &'static str {
        "nats/sd"
    }
    fn better(&self) -> Better {
        Better::Lower
    }
    fn evaluate(&self, on: &Evaluation) -> Outcome {
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
    }
}

/// [`ConstraintError`] of the relaxed model.
pub struct RelaxedConstraintError;

impl Metric for RelaxedConstraintError {
    fn name(&self) -> &'static str {
        "relaxed_constraint_error"
    }
    fn describe(&self) -> &'static str {
        "the same of the relaxed model that was trained"
    }
    fn unit(&self) -> &'static str {
        "sd"
    }
    fn better(&self) -> Better {
        Better::Lower
    }
    fn evaluate(&self, on: &Evaluation) -> Outcome {
        let Some(relaxed) = &on.relaxed else {
            return Outcome::none(super::relaxed::NOT_RELAXED);
        };
        worst(
            relaxed.moments.as_ref(),
            NO_CONSTRAINTS,
            relaxed.below.len(),
        )
    }
}
