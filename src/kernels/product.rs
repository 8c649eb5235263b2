//! Matrix products on tiles: one blocked loop, whose results go to a [`Sink`].

use super::simd::{Op, Simd};

/// Samples in a tile, and the distance between the rows of a tile's matrices.
pub(crate) const TILE: usize = 64;

/// Where a product begins and what becomes of its sums.
pub(crate) trait Sink {
    /// What the sums of `row` begin with.
    fn begin<S: Simd>(&self, s: S, row: usize) -> S::V;
    /// Takes the `LANES` sums of `row` that begin at column `col`.
    fn take<S: Simd>(&mut self, s: S, row: usize, col: usize, sums: S::V);
}

/// sum_k a\[r\]\[k\] b\[k\]\[c\] for all rows r and columns c. `a` is read number by number, `b` in
/// vectors along its rows.
pub(crate) struct Product<'a, K> {
    pub rows: usize,
    /// Columns; the last vector may reach beyond them, up to the next multiple of 16.
    pub cols: usize,
    pub depth: usize,
    pub a: &'a [f32],
    pub a_row: usize,
    pub a_depth: usize,
    pub b: &'a [f32],
    pub b_depth: usize,
    pub sink: K,
}

impl<K: Sink> Product<'_, K> {
    /// R rows of C vectors.
    #[inline(always)]
    fn block<S: Simd, const R: usize, const C: usize>(&mut self, s: S, row: usize, col: usize) {
        let mut sums = [[s.splat(0.0); C]; R];
        // By index, here and below: iterators over the sums would copy them to memory and back.
        let mut r = 0;
        while r < R {
            let begin = self.sink.begin(s, row + r);
            let mut c = 0;
            while c < C {
                sums[r][c] = begin;
                c += 1;
            }
            r += 1;
        }
        // SAFETY: `call` has checked that the last numbers read here are inside.
        #[allow(unsafe_code)]
        unsafe {
            let mut b = self.b.as_ptr().add(col);
            let mut a = self.a.as_ptr().add(row * self.a_row);
            let (row_step, step) = match self.a_depth {
                1 => (self.a_row, 1),
                step => (1, step),
            };
            let mut k = 0;
            while k < self.depth {
                let mut v = [s.splat(0.0); C];
                let mut c = 0;
                while c < C {
                    v[c] = s.load_at(b.add(c * S::LANES));
                    c += 1;
                }
                let mut r = 0;
                while r < R {
                    let w = s.splat(*a.add(r * row_step));
                    let mut c = 0;
                    while c < C {
                        sums[r][c] = s.fma(w, v[c], sums[r][c]);
                        c += 1;
                    }
                    r += 1;
                }
                a = a.add(step);
                b = b.add(self.b_depth);
                k += 1;
            }
        }
        let mut r = 0;
        while r < R {
            let mut c = 0;
            while c < C {
                self.sink.take(s, row + r, col + c * S::LANES, sums[r][c]);
                c += 1;
            }
            r += 1;
        }
    }

    /// All rows of C vectors.
    #[inline(always)]
    fn panel<S: Simd, const C: usize>(&mut self, s: S, col: usize) {
        let mut row = 0;
        while row + 6 <= self.rows {
            self.block::<S, 6, C>(s, row, col);
            row += 6;
        }
        if row + 4 <= self.rows {
            self.block::<S, 4, C>(s, row, col);
            row += 4;
        }
        if row + 2 <= self.rows {
            self.block::<S, 2, C>(s, row, col);
            row += 2;
        }
        if row < self.rows {
            self.block::<S, 1, C>(s, row, col);
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
        if self.depth > 0 {
            let last = self.depth - 1;
            assert!((self.rows - 1) * self.a_row + last * self.a_depth < self.a.len());
            let width = self.cols.next_multiple_of(S::LANES);
            assert!(last * self.b_depth + width <= self.b.len());
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
    fn begin<S: Simd>(&self, s: S, _row: usize) -> S::V {
        s.splat(0.0)
    }
    #[inline(always)]
    fn take<S: Simd>(&mut self, s: S, row: usize, col: usize, sums: S::V) {
        s.accumulate(&mut self.0[row * TILE + col..], sums);
    }
}

/// c\[r\]\[c\] += sum in a matrix with `cols` columns and nothing between its rows.
pub(crate) struct AddDense<'a> {
    pub to: &'a mut [f32],
    pub cols: usize,
}

impl Sink for AddDense<'_> {
    #[inline(always)]
    fn begin<S: Simd>(&self, s: S, _row: usize) -> S::V {
        s.splat(0.0)
    }
    #[inline(always)]
    fn take<S: Simd>(&mut self, s: S, row: usize, col: usize, sums: S::V) {
        let to = &mut self.to[row * self.cols + col..];
        if col + S::LANES <= self.cols {
            s.accumulate(to, sums);
        } else {
            let mut lanes = [0.0; 16];
            s.store(&mut lanes, sums);
            add_first(&mut to[..self.cols - col], &lanes);
        }
    }
}

