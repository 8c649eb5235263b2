//! Every registered model with every registered bijection and base: what a law over all models goes
//! through, so that a new member owes it too.

use super::{FlowSpec, ModelSpec, RadSpec};
use crate::bijections::{AffineCouplingSpec, BijectionSpec};
use crate::distributions::BaseSpec;
use crate::nn::mlp::Activation;

/// The examples of all models, a flow with each bijection, and a flow and a RAD on each base that
/// they take; standardised or not.
pub fn registered() -> Vec<(String, ModelSpec)> {
    let named = |(name, spec): (&str, ModelSpec)| (name.to_owned(), spec);
    let mut all: Vec<_> = ModelSpec::examples().into_iter().map(named).collect();
    for (name, bijection) in BijectionSpec::examples() {
        for standardise in [true, false] {
            let flow = FlowSpec {
                bijection: bijection.clone(),
                base: BaseSpec::default(),
                standardise,
            };
            let name = format!("flow of {name}, standardise = {standardise}");
            all.push((name, ModelSpec::Flow(flow)));
        }
    }
    for (name, base) in BaseSpec::examples() {
        let flow = FlowSpec {
            // An activation that fused kernels have.
            bijection: BijectionSpec::AffineCoupling(AffineCouplingSpec {
                layers: 2,
                hidden: vec![4],
                ..AffineCouplingSpec::default()
            }),
            base: base.clone(),
            standardise: false,
        };
        all.push((format!("flow on {name}"), ModelSpec::Flow(flow)));
        let rad = RadSpec {
            layers: 2,
            hidden: vec![4],
            activation: Activation::Tanh,
            base,
            standardise: false,
            ..RadSpec::default()
        };
        all.push((format!("rad on {name}"), ModelSpec::Rad(rad)));
    }
    all.retain(|(_, spec)| spec.check().is_ok());
    all
}
