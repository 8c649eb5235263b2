//! Starts of EM, the best of them, and the number of components.

use rayon::prelude::*;

use super::climb::{Fit, Points, Until};
use super::gaussians::{largest, Gaussians};
use super::{Covariance, Tried};
use crate::kmeans;
use crate::rng::Rng;

/// Iterations after which starts are compared: the best one goes on.
const SHORT: Until = Until {
    left: 0.0,
    iterations: 6,
    worth: f64::NEG_INFINITY,
};

/// The most iterations of a fit that is compared with others.
const ROUGH_LIMIT: usize = 100;

/// The most of one that could be chosen, or is kept.
pub(super) const LIMIT: usize = 1000;

/// Nats per point that the fit that is kept may have left to gain.
const FINE: f64 = 1e-5;

/// Starts by k-means for each K that BIC chooses among.
const SCAN_STARTS: usize = 1;

/// The scan ends after this many numbers of components in a row without a better BIC.
const PATIENCE: usize = 6;

/// The most components that are moved from where they gain least to where points are missed.
const MOVES: usize = 20;

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
pub(crate) fn free_numbers(k: usize, dim: usize, covariance: Covariance) -> usize {
    let each = match covariance {
        Covariance::Full => dim * (dim + 1) / 2,
        Covariance::Diagonal => dim,
    };
    k - 1 + k * (dim + each)
}

