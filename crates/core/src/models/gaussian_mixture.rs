//! A mixture of Gaussians without a flow, fitted by EM.

use candle_core::{DType, Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Model, Settings, Start};
use crate::distributions::{Components, Distribution};
use crate::em::{self, largest, Count, Covariance, Fitted, Fitting, Gaussians};
use crate::error::BadValue;
use crate::nn::{Extent, Params};
use crate::num;
use crate::rng::Rng;
use crate::{Error, Result};

#[cfg(test)]
mod tests;

/// `[models.NAME.gaussian_mixture]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GaussianMixtureSpec {
    /// K; chosen by BIC between 1 and `max_components` if absent or `"bic"`.
    #[serde(skip_serializing_if = "is_bic")]
    pub components: Count,
    /// Largest K that BIC may choose. The search ends before it once six K in a row were no better.
    pub max_components: usize,
    /// Which covariances the components have.
    pub covariance: Covariance,
    /// Starts (k-means, each from k-means++ centres of its own) of which the likeliest is kept.
    pub restarts: usize,
    /// Added to the variances of a component of up to ten distinct points, in units of the training points'
    /// variance, so that it cannot shrink onto a point; of n points, (10 / n)^2 of it, at least 1e-5.
    pub covariance_floor: f64,
}

fn is_bic(count: &Count) -> bool {
    *count == Count::Bic
}

impl Default for GaussianMixtureSpec {
    fn default() -> Self {
        let usual = Fitting::default();
        Self {
            components: usual.components,
            max_components: usual.max_components,
            covariance: usual.covariance,
            restarts: usual.restarts,
            covariance_floor: usual.floor,
        }
    }
}

impl Settings for GaussianMixtureSpec {
    fn name(&self) -> &'static str {
        "gaussian_mixture"
    }

    fn build(&self, params: &Params, dim: usize, points: Option<Tensor>) -> Result<Box<dyn Model>> {
        Ok(Box::new(GaussianMixture::build(self, params, dim, points)?))
    }

    fn check(&self) -> std::result::Result<(), BadValue> {
        if let Count::Given(k) = self.components {
            BadValue::within("components", k, 1, 10_000)?;
        }
        BadValue::within("max_components", self.max_components, 1, 1000)?;
        BadValue::within("restarts", self.restarts, 1, 1000)?;
        BadValue::within("covariance_floor", self.covariance_floor, 1e-12, 1.0)
    }

    fn extent(&self, dim: usize, _drawn: Option<usize>) -> Extent {
        let (k, d) = (
            self.components.given().unwrap_or(self.max_components),
            dim as f64,
        );
        Extent {
            parameters: k as f64 * (1.0 + d + d * d),
            per_point: 2.0 * k as f64,
        }
    }

    fn start(&self) -> Option<Start> {
        let k = self.components.given().unwrap_or(1);
        Start::always(self.name(), ".components", k)
    }

    fn is_fitted(&self) -> bool {
        true
    }
}

/// q(x) = sum_k w_k N(x; mu_k, Sigma_k) with the greatest likelihood of the training points that EM
/// finds. It is fitted when it is built, takes no training steps, and has no gradients.
pub struct GaussianMixture {
    mixture: Gaussians,
    dtype: DType,
    device: Device,
}

impl GaussianMixture {
    /// Fits `points` (n, dim), or loads a fit. Numbers are rounded to the format of the parameters;
    /// densities are computed from those in f64.
    pub fn build(
        spec: &GaussianMixtureSpec,
        params: &Params,
        dim: usize,
        points: Option<Tensor>,
    ) -> Result<Self> {
        let fitted = match &points {
            Some(points) if !params.is_loading() => {
                let how = Fitting {
                    components: spec.components,
                    max_components: spec.max_components,
                    covariance: spec.covariance,
                    restarts: spec.restarts,
                    floor: spec.covariance_floor,
                };
                em::fit(&num::to_vec(points)?, dim, &how, &params.stream("fit")?)
            }
            _ => None,
        };
        if let Some(fitted) = &fitted {
            params.found(&fitted.tried, &fitted.warnings);
        }
        let fitted = || {
            let none = || Error::request("gaussian_mixture: expected training points; got none");
            let mixture = |fitted: &Fitted| fitted.mixture.clone();
            fitted.as_ref().map(mixture).ok_or_else(none)
        };
        let host =
            |values: &[f64], shape: &[usize]| Tensor::from_slice(values, shape, &Device::Cpu);
        let log_weights = params.any_shape("log_weights", false, |_| {
            let all = &fitted()?.log_weights;
            Ok(host(all, &[all.len()])?)
        })?;
        let k = log_weights.elem_count();
        let means = params.param("means", (k, dim), false, |_| {
            Ok(host(&fitted()?.means, &[k, dim])?)
        })?;
        let factors = params.param("scale_tril", (k, dim, dim), false, |_| {
            Ok(host(&fitted()?.factors, &[k, dim, dim])?)
        })?;
        let log_weights = num::to_vec(&log_weights)?;
        // Rounding must not change the total mass.
        let total = num::log_sum_exp_slice(&log_weights);
        Ok(Self {
            mixture: Gaussians::new(
                dim,
                log_weights.iter().map(|w| w - total).collect(),
                num::to_vec(&means)?,
                num::to_vec(&factors)?,
            ),
            dtype: params.dtype(),
            device: params.device(),
        })
    }

