//! The angle by which a pinwheel turns, inverted.

use std::f64::consts::{PI, TAU};

/// Roots that are found one by one.
pub(super) const MAX_ROOTS: usize = 512;

/// h(phi) = phi - rate exp(rho cos phi), where a point at the distance rho and the angle phi comes to
/// lie, for arm 0. h(phi + 2 pi) = h(phi) + 2 pi.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn {
    rate: f64,
    rho: f64,
}

impl Turn {
    pub(super) fn new(rate: f64, rho: f64) -> Self {
        Self { rate, rho }
    }

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
    pub(super) fn roots(&self, arms: usize, angle: f64, mut each: impl FnMut(usize, f64)) -> bool {
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

    /// Every change of sign on a fine scan, refined by halving.
    fn scanned(turn: Turn, arms: usize, angle: f64) -> Vec<(usize, f64)> {
        const CELLS: usize = 200_000;
        let mut found = Vec::new();
        for arm in 0..arms {
            let off = |phi: f64| {
                let v = turn.at(phi).0 - angle - TAU * arm as f64 / arms as f64;
                v - TAU * (v / TAU).round()
            };
            for i in 0..CELLS {
                let at = |i: usize| -PI + TAU * i as f64 / CELLS as f64;
                let (mut low, mut high) = (at(i), at(i + 1));
                // Not where the remainder wraps.
                if off(low) * off(high) < 0.0 && off(low).abs() < 1.0 {
                    for _ in 0..60 {
                        let middle = 0.5 * (low + high);
                        if off(low) * off(middle) <= 0.0 {
                            high = middle;
                        } else {
                            low = middle;
                        }
                    }
                    found.push((arm, low));
                }
            }
        }
        found
    }

    #[test]
    fn all_roots_are_found() {
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
            for angle in [-3.1, -1.0, 0.3, 2.2] {
                let turn = Turn::new(rate, rho);
                let mut got = Vec::new();
                assert!(turn.roots(5, angle, |arm, phi| {
                    let phi = phi - TAU * ((phi + PI) / TAU).floor();
                    got.push((arm, phi));
                }));
                let mut want = scanned(turn, 5, angle);
                let order =
                    |a: &(usize, f64), b: &(usize, f64)| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1));
                got.sort_by(order);
                want.sort_by(order);
                assert_eq!(got.len(), want.len(), "rho {rho} angle {angle}: {got:?}");
                for (got, want) in got.iter().zip(&want) {
                    let same = got.0 == want.0 && (got.1 - want.1).abs() < 1e-7;
                    assert!(same, "rho {rho} angle {angle}: {got:?}, not {want:?}");
                }
            }
        }
        assert!(!Turn::new(0.25, 12.0).roots(5, 0.3, |_, _| ()));
    }
}
