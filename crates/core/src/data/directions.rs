//! The directions in which points vary, and what is lost along the narrowest of them.

use nalgebra::DMatrix;

use crate::num::moments;

/// Columns beyond which directions are not looked at: their cost grows with the cube.
const MOST: usize = 300;

/// Rows that are looked at, evenly spread over all.
const ROWS: usize = 20_000;

/// The smallest eigenvalue, for each coordinate, that rounding of f64 leaves of a correlation.
const ROUNDING: f64 = 4e-15;

/// The eigenvectors of the correlation of points.
pub(super) struct Directions {
    /// Standard deviation of every coordinate.
    std: Vec<f64>,
    /// The variance along every direction, of coordinates over their standard deviation.
    variances: Vec<f64>,
    /// A direction in every column.
    vectors: DMatrix<f64>,
}

impl Directions {
    /// Of points given as rows; `None` for one coordinate or more than 300, for a coordinate that
    /// does not vary, and where the points are too few to vary in every direction.
    pub(super) fn of(rows: &[f64], dim: usize) -> Option<Self> {
        let n = rows.len() / dim.max(1);
        let moments = moments(rows, dim);
        let varies = |(_, std): &(f64, f64)| *std > 0.0 && std.is_finite();
        if !(2..=MOST).contains(&dim) || n <= dim || !moments.iter().all(varies) {
            return None;
        }
        let step = n.div_ceil(ROWS);
        let row = |i: usize| &rows[i * step * dim..];
        let scaled = |i: usize, d: usize| (row(i)[d] - moments[d].0) / moments[d].1;
        let scaled = DMatrix::from_fn(n.div_ceil(step), dim, scaled);
        let found = (scaled.tr_mul(&scaled) / scaled.nrows() as f64).symmetric_eigen();
        Some(Self {
            std: moments.into_iter().map(|(_, std)| std).collect(),
            variances: found.eigenvalues.iter().copied().collect(),
            vectors: found.eigenvectors,
        })
    }

    /// The mean square along direction `k` of errors that have root mean square `errors[d]` in
    /// coordinate d, independently.
    fn error(&self, k: usize, errors: &[f64]) -> f64 {
        let parts = errors.iter().zip(&self.std).zip(self.vectors.column(k));
        parts.map(|((e, std), v)| (v * e / std).powi(2)).sum()
    }

    /// Whether the points vary along direction `k` by more than f64 rounds.
    fn is_resolved(&self, k: usize) -> bool {
        self.variances[k] > ROUNDING * self.std.len() as f64
    }

    /// The coordinates that take part in a linear dependence, and those of them without which there
    /// is none: along some directions the points vary by no more than twice the rounding of their
    /// numbers (root mean square, for each coordinate).
    pub(super) fn dependent(&self, rounding: &[f64]) -> (Vec<usize>, Vec<usize>) {
        let dim = self.std.len();
        let narrow = |k: &usize| {
            !self.is_resolved(*k) || self.variances[*k] <= 4.0 * self.error(*k, rounding)
        };
        let narrow: Vec<usize> = (0..dim).filter(narrow).collect();
        // The projection onto those directions, whatever basis of them was found.
        let basis = self.vectors.select_columns(&narrow);
        let mut projection = &basis * basis.transpose();
        let taking = (0..dim).filter(|d| projection[(*d, *d)] > 1e-4).collect();
        let mut without = Vec::new();
        for _ in narrow {
            // The last of equals: what was computed usually stands after what it is computed from.
            let share = |d: usize| (projection[(d, d)] * 1e6).round();
            let largest = (0..dim).max_by(|a, b| share(*a).total_cmp(&share(*b)));
            let d = largest.unwrap_or_default();
            let column = projection.column(d) / projection[(d, d)].sqrt();
            projection -= &column * column.transpose();
            without.push(d);
        }
        without.sort_unstable();
        (taking, without)
    }
}

/// What rounding to single precision adds to a Gaussian's negative log density of these rows (nats a
/// point): the sum over directions of ln(1 + error / variance) / 2. Directions without any variance are
/// left out.
pub fn lost_in_single(rows: &[f64], dim: usize) -> f64 {
    let Some(directions) = Directions::of(rows, dim) else {
        return 0.0;
    };
    let n = (rows.len() / dim) as f64;
    let square = |v: &f64| (v - f64::from(*v as f32)).powi(2);
    let of = |d: usize| (rows.iter().skip(d).step_by(dim).map(square).sum::<f64>() / n).sqrt();
    let errors: Vec<f64> = (0..dim).map(of).collect();
    let resolved = (0..dim).filter(|k| directions.is_resolved(*k));
    let lost = resolved.map(|k| (directions.error(k, &errors) / directions.variances[k]).ln_1p());
    lost.sum::<f64>() / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    /// Rows (a, b, c) with each of them made from two normal numbers and the third.
    fn rows(of: impl Fn(f64, f64, f64) -> [f64; 3]) -> Vec<f64> {
        let mut rng = Rng::new(4);
        let mut row = || of(rng.normal(), rng.normal(), rng.normal());
        (0..400).flat_map(|_| row()).collect()
    }

    #[test]
    fn dependent_coordinates_are_found_up_to_the_rounding_of_their_numbers() {
        let none = [0.0; 3];
        let found = |rows: &[f64], rounding: &[f64]| {
            let directions = Directions::of(rows, 3).unwrap();
            directions.dependent(rounding)
        };
        let cases = [
            (rows(|a, b, c| [a, b, c]), vec![], vec![]),
            (rows(|a, b, _| [a, b, a]), vec![0, 2], vec![2]),
            (rows(|a, b, _| [a, b, 7.0 - 3.0 * a]), vec![0, 2], vec![2]),
            (rows(|a, b, _| [a, a + b, b]), vec![0, 1, 2], vec![1]),
            (rows(|a, _, _| [a, -a, 2.0 * a]), vec![0, 1, 2], vec![1, 2]),
            (
                rows(|a, b, c| [1e8 + a, 1e8 + a + 1e-4 * b, c]),
                vec![],
                vec![],
            ),
        ];
        for (rows, taking, without) in cases {
            let got = found(&rows, &none);
            assert_eq!(got.0, taking);
            assert_eq!(got.1.len(), without.len());
            let same = got.1 == without || taking.len() == 3 && without.len() == 1;
            assert!(same, "{got:?}");
        }
        let hundredths = |v: f64| (v * 100.0).round() / 100.0;
        let rounded = rows(|a, b, _| [a, b, 1.0 - a - b].map(hundredths));
        assert!(found(&rounded, &none).0.is_empty());
        assert_eq!(found(&rounded, &[0.01 / 12f64.sqrt(); 3]).1.len(), 1);
    }

    #[test]
    fn single_precision_loses_what_is_narrower_than_its_spacing() {
        let at = |place: f64, width: f64| {
            let rows = rows(|a, b, c| [place + a, place + a + width * b, c]);
            lost_in_single(&rows, 3)
        };
        assert!(at(0.0, 1e-3) < 1e-6, "{}", at(0.0, 1e-3));
        assert!(at(1e4, 1.0) < 1e-6, "{}", at(1e4, 1.0));
        // A spacing of 2^-10: its mean square error over 12 in each of two coordinates.
        let expected = (1.0 + 2.0 * (0.5f64.powi(20) / 12.0) / 1e-6).ln() / 2.0;
        let lost = at(1e4, 1e-3);
        assert!((lost - expected).abs() < 0.02, "{lost} {expected}");
        // An exact dependence is another fault.
        assert!(lost_in_single(&rows(|a, b, _| [1e4 + a, b, 1e4 + a]), 3) < 1e-6);
    }
}
