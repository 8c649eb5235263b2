//! A slope of its own on the negative half of every coordinate.

use candle_core::Tensor;

use crate::bijections::Bijection;
use crate::nn::Params;
use crate::{num, Result};

/// - forward: x_d = z_d e^s_d where z_d < 0, else z_d
/// - its log-det: the sum of s_d over d with z_d < 0
/// - inverse, and its log-det: the same with -s
///
/// |s_d| < `bound`.
pub struct Leaky {
    log_slope: Tensor,
    bound: f64,
}

impl Leaky {
    /// Starts as the identity.
    pub fn new(params: &Params, dim: usize, bound: f64) -> Result<Self> {
        let log_slope = params.values("log_slope", (1, dim), vec![0.0; dim])?;
        Ok(Self { log_slope, bound })
    }

    fn apply(&self, v: &Tensor, sign: f64) -> Result<(Tensor, Tensor)> {
        num::expect_points("leaky", v, self.dim())?;
        let negative = v.lt(&v.zeros_like()?)?.to_dtype(v.dtype())?;
        let slope = (num::bounded(&self.log_slope, self.bound)? * sign)?;
        let logs = negative.broadcast_mul(&slope)?;
        Ok(((v * logs.exp()?)?, num::row_sum(&logs)?))
    }
}

impl Bijection for Leaky {
    fn dim(&self) -> usize {
        self.log_slope.elem_count()
    }

    fn forward_and_log_det(&self, z: &Tensor) -> Result<(Tensor, Tensor)> {
        self.apply(z, 1.0)
    }

    fn inverse_and_log_det(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        self.apply(x, -1.0)
    }
}
