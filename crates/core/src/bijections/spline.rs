//! Monotone rational-quadratic splines (Durkan, Bekasov, Murray, Papamakarios 2019).

use candle_core::{Device, Tensor, D};
use mdn_kernels::SPLINE_MIN;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::permutation::Order;
use super::stack::{Kind, Mixing, Stack};
use super::Transformer;
use crate::error::BadValue;
use crate::nn::mlp::Activation;
use crate::{num, Result};

/// `spline_coupling = { layers = 4, bins = 8 }`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SplineCouplingSpec {
    /// Number of couplings.
    pub layers: usize,
    /// Widths of the conditioner's hidden layers.
    pub hidden: Vec<usize>,
    /// Nonlinearity of the conditioner.
    pub activation: Activation,
    /// Number of spline bins.
    pub bins: usize,
    /// B: the spline acts on [-B, B] and is the identity outside.
    pub tail_bound: f64,
    /// What stands between two couplings.
    pub mixing: Mixing,
}

impl Default for SplineCouplingSpec {
    fn default() -> Self {
        Self {
            layers: 4,
            hidden: vec![64, 64],
            activation: Activation::default(),
            bins: 8,
            tail_bound: 5.0,
            mixing: Mixing::default(),
        }
    }
}

impl SplineCouplingSpec {
    pub(super) fn stack(&self) -> Stack<'_> {
        let kind = Kind::Couplings(self.mixing);
        let spline = Spline {
            bins: self.bins,
            bound: self.tail_bound,
        };
        Stack::new(self.layers, &self.hidden, self.activation, kind, spline)
    }
}

/// `masked_autoregressive_spline = { layers = 3, bins = 8 }`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MaskedAutoregressiveSplineSpec {
    /// Number of layers.
    pub layers: usize,
    /// Widths of the conditioner's hidden layers.
    pub hidden: Vec<usize>,
    /// Nonlinearity of the conditioner.
    pub activation: Activation,
    /// Number of spline bins.
    pub bins: usize,
    /// B: the spline acts on [-B, B] and is the identity outside.
    pub tail_bound: f64,
    /// The order of the coordinates in every second layer (`reverse`) or in each (`shuffle`).
    pub order: Order,
}

impl Default for MaskedAutoregressiveSplineSpec {
    fn default() -> Self {
        Self {
            layers: 3,
            hidden: vec![64, 64],
            activation: Activation::default(),
            bins: 8,
            tail_bound: 5.0,
            order: Order::default(),
        }
    }
}

impl MaskedAutoregressiveSplineSpec {
    pub(super) fn stack(&self) -> Stack<'_> {
        let kind = Kind::Autoregressive(self.order);
        let spline = Spline {
            bins: self.bins,
            bound: self.tail_bound,
        };
        Stack::new(self.layers, &self.hidden, self.activation, kind, spline)
    }
}

/// A monotone rational-quadratic spline on [-B, B] with K bins and slope 1 at both ends, the
/// identity outside ("linear tails"). Raw parameters per coordinate: K widths, K heights, K - 1
/// inner slopes; widths and heights are 2 B (10^-3 + (1 - 10^-3 K) softmax), slopes
/// 10^-3 + softplus ([`SPLINE_MIN`]).
///
/// With theta = (v - v_k) / w_k, s = h_k / w_k, and slopes d at the knots, the spline is
/// u = u_k + h_k (s theta^2 + d_k theta (1 - theta)) / (s + (d_k + d_{k+1} - 2 s) theta (1 - theta)).
/// It is applied from data to base, so that training evaluates this formula and sampling solves
/// its quadratic:
///
/// - forward: x = spline^-1(z)
/// - its log-det: -sum_d log spline'(x_d)
/// - inverse: z = spline(x)
/// - its log-det: sum_d log spline'(x_d)
struct Spline {
    /// K, the number of bins.
    bins: usize,
    /// B, where the tails begin.
    bound: f64,
}

impl Spline {
    fn per_coordinate(&self) -> usize {
        3 * self.bins - 1
    }

