//! Densities that can be evaluated and sampled (base distributions, flows and known targets alike),
//! and how an experiment file chooses a base.

use candle_core::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::em::Count;
use crate::error::BadValue;
use crate::nn::{examples, Extent, Params};
use crate::rng::Rng;
use crate::{Error, Result};

pub mod mixture;
mod nodes;
pub mod normal;
mod relaxed;
pub mod resampled;
mod strategy;
mod student_t;

#[cfg(test)]
pub mod laws;

pub use mixture::{MixtureInit, MixturePart, MixtureSpec};
pub use normal::NormalSpec;
pub use resampled::ResampledSpec;
pub use strategy::{
    EntropyBound, GumbelSoftmaxSpec, MixtureDraws, NestedSpec, RelaxedDensity, StraightThroughSpec,
};
pub use student_t::StudentTSpec;

/// Weighted, differentiable samples: E_q\[h(X)\] ~ sum_i exp(log_weight_i) h(x_i), and the gradient
/// of that sum estimates the gradient of the expectation without bias. Gradients flow through x,
/// through log_weight or through both: a component drawn by its index gives the mixture weights no
/// gradient, but the weights of these draws do.
pub struct Draws {
    /// (n, dim)
    pub x: Tensor,
    /// log q(x), (n,), nats.
    pub log_prob: Tensor,
    /// (n,)
    pub log_weight: Tensor,
    /// Sizes of consecutive groups, such as the rows of one component. Rows of x and log_weight are
    /// independent, and within a group identically distributed and of equal weight. `None` where rows
    /// depend on each other, say through a baseline: then only whole sets of draws are independent.
    /// log_prob may depend on other rows ([`RelaxedDensity::BatchIncludingOwn`]): its mean is right, a
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

    /// Rows drawn with the log-probabilities `log_chance` (n,), n at least 2, of parameters that have
    /// no path through x (score function): with s_i = log_chance_i - stop(log_chance_i),
    /// log w_i = n / (n - 1) (s_i - mean s) - ln n, which subtracts from every h(x_i) the mean of the
    /// others. Unbiased; the baseline makes the rows dependent.
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
/// convexity's); both converge to H as the nested batch grows.
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

/// A density with a sampler: base, flow or RAD.
pub trait Distribution: Send + Sync {
    /// D, the number of coordinates.
    fn dim(&self) -> usize;
    /// (n, dim) -> log q (n,), nats.
    fn log_prob(&self, x: &Tensor) -> Result<Tensor>;
    /// log q(x) as training estimates it: with noise from `rng` where every step evaluates the
    /// normalising integral at other nodes.
    fn estimate_log_prob(&self, x: &Tensor, rng: &mut Rng) -> Result<Tensor> {
        let _ = rng;
        self.log_prob(x)
    }
    /// `n` samples, (n, dim), without gradients.
    fn sample(&self, n: usize, rng: &mut Rng) -> Result<Tensor>;
    /// At least `n` weighted samples that carry gradients; samples without gradients where nothing is
    /// trained. `progress` is the share of training that is done, in [0, 1]: a temperature may depend
    /// on it.
    fn draws(&self, n: usize, progress: f64, rng: &mut Rng) -> Result<Draws> {
        let _ = progress;
        let x = self.sample(n, rng)?;
        let log_prob = self.log_prob(&x)?;
        Draws::alike(x, log_prob)
    }
    /// `n` samples of the relaxation that a distribution is trained through until the end, whose
    /// density is not [`Distribution::log_prob`]; `None` for all others.
    fn relaxed_samples(&self, n: usize, rng: &mut Rng) -> Result<Option<RelaxedSamples>> {
        let _ = (n, rng);
        Ok(None)
    }
    /// The component, branch code or cluster of each point: equal numbers mean the same part.
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
    /// Gives a mixture of Gaussians these components in place of its own; for a flow those of its base.
    ///
    /// # Errors
    /// For a distribution that is no such mixture, and for another number of components.
    fn set_components(&self, components: &Components) -> Result<()> {
        let _ = components;
        Err(Error::failed(
            "components: expected a mixture of Gaussians; got another distribution",
        ))
    }
    /// The distribution as a base of the fused kernels; `None` if they lack it.
    fn kernel(&self) -> Option<mdn_kernels::Base<Tensor>> {
        None
    }
}

/// Which base distribution, with its settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum BaseSpec {
    /// N(0, I).
    Normal(NormalSpec),
    /// A trainable mixture of diagonal Gaussians; its `draws`: mdn list draws.
    Mixture(MixtureSpec),
    /// N(0, I) resampled with learned acceptance (Stimper et al. 2022).
    Resampled(ResampledSpec),
    /// Independent Student t distributions with learned degrees of freedom, for heavy tails.
    StudentT(StudentTSpec),
}

