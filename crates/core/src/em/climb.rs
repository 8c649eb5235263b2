//! The steps of EM.

use nalgebra::DMatrix;
use rayon::prelude::*;

use super::gaussians::{by_rows, Gaussians, BLOCK, NOTHING};
use super::missing::Neighbourhoods;
use super::Covariance;

/// Points that one thread adds up: fixed, so that any number of threads gives the same sums.
const PIECE: usize = 4 * BLOCK;

/// Up to so many points the floor counts in full.
const FEW: f64 = 10.0;

/// The floor of many points, as a share of that of few: in single precision a factor L is not exact enough
/// for narrower ones.
const LEAST_FLOOR: f64 = 1e-5;

/// When a climb ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Until {
    /// With so many nats of log-likelihood left to gain.
    pub left: f64,
    /// After so many iterations.
    pub iterations: usize,
    /// Where twice what is left would not reach this log-likelihood.
    pub worth: f64,
}

/// A mixture and how it was found.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fit {
    pub mixture: Gaussians,
    /// Of the points, nats.
    pub log_likelihood: f64,
    pub iterations: usize,
    /// Nats that more iterations would gain, by Aitken's extrapolation.
    pub left: f64,
    pub converged: bool,
}

impl Fit {
    /// Before the first iteration.
    pub fn of(mixture: Gaussians) -> Self {
        Self {
            mixture,
            log_likelihood: f64::NEG_INFINITY,
            iterations: 0,
            left: f64::INFINITY,
            converged: false,
        }
    }
}

/// Points in units of their coordinates' standard deviations, so that one floor serves all.
pub(super) struct Points<'a> {
    pub rows: &'a [f64],
    pub dim: usize,
    pub covariance: Covariance,
    /// The same points with the identity as covariance, and ln of the volume of its unit cell. Clusters
    /// that are close across a correlation are apart here.
    pub white: Vec<f64>,
    pub log_volume: f64,
    pub neighbourhoods: std::sync::OnceLock<Neighbourhoods>,
    floor: f64,
    /// 1 / the number of points with this value in this coordinate, (n, D); `None` where all differ.
    shares: Option<Vec<f64>>,
}

/// Sums over points, weighted with the responsibilities of each component.
pub(super) struct Sums {
    pub log_likelihood: f64,
    /// Of [`Points::features`], a row per component.
    features: Vec<f64>,
}

impl<'a> Points<'a> {
    pub fn new(rows: &'a [f64], dim: usize, covariance: Covariance, floor: f64) -> Self {
        let (white, log_volume) = whitened(rows, dim);
        Self {
            rows,
            dim,
            covariance,
            white,
            log_volume,
            neighbourhoods: std::sync::OnceLock::new(),
            floor,
            shares: shares(rows, dim),
        }
    }
}

