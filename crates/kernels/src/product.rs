//! Matrix products on tiles: one blocked loop that hands its sums to a [`Sink`].

// Bounds are checked once per product instead of once per number.
#![allow(unsafe_code)]

use crate::simd::{Op, Simd};

/// Samples in a tile, and the row stride of its matrices.
pub(crate) const TILE: usize = 64;

/// Repeats the body for 0, 1, ... below a constant of at most 12. Constant indices keep an array of
/// vectors in registers; a loop does not.
macro_rules! unroll {
    ($i:ident < $n:ident, $body:expr) => {
        unroll!(@ $i $n, $body, 0 1 2 3 4 5 6 7 8 9 10 11)
    };
    (@ $i:ident $n:expr, $body:expr, $($k:literal)*) => {
        $(
            if $k < $n {
                #[allow(non_upper_case_globals)]
                const $i: usize = $k;
                $body;
            }
        )*
    };
}

mod dots;

pub(crate) use dots::Dots;

/// The destination of a product's sums.
pub(crate) trait Sink {
    /// Whether it has room for `rows` rows of `width` columns, of which the first `cols` are results
    /// and the rest padding of the last vector.
    fn fits(&self, rows: usize, cols: usize, width: usize) -> bool;
    /// The initial value of the sums of `row`.
    ///
    /// # Safety
    /// As for [`Sink::take`].
    #[inline(always)]
    unsafe fn start<S: Simd>(&self, s: S, _row: usize) -> S::V {
        s.splat(0.0)
    }
    /// Receives the `LANES` sums of `row` from column `col` on.
    ///
    /// # Safety
    /// [`Sink::fits`] has confirmed rows and columns that include this place.
    unsafe fn take<S: Simd>(&mut self, s: S, row: usize, col: usize, sums: S::V);
}

/// sum_k a\[r\]\[k\] b\[k\]\[c\] for all rows r and columns c.
pub(crate) struct Product<'a, K> {
    pub rows: usize,
    /// Columns; the last vector may read beyond them, up to the next multiple of 16.
    pub cols: usize,
    pub depth: usize,
    pub a: &'a [f32],
    /// Numbers between two rows of `a` or, stored by columns, between two columns.
    pub a_stride: usize,
    pub a_by_columns: bool,
    pub b: &'a [f32],
    /// Numbers between two rows of `b`.
    pub b_stride: usize,
    pub sink: K,
}

