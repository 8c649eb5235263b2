//! Densities that are known up to a constant: all that training without data needs of a law.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use candle_core::Tensor;
use rayon::prelude::*;

use super::{log_density, DataSet};
use crate::error::shortened;
use crate::rows;
use crate::{num, Error, Result};

/// What a target says of n points.
#[derive(Debug, Clone, PartialEq)]
pub struct Values {
    /// log p~ (n, nats); -inf where p is 0.
    pub log_p: Vec<f64>,
    /// d log p~/dx (n x D, row by row); `None` of a target without gradients, or where they were not
    /// asked for.
    pub gradient: Option<Vec<f64>>,
}

/// log p~ = log p + a constant, with its gradient.
pub trait LogDensity: Send + Sync {
    /// D.
    fn dim(&self) -> usize;
    /// At points given as rows of D coordinates (f64), with gradients if there are any and `gradient` asks
    /// for them.
    ///
    /// # Errors
    /// Where the values cannot be computed. A value that is not finite is no error here.
    fn evaluate(&self, rows: &[f64], gradient: bool) -> Result<Values>;
}

/// A density that is known up to a constant, and the constant where that is known.
pub struct Target {
    density: Box<dyn LogDensity>,
    /// Points so far.
    evaluated: AtomicU64,
    /// log Z = log of the integral of p~ (nats), where it is known; 0 for a law with a normaliser.
    pub log_z: Option<f64>,
}

/// The law of a data set that has one.
struct Exact(Arc<dyn DataSet>);

impl LogDensity for Exact {
    fn dim(&self) -> usize {
        self.0.dim()
    }

    fn evaluate(&self, rows: &[f64], gradient: bool) -> Result<Values> {
        let unknown = || Error::failed("expected a law with a known density; got one without");
        let truth = self.0.truth().ok_or_else(unknown)?;
        let value = |x: &[f64]| log_density(truth, x);
        let slope = |x: &[f64], out: &mut [f64]| truth.gradient(x, out);
        Ok(by_row(rows, self.dim(), gradient, value, slope))
    }
}

/// Values of functions of single points, shared among threads.
pub(super) fn by_row(
    rows: &[f64],
    dim: usize,
    gradient: bool,
    value: impl Fn(&[f64]) -> f64 + Send + Sync,
    slope: impl Fn(&[f64], &mut [f64]) + Send + Sync,
) -> Values {
    let points = || rows.par_chunks_exact(dim).with_min_len(64);
    let gradient = gradient.then(|| {
        let mut all = vec![0.0; rows.len()];
        let each = points().zip(all.par_chunks_exact_mut(dim));
        each.for_each(|(x, out)| slope(x, out));
        all
    });
    Values {
        log_p: points().map(value).collect(),
        gradient,
    }
}

impl Target {
    /// A density with log Z, where that is known.
    pub fn new(density: impl LogDensity + 'static, log_z: Option<f64>) -> Self {
        Self {
            density: Box::new(density),
            evaluated: AtomicU64::new(0),
            log_z,
        }
    }

    /// The law of a data set; `None` where its density is not known.
    pub fn of(data: Arc<dyn DataSet>) -> Option<Self> {
        data.truth()?;
        Some(Self::new(Exact(data), Some(0.0)))
    }

    /// D.
    pub fn dim(&self) -> usize {
        self.density.dim()
    }

    /// Points that were evaluated so far, each once whether with its gradient or not.
    pub fn evaluated(&self) -> u64 {
        self.evaluated.load(Ordering::Relaxed)
    }

    /// [`LogDensity::evaluate`]
    ///
    /// # Errors
    /// Where the values cannot be computed.
    pub fn evaluate(&self, rows: &[f64], gradient: bool) -> Result<Values> {
        let points = rows.len() / self.dim().max(1);
        self.evaluated.fetch_add(points as u64, Ordering::Relaxed);
        self.density.evaluate(rows, gradient)
    }

    /// log p~ of points x (n, D) as (n,), with a gradient for x, in its dtype and on its device.
    ///
    /// # Errors
    /// If x depends on parameters and the target has no gradients: the message names `objective`.
    pub fn log_p(&self, x: &Tensor, objective: &str) -> Result<Tensor> {
        let tracked = x.track_op();
        let Values { log_p, gradient } = self.evaluate(&num::to_vec(x)?, tracked)?;
        if tracked && gradient.is_none() {
            return Err(Error::failed(format!(
                "{objective}: expected a target with gradients, since samples of the model move with its \
                 parameters; got one that gives log densities alone"
            )));
        }
        rows::known(x, log_p, gradient.unwrap_or_default())
    }
}

