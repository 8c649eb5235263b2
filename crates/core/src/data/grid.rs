//! Gaussians of one width on a square lattice.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::checks;
use super::gaussians::{Component, GaussianMixture};
use super::sampling::Modes;
use crate::error::BadValue;

const MAX_SIDE: usize = 300;

/// `grid = { side = 5, spacing = 1.0, std = 0.1 }`
///
/// p(x) = K^-2 sum_ij N(x; d (i - c, j - c), s^2 I) with i, j in 0..K and c = (K - 1) / 2, x in
/// R^2: at the defaults the 25 Gaussians, ten standard deviations apart, with which mode
/// dropping is commonly shown (Srivastava et al. 2017, VEEGAN, arXiv:1705.07761). Their
/// published spacing is 40 standard deviations: `spacing = 2.0, std = 0.05`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GridSpec {
    /// K, the number of Gaussians along each side. Mode i K + j stands in column i, row j.
    pub side: usize,
    /// d, the distance between neighbours.
    pub spacing: f64,
    /// s, the standard deviation of every Gaussian.
    pub std: f64,
}

impl Default for GridSpec {
    fn default() -> Self {
        Self {
            side: 5,
            spacing: 1.0,
            std: 0.1,
        }
    }
}

impl GridSpec {
    pub(super) fn check(&self) -> Result<usize, BadValue> {
        BadValue::unless(
            (1..=MAX_SIDE).contains(&self.side),
            "side",
            &format!("1 <= `side` <= {MAX_SIDE}"),
            self.side,
        )?;
        checks::length("spacing", self.spacing)?;
        checks::length("std", self.std)?;
        Ok(2)
    }

    pub(super) fn build(&self) -> GaussianMixture {
        let middle = (self.side as f64 - 1.0) / 2.0;
        let at = |i: usize| self.spacing * (i as f64 - middle);
        let components: Vec<_> = (0..self.side * self.side)
            .map(|k| {
                let mean = vec![at(k / self.side), at(k % self.side)];
                Component::diagonal(mean, &[self.std; 2])
            })
            .collect();
        let modes = Modes::or_equal(None, components.len());
        GaussianMixture::new(2, modes, components)
    }
}
