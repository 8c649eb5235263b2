//! Mixtures of Gaussians with full covariances, in f64 on the host.

use nalgebra::{DMatrix, DVector};
use rayon::prelude::*;

use crate::num::LN_2PI;

/// Points that are evaluated at once: all their joint densities fit the first-level cache.
pub(super) const BLOCK: usize = 256;

/// Joint densities that lie this many nats below the largest add nothing to a sum in f64.
pub(super) const NOTHING: f64 = -40.0;

/// p(x) = sum_k w_k N(x; mu_k, L_k L_k^T).
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Gaussians {
    pub dim: usize,
    /// ln w_k, (K,)
    pub log_weights: Vec<f64>,
    /// mu_k, (K, D)
    pub means: Vec<f64>,
    /// L_k, lower triangular with a positive diagonal, (K, D, D)
    pub factors: Vec<f64>,
    /// L_k^-1, (K, D, D)
    inverses: Vec<f64>,
    /// L_k^-1 mu_k, (K, D)
    offsets: Vec<f64>,
    /// ln w_k - ln |L_k| - (D / 2) ln 2 pi
    constants: Vec<f64>,
}

impl Gaussians {
    pub fn new(dim: usize, log_weights: Vec<f64>, means: Vec<f64>, factors: Vec<f64>) -> Self {
        let mut inverses = Vec::with_capacity(factors.len());
        let mut offsets = Vec::with_capacity(means.len());
        let mut constants = Vec::with_capacity(log_weights.len());
        let each = factors.chunks_exact(dim * dim).zip(means.chunks_exact(dim));
        for ((factor, mean), log_weight) in each.zip(&log_weights) {
            let inverse = DMatrix::from_row_slice(dim, dim, factor)
                .solve_lower_triangular_unchecked(&DMatrix::identity(dim, dim));
            offsets.extend((&inverse * DVector::from_column_slice(mean)).iter());
            inverses.extend(by_rows(&inverse));
            let log_det: f64 = (0..dim).map(|d| factor[d * dim + d].ln()).sum();
            constants.push(log_weight - log_det - 0.5 * LN_2PI * dim as f64);
        }
        Self {
            dim,
            log_weights,
            means,
            factors,
            inverses,
            offsets,
            constants,
        }
    }

    /// K.
    pub fn len(&self) -> usize {
        self.log_weights.len()
    }

    /// ln w_k N(x; mu_k, L_k L_k^T) of n points given as rows, a row of n numbers per component.
    pub fn log_joint(&self, points: &[f64], joint: &mut Vec<f64>) {
        let dim = self.dim;
        let n = points.len() / dim;
        // Column by column, so that the loops over points run along memory.
        let mut columns = vec![0.0; dim * n];
        for (i, point) in points.chunks_exact(dim).enumerate() {
            for (d, v) in point.iter().enumerate() {
                columns[d * n + i] = *v;
            }
        }
        joint.clear();
        joint.resize(self.len() * n, 0.0);
        let mut y = vec![0.0; n];
        for (k, to) in joint.chunks_exact_mut(n.max(1)).enumerate() {
            to.fill(self.constants[k]);
            for d in 0..dim {
                y.fill(-self.offsets[k * dim + d]);
                let row = (k * dim + d) * dim;
                for (c, a) in self.inverses[row..=row + d].iter().enumerate() {
                    if *a != 0.0 {
                        for (y, x) in y.iter_mut().zip(&columns[c * n..(c + 1) * n]) {
                            *y += a * x;
                        }
                    }
                }
                for (to, y) in to.iter_mut().zip(&y) {
                    *to -= 0.5 * y * y;
                }
            }
        }
    }

    /// `f(n, joint, out)` of the joint densities of block after block, the results in the order of
    /// the points.
    pub fn by_blocks<T: Send>(
        &self,
        points: &[f64],
        f: impl Fn(usize, &[f64], &mut Vec<T>) + Sync,
    ) -> Vec<T> {
        let blocks = points.par_chunks(BLOCK * self.dim).map(|block| {
            let (mut joint, mut out) = (Vec::new(), Vec::new());
            self.log_joint(block, &mut joint);
            f(block.len() / self.dim, &joint, &mut out);
            out
        });
        blocks.collect::<Vec<_>>().into_iter().flatten().collect()
    }
}

/// Index and value of the largest joint density of point `i` of `n`.
pub(super) fn largest(joint: &[f64], n: usize, i: usize) -> (usize, f64) {
    let mut best = (0, f64::NEG_INFINITY);
    for (k, v) in joint[i..].iter().step_by(n).enumerate() {
        if *v > best.1 {
            best = (k, *v);
        }
    }
    best
}

/// The numbers of a matrix, row by row.
pub(super) fn by_rows(matrix: &DMatrix<f64>) -> Vec<f64> {
    matrix.transpose().as_slice().to_vec()
}
