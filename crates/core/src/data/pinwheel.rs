//! Gaussian petals, twisted.

use std::f64::consts::{PI, TAU};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::checks;
use super::law::{centred, Density, Settings, Truth};
use super::truth::normalise;
use crate::error::BadValue;
use crate::num::log_sum_exp_slice;
use crate::rng::Rng;

/// Origins of a point that are found one by one.
const MAX_ROOTS: usize = 512;

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

impl Settings for PinwheelSpec {
    fn law(&self) -> Result<Truth, BadValue> {
        BadValue::within("arms", self.arms, 1, 100)?;
        checks::between("radial_std", self.radial_std, 1e-3, 1.0)?;
        BadValue::unless(
            (1e-3..=self.radial_std).contains(&self.tangential_std),
            "tangential_std",
            "1e-3 <= `tangential_std` <= `radial_std`",
            self.tangential_std,
        )?;
        // Beyond that number of origins their mean is taken; see `Pinwheel::far`.
        let reach = (1.0 + 6.0 * self.radial_std).exp();
        let most = MAX_ROOTS as f64 * TAU / (4.0 * self.arms as f64 * reach);
        BadValue::unless(
            (1e-3..=most).contains(&self.rate),
            "rate",
            &format!("1e-3 <= `rate` <= {most:.3} for these arms"),
            self.rate,
        )?;
        let view = centred(2.0 * (1.0 + 4.0 * self.radial_std));
        let weights = vec![1.0 / self.arms as f64; self.arms];
        Ok(Truth::plane(view, weights, Pinwheel(self.clone())))
    }
}

struct Pinwheel(PinwheelSpec);

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
        let twist = self.0.rate * f[0].exp();
        (twist, 1.0 + twist * f[1])
    }

    /// log N(f_1; 1, s_r^2) + log N(f_2; 0, s_t^2)
    fn log_normal(&self, f: [f64; 2]) -> f64 {
        let (s, t) = (self.0.radial_std, self.0.tangential_std);
        let (a, b) = ((f[0] - 1.0) / s, f[1] / t);
        -0.5 * (a * a + b * b) - (TAU * s * t).ln()
    }

    /// Calls `each` with every origin of `x`; false where there are too many of them.
    fn origins(&self, x: &[f64], mut each: impl FnMut(Origin)) -> bool {
        let (rho, angle) = (0.5 * x[0].hypot(x[1]), x[1].atan2(x[0]));
        let rate = self.0.rate;
        let turn = Turn { rate, rho };
        turn.roots(self.0.arms, angle, |arm, phi| {
            let (sin, cos) = phi.sin_cos();
            let f = [rho * cos, rho * sin];
            // Above 0, where the map folds.
            let scale = self.determinant(f).1.abs().max(1e-300);
            each(Origin {
                arm,
                f,
                turned: phi - angle,
                log_part: self.log_normal(f) - (4.0 * self.0.arms as f64 * scale).ln(),
            });
        })
    }

    /// log p and its slope along the radius where a point has too many origins to add up: they
    /// are dense on the circle, and their mean is int N(f_1) N(f_2) d phi / 2 pi over it, whose
    /// exponent is steepest around phi = 0.
    fn far(&self, x: &[f64]) -> (f64, f64) {
        let rho = 0.5 * x[0].hypot(x[1]);
        let [precision, across] = [self.0.radial_std, self.0.tangential_std].map(|s| 1.0 / (s * s));
        let bend = rho * precision + rho * rho * (across - precision);
        let slope = precision + 2.0 * rho * (across - precision);
        let log_p = self.log_normal([rho, 0.0]) - 0.5 * (TAU * bend).ln() - 4f64.ln();
        let radial = -(rho - 1.0) * precision - 0.5 * slope / bend;
        (log_p, 0.5 * radial)
    }
}

impl Density for Pinwheel {
    fn draw(&self, rng: &mut Rng, x: &mut [f64]) -> usize {
        let arm = rng.below(self.0.arms);
        let along = 1.0 + self.0.radial_std * rng.normal();
        let f = [along, self.0.tangential_std * rng.normal()];
        let t = TAU * arm as f64 / self.0.arms as f64 + self.determinant(f).0;
        let (sin, cos) = t.sin_cos();
        x[0] = 2.0 * (f[0] * cos + f[1] * sin);
        x[1] = 2.0 * (f[1] * cos - f[0] * sin);
        arm
    }

    fn log_joint(&self, x: &[f64], out: &mut [f64]) {
        out.fill(f64::NEG_INFINITY);
        let few = self.origins(x, |o| {
            out[o.arm] = log_sum_exp_slice(&[out[o.arm], o.log_part]);
        });
        if !few {
            out.fill(self.far(x).0 - (self.0.arms as f64).ln());
        }
    }

    fn gradient(&self, x: &[f64], out: &mut [f64]) {
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
        let (s, t) = (self.0.radial_std, self.0.tangential_std);
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
}

/// h(phi) = phi - rate exp(rho cos phi), where a point at the distance rho and the angle phi comes to
/// lie, for arm 0. h(phi + 2 pi) = h(phi) + 2 pi.
#[derive(Debug, Clone, Copy)]
struct Turn {
    rate: f64,
    rho: f64,
}

impl Turn {
    /// h and its derivative 1 + rate rho sin(phi) exp(rho cos phi).
    fn at(&self, phi: f64) -> (f64, f64) {
        let (sin, cos) = phi.sin_cos();
        let twist = self.rate * (self.rho * cos).exp();
        (phi - twist, 1.0 + self.rho * sin * twist)
    }