    fn rows(&self, x: &Tensor) -> Result<Vec<f64>> {
        num::expect_points("gaussian_mixture", x, self.mixture.dim)?;
        num::to_vec(x)
    }
}

impl Distribution for GaussianMixture {
    fn dim(&self) -> usize {
        self.mixture.dim
    }

    fn log_prob(&self, x: &Tensor) -> Result<Tensor> {
        let values = self.mixture.log_density(&self.rows(x)?);
        Ok(num::from_rows(&values, 1, self.dtype, &self.device)?.squeeze(1)?)
    }

    fn sample(&self, n: usize, rng: &mut Rng) -> Result<Tensor> {
        let (m, dim) = (&self.mixture, self.mixture.dim);
        let weights: Vec<f64> = m.log_weights.iter().map(|w| w.exp()).collect();
        let mut rows = Vec::with_capacity(n * dim);
        let mut noise = vec![0.0; dim];
        for _ in 0..n {
            let k = rng.categorical(&weights);
            noise.fill_with(|| rng.normal());
            let factor = &m.factors[k * dim * dim..(k + 1) * dim * dim];
            for (d, row) in factor.chunks_exact(dim).enumerate() {
                let moved: f64 = row.iter().zip(&noise).map(|(l, e)| l * e).sum();
                rows.push(m.means[k * dim + d] + moved);
            }
        }
        num::from_rows(&rows, dim, self.dtype, &self.device)
    }

    fn part(&self, x: &Tensor) -> Result<Option<Vec<u64>>> {
        let likeliest = self.mixture.likeliest(&self.rows(x)?);
        Ok(Some(likeliest.into_iter().map(|k| k as u64).collect()))
    }

    fn responsibilities(&self, x: &Tensor) -> Result<Option<Tensor>> {
        let of = self.mixture.by_blocks(&self.rows(x)?, |n, joint, out| {
            for i in 0..n {
                let max = largest(joint, n, i).1;
                let first = out.len();
                out.extend(joint[i..].iter().step_by(n).map(|v| (v - max).exp()));
                let sum: f64 = out[first..].iter().sum();
                out[first..].iter_mut().for_each(|r| *r /= sum);
            }
        });
        let k = self.mixture.len();
        Ok(Some(num::from_rows(&of, k, self.dtype, &self.device)?))
    }

    /// With diagonal covariances.
    fn components(&self) -> Result<Option<Components>> {
        let (m, dim) = (&self.mixture, self.mixture.dim);
        let diagonal = |factor: &[f64]| (0..dim).map(|d| factor[d * dim + d]).collect::<Vec<_>>();
        Ok(m.is_diagonal().then(|| Components {
            weights: m.log_weights.iter().map(|w| w.exp()).collect(),
            means: m.means.clone(),
            std_devs: m
                .factors
                .chunks_exact(dim * dim)
                .flat_map(diagonal)
                .collect(),
        }))
    }
}

impl Model for GaussianMixture {
    fn phases(&self) -> Vec<f64> {
        Vec::new()
    }

    fn parameters(&self, _trained: usize) -> Option<usize> {
        let (k, dim) = (self.mixture.len(), self.mixture.dim);
        let covariance = match self.mixture.is_diagonal() {
            true => Covariance::Diagonal,
            false => Covariance::Full,
        };
        Some(em::free_numbers(k, dim, covariance))
    }
}
