//! A kernel density estimate.

use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Model, Settings, Start};
use crate::distributions::Distribution;
use crate::error::BadValue;
use crate::nn::{Extent, Params};
use crate::num::{self, LN_2PI};
use crate::rng::Rng;
use crate::tree::Tree;
use crate::{Error, Result};

#[cfg(test)]
mod tests;

/// How wide the kernels are, in units of each coordinate's standard deviation over the training
/// points.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Bandwidth {
    /// The h of greatest leave-one-out likelihood, (1/n) sum_i ln q_-i(x_i), to within 1 %.
    #[default]
    LeaveOneOut,
    /// h = n^(-1 / (D + 4)) (Scott 1992): right for one Gaussian, too wide for several modes.
    Scott,
    /// h = (4 / (n (D + 2)))^(1 / (D + 4)) (Silverman 1986): right for one Gaussian too.
    Silverman,
    /// This h.
    Fixed(f64),
}

/// `[models.NAME.kernel_density]`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KernelDensitySpec {
    /// How wide the kernels are.
    pub bandwidth: Bandwidth,
}

impl Settings for KernelDensitySpec {
    fn name(&self) -> &'static str {
        "kernel_density"
    }

    fn build(&self, params: &Params, dim: usize, points: Option<Tensor>) -> Result<Box<dyn Model>> {
        Ok(Box::new(KernelDensity::build(self, params, dim, points)?))
    }

    fn check(&self) -> std::result::Result<(), BadValue> {
        match self.bandwidth {
            Bandwidth::Fixed(h) => BadValue::within("bandwidth.fixed", h, 1e-6, 1e6),
            _ => Ok(()),
        }
    }

    fn extent(&self, dim: usize, _drawn: Option<usize>) -> Extent {
        Extent {
            parameters: 0.0,
            per_point: 2.0 * dim as f64,
        }
    }

    fn start(&self) -> Option<Start> {
        Start::always(self.name(), "", 1)
    }

    fn is_fitted(&self) -> bool {
        true
    }
}

/// The most points that a leave-one-out likelihood is a mean over: its error is a hundredth of the
/// points' spread, far more exact than the best bandwidth needs.
const LEFT_OUT: usize = 10_000;

/// Fewer points are not worth another thread.
const POINTS_PER_THREAD: usize = 64;

/// q(x) = (1/n) sum_i N(x; x_i, h^2 diag(sigma_1^2, ..., sigma_D^2)) over the training points, with
/// their standard deviations sigma_d. It keeps those points, takes no training steps, and has no
/// gradients and no parameters.
pub struct KernelDensity {
    tree: Tree,
    scale: Vec<f64>,
    h: f64,
    dtype: DType,
    device: Device,
}

impl KernelDensity {
    /// Keeps `points` (n, dim), or loads them.
    pub fn build(
        spec: &KernelDensitySpec,
        params: &Params,
        dim: usize,
        points: Option<Tensor>,
    ) -> Result<Self> {
        let points = params.any_shape("points", false, |_| {
            points
                .filter(|p| p.elem_count() > 0)
                .ok_or_else(|| Error::request("kernel_density: expected training points; got none"))
        })?;
        num::expect_points("kernel_density: `points`", &points, dim)?;
        let rows = num::to_vec(&points)?;
        let scale = params.param("scale", (1, dim), false, |_| {
            num::from_rows(&deviations(&rows, dim), dim, DType::F64, &Device::Cpu)
        })?;
        let scale = num::to_vec(&scale)?;
        let standard: Vec<f64> = rows
            .iter()
            .enumerate()
            .map(|(i, v)| v / scale[i % dim])
            .collect();
        let tree = Tree::new(&standard, dim);
        let h = params.param("bandwidth", 1, false, |_| {
            let h = bandwidth(spec.bandwidth, &tree, dim);
            Ok(Tensor::new(&[h], &Device::Cpu)?)
        })?;
        Ok(Self {
            tree,
            scale,
            h: num::to_vec(&h)?[0],
            dtype: params.dtype(),
            device: params.device(),
        })
    }
}

/// Standard deviation of every coordinate, 1 for a constant one.
fn deviations(rows: &[f64], dim: usize) -> Vec<f64> {
    let moments = num::moments(rows, dim).into_iter();
    moments
        .map(|(_, std)| if std > 0.0 { std } else { 1.0 })
        .collect()
}

