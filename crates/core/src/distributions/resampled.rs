//! The normal distribution, resampled with learned acceptance (Stimper, Schölkopf and
//! Hernández-Lobato 2022, arXiv:2110.15828; after Bauer and Mnih 2019).

use std::sync::{Mutex, PoisonError};

use candle_core::{DType, Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::nodes::nodes;
use super::{Distribution, Draws, Settings};
use crate::error::BadValue;
use crate::nn::mlp::{check_hidden, Activation, LastLayer, Mlp};
use crate::nn::{Extent, Params};
use crate::num::{self, LN_2PI};
use crate::rng::Rng;
use crate::Result;

/// `base.resampled = { hidden = [128, 128], truncation = 100 }`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ResampledSpec {
    /// Widths of the acceptance network's hidden layers.
    pub hidden: Vec<usize>,
    /// Its nonlinearity.
    pub activation: Activation,
    /// T: proposal number T is always accepted.
    pub truncation: usize,
}

impl Default for ResampledSpec {
    fn default() -> Self {
        Self {
            hidden: vec![128, 128],
            activation: Activation::default(),
            truncation: 100,
        }
    }
}

impl Settings for ResampledSpec {
    fn check(&self) -> Result<(), BadValue> {
        check_hidden(&self.hidden)?;
        BadValue::within("truncation", self.truncation, 2, 1_000_000)
    }

    fn extent(&self, dim: usize, _drawn: Option<usize>) -> Extent {
        Extent::net(dim as f64, &self.hidden, 1.0)
    }

    fn build(
        &self,
        params: &Params,
        dim: usize,
        _points: Option<&Tensor>,
    ) -> Result<Box<dyn Distribution>> {
        Ok(Box::new(Resampled::new(params, dim, self)?))
    }
}

/// p(z) = pi(z) ((1 - alpha) a(z) / Z + alpha) with pi = N(0, I), the acceptance a(z) = sigmoid of a
/// network, Z = E_pi\[a\] and alpha = (1 - Z)^(T - 1): the distribution of proposals from pi of which
/// each is accepted with probability a, and the T-th always.
///
/// Z is computed by quadrature, not from random proposals as in the paper: the density used for
/// evaluation has a fixed Z, exact to at least four digits in one and two dimensions and to about a
/// percent in more, so that its mass is one. Training uses fewer nodes with a new random shift in
/// every step: the network cannot adapt to them, and no moving average is needed.
pub struct Resampled {
    network: Mlp,
    truncation: usize,
    dim: usize,
    dtype: DType,
    device: Device,
    /// The parameters for which ln Z was computed, and its value.
    known: Mutex<Option<(Vec<f64>, f64)>>,
}

impl Resampled {
    /// Over `dim` coordinates. The network starts at a = 1/2 everywhere, so that p = pi.
    pub fn new(params: &Params, dim: usize, spec: &ResampledSpec) -> Result<Self> {
        let network = Mlp::new(
            &params.at("acceptance"),
            dim,
            &spec.hidden,
            spec.activation,
            LastLayer::zero(1),
        )?;
        Ok(Self {
            network,
            truncation: spec.truncation,
            dim,
            dtype: params.dtype(),
            device: params.device(),
            known: Mutex::new(None),
        })
    }

    /// ln a(z), (n,).
    fn log_acceptance(&self, z: &Tensor) -> Result<Tensor> {
        let logit = self.network.forward(z)?.squeeze(1)?;
        Ok(num::softplus(&logit.neg()?)?.neg()?)
    }

    fn nodes(&self, fine: bool, shift: Option<&mut Rng>) -> Result<[Tensor; 2]> {
        nodes(self.dim, fine, shift, self.dtype, &self.device)
    }

    /// Z by the nodes of a step, with gradients, a scalar.
    fn mass(&self, shift: Option<&mut Rng>) -> Result<Tensor> {
        let [nodes, weights] = self.nodes(false, shift)?;
        let a = self.log_acceptance(&nodes)?.exp()?;
        Ok((a.unsqueeze(1)? * weights)?.sum_all()?)
    }

