//! Two spirals, blurred.

use std::f64::consts::{FRAC_1_SQRT_2, PI, SQRT_2};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::checks;
use super::law::{centred, Mixture, Modes, Piece, Settings, Truth};
use super::quadrature::GaussLegendre;
use crate::error::BadValue;
use crate::num::{largest, log_sum_exp_slice, LN_2PI};
use crate::rng::Rng;

/// The angle at which an arm ends: one and a half turns.
const END: f64 = 3.0 * PI;
/// The arms are this much smaller than n (cos n, sin n).
const SHRINK: f64 = 3.0;
/// Width of the uniform part of the blur along each axis.
const WIDTH: f64 = 0.5 / SHRINK;
/// Pieces of an arm are this many standard deviations long and have this many nodes.
const PIECE: f64 = 6.0;
const NODES: usize = 16;
/// Nodes are left out where the bound on their term is this many nats below the largest bound. Near the
/// arms a term is at most 15 nats below its bound, so these terms are 35 nats or more below the largest.
const FALL: f64 = 50.0;

/// `spirals = { noise = 0.1 }`
///
/// X = +-m(N) + s e with N = 3 pi sqrt(U),
/// m(n) = (-n cos n + V_1 / 2, n sin n + V_2 / 2) / 3, U, V_1, V_2 uniform on (0, 1) and e standard
/// normal; each sign is a mode. The density of an arm,
/// p_+(x) = int_0^{3 pi} 2 n / (9 pi^2) g(x_1 + n cos(n) / 3) g(x_2 - n sin(n) / 3) dn with
/// g(u) = 6 (Phi(u / s) - Phi((u - 1/6) / s)), is computed with nodes that are s / 2 apart or less,
/// to 1e-7. The
/// default is "2spirals" of Grathwohl et al. 2019 (FFJORD, arXiv:1810.01367).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SpiralsSpec {
    /// s, the standard deviation of the blur.
    pub noise: f64,
}

impl Default for SpiralsSpec {
    fn default() -> Self {
        Self { noise: 0.1 }
    }
}

impl Settings for SpiralsSpec {
    fn law(&self) -> Result<Truth, BadValue> {
        checks::between("noise", self.noise, 0.01, 100.0)?;
        let spiral = Arc::new(Spiral {
            noise: self.noise,
            band: Band::new(WIDTH, self.noise),
            nodes: nodes(self.noise),
        });
        let arms = [1.0, -1.0].map(|sign| Arm {
            spiral: spiral.clone(),
            sign,
        });
        let view = centred(END / SHRINK + WIDTH + 4.0 * self.noise);
        Ok(Mixture::new(Modes::integers(2), arms.into()).in_plane(view))
    }
}

/// m(n) without its blur.
fn curve(n: f64) -> [f64; 2] {
    let (sin, cos) = n.sin_cos();
    [-n * cos / SHRINK, n * sin / SHRINK]
}

/// Places on the curve with the logs of their shares of the arm: a Gauss-Legendre rule in n on pieces
/// of equal length, |dm / dn| = sqrt(1 + n^2) / 3.
fn nodes(std: f64) -> Vec<([f64; 2], f64)> {
    let length = |n: f64| 0.5 * (n * n.hypot(1.0) + n.asinh()) / SHRINK;
    let count = (length(END) / (PIECE * std)).ceil().max(4.0) as usize;
    let end = |i: usize| {
        let share = i as f64 / count as f64;
        let mut n = END * share.sqrt();
        for _ in 0..50 {
            n -= (length(n) - length(END) * share) * SHRINK / n.hypot(1.0);
        }
        n
    };
    let rule = GaussLegendre::new(NODES);
    let mut all = Vec::with_capacity(count * NODES);
    for i in 0..count {
        let (from, to) = (end(i), end(i + 1));
        all.extend(rule.nodes.iter().zip(&rule.weights).map(|(u, w)| {
            let n = from + (to - from) * u;
            (curve(n), (w * (to - from) * 2.0 * n / (END * END)).ln())
        }));
    }
    all
}

#[derive(Debug)]
struct Spiral {
    noise: f64,
    band: Band,
    nodes: Vec<([f64; 2], f64)>,
}

