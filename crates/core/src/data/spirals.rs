//! Two spirals, blurred.

mod band;

use std::f64::consts::PI;
use std::sync::OnceLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::lattice::{mean_surprise, normal_quantile};
use super::quadrature::{plane_entropy, GaussLegendre};
use super::sampling::{Frame, Modes, Sampler};
use super::truth::normalise;
use super::{Entropy, Support, Truth};
use crate::error::BadValue;
use crate::rng::Rng;

use band::Band;

/// The angle at which an arm ends: one and a half turns.
const END: f64 = 3.0 * PI;
/// The arms are this much smaller than n (cos n, sin n).
const SHRINK: f64 = 3.0;
/// Width of the uniform part of the blur along each axis.
const WIDTH: f64 = 0.5 / SHRINK;
/// Pieces of an arm are this many standard deviations long and have this many nodes.
const PIECE: f64 = 6.0;
const NODES: usize = 16;
/// What lies this many nats below the largest term is not added.
const FALL: f64 = 30.0;

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

impl SpiralsSpec {
    pub(super) fn check(&self) -> Result<usize, BadValue> {
        BadValue::unless(
            (0.01..=100.0).contains(&self.noise),
            "noise",
            "0.01 <= `noise` <= 100",
            self.noise,
        )?;
        Ok(2)
    }

    pub(super) fn build(&self) -> Spirals {
        Spirals {
            noise: self.noise,
            band: Band::new(WIDTH, self.noise),
            pieces: pieces(self.noise),
            entropy: OnceLock::new(),
        }
    }
}

/// m(n) without its blur.
fn curve(n: f64) -> [f64; 2] {
    let (sin, cos) = n.sin_cos();
    [-n * cos / SHRINK, n * sin / SHRINK]
}

/// A stretch of the curve.
#[derive(Debug)]
struct Piece {
    /// The smallest box around its nodes.
    bounds: [(f64, f64); 2],
    /// Places on the curve, and the logs of their shares of the arm.
    nodes: Vec<([f64; 2], f64)>,
    top_share: f64,
}

impl Piece {
    /// A Gauss-Legendre rule in n between two ends.
    fn new(from: f64, to: f64, rule: &GaussLegendre) -> Self {
        let node = |(u, w): (&f64, &f64)| {
            let n = from + (to - from) * u;
            (curve(n), (w * (to - from) * 2.0 * n / (END * END)).ln())
        };
        let nodes: Vec<_> = rule.nodes.iter().zip(&rule.weights).map(node).collect();
        let empty = (f64::INFINITY, f64::NEG_INFINITY);
        let bounds = [0, 1].map(|d| {
            let places = nodes.iter().map(|(at, _)| at[d]);
            places.fold(empty, |all, v| (all.0.min(v), all.1.max(v)))
        });
        let top_share = nodes.iter().map(|n| n.1).fold(f64::NEG_INFINITY, f64::max);
        Self {
            bounds,
            nodes,
            top_share,
        }
    }
}

/// Pieces of equal length, |dm / dn| = sqrt(1 + n^2) / 3.
fn pieces(std: f64) -> Vec<Piece> {
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
    (0..count)
        .map(|i| Piece::new(end(i), end(i + 1), &rule))
        .collect()
}

#[derive(Debug)]
pub(super) struct Spirals {
    noise: f64,
    band: Band,
    pieces: Vec<Piece>,
    entropy: OnceLock<Entropy>,
}

impl Spirals {
    /// Above the term of every node of a piece.
    fn bound(&self, piece: &Piece, x: [f64; 2]) -> f64 {
        // g(u) <= exp(-d^2 / (2 s^2)) / w at a distance d from [0, w].
        let log_g = |d: usize| {
            let (low, high) = piece.bounds[d];
            let off = (low - x[d]).max(x[d] - high - WIDTH).max(0.0) / self.noise;
            -0.5 * off * off - WIDTH.ln()
        };
        piece.top_share + log_g(0) + log_g(1)
    }

    /// Calls `each` with the term of every node that matters, and what it is the node of; of nodes
    /// that matter little some are left out.
    fn terms(&self, x: [f64; 2], mut each: impl FnMut(f64, [f64; 2])) {
        let bounds: Vec<f64> = self.pieces.iter().map(|p| self.bound(p, x)).collect();
        let first = (0..bounds.len()).fold(0, |a, b| if bounds[b] > bounds[a] { b } else { a });
        let mut top = f64::NEG_INFINITY;
        let others = (0..bounds.len()).filter(|i| *i != first);
        for i in std::iter::once(first).chain(others) {
            if bounds[i] - top < -FALL {
                continue;
            }
            for (at, log_share) in &self.pieces[i].nodes {
                let off = [x[0] - at[0], x[1] - at[1]];
                let [a, b] = off.map(|u| self.band.log_density(u).0);
                let term = log_share + a + b;
                top = top.max(term);
                each(term, off);
            }
        }
    }

