//! Energy distance and maximum mean discrepancy, from all pairs of points.

use rayon::prelude::*;

/// Points of each kind: the pairs are as many as its square.
const MAX_POINTS: usize = 2500;

/// Points whose pairs give the median distance.
const FOR_MEDIAN: usize = 1000;

/// Rows that one task compares with all others.
const BLOCK: usize = 128;

/// Pairs whose terms are added at once.
const LANES: usize = 8;

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
        let [x, y, others] = [x, y, others].map(|rows| Columns::of(&rows[..n * dim], dim));
        let kernel = Kernel::new(median_distance(&x));
        let mean = |a: &Columns, b: &Columns, within: bool| means(a, b, within, &kernel);
        let (xx, yy, oo) = (
            mean(&x, &x, true),
            mean(&y, &y, true),
            mean(&others, &others, true),
        );
        let (xy, xo) = (mean(&x, &y, false), mean(&x, &others, false));
        let energy = |cross: &Means, other: &Means| difference(cross, &xx, other, 0);
        let mmd = |cross: &Means, other: &Means| {
            let Estimate { value, std_err } = difference(cross, &xx, other, 1);
            Estimate {
                value: -value,
                std_err,
            }
        };
        Self {
            energy: energy(&xy, &yy),
            energy_floor: energy(&xo, &oo),
            mmd: mmd(&xy, &yy),
            mmd_floor: mmd(&xo, &oo),
            n,
        }
    }
}

/// 2 E f(X, Y) - E f(X, X') - E f(Y, Y'), f being the distance (0) or the kernel (1).
fn difference(cross: &Means, xx: &Means, yy: &Means, which: usize) -> Estimate {
    let influence = |of: &[[f64; 2]], within: &[[f64; 2]]| {
        let each = of.iter().zip(within);
        let each: Vec<f64> = each.map(|(c, w)| 2.0 * (c[which] - w[which])).collect();
        crate::num::mean_and_std_err(each.into_iter()).1
    };
    let mean = |of: &Means| of.rows.iter().map(|r| r[which]).sum::<f64>() / of.rows.len() as f64;
    Estimate {
        value: 2.0 * mean(cross) - mean(xx) - mean(yy),
        std_err: influence(&cross.rows, &xx.rows).hypot(influence(&cross.columns, &yy.rows)),
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

/// sum_a a^2 / (a^2 + s), s being the squared distance, with one division:
/// with A_i = a_i^2, (s^2 sum A_i + 2 s sum_(i<j) A_i A_j + 3 A_1 A_2 A_3) / prod (A_i + s).
struct Kernel {
    squares: [f64; 3],
    sums: [f64; 3],
}

impl Kernel {
    fn new(median: f64) -> Self {
        // Points that all coincide are at distance 0 of each other, whatever the width.
        let median = median.max(1e-40);
        let [a, b, c] = WIDTHS.map(|w| (w * median).powi(2));
        Self {
            squares: [a, b, c],
            sums: [a + b + c, 2.0 * (a * b + b * c + a * c), 3.0 * a * b * c],
        }
    }

    fn at(&self, s: f64) -> f64 {
        let [a, b, c] = self.squares;
        let above = (self.sums[0] * s + self.sums[1]) * s + self.sums[2];
        above / ((a + s) * (b + s) * (c + s))
    }
}

/// Mean distance and mean kernel of every point to all points of the other set.
struct Means {
    rows: Vec<[f64; 2]>,
    columns: Vec<[f64; 2]>,
}

/// The means of some rows, and for every column the sums over these rows: distances and kernels.
type Block = (Vec<[f64; 2]>, [Vec<f64>; 2]);

/// `within` one set, a point is not compared with itself.
fn means(a: &Columns, b: &Columns, within: bool, kernel: &Kernel) -> Means {
    let (n, m) = (a.len(), b.len());
    let starts: Vec<usize> = (0..n).step_by(BLOCK).collect();
    let blocks: Vec<Block> = starts
        .par_iter()
        .map(|&start| {
            let mut columns = [vec![0.0; m], vec![0.0; m]];
            let mut row = vec![0.0; m];
            let rows = (start..(start + BLOCK).min(n)).map(|i| {
                a.distances_squared(i, b, &mut row);
                let mut sums = [[0.0; LANES]; 2];
                let [distances, kernels] = &mut columns;
                let each = row.chunks(LANES).zip(distances.chunks_mut(LANES));
                for ((s, distances), kernels) in each.zip(kernels.chunks_mut(LANES)) {
                    for (lane, s) in s.iter().enumerate() {
                        let (d, k) = (s.sqrt(), kernel.at(*s));
                        sums[0][lane] += d;
                        sums[1][lane] += k;
                        distances[lane] += d;
                        kernels[lane] += k;
                    }
                }
                let itself = if within { kernel.at(0.0) } else { 0.0 };
                let others = (m - usize::from(within)) as f64;
                let [d, k] = sums.map(|lanes| lanes.iter().sum::<f64>());
                [d / others, (k - itself) / others]
            });
            (rows.collect(), columns)
        })
        .collect();
    let mut columns = vec![[0.0; 2]; m];
    for (_, [distances, kernels]) in &blocks {
        for ((column, d), k) in columns.iter_mut().zip(distances).zip(kernels) {
            column[0] += d / n as f64;
            column[1] += k / n as f64;
        }
    }
    Means {
        rows: blocks.into_iter().flat_map(|(rows, _)| rows).collect(),
        columns,
    }
}
