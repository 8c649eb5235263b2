//! How large a model is, from its settings.

use super::{ClustersSpec, Gates, Interleave, ModelSpec, RadSpec};
use crate::bijections::{AffineCouplingSpec, BijectionSpec, LinearSpec};
use crate::nn::extent::Extent;

impl ModelSpec {
    /// Its size over `dim` coordinates. `drawn` is the number of samples that a step asks of it, for
    /// an objective that trains on samples. Of a fitted model a step is the whole fit, on all points;
    /// where it chooses how many parts it has, they are the most that it may choose.
    pub fn extent(&self, dim: usize, drawn: Option<usize>) -> Extent {
        let d = dim as f64;
        match self {
            Self::Flow(s) => s.bijection.extent(dim) + s.base.extent(dim, drawn),
            Self::Rad(s) => rad(s, dim) + s.base.extent(dim, drawn),
            Self::Clusters(s) => clusters(s, dim),
            Self::GaussianMixture(s) => {
                let k = s.components.unwrap_or(s.max_components) as f64;
                Extent {
                    parameters: k * (1.0 + d + d * d),
                    per_point: 2.0 * k,
                }
            }
            Self::KernelDensity(_) => Extent {
                parameters: 0.0,
                per_point: 2.0 * d,
            },
        }
    }

    /// Whether it is fitted at once, to all points, and makes no steps.
    pub fn is_fitted(&self) -> bool {
        matches!(self, Self::GaussianMixture(_) | Self::KernelDensity(_))
    }
}

fn rad(s: &RadSpec, dim: usize) -> Extent {
    let (kept, folds) = ((dim as f64 / 2.0).floor(), (dim as f64 / 2.0).ceil());
    let state = Extent {
        parameters: 0.0,
        per_point: 6.0 * dim as f64,
    };
    let gates = match s.gates {
        Gates::Flat | Gates::Edge => Extent::default(),
        Gates::Net => Extent::net(kept + 1.0, &s.hidden, 2.0).times(folds),
    };
    let layer = Extent::net(kept, &s.hidden, 8.0 * folds) + gates + state;
    let between = s.interleave.iter().map(|member| match member {
        Interleave::AffineCoupling => BijectionSpec::AffineCoupling(AffineCouplingSpec {
            layers: 2,
            hidden: s.hidden.clone(),
            ..AffineCouplingSpec::default()
        }),
        Interleave::Linear => BijectionSpec::Linear(LinearSpec {}),
    });
    let between = between.map(|b| b.extent(dim));
    let between = between.fold(Extent::default(), |a, b| a + b);
    layer.times(s.layers as f64) + between.times(s.layers as f64 - 1.0)
}

fn clusters(s: &ClustersSpec, dim: usize) -> Extent {
    let k = s.clusters.unwrap_or(s.max_clusters) as f64;
    let one = s.bijection.extent(dim);
    let all = one.times(k);
    Extent {
        // A point trains the flow of its own cluster, until all are trained on all points.
        per_point: if s.fine_tune > 0.0 {
            all.per_point
        } else {
            one.per_point
        },
        ..all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The parameters that are made are those that were estimated.
    #[test]
    fn the_parameters_of_every_example_are_estimated_well() {
        for dim in [2, 5] {
            for (name, model) in ModelSpec::examples() {
                let Some(made) = model.parameters(dim).unwrap() else {
                    continue;
                };
                let said = model.extent(dim, None).parameters;
                let made = made as f64;
                assert!(
                    (0.7 * made..=2.0 * made + 20.0).contains(&said),
                    "{name}, dim {dim}: {made} made, {said} estimated"
                );
            }
        }
    }

    #[test]
    fn a_real_nvp_has_the_numbers_of_its_formula() {
        let text = "flow.bijection.affine_coupling = { layers = 8, hidden = [64, 64] }";
        let table: toml::Table = text.parse().unwrap();
        let model: ModelSpec = toml::Value::Table(table).try_into().unwrap();
        let extent = model.extent(2, None);
        // 8 x (1 x 64 + 64 + 64 x 64 + 64 + 64 x 2 + 2), as `mdn check` counts without the base.
        assert_eq!(extent.parameters, 8.0 * 4418.0);
        assert_eq!(extent.per_point, 8.0 * (2.0 * 130.0 + 8.0) + 4.0);
    }
}
