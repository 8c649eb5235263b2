//! Maximum likelihood: forward KL up to the data's entropy.

use candle_core::Tensor;

use super::Objective;
use crate::models::Model;
use crate::rng::Rng;
use crate::Result;

/// -(1/n) sum_i log q(x_i), whose expectation is KL(p || q) + H(p).
pub struct MaximumLikelihood;

impl Objective for MaximumLikelihood {
    fn name(&self) -> &'static str {
        "maximum_likelihood"
    }

    fn describe(&self) -> &'static str {
        "mean negative log-likelihood of the training points [nats]"
    }

    fn loss(
        &self,
        model: &dyn Model,
        phase: usize,
        batch: &Tensor,
        _rng: &mut Rng,
    ) -> Result<Tensor> {
        Ok(model.mean_training_log_prob(phase, batch)?.neg()?)
    }

    fn is_mean_log_prob(&self) -> bool {
        true
    }
}