impl<K: Sink> Product<'_, K> {
    /// Numbers between two rows of `a`, and between two columns.
    #[inline(always)]
    fn a_steps(&self) -> (usize, usize) {
        match self.a_by_columns {
            false => (self.a_stride, 1),
            true => (1, self.a_stride),
        }
    }

    /// R rows of C vectors; returns R.
    #[inline(always)]
    fn block<S: Simd, const R: usize, const C: usize>(
        &mut self,
        s: S,
        row: usize,
        col: usize,
    ) -> usize {
        let zero = s.splat(0.0);
        let mut sums = [[zero; C]; R];
        let mut odd = [[zero; C]; R];
        // With few rows the latency of additions dominates, so each sum is split into two. Only the
        // number of rows decides: a column's sum must not depend on the other columns.
        let split = R <= 2;
        const STRIDE: usize = 4;
        // SAFETY: `call` has checked the last addresses that are read and written.
        unsafe {
            unroll!(r < R, sums[r] = [self.sink.start(s, row + r); C]);
            let mut b = self.b.as_ptr().add(col);
            let (row_step, step) = self.a_steps();
            let mut a = self.a.as_ptr().add(row * row_step);
            for _ in 0..self.depth / 4 {
                unroll!(u < STRIDE, {
                    let (a, b) = (a.add(u * step), b.add(u * self.b_stride));
                    let to = if split && u % 2 == 1 {
                        &mut odd
                    } else {
                        &mut sums
                    };
                    Self::accumulate::<S, R, C>(s, to, (a, row_step), b);
                });
                a = a.add(4 * step);
                b = b.add(4 * self.b_stride);
            }
            for _ in 0..self.depth % 4 {
                Self::accumulate::<S, R, C>(s, &mut sums, (a, row_step), b);
                a = a.add(step);
                b = b.add(self.b_stride);
            }
            unroll!(r < R, {
                unroll!(c < C, {
                    let sum = if split {
                        s.add(sums[r][c], odd[r][c])
                    } else {
                        sums[r][c]
                    };
                    self.sink.take(s, row + r, col + c * S::LANES, sum);
                });
            });
        }
        R
    }

    /// Adds one step of the depth to the sums.
    ///
    /// # Safety
    /// R numbers can be read at `a`, `row_step` apart, and C vectors at `b`.
    #[inline(always)]
    unsafe fn accumulate<S: Simd, const R: usize, const C: usize>(
        s: S,
        sums: &mut [[S::V; C]; R],
        (a, row_step): (*const f32, usize),
        b: *const f32,
    ) {
        unsafe {
            let mut v = [s.splat(0.0); C];
            unroll!(c < C, v[c] = s.load_at(b.add(c * S::LANES)));
            unroll!(r < R, {
                let w = s.splat(*a.add(r * row_step));
                unroll!(c < C, sums[r][c] = s.fma(w, v[c], sums[r][c]));
            });
        }
    }

    /// All rows of C vectors for depth D: `b` stays in registers.
    #[inline(always)]
    fn shallow<S: Simd, const D: usize, const C: usize>(&mut self, s: S, col: usize) {
        let mut b = [[s.splat(0.0); C]; D];
        // SAFETY: as in `block`.
        unsafe {
            let from = self.b.as_ptr().add(col);
            unroll!(d < D, {
                unroll!(
                    c < C,
                    b[d][c] = s.load_at(from.add(d * self.b_stride + c * S::LANES))
                );
            });
            let (row_step, step) = self.a_steps();
            for row in 0..self.rows {
                let a = self.a.as_ptr().add(row * row_step);
                let mut sums = [self.sink.start(s, row); C];
                unroll!(d < D, {
                    let w = s.splat(*a.add(d * step));
                    unroll!(c < C, sums[c] = s.fma(w, b[d][c], sums[c]));
                });
                unroll!(c < C, self.sink.take(s, row, col + c * S::LANES, sums[c]));
            }
        }
    }

    /// All rows of C vectors.
    #[inline(always)]
    fn panel<S: Simd, const C: usize>(&mut self, s: S, col: usize) {
        match self.depth {
            1 => return self.shallow::<S, 1, C>(s, col),
            2 => return self.shallow::<S, 2, C>(s, col),
            _ => {}
        }
        let mut row = 0;
        while row < self.rows {
            row += match self.rows - row {
                12.. if C == 1 => self.block::<S, 12, C>(s, row, col),
                6.. => self.block::<S, 6, C>(s, row, col),
                4.. => self.block::<S, 4, C>(s, row, col),
                2.. => self.block::<S, 2, C>(s, row, col),
                _ => self.block::<S, 1, C>(s, row, col),
            };
        }
    }
}

impl<K: Sink> Op for Product<'_, K> {
    type Out = ();

    #[inline(always)]
    fn call<S: Simd>(mut self, s: S) {
        if self.rows == 0 || self.cols == 0 {
            return;
        }
        let width = self.cols.next_multiple_of(S::LANES);
        assert!(self.sink.fits(self.rows, self.cols, width));
        if self.depth > 0 {
            let last = self.depth - 1;
            let (row_step, step) = self.a_steps();
            assert!((self.rows - 1) * row_step + last * step < self.a.len());
            assert!(last * self.b_stride + width <= self.b.len());
        }
        let mut col = 0;
        if S::COLS == 4 {
            while col + 3 * S::LANES < self.cols {
                self.panel::<S, 4>(s, col);
                col += 4 * S::LANES;
            }
        }
        while col + S::LANES < self.cols {
            self.panel::<S, 2>(s, col);
            col += 2 * S::LANES;
        }
        if col < self.cols {
            self.panel::<S, 1>(s, col);
        }
    }
}

