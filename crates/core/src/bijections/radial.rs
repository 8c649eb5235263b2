//! Radial layers: contract the space towards a centre or expand it away from it.

use candle_core::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::planar::{through_layers, SOFTPLUS_IS_ONE};
use super::{built, check_layers, Bijection, Built, Settings};
use crate::error::BadValue;
use crate::nn::{Extent, Params};
use crate::{num, Result};

/// Smallest alpha and alpha + beta: in single precision softplus itself would round to 0.
const SMALLEST: f64 = 1e-6;

/// Added to |z - c|^2, whose root has no gradient at 0.
const TINY: f64 = 1e-30;

/// Farther out the log-det is 0 up to rounding, while the square of r may not be finite.
const FAR: f64 = 1e18;

/// `radial = { layers = 16 }`
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RadialSpec {
    /// Number of layers.
    pub layers: usize,
}

impl Default for RadialSpec {
    fn default() -> Self {
        Self { layers: 16 }
    }
}

impl Settings for RadialSpec {
    fn check(&self) -> Result<(), BadValue> {
        check_layers(self.layers)
    }

    fn extent(&self, dim: usize) -> Extent {
        Extent::layer(dim, 2.0 * dim as f64 + 1.0).times(self.layers as f64)
    }

    fn build(&self, params: &Params, dim: usize, points: Option<Tensor>) -> Result<Built> {
        built(Radial::new(params, dim, self.layers)?, points)
    }
}

/// A stack of radial layers (Rezende and Mohamed 2015), f = f_L o ... o f_1, each with a centre c
/// (D) and two numbers alpha', beta'. With r = |z - c|, A = softplus(alpha') and
/// B = softplus(beta') (alpha = A and beta = B - A in the paper; both at least 1e-6):
///
/// f_l(z) = z + (B - A) / (A + r) (z - c),
///
/// which is invertible as B > 0.
///
/// - forward: x = f_L(... f_1(z))
/// - its log-det: sum_l (D - 1) log((r + B) / (r + A)) + log((r^2 + A (2 r + B)) / (r + A)^2), of
///   every layer at its own input
/// - inverse: z = x - (B - A) / (B + r) (x - c), r the positive root of
///   r^2 + (B - rho) r - A rho = 0 with rho = |x - c|
/// - its log-det: minus the same sum
pub struct Radial {
    centre: Tensor,
    alpha: Tensor,
    beta: Tensor,
}

impl Radial {
    /// `layers` layers that start as the identity, A = B = 1, around centres from N(0, I).
    pub fn new(params: &Params, dim: usize, layers: usize) -> Result<Self> {
        let one = || vec![SOFTPLUS_IS_ONE; layers];
        Ok(Self {
            centre: params.normal("centre", (layers, dim), 1.0)?,
            alpha: params.values("alpha", (layers, 1), one())?,
            beta: params.values("beta", (layers, 1), one())?,
        })
    }

    /// A and B, each (L, 1).
    fn sizes(&self) -> Result<(Tensor, Tensor)> {
        let size = |raw: &Tensor| Ok::<_, crate::Error>(num::softplus(raw)?.maximum(SMALLEST)?);
        Ok((size(&self.alpha)?, size(&self.beta)?))
    }

    fn apply(&self, v: &Tensor, inverse: bool) -> Result<(Tensor, Tensor)> {
        let n = num::expect_points("radial", v, self.dim())?;
        let (all_a, all_b) = self.sizes()?;
        let ones = Tensor::ones((n, 1), v.dtype(), v.device())?;
        let shift = |layer: usize, v: &Tensor| {
            let of = |all: &Tensor| ones.matmul(&all.narrow(0, layer, 1)?);
            let (a, b) = (of(&all_a)?, of(&all_b)?);
            let away = (v - of(&self.centre)?)?;
            let rho = (away.sqr()?.sum_keepdim(1)? + TINY)?.sqrt()?;
            let (r, size) = match inverse {
                true => (distance(&rho, &a, &b)?, &b),
                false => (rho, &a),
            };
            let scale = ((&b - &a)? / (size + &r)?)?;
            Ok((away.broadcast_mul(&scale)?, r))
        };
        through_layers(v, all_a.dim(0)?, inverse, shift, |r| {
            let r = &r.minimum(FAR)?;
            let a = ones.matmul(&all_a.reshape((1, ()))?)?;
            let b = ones.matmul(&all_b.reshape((1, ()))?)?;
            let inner = (r + &a)?.log()?;
            let across = ((r + &b)?.log()? - &inner)?;
            let along = (r.sqr()? + (a * ((r * 2.0)? + b)?)?)?.log()?;
            let along = (along - (inner * 2.0)?)?;
            num::row_sum(&((across * (self.dim() as f64 - 1.0))? + along)?)
        })
    }
}

impl Bijection for Radial {
    fn dim(&self) -> usize {
        self.centre.dims()[1]
    }

    fn forward_and_log_det(&self, z: &Tensor) -> Result<(Tensor, Tensor)> {
        self.apply(z, false)
    }

    fn inverse_and_log_det(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        self.apply(x, true)
    }
}

/// The positive root r of r^2 + (B - rho) r - A rho = 0, each (n, 1).
fn distance(rho: &Tensor, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let q = (rho - b)?;
    let product = (a * rho)?;
    let s = (q.sqr()? + (&product * 4.0)?)?.sqrt()?;
    // The larger of the two roots' sizes adds up without cancelling; their product is -A rho.
    let large = ((q.abs()? + s)? * 0.5)?;
    Ok(q.ge(0.0)?.where_cond(&large, &(product / &large)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::num::testing::gradients;
    use candle_core::{DType, Device, Var};

    /// At r = 0 the slope is B / A in every direction, so the log-det is D log(B / A); all gradients
    /// are finite, in both precisions and both directions.
    #[test]
    fn a_point_on_the_centre_has_a_log_det_and_finite_gradients() {
        for (dtype, tolerance) in [(DType::F32, 1e-5), (DType::F64, 1e-12)] {
            let row = |v: &[f64]| num::from_rows(v, v.len(), dtype, &Device::Cpu).unwrap();
            let params = Params::holding([
                ("centre", row(&[0.5, -1.0, 2.0])),
                ("alpha", row(&[0.3])),
                ("beta", row(&[2.0])),
            ]);
            let radial = Radial::new(&params, 3, 1).unwrap();
            let softplus = |v: f64| v.exp().ln_1p();
            let expected = 3.0 * (softplus(2.0) / softplus(0.3)).ln();
            for (sign, forward) in [(1.0, true), (-1.0, false)] {
                let v = Var::from_tensor(&row(&[0.5, -1.0, 2.0])).unwrap();
                let (u, log_det) = match forward {
                    true => radial.forward_and_log_det(v.as_tensor()),
                    false => radial.inverse_and_log_det(v.as_tensor()),
                }
                .unwrap();
                let got = num::to_vec(&log_det).unwrap()[0];
                assert!((got - sign * expected).abs() < tolerance, "{got}");
                let sum = (u.sum_all().unwrap() + log_det.sum_all().unwrap()).unwrap();
                let mut vars = vec![v.clone()];
                vars.extend(params.trained());
                let all = gradients(&sum, &vars).concat();
                assert!(all.iter().all(|v| v.is_finite()), "{dtype:?}: {all:?}");
            }
        }
    }
}
