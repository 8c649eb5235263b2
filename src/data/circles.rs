//! Concentric circles, blurred by a Gaussian.

use std::f64::consts::{PI, TAU};
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::bessel::{i0e, log_i0e_slope};
use super::checks;
use super::quadrature::{integrate, Budget, Estimate, Step};
use super::sampling::{Frame, Modes, Sampler};
use super::truth::{log_density, normalise};
use super::{Entropy, Support, Truth};
use crate::error::BadValue;
use crate::rng::Rng;

const MAX_CIRCLES: usize = 1000;

/// `circles = { radii = [3.0, 1.5], std = 0.24 }`
///
/// X = R_j (cos t, sin t) + s e with t uniform, e standard normal, circle j with probability w_j:
/// log p_j(x) = -(r - R_j)^2 / (2 s^2) + log(exp(-k) I0(k)) - log(2 pi s^2) with r = |x| and
/// k = r R_j / s^2. The defaults are the "circles" of Grathwohl et al. 2019 (FFJORD,
/// arXiv:1810.01367).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CirclesSpec {
    /// R_j, the radius of each circle; all are centred at 0.
    pub radii: Vec<f64>,
    /// s, the standard deviation of the blur.
    pub std: f64,
    /// w_j, one per circle; equal if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<Vec<f64>>,
}

impl Default for CirclesSpec {
    fn default() -> Self {
        Self {
            radii: vec![3.0, 1.5],
            std: 0.24,
            weights: None,
        }
    }
}

impl CirclesSpec {
    pub(super) fn check(&self) -> std::result::Result<usize, BadValue> {
        BadValue::unless(
            (1..=MAX_CIRCLES).contains(&self.radii.len()),
            "radii",
            &format!("between 1 and {MAX_CIRCLES} `radii`"),
            self.radii.len(),
        )?;
        for (j, r) in self.radii.iter().enumerate() {
            checks::length("radii", *r).map_err(|fault| BadValue {
                got: format!("{r} in radii[{j}]"),
                ..fault
            })?;
        }
        checks::length("std", self.std)?;
        if let Some(weights) = &self.weights {
            checks::weights(weights, self.radii.len(), "radii")?;
        }
        Ok(2)
    }

    pub(super) fn build(&self) -> Circles {
        let modes = Modes::or_equal(self.weights.as_deref(), self.radii.len());
        Circles {
            log_weights: modes.weights.iter().map(|w| w.ln()).collect(),
            modes,
            radii: self.radii.clone(),
            std: self.std,
            entropy: OnceLock::new(),
        }
    }
}

#[derive(Debug)]
pub(super) struct Circles {
    modes: Modes,
    log_weights: Vec<f64>,
    radii: Vec<f64>,
    std: f64,
    entropy: OnceLock<Entropy>,
}

impl Circles {
    fn reach(&self) -> f64 {
        self.radii.iter().copied().fold(0.0, f64::max)
    }

    /// -int 2 pi r p(r) log p(r) dr: the law looks the same in every direction.
    fn radial_entropy(&self) -> Entropy {
        let far = 8.0 * self.std;
        let plan = |centre: &[f64; 1], half: &[f64; 1]| {
            let near = |r: &f64| (centre[0] - r).abs() < far + half[0];
            match (self.radii.iter().any(near), half[0] > self.std) {
                (false, _) => Step::Skip,
                (true, true) => Step::Split,
                (true, false) => Step::Sum { cost: 1, with: () },
            }
        };
        let surprise = |(): &(), r: &[f64; 1]| {
            let log_p = log_density(self, &[r[0], 0.0]);
            -TAU * r[0] * log_p.exp() * log_p
        };
        let end = self.reach() + far;
        // Each circle belongs to at most 32 cells, found by fewer than 60 halvings each.
        let budget = Budget {
            visits: 4000 * self.radii.len(),
            work: usize::MAX,
        };
        let Estimate { value, error } =
            integrate([0.0], [end], budget, plan, surprise).unwrap_or(Estimate {
                value: f64::NAN,
                error: f64::INFINITY,
            });
        Entropy {
            value,
            error: error + 1e-11,
        }
    }
}

impl Sampler for Circles {
    fn frame(&self) -> Frame {
        let half = self.reach() + 4.0 * self.std;
        Frame::plane([(-half, half); 2])
    }

    fn draw(&self, rng: &mut Rng, x: &mut [f64]) -> usize {
        let j = self.modes.draw(rng);
        let (sin, cos) = (TAU * rng.uniform()).sin_cos();
        x[0] = self.radii[j] * cos + self.std * rng.normal();
        x[1] = self.radii[j] * sin + self.std * rng.normal();
        j
    }
}

impl Truth for Circles {
    fn weights(&self) -> &[f64] {
        &self.modes.weights
    }

    fn log_joint(&self, x: &[f64], out: &mut [f64]) {
        if !x.iter().all(|v| v.is_finite()) {
            out.fill(f64::NEG_INFINITY);
            return;
        }
        let r = x[0].hypot(x[1]);
        let variance = self.std * self.std;
        let log_norm = (2.0 * PI * variance).ln();
        for ((out, radius), log_w) in out.iter_mut().zip(&self.radii).zip(&self.log_weights) {
            let radial = -(r - radius).powi(2) / (2.0 * variance);
            *out = log_w + radial + i0e(r * radius / variance).ln() - log_norm;
        }
    }

    /// Along x / r, sum_j P(j | x) (R_j I1(k_j) / I0(k_j) - r) / s^2.
    fn gradient(&self, x: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        let mut shares = vec![0.0; self.radii.len()];
        self.log_joint(x, &mut shares);
        let log_p = normalise(&mut shares);
        let r = x[0].hypot(x[1]);
        if r == 0.0 || log_p == f64::NEG_INFINITY {
            return;
        }
        let variance = self.std * self.std;
        let pull = |radius: &f64| (radius - r) + radius * log_i0e_slope(r * radius / variance);
        let shares = shares.iter().zip(&self.radii).filter(|(s, _)| **s > 0.0);
        let slope = shares.map(|(s, radius)| s * pull(radius)).sum::<f64>() / variance;
        for (out, x) in out.iter_mut().zip(x) {
            *out = slope * (x / r);
        }
    }

    fn support(&self) -> Support {
        Support::Everywhere
    }

    fn entropy(&self) -> Entropy {
        *self.entropy.get_or_init(|| self.radial_entropy())
    }
}
