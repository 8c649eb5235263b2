//! The EM algorithm (Dempster, Laird and Rubin 1977) for mixtures of Gaussians, and the number of
//! components by BIC (Schwarz 1978).

use nalgebra::DMatrix;
use rayon::prelude::*;

use super::density::{by_rows, largest, Gaussians, BLOCK, NOTHING};
use super::{Covariance, GaussianMixtureSpec};
use crate::kmeans::kmeans;
use crate::num;
use crate::rng::Rng;

/// Points that one thread adds up: fixed, so that any number of threads gives the same sums.
const PIECE: usize = 4 * BLOCK;

/// Iterations end below this gain in nats per point, or after this number of them. For comparing
/// starts: between overlapping components EM takes hundreds of small steps that change no choice.
const ROUGH: (f64, usize) = (1e-4, 100);

/// The same for the fit that is kept.
const FINE: (f64, usize) = (1e-7, 1000);

/// Starts for each K that BIC chooses among.
const SCAN_STARTS: usize = 2;

/// The scan ends after this many numbers of components in a row without a better BIC.
const SCAN_PATIENCE: usize = 6;

/// A mixture and the log-likelihood of the points under it.
#[derive(Debug, Clone, PartialEq)]
struct Fit {
    mixture: Gaussians,
    log_likelihood: f64,
}

/// Points in units of their coordinates' standard deviations, so that one floor serves all.
struct Points<'a> {
    rows: &'a [f64],
    dim: usize,
    covariance: Covariance,
    /// Added to every variance.
    floor: f64,
}

/// Sums over points, weighted with the responsibilities of each component.
struct Sums {
    log_likelihood: f64,
    /// (K,)
    ones: Vec<f64>,
    /// (K, D)
    firsts: Vec<f64>,
    /// (K, D, D), the lower triangles
    seconds: Vec<f64>,
}

impl Sums {
    fn new(k: usize, dim: usize) -> Self {
        Self {
            log_likelihood: 0.0,
            ones: vec![0.0; k],
            firsts: vec![0.0; k * dim],
            seconds: vec![0.0; k * dim * dim],
        }
    }

    fn add(&mut self, k: usize, point: &[f64], r: f64, covariance: Covariance) {
        let dim = point.len();
        self.ones[k] += r;
        for (d, v) in point.iter().enumerate() {
            self.firsts[k * dim + d] += r * v;
            let row = (k * dim + d) * dim;
            match covariance {
                Covariance::Full => {
                    let to = &mut self.seconds[row..=row + d];
                    for (to, u) in to.iter_mut().zip(point) {
                        *to += r * v * u;
                    }
                }
                Covariance::Diagonal => self.seconds[row + d] += r * v * v,
            }
        }
    }

    fn add_all(&mut self, other: &Self) {
        self.log_likelihood += other.log_likelihood;
        let add = |to: &mut [f64], from: &[f64]| {
            for (to, from) in to.iter_mut().zip(from) {
                *to += from;
            }
        };
        add(&mut self.ones, &other.ones);
        add(&mut self.firsts, &other.firsts);
        add(&mut self.seconds, &other.seconds);
    }
}

