//! Functions of a point written as text, such as `exp(-(r - 2)^2) + sum(i, 1, D-1, x[i]*x[i+1])`, with
//! exact gradients.
//!
//! - **Coordinates**: `x1` to `xD` or `x[1]` to `x[D]`; `x`, `y`, `z` are short for the first three. An
//!   index is any expression of numbers that is whole, such as `i+1`.
//! - **Derived**: `r` = |x|; in two dimensions `theta` = atan2(y, x); `rest` = 1 - sum_d x_d, what is left
//!   of a whole.
//! - **Constants**: `pi`, `e`, the dimension `D`, and those of the caller.
//! - **Operators**: `+`, `-`, `*`, `/`, `^`. As in Python and in print, `-x^2` is -(x^2) and `x^y^z` is
//!   x^(y^z).
//! - **Functions**: those of [`Function`]; `log` is the natural logarithm.
//! - **Sums**: `sum(i, FROM, TO, BODY)`, with `i` as a number in the body; 0 if TO < FROM.
//!
//! An expression is compiled to a list of operations. Its gradient is that of reverse accumulation over
//! the list, so it costs a few times the value in any dimension.
//!
//! ```
//! use mdn_core::expression::Expression;
//!
//! let f = Expression::parse("-x^2 + 3*y", 2, &[])?;
//! let mut gradient = [0.0; 2];
//! assert_eq!(f.value_and_gradient(&[2.0, 5.0], &mut gradient), 11.0);
//! assert_eq!(gradient, [-4.0, 3.0]);
//! # Ok::<(), mdn_core::expression::Fault>(())
//! ```

mod parse;
#[cfg(test)]
mod tests;

use std::cell::RefCell;

pub use parse::{is_taken, Fault};

/// Functions of one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Function {
    Exp,
    Log,
    Sqrt,
    Abs,
    Sin,
    Cos,
    Tan,
    Sinh,
    Cosh,
    Tanh,
    Atan,
    Erf,
}

impl Function {
    /// All of them with their names.
    pub const ALL: [(&'static str, Self); 12] = [
        ("exp", Self::Exp),
        ("log", Self::Log),
        ("sqrt", Self::Sqrt),
        ("abs", Self::Abs),
        ("sin", Self::Sin),
        ("cos", Self::Cos),
        ("tan", Self::Tan),
        ("sinh", Self::Sinh),
        ("cosh", Self::Cosh),
        ("tanh", Self::Tanh),
        ("atan", Self::Atan),
        ("erf", Self::Erf),
    ];

    fn value(self, a: f64) -> f64 {
        match self {
            Self::Exp => a.exp(),
            Self::Log => a.ln(),
            Self::Sqrt => a.sqrt(),
            Self::Abs => a.abs(),
            Self::Sin => a.sin(),
            Self::Cos => a.cos(),
            Self::Tan => a.tan(),
            Self::Sinh => a.sinh(),
            Self::Cosh => a.cosh(),
            Self::Tanh => a.tanh(),
            Self::Atan => a.atan(),
            Self::Erf => libm::erf(a),
        }
    }

    /// f'(a), given f(a). That of `abs` at 0 is 0.
    fn slope(self, a: f64, value: f64) -> f64 {
        match self {
            Self::Exp => value,
            Self::Log => 1.0 / a,
            Self::Sqrt => 0.5 / value,
            Self::Abs if a == 0.0 => 0.0,
            Self::Abs => a.signum(),
            Self::Sin => a.cos(),
            Self::Cos => -a.sin(),
            Self::Tan => 1.0 + value * value,
            Self::Sinh => a.cosh(),
            Self::Cosh => a.sinh(),
            Self::Tanh => 1.0 - value * value,
            Self::Atan => 1.0 / (1.0 + a * a),
            Self::Erf => std::f64::consts::FRAC_2_SQRT_PI * (-a * a).exp(),
        }
    }
}

/// An operation on earlier ones, which are named by their places in the list.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Node {
    Number(f64),
    /// x_d, counted from 0.
    Coordinate(usize),
    Radius,
    Theta,
    Rest,
    Add(usize, usize),
    Subtract(usize, usize),
    Multiply(usize, usize),
    Divide(usize, usize),
    Power(usize, usize),
    Call(Function, usize),
}

/// f: R^D -> R.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    dim: usize,
    nodes: Vec<Node>,
}