    fn bins(&self, v: &Tensor, theta: &Tensor) -> Result<Bins> {
        let (n, dim) = v.dims2()?;
        let theta = theta.reshape((n, dim, self.per_coordinate()))?;
        let k = self.bins;
        let widths = theta.narrow(2, 0, k)?.contiguous()?;
        let heights = theta.narrow(2, k, k)?.contiguous()?;
        let slopes = match k {
            1 => None,
            _ => Some(theta.narrow(2, 2 * k, k - 1)?.contiguous()?),
        };
        Bins::from_raw(&widths, &heights, slopes.as_ref(), self.bound)
    }
}

impl Transformer for Spline {
    // ln(e^(1 - 10^-3) - 1): the raw slope at which 10^-3 + softplus is 1.
    fn start(&self, dim: usize) -> Vec<f64> {
        let unit_slope = ((1.0 - SPLINE_MIN).exp() - 1.0).ln();
        let mut one = vec![0.0; 2 * self.bins];
        one.extend(vec![unit_slope; self.bins - 1]);
        one.repeat(dim)
    }

    fn owner(&self, output: usize, _dim: usize) -> usize {
        output / self.per_coordinate()
    }

    fn forward_and_log_det(&self, z: &Tensor, theta: &Tensor) -> Result<(Tensor, Tensor)> {
        let (x, log_slope) = self.bins(z, theta)?.inverse(z)?;
        Ok((x, num::row_sum(&log_slope)?))
    }

    fn inverse_and_log_det(&self, x: &Tensor, theta: &Tensor) -> Result<(Tensor, Tensor)> {
        let (z, log_slope) = self.bins(x, theta)?.evaluate(x)?;
        Ok((z, num::row_sum(&log_slope)?))
    }

    fn kernel(&self) -> mdn_kernels::Transformer {
        mdn_kernels::Transformer::Spline {
            bins: self.bins,
            bound: self.bound,
        }
    }

    fn check(&self) -> Result<(), BadValue> {
        let bound = self.bound;
        BadValue::within("bins", self.bins, 1, 128)?;
        let expected = "1e-6 <= `tail_bound` <= 1e6";
        BadValue::unless((1e-6..=1e6).contains(&bound), "tail_bound", expected, bound)
    }
}

/// Edges and slopes at both ends of bins: of all bins of many splines (n, dim, K), or of the one bin
/// of each value (n, dim).
struct Bins {
    left: Tensor,
    width: Tensor,
    bottom: Tensor,
    height: Tensor,
    slope_left: Tensor,
    slope_right: Tensor,
    /// B, where the tails begin.
    bound: f64,
}

impl Bins {
    /// From raw widths and heights (n, dim, K) and inner slopes (n, dim, K - 1; `None` if K = 1).
    fn from_raw(
        widths: &Tensor,
        heights: &Tensor,
        slopes: Option<&Tensor>,
        bound: f64,
    ) -> Result<Self> {
        let (left, width) = cumulative(widths, bound)?;
        let (bottom, height) = cumulative(heights, bound)?;
        let (n, dim, _) = widths.dims3()?;
        let end = Tensor::ones((n, dim, 1), widths.dtype(), widths.device())?;
        let (slope_left, slope_right) = match slopes {
            None => (end.clone(), end),
            Some(raw) => {
                let inner = (num::softplus(raw)? + SPLINE_MIN)?;
                (
                    Tensor::cat(&[&end, &inner], 2)?,
                    Tensor::cat(&[&inner, &end], 2)?,
                )
            }
        };
        Ok(Self {
            left,
            width,
            bottom,
            height,
            slope_left,
            slope_right,
            bound,
        })
    }

    /// The bin of each value: the last one whose `edges` entry is not above it. Bins are picked by
    /// sums over masks, since the gradient of a gather is slow.
    fn bin(&self, v: &Tensor, edges: &Tensor) -> Result<Self> {
        let bins = edges.dim(2)?;
        let above = v
            .unsqueeze(2)?
            .broadcast_as(edges.shape())?
            .ge(edges)?
            .to_dtype(v.dtype())?;
        let picked = if bins == 1 {
            above.ones_like()?
        } else {
            let next = above.narrow(2, 1, bins - 1)?;
            let last = above.narrow(2, 0, 1)?.zeros_like()?;
            // The first edge is the lower bound of every value that counts.
            let first = above.narrow(2, 0, 1)?.ones_like()?;
            let above = Tensor::cat(&[&first, &next], 2)?;
            (above - Tensor::cat(&[&next, &last], 2)?)?
        };
        let pick = |values: &Tensor| -> Result<Tensor> { Ok((&picked * values)?.sum(D::Minus1)?) };
        Ok(Self {
            left: pick(&self.left)?,
            width: pick(&self.width)?,
            bottom: pick(&self.bottom)?,
            height: pick(&self.height)?,
            slope_left: pick(&self.slope_left)?,
            slope_right: pick(&self.slope_right)?,
            bound: self.bound,
        })
    }

