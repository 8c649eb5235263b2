//! Two interleaved half circles, or a row of them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::arcs::{Arcs, Place};
use super::checks;
use crate::error::BadValue;

const MAX_MOONS: usize = 1000;

/// `moons = { noise = 0.2 }`
///
/// With t uniform on (0, pi) and e standard normal, X = m_j(t) + s e for j = 0 or 1, equally
/// often: m_0 = (2 cos t - 1, 2 sin t - 0.2), m_1 = (1 - 2 cos t, 0.8 - 2 sin t). These are the
/// "moons" of Grathwohl et al. 2019 (FFJORD, arXiv:1810.01367): scikit-learn's `make_moons` with
/// noise 0.1, times 2, minus (1, 0.2).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MoonsSpec {
    /// s, the standard deviation of the blur.
    pub noise: f64,
}

impl Default for MoonsSpec {
    fn default() -> Self {
        Self { noise: 0.2 }
    }
}

impl MoonsSpec {
    pub(super) fn check(&self) -> Result<usize, BadValue> {
        checks::length("noise", self.noise)?;
        Ok(2)
    }

    pub(super) fn build(&self) -> Arcs {
        let place = |centre, turn| Place { centre, turn };
        let places = vec![place([-1.0, -0.2], 1.0), place([1.0, 0.8], -1.0)];
        Arcs::new(2.0, self.noise, places)
    }
}

/// `many_moons = { moons = 8, noise = 0.08 }`
///
/// A row of interleaved half circles: X = 0.8 (m_j(t) - ((K - 1) / 2, 1/4)) + s e for j in 0..K,
/// equally often, with t uniform on (0, pi), e standard normal, m_j = (j + cos t, sin t) for even j
/// and (j + cos t, 1/2 - sin t) for odd j. After the "many moons" of Dinh et al. 2019
/// (arXiv:1903.07714), whose numbers are not published.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ManyMoonsSpec {
    /// K, the number of half circles.
    pub moons: usize,
    /// s, the standard deviation of the blur.
    pub noise: f64,
}

impl Default for ManyMoonsSpec {
    fn default() -> Self {
        Self {
            moons: 8,
            noise: 0.08,
        }
    }
}

impl ManyMoonsSpec {
    const SCALE: f64 = 0.8;

    pub(super) fn check(&self) -> Result<usize, BadValue> {
        BadValue::unless(
            (1..=MAX_MOONS).contains(&self.moons),
            "moons",
            &format!("1 <= `moons` <= {MAX_MOONS}"),
            self.moons,
        )?;
        checks::length("noise", self.noise)?;
        Ok(2)
    }

    pub(super) fn build(&self) -> Arcs {
        let middle = 0.5 * (self.moons as f64 - 1.0);
        let places = (0..self.moons).map(|j| {
            let (height, turn) = if j % 2 == 0 {
                (-0.25, 1.0)
            } else {
                (0.25, -1.0)
            };
            Place {
                centre: [Self::SCALE * (j as f64 - middle), Self::SCALE * height],
                turn,
            }
        });
        Arcs::new(Self::SCALE, self.noise, places.collect())
    }
}
