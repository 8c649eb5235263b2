//! Which mark stands for which model.

use super::canvas::{Align, Canvas};
use super::marks::mark;
use super::style::{name_colour, NAME};

/// Height of a row of names.
pub const ROW: f64 = 30.0;
const BEFORE: f64 = 20.0;
const AFTER: f64 = 34.0;
const MAX_NAME_WIDTH: f64 = 260.0;

/// Rows that the names take in `width` pixels, each name with its place among the models.
pub fn rows(models: &[String], width: f64) -> Vec<Vec<(usize, String)>> {
    let mut rows: Vec<Vec<(usize, String)>> = vec![Vec::new()];
    let mut used = 0.0;
    for (i, model) in models.iter().enumerate() {
        let name = NAME.squeeze(model, MAX_NAME_WIDTH);
        let wide = BEFORE + NAME.width(&name) + AFTER;
        if used > 0.0 && used + wide > width {
            rows.push(Vec::new());
            used = 0.0;
        }
        used += wide;
        if let Some(last) = rows.last_mut() {
            last.push((i, name));
        }
    }
    rows
}

/// Draws them, the first base line at `y`.
pub fn legend(canvas: &mut Canvas, rows: &[Vec<(usize, String)>], left: f64, y: f64) {
    for (row, y) in rows.iter().zip((0..).map(|k| y + ROW * f64::from(k))) {
        let mut x = left;
        for (i, name) in row {
            mark(canvas, *i, (x + 6.0, y - 6.0), 6.0, 1.0);
            canvas.text(name, NAME, name_colour(*i), (x + BEFORE, y), Align::Left);
            x += BEFORE + NAME.width(name) + AFTER;
        }
    }
}
