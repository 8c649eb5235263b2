//! Densities that can be evaluated and sampled: base distributions, flows and known targets alike.

use candle_core::Tensor;

use crate::kernels;
use crate::rng::Rng;
use crate::Result;

pub mod mixture;
pub mod normal;
mod spec;

#[cfg(test)]
pub mod laws;

pub use spec::{BaseSpec, MixtureInit, MixturePart, MixtureSpec, NormalSpec};

/// Weighted, differentiable samples: E_q\[h(X)\] ~ sum_i exp(log_weight_i) h(x_i), and the gradient
/// of that sum estimates the gradient of the expectation without bias. A parameter's influence
/// travels through x, through log_weight or through both: a component that was drawn by its index
/// gives the mixture weights no gradient, the weights of these draws do.
pub struct Draws {
    /// (n, dim)
    pub x: Tensor,
    /// log q(x), (n,), nats.
    pub log_prob: Tensor,
    /// (n,)
    pub log_weight: Tensor,
}

/// Base, flow and RAD alike: a flow *is* a distribution.
pub trait Distribution: Send + Sync {
    /// D, the number of coordinates.
    fn dim(&self) -> usize;
    /// (n, dim) -> log q (n,), nats.
    fn log_prob(&self, x: &Tensor) -> Result<Tensor>;
    /// `n` samples, (n, dim), without gradients.
    fn sample(&self, n: usize, rng: &mut Rng) -> Result<Tensor>;
    /// At least `n` weighted samples that carry gradients.
    fn draws(&self, n: usize, rng: &mut Rng) -> Result<Draws>;
    /// Which component, branch code or cluster each point belongs to; equal numbers, equal part.
    /// `None` for a distribution without parts.
    fn part(&self, x: &Tensor) -> Result<Option<Vec<u64>>> {
        let _ = x;
        Ok(None)
    }
    /// The distribution as a base of the fused kernels; `None` if they lack it.
    fn kernel(&self) -> Option<kernels::Base<Tensor>> {
        None
    }
}
