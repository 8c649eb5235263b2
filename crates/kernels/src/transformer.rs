//! Transformers on a tile: maps of single coordinates with parameters from a conditioner.

use crate::product::TILE;
use crate::simd::{Op, Simd};

mod affine;
pub mod fold;
mod spline;

pub(crate) use affine::Affine;
pub(crate) use fold::Fold;
pub(crate) use spline::Spline;
pub use spline::SPLINE_MIN;

/// Inputs and outputs of a transformer on one tile, in either direction; rows have [`TILE`] numbers.
pub(crate) struct TransformerPass<'a> {
    /// Samples in the tile.
    pub samples: usize,
    /// The conditioner's outputs; [`Transformer::to_base`] replaces them by the form that
    /// [`Transformer::backward`] needs.
    pub theta: &'a mut [f32],
    /// The input coordinates.
    pub from: &'a [f32],
    /// The output coordinates.
    pub to: &'a mut [f32],
    /// The sum of log-determinants, to which [`Transformer::to_base`] adds its own.
    pub log_det: &'a mut [f32],
    /// A row per coordinate, or empty. Data to base: the part of the fold is written (0 left,
    /// 1 middle, 2 right). Base to data: holds a uniform number that chooses the part.
    pub parts: &'a mut [f32],
}

/// Inputs and outputs of a backward pass: gradients of the sum of weight log q over a tile.
pub(crate) struct TransformerBackward<'a> {
    /// Samples in the tile.
    pub samples: usize,
    /// As [`Transformer::to_base`] has left it.
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
pub(crate) trait Transformer: Copy {
    /// From data to base.
    fn to_base<S: Simd>(self, s: S, way: TransformerPass<'_>);
    /// From base to data.
    fn to_data<S: Simd>(self, s: S, way: TransformerPass<'_>);
    /// The backward pass of [`Transformer::to_base`].
    fn backward<S: Simd>(self, s: S, back: TransformerBackward<'_>);
}

pub(crate) struct ToBase<'a, T>(pub T, pub TransformerPass<'a>);

impl<T: Transformer> Op for ToBase<'_, T> {
    type Out = ();
    #[inline(always)]
    fn call<S: Simd>(self, s: S) {
        self.0.to_base(s, self.1);
    }
}

pub(crate) struct ToData<'a, T>(pub T, pub TransformerPass<'a>);

impl<T: Transformer> Op for ToData<'_, T> {
    type Out = ();
    #[inline(always)]
    fn call<S: Simd>(self, s: S) {
        self.0.to_data(s, self.1);
    }
}

pub(crate) struct Backward<'a, T>(pub T, pub TransformerBackward<'a>);

impl<T: Transformer> Op for Backward<'_, T> {
    type Out = ();
    #[inline(always)]
    fn call<S: Simd>(self, s: S) {
        self.0.backward(s, self.1);
    }
}

/// The vectors of `rows` rows, up to the last sample: (row, first column).
fn places(rows: usize, samples: usize, lanes: usize) -> impl Iterator<Item = (usize, usize)> {
    debug_assert!(samples <= TILE);
    (0..rows).flat_map(move |row| (0..samples).step_by(lanes).map(move |i| (row, i)))
}
