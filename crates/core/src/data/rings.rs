//! Concentric rings, Gaussian in the radius.

use std::f64::consts::TAU;
use std::sync::OnceLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use statrs::function::erf::erfc;

use super::checks;
use super::circles::radial_entropy;
use super::sampling::{Frame, Modes, Sampler};
use super::truth::normalise;
use super::{Entropy, Support, Truth};
use crate::error::BadValue;
use crate::rng::Rng;

const MAX_RINGS: usize = 1000;

/// `rings = { radii = [1.0, 2.0], std = 0.125 }`
///
/// p(x) = sum_j exp(-(r - R_j)^2 / (2 s^2)) / Z with r = |x|: the density is equally high on every
/// ring, so that a ring weighs about R_j / sum_i R_i. Unlike `circles`, whose points are blurred in
/// the plane, it has no closed form but its normaliser. The defaults are the "two rings" of Stimper
/// et al. 2022 (arXiv:2110.15828), Z = 5.9061.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RingsSpec {
    /// R_j, the radius of each ring; every ring is a mode.
    pub radii: Vec<f64>,
    /// s, the standard deviation of the radius.
    pub std: f64,
}

impl Default for RingsSpec {
    fn default() -> Self {
        Self {
            radii: vec![1.0, 2.0],
            std: 0.125,
        }
    }
}

impl RingsSpec {
    pub(super) fn check(&self) -> Result<usize, BadValue> {
        checks::radii(&self.radii, MAX_RINGS)?;
        checks::length("std", self.std)?;
        Ok(2)
    }

    pub(super) fn build(&self) -> Rings {
        let masses: Vec<f64> = self.radii.iter().map(|r| mass(*r, self.std)).collect();
        Rings {
            log_z: masses.iter().sum::<f64>().ln(),
            modes: Modes::new(&masses),
            radii: self.radii.clone(),
            std: self.std,
            entropy: OnceLock::new(),
        }
    }
}

/// int_0^inf 2 pi r exp(-(r - R)^2 / (2 s^2)) dr
fn mass(radius: f64, std: f64) -> f64 {
    let u = radius / std;
    let above = 0.5 * erfc(-u / std::f64::consts::SQRT_2);
    TAU * std * std * ((-0.5 * u * u).exp() + u * TAU.sqrt() * above)
}

#[derive(Debug)]
pub(super) struct Rings {
    modes: Modes,
    log_z: f64,
    radii: Vec<f64>,
    std: f64,
    entropy: OnceLock<Entropy>,
}

impl Rings {
    /// A radius with density r exp(-(r - R)^2 / (2 s^2)) up to a constant, on r > 0. As
    /// log r <= log m + (r - m) / m, it lies below a multiple of N(m, s^2) where m, its mode, has
    /// m = R + s^2 / m.
    fn radius(&self, radius: f64, rng: &mut Rng) -> f64 {
        let mode = 0.5 * (radius + radius.hypot(2.0 * self.std));
        loop {
            let r = mode + self.std * rng.normal();
            let u = r / mode;
            if r > 0.0 && rng.uniform() < u * (1.0 - u).exp() {
                return r;
            }
        }
    }
}

impl Sampler for Rings {
    fn frame(&self) -> Frame {
        let reach = self.radii.iter().copied().fold(0.0, f64::max);
        let half = reach + 4.5 * self.std;
        Frame::plane([(-half, half); 2])
    }

    fn draw(&self, rng: &mut Rng, x: &mut [f64]) -> usize {
        let j = self.modes.draw(rng);
        let (sin, cos) = (TAU * rng.uniform()).sin_cos();
        let r = self.radius(self.radii[j], rng);
        x[0] = r * cos;
        x[1] = r * sin;
        j
    }
}

impl Truth for Rings {
    fn weights(&self) -> &[f64] {
        &self.modes.weights
    }

    fn log_joint(&self, x: &[f64], out: &mut [f64]) {
        if !x.iter().all(|v| v.is_finite()) {
            out.fill(f64::NEG_INFINITY);
            return;
        }
        let r = x[0].hypot(x[1]);
        for (out, radius) in out.iter_mut().zip(&self.radii) {
            let off = (r - radius) / self.std;
            *out = -0.5 * off * off - self.log_z;
        }
    }

    /// Along x / r, sum_j P(j | x) (R_j - r) / s^2; 0 at the centre, where log p has a kink.
    fn gradient(&self, x: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        let mut shares = vec![0.0; self.radii.len()];
        self.log_joint(x, &mut shares);
        let log_p = normalise(&mut shares);
        let r = x[0].hypot(x[1]);
        if r == 0.0 || log_p == f64::NEG_INFINITY {
            return;
        }
        let pulls = shares.iter().zip(&self.radii);
        let pull: f64 = pulls.map(|(share, radius)| share * (radius - r)).sum();
        for (out, x) in out.iter_mut().zip(x) {
            *out = pull / (self.std * self.std) * (x / r);
        }
    }

    fn support(&self) -> Support {
        Support::Everywhere
    }

    fn log_z(&self) -> Option<f64> {
        Some(self.log_z)
    }

    fn entropy(&self) -> Entropy {
        *self
            .entropy
            .get_or_init(|| radial_entropy(self, &self.radii, self.std))
    }
}