    /// v (n, dim) -> spline(v) and log spline'(v), each (n, dim).
    fn evaluate(&self, v: &Tensor) -> Result<(Tensor, Tensor)> {
        // Values in the tails are clamped first: a select does not keep the gradient of the branch
        // that is not taken from being NaN.
        let inner = v.clamp(-self.bound, self.bound)?;
        let bin = self.bin(&inner, &self.left)?;
        let theta = ((inner - &bin.left)? / &bin.width)?;
        let (numerator, denominator, log_slope) = bin.at(&theta)?;
        let u = (&bin.bottom + (&bin.height * (numerator / denominator)?)?)?;
        self.with_tails(v, &u, &log_slope)
    }

    /// u (n, dim) -> spline^-1(u) and log d(spline^-1)/du, each (n, dim).
    fn inverse(&self, u: &Tensor) -> Result<(Tensor, Tensor)> {
        let inner = u.clamp(-self.bound, self.bound)?;
        let bin = self.bin(&inner, &self.bottom)?;
        let slope = (&bin.height / &bin.width)?;
        let rise = (inner - &bin.bottom)?;
        let bend = ((&bin.slope_left + &bin.slope_right)? - (&slope * 2.0)?)?;
        let a = ((&rise * &bend)? + (&bin.height * (&slope - &bin.slope_left)?)?)?;
        let b = ((&bin.height * &bin.slope_left)? - (&rise * &bend)?)?;
        let c = (&slope * &rise)?.neg()?;
        let discriminant = (b.sqr()? - ((&a * &c)? * 4.0)?)?.clamp(1e-30, f64::MAX)?;
        let theta = ((c * 2.0)? / (b.neg()? - discriminant.sqrt()?)?)?;
        let (_, _, log_slope) = bin.at(&theta)?;
        let v = ((theta * &bin.width)? + &bin.left)?;
        self.with_tails(u, &v, &log_slope.neg()?)
    }

    fn with_tails(&self, v: &Tensor, u: &Tensor, log_slope: &Tensor) -> Result<(Tensor, Tensor)> {
        let inside = v.abs()?.le(self.bound)?;
        // A NaN compares as outside and passes through: it must stay visible.
        let nothing = (v * 0.0)?;
        Ok((
            inside.where_cond(u, v)?,
            inside.where_cond(log_slope, &nothing)?,
        ))
    }

    /// Numerator and denominator of the spline within the bin (without the height), and the log of
    /// its slope.
    fn at(&self, theta: &Tensor) -> Result<(Tensor, Tensor, Tensor)> {
        let slope = (&self.height / &self.width)?;
        let rest = theta.affine(-1.0, 1.0)?;
        let cross = (theta * &rest)?;
        let bend = ((&self.slope_left + &self.slope_right)? - (&slope * 2.0)?)?;
        let numerator = ((&slope * theta.sqr()?)? + (&self.slope_left * &cross)?)?;
        let denominator = (&slope + (bend * &cross)?)?;
        let rate = (((&self.slope_right * theta.sqr()?)? + ((&slope * &cross)? * 2.0)?)?
            + (&self.slope_left * rest.sqr()?)?)?;
        let log_slope = ((rate.log()? + (slope.log()? * 2.0)?)? - (denominator.log()? * 2.0)?)?;
        Ok((numerator, denominator, log_slope))
    }
}

