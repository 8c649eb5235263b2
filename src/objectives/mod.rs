//! What training minimises.

use candle_core::Tensor;

use crate::models::Model;
use crate::rng::Rng;
use crate::Result;

pub mod maximum_likelihood;

/// A scalar to be minimised. It stands beside the model: a new objective edits no model.
pub trait Objective: Send + Sync {
    /// The name in files and tables.
    fn name(&self) -> &'static str;
    /// What it is, in one line.
    fn describe(&self) -> &'static str;
    /// The loss of `model` on a batch of training points (n, dim) in `phase` of its training: a
    /// scalar tensor with gradients, in nats per point.
    fn loss(
        &self,
        model: &dyn Model,
        phase: usize,
        batch: &Tensor,
        rng: &mut Rng,
    ) -> Result<Tensor>;
    /// Whether the loss is minus the mean of log q over the batch and nothing else, so that it may
    /// be computed without this objective.
    fn is_mean_log_prob(&self) -> bool {
        false
    }
}

/// All objectives.
pub const OBJECTIVES: &[&dyn Objective] = &[&maximum_likelihood::MaximumLikelihood];

#[cfg(test)]
mod laws;
