//! Energy distance and maximum mean discrepancy, from all pairs of points.

use rayon::prelude::*;

use crate::kmeans::distance2;

/// Points of each kind: the pairs are as many as its square.
const MAX_POINTS: usize = 2500;

/// Points whose pairs give the median distance.
const FOR_MEDIAN: usize = 1000;

/// Widths of the kernel, in median distances.
const WIDTHS: [f64; 3] = [0.05, 0.2, 0.9];

/// A value with its standard error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The value.
    pub value: f64,
    /// To first order in each point's influence (Hoeffding): too large where the laws are nearly equal.
    pub std_err: f64,
}

/// Unbiased statistics of all pairs (U-statistics) of points X, samples Y and other points X'.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pairs {
    /// Energy distance of X and Y.
    pub energy: Estimate,
    /// Of X and X'.
    pub energy_floor: Estimate,
    /// MMD^2 of X and Y.
    pub mmd: Estimate,
    /// Of X and X'.
    pub mmd_floor: Estimate,
    /// Points of each kind.
    pub n: usize,
}

impl Pairs {
    /// Of at least two rows each, of `dim` coordinates; of more than 2,500 the first.
    pub(super) fn of(x: &[f64], y: &[f64], others: &[f64], dim: usize) -> Self {
        let n = (x.len() / dim).min(MAX_POINTS);
        let [x, y, others] = [x, y, others].map(|rows| &rows[..n * dim]);
        let kernel = Kernel::new(median_distance(x, dim));
        let mean = |a: &[f64], b: &[f64], within: bool| means(a, b, dim, within, &kernel);
        let xx = mean(x, x, true);
        // Distance and kernel: E f(X, X') and E f(Y, Y') against 2 E f(X, Y).
        let against = |y: &[f64]| {
            let (yy, xy, yx) = (mean(y, y, true), mean(x, y, false), mean(y, x, false));
            [0, 1].map(|f| difference([&xy, &yx], [&xx, &yy], f))
        };
        let negative = |of: Estimate| Estimate {
            value: -of.value,
            ..of
        };
        let ([energy, mmd], [energy_floor, mmd_floor]) = (against(y), against(others));
        Self {
            energy,
            energy_floor,
            mmd: negative(mmd),
            mmd_floor: negative(mmd_floor),
            n,
        }
    }
}

/// 2 E f(X, Y) - E f(X, X') - E f(Y, Y'), f being the distance (0) or the kernel (1); `cross` and
/// `within` are the means over Y and X of every X and Y, and over the others of their own set.
fn difference(cross: [&Means; 2], within: [&Means; 2], f: usize) -> Estimate {
    let influence = |side: usize| {
        let each = cross[side].iter().zip(within[side]);
        crate::num::mean_and_std_err(each.map(|(c, w)| 2.0 * (c[f] - w[f]))).1
    };
    let mean = |of: &Means| of.iter().map(|r| r[f]).sum::<f64>() / of.len() as f64;
    Estimate {
        value: 2.0 * mean(cross[0]) - mean(within[0]) - mean(within[1]),
        std_err: influence(0).hypot(influence(1)),
    }
}

/// Of the first rows.
fn median_distance(x: &[f64], dim: usize) -> f64 {
    let rows: Vec<&[f64]> = x.chunks_exact(dim).take(FOR_MEDIAN).collect();
    let of_row = |(i, row): (usize, &&[f64])| -> Vec<f64> {
        rows[..i]
            .iter()
            .map(|other| distance2(row, other))
            .collect()
    };
    let mut all: Vec<f64> = rows.iter().enumerate().flat_map(of_row).collect();
    let middle = all.len() / 2;
    all.select_nth_unstable_by(middle, f64::total_cmp).1.sqrt()
}

/// sum_a a^2 / (a^2 + s), s being the squared distance and a the width.
struct Kernel([f64; 3]);

impl Kernel {
    fn new(median: f64) -> Self {
        // Points that all coincide are at distance 0 of each other, whatever the width.
        Self(WIDTHS.map(|w| (w * median.max(1e-40)).powi(2)))
    }

    fn at(&self, s: f64) -> f64 {
        self.0.iter().map(|square| square / (square + s)).sum()
    }
}

/// Mean distance and mean kernel of every point to all points of the other set, or of its own without
/// itself.
type Means = Vec<[f64; 2]>;

fn means(a: &[f64], b: &[f64], dim: usize, within: bool, kernel: &Kernel) -> Means {
    let others = (b.len() / dim - usize::from(within)) as f64;
    let itself = if within { kernel.at(0.0) } else { 0.0 };
    let of_row = |row: &[f64]| {
        let (mut distances, mut kernels) = (0.0, -itself);
        for other in b.chunks_exact(dim) {
            let squared = distance2(row, other);
            distances += squared.sqrt();
            kernels += kernel.at(squared);
        }
        [distances / others, kernels / others]
    };
    a.par_chunks_exact(dim).map(of_row).collect()
}
