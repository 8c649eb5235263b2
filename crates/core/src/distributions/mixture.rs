//! A mixture of diagonal Gaussians with trainable weights, means and standard deviations.

use candle_core::{DType, Device, Tensor, Var, WithDType};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Components, Distribution, Draws, EntropyBound, MixtureDraws, RelaxedSamples, Settings,
};
use crate::em::Count;
use crate::error::BadValue;
use crate::nn::{Extent, Params};
use crate::num::{self, LN_2PI};
use crate::rng::Rng;
use crate::{Error, Result};

mod implicit;
mod relaxation;
mod start;

#[cfg(test)]
mod implicit_laws;
#[cfg(test)]
mod relaxed_laws;
#[cfg(test)]
mod tests;

use start::Start;

/// Nested terms of [`Distribution::relaxed_samples`].
const NESTED: usize = 256;

/// How a mixture's components start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MixtureInit {
    /// Means from N(0, `spread`^2), standard deviations `std`, equal weights.
    Random,
    /// The mixture that EM fits to the training points pulled back through the untrained flow, as
    /// `gaussian_mixture` with diagonal covariances.
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
    /// K; or `"bic"`: that of the mixture that the components start from, chosen by BIC.
    pub components: Count,
    /// Largest K that BIC may choose; 30 if absent.
    #[serde(default = "default_max", skip_serializing_if = "is_default_max")]
    pub max_components: usize,
    /// How the components start.
    #[serde(default)]
    pub init: MixtureInit,
    /// `init = "random"`: standard deviation that the means are drawn with.
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

fn default_max() -> usize {
    30
}

fn is_default_max(max: &usize) -> bool {
    *max == default_max()
}

fn default_spread() -> f64 {
    1.0
}

fn default_std() -> f64 {
    0.5
}

impl Settings for MixtureSpec {
    fn check(&self) -> Result<(), BadValue> {
        match (self.components, self.init) {
            (Count::Given(k), _) => BadValue::within("components", k, 1, 100_000)?,
            (Count::Bic, MixtureInit::Data) => {}
            (Count::Bic, MixtureInit::Random) => {
                let expected =
                    "a number with `init = \"random\"`, since BIC compares fits to training \
                                points (try `init = \"data\"`)";
                return Err(BadValue::new("components", expected, "\"bic\""));
            }
        }
        BadValue::within("max_components", self.max_components, 1, 1000)?;
        let fine = (0.0..=1e6).contains(&self.spread);
        BadValue::unless(fine, "spread", "0 <= `spread` <= 1e6", self.spread)?;
        let fine = (1e-6..=1e6).contains(&self.std);
        BadValue::unless(fine, "std", "1e-6 <= `std` <= 1e6", self.std)?;
        self.draws.check().map_err(|e| e.below("draws"))
    }

    fn extent(&self, dim: usize, drawn: Option<usize>) -> Extent {
        let most = self.components.given().unwrap_or(self.max_components);
        let (k, d) = (most as f64, dim as f64);
        let terms = match (&self.draws, drawn) {
            (MixtureDraws::GumbelSoftmax(relaxed), Some(batch)) => relaxed.density.terms(batch),
            _ => 0,
        };
        Extent {
            parameters: k * (2.0 * d + 1.0),
            // Differences to every mean and their squares; of every nested term its weights and its
            // differences.
            per_point: 2.0 * k * d + terms as f64 * (k + 2.0 * d),
        }
    }

    fn build(
        &self,
        params: &Params,
        dim: usize,
        points: Option<&Tensor>,
    ) -> Result<Box<dyn Distribution>> {
        Ok(Box::new(Mixture::new(params, dim, self, points)?))
    }

    fn entropy_bound(&self) -> EntropyBound {
        self.draws.entropy_bound()
    }
}

/// p(z) = sum_k alpha_k N(z; mu_k, diag sigma_k^2), with alpha = softmax(logits) and log sigma as
/// the parameter. log p is a log-sum-exp over the components.
pub struct Mixture {
    logits: Tensor,
    means: Tensor,
    log_stds: Tensor,
    components: usize,
    dim: usize,
    frozen: Vec<MixturePart>,
    draws: MixtureDraws,
}

