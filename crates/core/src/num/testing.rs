//! For tests: reference files, tensors in f64 on the CPU, and a list of disagreements.

use candle_core::{DType, Device, Tensor, Var};
use nalgebra::DMatrix;
use serde_json::Value;

use crate::rng::Rng;

/// A file of tests/reference.
pub fn reference(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// The cases that a reference file lists under `key`.
pub fn cases<'a>(file: &'a Value, key: &str) -> &'a [Value] {
    file[key].as_array().unwrap()
}

/// All numbers in `value`, in order; null stands for -inf, the log of a density of zero.
pub fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(items) => items.iter().flat_map(numbers).collect(),
        Value::Null => vec![f64::NEG_INFINITY],
        other => vec![other.as_f64().unwrap()],
    }
}

/// The values of a tensor, row by row.
pub fn values(tensor: &Tensor) -> Vec<f64> {
    super::to_vec(tensor).unwrap()
}

/// (n, dim)
pub fn tensor(rows: &[f64], dim: usize) -> Tensor {
    super::from_rows(rows, dim, DType::F64, &Device::Cpu).unwrap()
}

/// (1, n)
pub fn row(values: &[f64]) -> Tensor {
    tensor(values, values.len())
}

/// (n, dim)
pub fn var(rows: &[f64], dim: usize) -> Var {
    Var::from_tensor(&tensor(rows, dim)).unwrap()
}

/// Normal numbers times `scale`: (n, dim).
pub fn normal(n: usize, dim: usize, scale: f64, rng: &mut Rng) -> Tensor {
    let normal = rng.normal_tensor((n, dim), DType::F64, &Device::Cpu);
    (normal.unwrap() * scale).unwrap()
}

/// The gradients of the sum of `of`; zeros where it does not depend on a variable.
pub fn gradients(of: &Tensor, by: &[Var]) -> Vec<Vec<f64>> {
    let found = of.sum_all().unwrap().backward().unwrap();
    let gradient = |var: &Var| match found.get(var.as_tensor()) {
        Some(gradient) => values(gradient),
        None => vec![0.0; var.elem_count()],
    };
    by.iter().map(gradient).collect()
}

/// The same by one variable.
pub fn gradient(of: &Tensor, by: &Var) -> Vec<f64> {
    gradients(of, std::slice::from_ref(by)).remove(0)
}

/// Central differences of `value` by every number of a variable.
pub fn differences(by: &Var, step: f64, value: impl Fn() -> f64) -> Vec<f64> {
    let start = values(by);
    let set = |values: &[f64]| {
        let moved = tensor(values, 1).reshape(by.shape()).unwrap();
        by.set(&moved).unwrap();
    };
    let slope = |i: usize| {
        let shifted = |by: f64| {
            let mut values = start.clone();
            values[i] += by;
            set(&values);
            value()
        };
        let slope = (shifted(step) - shifted(-step)) / (2.0 * step);
        set(&start);
        slope
    };
    (0..start.len()).map(slope).collect()
}

/// df / dx at 0 by a finite difference of fourth order (Abramowitz and Stegun 25.3.6).
pub fn slope(f: impl Fn(f64) -> f64, step: f64) -> f64 {
    (8.0 * (f(step) - f(-step)) - f(2.0 * step) + f(-2.0 * step)) / (12.0 * step)
}

/// log|det du/dv| of every row of u (n, D), a function of the same row of v (n, D).
pub fn log_abs_dets(u: &Tensor, v: &Var) -> Vec<f64> {
    let (n, dim) = u.dims2().unwrap();
    // Rows do not see each other, so the gradient of a column's sum holds that column's row of
    // every Jacobian.
    let column = |d: usize| gradient(&u.narrow(1, d, 1).unwrap(), v);
    let by_column: Vec<_> = (0..dim).map(column).collect();
    let log_abs_det = |i: usize| -> f64 {
        let jacobian = DMatrix::from_fn(dim, dim, |d, c| by_column[d][i * dim + c]);
        let pivots = jacobian.lu().u().diagonal();
        pivots.iter().map(|pivot| pivot.abs().ln()).sum()
    };
    (0..n).map(log_abs_det).collect()
}

/// The largest difference of two lists of numbers; NaN where one is NaN.
pub fn largest_gap(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    super::largest(a.iter().zip(b).map(|(a, b)| (a - b).abs()))
}

/// The largest distance between two tensors; NaN if one of them has a NaN.
pub fn gap(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.dims(), b.dims());
    largest_gap(&values(a), &values(b))
}

/// A tolerance relative to numbers above 1.
pub fn scaled(tolerance: f64) -> impl Fn(f64) -> f64 {
    move |expected| tolerance * expected.abs().max(1.0)
}

/// What went wrong so far.
#[derive(Default)]
pub struct Faults(pub Vec<String>);

impl Faults {
    /// Adds a fault unless `fine`.
    pub fn unless(&mut self, fine: bool, fault: impl FnOnce() -> String) {
        if !fine {
            self.0.push(fault());
        }
    }

    /// |got - expected| <= tolerance(expected) for every number; NaN is a fault.
    pub fn near(
        &mut self,
        what: &str,
        got: &[f64],
        expected: &[f64],
        tolerance: impl Fn(f64) -> f64,
    ) {
        assert_eq!(got.len(), expected.len(), "{what}");
        for (i, (g, e)) in got.iter().zip(expected).enumerate() {
            // The difference of equal infinities is NaN, and the tolerance of one may be infinite.
            let near = e.is_finite() && (g - e).abs() <= tolerance(*e);
            let fine = g == e || near;
            self.unless(fine, || format!("{what}[{i}]: {g} against {e}"));
        }
    }

    /// Fails if there are any.
    #[track_caller]
    pub fn none(self) {
        assert!(self.0.is_empty(), "\n{}", self.0.join("\n"));
    }
}

#[test]
fn a_nan_among_gaps_is_not_lost() {
    for at in 0..3 {
        let mut a = [1.0, 2.0, 3.0];
        a[at] = f64::NAN;
        assert!(largest_gap(&a, &[1.0, 2.0, 3.0]).is_nan(), "{at}");
    }
    assert_eq!(largest_gap(&[1.0, 2.0], &[1.5, 2.0]), 0.5);
}
