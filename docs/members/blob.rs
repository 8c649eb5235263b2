//! One round Gaussian in the plane.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::data::checks;
use crate::data::sampling::{Frame, Sampler};
use crate::data::{Entropy, Support, Truth};
use crate::error::BadValue;
use crate::rng::Rng;

/// `blob = { std = 1.0 }`
///
/// log p(x) = -|x|^2 / (2 s^2) - log 2 pi - 2 log s. One mode.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BlobSpec {
    /// s, the standard deviation of each coordinate.
    pub std: f64,
}

impl Default for BlobSpec {
    fn default() -> Self {
        Self { std: 1.0 }
    }
}

impl BlobSpec {
    /// D, or what is wrong with the settings.
    pub(in crate::data) fn check(&self) -> Result<usize, BadValue> {
        checks::length("std", self.std)?;
        Ok(2)
    }

    pub(in crate::data) fn build(&self) -> Blob {
        Blob { std: self.std }
    }
}

#[derive(Debug)]
pub(in crate::data) struct Blob {
    std: f64,
}

impl Sampler for Blob {
    fn frame(&self) -> Frame {
        Frame::plane([(-5.0 * self.std, 5.0 * self.std); 2])
    }

    fn draw(&self, rng: &mut Rng, x: &mut [f64]) -> usize {
        x.fill_with(|| self.std * rng.normal());
        0 // its mode
    }
}

impl Truth for Blob {
    fn weights(&self) -> &[f64] {
        &[1.0]
    }

    fn log_joint(&self, x: &[f64], out: &mut [f64]) {
        let r2: f64 = x.iter().map(|v| (v / self.std).powi(2)).sum();
        out[0] = match r2.is_finite() {
            true => -0.5 * r2 - std::f64::consts::TAU.ln() - 2.0 * self.std.ln(),
            false => f64::NEG_INFINITY,
        };
    }

    fn gradient(&self, x: &[f64], out: &mut [f64]) {
        for (to, v) in out.iter_mut().zip(x) {
            *to = if v.is_finite() {
                -v / self.std.powi(2)
            } else {
                0.0
            };
        }
    }

    fn support(&self) -> Support {
        Support::Everywhere
    }

    fn entropy(&self) -> Entropy {
        let value = 1.0 + std::f64::consts::TAU.ln() + 2.0 * self.std.ln();
        Entropy { value, error: 0.0 }
    }
}
