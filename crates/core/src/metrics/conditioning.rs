//! How much the map between data and base stretches.

use candle_core::{Tensor, Var};

use super::{Better, Evaluation, Metric, Outcome};
use crate::models::Model;
use crate::num;
use crate::Result;

/// Held-out points, and as many samples, in up to two dimensions; fewer in more, since every
/// coordinate costs a pass.
const MAX_POINTS: usize = 2000;

/// Points that are carried to the base at once.
const ROWS: usize = 512;

/// Singular values of the Jacobian dz/dx of the map from data to base at points of the truth and
/// samples of the model, each through the piece that it lies in.
#[derive(Debug, Clone, PartialEq)]
pub struct Conditioning {
    /// log10(sigma_max / sigma_min), from low to high.
    pub log_kappa: Vec<f64>,
    /// 1 / sigma_min, from low to high: the most that the map from base to data expands there.
    pub expansion: Vec<f64>,
    /// sigma_max, from low to high: the most that the map from data to base expands there.
    pub inverse_expansion: Vec<f64>,
    /// max |x - g(f(x))| over coordinates, f leading to the base and g back by the same piece.
    pub round_trip: Option<f64>,
    /// Points where something is not finite, left out.
    pub non_finite: usize,
}

impl Conditioning {
    /// Of points (n, dim) each; `None` for a model without a base.
    pub fn of(model: &dyn Model, sets: &[Tensor]) -> Result<Option<Self>> {
        let dim = model.dim();
        let mut out = Self {
            log_kappa: Vec::new(),
            expansion: Vec::new(),
            inverse_expansion: Vec::new(),
            round_trip: None,
            non_finite: 0,
        };
        for set in sets {
            let n = set.dim(0)?.min(2 * MAX_POINTS / dim.max(2));
            // On a CPU few at a time: all that a backward pass keeps then stays in the caches.
            let rows = num::rows_at_once(set.device()).min(ROWS);
            for start in (0..n).step_by(rows) {
                let x = set.narrow(0, start, rows.min(n - start))?;
                let Some(jacobians) = jacobians(model, &x)? else {
                    return Ok(None);
                };
                for jacobian in jacobians.chunks_exact(dim * dim) {
                    out.add(&singular_values(jacobian, dim));
                }
                if let Some(back) = model.round_trip(&x)? {
                    let errors = num::to_vec(&(back - &x)?.abs()?)?;
                    let finite = errors.into_iter().filter(|v| v.is_finite());
                    out.round_trip = Some(finite.fold(out.round_trip.unwrap_or(0.0), f64::max));
                }
            }
        }
        for values in [
            &mut out.log_kappa,
            &mut out.expansion,
            &mut out.inverse_expansion,
        ] {
            values.sort_unstable_by(f64::total_cmp);
        }
        Ok(Some(out))
    }

    fn add(&mut self, sigma: &[f64]) {
        let most = sigma.iter().copied().fold(0.0, f64::max);
        let least = sigma.iter().copied().fold(f64::INFINITY, f64::min);
        let log_kappa = (most / least).log10();
        if !log_kappa.is_finite() || sigma.iter().any(|s| !s.is_finite()) {
            self.non_finite += 1;
            return;
        }
        self.log_kappa.push(log_kappa);
        self.expansion.push(1.0 / least);
        self.inverse_expansion.push(most);
    }
}

/// The order statistic nearest to this share of `sorted`, which holds something.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}

/// dz/dx of every row of `x` (n, dim), dim^2 numbers each, by a backward pass per coordinate of z.
fn jacobians(model: &dyn Model, x: &Tensor) -> Result<Option<Vec<f64>>> {
    let (n, dim) = x.dims2()?;
    let x = Var::from_tensor(&x.contiguous()?)?;
    let Some(z) = model.to_base(x.as_tensor())? else {
        return Ok(None);
    };
    let mut out = vec![0.0; n * dim * dim];
    for d in 0..dim {
        let gradients = z.narrow(1, d, 1)?.sum_all()?.backward()?;
        // A coordinate that does not depend on x has no gradient at all.
        let Some(row) = gradients.get(&x) else {
            continue;
        };
        let row = num::to_vec(row)?;
        for (jacobian, row) in out.chunks_exact_mut(dim * dim).zip(row.chunks_exact(dim)) {
            jacobian[d * dim..(d + 1) * dim].copy_from_slice(row);
        }
    }
    Ok(Some(out))
}

