//! Normals around a curve: `funnel` and `banana`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::checks;
use super::law::{centred, square, Density, Settings, Truth};
use super::Entropy;
use crate::error::BadValue;
use crate::num::LN_2PI;
use crate::rng::Rng;

const MAX_DIM: usize = 10_000;

/// `funnel = { dim = 10, std = 3.0 }`
///
/// X1 ~ N(0, s^2), Xd ~ N(0, exp X1) for d = 2 ... D, independent given X1: the funnel of Neal 2003 (Slice
/// sampling, Annals of Statistics 31), whose neck narrows by exp(-s / 2) for each standard deviation of X1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FunnelSpec {
    /// D, at least 2.
    pub dim: usize,
    /// s, the standard deviation of X1.
    pub std: f64,
}

impl Default for FunnelSpec {
    fn default() -> Self {
        Self { dim: 10, std: 3.0 }
    }
}

impl Settings for FunnelSpec {
    fn law(&self) -> Result<Truth, BadValue> {
        BadValue::within("dim", self.dim, 2, MAX_DIM)?;
        // A wider neck than exp(15) either way has next to no density in f64.
        checks::between("std", self.std, 1e-3, 5.0)?;
        let law = Curved {
            mean: 0.0,
            std: self.std,
            bend: [0.0; 2],
            log_scale: [0.0, 0.5],
        };
        let view = centred(3.0 * self.std.max(1.0));
        Ok(law.truth(self.dim, view))
    }
}

/// `banana = { mean = 0.0, std = 10.0, bend = -0.03, offset = 3.0, noise = 1.0 }`
///
/// X1 ~ N(m, s^2), X2 ~ N(b X1^2 + c, t^2). The defaults are the banana of Haario et al. 1999 (Adaptive
/// proposal distribution for random walk Metropolis algorithm, Computational Statistics 14), moderately
/// twisted; with m = 1, s^2 = 10, b = 1, c = 0, t^2 = 0.1 it is the Rosenbrock density
/// exp(-(100 (x2 - x1^2)^2 + (1 - x1)^2) / 20) of Goodman and Weare 2010.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BananaSpec {
    /// m, the mean of X1.
    pub mean: f64,
    /// s, the standard deviation of X1.
    pub std: f64,
    /// b, how much the curve bends.
    pub bend: f64,
    /// c, the height of the curve at 0.
    pub offset: f64,
    /// t, the standard deviation around the curve.
    pub noise: f64,
}

impl Default for BananaSpec {
    fn default() -> Self {
        Self {
            mean: 0.0,
            std: 10.0,
            bend: -0.03,
            offset: 3.0,
            noise: 1.0,
        }
    }
}

impl Settings for BananaSpec {
    fn law(&self) -> Result<Truth, BadValue> {
        for (key, value) in [
            ("mean", self.mean),
            ("bend", self.bend),
            ("offset", self.offset),
        ] {
            checks::coordinates(key, key, &[value])?;
        }
        checks::length("std", self.std)?;
        checks::length("noise", self.noise)?;
        let law = Curved {
            mean: self.mean,
            std: self.std,
            bend: [self.offset, self.bend],
            log_scale: [self.noise.ln(), 0.0],
        };
        let ends = [-4.0, 4.0].map(|k| self.mean + k * self.std);
        // The curve is lowest and highest at the ends, or at its vertex between them.
        let vertex = 0f64.clamp(ends[0], ends[1]);
        let heights = [ends[0], ends[1], vertex].map(|x| law.centre(x));
        let low = heights.iter().copied().fold(f64::INFINITY, f64::min);
        let high = heights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let room = 4.0 * self.noise;
        let view = square([(ends[0], ends[1]), (low - room, high + room)]);
        Ok(law.truth(2, view))
    }
}

/// X1 ~ N(m, s^2), Xd ~ N(c + b X1^2, exp(2 (u + v X1))) for d = 2 ... D: one mode.
struct Curved {
    mean: f64,
    std: f64,
    /// c, b
    bend: [f64; 2],
    /// u, v
    log_scale: [f64; 2],
}

impl Curved {
    fn truth(self, dim: usize, view: [(f64, f64); 2]) -> Truth {
        let others = (dim - 1) as f64;
        let log_scales = self.std.ln() + others * self.log_scale(self.mean);
        let entropy = 0.5 * dim as f64 * (1.0 + LN_2PI) + log_scales;
        let view = (dim == 2).then_some(view);
        let law = Truth::new(dim, vec![1.0], self);
        Truth { view, ..law }.with_entropy(Some(Entropy::exact(entropy)))
    }

    fn centre(&self, x1: f64) -> f64 {
        self.bend[0] + self.bend[1] * x1 * x1
    }

    fn log_scale(&self, x1: f64) -> f64 {
        self.log_scale[0] + self.log_scale[1] * x1
    }

    /// The log density, and what a coordinate away from the curve has of it.
    fn log_density(&self, x: &[f64]) -> f64 {
        let first = (x[0] - self.mean) / self.std;
        let mut sum = first * first;
        for v in &x[1..] {
            let off = self.whitened(x[0], *v);
            sum += off * off;
        }
        let others = (x.len() - 1) as f64;
        let log_scales = self.std.ln() + others * self.log_scale(x[0]);
        -0.5 * (sum + x.len() as f64 * LN_2PI) - log_scales
    }

    /// (x_d - centre) / scale; 0 on the curve, whatever the scale.
    fn whitened(&self, x1: f64, v: f64) -> f64 {
        match v - self.centre(x1) {
            0.0 => 0.0,
            off => off * (-self.log_scale(x1)).exp(),
        }
    }
}

impl Density for Curved {
    fn draw(&self, rng: &mut Rng, x: &mut [f64]) -> usize {
        x[0] = self.mean + self.std * rng.normal();
        let (centre, scale) = (self.centre(x[0]), self.log_scale(x[0]).exp());
        x[1..].fill_with(|| centre + scale * rng.normal());
        0
    }

    fn log_joint(&self, x: &[f64], out: &mut [f64]) {
        let log_p = self.log_density(x);
        out[0] = if log_p.is_nan() {
            f64::NEG_INFINITY
        } else {
            log_p
        };
    }

    fn gradient(&self, x: &[f64], out: &mut [f64]) {
        if !self.log_density(x).is_finite() {
            return;
        }
        let slope = 2.0 * self.bend[1] * x[0];
        out[0] = -(x[0] - self.mean) / (self.std * self.std);
        for d in 1..x.len() {
            let off = self.whitened(x[0], x[d]);
            if off != 0.0 {
                out[d] = -off * (-self.log_scale(x[0])).exp();
            }
            out[0] += self.log_scale[1] * (off * off - 1.0) - out[d] * slope;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::log_density;

    #[test]
    fn the_rosenbrock_density_is_a_banana() {
        let spec = BananaSpec {
            mean: 1.0,
            std: 10f64.sqrt(),
            bend: 1.0,
            offset: 0.0,
            noise: 0.1f64.sqrt(),
        };
        let truth = spec.law().unwrap();
        assert!((truth.entropy().value - (1.0 + LN_2PI)).abs() < 1e-12);
        for [x, y] in [[1.0, 1.0], [-2.0, 3.5], [3.0, 9.1], [0.0, -1.0]] {
            let rosenbrock = (100.0 * (y - x * x) * (y - x * x) + (1.0 - x) * (1.0 - x)) / 20.0;
            let off = log_density(&truth, &[x, y]) + rosenbrock + LN_2PI;
            assert!(off.abs() < 1e-12, "{off} at {x} {y}");
        }
    }
}
