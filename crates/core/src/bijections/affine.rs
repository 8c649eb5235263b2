//! Scale and shift: of every coordinate on its own, and as a transformer.

use candle_core::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::coupling::Coupling;
use super::permutation::Order;
use super::stack::{Kind, Mixing, Stack};
use super::{built, constant_log_det, Bijection, Built, Settings, Transformer};
use crate::error::BadValue;
use crate::nn::mlp::Activation;
use crate::nn::{Extent, Params};
use crate::{num, Error, Result};

/// How an elementwise layer starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ElementwiseInit {
    /// Scale 1, shift 0.
    #[default]
    Identity,
    /// Scale and shift that give the training points mean 0 and variance 1 on the base side
    /// (actnorm, Kingma and Dhariwal 2018).
    Data,
}

/// `elementwise = { init = "data" }`
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ElementwiseSpec {
    /// How it starts.
    pub init: ElementwiseInit,
}

impl Settings for ElementwiseSpec {
    fn extent(&self, dim: usize) -> Extent {
        Extent::layer(dim, 2.0 * dim as f64)
    }

    fn build(&self, params: &Params, dim: usize, points: Option<Tensor>) -> Result<Built> {
        let layer = match (self.init, &points) {
            (ElementwiseInit::Data, Some(points)) => {
                Elementwise::from_points(params, points, None, true)?
            }
            (ElementwiseInit::Data, None) if !params.is_loading() => {
                return Err(Error::request(
                    "elementwise: expected training points for `init = \"data\"`; got none",
                ))
            }
            _ => Elementwise::identity(params, dim)?,
        };
        built(layer, points)
    }
}

/// A scale and a shift for every coordinate (actnorm when it starts from the data: Kingma and
/// Dhariwal 2018).
///
/// - forward: x = z e^s + t
/// - its log-det: sum_d s_d
/// - inverse: z = (x - t) e^-s
/// - its log-det: -sum_d s_d
pub struct Elementwise {
    log_scale: Tensor,
    shift: Tensor,
}

impl Elementwise {
    /// Starts as the identity; trainable.
    pub fn identity(params: &Params, dim: usize) -> Result<Self> {
        Self::start_at(params, true, vec![0.0; dim], vec![0.0; dim])
    }

    /// Starts so that `points` (n, dim) have mean 0 and variance 1 on the base side. A coordinate
    /// that is the same in all of them gets the scale of `whole`, points (m, dim) that contain
    /// these, and is only shifted if it is constant there too.
    pub fn from_points(
        params: &Params,
        points: &Tensor,
        whole: Option<&Tensor>,
        trainable: bool,
    ) -> Result<Self> {
        let (_, dim) = points.dims2()?;
        let moments = num::moments(&num::to_vec(points)?, dim);
        let usable = |std: &f64| *std > 0.0 && std.is_finite();
        let mut stds: Vec<f64> = moments.iter().map(|(_, std)| *std).collect();
        if let (Some(whole), false) = (whole, stds.iter().all(usable)) {
            let around = num::moments(&num::to_vec(whole)?, dim);
            for (std, (_, around)) in stds.iter_mut().zip(around) {
                *std = if usable(std) { *std } else { around };
            }
        }
        let log_scale = |std: &f64| if usable(std) { std.ln() } else { 0.0 };
        let log_stds = stds.iter().map(log_scale).collect();
        let means = moments.into_iter().map(|(mean, _)| mean).collect();
        Self::start_at(params, trainable, log_stds, means)
    }

    /// Starts at these s and t, one per coordinate.
    fn start_at(
        params: &Params,
        trainable: bool,
        log_scale: Vec<f64>,
        shift: Vec<f64>,
    ) -> Result<Self> {
        let row = |name: &str, values: Vec<f64>| {
            let shape = (1, values.len());
            params.param(name, shape, trainable, |_| {
                Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
            })
        };
        Ok(Self {
            log_scale: row("log_scale", log_scale)?,
            shift: row("shift", shift)?,
        })
    }
}

impl Bijection for Elementwise {
    fn dim(&self) -> usize {
        self.shift.elem_count()
    }

    fn forward_and_log_det(&self, z: &Tensor) -> Result<(Tensor, Tensor)> {
        let n = num::expect_points("elementwise", z, self.dim())?;
        let x = z
            .broadcast_mul(&self.log_scale.exp()?)?
            .broadcast_add(&self.shift)?;
        Ok((x, constant_log_det(&self.log_scale, n, 1.0)?))
    }

    fn inverse_and_log_det(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let n = num::expect_points("elementwise", x, self.dim())?;
        let z = x
            .broadcast_sub(&self.shift)?
            .broadcast_mul(&self.log_scale.neg()?.exp()?)?;
        Ok((z, constant_log_det(&self.log_scale, n, -1.0)?))
    }

    fn kernel(&self) -> Option<Vec<mdn_kernels::Layer<Tensor>>> {
        Some(vec![mdn_kernels::Layer::Elementwise {
            log_scale: self.log_scale.clone(),
            shift: self.shift.clone(),
        }])
    }
}

/// A fixed layer that gives `points`, some of `whole` or all, mean 0 and variance 1 on the base
/// side; with no points, the layer that a file holds.
pub fn standardise(
    params: &Params,
    dim: usize,
    points: Option<&Tensor>,
    whole: Option<&Tensor>,
) -> Result<Elementwise> {
    match points {
        Some(points) => Elementwise::from_points(params, points, whole, false),
        None => Elementwise::start_at(params, false, vec![0.0; dim], vec![0.0; dim]),
    }
}