impl Points<'_> {
    pub fn len(&self) -> usize {
        self.rows.len() / self.dim
    }

    pub fn sums(&self, k: usize) -> Sums {
        Sums {
            log_likelihood: 0.0,
            features: vec![0.0; k * self.width()],
        }
    }

    /// Numbers of [`Points::features`].
    fn width(&self) -> usize {
        let pairs = match self.covariance {
            Covariance::Full => self.dim * (self.dim + 1) / 2,
            Covariance::Diagonal => self.dim,
        };
        self.first() + self.dim + pairs
    }

    /// Where the coordinates stand in the features.
    fn first(&self) -> usize {
        1 + self.shares.as_ref().map_or(0, |_| self.dim)
    }

    /// What is summed over points: 1, the shares, the coordinates, and their products row by row of a lower
    /// triangle, or their squares.
    fn features(&self, i: usize, to: &mut Vec<f64>) {
        let own = i * self.dim..(i + 1) * self.dim;
        let point = &self.rows[own.clone()];
        to.push(1.0);
        if let Some(shares) = &self.shares {
            to.extend(&shares[own]);
        }
        to.extend(point);
        for (d, v) in point.iter().enumerate() {
            match self.covariance {
                Covariance::Full => to.extend(point[..=d].iter().map(|u| u * v)),
                Covariance::Diagonal => to.push(v * v),
            }
        }
    }

    /// Adds point `i` to component `k`.
    pub fn add(&self, sums: &mut Sums, k: usize, i: usize) {
        let mut features = Vec::new();
        self.features(i, &mut features);
        let to = &mut sums.features[k * self.width()..];
        to.iter_mut().zip(features).for_each(|(to, f)| *to += f);
    }

    /// E step: the sums under the responsibilities of `mixture`.
    pub fn expect(&self, mixture: &Gaussians) -> Sums {
        let (k, dim, width) = (mixture.len(), self.dim, self.width());
        let pieces = self.rows.par_chunks(PIECE * dim).enumerate();
        let pieces = pieces.map(|(at, piece)| {
            let mut sums = self.sums(k);
            let (mut joint, mut features) = (Vec::new(), Vec::new());
            let mut place = at * PIECE;
            for block in piece.chunks(BLOCK * dim) {
                let n = block.len() / dim;
                mixture.log_joint(block, &mut joint);
                let mut most = vec![f64::NEG_INFINITY; n];
                for row in joint.chunks_exact(n) {
                    for (most, v) in most.iter_mut().zip(row) {
                        *most = most.max(*v);
                    }
                }
                let mut total = vec![0.0; n];
                for row in joint.chunks_exact_mut(n) {
                    for ((v, most), total) in row.iter_mut().zip(&most).zip(&mut total) {
                        let below = *v - most;
                        *v = if below > NOTHING { below.exp() } else { 0.0 };
                        *total += *v;
                    }
                }
                features.clear();
                for (i, (most, total)) in most.iter().zip(&total).enumerate() {
                    sums.log_likelihood += most + total.ln();
                    self.features(place + i, &mut features);
                }
                place += n;
                let to = sums.features.chunks_exact_mut(width);
                for (to, row) in to.zip(joint.chunks_exact(n)) {
                    let points = features.chunks_exact(width).zip(row.iter().zip(&total));
                    for (features, (v, total)) in points {
                        if *v > 0.0 {
                            let r = v / total;
                            to.iter_mut().zip(features).for_each(|(to, f)| *to += r * f);
                        }
                    }
                }
            }
            sums
        });
        let mut all = self.sums(k);
        for piece in &pieces.collect::<Vec<_>>() {
            all.log_likelihood += piece.log_likelihood;
            let each = all.features.iter_mut().zip(&piece.features);
            each.for_each(|(to, from)| *to += from);
        }
        all
    }

    /// What is added to the variance of a component with `points` distinct values in a coordinate: the
    /// floor of up to ten, which can be close by chance, and (10 / points)^2 of it beyond, down to 1e-5.
    pub fn floor_of(&self, points: f64) -> f64 {
        let few = FEW / points.max(FEW);
        self.floor * (few * few).max(LEAST_FLOOR)
    }

    /// Distinct values in coordinate `d` of the component with these sums.
    fn distinct_of(&self, sums: &[f64], d: usize) -> f64 {
        sums[if self.shares.is_some() { 1 + d } else { 0 }]
    }

    /// Distinct points of every component, by the coordinate with the most.
    pub fn distinct(&self, mixture: &Gaussians) -> Vec<f64> {
        let sums = self.expect(mixture);
        let most = |sums: &[f64]| {
            let each = (0..self.dim).map(|d| self.distinct_of(sums, d));
            each.fold(0.0, f64::max)
        };
        sums.features.chunks_exact(self.width()).map(most).collect()
    }

    /// Of every component, the share of its variance in its narrowest direction that is the floor.
    pub fn floor_shares(&self, mixture: &Gaussians) -> Vec<f64> {
        let dim = self.dim;
        let sums = self.expect(mixture);
        let share = |(sums, factor): (&[f64], &[f64])| {
            let factor = DMatrix::from_row_slice(dim, dim, factor);
            let spectrum = (&factor * factor.transpose()).symmetric_eigen();
            let (at, variance) = spectrum.eigenvalues.argmin();
            let direction = spectrum.eigenvectors.column(at);
            let floor = |d: usize| self.floor_of(self.distinct_of(sums, d));
            let floors = (0..dim).map(|d| direction[d] * direction[d] * floor(d));
            // Rounding can take the variance below what was added to it.
            (floors.sum::<f64>() / variance).clamp(0.0, 1.0)
        };
        let sums = sums.features.chunks_exact(self.width());
        let factors = mixture.factors.chunks_exact(dim * dim);
        sums.zip(factors).map(share).collect()
    }

    /// M step. Components with less than a hundredth of a point are dropped: they cannot be
    /// estimated.
    pub fn maximise(&self, sums: &Sums) -> Option<Gaussians> {
        let dim = self.dim;
        let first = self.first();
        let (mut log_weights, mut means, mut factors) = (Vec::new(), Vec::new(), Vec::new());
        let each = || {
            let all = sums.features.chunks_exact(self.width());
            all.filter(|sums| sums[0] >= 0.01)
        };
        let total: f64 = each().map(|sums| sums[0]).sum();
        for sums in each() {
            let ones = sums[0];
            let mean = &sums[first..first + dim];
            let mean: Vec<f64> = mean.iter().map(|sum| sum / ones).collect();
            let mut seconds = sums[first + dim..].iter().map(|sum| sum / ones);
            let mut covariance = vec![0.0; dim * dim];
            for r in 0..dim {
                let left = match self.covariance {
                    Covariance::Full => 0,
                    Covariance::Diagonal => r,
                };
                for c in left..=r {
                    let second = seconds.next().unwrap_or_default();
                    covariance[r * dim + c] = second - mean[r] * mean[c];
                }
                let variance = &mut covariance[r * dim + r];
                *variance = variance.max(0.0) + self.floor_of(self.distinct_of(sums, r));
            }
            let covariance = DMatrix::from_row_slice(dim, dim, &covariance);
            factors.extend(by_rows(&covariance.cholesky()?.l()));
            means.extend(mean);
            log_weights.push((ones / total).ln());
        }
        (!log_weights.is_empty()).then(|| Gaussians::new(dim, log_weights, means, factors))
    }

    /// Iterates from `fit`.
    pub fn climb(&self, mut fit: Fit, until: Until) -> Fit {
        fit.converged = false;
        let mut sums = self.expect(&fit.mixture);
        fit.log_likelihood = sums.log_likelihood;
        let mut last = f64::NAN;
        for _ in 0..until.iterations {
            let Some(next) = self.maximise(&sums) else {
                break;
            };
            sums = self.expect(&next);
            let gain = sums.log_likelihood - fit.log_likelihood;
            if !gain.is_finite() {
                break;
            }
            fit.mixture = next;
            fit.log_likelihood = sums.log_likelihood;
            fit.iterations += 1;
            // Gains fall geometrically near the end. The floor and dropped components can cost likelihood.
            let ratio = gain / last;
            fit.left = match gain {
                gain if gain <= 1e-6 * until.left => 0.0,
                gain if ratio < 1.0 => gain * ratio / (1.0 - ratio),
                _ => f64::INFINITY,
            };
            if fit.left <= until.left {
                fit.converged = true;
                break;
            }
            if fit.log_likelihood + 2.0 * fit.left < until.worth {
                break;
            }
            last = gain;
        }
        fit
    }
}

