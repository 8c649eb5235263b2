//! Linear layers: a learned invertible matrix, and a fixed permutation.

use super::{add_constant, BackwardPass, Pass};
use crate::conditioner::Slot;
use crate::product::{Dots, TILE};
use crate::simd::{Op, Simd};

/// z = x W^T with W = L U; the diagonal of L is 1, that of U is e^s.
#[derive(Clone, Copy)]
pub(super) struct Linear {
    pub lower: Slot,
    pub upper: Slot,
    pub log_diagonal: Slot,
}

impl Linear {
    /// W, and the log-determinant towards the base.
    pub(super) fn derived(self) -> usize {
        self.lower.len + 1
    }

    pub(super) fn derive(self, params: &[f32], to: &mut [f32]) {
        let dim = self.log_diagonal.len;
        for i in 0..dim {
            for j in 0..dim {
                let terms = (0..=i.min(j)).map(|k| self.l(params, i, k) * self.u(params, k, j));
                to[i * dim + j] = terms.sum();
            }
        }
        to[dim * dim] = self.log_diagonal.of(params).iter().sum();
    }

    /// The gradients of the parameters from those of W and of the log-determinant.
    pub(super) fn finish(self, params: &[f32], by_derived: &[f32], gradient: &mut [f32]) {
        let dim = self.log_diagonal.len;
        for i in 0..dim {
            for j in 0..dim {
                let by_w = by_derived[i * dim + j];
                for k in 0..=i.min(j) {
                    if k < i {
                        self.lower.of_mut(gradient)[i * dim + k] += by_w * self.u(params, k, j);
                    }
                    let by_u = by_w * self.l(params, i, k);
                    if k < j {
                        self.upper.of_mut(gradient)[k * dim + j] += by_u;
                    } else {
                        self.log_diagonal.of_mut(gradient)[k] += by_u * self.u(params, k, k);
                    }
                }
            }
            self.log_diagonal.of_mut(gradient)[i] += by_derived[dim * dim];
        }
    }

    // Entry (i, j) of L, j <= i.
    fn l(self, params: &[f32], i: usize, j: usize) -> f32 {
        if j < i {
            self.lower.of(params)[i * self.log_diagonal.len + j]
        } else {
            1.0
        }
    }

    // Entry (i, j) of U, i <= j.
    fn u(self, params: &[f32], i: usize, j: usize) -> f32 {
        if i < j {
            self.upper.of(params)[i * self.log_diagonal.len + j]
        } else {
            self.log_diagonal.of(params)[i].exp()
        }
    }

    pub(super) fn to_base<S: Simd>(self, s: S, pass: Pass<'_>) {
        let dim = self.log_diagonal.len;
        s.run(Multiply {
            samples: pass.samples,
            matrix: &pass.derived[..dim * dim],
            transposed: false,
            from: pass.from,
            to: pass.to,
        });
        add_constant(pass.log_det, pass.derived[dim * dim]);
    }

    /// By substitution.
    pub(super) fn to_data(self, pass: Pass<'_>) {
        pass.to.copy_from_slice(pass.from);
        let dim = self.log_diagonal.len;
        for i in 0..dim {
            for j in 0..i {
                subtract(pass.to, i, j, self.l(pass.params, i, j));
            }
        }
        for i in (0..dim).rev() {
            for j in i + 1..dim {
                subtract(pass.to, i, j, self.u(pass.params, i, j));
            }
            let pivot = self.u(pass.params, i, i);
            let row = &mut pass.to[i * TILE..(i + 1) * TILE];
            row.iter_mut().for_each(|v| *v /= pivot);
        }
    }

    pub(super) fn backward<S: Simd>(self, s: S, pass: BackwardPass<'_>) {
        let dim = self.log_diagonal.len;
        let by_z = &mut pass.scratch[..dim * TILE];
        by_z.copy_from_slice(pass.gradient);
        let weight = &pass.weight[..pass.samples];
        add_gradients(s, by_z, pass.x, weight, pass.derived_gradient);
        s.run(Multiply {
            samples: pass.samples,
            matrix: &pass.derived[..dim * dim],
            transposed: true,
            from: by_z,
            to: pass.gradient,
        });
    }

    /// The gradient by z solves W^T by_z = by_x; that by W is -by_z x^T.
    pub(super) fn to_data_backward<S: Simd>(self, s: S, pass: BackwardPass<'_>) {
        let dim = self.log_diagonal.len;
        for i in 0..dim {
            for j in 0..i {
                subtract(pass.gradient, i, j, self.u(pass.params, j, i));
            }
            let pivot = self.u(pass.params, i, i);
            let row = &mut pass.gradient[i * TILE..(i + 1) * TILE];
            row.iter_mut().for_each(|v| *v /= pivot);
        }
        for i in (0..dim).rev() {
            for j in i + 1..dim {
                subtract(pass.gradient, i, j, self.l(pass.params, j, i));
            }
        }
        let down = &mut pass.scratch[..dim * TILE];
        for (to, by_z) in down.iter_mut().zip(pass.gradient.iter()) {
            *to = -by_z;
        }
        let weight = &pass.weight[..pass.samples];
        add_gradients(s, down, pass.x, weight, pass.derived_gradient);
    }
}

/// Adds the gradients by W, by_z x^T, and by the log-determinant; `weight` has no padding.
fn add_gradients<S: Simd>(s: S, by_z: &[f32], x: &[f32], weight: &[f32], to: &mut [f32]) {
    let dim = by_z.len() / TILE;
    let (by_w, by_log_det) = to.split_at_mut(dim * dim);
    by_log_det[0] += weight.iter().sum::<f32>();
    s.run(Dots {
        a: by_z,
        a_rows: dim,
        b: x,
        b_rows: dim,
        samples: weight.len(),
        to: by_w,
        fresh: false,
    });
}

/// Row i -= factor * row j.
fn subtract(rows: &mut [f32], i: usize, j: usize, factor: f32) {
    for n in 0..TILE {
        rows[i * TILE + n] -= factor * rows[j * TILE + n];
    }
}

/// A small square matrix times the rows.
struct Multiply<'a> {
    samples: usize,
    matrix: &'a [f32],
    transposed: bool,
    from: &'a [f32],
    to: &'a mut [f32],
}

impl Op for Multiply<'_> {
    type Out = ();
    #[inline(always)]
    fn call<S: Simd>(self, s: S) {
        let dim = self.from.len() / TILE;
        for r in 0..dim {
            for i in (0..self.samples).step_by(S::LANES) {
                let mut sum = s.splat(0.0);
                for c in 0..dim {
                    let at = if self.transposed {
                        c * dim + r
                    } else {
                        r * dim + c
                    };
                    sum = s.fma(
                        s.splat(self.matrix[at]),
                        s.load(&self.from[c * TILE + i..]),
                        sum,
                    );
                }
                s.store(&mut self.to[r * TILE + i..], sum);
            }
        }
    }
}

/// z_d = x_{order\[d\]}
pub(super) struct Permutation<'l>(pub &'l [usize]);

impl Permutation<'_> {
    pub(super) fn to_base(&self, from: &[f32], to: &mut [f32]) {
        for (to, &d) in to.chunks_exact_mut(TILE).zip(self.0) {
            to.copy_from_slice(&from[d * TILE..(d + 1) * TILE]);
        }
    }

    pub(super) fn to_data(&self, from: &[f32], to: &mut [f32]) {
        for (from, &d) in from.chunks_exact(TILE).zip(self.0) {
            to[d * TILE..(d + 1) * TILE].copy_from_slice(from);
        }
    }
}
