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
pub(crate) struct Gaussians {
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

    /// Equal weights, and the identity as every covariance: the likeliest component of a point is the one
    /// with the nearest mean.
    pub fn alike(dim: usize, means: Vec<f64>) -> Self {
        let k = means.len() / dim;
        let one = DMatrix::<f64>::identity(dim, dim);
        let factors = one.as_slice().repeat(k);
        Self::new(dim, vec![-(k as f64).ln(); k], means, factors)
    }

    /// The mixture in coordinates x -> `centre` + `scale` x.
    pub fn scaled(&self, centre: &[f64], scale: &[f64]) -> Self {
        let dim = self.dim;
        let means = self.means.iter().enumerate();
        let means = means.map(|(i, v)| centre[i % dim] + scale[i % dim] * v);
        // Row d of a factor is in the unit of coordinate d.
        let factors = self.factors.iter().enumerate();
        let factors = factors.map(|(i, v)| scale[i / dim % dim] * v);
        Self::new(
            dim,
            self.log_weights.clone(),
            means.collect(),
            factors.collect(),
        )
    }

    /// The mixture of all components but `k`, of which there are others.
    pub fn without(&self, k: usize) -> Self {
        let rest = (1.0 - self.log_weights[k].exp())
            .max(f64::MIN_POSITIVE)
            .ln();
        let drop = |all: &[f64], each: usize| [&all[..k * each], &all[(k + 1) * each..]].concat();
        let log_weights = drop(&self.log_weights, 1);
        Self::new(
            self.dim,
            log_weights.iter().map(|w| w - rest).collect(),
            drop(&self.means, self.dim),
            drop(&self.factors, self.dim * self.dim),
        )
    }

    /// The mixture with the components of `new` besides, which share the weight `share`.
    pub fn with(&self, new: &Self, share: f64) -> Self {
        let old = self.log_weights.iter().map(|w| w + (1.0 - share).ln());
        let new_weights = new.log_weights.iter().map(|w| w + share.ln());
        Self::new(
            self.dim,
            old.chain(new_weights).collect(),
            [&self.means[..], &new.means].concat(),
            [&self.factors[..], &new.factors].concat(),
        )
    }

    /// Whether every covariance is diagonal.
    pub fn is_diagonal(&self) -> bool {
        let dim = self.dim;
        let mut factors = self.factors.iter().enumerate();
        factors.all(|(i, v)| i % dim == i / dim % dim || *v == 0.0)
    }

    /// ln p of points given as rows.
    pub fn log_density(&self, points: &[f64]) -> Vec<f64> {
        self.by_blocks(points, |n, joint, out| {
            for i in 0..n {
                let max = largest(joint, n, i).1;
                let each = joint[i..].iter().step_by(n).map(|v| v - max);
                let sum: f64 = each.filter(|v| *v > NOTHING).map(f64::exp).sum();
                // With a NaN among the coordinates every joint density is NaN and the sum empty.
                out.push(if sum > 0.0 { max + sum.ln() } else { joint[i] });
            }
        })
    }

    /// The likeliest component of every point.
    pub fn likeliest(&self, points: &[f64]) -> Vec<usize> {
        self.by_blocks(points, |n, joint, out| {
            out.extend((0..n).map(|i| largest(joint, n, i).0));
        })
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
pub(crate) fn largest(joint: &[f64], n: usize, i: usize) -> (usize, f64) {
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