    /// Z by the fine rule, without gradients; cached until the parameters change.
    fn exact_mass(&self) -> Result<f64> {
        let mut now = Vec::new();
        for tensor in self.network.parameters() {
            now.extend(num::to_vec(tensor)?);
        }
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, mass)) = known().as_ref().filter(|(then, _)| *then == now) {
            return Ok(*mass);
        }
        let [nodes, weights] = self.nodes(true, None)?;
        let rows = num::rows_at_once(&self.device);
        let a = num::in_chunks(&nodes, rows, |z| {
            Ok(self.log_acceptance(z)?.exp()?.detach())
        })?;
        let (a, weights) = (num::to_vec(&a)?, num::to_vec(&weights)?);
        let mass = a.iter().zip(&weights).map(|(a, w)| a * w).sum::<f64>();
        // Weights are rounded to the tensors' format.
        let mass = mass / weights.iter().sum::<f64>();
        *known() = Some((now, mass));
        Ok(mass)
    }

    /// log p(z) with Z as the scalar `mass`.
    fn log_prob_with(&self, z: &Tensor, mass: &Tensor) -> Result<Tensor> {
        num::expect_points("resampled", z, self.dim)?;
        let log_pi = num::row_sum(&z.sqr()?)?.affine(-0.5, -0.5 * LN_2PI * self.dim as f64)?;
        let mass = mass.clamp(1e-6, 1.0 - 1e-6)?;
        // In logarithms: alpha underflows for any useful Z.
        let log_alpha = (mass.affine(-1.0, 1.0)?.log()? * (self.truncation - 1) as f64)?;
        let log_rest = log_alpha.exp()?.affine(-1.0, 1.0)?.log()?;
        let accepted = self
            .log_acceptance(z)?
            .broadcast_add(&(log_rest - mass.log()?)?)?;
        // ln(e^a + e^b) = b + softplus(a - b)
        let above = accepted.broadcast_sub(&log_alpha)?;
        let either = num::softplus(&above)?.broadcast_add(&log_alpha)?;
        Ok((log_pi + either)?)
    }
}

impl Distribution for Resampled {
    fn dim(&self) -> usize {
        self.dim
    }

    /// The value is that of the exact Z, its gradient that of a coarser rule.
    fn log_prob(&self, z: &Tensor) -> Result<Tensor> {
        let exact = self.exact_mass()?;
        let coarse = self.mass(None)?;
        let mass = ((&coarse - coarse.detach())? + exact)?;
        num::in_chunks(z, num::rows_at_once(z.device()), |z| {
            self.log_prob_with(z, &mass)
        })
    }

    fn estimate_log_prob(&self, z: &Tensor, rng: &mut Rng) -> Result<Tensor> {
        self.log_prob_with(z, &self.mass(Some(rng))?)
    }

    fn sample(&self, n: usize, rng: &mut Rng) -> Result<Tensor> {
        let mut rows = vec![0.0; n * self.dim];
        let mut waiting: Vec<usize> = (0..n).collect();
        for round in 1..=self.truncation {
            if waiting.is_empty() {
                break;
            }
            let z = rng.normal_tensor((waiting.len(), self.dim), self.dtype, &self.device)?;
            let log_a = num::in_chunks(&z, num::rows_at_once(&self.device), |z| {
                Ok(self.log_acceptance(z)?.detach())
            })?;
            let (proposed, log_a) = (num::to_vec(&z)?, num::to_vec(&log_a)?);
            let mut still = Vec::new();
            for ((i, z), log_a) in waiting.iter().zip(proposed.chunks(self.dim)).zip(log_a) {
                if round == self.truncation || rng.uniform().ln() < log_a {
                    rows[i * self.dim..(i + 1) * self.dim].copy_from_slice(z);
                } else {
                    still.push(*i);
                }
            }
            waiting = still;
        }
        num::from_rows(&rows, self.dim, self.dtype, &self.device)
    }

