//! Student t components of a `mixture`.

use statrs::function::gamma::ln_gamma;

use super::law::{hull, square, Mixture, Modes, Piece, Truth};
use crate::rng::Rng;

/// A coordinate of a component that is within its range with all but about this probability.
const SEEN: f64 = 0.01;

/// Independent coordinates x_d = m_d + s_d t_d, t_d of n degrees of freedom:
///
/// log p(x) = sum_d ln G((n + 1) / 2) - ln G(n / 2) - ln(n pi) / 2 - ln s_d - (n + 1) / 2 ln(1 + z_d^2 / n)
/// with z = (x - m) / s and the gamma function G.
pub(super) struct StudentT {
    centre: Vec<f64>,
    /// s
    scale: Vec<f64>,
    /// n
    degrees: f64,
    log_norm: f64,
}

impl StudentT {
    pub(super) fn new(centre: Vec<f64>, scale: Vec<f64>, degrees: f64) -> Self {
        let half = 0.5 * degrees;
        let each =
            ln_gamma(half + 0.5) - ln_gamma(half) - 0.5 * (degrees * std::f64::consts::PI).ln();
        let scales: f64 = scale.iter().map(|s| s.ln()).sum();
        Self {
            log_norm: each * scale.len() as f64 - scales,
            centre,
            scale,
            degrees,
        }
    }

    /// The law with these components.
    pub(super) fn mixture(modes: Modes, pieces: Vec<Self>) -> Truth {
        let dim = pieces[0].centre.len();
        let ranges = pieces.iter().map(|t| [0, 1].map(|d| t.range(d)));
        let view = (dim == 2).then(|| square(hull(ranges)));
        let law = Truth::new(dim, modes.weights.clone(), Mixture::new(modes, pieces));
        Truth { view, ..law }
    }

    /// The interval around the centre of coordinate `d` that holds all but about [`SEEN`]: up to the t of
    /// which (1 + t^2 / n)^(-n / 2), which falls as the tail does, is that.
    fn range(&self, d: usize) -> (f64, f64) {
        let n = self.degrees;
        let reach = self.scale[d] * (n * (SEEN.powf(-2.0 / n) - 1.0)).sqrt();
        (self.centre[d] - reach, self.centre[d] + reach)
    }

    /// z_d for every d, and s_d.
    fn scaled<'a>(&'a self, x: &'a [f64]) -> impl Iterator<Item = (f64, f64)> + 'a {
        let apart = x.iter().zip(&self.centre).zip(&self.scale);
        apart.map(|((x, m), s)| ((x - m) / s, *s))
    }
}

impl Piece for StudentT {
    fn log_height(&self, x: &[f64]) -> f64 {
        let logs = self.scaled(x).map(|(z, _)| (z * z / self.degrees).ln_1p());
        self.log_norm - 0.5 * (self.degrees + 1.0) * logs.sum::<f64>()
    }

    /// -(n + 1) z_d / (n + z_d^2) / s_d
    fn add_gradient(&self, x: &[f64], share: f64, out: &mut [f64]) {
        for (out, (z, s)) in out.iter_mut().zip(self.scaled(x)) {
            *out -= share * (self.degrees + 1.0) * z / (self.degrees + z * z) / s;
        }
    }

    fn draw(&self, rng: &mut Rng, x: &mut [f64]) {
        for ((x, m), s) in x.iter_mut().zip(&self.centre).zip(&self.scale) {
            *x = m + s * rng.student_t(self.degrees);
        }
    }
}
