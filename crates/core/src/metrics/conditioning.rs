//! How much the map between data and base stretches.

use candle_core::{Tensor, Var};
use nalgebra::DMatrix;

use super::{given, Better, Evaluation, Metric, Outcome};
use crate::models::Model;
use crate::num;
use crate::Result;

/// Held-out points, and as many samples, in up to two dimensions; fewer in more, since every
/// coordinate costs a pass.
const MAX_POINTS: usize = 2000;

/// Points that are carried to the base at once.
const ROWS: usize = 512;

/// Norms of the Jacobian dz/dx of the map from data to base, and of its inverse, at points of the truth
/// and samples of the model, each through the piece that it lies in.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Conditioning {
    /// log10(sigma_max / sigma_min), from low to high.
    pub log_kappa: Vec<f64>,
    /// 1 / sigma_min, from low to high: the most that the map from base to data expands there.
    pub expansion: Vec<f64>,
    /// sigma_max, from low to high: the most that the map from data to base expands there.
    pub inverse_expansion: Vec<f64>,
    /// max |x - g(f(x))| over the coordinates of finite x, f leading to the base and g back by the same
    /// piece; NaN where one g(f(x)) is.
    pub round_trip: Option<f64>,
    /// Points where something is not finite, left out.
    pub non_finite: usize,
}

