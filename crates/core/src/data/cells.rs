//! Exact draws from a smooth density on a rectangle, by rejection from a table of cells.

use super::law::Modes;
use crate::num::largest;
use crate::rng::Rng;

/// Cells along each side.
const SIDE: usize = 256;

/// A piecewise constant envelope over SIDE x SIDE cells. A cell is drawn by the inverse of its
/// cumulative mass, a point uniformly inside, and kept with probability p(x) / envelope, so that
/// kept points have the law p whatever the envelope, as long as it lies above.
///
/// It is exp(largest log p at a 3 x 3 lattice of the cell, edges included, + margin) with
/// margin = K (h_1^2 + h_2^2) / 32 for cells of sides h and a K above every eigenvalue of
/// -d^2 log p / dx^2. It is an upper bound: where log p is largest, its slope along the cell, edge or
/// corner is 0, the nearest lattice point on the same edge or inside is at most h / 4 away in each
/// coordinate, and towards it log p falls by at most K / 2 times the squared distance. Kinks that open
/// upwards only help.
#[derive(Debug)]
pub(super) struct Cells {
    low: [f64; 2],
    sides: [f64; 2],
    /// log of the envelope of every cell, first coordinate slowest.
    tops: Vec<f64>,
    cells: Modes,
}

impl Cells {
    /// For a density on `hold` up to a constant factor, `curvature` = K.
    pub(super) fn new(
        hold: [(f64, f64); 2],
        curvature: f64,
        log_p: impl Fn(&[f64; 2]) -> f64,
    ) -> Self {
        let low = hold.map(|(low, _)| low);
        let sides = hold.map(|(low, high)| (high - low) / SIDE as f64);
        let margin = curvature * (sides[0] * sides[0] + sides[1] * sides[1]) / 32.0;
        let nodes = 2 * SIDE + 1;
        let at = |i: usize, j: usize| {
            log_p(&[
                low[0] + 0.5 * sides[0] * i as f64,
                low[1] + 0.5 * sides[1] * j as f64,
            ])
        };
        let lattice: Vec<f64> = (0..nodes * nodes)
            .map(|k| at(k / nodes, k % nodes))
            .collect();
        let tops: Vec<f64> = (0..SIDE * SIDE)
            .map(|k| {
                let (i, j) = (2 * (k / SIDE), 2 * (k % SIDE));
                let rows = (i..=i + 2).map(|i| &lattice[i * nodes + j..=i * nodes + j + 2]);
                largest(rows.flatten().copied()) + margin
            })
            .collect();
        let highest = largest(tops.iter().copied());
        let masses: Vec<f64> = tops.iter().map(|top| (top - highest).exp()).collect();
        Self {
            low,
            sides,
            tops,
            cells: Modes::new(&masses),
        }
    }

    /// Writes one point to `x`, for the density of [`new`](Self::new).
    pub(super) fn draw(&self, rng: &mut Rng, x: &mut [f64], log_p: impl Fn(&[f64; 2]) -> f64) {
        loop {
            let (k, point) = self.propose(rng);
            if rng.uniform().ln() < log_p(&point) - self.tops[k] {
                x.copy_from_slice(&point);
                return;
            }
        }
    }

    fn propose(&self, rng: &mut Rng) -> (usize, [f64; 2]) {
        let k = self.cells.draw(rng);
        let at = |d: usize, i: usize, u: f64| self.low[d] + self.sides[d] * (i as f64 + u);
        let a = at(0, k / SIDE, rng.uniform());
        (k, [a, at(1, k % SIDE, rng.uniform())])
    }
}

#[cfg(test)]
mod tests {
    use super::{Cells, SIDE};
    use crate::data::Problem;
    use crate::rng::Rng;

    #[test]
    fn the_envelope_lies_above_and_most_points_are_kept() {
        for name in ["double_well_tilted", "four_wells_coupled", "gaussian"] {
            let problem = Problem::by_name(name).expect("a name");
            let log_p = |x: &[f64; 2]| problem.log_density(x);
            let cells = Cells::new(problem.hold, problem.curvature, log_p);
            let mut rng = Rng::new(6);
            for k in 0..SIDE * SIDE {
                let point = [k / SIDE, k % SIDE].map(|i| i as f64 + rng.uniform());
                let x = [0, 1].map(|d| cells.low[d] + cells.sides[d] * point[d]);
                assert!(log_p(&x) <= cells.tops[k], "{name} at {x:?}");
            }
            let tried = 20_000;
            let share = (0..tried).map(|_| {
                let (k, x) = cells.propose(&mut rng);
                (log_p(&x) - cells.tops[k]).exp()
            });
            let kept = share.sum::<f64>() / f64::from(tried);
            assert!(kept > 0.85, "{name}: {kept}");
        }
    }
}
