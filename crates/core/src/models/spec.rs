//! How a model is chosen in an experiment file, and how it is built from that.

use candle_core::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::gaussian_mixture::{GaussianMixture, GaussianMixtureSpec};
use super::kernel_density::{KernelDensity, KernelDensitySpec};
use super::{clusters, flow, rad, Covariance, Model};
use crate::bijections::{AffineCouplingSpec, BijectionSpec};
use crate::distributions::{BaseSpec, MixtureDraws};
use crate::error::BadValue;
use crate::nn::mlp::{check_hidden, Activation};
use crate::nn::Params;
use crate::Result;

/// Which model, with its settings: a table `[models.NAME]` of an experiment file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ModelSpec {
    /// A base distribution carried to the data by a bijection.
    Flow(FlowSpec),
    /// Folded layers: the data space is cut into parts that share one base.
    Rad(RadSpec),
    /// k-means clusters with a flow each.
    Clusters(ClustersSpec),
    /// A mixture of Gaussians alone, fitted by EM.
    GaussianMixture(GaussianMixtureSpec),
    /// A kernel density estimate.
    KernelDensity(KernelDensitySpec),
}

/// `[models.NAME.flow]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FlowSpec {
    /// The map from base to data.
    #[serde(default = "default_bijection")]
    pub bijection: BijectionSpec,
    /// The distribution at its base side.
    #[serde(default)]
    pub base: BaseSpec,
    /// Shift and scale the training points to mean 0 and variance 1 first (a fixed layer whose
    /// log-determinant is counted, so densities stay those of the data).
    #[serde(default = "yes")]
    pub standardise: bool,
}

fn yes() -> bool {
    true
}

fn default_bijection() -> BijectionSpec {
    BijectionSpec::AffineCoupling(AffineCouplingSpec::default())
}

/// How RAD's probability of each branch is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Gates {
    /// By the slopes alone.
    Flat,
    /// Two logits per fold from the layer's conditioner.
    #[default]
    Edge,
    /// A network of the kept coordinates and the place along the fold.
    Net,
}

/// What may stand between two folded layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Interleave {
    /// Two affine couplings with the layers' conditioner widths, one on each half: a single one
    /// could be taken over by the fold before or behind it.
    AffineCoupling,
    /// A learned linear layer.
    Linear,
}

/// `[models.NAME.rad]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RadSpec {
    /// Number of folded layers.
    pub layers: usize,
    /// Widths of the conditioners' hidden layers.
    pub hidden: Vec<usize>,
    /// Nonlinearity of the conditioners.
    pub activation: Activation,
    /// How the branch probabilities are given.
    pub gates: Gates,
    /// Half the width of a fold's middle part at the start, in standard
    /// deviations of the training points (in the data's own unit with `standardise = false`).
    pub fold_width: f64,
    /// Standard deviation of the folds' starting positions, in standard
    /// deviations of the training points (in the data's own unit with `standardise = false`).
    pub fold_spread: f64,
    /// Ordinary bijections after every folded layer but the last, towards the base.
    pub interleave: Vec<Interleave>,
    /// The distribution at the base.
    pub base: BaseSpec,
    /// As for a flow.
    pub standardise: bool,
}

impl Default for RadSpec {
    fn default() -> Self {
        Self {
            layers: 6,
            hidden: vec![64, 64],
            activation: Activation::default(),
            gates: Gates::default(),
            fold_width: 0.5,
            fold_spread: 0.5,
            interleave: Vec::new(),
            base: BaseSpec::default(),
            standardise: true,
        }
    }
}

/// `[models.NAME.clusters]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClustersSpec {
    /// K; chosen by the best silhouette between 2 and `max_clusters` if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clusters: Option<usize>,
    /// Largest K that the silhouette may choose.
    pub max_clusters: usize,
    /// The map of each cluster's flow (a standard normal base stands behind it).
    pub bijection: BijectionSpec,
    /// Share of the training steps, at the end, that train all flows and weights jointly on the
    /// density of the whole mixture.
    pub fine_tune: f64,
}

impl Default for ClustersSpec {
    fn default() -> Self {
        Self {
            clusters: None,
            max_clusters: 20,
            bijection: BijectionSpec::AffineCoupling(AffineCouplingSpec {
                layers: 4,
                hidden: vec![32, 32],
                ..AffineCouplingSpec::default()
            }),
            fine_tune: 0.0,
        }
    }
}

impl ModelSpec {
    /// Makes the model for points of `dim` coordinates with parameters from `params`. `points`
    /// (n, dim) are the training points, which are not needed when parameters are loaded.
    pub fn build(
        &self,
        params: &Params,
        dim: usize,
        points: Option<Tensor>,
    ) -> Result<Box<dyn Model>> {
        Ok(match self {
            Self::Flow(s) => Box::new(flow::Flow::build(s, params, dim, points)?),
            Self::Rad(s) => Box::new(rad::Rad::build(s, params, dim, points)?),
            Self::Clusters(s) => Box::new(clusters::Clusters::build(s, params, dim, points)?),
            Self::GaussianMixture(s) => Box::new(GaussianMixture::build(s, params, dim, points)?),
            Self::KernelDensity(s) => Box::new(KernelDensity::build(s, params, dim, points)?),
        })
    }

