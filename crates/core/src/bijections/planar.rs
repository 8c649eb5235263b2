//! Planar layers: stretch the space along one direction, depending on the position along another.

use candle_core::{DType, Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{built, check_layers, Bijection, Built, Settings};
use crate::error::BadValue;
use crate::nn::{Extent, Params};
use crate::{num, Result};

/// ln(e - 1), where softplus is 1.
pub(super) const SOFTPLUS_IS_ONE: f64 = 0.541_324_854_612_918_1;

/// Smallest 1 + w.û: in single precision w.û itself would round to -1.
const MIN_SLOPE: f64 = 1e-6;

/// `planar = { layers = 32 }`
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PlanarSpec {
    /// Number of layers.
    pub layers: usize,
}

impl Default for PlanarSpec {
    fn default() -> Self {
        Self { layers: 32 }
    }
}

impl Settings for PlanarSpec {
    fn check(&self) -> Result<(), BadValue> {
        check_layers(self.layers)
    }

    fn extent(&self, dim: usize) -> Extent {
        Extent::layer(dim, 2.0 * dim as f64 + 1.0).times(self.layers as f64)
    }

    fn build(&self, params: &Params, dim: usize, points: Option<Tensor>) -> Result<Built> {
        built(Planar::new(params, dim, self.layers)?, points)
    }
}

/// A stack of planar layers (Rezende and Mohamed 2015), f = f_L o ... o f_1, each with parameters
/// w, u (D) and b:
///
/// f_l(z) = z + û tanh(w.z + b), û = u + (m(w.u) - w.u) w / |w|^2, m(v) = softplus(v) - 1,
///
/// so that w.û = m(w.u) > -1 (held at 1e-6 above) and f_l is invertible. With t = tanh(w.z + b):
///
/// - forward: x = f_L(... f_1(z))
/// - its log-det: sum_l log(1 + (1 - t^2) w.û), of every layer at its own input
/// - inverse, *iterative*: a + w.û tanh(a) = w.x + b is solved for a, one number per point and
///   layer; then z = x - û tanh(a)
/// - its log-det: minus the same sum
///
/// The inverse is exact to rounding (near w.û = -1 to rounding over 1 + w.û) and its gradients, of
/// points and parameters, are those of the implicit function theorem. It is solved on the host, so
/// that training on data transfers every layer's points between host and device.
pub struct Planar {
    w: Tensor,
    u: Tensor,
    b: Tensor,
}

impl Planar {
    /// `layers` layers that start as the identity, û = 0, with random w of length 1 and b ~ N(0, 1):
    /// layers with equal starting values would stay equal.
    pub fn new(params: &Params, dim: usize, layers: usize) -> Result<Self> {
        let w = params.param("w", (layers, dim), true, |rng| {
            let w = rng.normal_tensor((layers, dim), DType::F64, &Device::Cpu)?;
            Ok(w.broadcast_div(&w.sqr()?.sum_keepdim(1)?.sqrt()?)?)
        })?;
        let u = params.param("u", (layers, dim), true, |_| {
            let w = w.to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
            let along = w.broadcast_div(&w.sqr()?.sum_keepdim(1)?)?;
            Ok((along * SOFTPLUS_IS_ONE)?)
        })?;
        let b = params.normal("b", (layers, 1), 1.0)?;
        Ok(Self { w, u, b })
    }

    /// û (L, D) and 1 + w.û (L, 1).
    fn constrained(&self) -> Result<(Tensor, Tensor)> {
        let along = (&self.w * &self.u)?.sum_keepdim(1)?;
        let slope = num::softplus(&along)?.maximum(MIN_SLOPE)?;
        let missing = ((&slope - along)? - 1.0)?;
        let missing = (missing / self.w.sqr()?.sum_keepdim(1)?)?;
        Ok(((&self.u + self.w.broadcast_mul(&missing)?)?, slope))
    }

    fn apply(&self, v: &Tensor, inverse: bool) -> Result<(Tensor, Tensor)> {
        let n = num::expect_points("planar", v, self.dim())?;
        let (u, slope) = self.constrained()?;
        let ones = Tensor::ones((n, 1), v.dtype(), v.device())?;
        let shift = |layer: usize, v: &Tensor| {
            let of = |all: &Tensor| all.narrow(0, layer, 1);
            let along = v.matmul(&of(&self.w)?.t()?)?;
            let place = (along + ones.matmul(&of(&self.b)?)?)?;
            let a = match inverse {
                true => solve(&place, &of(&slope)?)?,
                false => place,
            };
            let t = a.tanh()?;
            Ok((t.matmul(&of(&u)?)?, t))
        };
        // sum_l log(t_l^2 + (1 - t_l^2) s_l) with s = 1 + w.û, in which no difference cancels.
        through_layers(v, self.w.dim(0)?, inverse, shift, |t| {
            let flat = t.sqr()?;
            let steep = ones.matmul(&slope.reshape((1, ()))?)?;
            let total = (&flat + (flat.affine(-1.0, 1.0)? * steep)?)?;
            num::row_sum(&total.log()?)
        })
    }
}

/// Layers that move points v (n, D), forward or inverse. `shift` gives the shift of one layer and a
/// column (n, 1), `log_det` the forward log-det (n,) from the columns of all layers (n, L).
pub(super) fn through_layers(
    v: &Tensor,
    layers: usize,
    inverse: bool,
    shift: impl Fn(usize, &Tensor) -> Result<(Tensor, Tensor)>,
    log_det: impl FnOnce(&Tensor) -> Result<Tensor>,
) -> Result<(Tensor, Tensor)> {
    let mut v = v.clone();
    let mut columns = Vec::new();
    for step in 0..layers {
        let layer = if inverse { layers - 1 - step } else { step };
        let (by, column) = shift(layer, &v)?;
        v = if inverse { (v - by)? } else { (v + by)? };
        columns.push(column);
    }
    if inverse {
        columns.reverse();
    }
    let log_det = log_det(&Tensor::cat(&columns, 1)?)?;
    Ok((v, if inverse { log_det.neg()? } else { log_det }))
}

impl Bijection for Planar {
    fn dim(&self) -> usize {
        self.w.dims()[1]
    }

    fn forward_and_log_det(&self, z: &Tensor) -> Result<(Tensor, Tensor)> {
        self.apply(z, false)
    }

    fn inverse_and_log_det(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        self.apply(x, true)
    }
}

/// The a with a + (s - 1) tanh(a) = r, with its gradients: `target` r (n, 1), `slope` s (1, 1).
fn solve(target: &Tensor, slope: &Tensor) -> Result<Tensor> {
    let s = num::to_vec(slope)?.into_iter().sum::<f64>();
    let roots: Vec<f64> = num::to_vec(target)?
        .into_iter()
        .map(|r| root(r, s))
        .collect();
    let a = num::from_rows(&roots, 1, target.dtype(), target.device())?;
    let t = a.tanh()?;
    let steep = t.sqr()?.affine(1.0 - s, s)?;
    // One Newton step: its value is rounding error alone, so only its gradient is kept.
    let step = (target - t.matmul(&(slope - 1.0)?)?)?;
    let step = (&step - step.detach())?;
    Ok((a + (step / steep)?)?)
}

/// The a with a + (s - 1) tanh(a) = r, for s > 0: Newton's method from a side where it cannot
/// overshoot (for a >= 0 the left side is convex or concave), with a bracket against rounding.
fn root(r: f64, s: f64) -> f64 {
    let c = s - 1.0;
    if !(r + c).is_finite() {
        return r + c;
    }
    // The left side is odd in a; and tanh a is at most 1 and at most a.
    let target = r.abs();
    let (one, linear) = (target - c, target / s);
    let (mut low, mut high) = if c > 0.0 {
        (one.max(linear), target)
    } else {
        (target, one.min(linear))
    };
    let mut a = if c > 0.0 { low } else { high };
    for _ in 0..100 {
        let t = a.tanh();
        let over = a + c * t - target;
        if over > 0.0 {
            high = high.min(a);
        } else {
            low = low.max(a);
        }
        let mut next = a - over / (t * t + (1.0 - t * t) * s);
        if !(low..=high).contains(&next) {
            next = 0.5 * (low + high);
        }
        let moved = (next - a).abs();
        a = next;
        if moved <= f64::EPSILON * a {
            break;
        }
    }
    a.copysign(r)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::num::testing::{gradient, values, Faults};

    #[test]
    fn roots_solve_their_equation_also_at_the_limit() {
        let mut faults = Faults::default();
        for s in [1e-6, 1e-3, 0.3, 1.0, 1.7, 30.0, 1e5] {
            for r in [0.0, 1e-300, 1e-9, 1e-3, 0.4, 1.0, 3.0, 40.0, 1e6] {
                for sign in [-1.0, 1.0] {
                    let a = root(sign * r, s);
                    let gap = a + (s - 1.0) * a.tanh() - sign * r;
                    let fine = gap.abs() <= 4e-16 * (a.abs() + s.max(1.0) * a.tanh().abs());
                    faults.unless(fine, || format!("s = {s}, r = {}: {gap:e}", sign * r));
                }
            }
        }
        faults.none();
        assert!(root(f64::NAN, 0.5).is_nan() && root(1.0, f64::NAN).is_nan());
    }

    /// Where u almost collapses a direction, 1 + w.û is at its limit and must not reach 0.
    #[test]
    fn single_precision_survives_the_limit() {
        let row = |v: &[f32]| Tensor::new(v, &Device::Cpu).unwrap().unsqueeze(0).unwrap();
        let params = Params::holding([
            ("w", row(&[1.0, 0.5])),
            ("u", row(&[-40.0, 3.0])),
            ("b", row(&[0.2])),
        ]);
        let planar = Planar::new(&params, 2, 1).unwrap();
        let z = num::from_rows(&[-0.2, 0.0, 1.0, 2.0], 2, DType::F32, &Device::Cpu).unwrap();
        let (x, log_det) = planar.forward_and_log_det(&z).unwrap();
        let (_, back) = planar.inverse_and_log_det(&x).unwrap();
        let mut values = values(&Tensor::cat(&[log_det, back.clone()], 0).unwrap());
        for (_, var) in params.trainable() {
            values.extend(gradient(&back, &var));
        }
        assert!((values[0] - 1e-6_f64.ln()).abs() < 1e-2, "{values:?}");
        assert!(values.iter().all(|v| v.is_finite()), "{values:?}");
    }
}
