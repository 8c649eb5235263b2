//! Precision and recall by nearest neighbours, where no exact law is known.

use rayon::prelude::*;

use super::{given, Better, Evaluation, Metric, Outcome};
use crate::kmeans::distance2;

/// Points of each kind that are compared.
const MAX_POINTS: usize = 10_000;

/// Neighbours that make a point's ball.
const NEIGHBOURS: usize = 5;

/// What the balls of two sets of points hold of each other (Kynkaanniemi et al. 2019, "Improved
/// precision and recall metric for assessing generative models"): a point's ball reaches to its
/// fifth neighbour in its own set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbours {
    /// Share of the model's samples inside the ball of a held-out point.
    pub precision: f64,
    /// Share of the held-out points inside the ball of a sample.
    pub recall: f64,
    /// Points of each kind.
    pub n: usize,
    /// Samples that are not finite, left out.
    pub non_finite: usize,
}

impl Neighbours {
    /// Of rows of `dim` coordinates, the first 10,000 of each kind; `None` where there are too few.
    pub fn of(points: &[f64], samples: &[f64], dim: usize) -> Option<Self> {
        let count = points.len() / dim;
        let (samples, non_finite) = super::finite_samples(count, samples, dim, MAX_POINTS);
        let n = samples.len() / dim;
        if n <= NEIGHBOURS {
            return None;
        }
        let points = &points[..n * dim];
        Some(Self {
            precision: share_inside(&samples, points, dim),
            recall: share_inside(points, &samples, dim),
            n,
            non_finite,
        })
    }
}

/// Squared distance of every row to its fifth neighbour among the others.
fn radii(rows: &[f64], dim: usize) -> Vec<f64> {
    rows.par_chunks_exact(dim)
        .enumerate()
        .map(|(i, row)| {
            let others = rows.chunks_exact(dim).enumerate().filter(|(j, _)| *j != i);
            let mut all: Vec<f64> = others.map(|(_, other)| distance2(row, other)).collect();
            *all.select_nth_unstable_by(NEIGHBOURS - 1, f64::total_cmp).1
        })
        .collect()
}

/// Share of `rows` that lie in a ball of one of `centres`.
fn share_inside(rows: &[f64], centres: &[f64], dim: usize) -> f64 {
    let radii = radii(centres, dim);
    let inside = |row: &&[f64]| {
        let mut balls = centres.chunks_exact(dim).zip(&radii);
        balls.any(|(c, r)| distance2(row, c) <= *r)
    };
    let count = rows.par_chunks_exact(dim).filter(inside).count();
    count as f64 / (rows.len() / dim) as f64
}

fn outcome(on: &Evaluation, value: fn(&Neighbours) -> f64) -> Outcome {
    let why = match on.known {
        Some(_) => "true density known: precision and recall say it",
        None => super::too_few(on),
    };
    given(&on.neighbours, why, |found| {
        Outcome::of(value(found), None, found.n).without(found.non_finite)
    })
}

pub(super) const NEIGHBOUR_PRECISION: Metric = Metric {
    name: "knn_precision",
    describe: "samples within reach of the data (5 nearest neighbours)",
    unit: "share",
    better: Better::Higher,
    solved: || [1.0, 0.7],
    evaluate: |on| outcome(on, |found| found.precision),
};

pub(super) const NEIGHBOUR_RECALL: Metric = Metric {
    name: "knn_recall",
    describe: "data within reach of the samples (5 nearest neighbours)",
    unit: "share",
    better: Better::Higher,
    solved: || [1.0, 0.4],
    evaluate: |on| outcome(on, |found| found.recall),
};
