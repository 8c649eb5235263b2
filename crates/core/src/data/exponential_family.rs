//! Maximum-entropy problems whose solution is known exactly, and these solutions as data.

use std::sync::{LazyLock, OnceLock};

use schemars::JsonSchema;
use serde::de::{Deserializer, Error as _};
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
/// `problems.toml` lists them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Problem {
    /// The name in an experiment file.
    pub name: String,
    /// The solution in a few words.
    pub what: String,
    /// T.
    #[serde(deserialize_with = "in_the_plane")]
    pub statistics: Statistics,
    /// `E[T_i(X)]`, the constraints.
    pub moments: Vec<f64>,
    /// eta_i, the natural parameters of the solution.
    pub eta: Vec<f64>,
    /// log int exp(eta.T(x)) dx.
    pub log_z: f64,
    /// The probability of every mode's region, in the order of [`Problem::mode_of`].
    pub mode_masses: Vec<f64>,
    regions: Regions,
    /// All but 1e-15 of the mass.
    pub(super) hold: View,
    /// Above every eigenvalue of -d^2 log p / dx^2 in there.
    pub(super) curvature: f64,
    /// What a figure should show.
    view: View,
}

/// Which part of the plane belongs to which mode.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Regions {
    One,
    /// Left and right of the saddle.
    Saddle(f64),
    /// (+, +), (+, -), (-, +), (-, -)
    Quadrants,
}

fn in_the_plane<'de, T: Deserializer<'de>>(names: T) -> Result<Statistics, T::Error> {
    let names = Vec::<String>::deserialize(names)?;
    Statistics::parse(&names, 2).map_err(T::Error::custom)
}

/// Every problem.
static PROBLEMS: LazyLock<Vec<Problem>> = LazyLock::new(|| {
    #[derive(Deserialize)]
    struct Table {
        problem: Vec<Problem>,
    }
    let table = toml::from_str::<Table>(include_str!("problems.toml"));
    table.expect("the table of problems").problem
});

impl Problem {
    /// The names that [`by_name`](Self::by_name) knows.
    pub fn names() -> Vec<&'static str> {
        PROBLEMS.iter().map(|p| p.name.as_str()).collect()
    }

    /// The problem of that name; the fault is at the key `problem`.
    pub fn by_name(name: &str) -> Result<Self, BadValue> {
        let found = PROBLEMS.iter().find(|p| p.name == name).cloned();
        found.ok_or_else(|| unknown_name("problem", name, &Self::names()))
    }

    /// Where the solution is above 0. Densities on the simplex are with respect to dx over its
    /// first D parts.
    pub fn support(&self) -> Support {
        match self.statistics.on_simplex() {
            true => Support::Simplex,
            false => Support::Everywhere,
        }
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
        let inside = match self.support() {
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
        let support = problem.support();
        let (view, weights) = (problem.view, problem.mode_masses.clone());
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
        if self.problem.statistics.on_simplex() {
            dirichlet_1_2_3(rng, x);
        } else {
            let log_p = |x: &[f64; 2]| self.problem.log_density(x);
            let (hold, curvature) = (self.problem.hold, self.problem.curvature);
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