    /// The two angles in (-pi, 0) between which h falls, if it does: the roots of
    /// log|sin phi| + rho cos phi = -log(rate rho), whose left side has its only maximum where
    /// cos phi = rho sin^2 phi.
    fn fold(&self) -> Option<[f64; 2]> {
        // cos phi = (sqrt(1 + 4 rho^2) - 1) / (2 rho)
        let cos = 2.0 * self.rho / (1.0 + (2.0 * self.rho).hypot(1.0));
        let top = -cos.acos();
        let level = (self.rate * self.rho).ln();
        let g = |phi: f64| {
            let (sin, cos) = phi.sin_cos();
            let value = sin.abs().ln() + self.rho * cos + level;
            (value, cos / sin - self.rho * sin)
        };
        // NaN where rho or the rate is 0.
        (g(top).0 > 0.0).then(|| {
            [
                root(-PI, top, g),
                // The other one, from the right: g falls there.
                -root(0.0, -top, |phi| {
                    let (value, slope) = g(-phi);
                    (value, -slope)
                }),
            ]
        })
    }

    /// Calls `each(arm, phi)` for every phi of a full turn with
    /// h(phi) = `angle` + 2 pi arm / `arms` (mod 2 pi). False, and no call, where there are more than
    /// about [`MAX_ROOTS`].
    fn roots(&self, arms: usize, angle: f64, mut each: impl FnMut(usize, f64)) -> bool {
        let width = TAU / arms as f64;
        if self.rate * self.rho.exp() > width * MAX_ROOTS as f64 {
            return false;
        }
        // The number of the level h(phi) lies at, not rounded.
        let level = |phi: f64| (self.at(phi).0 - angle) / width;
        let mut solve = |from: f64, to: f64, first: f64, count: usize| {
            let sign = if to > from { 1.0 } else { -1.0 };
            let (low, high) = (from.min(to), from.max(to));
            for k in 0..count {
                let number = first + k as f64;
                let want = angle + width * number;
                // h rises or falls between; either way this rises.
                let phi = root(low, high, |phi| {
                    let (value, slope) = self.at(phi);
                    (sign * (value - want), sign * slope)
                });
                each(number.rem_euclid(arms as f64) as usize % arms, phi);
            }
        };
        let Some([a, b]) = self.fold() else {
            // Exactly one root an arm: rounding at the ends must not add or lose one.
            solve(-PI, PI, level(-PI).ceil(), arms);
            return true;
        };
        let count = |low: f64, high: f64| (high.floor() - low.ceil() + 1.0).max(0.0);
        let (bottom, top) = (level(b), level(a));
        let around = count(bottom, top + arms as f64);
        solve(b, a + TAU, bottom.ceil(), around as usize);
        solve(b, a, bottom.ceil(), count(bottom, top) as usize);
        true
    }
}

/// Where a function that rises from `low` to `high` is 0: Newton's method, halving the bracket
/// where it would leave it. `f` gives value and slope.
fn root(mut low: f64, mut high: f64, f: impl Fn(f64) -> (f64, f64)) -> f64 {
    let mut at = 0.5 * (low + high);
    for _ in 0..100 {
        let (value, slope) = f(at);
        if value > 0.0 {
            high = at;
        } else {
            low = at;
        }
        let newton = at - value / slope;
        let next = if newton >= low && newton <= high {
            newton
        } else {
            0.5 * (low + high)
        };
        let moved = (next - at).abs();
        at = next;
        // Newton's next step would be of the order of its square.
        if moved < 1e-9 && (next == newton || high - low < 1e-15) {
            break;
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::{Turn, PI, TAU};
    use crate::num::largest;

    /// As many roots of each arm as changes of sign on a fine scan, and the map leads from each of them
    /// to the angle.
    #[test]
    fn all_roots_are_found() {
        const CELLS: usize = 200_000;
        const ARMS: usize = 5;
        for (rho, rate) in [
            (0.0, 0.25),
            (0.4, 0.25),
            (1.1, 0.25),
            (1.75, 0.25),
            (2.3, 0.25),
            (4.0, 0.25),
            (0.9, 1.5),
            (1.3, 0.0),
        ] {
            let turn = Turn { rate, rho };
            for angle in [-3.1, -1.0, 0.3, 2.2] {
                let off = |arm: usize, phi: f64| {
                    let v = turn.at(phi).0 - angle - TAU * arm as f64 / ARMS as f64;
                    v - TAU * (v / TAU).round()
                };
                let mut got = vec![Vec::new(); ARMS];
                assert!(turn.roots(ARMS, angle, |arm, phi| got[arm].push(phi)));
                for (arm, mut phis) in got.into_iter().enumerate() {
                    let scan: Vec<f64> = (0..=CELLS)
                        .map(|i| off(arm, -PI + TAU * i as f64 / CELLS as f64))
                        .collect();
                    // Not where the remainder wraps.
                    let changes = scan
                        .windows(2)
                        .filter(|w| w[0] * w[1] < 0.0 && w[0].abs() < 1.0);
                    assert_eq!(
                        phis.len(),
                        changes.count(),
                        "rho {rho} angle {angle}: {phis:?}"
                    );
                    let worst = largest(phis.iter().map(|phi| off(arm, *phi).abs()));
                    assert!(
                        worst < 1e-7,
                        "rho {rho} angle {angle}: {phis:?} off by {worst}"
                    );
                    phis.sort_by(f64::total_cmp);
                    let apart = phis.windows(2).all(|pair| pair[1] - pair[0] > 1e-9);
                    assert!(apart, "rho {rho} angle {angle}: {phis:?}");
                }
            }
        }
        let (rate, rho) = (0.25, 12.0);
        assert!(!Turn { rate, rho }.roots(ARMS, 0.3, |_, _| ()));
    }
}
