//! Scale and shift: of every coordinate on its own, and as the transformer of a coupling.

use candle_core::{Device, Tensor};

use super::coupling::Transformer;
use super::{constant_log_det, Bijection};
use crate::nn::Params;
use crate::{num, Result};

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
        Ok(Self {
            log_scale: params.values("log_scale", (1, dim), vec![0.0; dim])?,
            shift: params.values("shift", (1, dim), vec![0.0; dim])?,
        })
    }

    /// Starts so that `points` (n, dim) have mean 0 and variance 1 on the base side. A coordinate
    /// that is the same in all of them says nothing of a scale: it gets the one that it has in
    /// `whole`, points (m, dim) which these are some of, and is only shifted if it has none there.
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
        Self::start_at(params, dim, trainable, log_stds, means)
    }

    fn start_at(
        params: &Params,
        dim: usize,
        trainable: bool,
        log_scale: Vec<f64>,
        shift: Vec<f64>,
    ) -> Result<Self> {
        let row = |name: &str, values: Vec<f64>| {
            params.param(name, (1, dim), trainable, |_| {
                Ok(Tensor::from_vec(values, (1, dim), &Device::Cpu)?)
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

/// The transformer of Real NVP (Dinh et al. 2017) with a log-scale that cannot run away:
/// s = c tanh(r / c) from the raw output r.
///
/// - forward: x = z e^s + t
/// - its log-det: sum_d s_d
/// - inverse: z = (x - t) e^-s
/// - its log-det: -sum_d s_d
pub struct Affine {
    /// c, the bound on |s|.
    pub bound: f64,
}

impl Affine {
    fn parameters(&self, theta: &Tensor) -> Result<(Tensor, Tensor)> {
        let d = theta.dim(1)? / 2;
        let log_scale = num::bounded(&theta.narrow(1, 0, d)?, self.bound)?;
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
        mdn_kernels::Transformer::Affine { bound: self.bound }
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
        None => Elementwise::start_at(params, dim, false, vec![0.0; dim], vec![0.0; dim]),
    }
}
