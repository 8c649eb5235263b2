//! The integral of a two-dimensional density, by the midpoint rule on a grid that is refined where
//! samples show that its cells are too coarse.

use super::evaluation::grid_rows;
use super::{given, Better, Metric, Outcome};
use crate::Result;

/// A cell is too coarse if log q at one of its samples is this far from log q at its centre, nats.
const APART: f64 = 1.0;

/// A cell is refined again if its quarters change its integral by more than this share.
const CHANGE: f64 = 0.1;

/// Cells with less mass and no sample that is [`APART`] are not refined.
const TINY: f64 = 1e-7;

/// How often a cell is quartered at most: single precision ends not far below.
const LEVELS: usize = 12;

/// Evaluations of q beyond the regular grid at most.
const EVALUATIONS: usize = 500_000;

/// The largest error of the grid, as a share of the integral, with which a value is printed, and the largest
/// share of samples in cells that stayed too coarse.
const UNRESOLVED: f64 = 0.01;

/// The integral of q over a box, and what is known of its error.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mass {
    /// The integral over the box.
    pub inside: f64,
    /// Error of `inside`: a third of the difference between the last two resolutions.
    pub error: f64,
    /// Share of the model's samples outside the box.
    pub outside: f64,
    /// Share of the model's samples in cells that stayed too coarse.
    pub unresolved: f64,
    /// Points at which q was evaluated.
    pub evaluations: usize,
    /// Those of them where log q is NaN.
    pub lost: usize,
}

/// A rectangle, log q at its centre, and the indices of the samples in it.
struct Cell {
    low: [f64; 2],
    size: [f64; 2],
    log_q: f64,
    samples: Vec<usize>,
}

impl Cell {
    fn mass(&self) -> f64 {
        if self.log_q.is_nan() {
            return 0.0;
        }
        self.log_q.exp() * self.size[0] * self.size[1]
    }

    /// Samples whose log q is far from that of the centre; those without a finite one say nothing.
    fn apart(&self, own_log_q: &[f64]) -> usize {
        let own = self.samples.iter().map(|i| own_log_q[*i]);
        let finite = own.filter(|own| own.is_finite());
        finite
            .filter(|own| !((own - self.log_q).abs() <= APART))
            .count()
    }

    /// Its four quarters, not yet evaluated.
    fn quarters(&self, samples: &[f64]) -> [Self; 4] {
        let size = self.size.map(|s| 0.5 * s);
        let mut quarters = [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(i, j)| Self {
            low: [
                self.low[0] + f64::from(i) * size[0],
                self.low[1] + f64::from(j) * size[1],
            ],
            size,
            log_q: f64::NAN,
            samples: Vec::new(),
        });
        let middle = quarters[3].low;
        for i in &self.samples {
            let [right, above] = [0, 1].map(|d| usize::from(samples[2 * i + d] >= middle[d]));
            quarters[right + 2 * above].samples.push(*i);
        }
        quarters
    }
}

