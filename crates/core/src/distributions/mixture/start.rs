//! How a mixture's components start.

use candle_core::{DType, Device};

use super::MixtureSpec;
use crate::em::{self, Covariance, Fitting};
use crate::nn::Params;
use crate::num;
use crate::rng::Rng;
use crate::{Error, Result};

/// A component of fewer points than this must not start with a tiny deviation.
const FEW: f64 = 10.0;

/// Starting values, flat, (K,) and (K, D).
#[derive(Default)]
pub(super) struct Start {
    pub logits: Vec<f64>,
    pub means: Vec<f64>,
    pub log_stds: Vec<f64>,
}

impl Start {
    pub fn random(dim: usize, k: usize, spec: &MixtureSpec, mut rng: Rng) -> Result<Self> {
        let means = rng.normal_tensor((k, dim), DType::F64, &Device::Cpu)?;
        Ok(Self {
            logits: vec![0.0; k],
            means: num::to_vec(&(means * spec.spread)?)?,
            log_stds: vec![spec.std.ln(); k * dim],
        })
    }

    /// Means, deviations and weights by EM.
    pub fn from_points(
        points: &[f64],
        dim: usize,
        spec: &MixtureSpec,
        params: &Params,
    ) -> Result<Self> {
        // The stream that random means would be drawn from.
        let rng = params.stream("means")?;
        let how = Fitting {
            components: spec.components,
            max_components: spec.max_components,
            covariance: Covariance::Diagonal,
            ..Fitting::default()
        };
        let none = || Error::request("mixture: expected training points; got none");
        let fitted = em::fit(points, dim, &how, &rng).ok_or_else(none)?;
        // Its other findings are about the start alone.
        params.found(&fitted.tried, &[]);
        let mixture = &fitted.mixture;
        let weights: Vec<f64> = mixture.log_weights.iter().map(|w| w.exp()).collect();
        let found = weights.len();
        let std = |k: usize, d: usize| mixture.factors[(k * dim + d) * dim + d];
        // The mean variance of the components that have enough points, else the variance of all points.
        let many: Vec<usize> = (0..found).filter(|k| fitted.distinct[*k] >= FEW).collect();
        let share: f64 = many.iter().map(|k| weights[*k]).sum();
        let moments = num::moments(points, dim).into_iter().enumerate();
        let usual = moments.map(|(d, (_, all))| {
            let within = many.iter().map(|k| weights[*k] * std(*k, d).powi(2));
            match (within.sum::<f64>() / share).sqrt() {
                within if within > 0.0 => within,
                _ if all > 0.0 => all,
                _ => 1.0,
            }
        });
        let usual: Vec<f64> = usual.collect();
        let n = (points.len() / dim) as f64;
        let k = spec.components.given().unwrap_or(found);
        let mut noise = rng.fork("twins");
        let mut start = Self::default();
        for c in 0..k {
            // Fewer distinct points than components: the rest copy others.
            let of = c % found;
            start
                .logits
                .push(((weights[of] * n + 1.0) / (n + k as f64)).ln());
            for (d, usual) in usual.iter().enumerate() {
                let least = match fitted.distinct[of] < FEW {
                    true => 0.1 * usual,
                    false => 0.0,
                };
                let std = std(of, d).max(least);
                // Copies in the same place would have the same gradient and never separate.
                let apart = if c >= found { noise.normal() } else { 0.0 };
                start
                    .means
                    .push(mixture.means[of * dim + d] + 0.1 * std * apart);
                start.log_stds.push(std.ln());
            }
        }
        Ok(start)
    }
}
