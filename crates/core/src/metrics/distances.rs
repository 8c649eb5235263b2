//! Distances between samples, which need no density.

use std::f64::consts::PI;

use rayon::prelude::*;

use super::pairs::{Estimate, Pairs};
use super::{given, Better, Evaluation, Metric, Outcome};
use crate::rng::Rng;

/// Points of each kind for the sliced distance.
const SLICED: usize = 20_000;

/// Directions that points are projected onto.
const DIRECTIONS: usize = 128;

/// Distances of the model's samples to held-out points, and of other held-out points to the same:
/// what a perfect model would get.
#[derive(Debug, Clone, PartialEq)]
pub struct Distances {
    /// Sliced Wasserstein-2 distance.
    pub sliced: f64,
    /// Of p against p.
    pub sliced_floor: f64,
    /// Points of each kind that these two compare.
    pub n: usize,
    /// Energy distance and MMD^2.
    pub pairs: Pairs,
    /// Samples that are not finite, left out.
    pub non_finite: usize,
}

impl Distances {
    /// Of rows of `dim` coordinates. Half of the held-out points, at most 20,000, is compared with as
    /// many samples and with as many of the other half. `None` where there are fewer than four points.
    pub fn of(points: &[f64], samples: &[f64], dim: usize) -> Option<Self> {
        let count = points.len() / dim / 2;
        let (finite, non_finite) = super::finite_samples(count, samples, dim, SLICED);
        let n = finite.len() / dim;
        if n < 2 {
            return None;
        }
        let (x, rest) = points.split_at(n * dim);
        let others = &rest[..n * dim];
        let per_direction: Vec<[f64; 2]> = directions(dim)
            .par_iter()
            .map(|direction| {
                let sorted = |rows: &[f64]| {
                    let project = |row: &[f64]| row.iter().zip(direction).map(|(v, d)| v * d).sum();
                    let mut out: Vec<f64> = rows.chunks_exact(dim).map(project).collect();
                    out.sort_unstable_by(f64::total_cmp);
                    out
                };
                let x = sorted(x);
                let squared = |other: Vec<f64>| {
                    let gaps = x.iter().zip(&other).map(|(a, b)| (a - b) * (a - b));
                    gaps.sum::<f64>() / n as f64
                };
                [squared(sorted(&finite)), squared(sorted(others))]
            })
            .collect();
        let distance = |i: usize| {
            let sum: f64 = per_direction.iter().map(|squared| squared[i]).sum();
            (sum / per_direction.len() as f64).sqrt()
        };
        Some(Self {
            sliced: distance(0),
            sliced_floor: distance(1),
            n,
            pairs: Pairs::of(x, &finite, others, dim),
            non_finite,
        })
    }
}

/// Unit vectors, the same in every run: evenly spaced in the plane, drawn elsewhere.
fn directions(dim: usize) -> Vec<Vec<f64>> {
    let mut rng = Rng::new(0).fork("directions");
    let one = |i: usize| match dim {
        1 => vec![1.0],
        2 => {
            let angle = PI * (i as f64 + 0.5) / DIRECTIONS as f64;
            vec![angle.cos(), angle.sin()]
        }
        _ => {
            let v: Vec<f64> = (0..dim).map(|_| rng.normal()).collect();
            let length = v.iter().map(|v| v * v).sum::<f64>().sqrt();
            v.into_iter().map(|v| v / length).collect()
        }
    };
    (0..if dim == 1 { 1 } else { DIRECTIONS })
        .map(one)
        .collect()
}

fn sliced(on: &Evaluation, of: fn(&Distances) -> f64) -> Outcome {
    given(&on.distances, super::too_few(on), |found| {
        Outcome::of(of(found), None, found.n).without(found.non_finite)
    })
}

fn of_pairs(on: &Evaluation, of: fn(&Pairs) -> Estimate) -> Outcome {
    given(&on.distances, super::too_few(on), |found| {
        let Estimate { value, std_err } = of(&found.pairs);
        Outcome::of(value, Some(std_err), found.pairs.n).without(found.non_finite)
    })
}

/// sqrt(mean over the directions of W_2^2 between the projections). Never 0 for finite samples: see its
/// floor.
pub(super) const SLICED_WASSERSTEIN: Metric = Metric {
    name: "sliced_w2",
    describe: "sliced Wasserstein-2 distance of samples to held-out points",
    unit: "data units",
    better: Better::Lower,
    solved: || [0.1, 0.4],
    evaluate: |on| sliced(on, |d| d.sliced),
};

pub(super) const SLICED_WASSERSTEIN_FLOOR: Metric = Metric {
    name: "sliced_w2_floor",
    describe: "the same of held-out points among themselves: what a perfect model gets",
    unit: "data units",
    better: Better::Neither,
    solved: || [0.1, 0.1],
    evaluate: |on| sliced(on, |d| d.sliced_floor),
};

/// 2 E|X - Y| - E|X - X'| - E|Y - Y'|, without bias, so that it can be below 0.
pub(super) const ENERGY_DISTANCE: Metric = Metric {
    name: "energy_distance",
    describe: "energy distance of samples to held-out points",
    unit: "data units",
    better: Better::Lower,
    solved: || [0.0, 0.3],
    evaluate: |on| of_pairs(on, |pairs| pairs.energy),
};

pub(super) const ENERGY_DISTANCE_FLOOR: Metric = Metric {
    name: "energy_distance_floor",
    describe: "the same of held-out points among themselves: what a perfect model gets",
    unit: "data units",
    better: Better::Neither,
    solved: || [0.0, 0.0],
    evaluate: |on| of_pairs(on, |pairs| pairs.energy_floor),
};

/// E k(X, X') + E k(Y, Y') - 2 E k(X, Y), without bias, with the kernel sum_a a^2 / (a^2 + |x - y|^2), a
/// being 0.05, 0.2 and 0.9 of the median distance of held-out points (Ardizzone et al. 2019).
pub(super) const MAXIMUM_MEAN_DISCREPANCY: Metric = Metric {
    name: "mmd2",
    describe: "squared maximum mean discrepancy of samples and held-out points",
    unit: "1",
    better: Better::Lower,
    solved: || [0.0, 0.6],
    evaluate: |on| of_pairs(on, |pairs| pairs.mmd),
};

pub(super) const MAXIMUM_MEAN_DISCREPANCY_FLOOR: Metric = Metric {
    name: "mmd2_floor",
    describe: "the same of held-out points among themselves: what a perfect model gets",
    unit: "1",
    better: Better::Neither,
    solved: || [0.0, 0.0],
    evaluate: |on| of_pairs(on, |pairs| pairs.mmd_floor),
};
