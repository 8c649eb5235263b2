//! The normal distribution, resampled with learned acceptance (Stimper, Schölkopf and
//! Hernández-Lobato 2022, arXiv:2110.15828; after Bauer and Mnih 2019).

use std::sync::{Mutex, PoisonError};

use candle_core::{DType, Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::nodes::{Fineness, Nodes};
use super::{Distribution, Draws};
use crate::error::BadValue;
use crate::nn::mlp::{check_hidden, Activation, LastLayer, Mlp};
use crate::nn::Params;
use crate::num::{self, LN_2PI};
use crate::rng::Rng;
use crate::Result;

#[cfg(test)]
mod tests;

/// `base.resampled = { hidden = [128, 128], truncation = 100 }`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ResampledSpec {
    /// Widths of the acceptance network's hidden layers.
    pub hidden: Vec<usize>,
    /// Its nonlinearity.
    pub activation: Activation,
    /// T: the proposal that is accepted whatever the network says.
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

impl ResampledSpec {
    pub(super) fn check(&self) -> std::result::Result<(), BadValue> {
        check_hidden(&self.hidden)?;
        BadValue::unless(
            (2..=1_000_000).contains(&self.truncation),
            "truncation",
            "2 <= `truncation` <= 1000000",
            self.truncation,
        )
    }
}

/// p(z) = pi(z) ((1 - alpha) a(z) / Z + alpha) with pi = N(0, I), the acceptance a(z) = sigmoid of a
/// network, Z = E_pi\[a\] and alpha = (1 - Z)^(T - 1): what is left of proposals from pi when each is
/// accepted with probability a and the T-th in any case.
///
/// Z is a mean over nodes of a quadrature rule, not over random proposals as in the paper: the density that a
/// model is judged by has one and the same Z to at least four digits in one and two dimensions and to
/// about a percent in more, so its mass is one. In training every step takes other, fewer nodes under
/// a random shift; a network cannot learn where they lie, and no moving average is needed.
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

    /// Z with gradients, a scalar.
    fn mass(&self, nodes: &Nodes) -> Result<Tensor> {
        let a = self.log_acceptance(&nodes.nodes)?.exp()?;
        Ok((a.unsqueeze(1)? * &nodes.weights)?.sum_all()?)
    }

    fn nodes(&self, fineness: Fineness, shift: Option<&mut Rng>) -> Result<Nodes> {
        Nodes::new(self.dim, fineness, shift, self.dtype, &self.device)
    }

    /// Z as exactly as it is known, without gradients. It is kept for as long as the parameters stay
    /// what they are.
    fn exact_mass(&self) -> Result<f64> {
        let mut now = Vec::new();
        for tensor in self.network.parameters() {
            now.extend(num::to_vec(tensor)?);
        }
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, mass)) = known().as_ref().filter(|(then, _)| *then == now) {
            return Ok(*mass);
        }
        let nodes = self.nodes(Fineness::Judgement, None)?;
        let rows = num::rows_at_once(&self.device);
        let a = num::in_chunks(&nodes.nodes, rows, |z| {
            Ok(self.log_acceptance(z)?.exp()?.detach())
        })?;
        let (a, weights) = (num::to_vec(&a)?, num::to_vec(&nodes.weights)?);
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
        // In logarithms: alpha is below the smallest number for any Z worth having.
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
        let coarse = self.mass(&self.nodes(Fineness::Step, None)?)?;
        let mass = ((&coarse - coarse.detach())? + exact)?;
        num::in_chunks(z, num::rows_at_once(z.device()), |z| {
            self.log_prob_with(z, &mass)
        })
    }

    fn estimate_log_prob(&self, z: &Tensor, rng: &mut Rng) -> Result<Tensor> {
        let nodes = self.nodes(Fineness::Step, Some(rng))?;
        self.log_prob_with(z, &self.mass(&nodes)?)
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
        let chance = log_prob.clone();
        Draws::scored(z, log_prob, &chance)
    }
}
