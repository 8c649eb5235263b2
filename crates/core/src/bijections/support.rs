//! Maps from R^D onto a part of it, for densities that live there.

use candle_core::{DType, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{pull_back, Bijection};
use crate::error::BadValue;
use crate::{num, Error, Result};

mod per_coordinate;

pub use per_coordinate::PerCoordinate;

/// A bijection from R^D onto an open set, the support. `forward` lands inside it also where
/// rounding would reach its edge; `inverse` takes points inside only.
pub trait Support: Bijection {
    /// (n, dim) -> 1 for points that are not inside, 0 for all others (n,), u8. A coordinate that is
    /// NaN is on no side: such a point goes on into the inverse and stays NaN.
    fn outside(&self, x: &Tensor) -> Result<Tensor>;
}

/// Where a density lives: `support = "positive"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SupportSpec {
    /// An open box.
    Box(BoxSpec),
    /// x_d > 0 for every coordinate.
    Positive,
    /// The first D of D + 1 positive parts that sum to one.
    Simplex,
}

/// `support.box = { low = [-4.0, 0.0], high = 4.0 }`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BoxSpec {
    /// Lower edges.
    pub low: PerCoordinate,
    /// Upper edges.
    pub high: PerCoordinate,
}

impl SupportSpec {
    /// The map for `dim` coordinates.
    ///
    /// # Errors
    /// With the fault that [`SupportSpec::check`] finds.
    pub fn build(&self, dim: usize) -> Result<Box<dyn Support>> {
        self.check(dim)
            .map_err(|bad| Error::request(format!("support: {bad}")))?;
        Ok(match self {
            Self::Box(s) => Box::new(Interior {
                low: s.low.to_vec(dim),
                high: s.high.to_vec(dim),
            }),
            Self::Positive => Box::new(Positive { dim }),
            Self::Simplex => Box::new(Simplex { dim }),
        })
    }

    /// One of each kind, with the name under which tests show it.
    pub fn examples() -> Vec<(&'static str, Self)> {
        let spec = BoxSpec {
            low: PerCoordinate::All(-3.0),
            high: PerCoordinate::All(4.0),
        };
        vec![
            ("box", Self::Box(spec)),
            ("positive", Self::Positive),
            ("simplex", Self::Simplex),
        ]
    }

    /// What is wrong with the settings in `dim` coordinates, if anything.
    pub fn check(&self, dim: usize) -> std::result::Result<(), BadValue> {
        match self {
            Self::Box(s) => s.check(dim).map_err(|e| e.below("box")),
            Self::Positive | Self::Simplex => Ok(()),
        }
    }

    /// Training points (n, dim) carried back to R^D, where the model behind the map starts from
    /// them.
    ///
    /// # Errors
    /// If a point is not inside.
    pub fn pull_back(&self, points: &Tensor) -> Result<Tensor> {
        let (n, dim) = points.dims2()?;
        let support = self.build(dim)?;
        let outside = num::to_vec(&support.outside(points)?)?;
        let outside = outside.into_iter().filter(|o| *o > 0.0).count();
        if outside > 0 {
            return Err(Error::request(format!(
                "support: expected every training point inside; got {outside} of {n} outside or on \
                 the edge (try a wider support, or none)"
            )));
        }
        Ok(pull_back(support.as_ref(), Some(points.clone()))?.unwrap_or_else(|| points.clone()))
    }
}

impl BoxSpec {
    fn check(&self, dim: usize) -> std::result::Result<(), BadValue> {
        self.low.check("low", dim)?;
        self.high.check("high", dim)?;
        for (low, high) in self.low.to_vec(dim).into_iter().zip(self.high.to_vec(dim)) {
            // Single precision must still tell the edges apart, with numbers between them.
            BadValue::unless(
                high - low >= 1e-4 * low.abs().max(high.abs()).max(1e-20),
                "high",
                "`high` above `low`, by at least a ten-thousandth of both",
                format!("low = {low}, high = {high}"),
            )?;
        }
        Ok(())
    }
}