/// Left edges and widths of bins that fill [-bound, bound], from raw widths (n, dim, K).
fn cumulative(raw: &Tensor, bound: f64) -> Result<(Tensor, Tensor)> {
    let (n, dim, k) = raw.dims3()?;
    let shares = num::log_softmax(raw)?.exp()?;
    let shares = (shares * (1.0 - SPLINE_MIN * k as f64))?.affine(1.0, SPLINE_MIN)?;
    let before: Vec<f64> = (0..k * k)
        .map(|i| f64::from(u8::from(i / k < i % k)))
        .collect();
    let before = num::from_rows(&before, k, raw.dtype(), &Device::Cpu)?.to_device(raw.device())?;
    let left = shares
        .reshape((n * dim, k))?
        .matmul(&before)?
        .reshape((n, dim, k))?;
    Ok((left.affine(2.0 * bound, -bound)?, (shares * (2.0 * bound))?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::num::testing::{cases, numbers, reference, scaled, tensor, values, var, Faults};
    use candle_core::{DType, Var};

    /// tests/reference/rqs.json: nflows 0.14 on torch 2.15.0, float64; tolerances as stated there.
    #[test]
    fn golden_values_of_nflows() {
        let file = reference(include_str!("../../tests/reference/rqs.json"));
        let mut faults = Faults::default();
        for case in cases(&file, "nflows_cases") {
            let tag = case["tag"].as_str().unwrap();
            let of = |key: &str| numbers(&case[key]);
            let bound = of("tail_bound")[0];
            let (loose, tight) = match tag.contains("min") {
                true => (1e-6, 1e-7),
                false => (1e-9, 1e-10),
            };
            let mut check = |key: &str, got: &Tensor, tolerance: f64| {
                let what = format!("{tag} {key}");
                faults.near(&what, &values(got), &of(key), scaled(tolerance));
            };
            // (1, K), the same for every point; there are no inner slopes where K = 1.
            let raw = |key: &str| Some(of(key)).filter(|v| !v.is_empty());
            let vars = [
                "unnormalized_widths",
                "unnormalized_heights",
                "unnormalized_derivatives",
            ]
            .map(|key| raw(key).map(|v| var(&v, v.len())));
            let bins = |n: usize| {
                let rows = |v: &Var| {
                    let ones = Tensor::ones((n, 1), DType::F64, &Device::Cpu).unwrap();
                    let all = ones.matmul(v.as_tensor()).unwrap();
                    all.reshape((n, 1, ())).unwrap()
                };
                let [widths, heights, slopes] = vars.each_ref().map(|v| v.as_ref().map(rows));
                Bins::from_raw(&widths.unwrap(), &heights.unwrap(), slopes.as_ref(), bound).unwrap()
            };

            let points = of("x");
            let x = var(&points, 1);
            let (y, log_det) = bins(points.len()).evaluate(x.as_tensor()).unwrap();
            check("y", &y, 1e-12 * bound);
            check("log_det", &log_det, tight);
            for (from, to, by) in [
                ("y", "inverse_of_y", "inverse_log_det"),
                ("y_in", "x_out", "inverse_log_det_out"),
            ] {
                let u = tensor(&of(from), 1);
                let (back, log_det) = bins(of(from).len()).inverse(&u).unwrap();
                check(to, &back, loose);
                check(by, &log_det, loose);
            }

            // A point on an inner knot has one-sided gradients only, and rounding picks the side.
            let inner = of("knot_x");
            let on_knot =
                points[14] == 0.0 && inner[1..inner.len() - 1].iter().any(|k| k.abs() < 1e-12);
            if on_knot {
                continue;
            }
            // At the two ends and at the knots the cotangents are 0, and so is the gradient.
            let pull = |value: Tensor, key: &str| (value * tensor(&of(key), 1)).unwrap();
            let sum = (pull(y, "cotangent_y") + pull(log_det, "cotangent_log_det")).unwrap();
            let gradients = sum.sum_all().unwrap().backward().unwrap();
            let [widths, heights, slopes] = vars;
            for (key, var) in [
                ("grad_widths", widths),
                ("grad_heights", heights),
                ("grad_derivatives", slopes),
                ("grad_x", Some(x)),
            ] {
                if let Some(var) = var {
                    check(key, gradients.get(var.as_tensor()).unwrap(), loose);
                }
            }
        }
        faults.none();
    }
}