/// Of a square matrix given by rows, in no order, by one-sided Jacobi rotations (Hestenes 1958),
/// which find the small ones to the precision of the entries.
fn singular_values(matrix: &[f64], dim: usize) -> Vec<f64> {
    let mut rows: Vec<Vec<f64>> = matrix.chunks_exact(dim).map(<[f64]>::to_vec).collect();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    if matrix.iter().all(|v| v.is_finite()) {
        for _sweep in 0..60 {
            let mut rotated = false;
            for i in 0..dim {
                for j in i + 1..dim {
                    let (a, b) = (dot(&rows[i], &rows[i]), dot(&rows[j], &rows[j]));
                    let c = dot(&rows[i], &rows[j]);
                    if c.abs() <= 1e-15 * (a * b).sqrt() {
                        continue;
                    }
                    rotated = true;
                    let zeta = (b - a) / (2.0 * c);
                    let t = zeta.signum() / (zeta.abs() + zeta.hypot(1.0));
                    let cos = 1.0 / t.hypot(1.0);
                    let sin = cos * t;
                    let (before, behind) = rows.split_at_mut(j);
                    for (p, q) in before[i].iter_mut().zip(&mut behind[0]) {
                        (*p, *q) = (cos * *p - sin * *q, sin * *p + cos * *q);
                    }
                }
            }
            if !rotated {
                break;
            }
        }
    }
    rows.iter().map(|r| dot(r, r).sqrt()).collect()
}

fn outcome(on: &Evaluation, value: fn(&Conditioning) -> Option<f64>) -> Outcome {
    let Some(found) = &on.conditioning else {
        return Outcome::none("the model has no base");
    };
    if found.log_kappa.is_empty() {
        return Outcome::NotApplicable {
            why: "no point has a finite Jacobian",
            non_finite: found.non_finite,
        };
    }
    match value(found) {
        None => Outcome::none("the model has no way back by the same piece"),
        Some(value) => Outcome::Value {
            value,
            std_err: None,
            n: found.log_kappa.len(),
            non_finite: found.non_finite,
        },
    }
}

/// Median of log10(sigma_max / sigma_min) over 2,000 held-out points and as many samples.
pub const CONDITION_MEDIAN: Metric = Metric {
    name: "log_kappa_median",
    describe: "condition number of the Jacobian dz/dx: median over points and samples",
    unit: "log10",
    better: Better::Lower,
    is_cost: false,
    evaluate: |on| outcome(on, |c| Some(quantile(&c.log_kappa, 0.5))),
};

/// 99 % quantile of the same.
pub const CONDITION_HIGH: Metric = Metric {
    name: "log_kappa_99pc",
    describe: "condition number of the Jacobian dz/dx: 99 % quantile",
    unit: "log10",
    better: Better::Lower,
    is_cost: false,
    evaluate: |on| outcome(on, |c| Some(quantile(&c.log_kappa, 0.99))),
};

/// The largest of the same. In single precision nothing above about 7 can be told apart.
pub const CONDITION_MAX: Metric = Metric {
    name: "log_kappa_max",
    describe: "condition number of the Jacobian dz/dx: the largest found",
    unit: "log10",
    better: Better::Lower,
    is_cost: false,
    evaluate: |on| outcome(on, |c| Some(quantile(&c.log_kappa, 1.0))),
};

/// Median of -log10 sigma_min(dz/dx) over the same points: how much the map from base to data expands
/// where it expands the most.
pub const EXPANSION_MEDIAN: Metric = Metric {
    name: "log_expansion_median",
    describe: "largest expansion from base to data at a point: median over points and samples",
    unit: "log10 data units",
    better: Better::Neither,
    is_cost: false,
    evaluate: |on| outcome(on, |c| Some(quantile(&c.expansion, 0.5).log10())),
};

