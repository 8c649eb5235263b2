//! Energy distance and maximum mean discrepancy, from all pairs of points.

use rayon::prelude::*;

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
    pub std_err: Option<f64>,
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
        let [x, y, others] = [x, y, others].map(|rows| Columns::of(&rows[..n * dim], dim));
        let kernel = Kernel::new(median_distance(&x));
        let mean = |a: &Columns, b: &Columns, within: bool| means(a, b, within, &kernel);
        let xx = mean(&x, &x, true);
        // Distance and kernel: E f(X, X') and E f(Y, Y') against 2 E f(X, Y).
        let against = |y: &Columns| {
            let (yy, xy, yx) = (mean(y, y, true), mean(&x, y, false), mean(y, &x, false));
            [0, 1].map(|f| difference([&xy, &yx], [&xx, &yy], f))
        };
        let negative = |of: Estimate| Estimate {
            value: -of.value,
            ..of
        };
        let ([energy, mmd], [energy_floor, mmd_floor]) = (against(&y), against(&others));
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
        std_err: Some(influence(0).hypot(influence(1))),
    }
}

/// Points coordinate by coordinate, so that one is compared with many at once.
struct Columns(Vec<Vec<f64>>);

impl Columns {
    fn of(rows: &[f64], dim: usize) -> Self {
        let column = |d: usize| rows.iter().skip(d).step_by(dim).copied().collect();
        Self((0..dim).map(column).collect())
    }

    fn len(&self) -> usize {
        self.0[0].len()
    }

    /// Squared distances of point `i` to all `others`.
    fn distances_squared(&self, i: usize, others: &Self, out: &mut [f64]) {
        out.fill(0.0);
        for (own, others) in self.0.iter().zip(&others.0) {
            let own = own[i];
            for (out, other) in out.iter_mut().zip(others) {
                *out += (own - other) * (own - other);
            }
        }
    }
}

fn median_distance(x: &Columns) -> f64 {
    let n = x.len().min(FOR_MEDIAN);
    let mut row = vec![0.0; x.len()];
    let mut all = Vec::with_capacity(n * (n - 1) / 2);
    for i in 0..n {
        x.distances_squared(i, x, &mut row);
        all.extend_from_slice(&row[..i]);
    }
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

fn means(a: &Columns, b: &Columns, within: bool, kernel: &Kernel) -> Means {
    let others = (b.len() - usize::from(within)) as f64;
    let itself = if within { kernel.at(0.0) } else { 0.0 };
    let of_row = |row: &mut Vec<f64>, i: usize| {
        a.distances_squared(i, b, row);
        let distances: f64 = row.iter().map(|s| s.sqrt()).sum();
        let kernels: f64 = row.iter().map(|s| kernel.at(*s)).sum();
        [distances / others, (kernels - itself) / others]
    };
    let rows = (0..a.len()).into_par_iter();
    rows.map_init(|| vec![0.0; b.len()], of_row).collect()
}
