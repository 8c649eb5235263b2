//! Monotone rational-quadratic splines (Durkan, Bekasov, Murray, Papamakarios 2019).

use candle_core::{Device, Tensor, D};

use super::coupling::Transformer;
use crate::{num, Result};

const MIN_WIDTH: f64 = 1e-3;
const MIN_HEIGHT: f64 = 1e-3;
const MIN_SLOPE: f64 = 1e-3;

/// A monotone rational-quadratic spline on [-B, B] with K bins and slope 1 at both ends, the
/// identity outside ("linear tails"). Raw parameters per coordinate: K widths, K heights, K - 1
/// inner slopes; widths and heights are 2 B (10^-3 + (1 - 10^-3 K) softmax), slopes
/// 10^-3 + softplus.
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
pub struct Spline {
    /// K, the number of bins.
    pub bins: usize,
    /// B, where the tails begin.
    pub bound: f64,
}

impl Spline {
    fn per_coordinate(&self) -> usize {
        3 * self.bins - 1
    }

    fn knots(&self, v: &Tensor, theta: &Tensor) -> Result<Knots> {
        let (n, dim) = v.dims2()?;
        let theta = theta.reshape((n, dim, self.per_coordinate()))?;
        let k = self.bins;
        let widths = theta.narrow(2, 0, k)?.contiguous()?;
        let heights = theta.narrow(2, k, k)?.contiguous()?;
        let slopes = match k {
            1 => None,
            _ => Some(theta.narrow(2, 2 * k, k - 1)?.contiguous()?),
        };
        Knots::from_raw(&widths, &heights, slopes.as_ref(), self.bound)
    }
}

impl Transformer for Spline {
    // ln(e^(1 - 10^-3) - 1): the raw slope at which 10^-3 + softplus is 1.
    fn start(&self, dim: usize) -> Vec<f64> {
        let unit_slope = ((1.0 - MIN_SLOPE).exp() - 1.0).ln();
        let mut one = vec![0.0; 2 * self.bins];
        one.extend(vec![unit_slope; self.bins - 1]);
        one.repeat(dim)
    }

    fn owner(&self, output: usize, _dim: usize) -> usize {
        output / self.per_coordinate()
    }

    fn forward_and_log_det(&self, z: &Tensor, theta: &Tensor) -> Result<(Tensor, Tensor)> {
        let (x, log_slope) = self.knots(z, theta)?.inverse(z)?;
        Ok((x, num::row_sum(&log_slope)?))
    }

    fn inverse_and_log_det(&self, x: &Tensor, theta: &Tensor) -> Result<(Tensor, Tensor)> {
        let (z, log_slope) = self.knots(x, theta)?.evaluate(x)?;
        Ok((z, num::row_sum(&log_slope)?))
    }

    fn kernel(&self) -> mdn_kernels::Transformer {
        mdn_kernels::Transformer::Spline {
            bins: self.bins,
            bound: self.bound,
        }
    }
}

/// The bins of many splines: every tensor (n, dim, K).
pub struct Knots {
    left: Tensor,
    width: Tensor,
    bottom: Tensor,
    height: Tensor,
    slope_left: Tensor,
    slope_right: Tensor,
    bound: f64,
}

struct Bin {
    left: Tensor,
    width: Tensor,
    bottom: Tensor,
    height: Tensor,
    slope_left: Tensor,
    slope_right: Tensor,
}

