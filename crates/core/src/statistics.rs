//! Statistics T_i(x) given by name, the constraints of maximum-entropy problems.
//!
//! A statistic is any [`Expression`]. Those in [`FORMS`] are known by their form, so that moments which
//! no density has are refused. Logarithms of coordinates and of `rest` are defined inside the simplex:
//! x_d > 0, sum_d x_d < 1, where D coordinates describe D + 1 parts of a whole.
//!
//! ```
//! use mdn_core::statistics::Statistics;
//!
//! let statistics = Statistics::parse(&["x^2 + y^2", "x*y", "(r - 2)^2"], 2)?;
//! let mut values = [0.0; 3];
//! statistics.evaluate(&[3.0, 4.0], &mut values);
//! assert_eq!(values, [25.0, 12.0, 9.0]);
//! # Ok::<(), mdn_core::error::BadValue>(())
//! ```

mod feasible;
mod form;

#[cfg(test)]
mod tests;

use crate::error::BadValue;
use crate::expression::{add_angular, add_radial, radius, rest, Expression};
use crate::rows::RowFunction;

/// Forms of statistics with a one-line description, for `mdn list statistics`.
pub const FORMS: &[(&str, &str)] = &[
    (
        "x, y^2, x*y, x1^2*x3",
        "a monomial of total degree 1 to 6 (coordinates x1 to xD; x, y, z for the first three)",
    ),
    ("x^2+y^2, x^4+y^4", "a sum of monomials"),
    ("r, r^2, ..., r^6", "a power of the radius |x|"),
    (
        "cos(theta), sin(3*theta)",
        "of a multiple of the angle (D = 2)",
    ),
    (
        "log(x1), log(rest)",
        "of a part of the simplex; `rest` is what the D coordinates leave of 1",
    ),
    (
        "(r-2)^2, x^3-3*x*y^2, sum(i, 1, D-1, x[i]*x[i+1])",
        "any expression",
    ),
];

/// The largest total degree of a monomial and the largest power of the radius.
const MAX_DEGREE: i32 = 6;
/// The largest multiple of theta.
const MAX_ANGLE: i32 = 100;
/// The largest number of statistics.
const MAX_STATISTICS: usize = 10_000;

/// prod x_d^p over pairs (d, p), by increasing d; every p at least 1.
type Monomial = Vec<(usize, i32)>;

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    /// A sum of monomials.
    Sum(Vec<Monomial>),
    /// |x|^k
    Radius(i32),
    /// cos(k theta)
    Cos(f64),
    /// sin(k theta)
    Sin(f64),
    /// log x_d
    Log(usize),
    /// log(1 - sum_d x_d)
    LogRest,
    /// Any other.
    Expression(Expression),
}

/// T: R^D -> R^k, value and gradient in f64, with names.
#[derive(Debug, Clone)]
pub struct Statistics {
    dim: usize,
    names: Vec<String>,
    kinds: Vec<Kind>,
}

impl Statistics {
    /// Reads expressions of points of `dim` coordinates. An error says which one, at which column, and
    /// what was expected there; no statistic may be given twice.
    pub fn parse(typed: &[impl AsRef<str>], dim: usize) -> Result<Self, BadValue> {
        BadValue::unless(
            (1..=MAX_STATISTICS).contains(&typed.len()),
            "statistics",
            &format!("between 1 and {MAX_STATISTICS} `statistics`"),
            typed.len(),
        )?;
        BadValue::unless(dim >= 1, "statistics", "points with D >= 1", dim)?;
        let (mut names, mut kinds) = (Vec::<String>::new(), Vec::new());
        for (i, text) in typed.iter().enumerate() {
            let text = text.as_ref();
            let expression = Expression::parse(text, dim, &[]).map_err(|fault| {
                let got = format!("{} in statistics[{i}]", fault.found(text));
                BadValue::new("statistics", &fault.expected, got)
            })?;
            let kind = Kind::of(expression).canonical(dim);
            if let Some(j) = kinds.iter().position(|other| *other == kind) {
                return Err(BadValue::new(
                    "statistics",
                    "each statistic once",
                    format_args!("`{text}` in statistics[{i}], the same as statistics[{j}]"),
                ));
            }
            names.push(text.split_whitespace().collect());
            kinds.push(kind);
        }
        Ok(Self { dim, names, kinds })
    }

