//! A density on a grid of cells, interpolated, and the regions that hold its mass.

use contour::ContourBuilder;

use super::canvas::Point;
use crate::experiment::store::SHARES;

/// A density's logarithm on `side * side` cells, rows from low to high y.
pub struct Grid {
    side: usize,
    log: Vec<f64>,
    linear: Vec<f64>,
    levels: Option<Vec<f64>>,
}

/// The cell whose centre lies below 0 <= t <= 1, and the distance from it in cells.
fn cell(t: f64, side: usize) -> (usize, f64) {
    let t = (t * side as f64 - 0.5).clamp(0.0, (side - 1) as f64);
    // By way of u32, to which a plain x86-64 converts in one instruction.
    let low = (t as u32 as usize).min(side - 2);
    (low, t - low as f64)
}

/// The logarithm that stands for a density of 0; it keeps slopes finite.
const NOTHING: f64 = -700.0;

impl Grid {
    /// From log-densities; NaN is no density. `None` where the number of cells does not fit.
    pub fn new(side: usize, log: &[f32]) -> Option<Self> {
        if side < 2 || log.len() != side * side {
            return None;
        }
        let finite = |v: &f32| match f64::from(*v) {
            v if v.is_nan() => NOTHING,
            v => v.clamp(NOTHING, -NOTHING),
        };
        let log: Vec<f64> = log.iter().map(finite).collect();
        let linear = log.iter().map(|l| l.exp()).collect();
        Some(Self {
            side,
            log,
            linear,
            levels: None,
        })
    }

    /// With the log-densities that samples exceed with the probabilities [`SHARES`].
    pub fn with_levels(mut self, levels: Option<&Vec<f32>>) -> Self {
        let finite = |l: &f32| f64::from(*l).clamp(NOTHING, -NOTHING);
        self.levels = levels.map(|all| all.iter().map(finite).collect());
        self
    }

    /// A function of this log-density and another's in every cell; `None` where the sizes differ.
    pub fn with(&self, other: &Self, f: impl Fn(f64, f64) -> f64) -> Option<Self> {
        let pairs = self.log.iter().zip(&other.log);
        let values: Vec<f32> = pairs.map(|(a, b)| f(*a, *b) as f32).collect();
        (self.side == other.side).then(|| Self::new(self.side, &values))?
    }

    /// The largest density.
    pub fn max(&self) -> f64 {
        self.linear.iter().copied().fold(0.0, f64::max)
    }

    /// The largest log-density, nats.
    pub fn log_max(&self) -> f64 {
        self.log.iter().copied().fold(NOTHING, f64::max)
    }

    /// The density at height 0 <= v <= 1 as a function of 0 <= u <= 1, bilinear between centres.
    pub fn density(&self, v: f64) -> impl Fn(f64) -> f64 + '_ {
        self.between(&self.linear, v)
    }

    /// Its logarithm there, bilinear too.
    pub fn log_density(&self, v: f64) -> impl Fn(f64) -> f64 + '_ {
        self.between(&self.log, v)
    }

    fn between<'a>(&self, values: &'a [f64], v: f64) -> impl Fn(f64) -> f64 + 'a {
        let side = self.side;
        let (j, t) = cell(v, side);
        let (lower, upper) = values[j * side..(j + 2) * side].split_at(side);
        move |u| {
            let (i, s) = cell(u, side);
            let along = |row: &[f64]| row[i] * (1.0 - s) + row[i + 1] * s;
            along(lower) * (1.0 - t) + along(upper) * t
        }
    }

    /// The log-densities that bound the highest-density regions of [`SHARES`] (Hyndman 1996): those of
    /// samples, and by the cells where there are none.
    pub fn levels(&self) -> Vec<f64> {
        if let Some(levels) = &self.levels {
            return levels.clone();
        }
        let mut sorted = self.log.clone();
        sorted.sort_by(|a, b| b.total_cmp(a));
        // Relative to the highest cell, so that no sum overflows.
        let top = sorted[0];
        let total: f64 = sorted.iter().map(|l| (l - top).exp()).sum();
        let reached = |share: &f64| {
            let mut sum = 0.0;
            let crossed = sorted.iter().find(|l| {
                sum += (**l - top).exp();
                sum >= share * total
            });
            *crossed.unwrap_or(&top)
        };
        SHARES.iter().map(reached).collect()
    }

    /// The lines where the log-density is `level`, in u and v; sides of the view are no lines.
    pub fn lines(&self, level: f64) -> Vec<Vec<Point>> {
        // A steep slope far below the level would pull the line onto the higher cell.
        let values: Vec<f64> = self.log.iter().map(|l| l.max(level - 12.0)).collect();
        let found = ContourBuilder::new(self.side, self.side, true).lines(&values, &[level]);
        let rings = found.into_iter().flatten();
        let rings = rings.flat_map(|line| line.into_inner().0 .0);
        let side = self.side as f64;
        let mut out = Vec::new();
        for ring in rings {
            let mut piece: Vec<Point> = Vec::new();
            let points: Vec<Point> = ring.0.iter().map(|c| (c.x / side, c.y / side)).collect();
            let rim = |t: f64| t * side < 0.51 || (1.0 - t) * side < 0.51;
            for pair in points.windows(2) {
                let ((a, b), (c, d)) = (pair[0], pair[1]);
                if (rim(a) && rim(c)) || (rim(b) && rim(d)) {
                    out.push(std::mem::take(&mut piece));
                    continue;
                }
                if piece.is_empty() {
                    piece.push(pair[0]);
                }
                piece.push(pair[1]);
            }
            out.push(piece);
        }
        out.retain(|piece| piece.len() > 1);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(side: usize, reach: f64) -> Grid {
        let centre = |i: usize| reach * (2.0 * (i as f64 + 0.5) / side as f64 - 1.0);
        let log = |i: usize| -0.5 * (centre(i % side).powi(2) + centre(i / side).powi(2));
        let cells: Vec<f32> = (0..side * side).map(|i| log(i) as f32).collect();
        Grid::new(side, &cells).unwrap()
    }

    #[test]
    fn levels_of_a_normal_hold_the_mass_they_say() {
        // In two dimensions the region within radius r holds 1 - exp(-r^2 / 2), so that the
        // log-density at its border, relative to the top, is ln(1 - share).
        let levels = normal(300, 6.0).levels();
        for (level, share) in levels.iter().zip(SHARES) {
            let expected = f64::ln(1.0 - share);
            assert!(
                (level - expected).abs() < 0.01,
                "{level} instead of {expected}"
            );
        }
    }

    #[test]
    fn the_line_of_a_normal_is_a_circle() {
        let lines = normal(200, 4.0).lines(-2.0);
        assert_eq!(lines.len(), 1);
        for (u, v) in &lines[0] {
            let radius = (8.0 * (u - 0.5)).hypot(8.0 * (v - 0.5));
            assert!((radius - 2.0).abs() < 0.01, "{radius}");
        }
        let cut = normal(200, 1.5).lines(-2.0);
        assert_eq!(cut.len(), 4, "the sides of the view are no lines");
    }

    #[test]
    fn damaged_cells_have_no_density() {
        assert!(Grid::new(2, &[0.0; 3]).is_none());
        let g = Grid::new(2, &[f32::NAN, f32::NEG_INFINITY, f32::INFINITY, 0.0]).unwrap();
        assert!(g.max().is_finite() && g.density(0.0)(0.0) < 1e-300);
        assert!(g.levels().iter().all(|l| l.is_finite()));
    }
}
