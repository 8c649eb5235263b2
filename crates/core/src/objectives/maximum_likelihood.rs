//! Maximum likelihood: forward KL up to the data's entropy.

use candle_core::Tensor;

use super::{At, Objective, Validation};
use crate::models::{log_q, Model};
use crate::num;
use crate::rng::Rng;
use crate::{Error, Result};

/// -(1/n) sum_i log q(x_i), whose expectation is KL(p || q) + H(p).
pub struct MaximumLikelihood;

fn some(points: Option<&Tensor>) -> Result<&Tensor> {
    points.ok_or_else(|| Error::failed("maximum likelihood: expected points; got none"))
}

impl Objective for MaximumLikelihood {
    fn loss(&self, model: &dyn Model, at: &At<'_>, rng: &mut Rng) -> Result<Tensor> {
        let batch = some(at.points)?;
        Ok(model.mean_training_log_prob(at.phase, batch, rng)?.neg()?)
    }

    fn non_finite(&self, model: &dyn Model, at: &At<'_>, rng: &mut Rng) -> Result<usize> {
        num::non_finite(&model.training_log_prob(at.phase, some(at.points)?, rng)?)
    }

    fn validate(
        &self,
        model: &dyn Model,
        points: Option<&Tensor>,
        _n: usize,
        _rng: &mut Rng,
    ) -> Result<Validation> {
        let values = log_q(model, some(points)?)?;
        Ok(Validation::mean(
            &values.iter().map(|v| -v).collect::<Vec<_>>(),
        ))
    }

    fn is_mean_log_prob(&self) -> bool {
        true
    }
}
