//! The standard normal distribution.

use candle_core::{DType, Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Distribution, Settings};
use crate::nn::{Extent, Params};
use crate::num::{self, LN_2PI};
use crate::rng::Rng;
use crate::Result;

/// `base.normal = {}`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NormalSpec {}

impl Settings for NormalSpec {
    fn extent(&self, dim: usize, _drawn: Option<usize>) -> Extent {
        Extent {
            parameters: 0.0,
            per_point: 2.0 * dim as f64,
        }
    }

    fn build(
        &self,
        params: &Params,
        dim: usize,
        _points: Option<&Tensor>,
    ) -> Result<Box<dyn Distribution>> {
        Ok(Box::new(Normal::new(dim, params.dtype(), &params.device())))
    }
}

/// N(0, I): log p(z) = -|z|^2 / 2 - (D/2) ln 2 pi.
pub struct Normal {
    dim: usize,
    dtype: DType,
    device: Device,
}

impl Normal {
    /// Over `dim` coordinates.
    pub fn new(dim: usize, dtype: DType, device: &Device) -> Self {
        Self {
            dim,
            dtype,
            device: device.clone(),
        }
    }
}

impl Distribution for Normal {
    fn dim(&self) -> usize {
        self.dim
    }

    fn is_standard_normal(&self) -> bool {
        true
    }

    fn log_prob(&self, x: &Tensor) -> Result<Tensor> {
        num::expect_points("normal", x, self.dim)?;
        let constant = -0.5 * LN_2PI * self.dim as f64;
        Ok(num::row_sum(&x.sqr()?)?.affine(-0.5, constant)?)
    }

    fn sample(&self, n: usize, rng: &mut Rng) -> Result<Tensor> {
        rng.normal_tensor((n, self.dim), self.dtype, &self.device)
    }

    fn kernel(&self) -> Option<mdn_kernels::Base<Tensor>> {
        Some(mdn_kernels::Base::Normal)
    }
}
