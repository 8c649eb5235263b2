//! How figures tell models apart beyond colour: marks, dashed lines, and the legend of both.

use super::canvas::{dashed, Align, Canvas, Ink, Point, Rect};
use super::style::{model_colour, name_colour, COLOURS, NAME};

const SHAPES: usize = 5;

/// The mark of the `i`-th model: of the first 35, no two have the same colour and shape.
pub fn mark(canvas: &mut Canvas, i: usize, (x, y): Point, radius: f64) {
    let ink = Ink::full(model_colour(i));
    let corners: &[Point] = match i % SHAPES {
        0 => return canvas.dot((x, y), radius, ink, None),
        1 => &[(-0.88, -0.88), (0.88, -0.88), (0.88, 0.88), (-0.88, 0.88)],
        2 => &[(0.0, -1.25), (1.25, 0.0), (0.0, 1.25), (-1.25, 0.0)],
        3 => &[(0.0, -1.2), (1.15, 0.85), (-1.15, 0.85)],
        _ => &[(0.0, 1.2), (1.15, -0.85), (-1.15, -0.85)],
    };
    let corners = corners
        .iter()
        .map(|(a, b)| (x + radius * a, y + radius * b));
    canvas.fill(&corners.collect::<Vec<_>>(), ink);
}

/// The line of the `i`-th model: dashed or dotted where an earlier model has its colour.
pub fn line(canvas: &mut Canvas, i: usize, path: &[Point], width: f64, within: Rect) {
    let pieces = match i / COLOURS {
        0 => vec![path.to_vec()],
        1 => dashed(path, 11.0, 7.0),
        _ => dashed(path, 2.0, 6.0),
    };
    for piece in pieces {
        canvas.stroke(&piece, width, Ink::full(model_colour(i)), Some(within));
    }
}

/// Height of a row of names.
const ROW: f64 = 30.0;
const BEFORE: f64 = 20.0;
const AFTER: f64 = 34.0;
const MAX_NAME_WIDTH: f64 = 260.0;

/// Names of models with their marks, in rows.
pub struct Legend(Vec<Vec<(usize, String)>>);

impl Legend {
    /// In rows of at most `width` pixels.
    pub fn new(models: &[String], width: f64) -> Self {
        let mut rows = vec![Vec::new()];
        let mut used = 0.0;
        for (i, model) in models.iter().enumerate() {
            let name = NAME.squeeze(model, MAX_NAME_WIDTH);
            let wide = BEFORE + NAME.width(&name) + AFTER;
            if used > 0.0 && used + wide > width {
                rows.push(Vec::new());
                used = 0.0;
            }
            used += wide;
            rows.last_mut()
                .into_iter()
                .for_each(|r| r.push((i, name.clone())));
        }
        Self(rows)
    }

    /// Pixels that the rows take.
    pub fn height(&self) -> f64 {
        ROW * self.0.len() as f64
    }

    /// Draws the rows, the first base line at `y`.
    pub fn draw(&self, canvas: &mut Canvas, (left, y): Point) {
        for (row, y) in self.0.iter().zip((0..).map(|k| y + ROW * f64::from(k))) {
            let mut x = left;
            for (i, name) in row {
                mark(canvas, *i, (x + 6.0, y - 6.0), 6.0);
                canvas.text(name, NAME, name_colour(*i), (x + BEFORE, y), Align::Left);
                x += BEFORE + NAME.width(name) + AFTER;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twelve_models_differ_in_colour_and_shape_and_lines_in_colour_and_dashes() {
        for i in 0..12 {
            for j in 0..i {
                let same_colour = model_colour(i) == model_colour(j);
                assert!(!same_colour || i % SHAPES != j % SHAPES, "{i} {j}");
                assert!(!same_colour || i / COLOURS != j / COLOURS, "{i} {j}");
            }
        }
    }
}
