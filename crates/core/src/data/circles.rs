//! Circles, blurred by a Gaussian.

use std::f64::consts::{PI, TAU};
use std::sync::OnceLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bessel::{i0e, log_i0e_slope};
use super::checks;
use super::lattice::{mean_surprise, normal_quantile};
use super::quadrature::{integrate, plane_entropy, Budget, Estimate, Step};
use super::sampling::{square_view, Frame, Modes, Sampler};
use super::truth::{log_density, normalise};
use super::{Entropy, Support, Truth};
use crate::error::BadValue;
use crate::rng::Rng;

const MAX_CIRCLES: usize = 1000;

/// `circles = { radii = [3.0, 1.5], std = 0.24 }`
///
/// X = c_j + R_j (cos t, sin t) + s e with t uniform, e standard normal, circle j with probability
/// w_j: log p_j(x) = -(r - R_j)^2 / (2 s^2) + log(exp(-k) I0(k)) - log(2 pi s^2) with r = |x - c_j|
/// and k = r R_j / s^2. The defaults are the "circles" of Grathwohl et al. 2019 (FFJORD,
/// arXiv:1810.01367).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CirclesSpec {
    /// R_j, the radius of each circle.
    pub radii: Vec<f64>,
    /// c_j, one per circle; all at 0 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub centres: Option<Vec<[f64; 2]>>,
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
            centres: None,
            std: 0.24,
            weights: None,
        }
    }
}

impl CirclesSpec {
    pub(super) fn check(&self) -> std::result::Result<usize, BadValue> {
        checks::radii(&self.radii, MAX_CIRCLES)?;
        if let Some(centres) = &self.centres {
            BadValue::unless(
                centres.len() == self.radii.len(),
                "centres",
                &format!("{} `centres`, one for each of the radii", self.radii.len()),
                centres.len(),
            )?;
            for (j, centre) in centres.iter().enumerate() {
                for v in centre {
                    checks::coordinate("centres", &format!("centres[{j}]"), *v)?;
                }
            }
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
            centres: match &self.centres {
                Some(centres) => centres.clone(),
                None => vec![[0.0; 2]; self.radii.len()],
            },
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
    centres: Vec<[f64; 2]>,
    std: f64,
    entropy: OnceLock<Entropy>,
}

/// -int 2 pi r p(r) log p(r) dr of a law that looks the same in every direction and is 0 beyond eight
/// standard deviations of `radii`.
pub(super) fn radial_entropy(law: &dyn Truth, radii: &[f64], std: f64) -> Entropy {
    let far = 8.0 * std;
    let plan = |centre: &[f64; 1], half: &[f64; 1]| {
        let near = |r: &f64| (centre[0] - r).abs() < far + half[0];
        match (radii.iter().any(near), half[0] > std) {
            (false, _) => Step::Skip,
            (true, true) => Step::Split,
            (true, false) => Step::Sum { cost: 1, with: () },
        }
    };
    let surprise = |(): &(), r: &[f64; 1]| {
        let log_p = log_density(law, &[r[0], 0.0]);
        -TAU * r[0] * log_p.exp() * log_p
    };
    let end = radii.iter().copied().fold(0.0, f64::max) + far;
    // Each circle belongs to at most 32 cells, found by fewer than 60 halvings each.
    let budget = Budget {
        visits: 4000 * radii.len(),
        work: usize::MAX,
    };
    let found = integrate([0.0], [end], budget, plan, surprise).unwrap_or(Estimate {
        value: f64::NAN,
        error: f64::INFINITY,
    });
    found.entropy()
}

impl Circles {
    /// The box `reach` beyond the circles.
    fn range(&self, reach: f64) -> [(f64, f64); 2] {
        [0, 1].map(|d| {
            let sides = self.centres.iter().zip(&self.radii);
            let sides = sides.map(|(c, r)| (c[d] - r - reach, c[d] + r + reach));
            sides.fold((f64::INFINITY, f64::NEG_INFINITY), |all, own| {
                (all.0.min(own.0), all.1.max(own.1))
            })
        })
    }

    fn concentric(&self) -> bool {
        self.centres.iter().all(|c| *c == [0.0; 2])
    }

    /// Circle `j` at the angle `t`, moved by `e` standard deviations.
    fn place(&self, j: usize, t: f64, e: [f64; 2], x: &mut [f64]) {
        let (sin, cos) = t.sin_cos();
        x[0] = self.centres[j][0] + self.radii[j] * cos + self.std * e[0];
        x[1] = self.centres[j][1] + self.radii[j] * sin + self.std * e[1];
    }

    /// The distance to the centre of circle `j`.
    fn radius(&self, j: usize, x: &[f64]) -> f64 {
        (x[0] - self.centres[j][0]).hypot(x[1] - self.centres[j][1])
    }

    fn planar_entropy(&self) -> Entropy {
        const REACH: f64 = 8.0;
        let near = |x: &[f64; 2]| {
            let off = |j: usize| (self.radius(j, x) - self.radii[j]).abs();
            (0..self.radii.len()).any(|j| off(j) < REACH * self.std)
        };
        plane_entropy(self, self.range(REACH * self.std), 0.5 * self.std, near)
            .unwrap_or_else(|| {
                mean_surprise(self, &self.modes, 3, |j, u, x| {
                    let (t, e) = (TAU * u[0], [u[1], u[2]].map(normal_quantile));
                    self.place(j, t, e, x);
                    // For a thin circle -log p is this much and hardly anything else that varies.
                    0.5 * (1.0 - (e[0] * t.cos() + e[1] * t.sin()).powi(2))
                })
            })
            .entropy()
    }
}

impl Sampler for Circles {
    fn frame(&self) -> Frame {
        Frame::plane(square_view(self.range(4.0 * self.std)))
    }

    fn draw(&self, rng: &mut Rng, x: &mut [f64]) -> usize {
        let j = self.modes.draw(rng);
        let t = TAU * rng.uniform();
        let e = [rng.normal(), rng.normal()];
        self.place(j, t, e, x);
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
        let variance = self.std * self.std;
        let log_norm = (2.0 * PI * variance).ln();
        let circles = self.radii.iter().zip(&self.log_weights).enumerate();
        for (out, (j, (radius, log_w))) in out.iter_mut().zip(circles) {
            let r = self.radius(j, x);
            let radial = -(r - radius).powi(2) / (2.0 * variance);
            *out = log_w + radial + i0e(r * radius / variance).ln() - log_norm;
        }
    }

    /// sum_j P(j | x) (R_j I1(k_j) / I0(k_j) - r_j) / s^2 along (x - c_j) / r_j
    fn gradient(&self, x: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        let mut shares = vec![0.0; self.radii.len()];
        self.log_joint(x, &mut shares);
        if normalise(&mut shares) == f64::NEG_INFINITY {
            return;
        }
        let variance = self.std * self.std;
        for (j, (share, radius)) in shares.iter().zip(&self.radii).enumerate() {
            let r = self.radius(j, x);
            if *share > 0.0 && r > 0.0 {
                let pull = (radius - r) + radius * log_i0e_slope(r * radius / variance);
                for ((out, x), c) in out.iter_mut().zip(x).zip(self.centres[j]) {
                    *out += share * pull / variance * ((x - c) / r);
                }
            }
        }
    }

    fn support(&self) -> Support {
        Support::Everywhere
    }

    fn entropy(&self) -> Entropy {
        *self.entropy.get_or_init(|| {
            if self.concentric() {
                radial_entropy(self, &self.radii, self.std)
            } else {
                self.planar_entropy()
            }
        })
    }
}
