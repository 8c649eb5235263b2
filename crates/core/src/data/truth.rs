//! Densities, labels and responsibilities from a [`Truth`], for one point or many.

use rayon::prelude::*;

use super::{DataSet, Truth};
use crate::num::{self, log_sum_exp_slice};
use crate::rng::Rng;
use crate::{Error, Result};

/// Replaces log(w_j p_j(x)) by the probability of mode j given x; all zero where p(x) = 0. Returns
/// log p(x).
pub(super) fn normalise(joint: &mut [f64]) -> f64 {
    let max = joint.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if max == f64::NEG_INFINITY {
        joint.fill(0.0);
        return max;
    }
    // Not by subtracting log p(x): far out it is too large to hold the log of the sum.
    joint.iter_mut().for_each(|v| *v = (*v - max).exp());
    let sum: f64 = joint.iter().sum();
    joint.iter_mut().for_each(|v| *v /= sum);
    max + sum.ln()
}

/// Index of the largest value, the first of equals; `None` if all are -inf.
fn likeliest(joint: &[f64]) -> Option<u32> {
    let mut best = (None, f64::NEG_INFINITY);
    for (j, &v) in (0u32..).zip(joint) {
        if v > best.1 {
            best = (Some(j), v);
        }
    }
    best.0
}

/// log p(x) in nats; -inf outside every mode's support and at points that are not finite.
pub fn log_density(truth: &Truth, x: &[f64]) -> f64 {
    let mut joint = vec![0.0; truth.weights().len()];
    truth.log_joint(x, &mut joint);
    log_sum_exp_slice(&joint)
}

/// Density, mode and responsibilities of one point under a law.
#[derive(Debug, Clone, Copy)]
pub struct Judgement<'a> {
    /// log p(x) in nats; -inf outside every mode's support and at points that are not finite.
    pub log_p: f64,
    /// The mode to which the point most likely belongs, argmax_j w_j p_j(x), the first of equals;
    /// `None` where p(x) = 0.
    pub mode: Option<u32>,
    /// P(mode j | x) = w_j p_j(x) / p(x), one per mode. They sum to one, or are all 0 where
    /// p(x) = 0.
    pub responsibilities: &'a [f64],
}

/// Numbers in memory at once: those of all points and modes would not fit.
const HELD: usize = 1 << 16;

/// Calls `each` with the [`Judgement`] of every point, in order; points are rows of `dim` coordinates.
pub fn judge(truth: &Truth, rows: &[f64], dim: usize, mut each: impl FnMut(&Judgement<'_>)) {
    let modes = truth.weights().len();
    for rows in rows.chunks(dim * (HELD / modes).max(1)) {
        let points = rows.par_chunks_exact(dim).with_min_len(64);
        let found = points.map(|x| {
            let mut joint = vec![0.0; modes];
            truth.log_joint(x, &mut joint);
            let mode = likeliest(&joint);
            (normalise(&mut joint), mode, joint)
        });
        for (log_p, mode, responsibilities) in found.collect::<Vec<_>>() {
            each(&Judgement {
                log_p,
                mode,
                responsibilities: &responsibilities,
            });
        }
    }
}

/// log p(x) of points given as rows of `dim` coordinates.
pub fn log_densities(truth: &Truth, rows: &[f64], dim: usize) -> Vec<f64> {
    let points = rows.par_chunks_exact(dim).with_min_len(64);
    points.map(|x| log_density(truth, x)).collect()
}

/// A density level of a data set's own law.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level {
    /// log lambda, in nats.
    pub log_level: f64,
    /// Share of the data's samples whose density is below lambda.
    pub below: f64,
    /// Samples that it was estimated from.
    pub points: usize,
}

/// The log of the density level lambda with P(p(X) < lambda) = `share` under the data's own law, in
/// nats, for every share.
///
/// It is the order statistic of log p on `n` fresh samples below which floor(`share` n) of them
/// lie, so its share is right to about sqrt(share (1 - share) / n). A uniform law has no points below
/// any level: [`Level::below`] says how many of the samples lie below this one.
pub fn low_density_levels(
    data: &dyn DataSet,
    shares: &[f64],
    n: usize,
    rng: &mut Rng,
) -> Result<Vec<Level>> {
    let Some(truth) = data.truth() else {
        return Err(Error::failed(
            "low density level: expected data with a known density; got a data set without one",
        ));
    };
    let wrong = shares.iter().find(|share| !(0.0..=1.0).contains(*share));
    if wrong.is_some() || n == 0 {
        return Err(Error::failed(format!(
            "low density level: expected a share in [0, 1] of at least one sample; \
             got {shares:?} of {n}"
        )));
    }
    let points = num::to_vec(&data.sample(n, rng)?)?;
    let mut log_p = log_densities(truth, &points, data.dim());
    log_p.sort_unstable_by(f64::total_cmp);
    let n = log_p.len();
    let level = |share: &f64| {
        let log_level = log_p[((share * n as f64) as usize).min(n - 1)];
        let below = log_p.partition_point(|l| *l < log_level);
        Level {
            log_level,
            below: below as f64 / n as f64,
            points: n,
        }
    };
    Ok(shares.iter().map(level).collect())
}

#[cfg(test)]
mod tests {
    use super::{likeliest, normalise};

    #[test]
    fn nothing_but_impossible_modes_is_not_nan() {
        let none = f64::NEG_INFINITY;
        let mut joint = [none, none];
        assert_eq!(likeliest(&joint), None);
        normalise(&mut joint);
        assert_eq!(joint, [0.0, 0.0]);
        assert_eq!(likeliest(&[-3.0, -1.0, -1.0]), Some(1));
    }
}
