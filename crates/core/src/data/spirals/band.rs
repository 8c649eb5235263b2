//! A uniform variable plus a normal one, on a line.

use std::f64::consts::{FRAC_1_SQRT_2, PI, SQRT_2};

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
pub(super) struct Band {
    width: f64,
    std: f64,
    /// log g and its slope in u / s at multiples of STEP below w / 2 + STEP.
    table: Vec<[f64; 2]>,
    /// Where the table begins, in standard deviations.
    low: f64,
}

impl Band {
    pub(super) fn new(width: f64, std: f64) -> Self {
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
    pub(super) fn log_density(&self, u: f64) -> (f64, f64) {
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
    let log_phi = -0.5 * t * t - 0.5 * (2.0 * PI).ln();
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
    use super::{exact, Band};

    #[test]
    fn the_table_agrees_with_what_it_was_made_of() {
        for std in [0.01, 0.1, 3.0] {
            let band = Band::new(1.0 / 6.0, std);
            for i in 0..4000 {
                let t = -60.0 + 0.0171 * f64::from(i);
                let u = (t * std).min(1.0 / 12.0);
                let (want, want_slope) = exact(u / std, band.width / std);
                for (u, sign) in [(u, 1.0), (band.width - u, -1.0)] {
                    let (got, slope) = band.log_density(u);
                    let want = want - band.width.ln();
                    let bound = 1e-9 + 1e-14 * want.abs();
                    assert!((got - want).abs() < bound, "{std} {t}: {got}, not {want}");
                    let want = sign * want_slope / std;
                    let bound = 1e-6 * want.abs().max(1.0 / std);
                    assert!(
                        (slope - want).abs() < bound,
                        "{std} {t}: {slope}, not {want}"
                    );
                }
            }
        }
    }

    #[test]
    fn it_is_a_density_to_the_farthest_tail() {
        let band = Band::new(1.0 / 6.0, 0.1);
        let sum: f64 = (-3000..3000)
            .map(|i| (band.log_density(1e-3 * f64::from(i)).0).exp() * 1e-3)
            .sum();
        assert!((sum - 1.0).abs() < 1e-9, "{sum}");
        for u in [-1e20, -44.0, 1e100] {
            let (value, slope) = band.log_density(u);
            assert!(
                value < -9e4 && value.is_finite() && slope.is_finite(),
                "{u}"
            );
        }
    }
}