/// 1 / the number of points with the same value, for every value of every coordinate; `None` where all
/// differ.
fn shares(rows: &[f64], dim: usize) -> Option<Vec<f64>> {
    let mut shares = vec![1.0; rows.len()];
    let mut any = false;
    for d in 0..dim {
        let mut places: Vec<usize> = (d..rows.len()).step_by(dim).collect();
        places.sort_unstable_by(|a, b| rows[*a].total_cmp(&rows[*b]));
        for same in places.chunk_by(|a, b| rows[*a] == rows[*b]) {
            any |= same.len() > 1;
            for place in same {
                shares[*place] = 1.0 / same.len() as f64;
            }
        }
    }
    any.then_some(shares)
}

/// L^-1 x for every row x of mean 0, L L^T being their covariance, and ln det L; the rows themselves where
/// the covariance has no inverse.
fn whitened(rows: &[f64], dim: usize) -> (Vec<f64>, f64) {
    let points = DMatrix::from_row_slice(rows.len() / dim, dim, rows);
    let covariance = points.transpose() * &points / points.nrows() as f64;
    let factor = covariance.cholesky().map(|factor| factor.l());
    let inverse = factor.as_ref().and_then(|l| l.clone().try_inverse());
    match (factor, inverse) {
        (Some(l), Some(inverse)) if inverse.iter().all(|v| v.is_finite()) => {
            let log_det: f64 = l.diagonal().iter().map(|v| v.ln()).sum();
            (by_rows(&(points * inverse.transpose())), log_det)
        }
        _ => (rows.to_vec(), 0.0),
    }
}
