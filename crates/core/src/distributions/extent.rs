//! How large a base distribution is, from its settings.

use super::{BaseSpec, MixtureDraws, RelaxedDensity};
use crate::nn::extent::Extent;

impl BaseSpec {
    /// Its size over `dim` coordinates. `drawn` is the number of samples that a step asks of it, for
    /// an objective that trains on samples.
    pub fn extent(&self, dim: usize, drawn: Option<usize>) -> Extent {
        let d = dim as f64;
        match self {
            Self::Normal(_) => Extent {
                parameters: 0.0,
                per_point: 2.0 * d,
            },
            Self::Resampled(s) => Extent::net(d, &s.hidden, 1.0),
            Self::Mixture(s) => {
                let k = s.components as f64;
                let terms = match (&s.draws, drawn) {
                    (MixtureDraws::GumbelSoftmax(relaxed), Some(batch)) => match &relaxed.density {
                        RelaxedDensity::NestedIncludingOwn(n)
                        | RelaxedDensity::NestedExcludingOwn(n) => n.inner as f64,
                        RelaxedDensity::BatchIncludingOwn => batch as f64,
                        RelaxedDensity::ExactMixture | RelaxedDensity::Joint => 1.0,
                    },
                    _ => 0.0,
                };
                Extent {
                    parameters: k * (2.0 * d + 1.0),
                    // Differences to every mean and their squares; of every nested term its weights
                    // and its differences.
                    per_point: 2.0 * k * d + terms * (k + 2.0 * d),
                }
            }
        }
    }
}
