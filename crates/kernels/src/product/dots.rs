//! Sums over the samples of a tile.

// Bounds are checked once per product instead of once per number.
#![allow(unsafe_code)]

use super::{put, TILE};
use crate::simd::{Op, Simd};

/// to\[i\]\[j\] += sum over the samples of a\[i\] b\[j\], for tiles of few rows; `to` is
/// (a_rows, b_rows).
pub(crate) struct Dots<'a> {
    pub a: &'a [f32],
    pub a_rows: usize,
    pub b: &'a [f32],
    pub b_rows: usize,
    pub samples: usize,
    pub to: &'a mut [f32],
    /// See [`AddDense::fresh`].
    pub fresh: bool,
}

impl Dots<'_> {
    /// The dot products of the rows of `long` with both rows of `two`: those of row r go to `to[2 r]`
    /// and `to[2 r + 1]`. LANES / 2 rows are handled at a time, so that one operation sums all lanes.
    #[inline(always)]
    fn pairs<S: Simd>(
        s: S,
        long: &[f32],
        two: &[f32],
        samples: usize,
        to: &mut [f32],
        fresh: bool,
    ) {
        let rows = to.len() / 2;
        assert!(samples <= TILE && two.len() == 2 * TILE && rows * TILE <= long.len());
        let half = S::LANES / 2;
        for row in (0..rows).step_by(half) {
            // The last group repeats its first row in place of missing ones.
            let group = half.min(rows - row);
            let mut sums = [s.splat(0.0); 16];
            // SAFETY: as in `rows` below.
            unsafe {
                let from = long.as_ptr().add(row * TILE);
                let mut i = 0;
                while i < samples {
                    let left = s.load_at(two.as_ptr().add(i));
                    let right = s.load_at(two.as_ptr().add(TILE + i));
                    unroll!(@ r half, {
                        let at = if r < group { r } else { 0 };
                        let v = s.load_at(from.add(at * TILE + i));
                        sums[2 * r] = s.fma(v, left, sums[2 * r]);
                        sums[2 * r + 1] = s.fma(v, right, sums[2 * r + 1]);
                    }, 0 1 2 3 4 5 6 7);
                    i += S::LANES;
                }
            }
            write(s, &mut to[2 * row..], 1, &sums, 2 * group, fresh);
        }
    }

    /// The dot products of `one` with the rows of `long`, added to `to[r * stride]`. LANES rows are
    /// handled at a time, so that one operation sums all lanes.
    #[inline(always)]
    fn rows<S: Simd>(
        s: S,
        long: &[f32],
        one: &[f32],
        samples: usize,
        (to, stride): (&mut [f32], usize),
        fresh: bool,
    ) {
        let rows = to.len().div_ceil(stride);
        assert!(samples <= TILE && one.len() == TILE && rows * TILE <= long.len());
        for row in (0..rows).step_by(S::LANES) {
            let group = S::LANES.min(rows - row);
            let mut sums = [s.splat(0.0); 16];
            // SAFETY: `samples`, rounded up to a whole vector, is at most TILE, and the rows are
            // there, as checked above.
            unsafe {
                let from = long.as_ptr().add(row * TILE);
                let mut i = 0;
                while i < samples {
                    let one = s.load_at(one.as_ptr().add(i));
                    if group == S::LANES {
                        unroll!(@ r S::LANES, {
                            let v = s.load_at(from.add(r * TILE + i));
                            sums[r] = s.fma(v, one, sums[r]);
                        }, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
                    } else {
                        for (r, sum) in sums.iter_mut().enumerate().take(group) {
                            *sum = s.fma(s.load_at(from.add(r * TILE + i)), one, *sum);
                        }
                    }
                    i += S::LANES;
                }
            }
            write(s, &mut to[row * stride..], stride, &sums, group, fresh);
        }
    }
}

/// Writes the sums of the lanes of the first `n` vectors to every `stride`-th place of `to` or, unless
/// `fresh`, adds them.
#[inline(always)]
fn write<S: Simd>(s: S, to: &mut [f32], stride: usize, sums: &[S::V; 16], n: usize, fresh: bool) {
    let total = s.sums(sums);
    if stride == 1 && n == S::LANES {
        match fresh {
            true => s.store(to, total),
            false => s.accumulate(to, total),
        }
        return;
    }
    let mut lanes = [0.0; 16];
    s.store(&mut lanes, total);
    if stride == 1 {
        return put(to, &lanes[..n], fresh);
    }
    for (to, sum) in to.iter_mut().step_by(stride).zip(&lanes[..n]) {
        *to = if fresh { *sum } else { *to + sum };
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
        if n == 2 && !b_is_longer {
            let to = &mut self.to[..2 * a_rows];
            return Self::pairs(s, long, &short[..2 * TILE], self.samples, to, self.fresh);
        }
        for i in 0..n {
            let one = &short[i * TILE..(i + 1) * TILE];
            let (to, stride) = if b_is_longer {
                (&mut self.to[i * b_rows..(i + 1) * b_rows], 1)
            } else {
                (&mut self.to[i..a_rows * b_rows], b_rows)
            };
            Self::rows(s, long, one, self.samples, (to, stride), self.fresh);
        }
    }
}
