//! A circle or half a circle, blurred by a Gaussian.

use std::f64::consts::{PI, TAU};
use std::sync::Arc;

use super::law::Piece;
use super::quadrature::GaussLegendre;
use crate::rng::Rng;

/// Where the integrand has fallen to exp(-38) = 3e-17 of its peak, nothing more is added.
const FALL: f64 = 38.0;
/// Enough nodes for 1e-13 relative at every width of the blur; see the tests.
const NODES: usize = 28;

/// Where a curve lies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// The middle of the whole circle.
    pub(super) centre: [f64; 2],
    pub(super) radius: f64,
    /// 1 for the upper half of a circle, -1 for the lower one, which is the upper one turned by half
    /// a turn; `None` for the whole circle.
    pub(super) half: Option<f64>,
}

impl Place {
    /// The box `reach` beyond the curve.
    pub(super) fn range(&self, reach: f64) -> [(f64, f64); 2] {
        let [x, y] = self.centre;
        let (bottom, top) = match self.half {
            None => (y - self.radius, y + self.radius),
            Some(turn) => {
                let end = y + turn * self.radius;
                (y.min(end), y.max(end))
            }
        };
        [
            (x - self.radius - reach, x + self.radius + reach),
            (bottom - reach, top + reach),
        ]
    }
}

/// The law of c + d R (cos t, sin t) + s e with t uniform on (0, pi) or (0, 2 pi), e standard normal.
#[derive(Debug)]
pub(super) struct Curve {
    place: Place,
    std: f64,
    rule: Arc<GaussLegendre>,
    log_norm: f64,
}

impl Curve {
    /// One curve per place.
    pub(super) fn all(std: f64, places: &[Place]) -> Vec<Self> {
        let rule = Arc::new(GaussLegendre::new(NODES));
        let curve = |place: &Place| {
            let turn = if place.half.is_some() { PI } else { TAU };
            Self {
                place: *place,
                std,
                rule: rule.clone(),
                log_norm: -(TAU * turn * std * std).ln(),
            }
        };
        places.iter().map(curve).collect()
    }

    /// In polar coordinates (r, f) around the centre, with k = r R / s^2, a half circle has
    ///
    /// p = exp(-(r - R)^2 / (2 s^2)) / (2 pi s^2) int_0^pi exp(k (cos(t - f) - 1)) dt / pi.
    ///
    /// Cut where t - f is a multiple of pi and folded by symmetry, the range becomes two
    /// intervals of [0, pi], on each of which the integrand only falls. With the means over it,
    /// d log p is ((R - r) - R E[1 - cos(t - f)]) / s^2 outwards and R E[sin(t - f)] / s^2 along the
    /// circle. Returns log p and its gradient; `None` where p is 0 in f64.
    fn at(&self, x: &[f64]) -> Option<(f64, [f64; 2])> {
        let turn = self.place.half.unwrap_or(1.0);
        let [x, y] = [0, 1].map(|d| turn * (x[d] - self.place.centre[d]));
        let (r, angle, radius) = (x.hypot(y), y.atan2(x), self.place.radius);
        let variance = self.std * self.std;
        let radial = -(r - radius).powi(2) / (2.0 * variance);
        let sharpness = r * radius / variance;
        if !(radial.is_finite() && sharpness.is_finite()) {
            return None;
        }
        let part = |(from, to, side): (f64, f64, f64)| {
            let (log_mass, drop, sine) = self.integral(sharpness, from, to);
            (log_mass, drop, side * sine)
        };
        let parts = match self.place.half {
            Some(_) => intervals(angle).map(part),
            None => {
                let (log_mass, drop, sine) = part((0.0, PI, 1.0));
                [(log_mass, drop, -sine), (log_mass, drop, sine)]
            }
        };
        let top = parts[0].0.max(parts[1].0);
        let masses = parts.map(|(log_mass, ..)| (log_mass - top).exp());
        let total = masses[0] + masses[1];
        let drop = (masses[0] * parts[0].1 + masses[1] * parts[1].1) / total;
        let sine = (masses[0] * parts[0].2 + masses[1] * parts[1].2) / total;
        let (sin, cos) = angle.sin_cos();
        let outwards = turn * ((radius - r) - radius * drop) / variance;
        let along = turn * radius * sine / variance;
        let log_p = self.log_norm + radial + top + total.ln();
        let gradient = [outwards * cos - along * sin, outwards * sin + along * cos];
        Some((log_p, gradient))
    }