    /// Whether the model is the same in every unit of the data: points are shifted and scaled first.
    pub fn standardises(&self) -> bool {
        match self {
            Self::Flow(s) => s.standardise,
            Self::Rad(s) => s.standardise,
            Self::Clusters(_) | Self::GaussianMixture(_) | Self::KernelDensity(_) => true,
        }
    }

    /// Some of each kind, with the name under which tests show it.
    pub fn examples() -> Vec<(&'static str, Self)> {
        let affine = BijectionSpec::AffineCoupling(AffineCouplingSpec {
            layers: 2,
            hidden: vec![4],
            activation: Activation::Tanh,
            ..AffineCouplingSpec::default()
        });
        let flow = |base: &str| {
            Self::Flow(FlowSpec {
                bijection: affine.clone(),
                base: BaseSpec::examples()
                    .into_iter()
                    .find(|(name, _)| *name == base)
                    .map(|(_, spec)| spec)
                    .unwrap_or_default(),
                standardise: true,
            })
        };
        let rad = RadSpec {
            layers: 2,
            hidden: vec![4],
            activation: Activation::Tanh,
            ..RadSpec::default()
        };
        let clusters = ClustersSpec {
            clusters: Some(2),
            bijection: affine.clone(),
            ..ClustersSpec::default()
        };
        vec![
            ("flow (normal base)", flow("normal")),
            ("flow (mixture base)", flow("mixture")),
            ("flow (resampled base)", flow("resampled")),
            ("rad (edge gates)", Self::Rad(rad.clone())),
            (
                "rad (flat gates)",
                Self::Rad(RadSpec {
                    gates: Gates::Flat,
                    ..rad.clone()
                }),
            ),
            (
                "rad (gate networks)",
                Self::Rad(RadSpec {
                    gates: Gates::Net,
                    ..rad.clone()
                }),
            ),
            (
                "rad (interleaved, mixture base)",
                Self::Rad(RadSpec {
                    interleave: vec![Interleave::AffineCoupling, Interleave::Linear],
                    base: BaseSpec::examples().swap_remove(1).1,
                    ..rad
                }),
            ),
            ("clusters", Self::Clusters(clusters.clone())),
            (
                "clusters (fine-tuned)",
                Self::Clusters(ClustersSpec {
                    fine_tune: 0.5,
                    ..clusters
                }),
            ),
            (
                "gaussian_mixture",
                Self::GaussianMixture(GaussianMixtureSpec::default()),
            ),
            (
                "gaussian_mixture (diagonal)",
                Self::GaussianMixture(GaussianMixtureSpec {
                    components: Some(3),
                    covariance: Covariance::Diagonal,
                    ..GaussianMixtureSpec::default()
                }),
            ),
            (
                "kernel_density",
                Self::KernelDensity(KernelDensitySpec::default()),
            ),
        ]
    }

    /// What is wrong with the settings, if anything.
    pub fn check(&self) -> std::result::Result<(), BadValue> {
        match self {
            Self::Flow(s) => s
                .bijection
                .check()
                .map_err(|e| e.below("bijection"))
                .and_then(|()| s.base.check().map_err(|e| e.below("base")))
                .map_err(|e| e.below("flow")),
            Self::Rad(s) => s.check().map_err(|e| e.below("rad")),
            Self::Clusters(s) => s.check().map_err(|e| e.below("clusters")),
            Self::GaussianMixture(s) => s.check().map_err(|e| e.below("gaussian_mixture")),
            Self::KernelDensity(s) => s.check().map_err(|e| e.below("kernel_density")),
        }
    }
}

impl RadSpec {
    fn check(&self) -> std::result::Result<(), BadValue> {
        BadValue::unless(
            (1..=1000).contains(&self.layers),
            "layers",
            "1 <= `layers` <= 1000",
            self.layers,
        )?;
        check_hidden(&self.hidden)?;
        BadValue::unless(
            (0.02..=50.0).contains(&self.fold_width),
            "fold_width",
            "0.02 <= `fold_width` <= 50",
            self.fold_width,
        )?;
        BadValue::unless(
            self.fold_spread >= 0.0 && self.fold_spread.is_finite(),
            "fold_spread",
            "`fold_spread` >= 0",
            self.fold_spread,
        )?;
        if let BaseSpec::Mixture(base) = &self.base {
            // A RAD's draws carry the score of the whole path, so its base is never asked for any.
            BadValue::unless(
                base.draws == MixtureDraws::Stratified,
                "base.mixture.draws",
                "no `draws` below `rad`, which has its own (other ways need a `flow`)",
                base.draws.name(),
            )?;
        }
        self.base.check().map_err(|e| e.below("base"))
    }
}

impl ClustersSpec {
    fn check(&self) -> std::result::Result<(), BadValue> {
        if let Some(k) = self.clusters {
            BadValue::unless(
                (1..=10_000).contains(&k),
                "clusters",
                "1 <= `clusters` <= 10000",
                k,
            )?;
        }
        BadValue::unless(
            (2..=1000).contains(&self.max_clusters),
            "max_clusters",
            "2 <= `max_clusters` <= 1000",
            self.max_clusters,
        )?;
        BadValue::unless(
            (0.0..=1.0).contains(&self.fine_tune),
            "fine_tune",
            "0 <= `fine_tune` <= 1",
            self.fine_tune,
        )?;
        self.bijection.check().map_err(|e| e.below("bijection"))
    }
}
