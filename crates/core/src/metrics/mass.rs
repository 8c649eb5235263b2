//! The integral of a two-dimensional density: by the midpoint rule on a regular grid where that resolves
//! the density, and else on cells that are halved where the density is narrow.

use super::evaluation::grid_rows;
use super::{given, Better, Metric, Outcome};
use crate::Result;

/// Points of a cell miss a peak if log q at one of its samples is this far above log q at each of them, nats.
const ABOVE: f64 = 1.0;

/// The regular grid is enough if it misses no peak and the standard error of its four grids of every second cell is below this.
const SETTLED: f64 = 2e-3;

/// Cells are halved until the sum of their errors is below this and none misses a peak.
const TARGET: f64 = 5e-3;

/// Cells of the regular grid with less mass and no sample are not refined.
const TINY: f64 = 1e-8;

/// Evaluations of q at most, beyond five for each cell of the regular grid.
const EVALUATIONS: usize = 300_000;

/// How often a cell is halved along an axis at most.
const HALVINGS: u32 = 40;

/// The largest error of the grid, as a share of the integral, with which a value is printed.
const INACCURATE: f64 = 0.05;

/// The largest share of samples in cells that miss a peak with which a value is printed.
const UNRESOLVED: f64 = 1e-3;

/// The integral of q over a box, and what is known of its error.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mass {
    /// The integral over the box.
    pub inside: f64,
    /// Error of `inside`: how far the results of two resolutions differ.
    pub error: f64,
    /// Share of the model's samples outside the box.
    pub outside: f64,
    /// Share of the model's samples whose cells miss the peak that they are on.
    pub unresolved: f64,
    /// Points at which q was evaluated.
    pub evaluations: usize,
    /// Those of them where log q is NaN.
    pub lost: usize,
}

/// A rectangle, its samples, and what is known of q in it.
#[derive(Default)]
struct Cell {
    low: [f64; 2],
    size: [f64; 2],
    halvings: [u32; 2],
    /// Indices.
    samples: Vec<usize>,
    /// log q at the centre.
    centre: f64,
    /// log q at the centres of the two halves along each axis.
    halves: [[f64; 2]; 2],
    /// What the halves along each axis add to the midpoint rule.
    change: [f64; 2],
    /// How many samples are on a peak that none of the five points meets.
    missing: usize,
    /// The error of the midpoint rule, and the share of samples that are missing.
    doubt: f64,
}

/// The density; NaN is none.
fn density(log_q: f64) -> f64 {
    if log_q.is_nan() {
        return 0.0;
    }
    log_q.exp()
}

impl Cell {
    fn mass(&self) -> f64 {
        density(self.centre) * self.size[0] * self.size[1]
    }

    fn middle(&self) -> [f64; 2] {
        [0, 1].map(|d| self.low[d] + 0.5 * self.size[d])
    }

    /// The centres of its halves: left, right, lower, upper.
    fn arms(&self) -> [[f64; 2]; 4] {
        [(0, -0.25), (0, 0.25), (1, -0.25), (1, 0.25)].map(|(d, share)| {
            let mut at = self.middle();
            at[d] += share * self.size[d];
            at
        })
    }

    /// Takes log q at its arms. Second differences over a quarter of the side are h^2 q'' / 16, and the midpoint
    /// rule's error is h^2 q'' / 24, two thirds of it.
    fn measure(&mut self, arms: &[f64], own_log_q: &[f64]) {
        self.halves = [[arms[0], arms[1]], [arms[2], arms[3]]];
        let area = self.size[0] * self.size[1];
        self.change = self.halves.map(|[a, b]| {
            (density(a) + density(b) - 2.0 * density(self.centre)) * area * (2.0 / 3.0)
        });
        let top = arms.iter().copied().fold(self.centre, f64::max);
        self.missing = above(&self.samples, own_log_q, top);
        let share = self.missing as f64 / own_log_q.len() as f64;
        self.doubt = self.change[0].abs() + self.change[1].abs() + share;
    }

    /// The axis along which to halve it, if there is room in single precision: where samples show a peak that it
    /// misses, the one along which they spread less, else the one along which q changes more.
    fn axis(&self, samples: &[f64]) -> Option<usize> {
        let spread = |d: usize| {
            let along = || self.samples.iter().map(|i| samples[2 * i + d]);
            let range =
                along().fold(f64::NEG_INFINITY, f64::max) - along().fold(f64::INFINITY, f64::min);
            range / self.size[d]
        };
        let second = match self.missing {
            0 => self.change[1].abs() > self.change[0].abs(),
            1 => self.halvings[1] < self.halvings[0],
            _ => spread(1) < spread(0),
        };
        let middle = self.middle();
        let has_room = |d: &usize| {
            let rounding = f64::from(f32::EPSILON) * middle[*d].abs();
            self.halvings[*d] < HALVINGS && self.size[*d] > 64.0 * rounding
        };
        let order = [usize::from(second), usize::from(!second)];
        order.into_iter().find(has_room)
    }

    fn halved(self, axis: usize, samples: &[f64]) -> [Self; 2] {
        let middle = self.middle()[axis];
        let mut halves = [0, 1].map(|k| {
            let mut half = Self {
                low: self.low,
                size: self.size,
                halvings: self.halvings,
                centre: self.halves[axis][k],
                ..Self::default()
            };
            half.size[axis] *= 0.5;
            half.low[axis] += half.size[axis] * k as f64;
            half.halvings[axis] += 1;
            half
        });
        for i in self.samples {
            let upper = samples[2 * i + axis] >= middle;
            halves[usize::from(upper)].samples.push(i);
        }
        halves
    }
}

