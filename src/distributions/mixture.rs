//! A mixture of diagonal Gaussians with trainable weights, means and standard deviations.

use candle_core::{DType, Device, Tensor, WithDType};

use super::{Distribution, Draws, MixtureInit, MixturePart, MixtureSpec};
use crate::kernels;
use crate::kmeans::kmeans;
use crate::nn::Params;
use crate::num::{self, LN_2PI};
use crate::rng::Rng;
use crate::{Error, Result};

/// p(z) = sum_k alpha_k N(z; mu_k, diag sigma_k^2), with alpha = softmax(logits) and log sigma as
/// the parameter. log p is a log-sum-exp over the components.
pub struct Mixture {
    logits: Tensor,
    means: Tensor,
    log_stds: Tensor,
    components: usize,
    dim: usize,
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
            logits: params.get("logits", (1, k), trained(MixturePart::Weights), |_| {
                tensor(logits, (1, k))
            })?,
            means: params.get(
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
            log_stds: params.get("log_stds", (k, dim), trained(MixturePart::StdDevs), |_| {
                tensor(log_stds, (k, dim))
            })?,
            components: k,
            dim,
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

    /// r_k(z) = alpha_k N_k(z) / p(z): (n, K), rows that sum to one.
    pub fn responsibilities(&self, z: &Tensor) -> Result<Tensor> {
        Ok(num::log_softmax(&self.log_joint(z)?)?.exp()?)
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

    fn noise(&self, n: usize, rng: &mut Rng) -> Result<Tensor> {
        rng.normal_tensor((n, self.dim), self.means.dtype(), self.means.device())
    }
}

struct Start {
    logits: Vec<f64>,
    means: Option<Vec<f64>>,
    log_stds: Vec<f64>,
}

impl Start {
    fn from_points(points: &[f64], dim: usize, k: usize, rng: &Rng) -> Self {
        let clusters = kmeans(points, dim, k, 10, rng);
        let found = clusters.len();
        let n = clusters.labels.len() as f64;
        let mut squares = vec![0.0; k * dim];
        for (&label, point) in clusters.labels.iter().zip(points.chunks_exact(dim)) {
            for (d, v) in point.iter().enumerate() {
                squares[label * dim + d] += (v - clusters.centres[label * dim + d]).powi(2);
            }
        }
        let mut noise = rng.fork("twins");
        let sizes = clusters.sizes();
        let overall = (clusters.inertia / (n * dim as f64)).sqrt().max(1e-3);
        let mut start = Self {
            logits: Vec::with_capacity(k),
            means: Some(Vec::with_capacity(k * dim)),
            log_stds: Vec::with_capacity(k * dim),
        };
        for c in 0..k {
            // Fewer distinct points than components: the rest double existing clusters.
            let of = if found > 0 { c % found } else { 0 };
            let size = sizes.get(of).copied().unwrap_or(0) as f64;
            start.logits.push(((size + 1.0) / (n + k as f64)).ln());
            for d in 0..dim {
                let i = of * dim + d;
                let centre = clusters.centres.get(i).copied().unwrap_or(0.0);
                // A cluster of one or two points must not start as a spike.
                let std = (squares[i] / size.max(1.0)).sqrt().max(0.1 * overall);
                // Twins in the same place would have the same gradient and never part.
                let apart = if c < found {
                    0.0
                } else {
                    0.1 * std * noise.normal()
                };
                if let Some(means) = &mut start.means {
                    means.push(centre + apart);
                }
                start.log_stds.push(std.ln());
            }
        }
        start
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
        let weights: Vec<f64> = num::to_vec(&self.log_weights()?)?
            .into_iter()
            .map(f64::exp)
            .collect();
        let component: Vec<usize> = (0..n).map(|_| rng.categorical(&weights)).collect();
        let x = match self.means.dtype() {
            DType::F32 => self.place_on_host::<f32>(&component, rng)?,
            _ => self.place_on_host::<f64>(&component, rng)?,
        };
        Ok(x.to_device(self.means.device())?)
    }

    /// Stratified: a fixed number n_k of samples from every component, near n alpha_k and at least
    /// two, each weighted alpha_k / n_k. Unbiased for weights, means and standard deviations, with
    /// little variance for weights and means (measured against score-function, implicit and
    /// enumerated estimators).
    fn draws(&self, n: usize, _progress: f64, rng: &mut Rng) -> Result<Draws> {
        let log_weights = self.log_weights()?;
        let counts: Vec<usize> = num::to_vec(&log_weights)?
            .into_iter()
            .map(|w| ((w.exp() * n as f64).ceil() as usize).max(2))
            .collect();
        let component: Vec<u32> = counts
            .iter()
            .enumerate()
            .flat_map(|(k, &count)| std::iter::repeat_n(k as u32, count))
            .collect();
        let total = component.len();
        let shares: Vec<f64> = component
            .iter()
            .map(|&k| -(counts[k as usize] as f64).ln())
            .collect();
        let component = Tensor::from_vec(component, total, self.means.device())?;
        let shares = Tensor::from_vec(shares, total, &Device::Cpu)?
            .to_dtype(self.means.dtype())?
            .to_device(self.means.device())?;
        let noise = self.noise(total, rng)?;
        let x = self.place(&component, &noise)?;
        let log_prob = self.log_prob(&x)?;
        let log_weight = (log_weights.squeeze(0)?.index_select(&component, 0)? + shares)?;
        Ok(Draws {
            x,
            log_prob,
            log_weight,
            strata: Some(counts),
        })
    }

    fn part(&self, z: &Tensor) -> Result<Option<Vec<u64>>> {
        let best = self.log_joint(z)?.argmax(1)?.to_vec1::<u32>()?;
        Ok(Some(best.into_iter().map(u64::from).collect()))
    }

    fn kernel(&self) -> Option<kernels::Base<Tensor>> {
        Some(kernels::Base::Mixture {
            logits: self.logits.clone(),
            means: self.means.clone(),
            log_stds: self.log_stds.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Var;
    use serde_json::Value;

    fn rows(v: &Value) -> Vec<f64> {
        match v {
            Value::Array(items) => items.iter().flat_map(rows).collect(),
            other => vec![other.as_f64().unwrap()],
        }
    }

    fn spec(components: usize) -> MixtureSpec {
        MixtureSpec {
            components,
            init: MixtureInit::Data,
            spread: 1.0,
            std: 1.0,
            frozen: Vec::new(),
        }
    }

    /// tests/reference/mog.json: mpmath with 50 digits, checked with torch 2.15.0; tolerances as
    /// stated there.
    #[test]
    fn golden_values() {
        let file: Value =
            serde_json::from_str(include_str!("../../tests/reference/mog.json")).unwrap();
        let mut faults = Vec::new();
        for case in file["log_prob_cases"].as_array().unwrap() {
            let tag = case["tag"].as_str().unwrap();
            let k = case["logits"].as_array().unwrap().len();
            let dim = case["z"].as_array().unwrap().len();
            let tensor = |key: &str, shape: (usize, usize)| {
                Tensor::from_vec(rows(&case[key]), shape, &Device::Cpu).unwrap()
            };
            let values = [
                ("logits", tensor("logits", (1, k))),
                ("means", tensor("mu", (k, dim))),
                ("log_stds", tensor("log_sigma", (k, dim))),
            ];
            let params = Params::from_tensors(
                values.into_iter().map(|(n, t)| (n.to_owned(), t)).collect(),
                DType::F64,
                &Device::Cpu,
            );
            let mixture = Mixture::new(&params, dim, &spec(k), None).unwrap();
            let z = Var::from_tensor(&tensor("z", (1, dim))).unwrap();
            let log_prob = mixture.log_prob(z.as_tensor()).unwrap();
            let gradients = log_prob.sum_all().unwrap().backward().unwrap();
            let mut check = |key: &str, got: &Tensor, tolerance: f64| {
                let expected = rows(&case[key]);
                let got = num::to_vec(got).unwrap();
                let size = expected.iter().fold(1.0f64, |m, v| m.max(v.abs()));
                for (g, e) in got.iter().zip(&expected) {
                    if !((g - e).abs() <= tolerance * size) {
                        faults.push(format!("{tag} {key}: {g} against {e}"));
                    }
                }
            };
            check("log_prob", &log_prob, 1e-12);
            let responsibilities = mixture.responsibilities(z.as_tensor()).unwrap();
            check("responsibilities", &responsibilities, 1e-11);
            check("grad_z", gradients.get(z.as_tensor()).unwrap(), 1e-11);
            for (name, var) in params.trainable() {
                let key = match name.as_str() {
                    "logits" => "grad_logits",
                    "means" => "grad_mu",
                    _ => "grad_log_sigma",
                };
                check(key, gradients.get(var.as_tensor()).unwrap(), 1e-11);
            }
        }
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }

    #[test]
    fn data_initialisation_finds_the_modes() {
        let mut rng = Rng::new(2);
        let modes = [(-4.0, 0.5), (0.0, 0.3), (5.0, 0.6)];
        let mut points = Vec::new();
        for i in 0..3000 {
            let (mean, std) = modes[(i % 4).min(2)];
            points.push(mean + std * rng.normal());
        }
        let points = num::from_rows(&points, 1, DType::F64, &Device::Cpu).unwrap();
        let params = Params::seeded(Rng::new(0), DType::F64, &Device::Cpu);
        let mixture = Mixture::new(&params, 1, &spec(3), Some(&points)).unwrap();
        let weights = num::to_vec(&mixture.log_weights().unwrap().exp().unwrap()).unwrap();
        let means = num::to_vec(&mixture.means).unwrap();
        let stds = num::to_vec(&mixture.log_stds.exp().unwrap()).unwrap();
        let mut found: Vec<_> = (0..3).map(|k| (means[k], stds[k], weights[k])).collect();
        found.sort_by(|a, b| a.0.total_cmp(&b.0));
        for ((mean, std, weight), (m, s)) in found.iter().zip(modes) {
            let share = if m == 5.0 { 0.5 } else { 0.25 };
            assert!((mean - m).abs() < 0.15, "{found:?}");
            assert!((std / s - 1.0).abs() < 0.2, "{found:?}");
            assert!((weight - share).abs() < 0.02, "{found:?}");
        }
        let none = Params::seeded(Rng::new(0), DType::F64, &Device::Cpu);
        assert!(Mixture::new(&none, 1, &spec(3), None).is_err());
    }

    #[test]
    fn frozen_parts_are_not_trained() {
        let params = Params::seeded(Rng::new(0), DType::F64, &Device::Cpu);
        let mut spec = spec(3);
        spec.init = MixtureInit::Random;
        spec.frozen = vec![MixturePart::Means, MixturePart::Weights];
        Mixture::new(&params, 2, &spec, None).unwrap();
        let names: Vec<String> = params.trainable().into_iter().map(|(n, _)| n).collect();
        assert_eq!(names, ["log_stds"]);
    }
}
