//! Densities that can be evaluated and sampled: base distributions, flows and known targets alike.

use candle_core::Tensor;

use crate::rng::Rng;
use crate::Result;

mod extent;
pub mod mixture;
mod nodes;
pub mod normal;
pub mod relaxed;
pub mod resampled;
mod spec;
mod strategy;

#[cfg(test)]
pub mod laws;

pub use resampled::ResampledSpec;
pub use spec::{BaseSpec, MixtureInit, MixturePart, MixtureSpec, NormalSpec};
pub use strategy::{
    EntropyBound, GumbelSoftmaxSpec, MixtureDraws, NestedSpec, RelaxedDensity, StraightThroughSpec,
};

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
    /// Sizes of the consecutive groups within which rows of x and log_weight are independent, alike
    /// and of equal weight, such as the rows of one component; rows of different groups are
    /// independent too. `None` where they hang together (a baseline made of the other rows, say):
    /// then only whole sets of draws are independent of each other. A density made of the other
    /// rows ([`RelaxedDensity::BatchIncludingOwn`]) couples log_prob alone: its mean is right, a
    /// standard error from its rows is not.
    pub strata: Option<Vec<usize>>,
}

impl Draws {
    /// Rows of equal weight, independent of each other.
    pub fn alike(x: Tensor, log_prob: Tensor) -> Result<Self> {
        let n = x.dim(0)?;
        let log_weight = log_prob.detach().zeros_like()?;
        Ok(Self {
            x,
            log_prob,
            log_weight: (log_weight - (n as f64).ln())?,
            strata: Some(vec![n]),
        })
    }

    /// Rows that were drawn with the probabilities `log_chance` (n,), n at least 2, through which
    /// parameters act that x has no path to: with the scores s_i = log_chance_i - stop(log_chance_i),
    /// log w_i = n / (n - 1) (s_i - mean s) - ln n, which subtracts from every h(x_i) the mean of the
    /// others. Unbiased; that baseline ties the rows together.
    pub fn scored(x: Tensor, log_prob: Tensor, log_chance: &Tensor) -> Result<Self> {
        let n = x.dim(0)? as f64;
        let score = (log_chance - log_chance.detach())?;
        let centred = score.broadcast_sub(&score.mean_keepdim(0)?)?;
        Ok(Self {
            x,
            log_prob,
            log_weight: centred.affine(n / (n - 1.0), -n.ln())?,
            strata: None,
        })
    }
}

/// Samples of a base that is relaxed in training, where its own density has no closed form:
/// E\[-log_excluding\] >= H >= E\[-log_including\] (the upper bound is Jensen's, the lower one
/// convexity's), both closing in as the nested batch grows.
pub struct RelaxedSamples {
    /// (n, dim), without gradients.
    pub x: Tensor,
    /// Nested density with the sample's own weights among the nested ones, (n,), nats.
    pub log_including: Tensor,
    /// Nested density without them, (n,), nats.
    pub log_excluding: Tensor,
}

/// The components of a mixture of diagonal Gaussians, as plain numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Components {
    /// alpha_k, one per component.
    pub weights: Vec<f64>,
    /// mu_k, D numbers per component.
    pub means: Vec<f64>,
    /// sigma_k, D numbers per component.
    pub std_devs: Vec<f64>,
}

/// Base, flow and RAD alike: a flow *is* a distribution.
pub trait Distribution: Send + Sync {
    /// D, the number of coordinates.
    fn dim(&self) -> usize;
    /// (n, dim) -> log q (n,), nats.
    fn log_prob(&self, x: &Tensor) -> Result<Tensor>;
    /// log q(x) as training estimates it: with noise from `rng` where the normaliser is an integral
    /// of which every step takes other nodes.
    fn estimate_log_prob(&self, x: &Tensor, rng: &mut Rng) -> Result<Tensor> {
        let _ = rng;
        self.log_prob(x)
    }
    /// `n` samples, (n, dim), without gradients.
    fn sample(&self, n: usize, rng: &mut Rng) -> Result<Tensor>;
    /// At least `n` weighted samples that carry gradients. `progress` is the share of training that
    /// is done, in [0, 1]: a temperature may depend on it.
    fn draws(&self, n: usize, progress: f64, rng: &mut Rng) -> Result<Draws>;
    /// `n` samples as training at its end saw them, for a distribution that is trained through a
    /// relaxation and is then something else than [`Distribution::log_prob`] says; `None` for all
    /// others.
    fn relaxed_samples(&self, n: usize, rng: &mut Rng) -> Result<Option<RelaxedSamples>> {
        let _ = (n, rng);
        Ok(None)
    }
    /// Which component, branch code or cluster each point belongs to; equal numbers, equal part.
    /// `None` for a distribution without parts.
    fn part(&self, x: &Tensor) -> Result<Option<Vec<u64>>> {
        let _ = x;
        Ok(None)
    }
    /// P(component k | x), (n, K), rows that sum to one; `None` for a distribution that is no mixture.
    fn responsibilities(&self, x: &Tensor) -> Result<Option<Tensor>> {
        let _ = x;
        Ok(None)
    }
    /// Whether it is N(0, I).
    fn is_standard_normal(&self) -> bool {
        false
    }
    /// The components of a mixture of Gaussians; for a flow those of its base. `None` where there
    /// are none.
    fn components(&self) -> Result<Option<Components>> {
        Ok(None)
    }
    /// The distribution as a base of the fused kernels; `None` if they lack it.
    fn kernel(&self) -> Option<mdn_kernels::Base<Tensor>> {
        None
    }
}
