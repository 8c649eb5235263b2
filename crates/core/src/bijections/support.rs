//! Maps from R^D onto a part of it, for densities with that support.

use candle_core::{DType, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{pull_back, Bijection};
use crate::error::BadValue;
use crate::{num, Error, Result};

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

/// A number, or a list of numbers with one per coordinate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "expected a number, or a list of numbers with one per coordinate"
)]
pub enum PerCoordinate {
    /// The same in every coordinate.
    All(f64),
    /// One for each of the D coordinates.
    Each(Vec<f64>),
}

impl PerCoordinate {
    pub(crate) fn to_vec(&self, dim: usize) -> Vec<f64> {
        match self {
            Self::All(v) => vec![*v; dim],
            Self::Each(list) => list.clone(),
        }
    }

    /// As many as there are coordinates, all within the range of single precision.
    fn check(&self, key: &str, dim: usize) -> Result<(), BadValue> {
        let list = self.to_vec(dim);
        let expected = format!("one number, or a list of {dim} (one a coordinate)");
        let got = format!("a list of {}", list.len());
        BadValue::unless(list.len() == dim, key, &expected, got)?;
        match list.iter().find(|v| !(v.abs() <= 1e30)) {
            Some(v) => Err(BadValue::new(key, "numbers between -1e30 and 1e30", v)),
            None => Ok(()),
        }
    }
}