fn bandwidth(rule: Bandwidth, tree: &Tree, dim: usize) -> f64 {
    let (n, d) = (tree.len() as f64, dim as f64);
    let scott = n.powf(-1.0 / (d + 4.0));
    match rule {
        Bandwidth::Fixed(h) => h,
        Bandwidth::Scott => scott,
        Bandwidth::Silverman => (4.0 / (n * (d + 2.0))).powf(1.0 / (d + 4.0)),
        // A single point has no others to be compared with.
        Bandwidth::LeaveOneOut if tree.len() < 2 => scott,
        Bandwidth::LeaveOneOut => best_left_out(tree, d, scott),
    }
}

/// sum_i ln q_-i(x_i) up to a constant. The tree orders rows leaf by leaf, so points are taken at
/// equal distances in that order.
fn left_out(tree: &Tree, dim: f64, h: f64) -> f64 {
    let count = tree.len().min(LEFT_OUT);
    let each: Vec<f64> = (0..count)
        .into_par_iter()
        .with_min_len(POINTS_PER_THREAD)
        .map(|i| {
            let place = (i as u128 * tree.len() as u128 / count as u128) as usize;
            tree.log_sum(tree.row(place), h, Some(place))
        })
        .collect();
    each.iter().sum::<f64>() - count as f64 * dim * h.ln()
}

/// Halves h from twice `scott` until the likelihood falls twice in a row, then narrows the bracket
/// around the best by golden sections.
fn best_left_out(tree: &Tree, dim: f64, scott: f64) -> f64 {
    let value = |log_h: f64| left_out(tree, dim, log_h.exp());
    let step = std::f64::consts::LN_2;
    let top = (2.0 * scott).ln();
    let mut best = (f64::NEG_INFINITY, top);
    let mut falls = 0;
    for i in 0..12 {
        let log_h = top - f64::from(i) * step;
        let now = value(log_h);
        if now > best.0 {
            best = (now, log_h);
            falls = 0;
        } else {
            falls += 1;
        }
        if falls == 2 {
            break;
        }
    }
    let ratio = 0.5 * (5f64.sqrt() - 1.0);
    let (mut low, mut high) = (best.1 - step, best.1 + step);
    let mut inner = [high - ratio * (high - low), low + ratio * (high - low)];
    let mut values = inner.map(value);
    while high - low > 0.02 {
        if values[0] > values[1] {
            high = inner[1];
            inner = [high - ratio * (high - low), inner[0]];
            values = [value(inner[0]), values[0]];
        } else {
            low = inner[0];
            inner = [inner[1], low + ratio * (high - low)];
            values = [values[1], value(inner[1])];
        }
    }
    (0.5 * (low + high)).exp()
}

impl Distribution for KernelDensity {
    fn dim(&self) -> usize {
        self.scale.len()
    }

    fn log_prob(&self, x: &Tensor) -> Result<Tensor> {
        let dim = self.dim();
        num::expect_points("kernel_density", x, dim)?;
        let rows = num::to_vec(x)?;
        let log_scale: f64 = self.scale.iter().map(|s| s.ln()).sum();
        let log_norm = dim as f64 * (self.h.ln() + 0.5 * LN_2PI) + log_scale;
        let constant = (self.tree.len() as f64).ln() + log_norm;
        let values: Vec<f64> = rows
            .par_chunks(dim)
            .with_min_len(POINTS_PER_THREAD)
            .map(|x| {
                let x: Vec<f64> = x.iter().zip(&self.scale).map(|(x, s)| x / s).collect();
                self.tree.log_sum(&x, self.h, None) - constant
            })
            .collect();
        Ok(num::from_rows(&values, 1, self.dtype, &self.device)?.squeeze(1)?)
    }

    fn sample(&self, n: usize, rng: &mut Rng) -> Result<Tensor> {
        let mut rows = Vec::with_capacity(n * self.dim());
        for _ in 0..n {
            let centre = self.tree.row(rng.below(self.tree.len()));
            for (v, scale) in centre.iter().zip(&self.scale) {
                rows.push((v + self.h * rng.normal()) * scale);
            }
        }
        num::from_rows(&rows, self.dim(), self.dtype, &self.device)
    }
}

impl Model for KernelDensity {
    fn phases(&self) -> Vec<f64> {
        Vec::new()
    }

    fn parameters(&self, _trained: usize) -> Option<usize> {
        None
    }
}
