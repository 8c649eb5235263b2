//! Gaussian petals, twisted.

mod turn;

use std::f64::consts::TAU;
use std::sync::OnceLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::quadrature::{trapezoid, Estimate};
use super::sampling::{Frame, Modes, Sampler};
use super::truth::{log_density, normalise};
use super::{Entropy, Support, Truth};
use crate::error::BadValue;
use crate::num::log_sum_exp_slice;
use crate::rng::Rng;

use turn::{Turn, MAX_ROOTS};

/// `pinwheel = { arms = 5, radial_std = 0.3, tangential_std = 0.1, rate = 0.25 }`
///
/// f = (1 + s_r a, s_t b) with a, b standard normal is turned clockwise by the angle
/// t = 2 pi c / K + rate exp(f_1) and doubled, for an arm c in 0..K, each equally likely:
/// X = 2 (f_1 cos t + f_2 sin t, f_2 cos t - f_1 sin t). The map folds, but hardly within four
/// standard deviations, so a point can have more than one origin in an arm:
/// p_c(x) = sum_f N(f_1; 1, s_r^2) N(f_2; 0, s_t^2) / (4 |1 + rate f_2 exp(f_1)|), and p is infinite
/// on the thin lines where it folds. The defaults are the "pinwheel" of Johnson et al. 2016
/// (arXiv:1603.06277) as in Grathwohl et al. 2019 (FFJORD, arXiv:1810.01367).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PinwheelSpec {
    /// K, the number of arms.
    pub arms: usize,
    /// s_r, the standard deviation along an arm.
    pub radial_std: f64,
    /// s_t, the standard deviation across an arm, at most `radial_std`.
    pub tangential_std: f64,
    /// How fast the arms turn.
    pub rate: f64,
}

impl Default for PinwheelSpec {
    fn default() -> Self {
        Self {
            arms: 5,
            radial_std: 0.3,
            tangential_std: 0.1,
            rate: 0.25,
        }
    }
}

impl PinwheelSpec {
    pub(super) fn check(&self) -> Result<usize, BadValue> {
        BadValue::unless(
            (1..=100).contains(&self.arms),
            "arms",
            "1 <= `arms` <= 100",
            self.arms,
        )?;
        BadValue::unless(
            (1e-3..=1.0).contains(&self.radial_std),
            "radial_std",
            "1e-3 <= `radial_std` <= 1",
            self.radial_std,
        )?;
        BadValue::unless(
            (1e-3..=self.radial_std).contains(&self.tangential_std),
            "tangential_std",
            "1e-3 <= `tangential_std` <= `radial_std`",
            self.tangential_std,
        )?;
        // Beyond that number of origins their mean is taken; see `Turn::roots`.
        let reach = (1.0 + 6.0 * self.radial_std).exp();
        let most = MAX_ROOTS as f64 * TAU / (4.0 * self.arms as f64 * reach);
        BadValue::unless(
            (1e-3..=most).contains(&self.rate),
            "rate",
            &format!("1e-3 <= `rate` <= {most:.3} for these arms"),
            self.rate,
        )?;
        Ok(2)
    }

    pub(super) fn build(&self) -> Pinwheel {
        Pinwheel {
            modes: Modes::or_equal(None, self.arms),
            spec: self.clone(),
            entropy: OnceLock::new(),
        }
    }
}

#[derive(Debug)]
pub(super) struct Pinwheel {
    spec: PinwheelSpec,
    modes: Modes,
    entropy: OnceLock<Entropy>,
}

/// An origin of a point.
struct Origin {
    arm: usize,
    f: [f64; 2],
    /// The angle from `f` to the point, clockwise.
    turned: f64,
    /// log of what it adds to the density.
    log_part: f64,
}

impl Pinwheel {
    /// rate exp(f_1), and the determinant 1 + rate f_2 exp(f_1).
    fn determinant(&self, f: [f64; 2]) -> (f64, f64) {
        let twist = self.spec.rate * f[0].exp();
        (twist, 1.0 + twist * f[1])
    }

    /// log N(f_1; 1, s_r^2) + log N(f_2; 0, s_t^2)
    fn log_normal(&self, f: [f64; 2]) -> f64 {
        let (s, t) = (self.spec.radial_std, self.spec.tangential_std);
        let (a, b) = ((f[0] - 1.0) / s, f[1] / t);
        -0.5 * (a * a + b * b) - (TAU * s * t).ln()
    }

    /// Calls `each` with every origin of `x`; false where there are too many of them.
    fn origins(&self, x: &[f64], mut each: impl FnMut(Origin)) -> bool {
        let (rho, angle) = (0.5 * x[0].hypot(x[1]), x[1].atan2(x[0]));
        let turn = Turn::new(self.spec.rate, rho);
        turn.roots(self.spec.arms, angle, |arm, phi| {
            let (sin, cos) = phi.sin_cos();
            let f = [rho * cos, rho * sin];
            // Above 0, where the map folds.
            let scale = self.determinant(f).1.abs().max(1e-300);
            each(Origin {
                arm,
                f,
                turned: phi - angle,
                log_part: self.log_normal(f) - (4.0 * self.spec.arms as f64 * scale).ln(),
            });
        })
    }