/// The box prod_d (l_d, h_d), with S(v) = 1 / (1 + e^-v):
///
/// - forward: x = l + (h - l) S(z), from the nearer edge so that both tails keep their digits
/// - its log-det: sum_d log(h_d - l_d) + log S(z_d) + log S(-z_d)
/// - inverse: z = log(x - l) - log(h - x)
/// - its log-det: sum_d log(h_d - l_d) - log(x_d - l_d) - log(h_d - x_d)
struct Interior {
    low: Vec<f64>,
    high: Vec<f64>,
}

impl Interior {
    fn row(&self, like: &Tensor, value: impl Fn(f64, f64) -> f64) -> Result<Tensor> {
        let edges = self.low.iter().zip(&self.high);
        let values: Vec<f64> = edges.map(|(l, h)| value(*l, *h)).collect();
        num::from_rows(&values, values.len(), like.dtype(), like.device())
    }

    fn log_volume(&self) -> f64 {
        let edges = self.low.iter().zip(&self.high);
        edges.map(|(l, h)| (h - l).ln()).sum()
    }
}

/// The first number after `v` upwards, of those that `dtype` holds at full precision.
fn next_up(v: f64, dtype: DType) -> f64 {
    if dtype == DType::F32 {
        let v = v as f32;
        f64::from(v.next_up().max(v + f32::MIN_POSITIVE))
    } else {
        v.next_up().max(v + f64::MIN_POSITIVE)
    }
}

impl Bijection for Interior {
    fn dim(&self) -> usize {
        self.low.len()
    }

    fn forward_and_log_det(&self, z: &Tensor) -> Result<(Tensor, Tensor)> {
        num::expect_points("box", z, self.dim())?;
        let dtype = z.dtype();
        let width = self.row(z, |l, h| h - l)?;
        let share = |z: &Tensor| candle_nn::ops::sigmoid(z)?.broadcast_mul(&width);
        let below = share(z)?.broadcast_add(&self.row(z, |l, _| l)?)?;
        let above = share(&z.neg()?)?
            .neg()?
            .broadcast_add(&self.row(z, |_, h| h)?)?;
        let x = z
            .ge(0.0)?
            .where_cond(&above, &below)?
            .broadcast_maximum(&self.row(z, |l, _| next_up(l, dtype))?)?
            .broadcast_minimum(&self.row(z, |_, h| -next_up(-h, dtype))?)?;
        let log_slope = (z - (num::softplus(z)? * 2.0)?)?;
        Ok((x, (num::row_sum(&log_slope)? + self.log_volume())?))
    }

    fn inverse_and_log_det(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        num::expect_points("box", x, self.dim())?;
        let from_low = x.broadcast_sub(&self.row(x, |l, _| l)?)?.log()?;
        let from_high = x.neg()?.broadcast_add(&self.row(x, |_, h| h)?)?.log()?;
        let log_det = num::row_sum(&(&from_low + &from_high)?)?;
        Ok((
            (from_low - from_high)?,
            log_det.affine(-1.0, self.log_volume())?,
        ))
    }
}

impl Support for Interior {
    fn outside(&self, x: &Tensor) -> Result<Tensor> {
        num::expect_points("box", x, self.dim())?;
        let below = x.broadcast_le(&self.row(x, |l, _| l)?)?;
        let above = x.broadcast_ge(&self.row(x, |_, h| h)?)?;
        any(&below, &above)
    }
}

/// Points that one of two marks (n, dim) in one of their coordinates: (n,).
fn any(first: &Tensor, second: &Tensor) -> Result<Tensor> {
    let count = (first.to_dtype(DType::F32)? + second.to_dtype(DType::F32)?)?;
    Ok(num::row_sum(&count)?.gt(0.0)?)
}