impl Mixture {
    /// K components over `dim` coordinates. With `init = "data"` they start as EM fits them to `points`
    /// (n, dim).
    pub fn new(
        params: &Params,
        dim: usize,
        spec: &MixtureSpec,
        points: Option<&Tensor>,
    ) -> Result<Self> {
        let Start {
            logits,
            means,
            log_stds,
        } = match (params.is_loading(), spec.init) {
            (true, _) => Start::default(),
            (false, MixtureInit::Random) => {
                let k = spec.components.given().unwrap_or_default();
                Start::random(dim, k, spec, params.stream("means")?)?
            }
            (false, MixtureInit::Data) => {
                let points = points.ok_or_else(|| {
                    Error::request(
                        "mixture: expected training points for `init = \"data\"`; got none (try \
                         `init = \"random\"`)",
                    )
                })?;
                Start::from_points(&num::to_vec(points)?, dim, spec, params)?
            }
        };
        let param = |name: &str, part, shape: (usize, usize), values: Vec<f64>| {
            params.param(name, shape, !spec.frozen.contains(&part), |_| {
                Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
            })
        };
        let (logits, k) = match spec.components {
            Count::Given(k) => (param("logits", MixturePart::Weights, (1, k), logits)?, k),
            Count::Bic => {
                let is_trained = !spec.frozen.contains(&MixturePart::Weights);
                let logits = params.any_shape("logits", is_trained, |_| {
                    num::from_rows(&logits, logits.len(), DType::F64, &Device::Cpu)
                })?;
                let k = logits.elem_count();
                (logits, k)
            }
        };
        Ok(Self {
            logits,
            means: param("means", MixturePart::Means, (k, dim), means)?,
            log_stds: param("log_stds", MixturePart::StdDevs, (k, dim), log_stds)?,
            components: k,
            dim,
            frozen: spec.frozen.clone(),
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

    /// mu_k + sigma_k omega for given components and fresh noise omega, without gradients: with
    /// tensors, gathering rows takes several times as long as drawing the noise.
    fn place_on_host<T: WithDType>(&self, component: &[usize], rng: &mut Rng) -> Result<Tensor> {
        let host = |x: &Tensor| -> Result<Vec<T>> {
            Ok(x.detach()
                .flatten_all()?
                .to_device(&Device::Cpu)?
                .to_vec1()?)
        };
        let (means, stds) = (host(&self.means)?, host(&self.log_stds.exp()?)?);
        let mut x = Vec::with_capacity(component.len() * self.dim);
        for i in component
            .iter()
            .flat_map(|k| k * self.dim..(k + 1) * self.dim)
        {
            x.push(means[i] + stds[i] * T::from_f64(rng.normal()));
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

    /// x = mu_k + sigma_k omega for given components k and fresh noise omega, log p(x), and
    /// log alpha_k (n,), all with gradients.
    fn placed(&self, component: Vec<u32>, rng: &mut Rng) -> Result<[Tensor; 3]> {
        let n = component.len();
        let component = Tensor::from_vec(component, n, self.means.device())?;
        let noise = self.noise(n, rng)?;
        let means = self.means.index_select(&component, 0)?;
        let stds = self.log_stds.index_select(&component, 0)?.exp()?;
        let x = (means + (stds * noise)?)?;
        let log_prob = self.log_prob(&x)?;
        let log_alpha = self
            .log_weights()?
            .squeeze(0)?
            .index_select(&component, 0)?;
        Ok([x, log_prob, log_alpha])
    }

    /// A fixed number n_k of samples from every component, near n alpha_k and at least two, each
    /// weighted alpha_k / n_k. Unbiased for weights, means and standard deviations, with little
    /// variance for weights and means.
    fn stratified(&self, n: usize, rng: &mut Rng) -> Result<Draws> {
        let counts: Vec<usize> = num::to_vec(&self.log_weights()?)?
            .into_iter()
            .map(|w| ((w.exp() * n as f64).ceil() as usize).max(2))
            .collect();
        let (mut component, mut shares) = (Vec::new(), Vec::new());
        for (k, &count) in counts.iter().enumerate() {
            component.extend(std::iter::repeat_n(k as u32, count));
            shares.extend(std::iter::repeat_n(-(count as f64).ln(), count));
        }
        let (dtype, device) = (self.means.dtype(), self.means.device());
        let shares = num::from_rows(&shares, 1, dtype, device)?.squeeze(1)?;
        let [x, log_prob, log_alpha] = self.placed(component, rng)?;
        Ok(Draws {
            x,
            log_prob,
            log_weight: (log_alpha + shares)?,
            strata: Some(counts),
        })
    }

    /// Components drawn by their weights; means and standard deviations act through x, the weights
    /// through the score of log alpha_k.
    fn scored(&self, n: usize, rng: &mut Rng) -> Result<Draws> {
        let component = self.draw_components(n.max(2), rng)?.into_iter();
        let component = component.map(|k| k as u32).collect();
        let [x, log_prob, log_alpha] = self.placed(component, rng)?;
        Draws::scored(x, log_prob, &log_alpha)
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

    /// Frozen parts keep their values.
    fn set_components(&self, to: &Components) -> Result<()> {
        let logs = |values: &[f64]| values.iter().map(|v| v.ln()).collect();
        let new = [
            (MixturePart::Weights, &self.logits, logs(&to.weights)),
            (MixturePart::Means, &self.means, to.means.clone()),
            (MixturePart::StdDevs, &self.log_stds, logs(&to.std_devs)),
        ];
        for (part, parameter, values) in new {
            if self.frozen.contains(&part) {
                continue;
            }
            let value = Tensor::from_vec(values, parameter.shape(), &Device::Cpu)?
                .to_dtype(parameter.dtype())?
                .to_device(parameter.device())?;
            // The parameter itself, not a copy.
            Var::from_tensor(parameter)?.set(&value)?;
        }
        Ok(())
    }

    fn kernel(&self) -> Option<mdn_kernels::Base<Tensor>> {
        Some(mdn_kernels::Base::Mixture {
            logits: self.logits.clone(),
            means: self.means.clone(),
            log_stds: self.log_stds.clone(),
        })
    }
}