impl Spiral {
    /// The logs of the terms of p_+(x), each with x minus its node; the nodes that matter little are
    /// left out.
    fn terms(&self, x: [f64; 2]) -> (Vec<f64>, Vec<[f64; 2]>) {
        // g(u) <= exp(-d^2 / (2 s^2)) / w at a distance d from [0, w].
        let bound = |(at, log_share): &([f64; 2], f64)| {
            let off = [0, 1].map(|d| (at[d] - x[d]).max(x[d] - at[d] - WIDTH).max(0.0));
            log_share - 0.5 * (off[0] * off[0] + off[1] * off[1]) / (self.noise * self.noise)
        };
        let bounds: Vec<f64> = self.nodes.iter().map(bound).collect();
        let least = largest(bounds.iter().copied()) - FALL;
        let near = self.nodes.iter().zip(bounds).filter(|(_, b)| *b >= least);
        let term = |((at, log_share), _): (&([f64; 2], f64), f64)| {
            let off = [x[0] - at[0], x[1] - at[1]];
            let [a, b] = off.map(|u| self.band.log_density(u).0);
            (log_share + a + b, off)
        };
        near.map(term).unzip()
    }
}

/// One arm; the other is its mirror image at 0.
struct Arm {
    spiral: Arc<Spiral>,
    sign: f64,
}

impl Piece for Arm {
    fn log_height(&self, x: &[f64]) -> f64 {
        let (terms, _) = self.spiral.terms([self.sign * x[0], self.sign * x[1]]);
        log_sum_exp_slice(&terms)
    }

    fn add_gradient(&self, x: &[f64], share: f64, out: &mut [f64]) {
        let (terms, offs) = self.spiral.terms([self.sign * x[0], self.sign * x[1]]);
        let total = log_sum_exp_slice(&terms);
        for (term, off) in terms.into_iter().zip(offs) {
            let weight = self.sign * share * (term - total).exp();
            for (out, u) in out.iter_mut().zip(off) {
                *out += weight * self.spiral.band.log_density(u).1;
            }
        }
    }

    fn draw(&self, rng: &mut Rng, x: &mut [f64]) {
        let u = [rng.uniform(), rng.uniform(), rng.uniform()];
        let m = curve(END * u[0].sqrt());
        for d in 0..2 {
            x[d] = self.sign * (m[d] + WIDTH * u[d + 1]);
        }
        for x in x {
            *x += self.spiral.noise * rng.normal();
        }
    }
}

/// Standard deviations beyond the uniform part's ends that the table covers.
const TABLE_REACH: f64 = 45.0;
/// Step of the table, in standard deviations.
const STEP: f64 = 1.0 / 64.0;

/// g(u) = (Phi(u / s) - Phi((u - w) / s)) / w, the density of w V + s e with V uniform on (0, 1), e
/// standard normal.
///
/// Its logarithm is read off a table by cubic Hermite interpolation, a hundred times faster than the
/// error function: the fourth derivative of log g in u / s is of order 1, so the error is about
/// STEP^4 / 384 = 2e-10, and the slope is that of the interpolant.
#[derive(Debug)]
struct Band {
    width: f64,
    std: f64,
    /// log g and its slope in u / s at multiples of STEP below w / 2 + STEP.
    table: Vec<[f64; 2]>,
    /// Where the table begins, in standard deviations.
    low: f64,
}

impl Band {
    fn new(width: f64, std: f64) -> Self {
        let middle = 0.5 * width / std;
        let low = -TABLE_REACH;
        let nodes = ((middle - low) / STEP).ceil() as usize + 2;
        let table = (0..nodes)
            .map(|i| exact(low + STEP * i as f64, width / std))
            .map(|(value, slope)| [value - width.ln(), slope]);
        Self {
            width,
            std,
            table: table.collect(),
            low,
        }
    }

    /// log g(u) and its slope.
    fn log_density(&self, u: f64) -> (f64, f64) {
        // g is even around w / 2.
        let mirrored = u > 0.5 * self.width;
        let t = if mirrored { self.width - u } else { u } / self.std;
        let place = (t - self.low) / STEP;
        let (value, slope) = if place >= 0.0 {
            let i = (place as usize).min(self.table.len() - 2);
            let s = place - i as f64;
            let ([a, da], [b, db]) = (self.table[i], self.table[i + 1]);
            let (da, db, rise) = (da * STEP, db * STEP, b - a);
            let (c2, c3) = (3.0 * rise - 2.0 * da - db, da + db - 2.0 * rise);
            let value = a + s * (da + s * (c2 + s * c3));
            (value, (da + s * (2.0 * c2 + 3.0 * s * c3)) / STEP)
        } else {
            let (value, slope) = exact(t, self.width / self.std);
            (value - self.width.ln(), slope)
        };
        let sign = if mirrored { -1.0 } else { 1.0 };
        (value, sign * slope / self.std)
    }
}