/// `affine_coupling = { layers = 8, hidden = [64, 64] }`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AffineCouplingSpec {
    /// Number of couplings.
    pub layers: usize,
    /// Widths of the conditioner's hidden layers.
    pub hidden: Vec<usize>,
    /// Nonlinearity of the conditioner.
    pub activation: Activation,
    /// Bound on |log scale| of one coupling (nats per coordinate).
    pub log_scale_bound: f64,
    /// Bound on -log scale of one coupling, by which a coordinate shrinks from base to data;
    /// `log_scale_bound` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_shrink_bound: Option<f64>,
    /// What stands between two couplings.
    pub mixing: Mixing,
}

impl Default for AffineCouplingSpec {
    fn default() -> Self {
        Self {
            layers: 8,
            hidden: vec![64, 64],
            activation: Activation::default(),
            log_scale_bound: 2.0,
            log_shrink_bound: None,
            mixing: Mixing::default(),
        }
    }
}

impl AffineCouplingSpec {
    pub(super) fn stack(&self) -> Stack<'_> {
        let kind = Kind::Couplings(self.mixing);
        let affine = Affine {
            grow: self.log_scale_bound,
            shrink: self.log_shrink_bound,
        };
        Stack::new(self.layers, &self.hidden, self.activation, kind, affine)
    }

    /// Coupling number `layer` of a stack; the identity at the start.
    pub fn coupling(&self, params: &Params, dim: usize, layer: usize) -> Result<Coupling> {
        self.stack().coupling(params, dim, layer)
    }
}

/// `masked_autoregressive = { layers = 6, hidden = [64, 64] }`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MaskedAutoregressiveSpec {
    /// Number of layers.
    pub layers: usize,
    /// Widths of the conditioner's hidden layers.
    pub hidden: Vec<usize>,
    /// Nonlinearity of the conditioner.
    pub activation: Activation,
    /// Bound on |log scale| of one layer (nats per coordinate).
    pub log_scale_bound: f64,
    /// Bound on -log scale of one layer, by which a coordinate shrinks from base to data;
    /// `log_scale_bound` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_shrink_bound: Option<f64>,
    /// The order of the coordinates in every second layer (`reverse`) or in each (`shuffle`).
    pub order: Order,
}

impl Default for MaskedAutoregressiveSpec {
    fn default() -> Self {
        Self {
            layers: 6,
            hidden: vec![64, 64],
            activation: Activation::default(),
            log_scale_bound: 2.0,
            log_shrink_bound: None,
            order: Order::default(),
        }
    }
}

impl MaskedAutoregressiveSpec {
    pub(super) fn stack(&self) -> Stack<'_> {
        let kind = Kind::Autoregressive(self.order);
        let affine = Affine {
            grow: self.log_scale_bound,
            shrink: self.log_shrink_bound,
        };
        Stack::new(self.layers, &self.hidden, self.activation, kind, affine)
    }
}

/// The transformer of Real NVP (Dinh et al. 2017) with a log-scale that cannot run away:
/// s = c tanh(r / c) from the raw output r, with a bound c for r > 0 and one for r < 0.
///
/// - forward: x = z e^s + t
/// - its log-det: sum_d s_d
/// - inverse: z = (x - t) e^-s
/// - its log-det: -sum_d s_d
struct Affine {
    /// The bound on s.
    grow: f64,
    /// The bound on -s; `grow` if absent.
    shrink: Option<f64>,
}

impl Affine {
    fn parameters(&self, theta: &Tensor) -> Result<(Tensor, Tensor)> {
        let d = theta.dim(1)? / 2;
        let raw = theta.narrow(1, 0, d)?;
        let log_scale = match self.shrink {
            None => num::bounded(&raw, self.grow)?,
            Some(shrink) => {
                let grown = num::bounded(&raw.relu()?, self.grow)?;
                (grown - num::bounded(&raw.neg()?.relu()?, shrink)?)?
            }
        };
        Ok((log_scale, theta.narrow(1, d, d)?))
    }
}

impl Transformer for Affine {
    fn start(&self, dim: usize) -> Vec<f64> {
        vec![0.0; 2 * dim]
    }

    fn owner(&self, output: usize, dim: usize) -> usize {
        output % dim
    }

    fn forward_and_log_det(&self, z: &Tensor, theta: &Tensor) -> Result<(Tensor, Tensor)> {
        let (log_scale, shift) = self.parameters(theta)?;
        let x = ((z * log_scale.exp()?)? + shift)?;
        Ok((x, num::row_sum(&log_scale)?))
    }

    fn inverse_and_log_det(&self, x: &Tensor, theta: &Tensor) -> Result<(Tensor, Tensor)> {
        let (log_scale, shift) = self.parameters(theta)?;
        let log_scale = log_scale.neg()?;
        let z = ((x - shift)? * log_scale.exp()?)?;
        Ok((z, num::row_sum(&log_scale)?))
    }

    fn kernel(&self) -> mdn_kernels::Transformer {
        mdn_kernels::Transformer::Affine {
            grow: self.grow,
            shrink: self.shrink.unwrap_or(self.grow),
        }
    }

    fn check(&self) -> Result<(), BadValue> {
        for (key, bound) in [
            ("log_scale_bound", self.grow),
            ("log_shrink_bound", self.shrink.unwrap_or(self.grow)),
        ] {
            let expected = format!("0 < `{key}` <= 20");
            BadValue::unless(bound > 0.0 && bound <= 20.0, key, &expected, bound)?;
        }
        Ok(())
    }
}