    /// log p and its slope along the radius where a point has too many origins to add up: they
    /// are dense on the circle, and their mean is int N(f_1) N(f_2) d phi / 2 pi over it, whose
    /// exponent is steepest around phi = 0.
    fn far(&self, x: &[f64]) -> (f64, f64) {
        let rho = 0.5 * x[0].hypot(x[1]);
        let [precision, across] =
            [self.spec.radial_std, self.spec.tangential_std].map(|s| 1.0 / (s * s));
        let bend = rho * precision + rho * rho * (across - precision);
        let slope = precision + 2.0 * rho * (across - precision);
        let log_p = self.log_normal([rho, 0.0]) - 0.5 * (TAU * bend).ln() - 4f64.ln();
        let radial = -(rho - 1.0) * precision - 0.5 * slope / bend;
        (log_p, 0.5 * radial)
    }

    fn place(&self, arm: usize, e: [f64; 2], x: &mut [f64]) {
        let f = [
            1.0 + self.spec.radial_std * e[0],
            self.spec.tangential_std * e[1],
        ];
        let t = TAU * arm as f64 / self.spec.arms as f64 + self.determinant(f).0;
        let (sin, cos) = t.sin_cos();
        x[0] = 2.0 * (f[0] * cos + f[1] * sin);
        x[1] = 2.0 * (f[1] * cos - f[0] * sin);
    }
}

impl Sampler for Pinwheel {
    fn frame(&self) -> Frame {
        let half = 2.0 * (1.0 + 4.0 * self.spec.radial_std);
        Frame::plane([(-half, half); 2])
    }

    fn draw(&self, rng: &mut Rng, x: &mut [f64]) -> usize {
        let arm = rng.below(self.spec.arms);
        let e = [rng.normal(), rng.normal()];
        self.place(arm, e, x);
        arm
    }
}

impl Truth for Pinwheel {
    fn weights(&self) -> &[f64] {
        &self.modes.weights
    }

    fn log_joint(&self, x: &[f64], out: &mut [f64]) {
        out.fill(f64::NEG_INFINITY);
        if !x.iter().all(|v| v.is_finite()) {
            return;
        }
        let few = self.origins(x, |o| {
            out[o.arm] = log_sum_exp_slice(&[out[o.arm], o.log_part]);
        });
        if !few {
            out.fill(self.far(x).0 - (self.spec.arms as f64).ln());
        }
    }

    fn gradient(&self, x: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        if !x.iter().all(|v| v.is_finite()) {
            return;
        }
        let mut origins = Vec::new();
        if !self.origins(x, |o| origins.push(o)) {
            let (log_p, slope) = self.far(x);
            let r = x[0].hypot(x[1]);
            if log_p.is_finite() && slope.is_finite() {
                out[0] = slope * (x[0] / r);
                out[1] = slope * (x[1] / r);
            }
            return;
        }
        let mut shares: Vec<f64> = origins.iter().map(|o| o.log_part).collect();
        normalise(&mut shares);
        let (s, t) = (self.spec.radial_std, self.spec.tangential_std);
        for (Origin { f, turned, .. }, share) in origins.into_iter().zip(shares) {
            if share == 0.0 {
                continue;
            }
            // With x / 2 = R f and R = R(t(f_1)): d(x / 2) / df = R (I + twist (f_2, -f_1) e_1^T).
            let (twist, det) = self.determinant(f);
            let det = det.signum() * det.abs().max(1e-100);
            let slope = [
                -(f[0] - 1.0) / (s * s) - twist * f[1] / det,
                -f[1] / (t * t) - twist / det,
            ];
            let w = [(slope[0] + twist * f[0] * slope[1]) / det, slope[1]];
            let (sin, cos) = turned.sin_cos();
            out[0] += 0.5 * share * (cos * w[0] + sin * w[1]);
            out[1] += 0.5 * share * (cos * w[1] - sin * w[0]);
        }
    }

    fn support(&self) -> Support {
        Support::Everywhere
    }

    /// E[-log p(X)] over a and b; by symmetry one arm is enough. Where the map folds, beyond most of the
    /// mass, log p has a singularity that can be integrated.
    fn entropy(&self) -> Entropy {
        const REACH: f64 = 7.5;
        *self.entropy.get_or_init(|| {
            // What is narrow across one arm is narrow along another.
            let step = 0.3 * self.spec.tangential_std / self.spec.radial_std;
            let surprise = |e: &[f64; 2]| {
                let mut x = [0.0; 2];
                self.place(0, *e, &mut x);
                let log_normal = -0.5 * (e[0] * e[0] + e[1] * e[1]);
                -log_normal.exp() / TAU * log_density(self, &x)
            };
            trapezoid([(-REACH, REACH); 2], step.max(0.04), |_| true, surprise)
                .unwrap_or(Estimate {
                    value: f64::NAN,
                    error: f64::INFINITY,
                })
                .entropy()
        })
    }
}
