//! Lines and dots. Plotters strokes a line as a polygon between whole pixels, whose overlaps are
//! blended twice; here every fine pixel knows how far from the line it is.

use super::canvas::{Canvas, FINE};
use super::shapes::{Ink, Item, Point, Rect};

/// Fine pixels along the sides of what is drawn at once.
const TILE: usize = 64;

/// Longer than any sheet, in pixels.
const FARTHEST: f64 = 10_000.0;

/// How much of the fine pixel `(column, row)` the line between two points covers that reaches
/// `radius` fine pixels to either side.
fn cover(ends: &[Point], radius: f64) -> impl Fn(usize, usize) -> f32 {
    let [(ax, ay), (bx, by)] = [ends[0], ends[1]].map(|(x, y)| (x * FINE as f64, y * FINE as f64));
    let (dx, dy) = (bx - ax, by - ay);
    let length = dx * dx + dy * dy;
    // Squares whose roots are certain to be outside or inside, which saves most roots.
    let outside = (radius + 0.5).powi(2) * (1.0 + 1e-9);
    let inside = (radius - 0.5).max(0.0).powi(2) * (1.0 - 1e-9);
    move |column, row| {
        let (px, py) = (column as f64 + 0.5 - ax, row as f64 + 0.5 - ay);
        let t = if length > 0.0 {
            ((px * dx + py * dy) / length).clamp(0.0, 1.0)
        } else {
            0.0
        };
        let (x, y) = (px - t * dx, py - t * dy);
        let square = x * x + y * y;
        if square >= outside {
            0.0
        } else if square < inside {
            1.0
        } else {
            (radius + 0.5 - x.hypot(y)).clamp(0.0, 1.0) as f32
        }
    }
}

impl Canvas {
    /// A line through `path` with round joints. It is laid down at once, so that a faint line
    /// that touches itself is no darker there.
    pub fn stroke(&mut self, path: &[Point], width: f64, ink: Ink, within: Option<Rect>) {
        let f = FINE as f64;
        let radius = 0.5 * width * f;
        let (columns, rows) = self.span(&within.unwrap_or_else(|| self.sheet()));
        let limits = |values: &mut dyn Iterator<Item = f64>, range: &std::ops::Range<usize>| {
            let (low, high) = values.fold((f64::MAX, f64::MIN), |(a, b), v| (a.min(v), b.max(v)));
            let edge = |v: f64| v.clamp(range.start as f64, range.end as f64) as usize;
            edge(low * f - radius - 1.0)..edge(high * f + radius + 2.0)
        };
        let Some(&first) = path.first() else { return };
        if path.iter().any(|p| !p.0.is_finite() || !p.1.is_finite()) {
            return;
        }
        self.keep(Item::Line {
            path: path.to_vec(),
            width,
            ink,
            within,
        });
        let columns = limits(&mut path.iter().map(|p| p.0), &columns);
        let rows = limits(&mut path.iter().map(|p| p.1), &rows);
        let dot = [first, first];
        let path = if path.len() == 1 { &dot[..] } else { path };
        // A line is thin and the box around it is not: most tiles of the box stay empty.
        let mut mask = [[0f32; TILE]; TILE];
        for top in rows.clone().step_by(TILE) {
            let rows = top..rows.end.min(top + TILE);
            for left in columns.clone().step_by(TILE) {
                let columns = left..columns.end.min(left + TILE);
                let mut touched = false;
                for pair in path.windows(2) {
                    let across = limits(&mut pair.iter().map(|p| p.0), &columns);
                    let down = limits(&mut pair.iter().map(|p| p.1), &rows);
                    if across.is_empty() || down.is_empty() {
                        continue;
                    }
                    touched = true;
                    let cover = cover(pair, radius);
                    for row in down {
                        let cells = &mut mask[row - top][across.start - left..across.end - left];
                        for (column, cell) in across.clone().zip(cells) {
                            *cell = cell.max(cover(column, row));
                        }
                    }
                }
                if !touched {
                    continue;
                }
                for (row, cells) in rows.clone().zip(&mut mask) {
                    for (column, cell) in columns.clone().zip(cells) {
                        if *cell > 0.0 {
                            self.blend(column, row, Ink(ink.0, ink.1 * f64::from(*cell)));
                            *cell = 0.0;
                        }
                    }
                }
            }
        }
    }

    /// A disc.
    pub fn dot(&mut self, at: Point, radius: f64, ink: Ink, within: Option<Rect>) {
        self.stroke(&[at], 2.0 * radius, ink, within);
    }

    /// A line of short pieces.
    pub fn dashes(&mut self, (ax, ay): Point, (bx, by): Point, width: f64, ink: Ink) {
        let length = (bx - ax).hypot(by - ay);
        // What leads out of every sheet is not followed to its end.
        let end = length.min(FARTHEST);
        let (mut from, dash) = (0.0, 6.0);
        while from < end {
            let (s, t) = (from / length, (from + dash).min(end) / length);
            let at = |t: f64| (ax + t * (bx - ax), ay + t * (by - ay));
            self.stroke(&[at(s), at(t)], width, ink, None);
            from += 2.0 * dash;
        }
    }
}
