//! Maximum-entropy problems whose solution is known exactly, and these solutions as data.

use std::sync::OnceLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cells::Cells;
use super::checks::unknown_name;
use super::law::{Density, Settings, Truth, View};
use super::{Entropy, Support};
use crate::error::BadValue;
use crate::rng::Rng;
use crate::rows::RowFunction;
use crate::statistics::Statistics;

/// Of all densities with the expectations `E[T_i(X)] = m_i`, the one of greatest entropy is
/// p(x) = exp(sum_i eta_i T_i(x) - log Z), an exponential family (Jaynes 1957, Information theory
/// and statistical mechanics). The dual log Z(eta) - eta.m is strictly convex, so the moments
/// determine eta, and the multiplier of the constraints in `min -H + lambda.(E[T] - m)` is
/// lambda = -eta. For any density q, `KL(q || p) = log Z - eta.E_q[T] - H(q)`.
///
/// The numbers of the wells are quadratures good to 1e-12 (`tests/reference/maxent.json` names
/// their source; a test repeats them); the controls are closed forms.
#[derive(Debug, Clone)]
pub struct Problem {
    /// The name in an experiment file.
    pub name: &'static str,
    /// The solution in a few words.
    pub what: &'static str,
    /// T.
    pub statistics: Statistics,
    /// `E[T_i(X)]`, the constraints.
    pub moments: Vec<f64>,
    /// eta_i, the natural parameters of the solution.
    pub eta: Vec<f64>,
    /// log int exp(eta.T(x)) dx.
    pub log_z: f64,
    /// Where the solution is above 0. Densities on the simplex are with respect to dx over its
    /// first D parts.
    pub support: Support,
    /// The probability of every mode's region, in the order of [`Problem::mode_of`].
    pub mode_masses: Vec<f64>,
    regions: Regions,
    pub(super) extent: Extent,
}

/// Which part of the plane belongs to which mode.
#[derive(Debug, Clone, Copy)]
enum Regions {
    One,
    /// Left and right of the saddle.
    Saddle(f64),
    /// (+, +), (+, -), (-, +), (-, -)
    Quadrants,
}

/// What a sampler and a figure need to know of a density.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    /// All but 1e-15 of the mass.
    pub(super) hold: View,
    /// Above every eigenvalue of -d^2 log p / dx^2 in there.
    pub(super) curvature: f64,
    /// What a figure should show.
    view: View,
}

/// -d^2 log p / dx^2 = 6 x^2 - 6 in x, 1 in y.
const DOUBLE_WELL: Extent = Extent {
    hold: [(-4.0, 4.0), (-9.0, 9.0)],
    curvature: 90.0,
    view: [(-5.0, 5.0); 2],
};