impl Knots {
    /// From raw widths and heights (n, dim, K) and inner slopes (n, dim, K - 1; `None` if K = 1).
    pub fn from_raw(
        widths: &Tensor,
        heights: &Tensor,
        slopes: Option<&Tensor>,
        bound: f64,
    ) -> Result<Self> {
        let (left, width) = cumulative(widths, MIN_WIDTH, bound)?;
        let (bottom, height) = cumulative(heights, MIN_HEIGHT, bound)?;
        let (n, dim, _) = widths.dims3()?;
        let end = Tensor::ones((n, dim, 1), widths.dtype(), widths.device())?;
        let (slope_left, slope_right) = match slopes {
            None => (end.clone(), end),
            Some(raw) => {
                let inner = (num::softplus(raw)? + MIN_SLOPE)?;
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
    fn bin(&self, v: &Tensor, edges: &Tensor) -> Result<Bin> {
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
        Ok(Bin {
            left: pick(&self.left)?,
            width: pick(&self.width)?,
            bottom: pick(&self.bottom)?,
            height: pick(&self.height)?,
            slope_left: pick(&self.slope_left)?,
            slope_right: pick(&self.slope_right)?,
        })
    }

    /// v (n, dim) -> spline(v) and log spline'(v), each (n, dim).
    pub fn evaluate(&self, v: &Tensor) -> Result<(Tensor, Tensor)> {
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
    pub fn inverse(&self, u: &Tensor) -> Result<(Tensor, Tensor)> {
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
}

impl Bin {
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
fn cumulative(raw: &Tensor, min: f64, bound: f64) -> Result<(Tensor, Tensor)> {
    let (n, dim, k) = raw.dims3()?;
    let shares = num::log_softmax(raw)?.exp()?;
    let shares = (shares * (1.0 - min * k as f64))?.affine(1.0, min)?;
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
    use candle_core::{DType, Var};
    use serde_json::Value;

    fn numbers(case: &Value, key: &str) -> Vec<f64> {
        case[key]
            .as_array()
            .unwrap()
            .iter()
            .map(|v| v.as_f64().unwrap())
            .collect()
    }

    fn compare(
        what: &str,
        got: &[f64],
        expected: &[f64],
        tolerance: f64,
        faults: &mut Vec<String>,
    ) {
        assert_eq!(got.len(), expected.len(), "{what}");
        for (i, (g, e)) in got.iter().zip(expected).enumerate() {
            if !((g - e).abs() <= tolerance * e.abs().max(1.0)) {
                faults.push(format!("{what}[{i}]: {g} against {e}"));
            }
        }
    }

    /// tests/reference/rqs.json: nflows 0.14 on torch 2.15.0, float64; tolerances as stated there.
    #[test]
    fn golden_values_of_nflows() {
        let file: Value =
            serde_json::from_str(include_str!("../../tests/reference/rqs.json")).unwrap();
        let mut faults = Vec::new();
        for case in file["nflows_cases"].as_array().unwrap() {
            let tag = case["tag"].as_str().unwrap();
            let near_minimum = tag.contains("min");
            let bound = case["tail_bound"].as_f64().unwrap();
            let x = numbers(case, "x");
            let n = x.len();
            // The same raw parameters for every point: (1, K) broadcast keeps one gradient.
            let raw = |key: &str| {
                let v = numbers(case, key);
                (!v.is_empty()).then(|| {
                    let k = v.len();
                    Var::from_tensor(&Tensor::from_vec(v, (1, 1, k), &Device::Cpu).unwrap())
                        .unwrap()
                })
            };
            let vars = [
                raw("unnormalized_widths"),
                raw("unnormalized_heights"),
                raw("unnormalized_derivatives"),
            ];
            let knots = |n: usize| {
                let rows = |v: &Option<Var>| {
                    v.as_ref().map(|v| {
                        let k = v.dim(2).unwrap();
                        let ones = Tensor::ones((n, 1), DType::F64, &Device::Cpu).unwrap();
                        let row = v.as_tensor().reshape((1, k)).unwrap();
                        ones.matmul(&row).unwrap().reshape((n, 1, k)).unwrap()
                    })
                };
                let slopes = rows(&vars[2]);
                Knots::from_raw(
                    &rows(&vars[0]).unwrap(),
                    &rows(&vars[1]).unwrap(),
                    slopes.as_ref(),
                    bound,
                )
                .unwrap()
            };
            let column = |v: &[f64]| {
                Var::from_tensor(&num::from_rows(v, 1, DType::F64, &Device::Cpu).unwrap()).unwrap()
            };
            let x = column(&x);
            let (y, log_det) = knots(n).evaluate(x.as_tensor()).unwrap();
            let check = |key: &str, got: &Tensor, tolerance: f64, faults: &mut Vec<String>| {
                compare(
                    &format!("{tag} {key}"),
                    &num::to_vec(got).unwrap(),
                    &numbers(case, key),
                    tolerance,
                    faults,
                );
            };
            check("y", &y, 1e-12 * bound, &mut faults);
            check(
                "log_det",
                &log_det,
                if near_minimum { 1e-7 } else { 1e-10 },
                &mut faults,
            );
            let (back, back_log_det) = knots(n)
                .inverse(column(&numbers(case, "y")).as_tensor())
                .unwrap();
            let loose = if near_minimum { 1e-6 } else { 1e-9 };
            check("inverse_of_y", &back, loose, &mut faults);
            check("inverse_log_det", &back_log_det, loose, &mut faults);
            let y_in = numbers(case, "y_in");
            let (out, out_log_det) = knots(y_in.len())
                .inverse(column(&y_in).as_tensor())
                .unwrap();
            check("x_out", &out, loose, &mut faults);
            check("inverse_log_det_out", &out_log_det, loose, &mut faults);

            // A point on an inner knot has one-sided gradients only, and rounding picks the side.
            let inner = numbers(case, "knot_x");
            let on_knot = numbers(case, "x")[14] == 0.0
                && inner[1..inner.len() - 1].iter().any(|k| k.abs() < 1e-12);
            if on_knot {
                continue;
            }
            let cotangent = |key: &str| {
                num::from_rows(&numbers(case, key), 1, DType::F64, &Device::Cpu).unwrap()
            };
            let sum = ((y * cotangent("cotangent_y")).unwrap().sum_all().unwrap()
                + (log_det * cotangent("cotangent_log_det"))
                    .unwrap()
                    .sum_all()
                    .unwrap())
            .unwrap();
            let gradients = sum.backward().unwrap();
            for (key, var) in ["grad_widths", "grad_heights", "grad_derivatives"]
                .iter()
                .zip(&vars)
            {
                if let Some(var) = var {
                    check(
                        key,
                        gradients.get(var.as_tensor()).unwrap(),
                        loose,
                        &mut faults,
                    );
                }
            }
            let expected = numbers(case, "grad_x");
            let got = num::to_vec(gradients.get(x.as_tensor()).unwrap()).unwrap();
            // At the two ends and at the knots the cotangents are 0, and so is the gradient.
            compare(
                &format!("{tag} grad_x"),
                &got,
                &expected,
                loose,
                &mut faults,
            );
        }
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
}
