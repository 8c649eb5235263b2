//! The transformers of couplings on a tile: what moves the coordinates that are not kept.

use super::product::TILE;
use super::simd::{Op, Simd};

mod affine;
mod fold;
mod spline;

pub(crate) use affine::Affine;
pub(crate) use fold::Fold;
pub(crate) use spline::Spline;
pub use spline::SPLINE_MIN;

/// The moved coordinates of a tile on their way; every matrix has rows of [`TILE`] numbers.
pub(crate) struct Way<'a> {
    /// Samples in the tile.
    pub samples: usize,
    /// The conditioner's outputs; on the way to the base they are replaced by what
    /// [`Transformer::back`] wants to see of them.
    pub theta: &'a mut [f32],
    /// Where the coordinates come from.
    pub from: &'a [f32],
    /// Where they go.
    pub to: &'a mut [f32],
    /// The sum of the log-determinants, to which this layer adds its own (on the way to the base).
    pub log_det: &'a mut [f32],
    /// Part of every fold (0 left, 1 middle, 2 right) on the way to the base, a uniform number
    /// that picks it on the way to the data; a row per coordinate, or nothing.
    pub parts: &'a mut [f32],
}

/// The way back: gradients of the sum over the tile of `weight` log q.
pub(crate) struct Back<'a> {
    /// Samples in the tile.
    pub samples: usize,
    /// As the way to the base has left it.
    pub theta: &'a [f32],
    /// The coordinates at the data side.
    pub x: &'a [f32],
    /// The coordinates at the base side.
    pub z: &'a [f32],
    /// Of every sample, 0 for those that only fill the tile.
    pub weight: &'a [f32],
    /// By z, to be replaced by that by x.
    pub gradient: &'a mut [f32],
    /// By the conditioner's outputs.
    pub theta_gradient: &'a mut [f32],
}

/// A monotone (or folding) map of every coordinate on its own.
pub(crate) trait Transformer: Copy {
    /// From data to base.
    fn to_base<S: Simd>(self, s: S, way: Way<'_>);
    /// From base to data.
    fn to_data<S: Simd>(self, s: S, way: Way<'_>);
    /// Gradients of the way to the base.
    fn back<S: Simd>(self, s: S, back: Back<'_>);
}

pub(crate) struct ToBase<'a, T>(pub T, pub Way<'a>);

impl<T: Transformer> Op for ToBase<'_, T> {
    type Out = ();
    #[inline(always)]
    fn call<S: Simd>(self, s: S) {
        self.0.to_base(s, self.1);
    }
}

pub(crate) struct ToData<'a, T>(pub T, pub Way<'a>);

impl<T: Transformer> Op for ToData<'_, T> {
    type Out = ();
    #[inline(always)]
    fn call<S: Simd>(self, s: S) {
        self.0.to_data(s, self.1);
    }
}

pub(crate) struct Backward<'a, T>(pub T, pub Back<'a>);

impl<T: Transformer> Op for Backward<'_, T> {
    type Out = ();
    #[inline(always)]
    fn call<S: Simd>(self, s: S) {
        self.0.back(s, self.1);
    }
}

/// Where the vectors of `rows` rows begin, each row up to the last sample: (row, place in the row).
fn places(rows: usize, samples: usize, lanes: usize) -> impl Iterator<Item = (usize, usize)> {
    debug_assert!(samples <= TILE);
    (0..rows).flat_map(move |row| (0..samples).step_by(lanes).map(move |i| (row, i)))
}