    /// log int_from^to exp(k (cos u - 1)) du for 0 <= from < to <= pi, with the means of 1 - cos u and
    /// sin u under this weight; -inf if the interval is empty.
    fn integral(&self, k: f64, from: f64, to: f64) -> (f64, f64, f64) {
        let (sin, cos) = from.sin_cos();
        let start = (0.5 * from).sin().powi(2);
        // cos(end) = cos(from) - FALL / k
        let drop = 0.5 * FALL / k;
        let end = 2.0 * (start + drop).min(1.0).sqrt().asin();
        // Rounding can make a steep fall vanish; the cosine's slope is at most 1, so the fall
        // takes at least FALL / k.
        let width = (end - from).max(2.0 * drop).min(to - from);
        if width <= 0.0 {
            return (f64::NEG_INFINITY, 0.0, 0.0);
        }
        // u = from + 4 atan(q) makes everything rational in q:
        // cos u - cos(from) = -2 sin(v/2) (cos(from) sin(v/2) + sin(from) cos(v/2)), v = 4 atan(q).
        let q_end = (0.25 * width).tan();
        let mut sums = [0.0; 3];
        for (node, weight) in self.rule.nodes.iter().zip(&self.rule.weights) {
            let q = q_end * node;
            let scale = 1.0 / (1.0 + q * q);
            let (half_sin, half_cos) = (2.0 * q * scale, (1.0 - q * q) * scale);
            let below = 2.0 * half_sin * (cos * half_sin + sin * half_cos);
            let mass = weight * scale * (-k * below).exp();
            sums[0] += mass;
            sums[1] += mass * (2.0 * start + below);
            sums[2] += mass * (sin + 2.0 * half_sin * (cos * half_cos - sin * half_sin));
        }
        let log_mass = -2.0 * k * start + (4.0 * q_end * sums[0]).ln();
        (log_mass, sums[1] / sums[0], sums[2] / sums[0])
    }
}

/// Where t - f lies for t in (0, pi) and a point at the angle f: two intervals of u = |t - f|
/// (up to a full turn) inside [0, pi], each with the sign of sin(t - f).
fn intervals(angle: f64) -> [(f64, f64, f64); 2] {
    if angle >= 0.0 {
        [(0.0, angle, -1.0), (0.0, PI - angle, 1.0)]
    } else {
        [(-angle, PI, 1.0), (PI + angle, PI, -1.0)]
    }
}

impl Piece for Curve {
    fn log_height(&self, x: &[f64]) -> f64 {
        self.at(x).map_or(f64::NEG_INFINITY, |(log_p, _)| log_p)
    }

    fn add_gradient(&self, x: &[f64], share: f64, out: &mut [f64]) {
        let gradient = self.at(x).map_or([0.0; 2], |(_, gradient)| gradient);
        out.iter_mut()
            .zip(gradient)
            .for_each(|(out, g)| *out += share * g);
    }

    fn draw(&self, rng: &mut Rng, x: &mut [f64]) {
        let Place {
            centre,
            radius,
            half,
        } = self.place;
        let (turn, range) = half.map_or((1.0, TAU), |turn| (turn, PI));
        let (sin, cos) = (range * rng.uniform()).sin_cos();
        let e = [rng.normal(), rng.normal()];
        x[0] = centre[0] + turn * radius * cos + self.std * e[0];
        x[1] = centre[1] + turn * radius * sin + self.std * e[1];
    }
}

