//! Equal half circles, blurred by a Gaussian: what `moons` and `many_moons` build.

use std::f64::consts::PI;
use std::sync::OnceLock;

use super::arc::Arc;
use super::lattice::{mean_surprise, normal_quantile};
use super::quadrature::plane_entropy;
use super::sampling::{square_view, Frame, Modes, Sampler};
use super::truth::normalise;
use super::{Entropy, Support, Truth};
use crate::rng::Rng;

/// Beyond this many standard deviations from every arc the density is left out of the entropy.
const REACH: f64 = 8.0;

/// Where a half circle lies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// The middle of the whole circle.
    pub(super) centre: [f64; 2],
    /// 1 for the upper half, -1 for the lower one, which is the upper one turned by half a turn.
    pub(super) turn: f64,
}

impl Place {
    /// `x` as the upper half circle around 0 sees it.
    fn turned(&self, x: &[f64]) -> (f64, f64) {
        (
            self.turn * (x[0] - self.centre[0]),
            self.turn * (x[1] - self.centre[1]),
        )
    }
}

/// X = c_j + d_j R (cos t, sin t) + s e with t uniform on (0, pi), e standard normal and arc j as
/// likely as any other.
#[derive(Debug)]
pub(super) struct Arcs {
    radius: f64,
    noise: f64,
    arc: Arc,
    places: Vec<Place>,
    modes: Modes,
    log_weight: f64,
    entropy: OnceLock<Entropy>,
}

impl Arcs {
    pub(super) fn new(radius: f64, noise: f64, places: Vec<Place>) -> Self {
        Self {
            radius,
            noise,
            arc: Arc::new(radius, noise),
            modes: Modes::or_equal(None, places.len()),
            log_weight: -(places.len() as f64).ln(),
            places,
            entropy: OnceLock::new(),
        }
    }

    /// The box `reach` beyond the arcs.
    fn range(&self, reach: f64) -> [(f64, f64); 2] {
        let empty = [(f64::INFINITY, f64::NEG_INFINITY); 2];
        self.places.iter().fold(empty, |all, place| {
            let [x, y] = place.centre;
            let top = y + place.turn * self.radius;
            let own = [(x - self.radius, x + self.radius), (y.min(top), y.max(top))];
            [0, 1].map(|d| {
                (
                    all[d].0.min(own[d].0 - reach),
                    all[d].1.max(own[d].1 + reach),
                )
            })
        })
    }

    /// Arc `j` at the angle `t`, moved by `e` standard deviations.
    fn place(&self, j: usize, t: f64, e: [f64; 2], x: &mut [f64]) {
        let (sin, cos) = t.sin_cos();
        let Place { centre, turn } = self.places[j];
        x[0] = centre[0] + turn * self.radius * cos + self.noise * e[0];
        x[1] = centre[1] + turn * self.radius * sin + self.noise * e[1];
    }
}

impl Sampler for Arcs {
    fn frame(&self) -> Frame {
        Frame::plane(square_view(self.range(4.0 * self.noise)))
    }

    fn draw(&self, rng: &mut Rng, x: &mut [f64]) -> usize {
        let j = rng.below(self.places.len());
        let t = PI * rng.uniform();
        let e = [rng.normal(), rng.normal()];
        self.place(j, t, e, x);
        j
    }
}

impl Truth for Arcs {
    fn weights(&self) -> &[f64] {
        &self.modes.weights
    }

    fn log_joint(&self, x: &[f64], out: &mut [f64]) {
        for (out, place) in out.iter_mut().zip(&self.places) {
            let (a, b) = place.turned(x);
            *out = self.arc.log_density(a, b) + self.log_weight;
        }
    }

    fn gradient(&self, x: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        let mut shares = vec![0.0; self.places.len()];
        self.log_joint(x, &mut shares);
        normalise(&mut shares);
        for (share, place) in shares.into_iter().zip(&self.places) {
            if share > 0.0 {
                let (a, b) = place.turned(x);
                let slope = self.arc.log_density_gradient(a, b);
                for (out, slope) in out.iter_mut().zip(slope) {
                    *out += share * place.turn * slope;
                }
            }
        }
    }

    fn support(&self) -> Support {
        Support::Everywhere
    }

    fn entropy(&self) -> Entropy {
        *self.entropy.get_or_init(|| {
            let near = |x: &[f64; 2]| {
                self.places.iter().any(|place| {
                    let (a, b) = place.turned(x);
                    self.arc.distance(a, b) < REACH * self.noise
                })
            };
            let range = self.range(REACH * self.noise);
            plane_entropy(self, range, 0.5 * self.noise, near)
                .unwrap_or_else(|| {
                    mean_surprise(self, &self.modes, 3, |j, u, x| {
                        let (t, e) = (PI * u[0], [u[1], u[2]].map(normal_quantile));
                        self.place(j, t, e, x);
                        // For a thin arc -log p is this much and hardly anything else that varies.
                        0.5 * (1.0 - (e[0] * t.cos() + e[1] * t.sin()).powi(2))
                    })
                })
                .entropy()
        })
    }
}
