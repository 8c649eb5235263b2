//! Moments of samples beside what was asked of them.

use crate::statistics::Statistics;

/// Moments of the model's samples beside what was asked of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments {
    /// E_q\[T\], one per statistic.
    pub mean: Vec<f64>,
    /// Its standard errors.
    pub std_err: Vec<f64>,
    /// Standard deviations of T under the model.
    pub std_dev: Vec<f64>,
    /// m.
    pub target: Vec<f64>,
    /// The Lagrange multipliers that training ended with, and the natural parameters of the exact
    /// solution, to whose negatives they tend.
    pub multipliers: Option<(Vec<f64>, Vec<f64>)>,
    /// Samples whose T is not finite, left out.
    pub non_finite: usize,
}

impl Moments {
    /// Of points given as rows.
    pub fn of(statistics: &Statistics, target: &[f64], rows: &[f64], dim: usize) -> Self {
        let m = target.len();
        let (mut n, mut non_finite) = (0.0, 0);
        let (mut mean, mut squares, mut t) = (vec![0.0; m], vec![0.0; m], vec![0.0; m]);
        for x in rows.chunks_exact(dim) {
            statistics.evaluate(x, &mut t);
            if !t.iter().all(|v| v.is_finite()) {
                non_finite += 1;
                continue;
            }
            n += 1.0;
            for ((mean, squares), t) in mean.iter_mut().zip(&mut squares).zip(&t) {
                let before = t - *mean;
                *mean += before / n;
                *squares += before * (t - *mean);
            }
        }
        let std_dev: Vec<f64> = squares.iter().map(|s| (s / (n - 1.0)).sqrt()).collect();
        Self {
            std_err: std_dev.iter().map(|s| s / n.sqrt()).collect(),
            mean,
            std_dev,
            target: target.to_vec(),
            multipliers: None,
            non_finite,
        }
    }

    /// The largest distance of a mean from its target, in standard deviations of the statistic, with
    /// its standard error in the same unit.
    pub fn worst(&self) -> Option<(f64, f64)> {
        let each = self.mean.iter().zip(&self.target).zip(&self.std_dev);
        let each = each.zip(&self.std_err);
        each.map(|(((mean, target), dev), err)| ((mean - target).abs() / dev, err / dev))
            .filter(|(v, _)| v.is_finite())
            .max_by(|a, b| a.0.total_cmp(&b.0))
    }
}
