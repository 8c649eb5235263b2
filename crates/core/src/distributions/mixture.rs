//! A mixture of diagonal Gaussians with trainable weights, means and standard deviations.

use candle_core::{DType, Device, Tensor, WithDType};

use super::{
    Components, Distribution, Draws, MixtureDraws, MixtureInit, MixturePart, MixtureSpec,
    RelaxedSamples,
};
use crate::nn::Params;
use crate::num::{self, LN_2PI};
use crate::rng::Rng;
use crate::{Error, Result};

mod draws;
mod implicit;
mod relaxation;
mod start;

#[cfg(test)]
mod implicit_laws;
#[cfg(test)]
mod relaxed_laws;
#[cfg(test)]
mod strategy_laws;
#[cfg(test)]
mod tests;

use start::Start;

/// Nested terms of [`Distribution::relaxed_samples`].
const NESTED: usize = 256;

/// p(z) = sum_k alpha_k N(z; mu_k, diag sigma_k^2), with alpha = softmax(logits) and log sigma as
/// the parameter. log p is a log-sum-exp over the components.
pub struct Mixture {
    logits: Tensor,
    means: Tensor,
    log_stds: Tensor,
    components: usize,
    dim: usize,
    draws: MixtureDraws,
}

impl Mixture {
    /// K components over `dim` coordinates. With `init = "data"`, `points` (n, dim) are clustered
    /// by k-means (k-means++ seeding, best of 10): the means start at the centres, the standard
    /// deviations at those within each cluster, the weights at the clusters' shares.
    pub fn new(
        params: &Params,
        dim: usize,
        spec: &MixtureSpec,
        points: Option<&Tensor>,
    ) -> Result<Self> {
        let k = spec.components;
        let start = if params.is_loading() {
            None
        } else {
            Some(match spec.init {
                MixtureInit::Random => Start {
                    logits: vec![0.0; k],
                    means: None,
                    log_stds: vec![spec.std.ln(); k * dim],
                },
                MixtureInit::Data => {
                    let points = points.ok_or_else(|| {
                        Error::request(
                            "mixture: expected training points for `init = \"data\"`; got none \
                             (try `init = \"random\"`)",
                        )
                    })?;
                    // The clusters come from the stream that the means would be drawn from.
                    let rng = params.stream("means")?;
                    Start::from_points(&num::to_vec(points)?, dim, k, &rng)
                }
            })
        };
        let trained = |part| !spec.frozen.contains(&part);
        let tensor = |values: Vec<f64>, shape: (usize, usize)| -> Result<Tensor> {
            Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
        };
        let (logits, means, log_stds) = match start {
            Some(s) => (s.logits, s.means, s.log_stds),
            None => (Vec::new(), None, Vec::new()),
        };
        Ok(Self {
            logits: params.param("logits", (1, k), trained(MixturePart::Weights), |_| {
                tensor(logits, (1, k))
            })?,
            means: params.param(
                "means",
                (k, dim),
                trained(MixturePart::Means),
                |rng| match means {
                    Some(means) => tensor(means, (k, dim)),
                    None => {
                        Ok((rng.normal_tensor((k, dim), DType::F64, &Device::Cpu)? * spec.spread)?)
                    }
                },
            )?,
            log_stds: params.param("log_stds", (k, dim), trained(MixturePart::StdDevs), |_| {
                tensor(log_stds, (k, dim))
            })?,
            components: k,
            dim,
            draws: spec.draws.clone(),
        })
    }

    /// log alpha, (1, K).
    fn log_weights(&self) -> Result<Tensor> {
        num::log_softmax(&self.logits)
    }

    /// log(alpha_k N(z; mu_k, sigma_k)) of every component: (n, K).
    fn log_joint(&self, z: &Tensor) -> Result<Tensor> {
        let n = num::expect_points("mixture", z, self.dim)?;
        let (k, d) = (self.components, self.dim);
        let shape = (n, k, d);
        let shift = z.unsqueeze(1)?.broadcast_sub(&self.means.unsqueeze(0)?)?;
        let scale = self.log_stds.neg()?.exp()?.unsqueeze(0)?;
        let squares = shift.broadcast_mul(&scale)?.sqr()?;
        let squares = squares.reshape(shape)?.sum(2)?;
        let log_norm = (self.log_stds.sum_keepdim(1)?.t()? + 0.5 * LN_2PI * d as f64)?;
        let constant = (self.log_weights()? - log_norm)?;
        Ok((squares * -0.5)?.broadcast_add(&constant)?)
    }

