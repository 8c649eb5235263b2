//! Data sets: what a model is trained on. Synthetic ones carry their exact law ([`Truth`]).

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use crate::error::BadValue;
use crate::rng::Rng;
use crate::Result;

/// A source of points.
pub trait DataSet: Send + Sync {
    /// D, the number of coordinates of a point.
    fn dim(&self) -> usize;
    /// `n` fresh points: `(n, dim)`, f64, on the CPU.
    fn sample(&self, n: usize, rng: &mut Rng) -> Result<Tensor>;
    /// The exact law, where it is known.
    fn truth(&self) -> Option<&dyn Truth>;
    /// What a figure should show, `[(x_min, x_max), (y_min, y_max)]`, for two-dimensional sets.
    fn view(&self) -> Option<[(f64, f64); 2]>;
}

/// The exact law of a data set, p(x) = sum_j w_j p_j(x) over its modes j. Everything in f64.
pub trait Truth: Send + Sync {
    /// w_j, one per mode; they sum to one.
    fn weights(&self) -> &[f64];
    /// Writes log(w_j p_j(x)) for every mode j to `out` (nats; -inf outside a mode's support).
    fn log_joint(&self, x: &[f64], out: &mut [f64]);
    /// Differential entropy.
    fn entropy(&self) -> Entropy;
}

/// Differential entropy in nats, and how well it is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Entropy {
    /// H = -E log p(X).
    pub value: f64,
    /// Bound on (or standard error of) the numerical error: 0 for a closed form.
    pub error: f64,
}

/// Which data set, with its settings: a table `[data.NAME]` of an experiment file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum DataSpec {}

impl DataSpec {
    /// D, or what is wrong with the settings.
    pub fn check(&self) -> std::result::Result<usize, BadValue> {
        match *self {}
    }

    /// The data set.
    pub fn build(&self) -> Result<Box<dyn DataSet>> {
        match *self {}
    }

    /// One of each kind, with the name under which tests and `mdn list data` show it.
    pub fn examples() -> Vec<(&'static str, Self)> {
        Vec::new()
    }
}