impl Values {
    /// Whether the value or the gradient of point `i` is not finite.
    pub fn is_faulty(&self, i: usize) -> bool {
        let n = self.log_p.len();
        let slope = |g: &Vec<f64>| {
            let d = g.len() / n;
            g[i * d..(i + 1) * d].iter().any(|v| !v.is_finite())
        };
        !self.log_p[i].is_finite() || self.gradient.as_ref().is_some_and(slope)
    }

    /// The first of the finite points `rows` at which the value or the gradient is not finite, in words.
    pub fn fault(&self, rows: &[f64]) -> Option<String> {
        let dim = rows.len() / self.log_p.len().max(1);
        let mut points = rows.chunks_exact(dim.max(1)).enumerate();
        let finite = |x: &[f64]| x.iter().all(|v| v.is_finite());
        let (i, x) = points.find(|(i, x)| finite(x) && self.is_faulty(*i))?;
        let what = match self.log_p[i] {
            f64::NEG_INFINITY => "0 density".to_owned(),
            value if !value.is_finite() => format!("log density {value}"),
            _ => "a gradient that is not finite".to_owned(),
        };
        Some(format!("{what} at {}", point(x)))
    }
}

/// `[0.1, -3.2]`, in the digits of single precision where that holds the numbers.
pub(crate) fn point(x: &[f64]) -> String {
    let number = |v: &f64| match *v as f32 {
        single if f64::from(single) == *v => single.to_string(),
        _ => v.to_string(),
    };
    let all: Vec<_> = x.iter().map(number).collect();
    shortened(&format!("[{}]", all.join(", ")), 400).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::num::testing::{gradient, tensor, values, var};

    /// log p~ = -x^2 y, without gradients if told so.
    struct Product(bool);

    impl LogDensity for Product {
        fn dim(&self) -> usize {
            2
        }
        fn evaluate(&self, rows: &[f64], gradient: bool) -> Result<Values> {
            let slope = |x: &[f64], out: &mut [f64]| {
                out.copy_from_slice(&[-2.0 * x[0] * x[1], -x[0] * x[0]])
            };
            let value = |x: &[f64]| -x[0] * x[0] * x[1];
            Ok(by_row(rows, 2, gradient && self.0, value, slope))
        }
    }

    #[test]
    fn gradients_of_the_target_reach_the_points() {
        let target = Target::new(Product(true), None);
        let x = var(&[1.0, 2.0, -3.0, 0.5], 2);
        let log_p = target.log_p(&(x.as_tensor() * 2.0).unwrap(), "t").unwrap();
        assert_eq!(values(&log_p), [-16.0, -36.0]);
        let weighted = (log_p * tensor(&[1.0, 10.0], 2).squeeze(0).unwrap()).unwrap();
        let got = gradient(&weighted.sum_all().unwrap(), &x);
        // d/dx of -8 x^2 y, the second row ten times.
        assert_eq!(got, [-32.0, -8.0, 240.0, -720.0]);
    }

    #[test]
    fn a_target_without_gradients_serves_points_that_do_not_move() {
        let target = Target::new(Product(false), None);
        let x = var(&[1.0, 2.0], 2);
        let fixed = target.log_p(&x.as_tensor().detach(), "t").unwrap();
        assert_eq!(values(&fixed), [-2.0]);
        let said = target.log_p(x.as_tensor(), "t").unwrap_err().to_string();
        assert!(
            said.contains("t: expected a target with gradients"),
            "{said}"
        );
    }

    #[test]
    fn a_fault_is_named_with_its_point() {
        let rows = [f64::NAN, 0.0, f64::from(0.1f32), -3.25, 1.0, 2.0];
        let faults = |log_p: [f64; 3], gradient: Option<Vec<f64>>| {
            let values = Values {
                log_p: log_p.to_vec(),
                gradient,
            };
            let count = (0..3).filter(|i| values.is_faulty(*i)).count();
            (count, values.fault(&rows).unwrap_or_default())
        };
        let (nan, zero) = (f64::NAN, f64::NEG_INFINITY);
        let fine = vec![0.0; 6];
        assert_eq!(faults([nan, 0.0, 0.0], Some(fine)), (1, String::new()));
        let text = "log density NaN at [0.1, -3.25]".to_owned();
        assert_eq!(faults([nan, nan, zero], None), (3, text));
        assert_eq!(
            faults([0.0, 0.0, zero], None),
            (1, "0 density at [1, 2]".to_owned())
        );
        let slopes = vec![0.0, 0.0, 0.0, nan, 0.0, 0.0];
        let text = "a gradient that is not finite at [0.1, -3.25]".to_owned();
        assert_eq!(faults([0.0; 3], Some(slopes)), (1, text));
    }
}
