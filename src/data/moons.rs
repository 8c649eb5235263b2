//! Two interleaved half circles, blurred by a Gaussian.

use std::f64::consts::PI;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::arc::Arc;
use super::checks;
use super::lattice::{normal_quantile, shifted_mean, Lattice};
use super::quadrature::{integrate, Budget, Estimate, Step};
use super::sampling::{square_view, Frame, Sampler};
use super::truth::{log_density, normalise};
use super::{Entropy, Support, Truth};
use crate::error::BadValue;
use crate::rng::Rng;

const RADIUS: f64 = 2.0;
const CENTRES: [(f64, f64); 2] = [(-1.0, -0.2), (1.0, 0.8)];
/// The second arc is the first one turned by half a turn.
const TURNS: [f64; 2] = [1.0, -1.0];
/// Beyond this many standard deviations from both arcs the density is left out of the entropy.
const REACH: f64 = 8.0;
/// For one entropy, about a second's work. A blur below 0.05 needs more.
const BUDGET: Budget = Budget {
    visits: 100_000,
    work: 1_000_000,
};

/// `moons = { noise = 0.2 }`
///
/// With t uniform on (0, pi) and e standard normal, X = m_j(t) + s e for j = 0 or 1, equally
/// often: m_0 = (2 cos t - 1, 2 sin t - 0.2), m_1 = (1 - 2 cos t, 0.8 - 2 sin t). These are the
/// "moons" of Grathwohl et al. 2019 (FFJORD, arXiv:1810.01367): scikit-learn's `make_moons` with
/// noise 0.1, times 2, minus (1, 0.2).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MoonsSpec {
    /// s, the standard deviation of the blur.
    pub noise: f64,
}

impl Default for MoonsSpec {
    fn default() -> Self {
        Self { noise: 0.2 }
    }
}

impl MoonsSpec {
    pub(super) fn check(&self) -> std::result::Result<usize, BadValue> {
        checks::length("noise", self.noise)?;
        Ok(2)
    }

    pub(super) fn build(&self) -> Moons {
        Moons {
            noise: self.noise,
            arc: Arc::new(RADIUS, self.noise),
            entropy: OnceLock::new(),
        }
    }
}

#[derive(Debug)]
pub(super) struct Moons {
    noise: f64,
    arc: Arc,
    entropy: OnceLock<Entropy>,
}

/// `x` as the first arc sees it from moon `j`.
fn turned(j: usize, x: &[f64]) -> (f64, f64) {
    let (a, b) = CENTRES[j];
    (TURNS[j] * (x[0] - a), TURNS[j] * (x[1] - b))
}

impl Moons {
    /// The box `reach` beyond the arcs.
    fn range(&self, reach: f64) -> [(f64, f64); 2] {
        [(-3.0 - reach, 3.0 + reach), (-1.2 - reach, 1.8 + reach)]
    }

    /// Moon `j` at the angle `t`, moved by `e` standard deviations.
    fn place(&self, j: usize, t: f64, e: [f64; 2], x: &mut [f64]) {
        let (sin, cos) = t.sin_cos();
        x[0] = CENTRES[j].0 + TURNS[j] * RADIUS * cos + self.noise * e[0];
        x[1] = CENTRES[j].1 + TURNS[j] * RADIUS * sin + self.noise * e[1];
    }

    /// -int p log p over cells no wider than two standard deviations.
    fn by_quadrature(&self) -> Option<Estimate> {
        let plan = |centre: &[f64; 2], half: &[f64; 2]| {
            let near = REACH * self.noise + half[0].hypot(half[1]);
            let far = (0..2).all(|j| {
                let (x, y) = turned(j, centre);
                self.arc.distance(x, y) > near
            });
            match (far, half[0].max(half[1]) > self.noise) {
                (true, _) => Step::Skip,
                (false, true) => Step::Split,
                (false, false) => Step::Sum { cost: 1, with: () },
            }
        };
        let range = self.range(REACH * self.noise);
        let (low, high) = (range.map(|r| r.0), range.map(|r| r.1));
        integrate(low, high, BUDGET, plan, |(), x| {
            let log_p = log_density(self, x);
            // 0 log 0 = 0
            if log_p == f64::NEG_INFINITY {
                0.0
            } else {
                -log_p.exp() * log_p
            }
        })
    }

    /// The mean of -log p(X) over a lattice of (t, e); by symmetry one moon is enough. For a thin
    /// arc -log p is half the square of the radial part of e and hardly anything else that
    /// varies, so that part is replaced by its mean.
    fn by_lattice(&self) -> Estimate {
        let lattice = Lattice::new(3);
        let (mut u, mut x) = ([0.0; 3], [0.0; 2]);
        shifted_mean(3, 2e-5, 1 << 14, |n, shift| {
            let mut sum = 0.0;
            for i in 0..n {
                lattice.point(i, shift, &mut u);
                let (t, e) = (PI * u[0], [normal_quantile(u[1]), normal_quantile(u[2])]);
                self.place(0, t, e, &mut x);
                let radial = e[0] * t.cos() + e[1] * t.sin();
                sum += 0.5 * (1.0 - radial * radial) - log_density(self, &x);
            }
            sum / n as f64
        })
    }
}

impl Sampler for Moons {
    fn frame(&self) -> Frame {
        Frame::plane(square_view(self.range(4.0 * self.noise)))
    }

    fn draw(&self, rng: &mut Rng, x: &mut [f64]) -> usize {
        let j = rng.below(2);
        let t = PI * rng.uniform();
        let e = [rng.normal(), rng.normal()];
        self.place(j, t, e, x);
        j
    }
}

impl Truth for Moons {
    fn weights(&self) -> &[f64] {
        &[0.5; 2]
    }

    fn log_joint(&self, x: &[f64], out: &mut [f64]) {
        for (j, out) in out.iter_mut().enumerate().take(2) {
            let (a, b) = turned(j, x);
            *out = self.arc.log_density(a, b) - std::f64::consts::LN_2;
        }
    }

    fn gradient(&self, x: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        let mut shares = [0.0; 2];
        self.log_joint(x, &mut shares);
        normalise(&mut shares);
        for (j, share) in shares.into_iter().enumerate() {
            if share > 0.0 {
                let (a, b) = turned(j, x);
                let slope = self.arc.log_density_gradient(a, b);
                for (out, slope) in out.iter_mut().zip(slope) {
                    *out += share * TURNS[j] * slope;
                }
            }
        }
    }

    fn support(&self) -> Support {
        Support::Everywhere
    }

    fn entropy(&self) -> Entropy {
        *self.entropy.get_or_init(|| {
            let Estimate { value, error } =
                self.by_quadrature().unwrap_or_else(|| self.by_lattice());
            Entropy {
                value,
                error: error + 1e-11,
            }
        })
    }
}