/// See [`BaseSpec::examples`].
const EXAMPLES: &str = "
normal: normal = {}
mixture: mixture = { components = 3, init = 'random', spread = 2, std = 0.7 }
mixture of one: mixture = { components = 1, init = 'random', spread = 2, std = 0.7 }
mixture (frozen means): mixture = { components = 4, init = 'random', spread = 2, std = 0.7, frozen = ['means'] }
mixture (score): mixture = { components = 3, init = 'random', spread = 2, std = 0.7, draws = 'score' }
mixture (implicit): mixture = { components = 3, init = 'random', spread = 2, std = 0.7, draws = 'implicit' }
mixture (straight through): mixture = { components = 3, init = 'random', spread = 2, std = 0.7, draws.straight_through = {} }
mixture (Gumbel-softmax): mixture = { components = 3, init = 'random', spread = 2, std = 0.7, draws.gumbel_softmax = {} }
mixture (Gumbel-softmax, exact at the end): mixture = { components = 3, init = 'random', spread = 2, std = 0.7, draws.gumbel_softmax.exact_from = 0.9 }
resampled: resampled = { hidden = [6], activation = 'tanh', truncation = 5 }
student_t: student_t = { degrees = 8 }
";

/// What the settings of a base must offer.
trait Settings {
    /// What is wrong with the settings, if anything.
    fn check(&self) -> Result<(), BadValue> {
        Ok(())
    }
    /// See [`BaseSpec::extent`].
    fn extent(&self, dim: usize, drawn: Option<usize>) -> Extent;
    /// See [`BaseSpec::build`].
    fn build(
        &self,
        params: &Params,
        dim: usize,
        points: Option<&Tensor>,
    ) -> Result<Box<dyn Distribution>>;
    /// See [`BaseSpec::entropy_bound`].
    fn entropy_bound(&self) -> EntropyBound {
        EntropyBound::Exact
    }
}

impl Default for BaseSpec {
    fn default() -> Self {
        Self::Normal(NormalSpec {})
    }
}

impl BaseSpec {
    /// The key in an experiment file, and the settings.
    fn member(&self) -> (&'static str, &dyn Settings) {
        match self {
            Self::Normal(s) => ("normal", s),
            Self::Mixture(s) => ("mixture", s),
            Self::Resampled(s) => ("resampled", s),
            Self::StudentT(s) => ("student_t", s),
        }
    }

    /// One or more of each kind, with the name under which tests show it. Mixtures start at random,
    /// since the tests have no points.
    pub fn examples() -> Vec<(&'static str, Self)> {
        examples(EXAMPLES)
    }

    /// What is wrong with the settings, if anything.
    pub fn check(&self) -> Result<(), BadValue> {
        let (key, settings) = self.member();
        settings.check().map_err(|e| e.below(key))
    }

    /// Its size over `dim` coordinates. `drawn` is the number of samples that a step asks of it, for
    /// an objective that trains on samples.
    pub fn extent(&self, dim: usize, drawn: Option<usize>) -> Extent {
        self.member().1.extent(dim, drawn)
    }

    /// Makes the distribution over `dim` coordinates with parameters from `params`. `points`
    /// (n, dim) are the training points at the base side, for members that start from the data.
    pub fn build(
        &self,
        params: &Params,
        dim: usize,
        points: Option<&Tensor>,
    ) -> Result<Box<dyn Distribution>> {
        self.member().1.build(params, dim, points)
    }

    /// Whether the training points decide its number of parameters.
    pub fn is_sized_by_points(&self) -> bool {
        matches!(self, Self::Mixture(s) if s.components == Count::Bic)
    }

    /// The same base as `built` was built with, its size given.
    pub fn settled(&self, built: &dyn Distribution) -> Result<Self> {
        Ok(match (self, built.components()?) {
            (Self::Mixture(s), Some(built)) => Self::Mixture(MixtureSpec {
                components: Count::Given(built.weights.len()),
                ..s.clone()
            }),
            _ => self.clone(),
        })
    }

    /// How the mean of -log_prob over the draws compares to the entropy of what they sample.
    pub fn entropy_bound(&self) -> EntropyBound {
        self.member().1.entropy_bound()
    }
}
