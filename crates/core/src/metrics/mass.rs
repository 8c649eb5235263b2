//! Whether the density is one.

use super::{Better, Metric, Outcome};

/// The integral of q over a grid by the midpoint rule, plus the share of q's samples outside it: a
/// self-check of density and sampler, 1 up to the grid's error. The standard error holds that of
/// the share and, for ridges that the grid does not resolve, the spread of the four coarser grids
/// of every second cell.
pub const MASS: Metric = Metric {
    name: "mass",
    describe: "integral of the model's density over a grid plus the share of samples outside it",
    unit: "share",
    better: Better::Near(1.0),
    is_cost: false,
    evaluate: |on| {
        let Some(grid) = &on.grid else {
            return Outcome::none("needs two dimensions");
        };
        let side = grid.side as f64;
        let cell: f64 = grid.view.iter().map(|(l, h)| (h - l) / side).product();
        let finite = grid.log_q.iter().filter(|l| !l.is_nan());
        let mut coarse = [0.0; 4];
        for (i, l) in grid.log_q.iter().enumerate().filter(|(_, l)| !l.is_nan()) {
            let (row, column) = (i / grid.side, i % grid.side);
            coarse[2 * (row % 2) + column % 2] += l.exp() * cell;
        }
        let inside: f64 = coarse.iter().sum();
        // Each of the four integrates a quarter of the cells, four times as heavy.
        let spread = coarse
            .iter()
            .map(|c| (4.0 * c - inside).powi(2))
            .sum::<f64>()
            / 3.0;
        let n = on.samples as f64;
        Outcome::Value {
            value: inside + grid.outside,
            std_err: Some((grid.outside * (1.0 - grid.outside) / n + spread / 4.0).sqrt()),
            n: grid.log_q.len(),
            non_finite: grid.log_q.len() - finite.count(),
        }
    },
};