/// Every problem.
fn problems() -> [Problem; 5] {
    let statistics = |names: &[&str]| Statistics::parse(names, 2).expect("statistics of a problem");
    [
        Problem {
            name: "double_well_symmetric",
            what: "two equal wells at x = -+sqrt(3), 4.5 nats deep",
            statistics: statistics(&["x", "x^2", "x^4", "y^2"]),
            eta: vec![0.0, 3.0, -0.5, -0.5],
            log_z: 5.846_792_861_368_105,
            moments: vec![0.0, 2.784_699_857_186_5, 8.854_099_571_559_5, 1.0],
            support: Support::Everywhere,
            mode_masses: vec![0.5, 0.5],
            regions: Regions::Saddle(0.0),
            extent: DOUBLE_WELL,
        },
        Problem {
            name: "double_well_tilted",
            what: "two unequal wells near x = -1.71 and 1.76; E[x] sets their masses",
            statistics: statistics(&["x", "x^2", "x^4", "y^2"]),
            eta: vec![0.3, 3.0, -0.5, -0.5],
            log_z: 5.967_532_466_581_165,
            moments: vec![
                0.776_262_298_116_782_6,
                2.830_397_471_977_138_3,
                9.107_631_760_648_932,
                1.0,
            ],
            support: Support::Everywhere,
            mode_masses: vec![0.272_814_033_714_835_5, 0.727_185_966_285_164_5],
            regions: Regions::Saddle(-0.050_041_771_181_887_25),
            extent: DOUBLE_WELL,
        },
        Problem {
            name: "four_wells_coupled",
            what: "four wells near (-+1.6, -+1.6), the diagonal pair with more mass",
            statistics: statistics(&["x^2+y^2", "x^4+y^4", "x*y"]),
            eta: vec![3.0, -0.6, 0.25],
            log_z: 8.539_794_066_228_54,
            moments: vec![
                4.677_231_154_082_252,
                12.775_725_746_820_3,
                1.196_709_735_750_411,
            ],
            support: Support::Everywhere,
            mode_masses: vec![
                0.372_707_671_975_549,
                0.127_292_328_024_451,
                0.127_292_328_024_451,
                0.372_707_671_975_549,
            ],
            regions: Regions::Quadrants,
            // -d^2 log p / dx^2 = 7.2 x^2 - 6 along the axes, -0.25 across.
            extent: Extent {
                hold: [(-4.0, 4.0); 2],
                curvature: 110.0,
                view: [(-3.5, 3.5); 2],
            },
        },
        Problem {
            name: "dirichlet_1_2_3",
            what: "control: the first two parts of a Dirichlet(1, 2, 3)",
            statistics: statistics(&["log(x1)", "log(x2)", "log(rest)"]),
            eta: vec![0.0, 1.0, 2.0],
            // -log 60, and digamma(k) - digamma(6).
            log_z: -4.094_344_562_222_1,
            moments: vec![-137.0 / 60.0, -77.0 / 60.0, -47.0 / 60.0],
            support: Support::Simplex,
            mode_masses: vec![1.0],
            regions: Regions::One,
            extent: Extent {
                hold: [(0.0, 1.0); 2],
                curvature: f64::INFINITY,
                view: [(-0.125, 1.125); 2],
            },
        },
        Problem {
            name: "gaussian",
            what: "control: one correlated Gaussian",
            statistics: statistics(&["x", "y", "x^2", "x*y", "y^2"]),
            // Mean (1/2, -1), covariance ((3/2, 3/5), (3/5, 4/5)): the precision is
            // ((20, -15), (-15, 37.5)) / 21.
            eta: vec![
                25.0 / 21.0,
                -45.0 / 21.0,
                -10.0 / 21.0,
                15.0 / 21.0,
                -18.75 / 21.0,
            ],
            log_z: 3.119_747_991_884_576,
            moments: vec![0.5, -1.0, 1.75, 0.1, 1.8],
            support: Support::Everywhere,
            mode_masses: vec![1.0],
            regions: Regions::One,
            extent: Extent {
                hold: [(-10.5, 11.5), (-9.0, 7.0)],
                curvature: 2.3,
                view: [(-4.5, 5.5), (-6.0, 4.0)],
            },
        },
    ]
}

impl Problem {
    /// The names that [`by_name`](Self::by_name) knows.
    pub fn names() -> [&'static str; 5] {
        problems().map(|p| p.name)
    }

    /// The problem of that name; the fault is at the key `problem`.
    pub fn by_name(name: &str) -> Result<Self, BadValue> {
        let found = problems().into_iter().find(|p| p.name == name);
        found.ok_or_else(|| unknown_name("problem", name, &Self::names()))
    }

    /// H = log Z - eta.m of the solution, in nats: the greatest entropy there is.
    pub fn entropy(&self) -> f64 {
        let saved = self.eta.iter().zip(&self.moments).map(|(e, m)| e * m);
        self.log_z - saved.sum::<f64>()
    }

    /// D, the number of coordinates of a point.
    pub fn dim(&self) -> usize {
        self.statistics.dim()
    }

