//! Gaussians of one width, evenly placed on a circle.

use std::f64::consts::TAU;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::checks::{self, MAX_MODES};
use super::gaussians::{Component, GaussianMixture};
use super::sampling::Modes;
use crate::error::BadValue;

/// `ring = { modes = 8, radius = 2.828854314002829, std = 0.3536067892503536 }`
///
/// p(x) = sum_k w_k N(x; r (cos(2 pi k / K), sin(2 pi k / K)), s^2 I), x in R^2. The defaults are
/// the "8gaussians" of Grathwohl et al. 2019 (FFJORD, arXiv:1810.01367) as released: 4 and 0.5
/// divided by 1.414.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RingSpec {
    /// K, the number of Gaussians. Mode k stands at the angle 2 pi k / K.
    pub modes: usize,
    /// r, the radius of the circle.
    pub radius: f64,
    /// s, the standard deviation of every Gaussian.
    pub std: f64,
    /// w_k, one per mode; equal if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<Vec<f64>>,
}

impl Default for RingSpec {
    fn default() -> Self {
        Self {
            modes: 8,
            radius: 4.0 / 1.414,
            std: 0.5 / 1.414,
            weights: None,
        }
    }
}

impl RingSpec {
    pub(super) fn check(&self) -> Result<usize, BadValue> {
        BadValue::unless(
            (1..=MAX_MODES).contains(&self.modes),
            "modes",
            &format!("1 <= `modes` <= {MAX_MODES}"),
            self.modes,
        )?;
        checks::length("radius", self.radius)?;
        checks::length("std", self.std)?;
        if let Some(weights) = &self.weights {
            checks::weights(weights, self.modes, "modes")?;
        }
        Ok(2)
    }

    pub(super) fn build(&self) -> GaussianMixture {
        let components = (0..self.modes)
            .map(|k| {
                let (sin, cos) = (TAU * k as f64 / self.modes as f64).sin_cos();
                Component::diagonal(vec![self.radius * cos, self.radius * sin], &[self.std; 2])
            })
            .collect();
        let modes = Modes::or_equal(self.weights.as_deref(), self.modes);
        GaussianMixture::new(2, modes, components)
    }
}