impl SupportSpec {
    /// The map for `dim` coordinates.
    ///
    /// # Errors
    /// With the fault that [`SupportSpec::check`] finds.
    pub fn build(&self, dim: usize) -> Result<Support> {
        self.check(dim)
            .map_err(|bad| Error::request(format!("support: {bad}")))?;
        Ok(Support {
            spec: self.clone(),
            dim,
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
    pub fn check(&self, dim: usize) -> Result<(), BadValue> {
        match self {
            Self::Box(s) => s.check(dim).map_err(|e| e.below("box")),
            Self::Positive | Self::Simplex => Ok(()),
        }
    }

    /// Training points (n, dim) mapped to R^D, where the model starts from them.
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
        Ok(pull_back(&support, Some(points.clone()))?.unwrap_or_else(|| points.clone()))
    }
}

impl BoxSpec {
    /// l_d and h_d of every coordinate.
    fn edges(&self, dim: usize) -> impl Iterator<Item = (f64, f64)> {
        self.low.to_vec(dim).into_iter().zip(self.high.to_vec(dim))
    }

    /// A value of every coordinate's edges: (1, dim).
    fn row(&self, like: &Tensor, value: impl Fn(f64, f64) -> f64) -> Result<Tensor> {
        let dim = like.dim(1)?;
        let values: Vec<f64> = self.edges(dim).map(|(l, h)| value(l, h)).collect();
        num::from_rows(&values, dim, like.dtype(), like.device())
    }

    /// sum_d log(h_d - l_d)
    fn log_volume(&self, dim: usize) -> f64 {
        self.edges(dim).map(|(l, h)| (h - l).ln()).sum()
    }

    fn check(&self, dim: usize) -> Result<(), BadValue> {
        self.low.check("low", dim)?;
        self.high.check("high", dim)?;
        for (low, high) in self.edges(dim) {
            // Single precision must have numbers between the edges.
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

/// The next larger number after `v` that `dtype` holds at full precision.
fn next_up(v: f64, dtype: DType) -> f64 {
    if dtype == DType::F32 {
        let v = v as f32;
        f64::from(v.next_up().max(v + f32::MIN_POSITIVE))
    } else {
        v.next_up().max(v + f64::MIN_POSITIVE)
    }
}

/// Logarithms of (nearly) the smallest and the largest number of full precision, and the distance
/// from 1 to the next number.
fn limits(dtype: DType) -> (f64, f64, f64) {
    match dtype {
        DType::F32 => (-87.0, 88.0, f64::from(f32::EPSILON)),
        _ => (-708.0, 709.0, f64::EPSILON),
    }
}

/// A bijection from R^D onto an open set, the support. `forward` stays inside it even where rounding
/// would reach the edge; `inverse` takes points inside only.
///
/// The box prod_d (l_d, h_d), with S(v) = 1 / (1 + e^-v):
///
/// - forward: x = l + (h - l) S(z), from the nearer edge so that both tails keep their digits
/// - its log-det: sum_d log(h_d - l_d) + log S(z_d) + log S(-z_d)
/// - inverse: z = log(x - l) - log(h - x)
/// - its log-det: sum_d log(h_d - l_d) - log(x_d - l_d) - log(h_d - x_d)
///
/// The positive numbers. Unlike softplus the exponential function keeps all digits near 0, its log-det
/// is a sum, and a change of the data's unit only shifts z; but the same tail of z gives x a heavier
/// tail:
///
/// - forward: x = e^z
/// - its log-det: sum_d z_d
/// - inverse: z = log x
/// - its log-det: -sum_d log x_d
///
/// The open simplex of D + 1 parts p, of which x holds the first D: x_d > 0, sum_d x_d < 1. Densities
/// are with respect to dx_1 ... dx_D (the additive log-ratio map of Aitchison 1986):
///
/// - forward: p = softmax(z_1, ..., z_D, 0), x = (p_1, ..., p_D)
/// - its log-det: sum of log p over all D + 1 parts
/// - inverse: z_d = log x_d - log(1 - sum x)
/// - its log-det: minus the same sum
pub struct Support {
    spec: SupportSpec,
    dim: usize,
}

impl Support {
    /// (n, dim) -> 1 for points that are not inside, 0 for all others (n,), u8. A point with a NaN
    /// coordinate does not count as outside: the inverse keeps it NaN.
    pub fn outside(&self, x: &Tensor) -> Result<Tensor> {
        num::expect_points("support", x, self.dim)?;
        let (below, above) = match &self.spec {
            SupportSpec::Box(edges) => (
                x.broadcast_le(&edges.row(x, |l, _| l)?)?,
                x.broadcast_ge(&edges.row(x, |_, h| h)?)?,
            ),
            SupportSpec::Positive => (x.le(0.0)?, x.ge(f64::INFINITY)?),
            SupportSpec::Simplex => {
                let full = x.sum_keepdim(1)?.ge(1.0)?;
                (x.le(0.0)?, full.broadcast_as(x.shape())?)
            }
        };
        let count = (below.to_dtype(DType::F32)? + above.to_dtype(DType::F32)?)?;
        Ok(num::row_sum(&count)?.gt(0.0)?)
    }
}

impl Bijection for Support {
    fn dim(&self) -> usize {
        self.dim
    }

    fn forward_and_log_det(&self, z: &Tensor) -> Result<(Tensor, Tensor)> {
        let n = num::expect_points("support", z, self.dim)?;
        let dtype = z.dtype();
        let (least, most, eps) = limits(dtype);
        match &self.spec {
            SupportSpec::Box(edges) => {
                let width = edges.row(z, |l, h| h - l)?;
                let share = |z: &Tensor| candle_nn::ops::sigmoid(z)?.broadcast_mul(&width);
                let below = share(z)?.broadcast_add(&edges.row(z, |l, _| l)?)?;
                let above = share(&z.neg()?)?.neg()?;
                let above = above.broadcast_add(&edges.row(z, |_, h| h)?)?;
                let x = z
                    .ge(0.0)?
                    .where_cond(&above, &below)?
                    .broadcast_maximum(&edges.row(z, |l, _| next_up(l, dtype))?)?
                    .broadcast_minimum(&edges.row(z, |_, h| -next_up(-h, dtype))?)?;
                let log_slope = num::row_sum(&(z - (num::softplus(z)? * 2.0)?)?)?;
                Ok((x, (log_slope + edges.log_volume(self.dim))?))
            }
            SupportSpec::Positive => Ok((z.clamp(least, most)?.exp()?, num::row_sum(z)?)),
            SupportSpec::Simplex => {
                let last = Tensor::zeros((n, 1), dtype, z.device())?;
                let log_parts = num::log_softmax(&Tensor::cat(&[z, &last], 1)?)?;
                let first = log_parts.narrow(1, 0, self.dim)?.contiguous()?;
                let x = first.maximum(least)?.exp()?;
                // 1, or slightly less where rounding left nothing for the last part.
                let full = x.detach().sum_keepdim(1)?.ge(1.0)?.to_dtype(dtype)?;
                let room = full.affine(-4.0 * (self.dim as f64 + 1.0) * eps, 1.0)?;
                Ok((x.broadcast_mul(&room)?, num::row_sum(&log_parts)?))
            }
        }
    }

    fn inverse_and_log_det(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        num::expect_points("support", x, self.dim)?;
        match &self.spec {
            SupportSpec::Box(edges) => {
                let from_low = x.broadcast_sub(&edges.row(x, |l, _| l)?)?.log()?;
                let from_high = x.neg()?.broadcast_add(&edges.row(x, |_, h| h)?)?.log()?;
                let log_det = num::row_sum(&(&from_low + &from_high)?)?;
                let log_det = log_det.affine(-1.0, edges.log_volume(self.dim))?;
                Ok(((from_low - from_high)?, log_det))
            }
            SupportSpec::Positive => {
                let z = x.log()?;
                let log_det = num::row_sum(&z)?.neg()?;
                Ok((z, log_det))
            }
            SupportSpec::Simplex => {
                let logs = x.log()?;
                let last = x.sum_keepdim(1)?.affine(-1.0, 1.0)?.log()?;
                let log_det = (num::row_sum(&logs)? + last.squeeze(1)?)?.neg()?;
                Ok((logs.broadcast_sub(&last)?, log_det))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::num::testing::{row, tensor, values, Faults};
    use candle_core::Var;

    fn parse(text: &str) -> std::result::Result<SupportSpec, toml::de::Error> {
        #[derive(Deserialize)]
        struct File {
            support: SupportSpec,
        }
        toml::from_str::<File>(text).map(|f| f.support)
    }

    #[test]
    fn specifications_read_back_and_faults_are_named() {
        let spec = parse("support.box = { low = -1, high = [1.0, 2.5] }").unwrap();
        let expected = SupportSpec::Box(BoxSpec {
            low: PerCoordinate::All(-1.0),
            high: PerCoordinate::Each(vec![1.0, 2.5]),
        });
        assert_eq!(spec, expected);
        for (_, spec) in SupportSpec::examples().into_iter().chain([("", spec)]) {
            let written = toml::Value::try_from(&spec).unwrap();
            assert_eq!(parse(&format!("support = {written}")).unwrap(), spec);
            spec.check(2).unwrap();
        }
        for (text, key, what) in [
            ("low = [0.0, 0.0, 0.0], high = 1.0", "box.low", "list of 2"),
            ("low = 0.0, high = []", "box.high", "a list of 0"),
            ("low = 0.0, high = [1.0, inf]", "box.high", "got inf"),
            ("low = 0.0, high = nan", "box.high", "got NaN"),
            (
                "low = [0.0, 1.0], high = 1.0",
                "box.high",
                "low = 1, high = 1",
            ),
            ("low = 1e6, high = 1000001.0", "box.high", "above `low`"),
        ] {
            let spec = parse(&format!("support.box = {{ {text} }}")).unwrap();
            let bad = spec.check(2).unwrap_err();
            assert_eq!(bad.key, key, "{bad}");
            assert!(bad.to_string().contains(what), "{bad}");
            let why = spec.build(2).err().unwrap().to_string();
            assert!(why.contains("support: box."), "{why}");
        }
        for text in [
            "support.box = { low = 0.0 }",
            "support.box = { low = 0.0, high = 1.0, width = 2.0 }",
            "support.box = { low = 'a', high = 1.0 }",
            "support = 'sphere'",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    /// Values by hand: S(log 3) = 3/4; e^(log 3) = 3; softmax(log 3, log 2, 0) = (3, 2, 1) / 6.
    #[test]
    fn known_values() {
        let z = [3f64.ln(), 2f64.ln()];
        let uneven = "support.box = { low = [1.0, -3.0], high = [5.0, 0.0] }";
        let mut faults = Faults::default();
        for (text, x, slope) in [
            (uneven, [4.0, -1.0], 3.0 / 4.0 * 2.0 / 3.0),
            ("support = 'positive'", [3.0, 2.0], 6.0),
            ("support = 'simplex'", [1.0 / 2.0, 1.0 / 3.0], 1.0 / 36.0),
        ] {
            let support = parse(text).unwrap().build(2).unwrap();
            let (got, log_det) = support.forward_and_log_det(&row(&z)).unwrap();
            faults.near(text, &values(&got), &x, |_| 1e-14);
            faults.near(text, &values(&log_det), &[f64::ln(slope)], |_| 1e-14);
        }
        faults.none();
    }

    /// What is outside, on the edge, inside and NaN.
    #[test]
    fn points_on_the_edge_are_outside() {
        let inf = f64::INFINITY;
        let nan = f64::NAN;
        for (text, points, expected) in [
            (
                "support.box = { low = [-1.0, 0.0], high = 2.0 }",
                vec![0., 1., -1., 1., 0., 2., 5., 1., -inf, 1., nan, 1.],
                [0., 1., 1., 1., 1., 0.],
            ),
            (
                "support = 'positive'",
                vec![1., 1e-30, 0., 1., 1., -1., inf, 1., -inf, 1., nan, 1.],
                [0., 1., 1., 1., 1., 0.],
            ),
            (
                "support = 'simplex'",
                vec![0.2, 0.7, 0.5, 0.5, 0., 0.1, -0.1, 0.3, inf, 0.1, nan, 0.1],
                [0., 1., 1., 1., 1., 0.],
            ),
        ] {
            let support = parse(text).unwrap().build(2).unwrap();
            for dtype in [DType::F32, DType::F64] {
                let x = tensor(&points, 2).to_dtype(dtype).unwrap();
                assert_eq!(values(&support.outside(&x).unwrap()), expected);
                let (z, log_det) = support.inverse_and_log_det(&x).unwrap();
                assert!(values(&z)[10].is_nan(), "{text}");
                assert!(values(&log_det)[5].is_nan(), "{text}");
            }
        }
    }

    #[test]
    fn both_tails_stay_inside_with_finite_log_dets_and_gradients() {
        let mut faults = Faults::default();
        let far = [-1e4, -700.0, -80.0, -30.0, 0.0, 30.0, 80.0, 700.0, 1e4];
        let pairs = far
            .iter()
            .flat_map(|a| far.iter().flat_map(move |b| [*a, *b]));
        let rows: Vec<f64> = pairs.collect();
        let uneven = "support.box = { low = [-4.0, 0.0], high = [0.0, 1e3] }";
        let uneven = ("uneven box", parse(uneven).unwrap());
        for (name, spec) in SupportSpec::examples().into_iter().chain([uneven]) {
            let support = spec.build(2).unwrap();
            for dtype in [DType::F32, DType::F64] {
                let z = Var::from_tensor(&tensor(&rows, 2).to_dtype(dtype).unwrap()).unwrap();
                let (x, log_det) = support.forward_and_log_det(z.as_tensor()).unwrap();
                let outside = values(&support.outside(&x).unwrap()).contains(&1.0);
                faults.unless(!outside, || format!("{name}, {dtype:?}: outside"));
                let (back, back_log_det) = support.inverse_and_log_det(&x).unwrap();
                let mut sum = log_det.sum_all().unwrap();
                // The largest positive numbers have no finite sum.
                if name != "positive" {
                    sum = (sum + x.sum_all().unwrap()).unwrap();
                }
                let gradients = sum.backward().unwrap();
                let gradient = gradients.get(z.as_tensor()).unwrap();
                for t in [&x, &log_det, &back, &back_log_det, gradient] {
                    let finite = values(t).iter().all(|v| v.is_finite());
                    faults.unless(finite, || format!("{name}, {dtype:?}: {t}"));
                }
            }
        }
        faults.none();
        // log S'(z) = -|z| - 2 log(1 + e^-|z|) far out, where S(z) (1 - S(z)) itself is 0 or rounded.
        let unit = parse("support.box = { low = 0.0, high = 1.0 }").unwrap();
        let unit = unit.build(1).unwrap();
        let z = tensor(&[-300.0, -40.0, 40.0, 300.0], 1);
        let (x, log_det) = unit.forward_and_log_det(&z).unwrap();
        assert_eq!(values(&log_det), [-300.0, -40.0, -40.0, -300.0]);
        let (back, _) = unit.inverse_and_log_det(&x).unwrap();
        assert!((values(&back)[0] + 300.0).abs() < 1e-12);
    }

    #[test]
    fn training_points_come_back_or_are_refused() {
        let points = tensor(&[0.2, 0.3, 0.6, 0.1], 2);
        let z = SupportSpec::Simplex.pull_back(&points).unwrap();
        let support = SupportSpec::Simplex.build(2).unwrap();
        let (x, _) = support.forward_and_log_det(&z).unwrap();
        assert!(crate::num::testing::gap(&x, &points) < 1e-14);
        let points = (points * 2.0).unwrap();
        let why = SupportSpec::Simplex.pull_back(&points).unwrap_err();
        assert!(why.to_string().contains("got 2 of 2 outside"), "{why}");
    }
}
