//! Transformers on a tile: maps of single coordinates with parameters from a conditioner.

use crate::product::TILE;
use crate::simd::{Op, Simd, Verified};

mod affine;
pub mod fold;
mod spline;

use affine::Affine;
use fold::Fold;
use spline::Spline;
pub use spline::SPLINE_MIN;

/// The transformer of a layer: it moves a coordinate, given parameters from the conditioner.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Transformer {
    /// Real NVP's scale and shift: log scale s = c tanh(r / c) from the conditioner's output r.
    Affine {
        /// c where r > 0.
        grow: f64,
        /// c where r < 0.
        shrink: f64,
    },
    /// A rational-quadratic spline from data to base.
    Spline {
        /// Number of bins.
        bins: usize,
        /// The spline acts on [-bound, bound].
        bound: f64,
    },
    /// RAD's fold, with gates at its edges or flat ones.
    Fold {
        /// Whether the gates have logits of their own.
        gates: bool,
    },
}

impl Transformer {
    pub(crate) fn run(self, isa: Verified, direction: Direction<'_>) {
        match self {
            Self::Affine { grow, shrink } => {
                let (grow, shrink) = (grow as f32, shrink as f32);
                isa.run(Apply(Affine { grow, shrink }, direction));
            }
            Self::Spline { bins, bound } => {
                let bound = bound as f32;
                isa.run(Apply(Spline { bins, bound }, direction));
            }
            Self::Fold { gates } => isa.run(Apply(Fold { gates }, direction)),
        }
    }
}

/// Inputs and outputs of a transformer on one tile, in either direction; rows have [`TILE`] numbers.
pub(crate) struct TransformerPass<'a> {
    /// Samples in the tile.
    pub samples: usize,
    /// The conditioner's outputs; [`CoordinateMap::to_base`] replaces them by the form that
    /// [`CoordinateMap::backward`] needs.
    pub theta: &'a mut [f32],
    /// The input coordinates.
    pub from: &'a [f32],
    /// The output coordinates.
    pub to: &'a mut [f32],
    /// The sum of log-determinants, to which [`CoordinateMap::to_base`] adds its own.
    pub log_det: &'a mut [f32],
    /// A row per coordinate, or empty. Data to base: the part of the fold is written (0 left,
    /// 1 middle, 2 right). Base to data: holds a uniform number that chooses the part.
    pub parts: &'a mut [f32],
}

/// Inputs and outputs of a backward pass: gradients of the sum of weight log q over a tile.
pub(crate) struct TransformerBackward<'a> {
    /// Samples in the tile.
    pub samples: usize,
    /// As [`CoordinateMap::to_base`] has left it.
    pub theta: &'a [f32],
    /// The coordinates at the data side.
    pub x: &'a [f32],
    /// The coordinates at the base side.
    pub z: &'a [f32],
    /// Weight of every sample, 0 for those that only fill the tile.
    pub weight: &'a [f32],
    /// In place: the gradient by z becomes that by x.
    pub gradient: &'a mut [f32],
    /// The gradient by the conditioner's outputs.
    pub theta_gradient: &'a mut [f32],
}

/// A monotone (or folding) map of every coordinate on its own.
trait CoordinateMap: Copy {
    /// From data to base.
    fn to_base<S: Simd>(self, s: S, pass: TransformerPass<'_>);
    /// From base to data.
    fn to_data<S: Simd>(self, s: S, pass: TransformerPass<'_>);
    /// The backward pass of [`CoordinateMap::to_base`].
    fn backward<S: Simd>(self, s: S, back: TransformerBackward<'_>);
}

/// A method of [`CoordinateMap`] with its arguments.
pub(crate) enum Direction<'a> {
    ToBase(TransformerPass<'a>),
    ToData(TransformerPass<'a>),
    Backward(TransformerBackward<'a>),
}

struct Apply<'a, T>(T, Direction<'a>);

impl<T: CoordinateMap> Op for Apply<'_, T> {
    type Out = ();
    #[inline(always)]
    fn call<S: Simd>(self, s: S) {
        match self.1 {
            Direction::ToBase(pass) => self.0.to_base(s, pass),
            Direction::ToData(pass) => self.0.to_data(s, pass),
            Direction::Backward(back) => self.0.backward(s, back),
        }
    }
}

/// The vectors of `rows` rows, up to the last sample: (row, first column).
pub(crate) fn places(
    rows: usize,
    samples: usize,
    lanes: usize,
) -> impl Iterator<Item = (usize, usize)> {
    debug_assert!(samples <= TILE);
    (0..rows).flat_map(move |row| (0..samples).step_by(lanes).map(move |i| (row, i)))
}
