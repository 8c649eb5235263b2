//! Lines and dots. Plotters strokes a line as a polygon between whole pixels, whose overlaps are
//! blended twice; here every fine pixel knows how far from the line it is.

use super::canvas::{Canvas, FINE};
use super::shapes::{Ink, Point, Rect};

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
        let columns = limits(&mut path.iter().map(|p| p.0), &columns);
        let rows = limits(&mut path.iter().map(|p| p.1), &rows);
        let mut mask = vec![0f32; columns.len() * rows.len()];
        let dot = [first, first];
        for pair in if path.len() == 1 {
            dot.windows(2)
        } else {
            path.windows(2)
        } {
            let ((ax, ay), (bx, by)) = (pair[0], pair[1]);
            let (ax, ay, bx, by) = (ax * f, ay * f, bx * f, by * f);
            let (dx, dy) = (bx - ax, by - ay);
            let length = dx * dx + dy * dy;
            let across = limits(&mut [pair[0].0, pair[1].0].into_iter(), &columns);
            for row in limits(&mut [pair[0].1, pair[1].1].into_iter(), &rows) {
                for column in across.clone() {
                    let (px, py) = (column as f64 + 0.5 - ax, row as f64 + 0.5 - ay);
                    let t = if length > 0.0 {
                        ((px * dx + py * dy) / length).clamp(0.0, 1.0)
                    } else {
                        0.0
                    };
                    let distance = (px - t * dx).hypot(py - t * dy);
                    let cover = (radius + 0.5 - distance).clamp(0.0, 1.0) as f32;
                    let cell =
                        &mut mask[(row - rows.start) * columns.len() + (column - columns.start)];
                    *cell = cell.max(cover);
                }
            }
        }
        for row in rows.clone() {
            for column in columns.clone() {
                let cover = mask[(row - rows.start) * columns.len() + (column - columns.start)];
                if cover > 0.0 {
                    self.blend(column, row, Ink(ink.0, ink.1 * f64::from(cover)));
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
        let (mut from, dash) = (0.0, 6.0);
        while from < length {
            let (s, t) = (from / length, (from + dash).min(length) / length);
            let at = |t: f64| (ax + t * (bx - ax), ay + t * (by - ay));
            self.stroke(&[at(s), at(t)], width, ink, None);
            from += 2.0 * dash;
        }
    }
}