#[cfg(test)]
mod tests {
    use super::{Curve, GaussLegendre, Piece, Place, PI, TAU};
    use crate::num::{largest, log_sum_exp_slice};

    fn curve(half: Option<f64>, std: f64) -> Curve {
        let place = Place {
            centre: [0.0; 2],
            radius: 2.0,
            half,
        };
        Curve::all(std, &[place]).remove(0)
    }

    #[test]
    fn agrees_with_a_plain_quadrature_at_every_width() {
        // Gauss-Legendre in t alone, with 4000 nodes and log-sum-exp: slow and plain.
        let rule = GaussLegendre::new(4000);
        let plain = |turn: f64, std: f64, x: f64, y: f64| {
            let nodes = rule.nodes.iter().zip(&rule.weights);
            let terms = nodes.map(|(u, w)| {
                let (sin, cos) = (turn * u).sin_cos();
                let squares = (x - 2.0 * cos).powi(2) + (y - 2.0 * sin).powi(2);
                w.ln() - squares / (2.0 * std * std) - (TAU * std * std).ln()
            });
            log_sum_exp_slice(&terms.collect::<Vec<_>>())
        };
        let mut errors = Vec::new();
        for (half, turn) in [(Some(1.0), PI), (None, TAU)] {
            for std in [0.005, 0.02, 0.2, 0.7, 3.0, 50.0] {
                let curve = curve(half, std);
                for i in (0..24).step_by(if half.is_some() { 1 } else { 8 }) {
                    let angle = 0.27 * f64::from(i);
                    for r in [0.0, 0.3, 1.9, 2.0, 2.05, 3.0, 30.0] {
                        // The plain rule's nodes are too far apart for a peak of width s / sqrt(2 r).
                        if r * turn / (std * std) > 4e5 {
                            continue;
                        }
                        let x = [r * angle.cos(), r * angle.sin()];
                        let want = plain(turn, std, x[0], x[1]);
                        errors.push((curve.log_height(&x) - want).abs() / want.abs().max(1.0));
                    }
                }
            }
        }
        let worst = largest(errors);
        assert!(worst < 1e-13, "{worst}");
    }

    #[test]
    fn deep_inside_a_narrow_curve_the_bessel_function_has_its_asymptotic_series() {
        // int_0^pi exp(k (cos u - 1)) du / pi = exp(-k) I0(k), Abramowitz and Stegun 9.7.1; its
        // derivative is -E[1 - cos u], so that d log p = (R - r) / s^2 - R (1/(2k) + 1/(8k^2)) / s^2.
        for std in [1e-6, 1e-4, 0.005, 0.05] {
            for r in [1.9, 2.0, 30.0, 1e4] {
                let (k, y) = (2.0 * r / (std * std), std * std / (16.0 * r));
                let series = 1.0 + y * (1.0 + y * (4.5 + y * (37.5 + y * 459.375)));
                let log_p = (series / (TAU * k).sqrt() / (TAU * std * std)).ln()
                    - (r - 2.0).powi(2) / (2.0 * std * std);
                let slope = ((2.0 - r) - 2.0 * (0.5 + (0.125 + 0.125 / k) / k) / k) / (std * std);
                for (half, log_p) in [(None, log_p), (Some(1.0), log_p + 2f64.ln())] {
                    let (curve, x) = (curve(half, std), [0.6 * r, 0.8 * r]);
                    let mut out = [0.0; 2];
                    curve.add_gradient(&x, 1.0, &mut out);
                    let slope_error = (0.6 * out[0] + 0.8 * out[1] - slope).abs();
                    let error = (curve.log_height(&x) - log_p).abs() / log_p.abs().max(1.0);
                    assert!(error < 1e-12, "std {std} r {r} {half:?}: {error:e}");
                    let bound = 1e-9 * slope.abs().max(1.0);
                    assert!(
                        slope_error < bound,
                        "std {std} r {r} {half:?}: {slope_error:e}"
                    );
                }
            }
        }
    }
}