impl Mass {
    /// Of the density whose logarithm at rows (x, y) is `log_q`, over `view`, from a grid of `side * side` cells.
    /// `samples` are rows drawn from it and `own_log_q` their log q.
    ///
    /// # Errors
    /// Where `log_q` fails.
    pub fn of(
        log_q: &dyn Fn(&[f64]) -> Result<Vec<f64>>,
        (view, side): ([(f64, f64); 2], usize),
        (samples, own_log_q): (&[f64], &[f64]),
    ) -> Result<Self> {
        let n = own_log_q.len() as f64;
        let size = view.map(|(low, high)| (high - low) / side as f64);
        let values = log_q(&grid_rows(view, side))?;
        let mut cells: Vec<Cell> = (0..values.len())
            .map(|i| Cell {
                low: [
                    view[0].0 + size[0] * (i % side) as f64,
                    view[1].0 + size[1] * (i / side) as f64,
                ],
                size,
                log_q: values[i],
                samples: Vec::new(),
            })
            .collect();
        let mut outside = 0;
        for (k, s) in samples.chunks_exact(2).enumerate() {
            if (0..2).all(|d| s[d] >= view[d].0 && s[d] < view[d].1) {
                let at = |d: usize| (((s[d] - view[d].0) / size[d]) as usize).min(side - 1);
                cells[at(1) * side + at(0)].samples.push(k);
            } else {
                outside += 1;
            }
        }
        // Blocks of two by two cells, so that each of the four grids of every second cell loses as many.
        let block = |i: usize| (i / side / 2) * side.div_ceil(2) + i % side / 2;
        let mut is_open = vec![false; side.div_ceil(2).pow(2)];
        for (i, cell) in cells.iter().enumerate() {
            let expected = n * cell.mass();
            // A centre on a narrow ridge promises far more samples than the cell has.
            let too_heavy = expected > 4.0 * (cell.samples.len() as f64 + 5.0);
            is_open[block(i)] |= too_heavy || cell.apart(own_log_q) > 0;
        }
        let mut found = Self {
            outside: outside as f64 / n,
            evaluations: values.len(),
            lost: values.iter().filter(|l| l.is_nan()).count(),
            ..Self::default()
        };
        let mut coarse = [0.0; 4];
        let mut open = Vec::new();
        for (i, cell) in cells.into_iter().enumerate() {
            if is_open[block(i)] {
                open.push(cell);
            } else {
                coarse[2 * (i / side % 2) + i % side % 2] += cell.mass();
            }
        }
        let regular: f64 = coarse.iter().sum();
        // Each of the four integrates a quarter of the cells, four times as heavy.
        let squares = coarse.iter().map(|c| (4.0 * c - regular).powi(2));
        let spread = (squares.sum::<f64>() / 12.0).sqrt();
        let most = found.evaluations + EVALUATIONS;
        let mut change = 0.0;
        for _ in 0..LEVELS {
            if open.is_empty() || found.evaluations + 4 * open.len() > most {
                break;
            }
            let mut quarters: Vec<[Cell; 4]> = open.iter().map(|c| c.quarters(samples)).collect();
            let all = quarters.as_flattened_mut();
            let centre = |c: &Cell| [0, 1].map(|d| c.low[d] + 0.5 * c.size[d]);
            let rows: Vec<f64> = all.iter().flat_map(centre).collect();
            for (cell, value) in all.iter_mut().zip(log_q(&rows)?) {
                cell.log_q = value;
                found.evaluations += 1;
                found.lost += usize::from(value.is_nan());
            }
            let mut next = Vec::new();
            for (cell, quarters) in open.iter().zip(quarters) {
                let before = cell.mass();
                let after: f64 = quarters.iter().map(Cell::mass).sum();
                let settled = (after - before).abs() <= CHANGE * after.max(before);
                for quarter in quarters {
                    let mass = quarter.mass();
                    if quarter.apart(own_log_q) > 0 || (!settled && mass > TINY) {
                        next.push(quarter);
                    } else {
                        found.inside += mass;
                        // Cells too light to be refined again count whole.
                        change += match settled {
                            true if after > 0.0 => mass * (after - before) / after,
                            _ => mass,
                        };
                    }
                }
            }
            open = next;
        }
        let left: f64 = open.iter().map(Cell::mass).sum();
        let unresolved: usize = open.iter().map(|c| c.apart(own_log_q)).sum();
        found.unresolved = unresolved as f64 / n;
        found.inside += regular + left;
        // The error of the midpoint rule falls by a factor of four at each quartering.
        found.error = spread.hypot(change / 3.0).hypot(left);
        Ok(found)
    }
}