    /// log p_+(x)
    fn log_arm(&self, x: [f64; 2]) -> f64 {
        // The sum is kept relative to the largest term so far.
        let (mut top, mut sum) = (f64::NEG_INFINITY, 0.0);
        self.terms(x, |term, _| {
            if term > top {
                sum = sum * (top - term).exp() + 1.0;
                top = term;
            } else if term - top > -FALL {
                sum += (term - top).exp();
            }
        });
        if top == f64::NEG_INFINITY {
            top
        } else {
            top + sum.ln()
        }
    }

    fn place(&self, sign: f64, u: [f64; 3], e: [f64; 2], x: &mut [f64]) {
        let m = curve(END * u[0].sqrt());
        for d in 0..2 {
            x[d] = sign * (m[d] + WIDTH * u[d + 1]) + self.noise * e[d];
        }
    }
}

/// The arms.
const SIGNS: [f64; 2] = [1.0, -1.0];

impl Sampler for Spirals {
    fn frame(&self) -> Frame {
        let half = END / SHRINK + WIDTH + 4.0 * self.noise;
        Frame::plane([(-half, half); 2])
    }

    fn draw(&self, rng: &mut Rng, x: &mut [f64]) -> usize {
        let arm = rng.below(2);
        let u = [rng.uniform(), rng.uniform(), rng.uniform()];
        let e = [rng.normal(), rng.normal()];
        self.place(SIGNS[arm], u, e, x);
        arm
    }
}

impl Truth for Spirals {
    fn weights(&self) -> &[f64] {
        &[0.5; 2]
    }

    fn log_joint(&self, x: &[f64], out: &mut [f64]) {
        out.fill(f64::NEG_INFINITY);
        if !x.iter().all(|v| v.is_finite()) {
            return;
        }
        for (out, sign) in out.iter_mut().zip(SIGNS) {
            *out = self.log_arm([sign * x[0], sign * x[1]]) - std::f64::consts::LN_2;
        }
    }

    fn gradient(&self, x: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        let mut shares = [0.0; 2];
        self.log_joint(x, &mut shares);
        if normalise(&mut shares) == f64::NEG_INFINITY {
            return;
        }
        for (share, sign) in shares.into_iter().zip(SIGNS) {
            if share > 0.0 {
                let x = [sign * x[0], sign * x[1]];
                let total = self.log_arm(x);
                self.terms(x, |term, off| {
                    let weight = sign * share * (term - total).exp();
                    for (out, u) in out.iter_mut().zip(off) {
                        *out += weight * self.band.log_density(u).1;
                    }
                });
            }
        }
    }

    fn support(&self) -> Support {
        Support::Everywhere
    }

    fn entropy(&self) -> Entropy {
        *self.entropy.get_or_init(|| {
            let half = END / SHRINK + WIDTH + 8.0 * self.noise;
            let by_lattice = || {
                mean_surprise(self, &Modes::or_equal(None, 1), 5, |_, u, x| {
                    let e = [u[3], u[4]].map(normal_quantile);
                    self.place(1.0, [u[0], u[1], u[2]], e, x);
                    0.0
                })
            };
            // The arms cover the plane to within a few standard deviations.
            plane_entropy(self, [(-half, half); 2], 0.5 * self.noise, |_| true)
                .unwrap_or_else(by_lattice)
                .entropy()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{SpiralsSpec, END};
    use crate::data::log_density;

    #[test]
    fn the_nodes_are_enough() {
        // The same integral by the midpoint rule with many more nodes.
        const N: usize = 100_000;
        for noise in [0.02, 0.1, 0.3, 2.0] {
            let law = SpiralsSpec { noise }.build();
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
                            (phi(u) - phi(u - super::WIDTH / noise)) / super::WIDTH
                        };
                        want += g(0) * g(1) * n / (END * N as f64);
                    }
                }
                let got = log_density(&law, &x);
                // Beyond, the difference of two Phi near 1 has no digits left.
                if want > 1e-9 {
                    let error = (got - want.ln()).abs();
                    assert!(
                        error < 1e-7,
                        "noise {noise} at {x:?}: {got}, not {}",
                        want.ln()
                    );
                }
            }
        }
    }
}