/// How many of these samples have a log q above `top` by more than [`ABOVE`]; one that is not finite says nothing.
fn above(samples: &[usize], own_log_q: &[f64], top: f64) -> usize {
    let own = samples.iter().map(|i| own_log_q[*i]);
    own.filter(|own| own.is_finite() && !(own - top <= ABOVE))
        .count()
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
        let mut found = Self {
            evaluations: values.len(),
            lost: values.iter().filter(|l| l.is_nan()).count(),
            ..Self::default()
        };
        let cell = |(i, centre): (usize, &f64)| Cell {
            low: [(0, i % side), (1, i / side)].map(|(d, k)| view[d].0 + size[d] * k as f64),
            size,
            centre: *centre,
            ..Cell::default()
        };
        let mut cells: Vec<Cell> = values.iter().enumerate().map(cell).collect();
        let mut outside = 0;
        for (k, s) in samples.chunks_exact(2).enumerate() {
            if (0..2).all(|d| s[d] >= view[d].0 && s[d] < view[d].1) {
                let at = |d: usize| (((s[d] - view[d].0) / size[d]) as usize).min(side - 1);
                cells[at(1) * side + at(0)].samples.push(k);
            } else {
                outside += 1;
            }
        }
        found.outside = outside as f64 / n;
        let mut coarse = [0.0; 4];
        for (i, cell) in cells.iter().enumerate() {
            coarse[2 * (i / side % 2) + i % side % 2] += cell.mass();
        }
        found.inside = coarse.iter().sum();
        // Each of the four integrates a quarter of the cells, four times as heavy.
        let squares = coarse.iter().map(|c| (4.0 * c - found.inside).powi(2));
        found.error = (squares.sum::<f64>() / 12.0).sqrt();
        let is_missed = |(i, cell): (usize, &Cell)| {
            let near = |k: usize| k.saturating_sub(1)..(k + 2).min(side);
            let around = near(i / side).flat_map(|y| near(i % side).map(move |x| y * side + x));
            let top = around.map(|k| values[k]).fold(f64::NEG_INFINITY, f64::max);
            // A centre on a narrow ridge promises far more samples than the cell has.
            let too_heavy = n * cell.mass() > 4.0 * (cell.samples.len() as f64 + 5.0);
            too_heavy || above(&cell.samples, own_log_q, top) > 0
        };
        if found.error <= SETTLED && !cells.iter().enumerate().any(is_missed) {
            return Ok(found);
        }
        let (mut fresh, light): (Vec<Cell>, Vec<Cell>) = cells
            .into_iter()
            .partition(|c| c.mass() > TINY || !c.samples.is_empty());
        let most = 5 * values.len() + EVALUATIONS;
        let mut leaves: Vec<Cell> = Vec::new();
        loop {
            let arms: Vec<f64> = fresh.iter().flat_map(Cell::arms).flatten().collect();
            let at_arms = log_q(&arms)?;
            found.evaluations += at_arms.len();
            found.lost += at_arms.iter().filter(|l| l.is_nan()).count();
            for (cell, arms) in fresh.iter_mut().zip(at_arms.chunks_exact(4)) {
                cell.measure(arms, own_log_q);
            }
            leaves.append(&mut fresh);
            let doubt: f64 = leaves.iter().map(|c| c.doubt).sum();
            if doubt <= TARGET && leaves.iter().all(|c| c.missing == 0) {
                break;
            }
            let bar = TARGET / leaves.len() as f64;
            let (mut wide, rest): (Vec<Cell>, Vec<Cell>) = leaves
                .into_iter()
                .partition(|c| c.doubt > bar && c.axis(samples).is_some());
            leaves = rest;
            wide.sort_by(|a, b| b.doubt.total_cmp(&a.doubt));
            leaves.extend(wide.split_off(wide.len().min((most - found.evaluations) / 8)));
            if wide.is_empty() {
                break;
            }
            fresh = wide
                .into_iter()
                .filter_map(|cell| cell.axis(samples).map(|axis| cell.halved(axis, samples)))
                .flatten()
                .collect();
        }
        let change = |c: &Cell| c.change[0] + c.change[1];
        let total: f64 = leaves.iter().map(change).sum();
        found.inside = light.iter().chain(&leaves).map(Cell::mass).sum::<f64>() + total;
        // Errors of cells add up where they have one sign, and as their squares where signs are random.
        let squares: f64 = leaves.iter().map(|c| change(c).powi(2)).sum();
        found.unresolved = leaves.iter().map(|c| c.missing).sum::<usize>() as f64 / n;
        found.error = total.hypot(squares.sqrt()).hypot(found.unresolved);
        Ok(found)
    }
}

/// The standard error holds that of the share of samples outside and the error of the grid.
pub(super) const MASS: Metric = Metric {
    name: "mass",
    describe: "integral of the model's density over a grid plus the share of samples outside it",
    unit: "share",
    better: Better::Near(1.0),
    solved: || [1.0, 1.0],
    evaluate: |on| {
        given(&on.mass, "needs two dimensions", |found| {
            let value = found.inside + found.outside;
            if found.unresolved > UNRESOLVED || !(found.error <= INACCURATE * value.max(1.0)) {
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
            (&[([0.0; 2], [0.05, 0.04])], 6.0, 0.7),
        ] {
            let found = mass_of(parts, reach, scale);
            let off = (found.inside - scale).abs();
            assert!(
                off < 4.0 * found.error.max(1e-4) && found.error < 0.005,
                "{found:?}"
            );
            assert!(found.evaluations < 150_000 && found.unresolved < UNRESOLVED);
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
