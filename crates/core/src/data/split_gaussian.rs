//! A Gaussian cut along a line, its halves moved apart along the cut.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::checks;
use super::sampling::{Frame, Sampler};
use super::{Entropy, Support, Truth};
use crate::error::BadValue;
use crate::rng::Rng;

/// `split_gaussian = { shift = 2.0 }`
///
/// X1 ~ N(0, 1), X2 ~ N(d sgn X1, 1): log p(x) = -x1^2 / 2 - (x2 - d sgn x1)^2 / 2 - log 2 pi, which
/// jumps along the line x1 = 0. The default is "split-gaussian" of Cornish et al. 2020
/// (arXiv:1909.13833). Modes: the halves x1 < 0 and x1 >= 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SplitGaussianSpec {
    /// d, how far each half is moved along x2.
    pub shift: f64,
}

impl Default for SplitGaussianSpec {
    fn default() -> Self {
        Self { shift: 2.0 }
    }
}

impl SplitGaussianSpec {
    pub(super) fn check(&self) -> Result<usize, BadValue> {
        checks::length("shift", self.shift)?;
        Ok(2)
    }

    pub(super) fn build(&self) -> SplitGaussian {
        SplitGaussian { shift: self.shift }
    }
}

#[derive(Debug)]
pub(super) struct SplitGaussian {
    shift: f64,
}

impl SplitGaussian {
    /// The half that holds `x1`, and its mean of x2.
    fn half(&self, x1: f64) -> (usize, f64) {
        if x1 < 0.0 {
            (0, -self.shift)
        } else {
            (1, self.shift)
        }
    }
}

impl Sampler for SplitGaussian {
    fn frame(&self) -> Frame {
        let half = self.shift + 4.0;
        Frame::plane([(-half, half); 2])
    }

    fn draw(&self, rng: &mut Rng, x: &mut [f64]) -> usize {
        x[0] = rng.normal();
        let (half, mean) = self.half(x[0]);
        x[1] = mean + rng.normal();
        half
    }
}

impl Truth for SplitGaussian {
    fn weights(&self) -> &[f64] {
        &[0.5; 2]
    }

    fn log_joint(&self, x: &[f64], out: &mut [f64]) {
        out.fill(f64::NEG_INFINITY);
        if x.iter().all(|v| v.is_finite()) {
            let (half, mean) = self.half(x[0]);
            let off = x[1] - mean;
            out[half] = -0.5 * (x[0] * x[0] + off * off) - std::f64::consts::TAU.ln();
        }
    }

    fn gradient(&self, x: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        let off = x[1] - self.half(x[0]).1;
        if x[0].is_finite() && off.is_finite() {
            out[0] = -x[0];
            out[1] = -off;
        }
    }

    fn support(&self) -> Support {
        Support::Everywhere
    }

    /// 1 + log 2 pi: the halves do not overlap.
    fn entropy(&self) -> Entropy {
        Entropy {
            value: 1.0 + std::f64::consts::TAU.ln(),
            error: 0.0,
        }
    }
}