    /// k, the number of statistics.
    #[allow(clippy::len_without_is_empty)] // There is always one.
    pub fn len(&self) -> usize {
        self.kinds.len()
    }

    /// D, the number of coordinates of a point.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The names as typed, without white space.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether there are logarithms, which are defined inside the simplex alone.
    pub fn on_simplex(&self) -> bool {
        self.kinds
            .iter()
            .any(|k| matches!(k, Kind::Log(_) | Kind::LogRest))
    }

    /// Writes T_i(x) to `out` (k numbers). A logarithm is -inf on the edge of the simplex and NaN
    /// outside; theta is 0 at the origin.
    pub fn evaluate(&self, x: &[f64], out: &mut [f64]) {
        for (kind, out) in self.kinds.iter().zip(out) {
            *out = kind.value(x);
        }
    }
}

impl RowFunction for Statistics {
    fn outputs(&self) -> usize {
        self.len()
    }

    fn value(&self, x: &[f64], out: &mut [f64]) {
        self.evaluate(x, out);
    }

    /// At the origin, where the radius and theta have no derivative, 0 stands for theirs.
    fn vjp(&self, x: &[f64], cotangent: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        for (kind, c) in self.kinds.iter().zip(cotangent) {
            kind.add_gradient(x, *c, out);
        }
    }
}

impl Kind {
    /// The same form for equal functions: terms sorted, and r^2 as a sum.
    fn canonical(self, dim: usize) -> Self {
        match self {
            Self::Sum(mut terms) => {
                terms.sort_unstable();
                Self::Sum(terms)
            }
            Self::Radius(2) => Self::Sum((0..dim).map(|d| vec![(d, 2)]).collect()),
            other => other,
        }
    }

    fn value(&self, x: &[f64]) -> f64 {
        match self {
            Self::Sum(terms) => terms
                .iter()
                .map(|term| term.iter().map(|(d, p)| x[*d].powi(*p)).product::<f64>())
                .sum(),
            Self::Radius(k) => radius(x).powi(*k),
            Self::Cos(k) => (k * x[1].atan2(x[0])).cos(),
            Self::Sin(k) => (k * x[1].atan2(x[0])).sin(),
            Self::Log(d) => x[*d].ln(),
            Self::LogRest => rest(x).ln(),
            Self::Expression(expression) => expression.value(x),
        }
    }

    /// Adds c dT/dx to `out`.
    fn add_gradient(&self, x: &[f64], c: f64, out: &mut [f64]) {
        match self {
            Self::Sum(terms) => {
                for term in terms {
                    for (i, (d, p)) in term.iter().enumerate() {
                        let others = term.iter().enumerate().filter(|(j, _)| *j != i);
                        let others: f64 = others.map(|(_, (e, q))| x[*e].powi(*q)).product();
                        out[*d] += c * f64::from(*p) * x[*d].powi(p - 1) * others;
                    }
                }
            }
            Self::Radius(k) => {
                let r = radius(x);
                add_radial(x, c * f64::from(*k) * r.powi(k - 1), out);
            }
            Self::Cos(k) => add_angular(x, -c * k * (k * x[1].atan2(x[0])).sin(), out),
            Self::Sin(k) => add_angular(x, c * k * (k * x[1].atan2(x[0])).cos(), out),
            Self::Log(d) => out[*d] += c / x[*d],
            Self::LogRest => {
                let slope = c / rest(x);
                out.iter_mut().for_each(|out| *out -= slope);
            }
            Self::Expression(expression) => {
                expression.add_gradient(x, c, out);
            }
        }
    }
}
