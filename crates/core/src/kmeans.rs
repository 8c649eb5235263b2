//! k-means with k-means++ seeding (Arthur and Vassilvitskii 2007), and the silhouette that
//! chooses the number of clusters. Plain f64 on the host.

use rayon::prelude::*;

use crate::rng::Rng;

/// Clusters of points.
#[derive(Debug, Clone, PartialEq)]
pub struct Clusters {
    /// Number of coordinates.
    pub dim: usize,
    /// Centres, row by row.
    pub centres: Vec<f64>,
    /// Cluster of each point.
    pub labels: Vec<usize>,
    /// Sum of squared distances to the centres.
    pub inertia: f64,
}

impl Clusters {
    /// Number of clusters.
    pub(crate) fn len(&self) -> usize {
        self.centres.len() / self.dim.max(1)
    }

    /// Number of points in each cluster.
    pub fn sizes(&self) -> Vec<usize> {
        let mut sizes = vec![0; self.len()];
        for &label in &self.labels {
            sizes[label] += 1;
        }
        sizes
    }
}

/// Squared distance.
pub(crate) fn distance2(a: &[f64], b: &[f64]) -> f64 {
    // In the plane, the usual case, a loop costs more than the arithmetic.
    if let (&[a, b], &[c, d]) = (a, b) {
        return (a - c) * (a - c) + (b - d) * (b - d);
    }
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// Index of the nearest centre (the first of equals) and the squared distance to it.
pub fn nearest(point: &[f64], centres: &[f64]) -> (usize, f64) {
    let mut best = (0, f64::INFINITY);
    for (k, centre) in centres.chunks_exact(point.len()).enumerate() {
        let d = distance2(point, centre);
        if d < best.1 {
            best = (k, d);
        }
    }
    best
}

/// Iterations of Lloyd until no point moves, at most.
const ROUNDS: usize = 300;

/// Clusters near those of [`kmeans`], after a few iterations from k-means++ centres: enough to start from.
pub(crate) fn nearly(points: &[f64], dim: usize, k: usize, rng: &Rng) -> Clusters {
    lloyd(points, dim, k, 10, &mut rng.fork("nearly"))
}

/// Best of `restarts` runs of Lloyd's iterations from k-means++ centres. `points` are rows of
/// `dim` numbers; with fewer distinct points than `k` there are fewer clusters.
pub fn kmeans(points: &[f64], dim: usize, k: usize, restarts: usize, rng: &Rng) -> Clusters {
    let tries = (0..restarts.max(1)).into_par_iter();
    let tries: Vec<_> = tries
        .map(|r| {
            lloyd(
                points,
                dim,
                k,
                ROUNDS,
                &mut rng.fork_at("restart", r as u64),
            )
        })
        .collect();
    let best = tries
        .into_iter()
        .min_by(|a, b| a.inertia.total_cmp(&b.inertia));
    best.expect("one try at least")
}

fn lloyd(points: &[f64], dim: usize, k: usize, rounds: usize, rng: &mut Rng) -> Clusters {
    let mut centres = plus_plus(points, dim, k, rng);
    let n = points.len() / dim;
    let mut labels = vec![usize::MAX; n];
    for _ in 0..rounds {
        let mut moved = false;
        for (label, point) in labels.iter_mut().zip(points.chunks_exact(dim)) {
            let (best, _) = nearest(point, &centres);
            moved |= *label != best;
            *label = best;
        }
        if !moved {
            break;
        }
        let mut sums = vec![0.0; centres.len()];
        let mut counts = vec![0usize; centres.len() / dim];
        for (&label, point) in labels.iter().zip(points.chunks_exact(dim)) {
            counts[label] += 1;
            for (sum, v) in sums[label * dim..].iter_mut().zip(point) {
                *sum += v;
            }
        }
        for (c, &count) in counts.iter().enumerate() {
            // An empty cluster keeps its centre, since it may gain points again.
            if count > 0 {
                for d in 0..dim {
                    centres[c * dim + d] = sums[c * dim + d] / count as f64;
                }
            }
        }
    }
    assign(points, dim, &centres)
}

/// Assigns every point to its nearest centre and drops centres without points.
fn assign(points: &[f64], dim: usize, centres: &[f64]) -> Clusters {
    let near: Vec<(usize, f64)> = points
        .chunks_exact(dim)
        .map(|point| nearest(point, centres))
        .collect();
    let mut new = vec![usize::MAX; centres.len() / dim];
    for (label, _) in &near {
        new[*label] = 0;
    }
    let (mut kept, mut count) = (Vec::new(), 0);
    for (slot, centre) in new.iter_mut().zip(centres.chunks_exact(dim)) {
        if *slot == 0 {
            *slot = count;
            count += 1;
            kept.extend_from_slice(centre);
        }
    }
    Clusters {
        dim,
        centres: kept,
        labels: near.iter().map(|(label, _)| new[*label]).collect(),
        inertia: near.iter().map(|(_, d)| d).sum(),
    }
}

/// Greedy k-means++: of 2 + ln k candidates drawn by squared distance, the one that lowers the
/// total most.
fn plus_plus(points: &[f64], dim: usize, k: usize, rng: &mut Rng) -> Vec<f64> {
    let n = points.len() / dim;
    if n == 0 || k == 0 {
        return Vec::new();
    }
    let row = |i: usize| &points[i * dim..(i + 1) * dim];
    let first = rng.below(n);
    let mut centres = row(first).to_vec();
    let mut near: Vec<f64> = (0..n).map(|i| distance2(row(i), row(first))).collect();
    let candidates = 2 + (k as f64).ln() as usize;
    while centres.len() < k * dim {
        let total: f64 = near.iter().sum();
        if total <= 0.0 {
            break;
        }
        let candidate = |_| {
            let mut u = rng.uniform() * total;
            let reached = near.iter().position(|d| {
                u -= d;
                u < 0.0
            });
            let pick = reached.unwrap_or(n - 1);
            let each = near.iter().zip(points.chunks_exact(dim));
            let updated = each.map(|(&d, point)| d.min(distance2(point, row(pick))));
            let updated: Vec<f64> = updated.collect();
            (updated.iter().sum::<f64>(), pick, updated)
        };
        let tried = (0..candidates).map(candidate);
        let Some((_, pick, updated)) = tried.min_by(|a, b| a.0.total_cmp(&b.0)) else {
            break;
        };
        centres.extend_from_slice(row(pick));
        near = updated;
    }
    centres
}

/// Some of the points with all distances between them, row by row.
struct Sample {
    chosen: Vec<usize>,
    distances: Vec<f64>,
}

impl Sample {
    /// At most `most` points, drawn by `rng`.
    fn new(points: &[f64], dim: usize, most: usize, rng: &mut Rng) -> Self {
        let mut chosen = rng.permutation(points.len() / dim);
        chosen.truncate(most);
        let row = |i: usize| &points[i * dim..(i + 1) * dim];
        let pairs = chosen
            .iter()
            .flat_map(|&i| chosen.iter().map(move |&j| (i, j)));
        let distances = pairs
            .map(|(i, j)| distance2(row(i), row(j)).sqrt())
            .collect();
        Self { chosen, distances }
    }

    /// Mean silhouette (Rousseeuw 1987): over the points, (b - a) / max(a, b) with a the mean
    /// distance to the own cluster's other points and b the least mean distance to another
    /// cluster's.
    fn silhouette(&self, clusters: &Clusters) -> f64 {
        let (n, k) = (self.chosen.len(), clusters.len());
        let labels: Vec<usize> = self.chosen.iter().map(|&i| clusters.labels[i]).collect();
        let mut counts = vec![0usize; k];
        // For every cluster the sum of the distances from each point to those in the cluster.
        let mut sums = vec![0.0; k * n];
        for (&label, distances) in labels.iter().zip(self.distances.chunks_exact(n.max(1))) {
            counts[label] += 1;
            for (sum, d) in sums[label * n..].iter_mut().zip(distances) {
                *sum += d;
            }
        }
        let mut total = 0.0;
        for (i, &own) in labels.iter().enumerate() {
            if counts[own] < 2 {
                continue;
            }
            let a = sums[own * n + i] / (counts[own] - 1) as f64;
            let b = (0..k)
                .filter(|&c| c != own && counts[c] > 0)
                .map(|c| sums[c * n + i] / counts[c] as f64)
                .fold(f64::INFINITY, f64::min);
            let scale = a.max(b);
            if scale > 0.0 && b.is_finite() {
                total += (b - a) / scale;
            }
        }
        total / n.max(1) as f64
    }
}

/// The most points that the number of clusters is chosen on.
const CHOICE: usize = 2000;

/// The most points that a silhouette is a mean over.
const SILHOUETTE: usize = 1000;

/// k-means with the K between 2 and `max` of the best silhouette. K is chosen on at most 2,000
/// points; the clusters are those of all points.
pub fn best_silhouette(points: &[f64], dim: usize, max: usize, rng: &Rng) -> Clusters {
    let mut order = rng.fork("choice").permutation(points.len() / dim);
    order.truncate(CHOICE);
    let some: Vec<f64> = order
        .iter()
        .flat_map(|i| points[i * dim..(i + 1) * dim].iter().copied())
        .collect();
    // The same points for every K, so that scores differ by K alone.
    let sample = Sample::new(&some, dim, SILHOUETTE, &mut rng.fork("silhouette"));
    let scores: Vec<_> = (2..=max.max(2))
        .into_par_iter()
        .map(|k| {
            let clusters = kmeans(&some, dim, k, 5, &rng.fork_at("k", k as u64));
            (sample.silhouette(&clusters), clusters.len())
        })
        .collect();
    // The first of equals.
    let better =
        |best: (f64, usize), score: (f64, usize)| if score.0 > best.0 { score } else { best };
    let (_, k) = scores.into_iter().fold((f64::NEG_INFINITY, 1), better);
    kmeans(points, dim, k, 10, rng)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blobs(k: usize, per: usize, rng: &mut Rng) -> (Vec<f64>, Vec<usize>) {
        let mut points = Vec::new();
        let mut truth = Vec::new();
        for i in 0..k * per {
            let c = i % k;
            points.push(5.0 * (c % 5) as f64 + 0.3 * rng.normal());
            points.push(5.0 * (c / 5) as f64 + 0.3 * rng.normal());
            truth.push(c);
        }
        (points, truth)
    }

    #[test]
    fn finds_separated_blobs_and_their_number() {
        for k in [3, 8, 15] {
            let mut rng = Rng::new(k as u64);
            let (points, truth) = blobs(k, 60, &mut rng);
            let found = best_silhouette(&points, 2, 20, &rng);
            assert_eq!(found.len(), k);
            assert_eq!(found.sizes(), vec![60; k]);
            for (i, t) in truth.iter().enumerate() {
                assert_eq!(found.labels[i], found.labels[*t], "point {i}");
            }
        }
    }

    #[test]
    fn same_seed_same_clusters_and_few_points_are_fine() {
        let rng = Rng::new(1);
        let (points, _) = blobs(4, 30, &mut rng.fork("x"));
        assert_eq!(
            kmeans(&points, 2, 4, 5, &rng),
            kmeans(&points, 2, 4, 5, &rng)
        );
        let same = kmeans(&[1.0, 1.0, 1.0], 1, 5, 3, &rng);
        assert_eq!((same.len(), same.inertia), (1, 0.0));
        assert_eq!(kmeans(&[], 2, 3, 2, &rng).len(), 0);
    }

    #[test]
    fn a_centre_without_points_is_dropped() {
        let found = assign(&[0.0, 1.0, 10.0], 1, &[0.5, 100.0, 10.0]);
        assert_eq!(found.centres, [0.5, 10.0]);
        assert_eq!(found.labels, [0, 0, 1]);
        assert_eq!((found.inertia, found.sizes()), (0.5, vec![2, 1]));
    }

    /// Four points on a line, two clusters: a = 1 for all, b = 10.5 outside and 9.5 inside.
    #[test]
    fn silhouette_by_hand() {
        let clusters = Clusters {
            dim: 1,
            centres: vec![0.5, 10.5],
            labels: vec![0, 0, 1, 1],
            inertia: 1.0,
        };
        let sample = Sample::new(&[0.0, 1.0, 10.0, 11.0], 1, 10, &mut Rng::new(0));
        let got = sample.silhouette(&clusters);
        let expected = (2.0 * (10.5 - 1.0) / 10.5 + 2.0 * (9.5 - 1.0) / 9.5) / 4.0;
        assert!((got - expected).abs() < 1e-12);
    }
}