thread_local! {
    /// Values and derivatives of the operations at one point.
    static WORK: RefCell<(Vec<f64>, Vec<f64>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

impl Expression {
    /// Reads an expression of points of `dim` coordinates; `constants` are further names with their
    /// values.
    ///
    /// # Errors
    /// Names the column, what was expected there and what came.
    pub fn parse(text: &str, dim: usize, constants: &[(String, f64)]) -> Result<Self, Fault> {
        let nodes = parse::nodes(text, dim, constants)?;
        Ok(Self { dim, nodes })
    }

    /// D, the number of coordinates of a point.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The operations; the last one is the value.
    pub(crate) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// f(x); NaN or infinite where f is not defined.
    pub fn value(&self, x: &[f64]) -> f64 {
        WORK.with_borrow_mut(|(values, _)| self.evaluate(x, values))
    }

    /// f(x); writes df/dx to `out` (D numbers). At the origin, where `r` and `theta` have no derivative,
    /// 0 stands for theirs.
    pub fn value_and_gradient(&self, x: &[f64], out: &mut [f64]) -> f64 {
        out.fill(0.0);
        self.add_gradient(x, 1.0, out)
    }

    /// Adds `factor` df/dx to `out`; gives f(x).
    pub(crate) fn add_gradient(&self, x: &[f64], factor: f64, out: &mut [f64]) -> f64 {
        WORK.with_borrow_mut(|(values, slopes)| {
            let value = self.evaluate(x, values);
            slopes.clear();
            slopes.resize(self.nodes.len(), 0.0);
            slopes[self.nodes.len() - 1] = factor;
            for (i, node) in self.nodes.iter().enumerate().rev() {
                let slope = slopes[i];
                // Also keeps 0 times the infinite slope of a part that has no effect out of the sum.
                if slope == 0.0 {
                    continue;
                }
                match *node {
                    Node::Number(_) => {}
                    Node::Coordinate(d) => out[d] += slope,
                    Node::Radius => add_radial(x, slope, out),
                    Node::Theta => add_angular(x, slope, out),
                    Node::Rest => out.iter_mut().for_each(|out| *out -= slope),
                    Node::Add(a, b) => {
                        slopes[a] += slope;
                        slopes[b] += slope;
                    }
                    Node::Subtract(a, b) => {
                        slopes[a] += slope;
                        slopes[b] -= slope;
                    }
                    Node::Multiply(a, b) => {
                        slopes[a] += slope * values[b];
                        slopes[b] += slope * values[a];
                    }
                    Node::Divide(a, b) => {
                        slopes[a] += slope / values[b];
                        slopes[b] -= slope * values[i] / values[b];
                    }
                    Node::Power(a, b) => {
                        let (base, exponent) = (values[a], values[b]);
                        slopes[a] += slope * exponent * power(base, exponent - 1.0);
                        if !matches!(self.nodes[b], Node::Number(_)) {
                            slopes[b] += slope * values[i] * base.ln();
                        }
                    }
                    Node::Call(function, a) => {
                        slopes[a] += slope * function.slope(values[a], values[i]);
                    }
                }
            }
            value
        })
    }

    fn evaluate(&self, x: &[f64], values: &mut Vec<f64>) -> f64 {
        values.clear();
        for node in &self.nodes {
            let value = node.value(x, values);
            values.push(value);
        }
        values.last().copied().unwrap_or(f64::NAN)
    }
}

impl Node {
    fn value(&self, x: &[f64], values: &[f64]) -> f64 {
        match *self {
            Self::Number(value) => value,
            Self::Coordinate(d) => x[d],
            Self::Radius => radius(x),
            Self::Theta => x[1].atan2(x[0]),
            Self::Rest => rest(x),
            Self::Add(a, b) => values[a] + values[b],
            Self::Subtract(a, b) => values[a] - values[b],
            Self::Multiply(a, b) => values[a] * values[b],
            Self::Divide(a, b) => values[a] / values[b],
            Self::Power(a, b) => power(values[a], values[b]),
            Self::Call(function, a) => function.value(values[a]),
        }
    }
}

/// base^exponent; by multiplication where the exponent is a small whole number.
fn power(base: f64, exponent: f64) -> f64 {
    match exponent as i32 {
        whole if f64::from(whole) == exponent && whole.abs() <= 64 => base.powi(whole),
        _ => base.powf(exponent),
    }
}

/// |x|.
pub(crate) fn radius(x: &[f64]) -> f64 {
    match x {
        [a, b] => a.hypot(*b),
        _ => x.iter().map(|v| v * v).sum::<f64>().sqrt(),
    }
}

/// 1 - sum_d x_d.
pub(crate) fn rest(x: &[f64]) -> f64 {
    1.0 - x.iter().sum::<f64>()
}

/// Adds `slope` d|x|/dx = `slope` x / |x|.
pub(crate) fn add_radial(x: &[f64], slope: f64, out: &mut [f64]) {
    let r = radius(x);
    if r > 0.0 {
        for (out, x) in out.iter_mut().zip(x) {
            *out += slope * (x / r);
        }
    }
}

/// Adds `slope` dtheta/dx = `slope` (-y, x) / r^2.
pub(crate) fn add_angular(x: &[f64], slope: f64, out: &mut [f64]) {
    let r = radius(x);
    if r > 0.0 {
        out[0] -= slope * (x[1] / r) / r;
        out[1] += slope * (x[0] / r) / r;
    }
}