impl Conditioning {
    /// Of points (n, dim) each; `None` for a model without a base.
    pub fn of(model: &dyn Model, sets: &[Tensor]) -> Result<Option<Self>> {
        let dim = model.dim();
        let mut out = Self::default();
        for set in sets {
            let n = set.dim(0)?.min(2 * MAX_POINTS / dim.max(2));
            // On a CPU few at a time: all that a backward pass keeps then stays in the caches.
            let rows = num::rows_at_once(set.device()).min(ROWS);
            for x in num::chunks(&set.narrow(0, 0, n)?, rows)? {
                let Some(jacobians) = jacobians(model, &x)? else {
                    return Ok(None);
                };
                for jacobian in jacobians.chunks_exact(dim * dim) {
                    match norms(jacobian, dim) {
                        Some([most, expansion]) if (most * expansion).is_finite() => {
                            out.log_kappa.push((most * expansion).log10().max(0.0));
                            out.expansion.push(expansion);
                            out.inverse_expansion.push(most);
                        }
                        _ => out.non_finite += 1,
                    }
                }
                if let Some(back) = model.round_trip(&x)? {
                    let (x, back) = (num::to_vec(&x)?, num::to_vec(&back)?);
                    let both = x.iter().zip(&back).filter(|(x, _)| x.is_finite());
                    let errors = both.map(|(x, back)| (back - x).abs());
                    let before = out.round_trip.unwrap_or(0.0);
                    out.round_trip = Some(num::largest(errors.chain([before])));
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
}

/// The largest singular values of a square matrix, given by rows, and of its inverse: the smallest one
/// of the matrix itself would only be known to the precision of the largest.
fn norms(matrix: &[f64], dim: usize) -> Option<[f64; 2]> {
    let is_finite = |m: &DMatrix<f64>| m.iter().all(|v| v.is_finite());
    let matrix = Some(DMatrix::from_row_slice(dim, dim, matrix)).filter(is_finite)?;
    let inverse = matrix.clone().try_inverse().filter(is_finite)?;
    Some([matrix, inverse].map(|m| m.singular_values().max()))
}

/// The order statistic nearest to this share of `sorted`; `None` if that is empty.
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    Some(sorted[(last as f64 * share).round() as usize])
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

/// `value` of what was found, which has at least one point.
fn outcome(on: &Evaluation, value: fn(&Conditioning) -> Option<f64>) -> Outcome {
    given(&on.conditioning, "the model has no base", |found| {
        let outcome = match (found.log_kappa.len(), value(found)) {
            (0, _) => Outcome::none("no point has a finite Jacobian"),
            (_, None) => Outcome::none("the model has no inverse by the same piece"),
            (n, Some(v)) => Outcome::of(v, None, n),
        };
        outcome.without(found.non_finite)
    })
}

/// Median of log10(sigma_max / sigma_min).
pub(super) const CONDITION_MEDIAN: Metric = Metric {
    name: "log_kappa_median",
    describe: "condition number of the Jacobian dz/dx: median over points and samples",
    unit: "log10",
    better: Better::Lower,
    solved: || [0.0, 15.0],
    evaluate: |on| outcome(on, |c| quantile(&c.log_kappa, 0.5)),
};

pub(super) const CONDITION_HIGH: Metric = Metric {
    name: "log_kappa_99pc",
    describe: "condition number of the Jacobian dz/dx: 99 % quantile",
    unit: "log10",
    better: Better::Lower,
    solved: || [0.0, 29.7],
    evaluate: |on| outcome(on, |c| quantile(&c.log_kappa, 0.99)),
};

/// In single precision nothing above about 7 can be told apart.
pub(super) const CONDITION_MAX: Metric = Metric {
    name: "log_kappa_max",
    describe: "condition number of the Jacobian dz/dx: the largest found",
    unit: "log10",
    better: Better::Lower,
    solved: || [0.0, 30.0],
    evaluate: |on| outcome(on, |c| quantile(&c.log_kappa, 1.0)),
};

/// Median of -log10 sigma_min(dz/dx).
pub(super) const EXPANSION_MEDIAN: Metric = Metric {
    name: "log_expansion_median",
    describe: "largest expansion from base to data at a point: median over points and samples",
    unit: "log10 data units",
    better: Better::Neither,
    solved: || [0.0, 16f64.log10()],
    evaluate: |on| outcome(on, |c| Some(quantile(&c.expansion, 0.5)?.log10())),
};

pub(super) const EXPANSION_HIGH: Metric = Metric {
    name: "log_expansion_99pc",
    describe: "largest expansion from base to data at a point: 99 % quantile",
    unit: "log10 data units",
    better: Better::Neither,
    solved: || [0.0, 30.7f64.log10()],
    evaluate: |on| outcome(on, |c| Some(quantile(&c.expansion, 0.99)?.log10())),
};

/// Median of log10 sigma_max(dz/dx).
pub(super) const INVERSE_EXPANSION_MEDIAN: Metric = Metric {
    name: "log_inverse_expansion_median",
    describe: "largest expansion from data to base at a point: median over points and samples",
    unit: "log10 1/data units",
    better: Better::Neither,
    solved: || [0.0, 31f64.log10()],
    evaluate: |on| outcome(on, |c| Some(quantile(&c.inverse_expansion, 0.5)?.log10())),
};

pub(super) const INVERSE_EXPANSION_HIGH: Metric = Metric {
    name: "log_inverse_expansion_99pc",
    describe: "largest expansion from data to base at a point: 99 % quantile",
    unit: "log10 1/data units",
    better: Better::Neither,
    solved: || [0.0, 60.4f64.log10()],
    evaluate: |on| outcome(on, |c| Some(quantile(&c.inverse_expansion, 0.99)?.log10())),
};

/// max 1 / sigma_min(dz/dx).
pub(super) const LIPSCHITZ: Metric = Metric {
    name: "lipschitz",
    describe: "largest expansion found from base to data, a lower bound of the Lipschitz constant",
    unit: "data units",
    better: Better::Neither,
    solved: || [1.0, 31.0],
    evaluate: |on| outcome(on, |c| quantile(&c.expansion, 1.0)),
};

/// max sigma_max(dz/dx).
pub(super) const INVERSE_LIPSCHITZ: Metric = Metric {
    name: "inverse_lipschitz",
    describe: "largest expansion found from data to base",
    unit: "1/data units",
    better: Better::Neither,
    solved: || [1.0, 61.0],
    evaluate: |on| outcome(on, |c| quantile(&c.inverse_expansion, 1.0)),
};

/// max |x - g(f(x))| over all coordinates, in the model's precision.
pub(super) const ROUND_TRIP: Metric = Metric {
    name: "round_trip_error",
    describe: "largest error of a point carried to the base and back",
    unit: "data units",
    better: Better::Lower,
    solved: || [0.0, 0.3],
    evaluate: |on| outcome(on, |c| c.round_trip),
};

#[cfg(test)]
mod tests {
    use super::norms;

    #[test]
    fn norms_of_known_matrices() {
        // A shear by 1: the golden ratio. Circulant (2, 1, 0): |2 + w| over the cube roots of one.
        let golden = 0.5 * (1.0 + 5f64.sqrt());
        // Rotation times diag(1e8, 1e-8): the small one to full precision.
        let (c, s, big, small) = (0.6, 0.8, 1e8, 1e-8);
        let scaled = [c * big, -s * small, s * big, c * small];
        let circulant = [2.0, 1.0, 0.0, 0.0, 2.0, 1.0, 1.0, 0.0, 2.0];
        let cases: [(&[f64], usize, [f64; 2]); 3] = [
            (&[1.0, 1.0, 0.0, 1.0], 2, [golden, golden]),
            (&scaled, 2, [big, big]),
            (&circulant, 3, [3.0, 1.0 / 3f64.sqrt()]),
        ];
        for (matrix, dim, want) in cases {
            let got = norms(matrix, dim).unwrap();
            for (got, want) in got.into_iter().zip(want) {
                assert!((got / want - 1.0).abs() < 1e-14, "{matrix:?}: {got} {want}");
            }
        }
        assert_eq!(norms(&[0.0; 4], 2), None);
        assert_eq!(norms(&[f64::NAN, 0.0, 0.0, 1.0], 2), None);
    }
}
