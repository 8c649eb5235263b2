//! Where a mixture misses points.

use rayon::prelude::*;
use statrs::function::gamma::ln_gamma;

use super::climb::Points;
use super::gaussians::Gaussians;
use crate::kmeans::distance2;
use crate::tree::Tree;

/// Points whose surroundings are looked at.
const MOST: usize = 20_000;

/// Neighbours of each of them.
const NEAR: usize = 16;

/// Of so many of them, more neighbours: a quarter of all points, but no more than [`WIDE`].
const CENTRES: usize = 1000;

/// See [`CENTRES`].
const WIDE: usize = 1024;

/// Fewest neighbours that a new component starts from; further numbers are twice the last.
const FEWEST: usize = 8;

/// A neighbourhood in which log q differs by more than this is too wide to be compared with q.
const LEVEL: f64 = 1.0;

/// The nearest neighbours of some points, in whitened coordinates. They do not depend on a mixture.
pub(super) struct Neighbourhoods {
    /// The points that are looked at, all or every s-th.
    rows: Vec<f64>,
    white: Vec<f64>,
    /// Few neighbours of every point; a mode of a thousandth of the points has no others.
    near: Vec<Neighbourhood>,
    /// Many neighbours of some.
    wide: Vec<Neighbourhood>,
}

/// A point, itself among its neighbours: squared distances and places, nearest first.
struct Neighbourhood(Vec<(f64, u32)>);

/// A ball with more points than a mixture has there.
struct Excess {
    gain: f64,
    centre: usize,
    squared: f64,
    size: f64,
}

impl Neighbourhoods {
    fn new(points: &Points<'_>) -> Self {
        let dim = points.dim;
        let step = points.len().div_ceil(MOST);
        let thinned = |rows: &[f64]| -> Vec<f64> {
            let rows = rows.chunks_exact(dim).step_by(step);
            rows.flatten().copied().collect()
        };
        let white = thinned(&points.white);
        let n = white.len() / dim;
        let row = |i: usize| &white[i * dim..(i + 1) * dim];
        let tree = Tree::new(&white, dim);
        let short = |all: Vec<(f64, usize)>| {
            Neighbourhood(all.into_iter().map(|(d2, i)| (d2, i as u32)).collect())
        };
        let near = (0..n).into_par_iter();
        let near = near.map(|i| short(tree.neighbours(row(i), NEAR.min(n))));
        let most = (n / 4).min(WIDE);
        let centres: Vec<usize> = (0..n).step_by(n.div_ceil(CENTRES)).collect();
        let wide = centres.into_par_iter().map(|i| {
            let others = white.chunks_exact(dim).enumerate();
            let mut all: Vec<_> = others.map(|(j, p)| (distance2(row(i), p), j)).collect();
            let by = |a: &(f64, usize), b: &(f64, usize)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
            if most < all.len() {
                all.select_nth_unstable_by(most, by);
                all.truncate(most);
            }
            all.sort_unstable_by(by);
            short(all)
        });
        Self {
            near: near.collect(),
            wide: wide.collect(),
            rows: thinned(points.rows),
            white,
        }
    }

    fn centre(&self, i: usize, dim: usize) -> &[f64] {
        &self.white[i * dim..(i + 1) * dim]
    }
}

impl Points<'_> {
    /// `mixture` with one more component, at either of the two places where it misses points most: among all
    /// small and among some large neighbourhoods. In a ball of m points where e = n q V are expected, V being
    /// its volume, m ln(m / e) - m + e is greatest there (the scan statistic of Kulldorff 1997). k-means
    /// does not see a tight cluster inside a broad one.
    pub fn grown(&self, mixture: &Gaussians) -> Vec<Gaussians> {
        if self.len() < 2 * FEWEST {
            return Vec::new();
        }
        let all = self
            .neighbourhoods
            .get_or_init(|| Neighbourhoods::new(self));
        let log_q = mixture.log_density(&all.rows);
        let d = self.dim as f64;
        let unit_ball = 0.5 * d * std::f64::consts::PI.ln() - ln_gamma(0.5 * d + 1.0);
        let log_n_volume = (log_q.len() as f64).ln() + self.log_volume + unit_ball;
        let excess = |neighbourhood: &Neighbourhood| {
            let mut best: Option<Excess> = None;
            let (mut low, mut high, mut m) = (f64::INFINITY, f64::NEG_INFINITY, FEWEST);
            for (at, &(squared, i)) in neighbourhood.0.iter().enumerate() {
                let here = log_q[i as usize];
                (low, high) = (low.min(here), high.max(here));
                if high - low > LEVEL {
                    break;
                }
                if at + 1 < m {
                    continue;
                }
                let log_e = log_n_volume + high + 0.5 * d * squared.ln();
                let (size, e) = (m as f64, log_e.exp());
                let gain = size * (size.ln() - log_e) - size + e;
                m *= 2;
                if e < size && gain.is_finite() && best.as_ref().is_none_or(|b| gain > b.gain) {
                    best = Some(Excess {
                        gain,
                        centre: neighbourhood.0[0].1 as usize,
                        squared,
                        size,
                    });
                }
            }
            best
        };
        let most = |some: &[Neighbourhood]| {
            let found: Vec<_> = some.par_iter().filter_map(excess).collect();
            found
                .into_iter()
                .reduce(|a, b| if b.gain > a.gain { b } else { a })
        };
        let places = [most(&all.near), most(&all.wide)];
        let places = places.into_iter().flatten();
        places
            .filter_map(|place| self.with_ball(mixture, all, &place))
            .collect()
    }

    /// `mixture` with a component that has the moments of the points in a ball.
    fn with_ball(
        &self,
        mixture: &Gaussians,
        all: &Neighbourhoods,
        place: &Excess,
    ) -> Option<Gaussians> {
        let centre = all.centre(place.centre, self.dim);
        let mut sums = self.sums(1);
        for (i, white) in self.white.chunks_exact(self.dim).enumerate() {
            if distance2(white, centre) <= place.squared {
                self.add(&mut sums, 0, i);
            }
        }
        let share = place.size / (all.rows.len() / self.dim) as f64;
        Some(mixture.with(&self.maximise(&sums)?, share))
    }
}