    /// log p(x) = eta.T(x) - log Z in nats; -inf outside the support, at points that are not finite
    /// and where a statistic is too large for f64.
    pub fn log_density(&self, x: &[f64]) -> f64 {
        let inside = match self.support {
            Support::Simplex => x.iter().all(|v| *v > 0.0) && x.iter().sum::<f64>() < 1.0,
            _ => x.iter().all(|v| v.is_finite()),
        };
        if !inside {
            return f64::NEG_INFINITY;
        }
        let mut values = vec![0.0; self.statistics.len()];
        self.statistics.evaluate(x, &mut values);
        let exponent: f64 = values.iter().zip(&self.eta).map(|(t, e)| t * e).sum();
        if exponent.is_finite() {
            exponent - self.log_z
        } else {
            f64::NEG_INFINITY
        }
    }

    /// Writes d log p(x) / dx to `out`, D places; 0 where log p(x) = -inf.
    pub fn gradient(&self, x: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        if self.log_density(x) > f64::NEG_INFINITY {
            self.statistics.vjp(x, &self.eta, out);
        }
    }

    /// The mode whose region holds `x`: left (0) or right (1) of the saddle of two wells; the
    /// quadrants (+, +), (+, -), (-, +), (-, -) of four; 0 where there is one mode.
    pub fn mode_of(&self, x: &[f64]) -> usize {
        match self.regions {
            Regions::One => 0,
            Regions::Saddle(at) => usize::from(x[0] >= at),
            Regions::Quadrants => 2 * usize::from(x[0] < 0.0) + usize::from(x[1] < 0.0),
        }
    }
}

/// `exponential_family = { problem = "four_wells_coupled" }`
///
/// p(x) = exp(sum_i eta_i T_i(x) - log Z), the density of greatest entropy with the moments of a
/// [`Problem`]: `double_well_symmetric`, `double_well_tilted`, `four_wells_coupled`,
/// `dirichlet_1_2_3` or `gaussian`. Modes are the wells, cut at the saddle or along the axes; see
/// [`Problem::mode_of`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ExponentialFamilySpec {
    /// One of [`Problem::names`].
    #[schemars(extend("enum" = Problem::names()))]
    pub problem: String,
}

impl Default for ExponentialFamilySpec {
    fn default() -> Self {
        Self {
            problem: "four_wells_coupled".to_owned(),
        }
    }
}

impl Settings for ExponentialFamilySpec {
    fn law(&self) -> Result<Truth, BadValue> {
        let problem = Problem::by_name(&self.problem)?;
        let (value, error) = (problem.entropy(), 1e-12);
        let support = problem.support;
        let (view, weights) = (problem.extent.view, problem.mode_masses.clone());
        let cells = OnceLock::new();
        let law = Truth {
            support,
            ..Truth::plane(view, weights, ExponentialFamily { problem, cells })
        };
        Ok(law.with_entropy(Some(Entropy { value, error })))
    }
}

struct ExponentialFamily {
    problem: Problem,
    cells: OnceLock<Cells>,
}

/// Gamma variables of shapes 1, 2, 3, divided by their sum.
fn dirichlet_1_2_3(rng: &mut Rng, x: &mut [f64]) {
    let mut gamma = |shape: usize| -(0..shape).map(|_| rng.uniform().ln()).sum::<f64>();
    let parts = [gamma(1), gamma(2), gamma(3)];
    let whole: f64 = parts.iter().sum();
    for (x, part) in x.iter_mut().zip(parts) {
        *x = part / whole;
    }
}

impl Density for ExponentialFamily {
    fn draw(&self, rng: &mut Rng, x: &mut [f64]) -> usize {
        if self.problem.support == Support::Simplex {
            dirichlet_1_2_3(rng, x);
        } else {
            let log_p = |x: &[f64; 2]| self.problem.log_density(x);
            let Extent {
                hold, curvature, ..
            } = self.problem.extent;
            self.cells
                .get_or_init(|| Cells::new(hold, curvature, log_p))
                .draw(rng, x, log_p);
        }
        self.problem.mode_of(x)
    }

    fn log_joint(&self, x: &[f64], out: &mut [f64]) {
        out.fill(f64::NEG_INFINITY);
        out[self.problem.mode_of(x)] = self.problem.log_density(x);
    }

    fn gradient(&self, x: &[f64], out: &mut [f64]) {
        self.problem.gradient(x, out);
    }
}
