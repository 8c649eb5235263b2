//! The models that an experiment file can choose.

use std::ops::Deref;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ClustersSpec, FlowSpec, GaussianMixtureSpec, KernelDensitySpec, RadSpec, Settings};
use crate::bijections::BijectionSpec;
use crate::distributions::BaseSpec;
use crate::error::BadValue;
use crate::nn::examples;

/// Which model, with its settings: a table `[models.NAME]` of an experiment file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ModelSpec {
    /// A base distribution carried to the data by a bijection.
    Flow(FlowSpec),
    /// Folded layers: parts of the data space share one base (Dinh et al. 2019).
    Rad(RadSpec),
    /// k-means clusters with a flow each.
    Clusters(ClustersSpec),
    /// A mixture of Gaussians alone, fitted by EM; K given or by BIC.
    GaussianMixture(GaussianMixtureSpec),
    /// A Gaussian kernel on every training point; its width by leave-one-out likelihood.
    KernelDensity(KernelDensitySpec),
}

/// See [`ModelSpec::examples`].
const EXAMPLES: &str = "
flow (normal base): flow = { bijection.affine_coupling = { layers = 2, hidden = [4], activation = 'tanh' } }
flow (mixture base): flow = { bijection.affine_coupling = { layers = 2, hidden = [4], activation = 'tanh' }, base.mixture = { components = 3, init = 'random', spread = 2, std = 0.7 } }
flow (Student t base): flow = { bijection.affine_coupling = { layers = 2, hidden = [4], activation = 'tanh' }, base.student_t = { degrees = 8 } }
flow (resampled base): flow = { bijection.affine_coupling = { layers = 2, hidden = [4], activation = 'tanh' }, base.resampled = { hidden = [6], activation = 'tanh', truncation = 5 } }
rad (edge gates): rad = { layers = 2, hidden = [4], activation = 'tanh' }
rad (flat gates): rad = { layers = 2, hidden = [4], activation = 'tanh', gates = 'flat' }
rad (gate networks): rad = { layers = 2, hidden = [4], activation = 'tanh', gates = 'net' }
rad (interleaved, mixture base): rad = { layers = 2, hidden = [4], activation = 'tanh', interleave = ['affine_coupling', 'linear'], base.mixture = { components = 3, init = 'random', spread = 2, std = 0.7 } }
clusters: clusters = { clusters = 2, bijection.affine_coupling = { layers = 2, hidden = [4], activation = 'tanh' } }
clusters (fine-tuned): clusters = { clusters = 2, bijection.affine_coupling = { layers = 2, hidden = [4], activation = 'tanh' }, fine_tune = 0.5 }
gaussian_mixture: gaussian_mixture = {}
gaussian_mixture (diagonal): gaussian_mixture = { components = 3, covariance = 'diagonal' }
kernel_density: kernel_density = {}
";

/// Models that take any base. The flow has an activation that fused kernels have.
const ON_EACH_BASE: &str = "
flow: flow = { bijection.affine_coupling = { layers = 2, hidden = [4] }, standardise = false }
rad: rad = { layers = 2, hidden = [4], activation = 'tanh', standardise = false }
";

impl Deref for ModelSpec {
    type Target = dyn Settings;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Flow(s) => s,
            Self::Rad(s) => s,
            Self::Clusters(s) => s,
            Self::GaussianMixture(s) => s,
            Self::KernelDensity(s) => s,
        }
    }
}

impl ModelSpec {
    /// Whether its bijection is a stack of affine layers alone: in one dimension an affine map.
    pub fn is_affine_alone(&self) -> bool {
        let bijection = match self {
            Self::Flow(s) => &s.bijection,
            Self::Clusters(s) => &s.bijection,
            _ => return false,
        };
        matches!(
            bijection,
            BijectionSpec::AffineCoupling(_) | BijectionSpec::MaskedAutoregressive(_)
        )
    }

    /// What is wrong with the settings, if anything; keys begin with the model's name.
    pub fn check(&self) -> Result<(), BadValue> {
        let settings = self.deref();
        settings.check().map_err(|e| e.below(settings.name()))
    }

    /// Small models of every kind, with the names under which tests show them.
    pub fn examples() -> Vec<(&'static str, Self)> {
        examples(EXAMPLES)
    }

    /// What a law about all models goes through: the examples, a flow with each bijection
    /// (standardised or not), and a flow and a RAD on each base that they take.
    pub fn registered() -> Vec<(String, Self)> {
        let mut all = Vec::new();
        for (name, spec) in Self::examples() {
            all.push((name.to_owned(), spec));
        }
        for (name, bijection) in BijectionSpec::examples() {
            for standardise in [true, false] {
                let flow = FlowSpec {
                    bijection: bijection.clone(),
                    standardise,
                    ..FlowSpec::default()
                };
                let name = format!("flow of {name}, standardise = {standardise}");
                all.push((name, Self::Flow(flow)));
            }
        }
        for (name, base) in BaseSpec::examples() {
            for (kind, mut spec) in examples(ON_EACH_BASE) {
                if let Self::Flow(FlowSpec { base: own, .. })
                | Self::Rad(RadSpec { base: own, .. }) = &mut spec
                {
                    *own = base.clone();
                }
                all.push((format!("{kind} on {name}"), spec));
            }
        }
        all.retain(|(_, spec)| spec.check().is_ok());
        all
    }
}