/// The standard error holds that of the share of samples outside and the error of the grid.
pub(super) const MASS: Metric = Metric {
    name: "mass",
    describe: "integral of the model's density over a grid plus the share of samples outside it",
    unit: "share",
    better: Better::Near(1.0),
    evaluate: |on| {
        given(&on.mass, "needs two dimensions", |found| {
            let value = found.inside + found.outside;
            if found.unresolved > UNRESOLVED || !(found.error <= UNRESOLVED * value.max(1.0)) {
                return Outcome::none("the density is too narrow for the grid").without(found.lost);
            }
            let variance = found.outside * (1.0 - found.outside) / on.samples as f64;
            let error = variance.sqrt().hypot(found.error);
            Outcome::of(value, Some(error), found.evaluations).without(found.lost)
        })
    },
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use std::f64::consts::TAU;

    const N: usize = 10_000;

    /// log of sum_k w_k N(m_k, diag(s^2)) at rows.
    fn mixture(parts: &[([f64; 2], [f64; 2])], rows: &[f64]) -> Vec<f64> {
        let share = 1.0 / parts.len() as f64;
        let density = |x: &[f64]| {
            let part = |(m, s): &([f64; 2], [f64; 2])| {
                let squares: f64 = (0..2).map(|d| ((x[d] - m[d]) / s[d]).powi(2)).sum();
                share * (-0.5 * squares).exp() / (TAU * s[0] * s[1])
            };
            parts.iter().map(part).sum::<f64>().ln()
        };
        rows.chunks_exact(2).map(density).collect()
    }

    fn mass_of(parts: &[([f64; 2], [f64; 2])], reach: f64, scale: f64) -> Mass {
        let rng = &mut Rng::new(7);
        let draw = |k: usize| {
            let (m, s) = parts[k % parts.len()];
            [m[0] + s[0] * rng.normal(), m[1] + s[1] * rng.normal()]
        };
        let samples: Vec<f64> = (0..N).flat_map(draw).collect();
        let own = mixture(parts, &samples);
        let log_q = |rows: &[f64]| {
            let values = mixture(parts, rows).into_iter();
            Ok(values.map(|v| v + scale.ln()).collect())
        };
        let own: Vec<f64> = own.into_iter().map(|v| v + scale.ln()).collect();
        Mass::of(&log_q, ([(-reach, reach); 2], 100), (&samples, &own)).unwrap()
    }

    #[test]
    fn narrow_densities_are_integrated_and_wide_ones_cost_one_grid() {
        let wide = mass_of(&[([0.0; 2], [1.0; 2])], 6.0, 1.0);
        assert_eq!((wide.evaluations, wide.unresolved), (100 * 100, 0.0));
        assert!(
            (wide.inside - 1.0).abs() < 1e-6 && wide.error < 1e-6,
            "{wide:?}"
        );
        let modes: Vec<_> = (0..11)
            .map(|k| ([0.37 * k as f64 - 1.7, 0.29 * k as f64 - 1.3], [1e-3; 2]))
            .collect();
        for (parts, reach, scale) in [
            (&[([0.0; 2], [10.0, 0.01])][..], 60.0, 1.0),
            (&modes, 3.0, 1.0),
            (&modes, 3.0, 1.5),
            (&[([0.0; 2], [1.0; 2]), ([0.31, 0.77], [1e-3; 2])], 6.0, 1.0),
        ] {
            let found = mass_of(parts, reach, scale);
            let off = (found.inside - scale).abs();
            assert!(
                off < 4.0 * found.error.max(1e-4) && found.error < 0.01,
                "{found:?}"
            );
            assert!(found.evaluations <= 100 * 100 + EVALUATIONS && found.unresolved == 0.0);
        }
    }

    #[test]
    fn what_stays_too_narrow_has_no_value() {
        let found = mass_of(&[([0.123, 0.456], [1e-9; 2])], 3.0, 1.0);
        assert!(found.unresolved > 0.5, "{found:?}");
        let on = crate::metrics::Evaluation {
            mass: Some(found),
            samples: N,
            ..Default::default()
        };
        assert!(matches!(
            (MASS.evaluate)(&on),
            Outcome::NotApplicable { .. }
        ));
    }
}
