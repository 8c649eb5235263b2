//! The EM algorithm (Dempster, Laird and Rubin 1977) for mixtures of Gaussians, and the number of
//! components by BIC (Schwarz 1978).

use nalgebra::DMatrix;
use rayon::prelude::*;
use statrs::function::gamma::ln_gamma;

use super::density::{by_rows, largest, Gaussians, BLOCK, NOTHING};
use super::{Covariance, GaussianMixtureSpec};
use crate::kmeans::{distance2, kmeans};
use crate::num;
use crate::rng::Rng;

/// Points that one thread adds up: fixed, so that any number of threads gives the same sums.
const PIECE: usize = 4 * BLOCK;

/// Iterations end below this gain in nats per point, or after this number of them. For comparing
/// starts: between overlapping components EM takes hundreds of small steps that change no choice.
const ROUGH: (f64, usize) = (1e-4, 100);

/// The same for the fit that is kept.
const FINE: (f64, usize) = (1e-7, 1000);

/// Starts for each K that BIC chooses among, one in whitened coordinates besides.
const SCAN_STARTS: usize = 2;

/// Points around which a missing component is looked for.
const SUSPECTS: usize = 1000;

/// Fewest neighbours that a new component starts from; further numbers are twice the last.
const NEIGHBOURS: usize = 8;

/// A neighbourhood in which log q differs by more than this is too wide to be compared with q.
const LEVEL: f64 = 1.0;

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
    /// The same points with the identity as covariance, and ln of the volume of its unit cell. Clusters
    /// that are close across a correlation are apart here.
    white: Vec<f64>,
    log_volume: f64,
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

    /// A start from k-means on `rows`, the points in some coordinates: one component per cluster, fewer
    /// than `k` where there are fewer distinct points.
    fn start(&self, rows: &[f64], k: usize, rng: &Rng) -> Option<Gaussians> {
        let clusters = kmeans(rows, self.dim, k, 1, rng);
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
        let tries: Vec<_> = (0..=starts)
            .into_par_iter()
            .filter_map(|s| {
                let rng = rng.fork_at(&format!("start {k}"), s as u64);
                // The last start is the one in whitened coordinates.
                let rows = if s < starts { self.rows } else { &self.white };
                self.start(rows, k, &rng)
            })
            .map(|start| self.climb(start, ROUGH))
            .collect();
        tries.into_iter().reduce(better)
    }

    /// The likelier of `fit` and one with a component more than `smaller`, put where `smaller` misses
    /// points.
    fn or_grown(&self, fit: Fit, smaller: &Fit) -> Fit {
        match self.grow(&smaller.mixture) {
            Some(start) => better(fit, self.climb(start, ROUGH)),
            None => fit,
        }
    }

    /// `mixture` with one more component, where it misses points most: around each of some points lie m
    /// points where n q V = e are expected, V being the volume of the ball of the m-th neighbour, and
    /// m ln(m / e) - m + e is greatest (the scan statistic of Kulldorff 1997). k-means does not see a tight
    /// cluster inside a broad one.
    fn grow(&self, mixture: &Gaussians) -> Option<Gaussians> {
        let (n, dim) = (self.len(), self.dim);
        let white = |i: usize| &self.white[i * dim..(i + 1) * dim];
        let mut joint = Vec::new();
        let mut log_q = Vec::with_capacity(n);
        for block in self.rows.chunks(BLOCK * dim) {
            mixture.log_joint(block, &mut joint);
            let count = block.len() / dim;
            log_q.extend((0..count).map(|i| {
                let each: Vec<f64> = joint[i..].iter().step_by(count).copied().collect();
                num::log_sum_exp_slice(&each)
            }));
        }
        let d = dim as f64;
        let unit_ball = 0.5 * d * std::f64::consts::PI.ln() - ln_gamma(0.5 * d + 1.0);
        let excess = |i: usize| {
            let mut near: Vec<(f64, usize)> =
                (0..n).map(|j| (distance2(white(i), white(j)), j)).collect();
            let most = (n / 4).min(NEIGHBOURS << 7);
            if most < NEIGHBOURS {
                return None;
            }
            near.select_nth_unstable_by(most, |a, b| a.0.total_cmp(&b.0));
            near.truncate(most);
            near.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
            let mut found: Option<(f64, usize, f64, f64)> = None;
            let (mut low, mut high, mut m) = (f64::INFINITY, f64::NEG_INFINITY, NEIGHBOURS);
            for (at, &(squared, j)) in near.iter().enumerate() {
                (low, high) = (low.min(log_q[j]), high.max(log_q[j]));
                if high - low > LEVEL {
                    break;
                }
                if at + 1 == m {
                    let log_e = (n as f64).ln()
                        + high
                        + self.log_volume
                        + unit_ball
                        + 0.5 * d * squared.ln();
                    let (size, e) = (m as f64, log_e.exp());
                    let gain = if e < size {
                        size * (size.ln() - log_e) - size + e
                    } else {
                        0.0
                    };
                    if gain.is_finite() && found.is_none_or(|(best, ..)| gain > best) {
                        found = Some((gain, i, squared, size));
                    }
                    m *= 2;
                }
            }
            found
        };
        let step = n.div_ceil(SUSPECTS);
        let suspects: Vec<usize> = (0..n).step_by(step).collect();
        let found: Vec<_> = suspects.into_par_iter().filter_map(excess).collect();
        let best = found.into_iter().max_by(|a, b| a.0.total_cmp(&b.0));
        let (_, centre, squared, size) = best.filter(|found| found.0 > 0.0)?;
        let mut sums = Sums::new(1, dim);
        for (i, point) in self.rows.chunks_exact(dim).enumerate() {
            if distance2(white(i), white(centre)) <= squared {
                sums.add(0, point, 1.0, self.covariance);
            }
        }
        let new = self.maximise(&sums)?;
        let share = size / n as f64;
        let old = mixture.log_weights.iter().map(|w| w + (1.0 - share).ln());
        Some(Gaussians::new(
            dim,
            old.chain([share.ln()]).collect(),
            [&mixture.means[..], &new.means].concat(),
            [&mixture.factors[..], &new.factors].concat(),
        ))
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
        let mut last: Option<Fit> = None;
        let few = |k: &usize| *k == 1 || free_numbers(*k, self.dim, self.covariance) <= self.len();
        for k in (1..=max).take_while(few) {
            let Some(mut fit) = self.best_of(SCAN_STARTS, k, rng) else {
                break;
            };
            if let Some(smaller) = &last {
                fit = self.or_grown(fit, smaller);
            }
            last = Some(fit.clone());
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

/// L^-1 x for every row x of mean 0, L L^T being their covariance, and ln det L; the rows themselves where the covariance has no
/// inverse.
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
    let (white, log_volume) = whitened(&standard, dim);
    let points = Points {
        rows: &standard,
        white,
        log_volume,
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
    let mut best = first.iter().cloned().chain(more).reduce(better)?;
    if first.is_none() && k > 1 {
        if let Some(smaller) = points.best_of(1, k - 1, &rng.fork("smaller")) {
            best = points.or_grown(best, &smaller);
        }
    }
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
