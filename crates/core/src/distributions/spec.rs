//! How a base distribution is chosen in an experiment file, and how it is built from that.

use candle_core::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    mixture, normal, resampled, Distribution, EntropyBound, GumbelSoftmaxSpec, MixtureDraws,
    ResampledSpec, StraightThroughSpec,
};
use crate::error::BadValue;
use crate::nn::mlp::Activation;
use crate::nn::Params;
use crate::Result;

/// Which base distribution, with its settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum BaseSpec {
    /// N(0, I).
    Normal(NormalSpec),
    /// A trainable mixture of diagonal Gaussians.
    Mixture(MixtureSpec),
    /// N(0, I) resampled with learned acceptance.
    Resampled(ResampledSpec),
}

impl Default for BaseSpec {
    fn default() -> Self {
        Self::Normal(NormalSpec {})
    }
}

/// `base.normal = {}`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NormalSpec {}

/// How a mixture's components start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MixtureInit {
    /// Means from N(0, `spread`^2), standard deviations `std`, equal weights.
    Random,
    /// k-means++ on the training points pulled back through the untrained flow: means, standard
    /// deviations and shares of the clusters.
    #[default]
    Data,
}

/// Parameters that keep their starting value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MixturePart {
    /// The mixture weights.
    Weights,
    /// The component means.
    Means,
    /// The component standard deviations.
    StdDevs,
}

/// `base.mixture = { components = 8, init = "data" }`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MixtureSpec {
    /// K.
    pub components: usize,
    /// How the components start.
    #[serde(default)]
    pub init: MixtureInit,
    /// `init = "random"`: standard deviation of the means' law.
    #[serde(default = "default_spread")]
    pub spread: f64,
    /// `init = "random"`: standard deviation of every component.
    #[serde(default = "default_std")]
    pub std: f64,
    /// Parameters that are not trained.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub frozen: Vec<MixturePart>,
    /// How samples for training are drawn, where an objective needs some.
    #[serde(default)]
    pub draws: MixtureDraws,
}

impl MixtureSpec {
    /// How the mean of -log_prob over the draws stands to the entropy of what they sample.
    pub fn entropy_bound(&self) -> EntropyBound {
        self.draws.entropy_bound()
    }
}

fn default_spread() -> f64 {
    1.0
}

fn default_std() -> f64 {
    0.5
}

impl BaseSpec {
    /// Makes the distribution over `dim` coordinates with parameters from `params`. `points`
    /// (n, dim) are the training points at the base side, for members that start from the data.
    pub fn build(
        &self,
        params: &Params,
        dim: usize,
        points: Option<&Tensor>,
    ) -> Result<Box<dyn Distribution>> {
        Ok(match self {
            Self::Normal(_) => Box::new(normal::Normal::new(dim, params.dtype(), &params.device())),
            Self::Mixture(s) => Box::new(mixture::Mixture::new(params, dim, s, points)?),
            Self::Resampled(s) => Box::new(resampled::Resampled::new(params, dim, s)?),
        })
    }

    /// How the mean of -log_prob over the draws stands to the entropy of what they sample.
    pub fn entropy_bound(&self) -> EntropyBound {
        match self {
            Self::Normal(_) | Self::Resampled(_) => EntropyBound::Exact,
            Self::Mixture(s) => s.entropy_bound(),
        }
    }

    /// One or more of each kind, with the name under which tests and `mdn list` show it.
    pub fn examples() -> Vec<(&'static str, Self)> {
        let drawn = |components, frozen, draws| {
            Self::Mixture(MixtureSpec {
                components,
                init: MixtureInit::Random,
                spread: 2.0,
                std: 0.7,
                frozen,
                draws,
            })
        };
        let mixture = |components, frozen| drawn(components, frozen, MixtureDraws::default());
        let relaxed = GumbelSoftmaxSpec::default();
        vec![
            ("normal", Self::Normal(NormalSpec {})),
            ("mixture", mixture(3, Vec::new())),
            ("mixture of one", mixture(1, Vec::new())),
            (
                "mixture (frozen means)",
                mixture(4, vec![MixturePart::Means]),
            ),
            ("mixture (score)", drawn(3, Vec::new(), MixtureDraws::Score)),
            (
                "mixture (implicit)",
                drawn(3, Vec::new(), MixtureDraws::Implicit),
            ),
            (
                "mixture (straight through)",
                drawn(
                    3,
                    Vec::new(),
                    MixtureDraws::StraightThrough(StraightThroughSpec::default()),
                ),
            ),
            (
                "mixture (Gumbel-softmax)",
                drawn(3, Vec::new(), MixtureDraws::GumbelSoftmax(relaxed.clone())),
            ),
            (
                "mixture (Gumbel-softmax, exact at the end)",
                drawn(
                    3,
                    Vec::new(),
                    MixtureDraws::GumbelSoftmax(GumbelSoftmaxSpec {
                        exact_from: Some(0.9),
                        ..relaxed
                    }),
                ),
            ),
            (
                "resampled",
                Self::Resampled(ResampledSpec {
                    hidden: vec![6],
                    activation: Activation::Tanh,
                    truncation: 5,
                }),
            ),
        ]
    }

    /// What is wrong with the settings, if anything.
    pub fn check(&self) -> std::result::Result<(), BadValue> {
        match self {
            Self::Normal(_) => Ok(()),
            Self::Resampled(s) => s.check().map_err(|e| e.below("resampled")),
            Self::Mixture(s) => BadValue::unless(
                (1..=100_000).contains(&s.components),
                "components",
                "1 <= `components` <= 100000",
                s.components,
            )
            .and_then(|()| {
                BadValue::unless(
                    (0.0..=1e6).contains(&s.spread),
                    "spread",
                    "0 <= `spread` <= 1e6",
                    s.spread,
                )
            })
            .and_then(|()| {
                BadValue::unless(
                    (1e-6..=1e6).contains(&s.std),
                    "std",
                    "1e-6 <= `std` <= 1e6",
                    s.std,
                )
            })
            .and_then(|()| s.draws.check().map_err(|e| e.below("draws")))
            .map_err(|e| e.below("mixture")),
        }
    }
}