/// log(Phi(t) - Phi(t - w)) and its slope, for t <= w / 2 or little more.
fn exact(t: f64, w: f64) -> (f64, f64) {
    let below = t - w;
    let log_phi = -0.5 * t * t - 0.5 * LN_2PI;
    if t > -5.0 {
        let upper = |v: f64| 0.5 * libm::erfc(-v * FRAC_1_SQRT_2);
        let difference = upper(t) - upper(below);
        let slope = log_phi.exp() * -f64::exp_m1(0.5 * w * (t + below));
        return (difference.ln(), slope / difference);
    }
    // Phi(-v) = phi(v) m(v) keeps what underflows apart.
    let fall = (0.5 * w * (t + below)).exp();
    let rest = mills(-t) - fall * mills(-below);
    (log_phi + rest.ln(), (1.0 - fall) / rest)
}

/// Mills' ratio m(v) = Phi(-v) / phi(v) for v >= 5.
fn mills(v: f64) -> f64 {
    if v < 25.0 {
        return 0.5 * libm::erfc(v / SQRT_2) * (0.5 * v * v).exp() * (2.0 * PI).sqrt();
    }
    // Abramowitz and Stegun 26.2.12; the next term is below 2e-12.
    let q = 1.0 / (v * v);
    (1.0 - q * (1.0 - 3.0 * q * (1.0 - 5.0 * q * (1.0 - 7.0 * q * (1.0 - 9.0 * q))))) / v
}

#[cfg(test)]
mod tests {
    use super::{exact, Band, Settings, SpiralsSpec, END, WIDTH};
    use crate::data::log_density;
    use crate::num::testing::Faults;

    #[test]
    fn the_nodes_are_enough() {
        // The same integral by the midpoint rule with many more nodes.
        const N: usize = 100_000;
        for noise in [0.02, 0.1, 0.3, 2.0] {
            let law = SpiralsSpec { noise }.law().expect("fine");
            for x in [
                [-1.6, -0.7],
                [0.0, 0.0],
                [0.3, 1.2],
                [3.2, 0.1],
                [-2.0, 2.6],
            ] {
                let phi = |v: f64| 0.5 * libm::erfc(-v / 2f64.sqrt());
                let mut want = 0.0;
                for sign in [1.0, -1.0] {
                    for i in 0..N {
                        let n = END * (i as f64 + 0.5) / N as f64;
                        let m = super::curve(n);
                        let g = |d: usize| {
                            let u = (sign * x[d] - m[d]) / noise;
                            (phi(u) - phi(u - WIDTH / noise)) / WIDTH
                        };
                        want += g(0) * g(1) * n / (END * N as f64);
                    }
                }
                let got = log_density(&law, &x);
                // Beyond, the difference of two Phi near 1 has no digits left.
                if want > 1e-9 {
                    let want = want.ln();
                    assert!((got - want).abs() < 1e-7, "{noise} at {x:?}: {got}, {want}");
                }
            }
        }
    }

    #[test]
    fn the_table_agrees_with_the_exact_values() {
        let mut faults = Faults::default();
        for std in [0.01, 0.1, 3.0] {
            let band = Band::new(1.0 / 6.0, std);
            for i in 0..4000 {
                let t = -60.0 + 0.0171 * f64::from(i);
                let u = (t * std).min(1.0 / 12.0);
                let (want, slope) = exact(u / std, band.width / std);
                let (want, slope) = (want - band.width.ln(), slope / std);
                for (u, sign) in [(u, 1.0), (band.width - u, -1.0)] {
                    let (got, got_slope) = band.log_density(u);
                    let what = format!("s = {std}, u = {u}");
                    faults.near(&what, &[got], &[want], |v| 1e-9 + 1e-14 * v.abs());
                    let bound = |v: f64| 1e-6 * v.abs().max(1.0 / std);
                    let what = format!("{what}: slope");
                    faults.near(&what, &[got_slope], &[sign * slope], bound);
                }
            }
        }
        faults.none();
    }
}
