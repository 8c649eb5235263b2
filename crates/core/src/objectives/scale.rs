//! The units of constraint errors.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The choice of W that makes the errors W R of statistics with covariance S comparable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scaling {
    /// W = L^-1 with S = L L^T. Multipliers then move by c S^-1 R, a Newton step of the dual times c,
    /// at the same speed in all directions, however nearly some statistics determine others.
    #[default]
    Covariance,
    /// W = diag(1 / s), s the standard deviations: multipliers of nearly dependent statistics move
    /// slowly (x^2 + y^2 and x^4 + y^4 of a mixture with four modes: 300 times).
    StdDevs,
}

impl Scaling {
    /// W (m x m, row by row, lower triangular) of a covariance (m x m).
    pub fn matrix(self, covariance: &[f64], m: usize) -> Vec<f64> {
        let std_devs: Vec<f64> = (0..m).map(|i| std_dev(covariance[i * m + i])).collect();
        let diagonal = || {
            let mut w = vec![0.0; m * m];
            for (i, s) in std_devs.iter().enumerate() {
                w[i * m + i] = 1.0 / s;
            }
            w
        };
        match self {
            Self::StdDevs => diagonal(),
            // There is no such factor if one statistic is a combination of others.
            Self::Covariance => inverse_factor(covariance, &std_devs, m).unwrap_or_else(diagonal),
        }
    }
}

/// The scale of a statistic; 1 if it is constant under the model.
fn std_dev(variance: f64) -> f64 {
    if variance > 1e-24 {
        variance.sqrt()
    } else {
        1.0
    }
}

/// L^-1 for S = L L^T; `None` if S is not positive definite by a margin.
fn inverse_factor(covariance: &[f64], std_devs: &[f64], m: usize) -> Option<Vec<f64>> {
    let mut l = vec![0.0; m * m];
    for i in 0..m {
        for j in 0..=i {
            let below: f64 = (0..j).map(|k| l[i * m + k] * l[j * m + k]).sum();
            let rest = covariance[i * m + j] - below;
            if i == j {
                if !(rest > 1e-7 * std_devs[i].powi(2)) {
                    return None;
                }
                l[i * m + i] = rest.sqrt();
            } else {
                l[i * m + j] = rest / l[j * m + j];
            }
        }
    }
    let mut w = vec![0.0; m * m];
    for j in 0..m {
        for i in j..m {
            let unit = if i == j { 1.0 } else { 0.0 };
            let before: f64 = (j..i).map(|k| l[i * m + k] * w[k * m + j]).sum();
            w[i * m + j] = (unit - before) / l[i * m + i];
        }
    }
    Some(w)
}

/// W v.
pub fn apply(w: &[f64], v: &[f64]) -> Vec<f64> {
    w.chunks_exact(v.len())
        .map(|row| row.iter().zip(v).map(|(w, v)| w * v).sum())
        .collect()
}

/// W^T v.
pub fn apply_transposed(w: &[f64], v: &[f64]) -> Vec<f64> {
    let m = v.len();
    (0..m)
        .map(|j| (0..m).map(|i| w[i * m + j] * v[i]).sum())
        .collect()
}

/// u with W^T u = v.
pub fn solve_transposed(w: &[f64], v: &[f64]) -> Vec<f64> {
    let m = v.len();
    let mut u = v.to_vec();
    for i in (0..m).rev() {
        let above: f64 = (i + 1..m).map(|j| w[j * m + i] * u[j]).sum();
        u[i] = (u[i] - above) / w[i * m + i];
    }
    u
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_become_uncorrelated_and_of_unit_variance() {
        let covariance = [4.0, 3.0, -1.0, 3.0, 9.0, 2.0, -1.0, 2.0, 5.0];
        let w = Scaling::Covariance.matrix(&covariance, 3);
        for i in 0..3 {
            for j in 0..3 {
                let unit = if i == j { 1.0 } else { 0.0 };
                let row = |i: usize| &w[3 * i..3 * i + 3];
                let got: f64 = apply(&covariance, row(j))
                    .iter()
                    .zip(row(i))
                    .map(|(a, b)| a * b)
                    .sum();
                assert!((got - unit).abs() < 1e-12, "{i} {j}: {got}");
            }
        }
        let back = apply_transposed(&w, &solve_transposed(&w, &[1.0, -2.0, 0.5]));
        for (got, expected) in back.iter().zip([1.0, -2.0, 0.5]) {
            assert!((got - expected).abs() < 1e-12, "{back:?}");
        }
        let diagonal = Scaling::StdDevs.matrix(&covariance, 3);
        assert_eq!(apply(&diagonal, &[2.0, 3.0, 5.0]), [1.0, 1.0, 5f64.sqrt()]);
        // The third is the sum of the others.
        let dependent = [1.0, 0.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 2.0];
        let w = Scaling::Covariance.matrix(&dependent, 3);
        assert_eq!(w, Scaling::StdDevs.matrix(&dependent, 3));
    }
}