/// Logarithms of (nearly) the smallest and the largest number of full precision.
fn log_range(dtype: DType) -> (f64, f64) {
    if dtype == DType::F32 {
        (-87.0, 88.0)
    } else {
        (-708.0, 709.0)
    }
}

/// The positive numbers by the exponential function. Unlike softplus it keeps all digits near 0, its
/// log-det is a sum, and a change of the data's unit is only a shift of z; the price is a heavier
/// tail of x for the same tail of z.
///
/// - forward: x = e^z
/// - its log-det: sum_d z_d
/// - inverse: z = log x
/// - its log-det: -sum_d log x_d
struct Positive {
    dim: usize,
}

impl Bijection for Positive {
    fn dim(&self) -> usize {
        self.dim
    }

    fn forward_and_log_det(&self, z: &Tensor) -> Result<(Tensor, Tensor)> {
        num::expect_points("positive", z, self.dim)?;
        let (least, most) = log_range(z.dtype());
        Ok((z.clamp(least, most)?.exp()?, num::row_sum(z)?))
    }

    fn inverse_and_log_det(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        num::expect_points("positive", x, self.dim)?;
        let z = x.log()?;
        let log_det = num::row_sum(&z)?.neg()?;
        Ok((z, log_det))
    }
}

impl Support for Positive {
    fn outside(&self, x: &Tensor) -> Result<Tensor> {
        num::expect_points("positive", x, self.dim)?;
        any(&x.le(0.0)?, &x.ge(f64::INFINITY)?)
    }
}

/// The open simplex of D + 1 parts p, of which x holds the first D: x_d > 0, sum_d x_d < 1. Densities
/// are with respect to dx_1 ... dx_D (the additive log-ratio map of Aitchison 1986).
///
/// - forward: p = softmax(z_1, ..., z_D, 0), x = (p_1, ..., p_D)
/// - its log-det: sum of log p over all D + 1 parts
/// - inverse: z_d = log x_d - log(1 - sum x)
/// - its log-det: minus the same sum
struct Simplex {
    dim: usize,
}

impl Bijection for Simplex {
    fn dim(&self) -> usize {
        self.dim
    }

    fn forward_and_log_det(&self, z: &Tensor) -> Result<(Tensor, Tensor)> {
        let n = num::expect_points("simplex", z, self.dim)?;
        let last = Tensor::zeros((n, 1), z.dtype(), z.device())?;
        let log_parts = num::log_softmax(&Tensor::cat(&[z, &last], 1)?)?;
        let (least, _) = log_range(z.dtype());
        let x = log_parts
            .narrow(1, 0, self.dim)?
            .contiguous()?
            .maximum(least)?
            .exp()?;
        let total = x.detach().sum_keepdim(1)?;
        let eps = match z.dtype() {
            DType::F32 => f64::from(f32::EPSILON),
            _ => f64::EPSILON,
        };
        // 1, or where the last part was rounded away what leaves some of it.
        let room = total
            .ge(1.0)?
            .to_dtype(z.dtype())?
            .affine(-4.0 * (self.dim as f64 + 1.0) * eps, 1.0)?;
        Ok((x.broadcast_mul(&room)?, num::row_sum(&log_parts)?))
    }

    fn inverse_and_log_det(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        num::expect_points("simplex", x, self.dim)?;
        let logs = x.log()?;
        let last = x.sum_keepdim(1)?.affine(-1.0, 1.0)?.log()?;
        let log_det = (num::row_sum(&logs)? + last.squeeze(1)?)?.neg()?;
        Ok((logs.broadcast_sub(&last)?, log_det))
    }
}

impl Support for Simplex {
    fn outside(&self, x: &Tensor) -> Result<Tensor> {
        num::expect_points("simplex", x, self.dim)?;
        let full = x.sum_keepdim(1)?.ge(1.0)?.broadcast_as(x.shape())?;
        any(&x.le(0.0)?, &full)
    }
}

#[cfg(test)]
mod tests;