// Not inlined: it would crowd the loop that needs it once a row.
#[inline(never)]
fn add_first(to: &mut [f32], lanes: &[f32; 16]) {
    for (to, lane) in to.iter_mut().zip(lanes) {
        *to += lane;
    }
}

/// Writes the transpose of `rows` rows of a tile, `samples` columns of it: row s of `to`, `stride`
/// apart, then holds the rows' numbers of sample s. `from` and `to` must have room for whole
/// blocks of vectors: rows and samples rounded up to a multiple of 16, what is beyond them being
/// copied as it is.
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
                #[allow(unsafe_code)]
                unsafe {
                    s.transpose_at(
                        self.from.as_ptr().add(row * TILE + sample),
                        TILE,
                        self.to.as_mut_ptr().add(sample * self.stride + row),
                        self.stride,
                    );
                }
            }
        }
    }
}

/// to\[i\]\[j\] += sum over the samples of a\[i\] b\[j\], all in tiles, for few rows; `to` has
/// `b_rows` columns.
pub(crate) struct Dots<'a> {
    pub a: &'a [f32],
    pub a_rows: usize,
    pub b: &'a [f32],
    pub b_rows: usize,
    pub samples: usize,
    pub to: &'a mut [f32],
}

impl Dots<'_> {
    /// The dot products of `one` with the rows of `long`, LANES of them at a time so that their
    /// sums are taken together: `to[r * stride] +=`.
    #[inline(always)]
    fn rows<S: Simd>(
        s: S,
        long: &[f32],
        one: &[f32],
        samples: usize,
        to: &mut [f32],
        stride: usize,
    ) {
        assert!(samples <= TILE && one.len() == TILE);
        let mut sums = [0.0; 256];
        let rows = to.len().div_ceil(stride);
        let mut row = 0;
        while row < rows {
            let group = S::LANES.min(rows - row);
            let from = &long[row * TILE..(row + group) * TILE];
            for r in 0..group {
                let mut sum = s.splat(0.0);
                let mut i = 0;
                while i < samples {
                    // SAFETY: `samples`, rounded up to a whole vector, is at most TILE, and both
                    // slices have whole rows of TILE.
                    #[allow(unsafe_code)]
                    unsafe {
                        let v = s.load_at(from.as_ptr().add(r * TILE + i));
                        sum = s.fma(v, s.load_at(one.as_ptr().add(i)), sum);
                    }
                    i += S::LANES;
                }
                s.store(&mut sums[r * S::LANES..], sum);
            }
            // SAFETY: LANES^2 <= 256.
            #[allow(unsafe_code)]
            let total = unsafe { s.row_sums_at(sums.as_ptr()) };
            let to = &mut to[row * stride..];
            if stride == 1 && group == S::LANES {
                s.accumulate(to, total);
            } else {
                let mut lanes = [0.0; 16];
                s.store(&mut lanes, total);
                for (to, sum) in to.iter_mut().step_by(stride).zip(&lanes[..group]) {
                    *to += sum;
                }
            }
            row += group;
        }
    }
}

impl Op for Dots<'_> {
    type Out = ();

    #[inline(always)]
    fn call<S: Simd>(self, s: S) {
        let (a_rows, b_rows) = (self.a_rows, self.b_rows);
        let b_is_longer = a_rows < b_rows;
        let (long, short, n) = if b_is_longer {
            (self.b, self.a, a_rows)
        } else {
            (self.a, self.b, b_rows)
        };
        for i in 0..n {
            let one = &short[i * TILE..(i + 1) * TILE];
            let (to, stride) = if b_is_longer {
                (&mut self.to[i * b_rows..(i + 1) * b_rows], 1)
            } else {
                (&mut self.to[i..a_rows * b_rows], b_rows)
            };
            Self::rows(s, long, one, self.samples, to, stride);
        }
    }
}

#[cfg(test)]
mod tests;