impl Points<'_> {
    /// A fit that is compared with others has less than a tenth of what BIC asks of a component left to gain.
    fn rough(&self, k: usize) -> Until {
        let of = |k| free_numbers(k, self.dim, self.covariance);
        Until {
            left: 0.05 * (of(k + 1) - of(k)) as f64 * (self.len() as f64).ln(),
            iterations: ROUGH_LIMIT,
            worth: f64::NEG_INFINITY,
        }
    }

    /// A start by k-means on `rows`, the points in some coordinates: one component per cluster, fewer
    /// than `k` where there are fewer distinct points.
    fn by_kmeans(&self, rows: &[f64], k: usize, rng: &Rng) -> Option<Gaussians> {
        let clusters = kmeans::nearly(rows, self.dim, k, rng);
        let mut sums = self.sums(clusters.len());
        for (i, label) in clusters.labels.iter().enumerate() {
            self.add(&mut sums, *label, i);
        }
        self.maximise(&sums)
    }

    /// The best of these starts after a few iterations each, with more of them while it can reach a
    /// log-likelihood of `worth`.
    fn best_of(&self, starts: Vec<Gaussians>, worth: f64) -> Option<Fit> {
        let short = |mixture| self.climb(Fit::of(mixture), SHORT);
        let fits: Vec<Fit> = starts.into_par_iter().map(short).collect();
        let best = fits.into_iter().reduce(better)?;
        let until = Until {
            worth,
            ..self.rough(best.mixture.len())
        };
        Some(self.climb(best, until))
    }

    /// Starts by k-means, one of them in whitened coordinates.
    fn starts(&self, starts: usize, k: usize, rng: &Rng) -> Vec<Gaussians> {
        let start = |s: usize| {
            let rng = rng.fork_at(&format!("start {k}"), s as u64);
            let rows = if s < starts { self.rows } else { &self.white };
            self.by_kmeans(rows, k, &rng)
        };
        // One component has one start.
        let starts = if k == 1 { starts..=starts } else { 0..=starts };
        starts.into_par_iter().filter_map(start).collect()
    }

    /// The fit of `k` components, `known` or from `starts` starts, with components moved from where they
    /// gain least to where points are missed while that gains.
    pub fn with(&self, k: usize, starts: usize, known: Option<Fit>, rng: &Rng) -> Option<Fit> {
        let worth = |fit: &Fit| fit.log_likelihood;
        let worth = known.as_ref().map_or(f64::NEG_INFINITY, worth);
        let found = self.best_of(self.starts(starts, k, &rng.fork("restarts")), worth);
        let mut best = known.into_iter().chain(found).reduce(better)?;
        for _ in 0..MOVES {
            let Some(moved) = self.moved(&best) else {
                break;
            };
            if moved.log_likelihood < best.log_likelihood + self.rough(k).left {
                break;
            }
            best = moved;
        }
        let until = Until {
            left: FINE * self.len() as f64,
            iterations: LIMIT,
            worth: f64::NEG_INFINITY,
        };
        Some(self.climb(best, until))
    }

    /// The fit with the component that is needed least put elsewhere.
    fn moved(&self, fit: &Fit) -> Option<Fit> {
        let k = fit.mixture.len();
        if k < 2 {
            return None;
        }
        // Per block and component: the sum of ln(1 - r), what points lose without the component.
        let sums = fit.mixture.by_blocks(self.rows, |n, joint, out| {
            let mut sums = vec![0.0; k];
            for i in 0..n {
                let max = largest(joint, n, i).1;
                let each = || joint[i..].iter().step_by(n).map(|v| (v - max).exp());
                let total: f64 = each().sum();
                for (sum, own) in sums.iter_mut().zip(each()) {
                    *sum += ((total - own) / total).max(f64::MIN_POSITIVE).ln();
                }
            }
            out.extend(sums);
        });
        // The weights of the others grow.
        let others = |at: usize| (1.0 - fit.mixture.log_weights[at].exp()).ln();
        let lost = |at: usize| {
            let sum: f64 = sums.iter().skip(at).step_by(k).sum();
            sum - self.len() as f64 * others(at)
        };
        let lost: Vec<f64> = (0..k).map(lost).collect();
        let least = (0..k).max_by(|a, b| lost[*a].total_cmp(&lost[*b]))?;
        let fewer = self.climb(Fit::of(fit.mixture.without(least)), SHORT);
        self.best_of(self.grown(&fewer.mixture), fit.log_likelihood)
    }

    fn bic(&self, fit: &Fit) -> f64 {
        let free = free_numbers(fit.mixture.len(), self.dim, self.covariance);
        free as f64 * (self.len() as f64).ln() - 2.0 * fit.log_likelihood
    }

    /// The fit with the K of least BIC, and all that were compared. BIC assumes many more points than
    /// parameters, so K ends where there are more parameters than points: components of one point each
    /// would win there.
    pub fn by_bic(&self, max: usize, restarts: usize, rng: &Rng) -> Option<(Fit, Vec<Tried>)> {
        let mut fits: Vec<Fit> = Vec::new();
        let least = |fits: &[Fit]| {
            let by = |a: &usize, b: &usize| self.bic(&fits[*a]).total_cmp(&self.bic(&fits[*b]));
            (0..fits.len()).min_by(by)
        };
        let few = |k: &usize| *k == 1 || free_numbers(*k, self.dim, self.covariance) <= self.len();
        for k in (1..=max).take_while(few) {
            let mut starts = self.starts(SCAN_STARTS, k, rng);
            starts.extend(fits.last().iter().flat_map(|f| self.grown(&f.mixture)));
            let best = least(&fits).map_or(f64::INFINITY, |at| self.bic(&fits[at]));
            let price =
                free_numbers(k, self.dim, self.covariance) as f64 * (self.len() as f64).ln();
            let Some(fit) = self.best_of(starts, 0.5 * (price - best)) else {
                break;
            };
            fits.push(fit);
            if least(&fits).is_some_and(|best| fits.len() > best + PATIENCE) {
                break;
            }
        }
        let best = self.bic(&fits[least(&fits)?]);
        for fit in &mut fits {
            // What could win is climbed to its end.
            if !fit.converged && self.bic(fit) - 2.0 * fit.left <= best {
                let until = Until {
                    iterations: LIMIT,
                    ..self.rough(fit.mixture.len())
                };
                *fit = self.climb(fit.clone(), until);
            }
        }
        let best = least(&fits)?;
        let tried = |(at, fit): (usize, &Fit)| Tried {
            components: fit.mixture.len(),
            bic: self.bic(fit),
            log_likelihood: fit.log_likelihood,
            parameters: free_numbers(fit.mixture.len(), self.dim, self.covariance),
            iterations: fit.iterations,
            converged: fit.converged,
            chosen: at == best,
        };
        let tried = fits.iter().enumerate().map(tried).collect();
        let best = fits.swap_remove(best);
        let k = best.mixture.len();
        Some((self.with(k, restarts, Some(best), rng)?, tried))
    }
}
