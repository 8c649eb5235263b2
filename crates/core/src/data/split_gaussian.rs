//! A Gaussian cut along a line, its halves moved apart along the cut.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::checks;
use super::law::{centred, Density, Settings, Truth};
use super::Entropy;
use crate::error::BadValue;
use crate::num::LN_2PI;
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

impl Settings for SplitGaussianSpec {
    fn law(&self) -> Result<Truth, BadValue> {
        checks::length("shift", self.shift)?;
        // The halves do not overlap, so the entropy is that of a normal.
        let law = Truth::plane(centred(self.shift + 4.0), vec![0.5; 2], self.clone());
        Ok(law.with_entropy(Some(Entropy::exact(1.0 + LN_2PI))))
    }
}

impl SplitGaussianSpec {
    /// The half that holds `x1`, and its mean of x2.
    fn half(&self, x1: f64) -> (usize, f64) {
        if x1 < 0.0 {
            (0, -self.shift)
        } else {
            (1, self.shift)
        }
    }
}

impl Density for SplitGaussianSpec {
    fn draw(&self, rng: &mut Rng, x: &mut [f64]) -> usize {
        x[0] = rng.normal();
        let (half, mean) = self.half(x[0]);
        x[1] = mean + rng.normal();
        half
    }

    fn log_joint(&self, x: &[f64], out: &mut [f64]) {
        out.fill(f64::NEG_INFINITY);
        let (half, mean) = self.half(x[0]);
        let off = x[1] - mean;
        out[half] = -0.5 * (x[0] * x[0] + off * off) - LN_2PI;
    }

    fn gradient(&self, x: &[f64], out: &mut [f64]) {
        out[0] = -x[0];
        out[1] = self.half(x[0]).1 - x[1];
    }
}
