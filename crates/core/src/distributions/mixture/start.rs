//! Where a mixture starts from the data.

use crate::kmeans::kmeans;
use crate::num;
use crate::rng::Rng;

/// Starting values, flat, (K,) and (K, D).
pub(super) struct Start {
    pub logits: Vec<f64>,
    pub means: Option<Vec<f64>>,
    pub log_stds: Vec<f64>,
}

impl Start {
    /// By k-means (k-means++ seeding, best of 10): centres, spreads and shares of the clusters.
    pub fn from_points(points: &[f64], dim: usize, k: usize, rng: &Rng) -> Self {
        let clusters = kmeans(points, dim, k, 10, rng);
        let found = clusters.len();
        let n = clusters.labels.len() as f64;
        let mut squares = vec![0.0; k * dim];
        for (&label, point) in clusters.labels.iter().zip(points.chunks_exact(dim)) {
            for (d, v) in point.iter().enumerate() {
                squares[label * dim + d] += (v - clusters.centres[label * dim + d]).powi(2);
            }
        }
        let mut noise = rng.fork("twins");
        let sizes = clusters.sizes();
        let overall = (clusters.inertia / (n * dim as f64)).sqrt();
        // Of as many clusters as distinct points none has a spread: then that of all, in any unit.
        let moments = num::moments(points, dim).into_iter();
        let spreads: Vec<f64> = moments
            .map(|(_, std)| match std {
                std if overall > 1e-3 * std => overall,
                std if std > 0.0 && std.is_finite() => std,
                _ => 1.0,
            })
            .collect();
        let mut start = Self {
            logits: Vec::with_capacity(k),
            means: Some(Vec::with_capacity(k * dim)),
            log_stds: Vec::with_capacity(k * dim),
        };
        for c in 0..k {
            // Fewer distinct points than components: the rest double existing clusters.
            let of = if found > 0 { c % found } else { 0 };
            let size = sizes.get(of).copied().unwrap_or(0) as f64;
            start.logits.push(((size + 1.0) / (n + k as f64)).ln());
            for (d, spread) in spreads.iter().enumerate() {
                let i = of * dim + d;
                let centre = clusters.centres.get(i).copied().unwrap_or(0.0);
                // A cluster of one or two points must not start as a spike.
                let std = (squares[i] / size.max(1.0)).sqrt().max(0.1 * spread);
                // Twins in the same place would have the same gradient and never part.
                let apart = if c < found {
                    0.0
                } else {
                    0.1 * std * noise.normal()
                };
                if let Some(means) = &mut start.means {
                    means.push(centre + apart);
                }
                start.log_stds.push(std.ln());
            }
        }
        start
    }
}
