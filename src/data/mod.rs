//! Data sets: what a model is trained on. Synthetic ones carry their exact law ([`Truth`]).
//!
//! | kind | settings | law |
//! |---|---|---|
//! | `ring` | [`RingSpec`] | equal Gaussians on a circle |
//! | `grid` | [`GridSpec`] | equal Gaussians on a square lattice |
//! | `moons` | [`MoonsSpec`] | two interleaved half circles, blurred |
//! | `circles` | [`CirclesSpec`] | concentric circles, blurred |
//! | `checkerboard` | [`CheckerboardSpec`] | uniform on the dark squares |
//! | `mixture` | [`MixtureSpec`] | Gaussians given one by one, any D |
//!
//! ```
//! use mdn::data::{judge, DataSpec, RingSpec};
//! use mdn::rng::Rng;
//!
//! let spec = DataSpec::Ring(RingSpec::default());
//! assert_eq!(spec.check(), Ok(2));
//! let data = spec.build()?;
//! let points = data.sample(100, &mut Rng::new(0))?; // (100, 2)
//! let truth = data.truth().expect("a ring is synthetic");
//! assert_eq!(truth.weights().len(), 8);
//! let rows = points.flatten_all()?.to_vec1::<f64>()?;
//! judge(truth, &rows, 2, |point| assert!(point.log_p.is_finite()));
//! # Ok::<(), mdn::Error>(())
//! ```

mod arc;
mod bessel;
mod checkerboard;
mod checks;
mod circles;
mod gaussians;
mod grid;
mod lattice;
mod mixture;
mod moons;
mod quadrature;
mod ring;
mod sampling;
mod spec;
mod truth;

#[cfg(test)]
mod laws;

use candle_core::Tensor;

use crate::rng::Rng;
use crate::Result;

pub use checkerboard::CheckerboardSpec;
pub use circles::CirclesSpec;
pub use grid::GridSpec;
pub use mixture::{MixtureSpec, StdDev};
pub use moons::MoonsSpec;
pub use ring::RingSpec;
pub use spec::{DataSpec, Kind, KINDS};
pub use truth::{judge, log_densities, log_density, low_density_level, Judgement, Level};

/// A source of points.
pub trait DataSet: Send + Sync {
    /// D, the number of coordinates of a point.
    fn dim(&self) -> usize;
    /// `n` fresh points: `(n, dim)`, f64, on the CPU.
    fn sample(&self, n: usize, rng: &mut Rng) -> Result<Tensor>;
    /// The exact law, where it is known.
    fn truth(&self) -> Option<&dyn Truth>;
    /// What a figure should show, `[(x_min, x_max), (y_min, y_max)]`, for two-dimensional sets.
    /// The synthetic sets give a square, so that circles stay round.
    fn view(&self) -> Option<[(f64, f64); 2]>;
}

/// The exact law of a data set, p(x) = sum_j w_j p_j(x) over its modes j. Everything in f64.
pub trait Truth: Send + Sync {
    /// w_j > 0, one per mode; they sum to one.
    fn weights(&self) -> &[f64];
    /// Writes log(w_j p_j(x)) for every mode j to `out` (nats; -inf outside a mode's support).
    /// `x` has D coordinates and `out` one place per mode. A point with a coordinate that is not
    /// finite gets -inf for every mode, so no NaN comes out.
    fn log_joint(&self, x: &[f64], out: &mut [f64]);
    /// Differential entropy. Where it has no closed form it is computed at the first call and
    /// kept.
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
