//! For tests: reference files, tensors in f64 on the CPU, and a list of disagreements.

use candle_core::{DType, Device, Tensor, Var};
use serde_json::Value;

/// A file of tests/reference.
pub fn reference(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// The cases that a reference file lists under `key`.
pub fn cases<'a>(file: &'a Value, key: &str) -> &'a [Value] {
    file[key].as_array().unwrap()
}

/// All numbers in `value`, in order.
pub fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(items) => items.iter().flat_map(numbers).collect(),
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

/// The largest distance between two tensors; NaN if one of them has a NaN.
pub fn gap(a: &Tensor, b: &Tensor) -> f64 {
    let gaps = values(&(a - b).unwrap()).into_iter();
    super::largest(gaps.map(f64::abs))
}

/// A tolerance relative to numbers above 1.
pub fn scaled(tolerance: f64) -> impl Fn(f64) -> f64 {
    move |expected| tolerance * expected.abs().max(1.0)
}

/// What went wrong so far.
#[derive(Default)]
pub struct Faults(Vec<String>);

impl Faults {
    /// Adds a fault unless `fine`.
    pub fn unless(&mut self, fine: bool, fault: impl FnOnce() -> String) {
        if !fine {
            self.0.push(fault());
        }
    }

    /// |got - expected| <= tolerance(expected) for every number.
    pub fn near(
        &mut self,
        what: &str,
        got: &[f64],
        expected: &[f64],
        tolerance: impl Fn(f64) -> f64,
    ) {
        assert_eq!(got.len(), expected.len(), "{what}");
        for (i, (g, e)) in got.iter().zip(expected).enumerate() {
            let fine = (g - e).abs() <= tolerance(*e);
            self.unless(fine, || format!("{what}[{i}]: {g} against {e}"));
        }
    }

    /// Whether nothing went wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Fails if there are any.
    #[track_caller]
    pub fn none(self) {
        assert!(self.0.is_empty(), "{}", self.0.join("\n"));
    }
}
