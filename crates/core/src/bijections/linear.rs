//! A learned invertible matrix.

use candle_core::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{built, constant_log_det, Bijection, Built, Settings};
use crate::nn::{Extent, Params};
use crate::{num, Result};

/// `linear = {}`
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LinearSpec {}

impl Settings for LinearSpec {
    fn extent(&self, dim: usize) -> Extent {
        Extent::layer(dim, (dim * dim) as f64)
    }

    fn build(&self, params: &Params, dim: usize, points: Option<Tensor>) -> Result<Built> {
        built(Linear::new(params, dim)?, points)
    }
}

/// z = x W^T with W = L U: L unit lower triangular, U upper triangular with diagonal e^s (the LU
/// form of Glow, Kingma and Dhariwal 2018, without its permutation). The matrix maps data to base, so
/// that training needs one product and sampling two triangular solves.
///
/// - forward: x = z W^-T by substitution
/// - its log-det: -sum_d s_d
/// - inverse: z = x W^T
/// - its log-det: sum_d s_d
pub struct Linear {
    lower: Tensor,
    upper: Tensor,
    log_diagonal: Tensor,
    below: Tensor,
    above: Tensor,
    eye: Tensor,
}

impl Linear {
    /// Starts as the identity.
    pub fn new(params: &Params, dim: usize) -> Result<Self> {
        let zeros = || vec![0.0; dim * dim];
        let mask = |keep: fn(usize, usize) -> bool| {
            let values: Vec<f64> = (0..dim * dim)
                .map(|i| f64::from(u8::from(keep(i / dim, i % dim))))
                .collect();
            num::from_rows(&values, dim, params.dtype(), &params.device())
        };
        // Both triangles and the diagonal have D^2 entries together.
        params.add_masked(dim * (dim + 1));
        Ok(Self {
            lower: params.values("lower", (dim, dim), zeros())?,
            upper: params.values("upper", (dim, dim), zeros())?,
            log_diagonal: params.values("log_diagonal", (1, dim), vec![0.0; dim])?,
            below: mask(|r, c| r > c)?,
            above: mask(|r, c| r < c)?,
            eye: mask(|r, c| r == c)?,
        })
    }

    fn triangles(&self) -> Result<(Tensor, Tensor)> {
        let lower = ((&self.lower * &self.below)? + &self.eye)?;
        let diagonal = self.eye.broadcast_mul(&self.log_diagonal.exp()?)?;
        let upper = ((&self.upper * &self.above)? + diagonal)?;
        Ok((lower, upper))
    }
}

/// Rows v with v A^T = b, for a triangular A; `order` lists the coordinates so that each depends
/// on earlier ones only.
fn substitute(a: &Tensor, b: &Tensor, order: &[usize]) -> Result<Tensor> {
    let mut solved: Vec<(usize, Tensor)> = Vec::with_capacity(order.len());
    for &i in order {
        let mut rest = b.narrow(1, i, 1)?;
        for (j, v) in &solved {
            let entry = a.narrow(0, i, 1)?.narrow(1, *j, 1)?;
            rest = (rest - v.broadcast_mul(&entry)?)?;
        }
        let pivot = a.narrow(0, i, 1)?.narrow(1, i, 1)?;
        solved.push((i, rest.broadcast_div(&pivot)?));
    }
    solved.sort_by_key(|(i, _)| *i);
    let columns: Vec<Tensor> = solved.into_iter().map(|(_, v)| v).collect();
    Ok(Tensor::cat(&columns, 1)?)
}

impl Bijection for Linear {
    fn dim(&self) -> usize {
        self.log_diagonal.elem_count()
    }

    fn forward_and_log_det(&self, z: &Tensor) -> Result<(Tensor, Tensor)> {
        let n = num::expect_points("linear", z, self.dim())?;
        let (lower, upper) = self.triangles()?;
        let down: Vec<usize> = (0..self.dim()).collect();
        let up: Vec<usize> = (0..self.dim()).rev().collect();
        let x = substitute(&upper, &substitute(&lower, z, &down)?, &up)?;
        Ok((x, constant_log_det(&self.log_diagonal, n, -1.0)?))
    }

    fn inverse_and_log_det(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let n = num::expect_points("linear", x, self.dim())?;
        let (lower, upper) = self.triangles()?;
        let weight = lower.matmul(&upper)?;
        Ok((
            x.matmul(&weight.t()?)?,
            constant_log_det(&self.log_diagonal, n, 1.0)?,
        ))
    }

    fn kernel(&self) -> Option<Vec<mdn_kernels::Layer<Tensor>>> {
        Some(vec![mdn_kernels::Layer::Linear {
            lower: self.lower.clone(),
            upper: self.upper.clone(),
            log_diagonal: self.log_diagonal.clone(),
        }])
    }
}
