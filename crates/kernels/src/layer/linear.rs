//! Linear layers: a learned invertible matrix, and a fixed permutation.

use super::{add_constant, BackwardPass, Compiled, Pass};
use crate::conditioner::Slot;
use crate::product::{Dots, TILE};
use crate::simd::{Op, Simd, Verified};

/// z = x W^T with W = L U; the diagonal of L is 1, that of U is e^s.
pub(super) struct Linear {
    pub lower: Slot,
    pub upper: Slot,
    pub log_diagonal: Slot,
}

impl Linear {
    /// Entry (i, j) of L, j <= i.
    fn l(&self, params: &[f32], i: usize, j: usize) -> f32 {
        if j < i {
            self.lower.of(params)[i * self.log_diagonal.len + j]
        } else {
            1.0
        }
    }

    /// Entry (i, j) of U, i <= j.
    fn u(&self, params: &[f32], i: usize, j: usize) -> f32 {
        if i < j {
            self.upper.of(params)[i * self.log_diagonal.len + j]
        } else {
            self.log_diagonal.of(params)[i].exp()
        }
    }
}

impl Compiled for Linear {
    /// W, and the log-determinant towards the base.
    fn derived(&self) -> usize {
        self.lower.len + 1
    }

    fn derive(&self, params: &[f32], to: &mut [f32]) {
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
    fn finish(&self, params: &[f32], by_derived: &[f32], gradient: &mut [f32]) {
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

    fn added(&self) -> Vec<Slot> {
        vec![self.lower, self.upper, self.log_diagonal]
    }

    fn scratch(&self) -> usize {
        self.log_diagonal.len * TILE
    }

    fn to_base(&self, isa: Verified, pass: Pass<'_>) {
        let dim = self.log_diagonal.len;
        isa.run(Multiply {
            samples: pass.samples,
            matrix: &pass.derived[..dim * dim],
            transposed: false,
            from: pass.from,
            to: pass.to,
        });
        add_constant(pass.log_det, pass.derived[dim * dim]);
    }

    /// By substitution.
    fn to_data(&self, _isa: Verified, pass: Pass<'_>) {
        pass.to.copy_from_slice(pass.from);
        let (to, params) = (pass.to, pass.params);
        substitute(to, true, |i, j| self.l(params, i, j));
        substitute(to, false, |i, j| self.u(params, i, j));
    }

    fn backward(&self, isa: Verified, pass: BackwardPass<'_>) {
        let dim = self.log_diagonal.len;
        let by_z = &mut pass.scratch[..dim * TILE];
        by_z.copy_from_slice(pass.gradient);
        let weight = &pass.weight[..pass.samples];
        add_gradients(isa, by_z, pass.x, weight, pass.derived_gradient);
        isa.run(Multiply {
            samples: pass.samples,
            matrix: &pass.derived[..dim * dim],
            transposed: true,
            from: by_z,
            to: pass.gradient,
        });
    }

    /// The gradient by z solves W^T by_z = by_x; that by W is -by_z x^T.
    fn to_data_backward(&self, isa: Verified, pass: BackwardPass<'_>) {
        substitute(pass.gradient, true, |i, j| self.u(pass.params, j, i));
        substitute(pass.gradient, false, |i, j| self.l(pass.params, j, i));
        let down = &mut pass.scratch[..pass.gradient.len()];
        for (to, by_z) in down.iter_mut().zip(pass.gradient.iter()) {
            *to = -by_z;
        }
        let weight = &pass.weight[..pass.samples];
        add_gradients(isa, down, pass.x, weight, pass.derived_gradient);
    }
}

/// Adds the gradients by W, by_z x^T, and by the log-determinant; `weight` has no padding.
fn add_gradients(isa: Verified, by_z: &[f32], x: &[f32], weight: &[f32], to: &mut [f32]) {
    let dim = by_z.len() / TILE;
    let (by_w, by_log_det) = to.split_at_mut(dim * dim);
    by_log_det[0] += weight.iter().sum::<f32>();
    isa.run(Dots {
        a: by_z,
        a_rows: dim,
        b: x,
        b_rows: dim,
        samples: weight.len(),
        to: by_w,
        fresh: false,
    });
}

/// Solves a lower or upper triangular system with this entry (i, j) in place.
fn substitute(rows: &mut [f32], is_lower: bool, entry: impl Fn(usize, usize) -> f32) {
    let dim = rows.len() / TILE;
    for n in 0..dim {
        let i = if is_lower { n } else { dim - 1 - n };
        for j in if is_lower { 0..i } else { i + 1..dim } {
            let factor = entry(i, j);
            for n in 0..TILE {
                rows[i * TILE + n] -= factor * rows[j * TILE + n];
            }
        }
        let pivot = entry(i, i);
        let row = &mut rows[i * TILE..(i + 1) * TILE];
        row.iter_mut().for_each(|v| *v /= pivot);
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
pub(super) struct Permutation(pub Vec<usize>);

impl Permutation {
    fn forward(&self, z: &[f32], x: &mut [f32]) {
        for (from, &d) in z.chunks_exact(TILE).zip(&self.0) {
            x[d * TILE..(d + 1) * TILE].copy_from_slice(from);
        }
    }

    fn inverse(&self, x: &[f32], z: &mut [f32]) {
        for (to, &d) in z.chunks_exact_mut(TILE).zip(&self.0) {
            to.copy_from_slice(&x[d * TILE..(d + 1) * TILE]);
        }
    }
}

impl Compiled for Permutation {
    fn scratch(&self) -> usize {
        self.0.len() * TILE
    }

    fn to_base(&self, _isa: Verified, pass: Pass<'_>) {
        self.inverse(pass.from, pass.to);
    }

    fn to_data(&self, _isa: Verified, pass: Pass<'_>) {
        self.forward(pass.from, pass.to);
    }

    fn backward(&self, _isa: Verified, pass: BackwardPass<'_>) {
        let by_z = &mut pass.scratch[..pass.gradient.len()];
        by_z.copy_from_slice(pass.gradient);
        self.forward(by_z, pass.gradient);
    }

    fn to_data_backward(&self, _isa: Verified, pass: BackwardPass<'_>) {
        let by_x = &mut pass.scratch[..pass.gradient.len()];
        by_x.copy_from_slice(pass.gradient);
        self.inverse(by_x, pass.gradient);
    }
}