impl Points<'_> {
    fn len(&self) -> usize {
        self.rows.len() / self.dim
    }

    /// E step: the sums under the responsibilities of `mixture`.
    fn expect(&self, mixture: &Gaussians) -> Sums {
        let (k, dim) = (mixture.len(), self.dim);
        let pieces = self.rows.par_chunks(PIECE * dim).map(|piece| {
            let mut sums = Sums::new(k, dim);
            let mut joint = Vec::new();
            for block in piece.chunks(BLOCK * dim) {
                mixture.log_joint(block, &mut joint);
                let n = block.len() / dim;
                for (i, point) in block.chunks_exact(dim).enumerate() {
                    let max = largest(&joint, n, i).1;
                    let mut total = 0.0;
                    for v in joint[i..].iter_mut().step_by(n) {
                        let below = *v - max;
                        *v = if below > NOTHING { below.exp() } else { 0.0 };
                        total += *v;
                    }
                    sums.log_likelihood += max + total.ln();
                    for (k, v) in joint[i..].iter().step_by(n).enumerate() {
                        if *v > 0.0 {
                            sums.add(k, point, v / total, self.covariance);
                        }
                    }
                }
            }
            sums
        });
        let mut all = Sums::new(k, dim);
        for piece in &pieces.collect::<Vec<_>>() {
            all.add_all(piece);
        }
        all
    }

    /// M step. Components with less than a hundredth of a point are dropped: they cannot be
    /// estimated.
    fn maximise(&self, sums: &Sums) -> Option<Gaussians> {
        let dim = self.dim;
        let (mut log_weights, mut means, mut factors) = (Vec::new(), Vec::new(), Vec::new());
        let kept: Vec<usize> = (0..sums.ones.len())
            .filter(|k| sums.ones[*k] >= 0.01)
            .collect();
        let total: f64 = kept.iter().map(|k| sums.ones[*k]).sum();
        for k in kept {
            let ones = sums.ones[k];
            let mean: Vec<f64> = (0..dim).map(|d| sums.firsts[k * dim + d] / ones).collect();
            let mut covariance = vec![0.0; dim * dim];
            for r in 0..dim {
                for c in 0..=r {
                    if c == r || self.covariance == Covariance::Full {
                        let second = sums.seconds[(k * dim + r) * dim + c] / ones;
                        covariance[r * dim + c] = second - mean[r] * mean[c];
                    }
                }
                let variance = &mut covariance[r * dim + r];
                *variance = variance.max(0.0) + self.floor;
            }
            let covariance = DMatrix::from_row_slice(dim, dim, &covariance);
            factors.extend(by_rows(&covariance.cholesky()?.l()));
            means.extend(mean);
            log_weights.push((ones / total).ln());
        }
        (!log_weights.is_empty()).then(|| Gaussians::new(dim, log_weights, means, factors))
    }

    /// A start from k-means: one component per cluster, fewer than `k` where there are fewer distinct
    /// points.
    fn start(&self, k: usize, rng: &Rng) -> Option<Gaussians> {
        let clusters = kmeans(self.rows, self.dim, k, 1, rng);
        let mut sums = Sums::new(clusters.len(), self.dim);
        for (point, label) in self.rows.chunks_exact(self.dim).zip(&clusters.labels) {
            sums.add(*label, point, 1.0, self.covariance);
        }
        self.maximise(&sums)
    }

    /// Iterates until an iteration gains less than `enough` per point.
    fn climb(&self, start: Gaussians, (enough, iterations): (f64, usize)) -> Fit {
        let mut sums = self.expect(&start);
        let mut fit = Fit {
            mixture: start,
            log_likelihood: sums.log_likelihood,
        };
        for _ in 0..iterations {
            let Some(next) = self.maximise(&sums) else {
                break;
            };
            sums = self.expect(&next);
            let gain = sums.log_likelihood - fit.log_likelihood;
            // The floor and dropped components can cost likelihood.
            if !gain.is_finite() {
                break;
            }
            fit = Fit {
                mixture: next,
                log_likelihood: sums.log_likelihood,
            };
            if gain < enough * self.len() as f64 {
                break;
            }
        }
        fit
    }

    /// The best of some starts.
    fn best_of(&self, starts: usize, k: usize, rng: &Rng) -> Option<Fit> {
        let tries: Vec<_> = (0..starts)
            .into_par_iter()
            .filter_map(|s| self.start(k, &rng.fork_at(&format!("start {k}"), s as u64)))
            .map(|start| self.climb(start, ROUGH))
            .collect();
        tries.into_iter().reduce(better)
    }

    fn bic(&self, fit: &Fit) -> f64 {
        let free = free_numbers(fit.mixture.len(), self.dim, self.covariance);
        free as f64 * (self.len() as f64).ln() - 2.0 * fit.log_likelihood
    }

    /// The fit with the K of least BIC. BIC assumes many more points than parameters, so K ends where
    /// there are more parameters than points: components of one point each would win there.
    fn scan(&self, max: usize, rng: &Rng) -> Option<Fit> {
        let mut best: Option<(f64, Fit)> = None;
        let mut worse = 0;
        let few = |k: &usize| *k == 1 || free_numbers(*k, self.dim, self.covariance) <= self.len();
        for k in (1..=max).take_while(few) {
            let Some(fit) = self.best_of(SCAN_STARTS, k, rng) else {
                break;
            };
            let bic = self.bic(&fit);
            if best.as_ref().is_none_or(|(least, _)| bic < *least) {
                best = Some((bic, fit));
                worse = 0;
            } else {
                worse += 1;
                if worse == SCAN_PATIENCE {
                    break;
                }
            }
        }
        best.map(|(_, fit)| fit)
    }
}

/// The likelier of two; the first of equals.
fn better(a: Fit, b: Fit) -> Fit {
    if b.log_likelihood > a.log_likelihood {
        b
    } else {
        a
    }
}

/// Weights, means and covariances: K - 1 + K D + K D (D + 1) / 2, or K - 1 + 2 K D with diagonal
/// covariances.
pub(super) fn free_numbers(k: usize, dim: usize, covariance: Covariance) -> usize {
    let each = match covariance {
        Covariance::Full => dim * (dim + 1) / 2,
        Covariance::Diagonal => dim,
    };
    k - 1 + k * (dim + each)
}

/// Maximum likelihood from points given as rows; `None` without points.
pub(super) fn fit(
    rows: &[f64],
    dim: usize,
    spec: &GaussianMixtureSpec,
    rng: &Rng,
) -> Option<Gaussians> {
    if rows.is_empty() {
        return None;
    }
    let moments = num::moments(rows, dim).into_iter();
    // A constant coordinate keeps its unit.
    let (centre, scale): (Vec<_>, Vec<_>) = moments
        .map(|(mean, std)| (mean, if std > 0.0 { std } else { 1.0 }))
        .unzip();
    let standard: Vec<f64> = rows
        .iter()
        .enumerate()
        .map(|(i, v)| (v - centre[i % dim]) / scale[i % dim])
        .collect();
    let points = Points {
        rows: &standard,
        dim,
        covariance: spec.covariance,
        floor: spec.covariance_floor,
    };
    let (k, first) = match spec.components {
        Some(k) => (k, None),
        None => {
            let fit = points.scan(spec.max_components, rng)?;
            (fit.mixture.len(), Some(fit))
        }
    };
    let more = points.best_of(spec.restarts, k, &rng.fork("restarts"));
    let best = first.into_iter().chain(more).reduce(better)?;
    let found = points.climb(best.mixture, FINE).mixture;
    let back = |i: usize, v: &f64, shift: bool| {
        let d = i % dim;
        v * scale[d] + if shift { centre[d] } else { 0.0 }
    };
    let means = found.means.iter().enumerate();
    let means = means.map(|(i, v)| back(i, v, true)).collect();
    let factors = found.factors.iter().enumerate();
    // Row d of a factor is in the unit of coordinate d.
    let factors = factors.map(|(i, v)| back(i / dim, v, false)).collect();
    Some(Gaussians::new(dim, found.log_weights, means, factors))
}
