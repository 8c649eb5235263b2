//! A fixed map that shortens tails on the way to the base.

use candle_core::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{built, Bijection, Built, Settings};
use crate::error::BadValue;
use crate::nn::{Extent, Params};
use crate::{num, Result};

/// `soft_tails = { threshold = 3.0 }`
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SoftTailsSpec {
    /// Coordinates nearer to 0 than this are not changed; after `standardise`, in standard deviations.
    pub threshold: f64,
}

impl Default for SoftTailsSpec {
    fn default() -> Self {
        Self { threshold: 3.0 }
    }
}

impl Settings for SoftTailsSpec {
    fn check(&self) -> std::result::Result<(), BadValue> {
        let fits = self.threshold > 0.0 && self.threshold <= 1e6;
        let expected = "0 < `threshold` <= 1e6";
        BadValue::unless(fits, "threshold", expected, self.threshold)
    }

    fn extent(&self, dim: usize) -> Extent {
        Extent::layer(dim, 0.0)
    }

    fn build(&self, _params: &Params, dim: usize, points: Option<Tensor>) -> Result<Built> {
        let threshold = self.threshold;
        built(SoftTails { dim, threshold }, points)
    }
}

/// The log soft extension of Andrade 2024 ("Stable training of normalizing flows for high-dimensional
/// variational inference"), with threshold t and u_d how far |v_d| is above t (0 below):
///
/// - forward: x_d = sign(z_d) (t + e^u_d - 1) where |z_d| > t, else z_d
/// - its log-det: sum_d u_d
/// - inverse: z_d = sign(x_d) (t + ln(1 + u_d)) where |x_d| > t, else x_d
/// - its log-det: -sum_d ln(1 + u_d)
struct SoftTails {
    dim: usize,
    threshold: f64,
}

impl SoftTails {
    /// u.
    fn beyond(&self, v: &Tensor) -> Result<Tensor> {
        num::expect_points("soft tails", v, self.dim)?;
        Ok((v.abs()? - self.threshold)?.relu()?)
    }

    /// `v` where |v| <= t, else sign(v) (t + `tail`). NaN stays NaN.
    fn joined(&self, v: &Tensor, tail: &Tensor) -> Result<Tensor> {
        let outside = v.abs()?.gt(self.threshold)?;
        let sign = v.sign()?.detach();
        Ok(outside.where_cond(&((tail + self.threshold)? * sign)?, v)?)
    }
}

impl Bijection for SoftTails {
    fn dim(&self) -> usize {
        self.dim
    }

    fn forward_and_log_det(&self, z: &Tensor) -> Result<(Tensor, Tensor)> {
        let beyond = self.beyond(z)?;
        let x = self.joined(z, &(beyond.exp()? - 1.0)?)?;
        Ok((x, num::row_sum(&beyond)?))
    }

    fn inverse_and_log_det(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let tail = (self.beyond(x)? + 1.0)?.log()?;
        let z = self.joined(x, &tail)?;
        Ok((z, num::row_sum(&tail)?.neg()?))
    }

    fn kernel(&self) -> Option<Vec<mdn_kernels::Layer<Tensor>>> {
        let threshold = self.threshold;
        Some(vec![mdn_kernels::Layer::SoftTails { threshold }])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    /// By the formula, at points on both sides of the threshold.
    #[test]
    fn tails_are_logarithms() {
        let map = SoftTails {
            dim: 2,
            threshold: 3.0,
        };
        let x = Tensor::new(&[[2.5, -3.0], [4.0, -1e6]], &Device::Cpu).unwrap();
        let (z, log_det) = map.inverse_and_log_det(&x).unwrap();
        let tail = (1e6_f64 - 2.0).ln();
        let expected = [2.5, -3.0, 3.0 + 2_f64.ln(), -3.0 - tail];
        assert_eq!(num::to_vec(&z).unwrap(), expected);
        assert_eq!(num::to_vec(&log_det).unwrap(), [0.0, -2_f64.ln() - tail]);
        let back = num::to_vec(&map.forward_and_log_det(&z).unwrap().0).unwrap();
        let near = |(a, b): (&f64, f64)| (a - b).abs() <= 1e-9 * b.abs();
        assert!(
            back.iter().zip([2.5, -3.0, 4.0, -1e6]).all(near),
            "{back:?}"
        );
    }
}