    /// Accepted proposals have no path to the network: its gradient is the score of log p.
    fn draws(&self, n: usize, _progress: f64, rng: &mut Rng) -> Result<Draws> {
        let z = self.sample(n.max(2), rng)?;
        let log_prob = self.log_prob(&z)?;
        Draws::scored(z, log_prob.clone(), &log_prob)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::num::testing::{tensor, values};

    /// a(z) = sigmoid(w z + b) in one dimension, a network without hidden layers.
    fn logistic(w: f64, b: f64, truncation: usize) -> Resampled {
        let params = Params::holding([
            ("acceptance.out.weight", tensor(&[w], 1)),
            ("acceptance.out.bias", tensor(&[b], 1)),
        ]);
        let spec = ResampledSpec {
            hidden: Vec::new(),
            truncation,
            ..ResampledSpec::default()
        };
        Resampled::new(&params, 1, &spec).unwrap()
    }

    /// By symmetry E\[sigmoid(w z)\] = 1/2 for every w, so with b = 0 all is known:
    /// p(z) = pi(z) ((1 - alpha) 2 sigmoid(w z) + alpha), alpha = 2^-(T - 1).
    #[test]
    fn a_logistic_acceptance_by_hand() {
        for truncation in [2, 5, 100] {
            for w in [0.5, 3.0, 40.0] {
                let p = logistic(w, 0.0, truncation);
                let alpha = 0.5f64.powi(truncation as i32 - 1);
                let z = [-3.0, -0.1, 0.0, 0.4, 2.0];
                let x = tensor(&z, 1);
                let got = values(&p.log_prob(&x).unwrap());
                let estimate = values(&p.estimate_log_prob(&x, &mut Rng::new(1)).unwrap());
                for ((z, got), estimate) in z.iter().zip(got).zip(estimate) {
                    let a = 1.0 / (1.0 + (-w * z).exp());
                    let pi = -0.5 * (z * z + LN_2PI);
                    let want = pi + ((1.0 - alpha) * 2.0 * a + alpha).ln();
                    assert!(
                        (got - want).abs() < 1e-6,
                        "{truncation} {w} {z}: {got}, {want}"
                    );
                    assert!(
                        (estimate - want).abs() < 2e-2,
                        "{truncation} {w} {z}: {estimate}"
                    );
                }
            }
        }
    }

    fn seeded(dim: usize) -> (Params, Resampled) {
        let params = Params::seeded(Rng::new(3), DType::F64, &Device::Cpu);
        let spec = ResampledSpec {
            hidden: vec![32, 32],
            ..ResampledSpec::default()
        };
        let p = Resampled::new(&params, dim, &spec).unwrap();
        (params, p)
    }

    /// ln Z is computed again when the network has changed, and only then.
    #[test]
    fn the_mass_follows_the_parameters() {
        let (params, p) = seeded(2);
        assert!((p.exact_mass().unwrap() - 0.5).abs() < 1e-12);
        params.perturb(0.3, &mut Rng::new(4));
        let moved = p.exact_mass().unwrap();
        assert!((moved - 0.5).abs() > 1e-3, "{moved}");
        *p.known.lock().unwrap() = None;
        assert_eq!(p.exact_mass().unwrap(), moved);
    }

    /// The estimate of a step is unbiased: its mean over the shifts is Z.
    #[test]
    fn a_steps_mass_is_unbiased() {
        for dim in [2, 4] {
            let (params, p) = seeded(dim);
            params.perturb(0.3, &mut Rng::new(4));
            let exact = p.exact_mass().unwrap();
            let rng = &mut Rng::new(5);
            let masses: Vec<f64> = (0..60)
                .map(|_| values(&p.mass(Some(rng)).unwrap())[0])
                .collect();
            let (mean, std_err) = num::mean_and_std_err(masses.iter().copied());
            let (spread, known) = (std_err * 60f64.sqrt(), if dim == 2 { 1e-4 } else { 2e-3 });
            assert!(
                ((mean - exact) / exact).abs() < known + 4.0 * std_err,
                "{mean} {exact}"
            );
            assert!(spread < 0.05 * exact, "{dim}: {spread}");
        }
    }
}
