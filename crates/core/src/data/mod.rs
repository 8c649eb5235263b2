//! Data sets: what a model is trained on. Synthetic ones carry their exact law ([`Truth`]).
//!
//! [`DataSpec`] lists the kinds, [`BENCHMARKS`] the targets with fixed settings. A new kind is a file
//! with its settings and its law, named here and in `spec.rs`.
//!
//! ```
//! use mdn_core::data::{judge, DataSpec, RingSpec};
//! use mdn_core::rng::Rng;
//!
//! let spec = DataSpec::Ring(RingSpec::default());
//! assert_eq!(spec.check(), Ok(2));
//! let data = spec.build()?;
//! let points = data.sample(100, &mut Rng::new(0))?; // (100, 2)
//! let truth = data.truth().expect("a ring is synthetic");
//! assert_eq!(truth.weights().len(), 8);
//! let rows = points.flatten_all()?.to_vec1::<f64>()?;
//! judge(truth, &rows, 2, |point| assert!(point.log_p.is_finite()));
//! # Ok::<(), mdn_core::Error>(())
//! ```

mod arc;
mod benchmark;
mod cells;
mod checks;
mod circles;
mod cubature;
mod curved;
mod directions;
mod energy;
mod exponential_family;
mod expression;
mod file;
mod gaussians;
mod law;
mod many_well;
mod pinwheel;
pub(crate) mod quadrature;
mod spec;
mod spirals;
mod split_gaussian;
mod student_t;
mod target;
mod truth;
mod uniform;

#[cfg(test)]
mod laws;

use candle_core::Tensor;

use crate::rng::Rng;
use crate::Result;

pub use benchmark::{Benchmark, BENCHMARKS};
pub use circles::{CirclesSpec, ManyMoonsSpec, MoonsSpec, RingsSpec};
pub use curved::{BananaSpec, FunnelSpec};
pub use directions::lost_in_single;
pub use energy::{Domain, EnergySpec, Potential};
pub use exponential_family::{ExponentialFamilySpec, Problem};
pub use expression::{BoxSpec, ExpressionSpec};
pub use file::{Column, FilePoints, FileRecord, FileSpec, OnBadRows, SplitSpec};
pub use gaussians::{GridSpec, MixtureSpec, RingSpec};
#[cfg(test)]
pub(crate) use law::Density;
pub use law::Truth;
pub use many_well::ManyWellSpec;
pub use pinwheel::PinwheelSpec;
pub use spec::DataSpec;
pub use spirals::SpiralsSpec;
pub use split_gaussian::SplitGaussianSpec;
pub(crate) use target::point;
pub use target::{LogDensity, Target, Values};
pub use truth::{judge, log_densities, log_density, low_density_levels, Judgement, Level};
pub use uniform::{CheckerboardSpec, Shape, UniformSpec};

/// The purpose of points. Every point of a finite set has one purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// Parameters are fitted to them.
    Train,
    /// Weights and settings are chosen by them.
    Validation,
    /// Metrics are computed on them, once.
    Test,
}

/// Points with the numbers of their modes.
#[derive(Debug, Clone)]
pub struct LabelledPoints {
    /// `(n, dim)`, f64, on the CPU.
    pub x: Tensor,
    /// The number of the mode (or class) that each point comes from, where that is known.
    pub labels: Option<Vec<u32>>,
}

/// A source of points.
pub trait DataSet: Send + Sync {
    /// D, the number of coordinates of a point.
    fn dim(&self) -> usize;
    /// `n` fresh points of a synthetic set, whatever the split; at most `n` of a finite set.
    fn points(&self, split: Split, n: usize, rng: &mut Rng) -> Result<LabelledPoints>;
    /// `n` points for training, without their labels: `(n, dim)`, f64, on the CPU.
    fn sample(&self, n: usize, rng: &mut Rng) -> Result<Tensor> {
        Ok(self.points(Split::Train, n, rng)?.x)
    }
    /// The exact law, where it is known.
    fn truth(&self) -> Option<&Truth>;
    /// What is in the file, for data from a file.
    fn record(&self) -> Option<&FileRecord> {
        None
    }
    /// What a figure should show, `[(x_min, x_max), (y_min, y_max)]`, for two-dimensional sets.
    /// The synthetic sets give a square, so that circles stay round.
    fn view(&self) -> Option<[(f64, f64); 2]>;
}

/// Where a density is above 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// All of R^D.
    Everywhere,
    /// x_d > 0 and sum_d x_d < 1.
    Simplex,
    /// A part of R^D, in words.
    Part(&'static str),
}

impl std::fmt::Display for Support {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Everywhere => "everywhere",
            Self::Simplex => "the simplex",
            Self::Part(words) => words,
        })
    }
}

/// Differential entropy in nats, and how well it is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Entropy {
    /// H = -E log p(X).
    pub value: f64,
    /// Bound on the error of an integral or standard error of an estimate; 0 for a closed form.
    pub error: f64,
}

impl Entropy {
    /// Of a closed form.
    pub(crate) const fn exact(value: f64) -> Self {
        Self { value, error: 0.0 }
    }
}
