//! A half circle, blurred by a Gaussian.

use std::f64::consts::PI;

use super::quadrature::GaussLegendre;

/// Where the integrand has fallen to exp(-38) = 3e-17 of its peak, nothing more is added.
const FALL: f64 = 38.0;
/// Enough nodes for 1e-13 relative at every width of the blur; see the tests.
const NODES: usize = 28;

/// The law of R (cos t, sin t) + s e with t uniform on (0, pi) and e standard normal.
#[derive(Debug)]
pub(super) struct Arc {
    radius: f64,
    std: f64,
    rule: GaussLegendre,
    log_norm: f64,
}

impl Arc {
    pub(super) fn new(radius: f64, std: f64) -> Self {
        Self {
            radius,
            std,
            rule: GaussLegendre::new(NODES),
            log_norm: -(2.0 * PI * PI * std * std).ln(),
        }
    }

    /// log p(x, y). In polar coordinates (r, f), with k = r R / s^2,
    ///
    /// p = exp(-(r - R)^2 / (2 s^2)) / (2 pi s^2) int_0^pi exp(k (cos(t - f) - 1)) dt / pi.
    ///
    /// Cut where t - f is a multiple of pi and folded by symmetry, the range becomes two
    /// intervals of [0, pi], on each of which the integrand only falls.
    pub(super) fn log_density(&self, x: f64, y: f64) -> f64 {
        let (r, angle) = (x.hypot(y), y.atan2(x));
        let variance = self.std * self.std;
        let radial = -(r - self.radius).powi(2) / (2.0 * variance);
        let sharpness = r * self.radius / variance;
        // NaN and infinite points too.
        if !(radial.is_finite() && sharpness.is_finite()) {
            return f64::NEG_INFINITY;
        }
        let [a, b] = pieces(angle).map(|(from, to, _)| self.log_piece(sharpness, from, to));
        let (high, low) = if a > b { (a, b) } else { (b, a) };
        self.log_norm + radial + high + (low - high).exp().ln_1p()
    }

    /// d log p / d(x, y) = E[m - (x, y)] / s^2 over where on the half circle, m, the point came
    /// from; (0, 0) where log p is not finite.
    pub(super) fn log_density_gradient(&self, x: f64, y: f64) -> [f64; 2] {
        let (r, angle) = (x.hypot(y), y.atan2(x));
        let variance = self.std * self.std;
        let sharpness = r * self.radius / variance;
        if !self.log_density(x, y).is_finite() {
            return [0.0, 0.0];
        }
        let found = pieces(angle).map(|(from, to, side)| {
            let (log_mass, drop, sine) = self.piece_means(sharpness, from, to);
            (log_mass, drop, side * sine)
        });
        let top = found[0].0.max(found[1].0);
        let masses = found.map(|(log_mass, ..)| (log_mass - top).exp());
        let total = masses[0] + masses[1];
        // Means of 1 - cos(t - f) and sin(t - f).
        let drop = (masses[0] * found[0].1 + masses[1] * found[1].1) / total;
        let sine = (masses[0] * found[0].2 + masses[1] * found[1].2) / total;
        let outwards = ((self.radius - r) - self.radius * drop) / variance;
        let along = self.radius * sine / variance;
        let (sin, cos) = angle.sin_cos();
        [outwards * cos - along * sin, outwards * sin + along * cos]
    }

    /// sin^2(from / 2), and how much of [from, to] the integral needs; not above 0 if nothing.
    fn cut(&self, k: f64, from: f64, to: f64) -> (f64, f64) {
        let start = (0.5 * from).sin().powi(2);
        // cos(end) = cos(from) - FALL / k
        let drop = 0.5 * FALL / k;
        let end = 2.0 * (start + drop).min(1.0).sqrt().asin();
        // Rounding can make a steep fall vanish; the cosine's slope is at most 1, so the fall
        // takes at least FALL / k.
        (start, (end - from).max(2.0 * drop).min(to - from))
    }

    /// [`log_piece`](Self::log_piece) with the means of 1 - cos u and sin u over it.
    fn piece_means(&self, k: f64, from: f64, to: f64) -> (f64, f64, f64) {
        let (sin, cos) = from.sin_cos();
        let (start, width) = self.cut(k, from, to);
        if width <= 0.0 {
            return (f64::NEG_INFINITY, 0.0, 0.0);
        }
        let q_end = (0.25 * width).tan();
        let mut sums = [0.0; 3];
        for (node, weight) in self.rule.nodes.iter().zip(&self.rule.weights) {
            let q = q_end * node;
            let scale = 1.0 / (1.0 + q * q);
            let (half_sin, half_cos) = (2.0 * q * scale, (1.0 - q * q) * scale);
            let below = 2.0 * half_sin * (cos * half_sin + sin * half_cos);
            let mass = weight * scale * (-k * below).exp();
            let sine = sin + 2.0 * half_sin * (cos * half_cos - sin * half_sin);
            sums[0] += mass;
            sums[1] += mass * (2.0 * start + below);
            sums[2] += mass * sine;
        }
        let log_mass = -2.0 * k * start + (4.0 * q_end * sums[0]).ln();
        (log_mass, sums[1] / sums[0], sums[2] / sums[0])
    }