/// c\[r\]\[c\] += sum, in a tile.
pub(crate) struct Add<'a>(pub &'a mut [f32]);

impl Sink for Add<'_> {
    #[inline(always)]
    fn fits(&self, rows: usize, _cols: usize, width: usize) -> bool {
        fits_tile(self.0, rows, width)
    }
    #[inline(always)]
    unsafe fn take<S: Simd>(&mut self, s: S, row: usize, col: usize, sums: S::V) {
        // SAFETY: the caller's promise.
        unsafe {
            let to = self.0.as_mut_ptr().add(row * TILE + col);
            s.store_at(to, s.add(s.load_at(to), sums));
        }
    }
}

/// Whether a tile's matrix has these rows up to the column `width`.
pub(crate) fn fits_tile(tile: &[f32], rows: usize, width: usize) -> bool {
    width <= TILE && (rows - 1) * TILE + width <= tile.len()
}

/// c\[r\]\[c\] += sum in a dense matrix with `cols` columns.
pub(crate) struct AddDense<'a> {
    pub to: &'a mut [f32],
    pub cols: usize,
    /// Whether the sums replace the old numbers instead of being added.
    pub fresh: bool,
}

impl Sink for AddDense<'_> {
    #[inline(always)]
    fn fits(&self, rows: usize, cols: usize, _width: usize) -> bool {
        cols == self.cols && rows * cols <= self.to.len()
    }
    #[inline(always)]
    unsafe fn take<S: Simd>(&mut self, s: S, row: usize, col: usize, sums: S::V) {
        let at = row * self.cols + col;
        if col + S::LANES <= self.cols {
            // SAFETY: the caller's promise.
            unsafe {
                let to = self.to.as_mut_ptr().add(at);
                let sums = if self.fresh {
                    sums
                } else {
                    s.add(s.load_at(to), sums)
                };
                s.store_at(to, sums);
            }
        } else {
            let mut lanes = [0.0; 16];
            s.store(&mut lanes, sums);
            let end = (row + 1) * self.cols;
            put(&mut self.to[at..end], &lanes, self.fresh);
        }
    }
}

/// Writes `lanes` to `to` or, unless `fresh`, adds them.
// Not inlined: the loop around it needs it once a row only.
#[inline(never)]
fn put(to: &mut [f32], lanes: &[f32], fresh: bool) {
    for (to, lane) in to.iter_mut().zip(lanes) {
        *to = if fresh { *lane } else { *to + lane };
    }
}

/// Writes the transpose of `rows` rows and `samples` columns of a tile to `to`, whose rows (one per
/// sample) are `stride` apart. `from` and `to` must have room for whole blocks: rows and samples are
/// rounded up to a multiple of `LANES`, and the padding is copied too.
pub(crate) struct Transpose<'a> {
    pub from: &'a [f32],
    pub rows: usize,
    pub samples: usize,
    pub to: &'a mut [f32],
    pub stride: usize,
}

impl Op for Transpose<'_> {
    type Out = ();

    #[inline(always)]
    fn call<S: Simd>(self, s: S) {
        let rows = self.rows.next_multiple_of(S::LANES);
        let samples = self.samples.next_multiple_of(S::LANES);
        if rows == 0 || samples == 0 {
            return;
        }
        assert!(samples <= TILE && (rows - 1) * TILE + samples <= self.from.len());
        assert!(rows <= self.stride && samples * self.stride <= self.to.len());
        for row in (0..rows).step_by(S::LANES) {
            for sample in (0..samples).step_by(S::LANES) {
                // SAFETY: the block's last numbers are inside, as checked above.
                unsafe {
                    let from = self.from.as_ptr().add(row * TILE + sample);
                    let to = self.to.as_mut_ptr().add(sample * self.stride + row);
                    s.transpose_at((from, TILE), (to, self.stride));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
