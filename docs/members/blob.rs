//! One round Gaussian in the plane.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::data::checks;
use crate::data::law::{centred, Density, Settings, Truth};
use crate::data::Entropy;
use crate::error::BadValue;
use crate::num::LN_2PI;
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

impl Settings for BlobSpec {
    fn law(&self) -> Result<Truth, BadValue> {
        checks::length("std", self.std)?;
        let law = Truth::plane(centred(5.0 * self.std), vec![1.0], self.clone());
        let entropy = 1.0 + LN_2PI + 2.0 * self.std.ln();
        Ok(law.with_entropy(Some(Entropy::exact(entropy))))
    }
}

impl Density for BlobSpec {
    fn draw(&self, rng: &mut Rng, x: &mut [f64]) -> usize {
        x.fill_with(|| self.std * rng.normal());
        0 // its mode
    }

    fn log_joint(&self, x: &[f64], out: &mut [f64]) {
        let r2: f64 = x.iter().map(|v| (v / self.std).powi(2)).sum();
        out[0] = -0.5 * r2 - LN_2PI - 2.0 * self.std.ln();
    }

    fn gradient(&self, x: &[f64], out: &mut [f64]) {
        for (to, v) in out.iter_mut().zip(x) {
            *to = -v / self.std.powi(2);
        }
    }
}