    /// log int_from^to exp(k (cos u - 1)) du for 0 <= from < to <= pi; -inf if the interval is
    /// empty.
    fn log_piece(&self, k: f64, from: f64, to: f64) -> f64 {
        let (sin, cos) = from.sin_cos();
        let (start, width) = self.cut(k, from, to);
        if width <= 0.0 {
            return f64::NEG_INFINITY;
        }
        // u = from + 4 atan(q) makes everything rational in q:
        // cos u - cos(from) = -2 sin(v/2) (cos(from) sin(v/2) + sin(from) cos(v/2)), v = 4 atan(q).
        let q_end = (0.25 * width).tan();
        let mut sum = 0.0;
        for (node, weight) in self.rule.nodes.iter().zip(&self.rule.weights) {
            let q = q_end * node;
            let scale = 1.0 / (1.0 + q * q);
            let (half_sin, half_cos) = (2.0 * q * scale, (1.0 - q * q) * scale);
            let fall = 2.0 * k * half_sin * (cos * half_sin + sin * half_cos);
            sum += weight * scale * (-fall).exp();
        }
        -2.0 * k * start + (4.0 * q_end * sum).ln()
    }

    /// Distance from (x, y) to the half circle.
    pub(super) fn distance(&self, x: f64, y: f64) -> f64 {
        if y >= 0.0 {
            (x.hypot(y) - self.radius).abs()
        } else {
            (x.abs() - self.radius).hypot(y)
        }
    }
}

/// Where t - f lies for t in (0, pi) and a point at the angle f: two intervals of u = |t - f|
/// (up to a full turn) inside [0, pi], each with the sign of sin(t - f).
fn pieces(angle: f64) -> [(f64, f64, f64); 2] {
    if angle >= 0.0 {
        [(0.0, angle, -1.0), (0.0, PI - angle, 1.0)]
    } else {
        [(-angle, PI, 1.0), (PI + angle, PI, -1.0)]
    }
}

#[cfg(test)]
mod tests {
    use super::{Arc, GaussLegendre, PI};
    use crate::data::bessel::i0e;

    /// Gauss-Legendre in t alone, with 4000 nodes and log-sum-exp: slow and plain.
    fn plain(std: f64, x: f64, y: f64, rule: &GaussLegendre) -> f64 {
        let terms: Vec<f64> = rule
            .nodes
            .iter()
            .zip(&rule.weights)
            .map(|(u, w)| {
                let (sin, cos) = (PI * u).sin_cos();
                let squares = (x - 2.0 * cos).powi(2) + (y - 2.0 * sin).powi(2);
                w.ln() - squares / (2.0 * std * std) - (2.0 * PI * std * std).ln()
            })
            .collect();
        crate::num::log_sum_exp_slice(&terms)
    }

    #[test]
    fn agrees_with_a_plain_quadrature_at_every_width() {
        let rule = GaussLegendre::new(4000);
        let mut worst = (0.0, String::new());
        for std in [0.005, 0.02, 0.2, 0.7, 3.0, 50.0] {
            let arc = Arc::new(2.0, std);
            for i in 0..24 {
                let angle = 0.27 * f64::from(i);
                for r in [0.0, 0.3, 1.9, 2.0, 2.05, 3.0, 30.0] {
                    // The plain rule's nodes are too far apart for a peak of width s / sqrt(2 r).
                    if r / (std * std) > 1.3e5 {
                        continue;
                    }
                    let (x, y) = (r * angle.cos(), r * angle.sin());
                    let want = plain(std, x, y, &rule);
                    let error = (arc.log_density(x, y) - want).abs() / want.abs().max(1.0);
                    if error > worst.0 {
                        worst = (error, format!("std {std} r {r} angle {angle}: {want}"));
                    }
                }
            }
        }
        assert!(worst.0 < 1e-13, "{worst:?}");
    }

    #[test]
    fn deep_inside_the_arc_it_is_a_circle() {
        // There the integral over half a turn is the one over a full turn, 2 pi exp(-k) I0(k).
        for std in [1e-6, 1e-4, 0.005, 0.05] {
            for r in [1.9, 2.0, 30.0, 1e4] {
                let k = 2.0 * r / (std * std);
                let log_circle = (i0e(k) / (PI * std * std)).ln();
                let want = log_circle - (r - 2.0).powi(2) / (2.0 * std * std);
                let got = Arc::new(2.0, std).log_density(0.6 * r, 0.8 * r);
                let error = (got - want).abs() / want.abs().max(1.0);
                assert!(error < 1e-12, "std {std} r {r}: {got}, not {want}");
            }
        }
    }

    #[test]
    fn distances() {
        let arc = Arc::new(2.0, 0.1);
        let got = [
            (0.0, 0.0),
            (0.0, 3.0),
            (2.0, -1.0),
            (-3.0, 0.0),
            (0.0, -1.0),
        ];
        let want = [2.0, 1.0, 1.0, 1.0, 5f64.sqrt()];
        for ((x, y), want) in got.into_iter().zip(want) {
            assert!((arc.distance(x, y) - want).abs() < 1e-15, "{x} {y}");
        }
    }
}
