//! The models that an experiment file can choose.

use std::ops::Deref;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ClustersSpec, FlowSpec, GaussianMixtureSpec, KernelDensitySpec, RadSpec, Settings};
use crate::bijections::{AffineCouplingSpec, BijectionSpec};
use crate::distributions::BaseSpec;
use crate::error::BadValue;
use crate::nn::mlp::Activation;

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
    /// What is wrong with the settings, if anything; keys begin with the model's name.
    pub fn check(&self) -> Result<(), BadValue> {
        let settings = self.deref();
        settings.check().map_err(|e| e.below(settings.name()))
    }

    /// Every model with its default settings, in the order of this enum.
    fn defaults() -> Vec<Self> {
        let schema = schemars::schema_for!(Self);
        let members = schema.get("oneOf").and_then(|all| all.as_array());
        let names = members.into_iter().flatten();
        let names = names.filter_map(|member| member["required"][0].as_str());
        names
            .filter_map(|name| toml::from_str(&format!("{name} = {{}}")).ok())
            .collect()
    }

    /// Small models of every kind, with the names under which tests show them.
    pub fn examples() -> Vec<(&'static str, Self)> {
        let defaults = Self::defaults().into_iter();
        defaults.flat_map(|spec| spec.examples()).collect()
    }

    /// What a law about all models goes through: the examples, a flow with each bijection
    /// (standardised or not), and a flow and a RAD on each base that they take.
    pub fn registered() -> Vec<(String, Self)> {
        let named = |(name, spec): (&str, Self)| (name.to_owned(), spec);
        let mut all: Vec<_> = Self::examples().into_iter().map(named).collect();
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
            let flow = FlowSpec {
                // An activation that fused kernels have.
                bijection: small_coupling(Activation::default()),
                base: base.clone(),
                standardise: false,
            };
            all.push((format!("flow on {name}"), Self::Flow(flow)));
            let rad = RadSpec {
                base,
                standardise: false,
                ..RadSpec::small()
            };
            all.push((format!("rad on {name}"), Self::Rad(rad)));
        }
        all.retain(|(_, spec)| spec.check().is_ok());
        all
    }
}

/// Two affine couplings, for examples.
pub(super) fn small_coupling(activation: Activation) -> BijectionSpec {
    BijectionSpec::AffineCoupling(AffineCouplingSpec {
        layers: 2,
        hidden: vec![4],
        activation,
        ..AffineCouplingSpec::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A model whose defaults cannot be read would escape every law.
    #[test]
    fn every_model_has_examples_of_its_own_kind() {
        let names: Vec<_> = ModelSpec::defaults().iter().map(|s| s.name()).collect();
        let serde = serde_json::from_str::<ModelSpec>("\"?\"").unwrap_err();
        let serde = serde.to_string();
        let known: Vec<_> = serde.split('`').skip(3).step_by(2).collect();
        assert_eq!(names, known);
        for spec in ModelSpec::defaults() {
            let examples = spec.examples();
            assert!(!examples.is_empty(), "{}", spec.name());
            assert!(examples.iter().all(|(_, e)| e.name() == spec.name()));
        }
    }
}
