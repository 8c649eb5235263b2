//! The exact solutions of maximum-entropy problems as data.

use std::sync::OnceLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cells::Cells;
use super::problem::Problem;
use super::sampling::{Frame, Sampler};
use super::{Entropy, Support, Truth};
use crate::error::BadValue;
use crate::rng::Rng;

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

impl ExponentialFamilySpec {
    pub(super) fn check(&self) -> std::result::Result<usize, BadValue> {
        Ok(Problem::by_name(&self.problem)?.dim())
    }

    pub(super) fn build(&self) -> std::result::Result<ExponentialFamily, BadValue> {
        Ok(ExponentialFamily {
            problem: Problem::by_name(&self.problem)?,
            cells: OnceLock::new(),
        })
    }
}

#[derive(Debug)]
pub(super) struct ExponentialFamily {
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

impl Sampler for ExponentialFamily {
    fn frame(&self) -> Frame {
        Frame {
            dim: self.problem.dim(),
            view: Some(self.problem.frame().view),
        }
    }

    fn draw(&self, rng: &mut Rng, x: &mut [f64]) -> usize {
        if self.problem.support == Support::Simplex {
            dirichlet_1_2_3(rng, x);
        } else {
            let log_p = |x: &[f64; 2]| self.problem.log_density(x);
            let frame = self.problem.frame();
            self.cells
                .get_or_init(|| Cells::new(frame.hold, frame.curvature, log_p))
                .draw(rng, x, log_p);
        }
        self.problem.mode_of(x)
    }
}

impl Truth for ExponentialFamily {
    fn weights(&self) -> &[f64] {
        &self.problem.mode_masses
    }

    fn log_joint(&self, x: &[f64], out: &mut [f64]) {
        out.fill(f64::NEG_INFINITY);
        out[self.problem.mode_of(x)] = self.problem.log_density(x);
    }

    fn gradient(&self, x: &[f64], out: &mut [f64]) {
        self.problem.gradient(x, out);
    }

    fn support(&self) -> Support {
        self.problem.support
    }

    fn log_z(&self) -> Option<f64> {
        Some(self.problem.log_z)
    }

    fn entropy(&self) -> Entropy {
        Entropy {
            value: self.problem.entropy,
            error: 1e-12,
        }
    }
}