/// 99 % quantile of the same.
pub const EXPANSION_HIGH: Metric = Metric {
    name: "log_expansion_99pc",
    describe: "largest expansion from base to data at a point: 99 % quantile",
    unit: "log10 data units",
    better: Better::Neither,
    is_cost: false,
    evaluate: |on| outcome(on, |c| Some(quantile(&c.expansion, 0.99).log10())),
};

/// Median of log10 sigma_max(dz/dx): the same from data to base.
pub const INVERSE_EXPANSION_MEDIAN: Metric = Metric {
    name: "log_inverse_expansion_median",
    describe: "largest expansion from data to base at a point: median over points and samples",
    unit: "log10 1/data units",
    better: Better::Neither,
    is_cost: false,
    evaluate: |on| outcome(on, |c| Some(quantile(&c.inverse_expansion, 0.5).log10())),
};

/// 99 % quantile of the same.
pub const INVERSE_EXPANSION_HIGH: Metric = Metric {
    name: "log_inverse_expansion_99pc",
    describe: "largest expansion from data to base at a point: 99 % quantile",
    unit: "log10 1/data units",
    better: Better::Neither,
    is_cost: false,
    evaluate: |on| outcome(on, |c| Some(quantile(&c.inverse_expansion, 0.99).log10())),
};

/// max 1 / sigma_min(dz/dx): a lower bound of the Lipschitz constant of the map from base to data, which
/// by Gaussian isoperimetry bounds the bridge mass of a normal base from below.
pub const LIPSCHITZ: Metric = Metric {
    name: "lipschitz",
    describe: "largest expansion found from base to data, a lower bound of the Lipschitz constant",
    unit: "data units",
    better: Better::Neither,
    is_cost: false,
    evaluate: |on| outcome(on, |c| Some(quantile(&c.expansion, 1.0))),
};

/// max sigma_max(dz/dx): the same from data to base.
pub const INVERSE_LIPSCHITZ: Metric = Metric {
    name: "inverse_lipschitz",
    describe: "largest expansion found from data to base",
    unit: "1/data units",
    better: Better::Neither,
    is_cost: false,
    evaluate: |on| outcome(on, |c| Some(quantile(&c.inverse_expansion, 1.0))),
};

/// max |x - g(f(x))| in the model's precision, over the same points and all coordinates.
pub const ROUND_TRIP: Metric = Metric {
    name: "round_trip_error",
    describe: "largest error of a point carried to the base and back",
    unit: "data units",
    better: Better::Lower,
    is_cost: false,
    evaluate: |on| outcome(on, |c| c.round_trip),
};

#[cfg(test)]
mod tests {
    use super::singular_values;

    #[test]
    fn singular_values_of_known_matrices() {
        let sorted = |matrix: &[f64], dim: usize| {
            let mut s = singular_values(matrix, dim);
            s.sort_by(f64::total_cmp);
            s
        };
        // A shear by 1: the golden ratio and its inverse.
        let golden = 0.5 * (1.0 + 5f64.sqrt());
        let got = sorted(&[1.0, 1.0, 0.0, 1.0], 2);
        assert!((got[0] - 1.0 / golden).abs() < 1e-15 && (got[1] - golden).abs() < 1e-15);
        // Rotation times diag(1e8, 1e-8) times rotation: the small one to full precision.
        let (c, s) = (0.6, 0.8);
        let (big, small) = (1e8, 1e-8);
        let got = sorted(&[c * big, -s * small, s * big, c * small], 2);
        assert!((got[0] / small - 1.0).abs() < 1e-12 && (got[1] / big - 1.0).abs() < 1e-12);
        // Circulant (2, 1, 0): |2 + w| over the cube roots of one.
        let got = sorted(&[2.0, 1.0, 0.0, 0.0, 2.0, 1.0, 1.0, 0.0, 2.0], 3);
        for (got, want) in got.iter().zip([3f64.sqrt(), 3f64.sqrt(), 3.0]) {
            assert!((got - want).abs() < 1e-14, "{got} {want}");
        }
        assert_eq!(sorted(&[0.0; 4], 2), [0.0, 0.0]);
        assert!(singular_values(&[f64::NAN, 0.0, 0.0, 1.0], 2)[0].is_nan());
    }
}