    /// mu_k + sigma_k omega for given components (n,) u32 and noise omega (n, dim).
    fn place(&self, component: &Tensor, noise: &Tensor) -> Result<Tensor> {
        let means = self.means.index_select(component, 0)?;
        let stds = self.log_stds.index_select(component, 0)?.exp()?;
        Ok((means + (stds * noise)?)?)
    }

    /// The same with fresh noise and without gradients: gathering rows by tensors takes several
    /// times as long as drawing them.
    fn place_on_host<T: WithDType>(&self, component: &[usize], rng: &mut Rng) -> Result<Tensor> {
        let host = |x: &Tensor| -> Result<Vec<T>> {
            Ok(x.detach()
                .flatten_all()?
                .to_device(&Device::Cpu)?
                .to_vec1()?)
        };
        let (means, stds) = (host(&self.means)?, host(&self.log_stds.exp()?)?);
        let mut x = Vec::with_capacity(component.len() * self.dim);
        for k in component {
            let own = k * self.dim..(k + 1) * self.dim;
            for (mean, std) in means[own.clone()].iter().zip(&stds[own]) {
                x.push(*mean + *std * T::from_f64(rng.normal()));
            }
        }
        let shape = (component.len(), self.dim);
        Ok(Tensor::from_vec(x, shape, &Device::Cpu)?)
    }

    /// Components of `n` samples.
    fn draw_components(&self, n: usize, rng: &mut Rng) -> Result<Vec<usize>> {
        let weights: Vec<f64> = num::to_vec(&self.log_weights()?)?
            .into_iter()
            .map(f64::exp)
            .collect();
        Ok((0..n).map(|_| rng.categorical(&weights)).collect())
    }

    /// (n, dim) without gradients, on the CPU.
    fn sample_on_host(&self, n: usize, rng: &mut Rng) -> Result<Tensor> {
        let component = self.draw_components(n, rng)?;
        match self.means.dtype() {
            DType::F32 => self.place_on_host::<f32>(&component, rng),
            _ => self.place_on_host::<f64>(&component, rng),
        }
    }

    fn noise(&self, n: usize, rng: &mut Rng) -> Result<Tensor> {
        rng.normal_tensor((n, self.dim), self.means.dtype(), self.means.device())
    }
}

impl Distribution for Mixture {
    fn dim(&self) -> usize {
        self.dim
    }

    fn log_prob(&self, z: &Tensor) -> Result<Tensor> {
        num::log_sum_exp(&self.log_joint(z)?, 1)
    }

    fn sample(&self, n: usize, rng: &mut Rng) -> Result<Tensor> {
        Ok(self
            .sample_on_host(n, rng)?
            .to_device(self.means.device())?)
    }

    fn draws(&self, n: usize, progress: f64, rng: &mut Rng) -> Result<Draws> {
        match &self.draws {
            MixtureDraws::Stratified => self.stratified(n, rng),
            MixtureDraws::GumbelSoftmax(s) if s.is_exact_at(progress) => self.stratified(n, rng),
            MixtureDraws::GumbelSoftmax(s) => {
                self.gumbel_softmax(&s.density, s.temperature_at(progress), n, rng)
            }
            MixtureDraws::StraightThrough(s) => {
                self.straight_through(s.temperature_at(progress), n, rng)
            }
            MixtureDraws::Score => self.scored(n, rng),
            MixtureDraws::Implicit => self.implicit(n, rng),
        }
    }

    fn relaxed_samples(&self, n: usize, rng: &mut Rng) -> Result<Option<RelaxedSamples>> {
        match &self.draws {
            MixtureDraws::GumbelSoftmax(s) if !s.is_exact_at(1.0) => {
                let temperature = s.temperature_at(1.0);
                Ok(Some(self.between_bounds(temperature, NESTED, n, rng)?))
            }
            _ => Ok(None),
        }
    }

    fn part(&self, z: &Tensor) -> Result<Option<Vec<u64>>> {
        let best = self.log_joint(z)?.argmax(1)?.to_vec1::<u32>()?;
        Ok(Some(best.into_iter().map(u64::from).collect()))
    }

    /// r_k(z) = alpha_k N_k(z) / p(z).
    fn responsibilities(&self, z: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(num::log_softmax(&self.log_joint(z)?)?.exp()?))
    }

    fn components(&self) -> Result<Option<Components>> {
        Ok(Some(Components {
            weights: num::to_vec(&self.log_weights()?.exp()?)?,
            means: num::to_vec(&self.means)?,
            std_devs: num::to_vec(&self.log_stds.exp()?)?,
        }))
    }

    fn kernel(&self) -> Option<mdn_kernels::Base<Tensor>> {
        Some(mdn_kernels::Base::Mixture {
            logits: self.logits.clone(),
            means: self.means.clone(),
            log_stds: self.log_stds.clone(),
        })
    }
}
