//! Signs of models beyond their colour: shapes of marks, dashes of lines.

use super::canvas::{Canvas, Ink, Point, Rect};
use super::style::{model_colour, COLOURS};

const SHAPES: usize = 5;

/// The mark of the `i`-th model, `radius` from its middle to its sides: a disc, a square, a diamond,
/// triangles; in the order of models no colour meets the same shape again before the 35th.
pub fn mark(canvas: &mut Canvas, i: usize, (x, y): Point, radius: f64, strength: f64) {
    let ink = Ink(model_colour(i), strength);
    let corners: Vec<(f64, f64)> = match i % SHAPES {
        0 => return canvas.dot((x, y), radius, ink, None),
        1 => vec![(-0.88, -0.88), (0.88, -0.88), (0.88, 0.88), (-0.88, 0.88)],
        2 => vec![(0.0, -1.25), (1.25, 0.0), (0.0, 1.25), (-1.25, 0.0)],
        3 => vec![(0.0, -1.2), (1.15, 0.85), (-1.15, 0.85)],
        _ => vec![(0.0, 1.2), (1.15, -0.85), (-1.15, -0.85)],
    };
    let at = |(a, b): &(f64, f64)| (x + radius * a, y + radius * b);
    canvas.fill(&corners.iter().map(at).collect::<Vec<_>>(), ink);
}

/// The line of the `i`-th model: in pieces where its colour was an earlier model's.
pub fn line(canvas: &mut Canvas, i: usize, path: &[Point], width: f64, within: Option<Rect>) {
    let ink = Ink::full(model_colour(i));
    let (on, off) = match i / COLOURS {
        0 => return canvas.stroke(path, width, ink, within),
        1 => (11.0, 7.0),
        _ => (2.0, 6.0),
    };
    for piece in pieces(path, on, off) {
        canvas.stroke(&piece, width, ink, within);
    }
}

/// The parts of a path that a pattern of `on` pixels drawn and `off` left out keeps.
fn pieces(path: &[Point], on: f64, off: f64) -> Vec<Vec<Point>> {
    let mut all: Vec<Vec<Point>> = Vec::new();
    let (mut drawn, mut left) = (true, on);
    let mut piece: Vec<Point> = path.first().copied().into_iter().collect();
    for pair in path.windows(2) {
        let ((mut ax, mut ay), (bx, by)) = (pair[0], pair[1]);
        let mut length = (bx - ax).hypot(by - ay);
        while length.is_finite() && length > left {
            let t = left / length;
            (ax, ay) = (ax + t * (bx - ax), ay + t * (by - ay));
            length -= left;
            if drawn {
                piece.push((ax, ay));
                all.push(std::mem::take(&mut piece));
            } else {
                piece = vec![(ax, ay)];
            }
            drawn = !drawn;
            left = if drawn { on } else { off };
        }
        left -= length;
        if drawn {
            piece.push((bx, by));
        }
    }
    if drawn && piece.len() > 1 {
        all.push(piece);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_go_around_corners() {
        let path = [(0.0, 0.0), (10.0, 0.0), (10.0, 10.0)];
        let got = pieces(&path, 4.0, 3.0);
        assert_eq!(got[0], [(0.0, 0.0), (4.0, 0.0)]);
        assert_eq!(got[1], [(7.0, 0.0), (10.0, 0.0), (10.0, 1.0)]);
        assert_eq!(got[2], [(10.0, 4.0), (10.0, 8.0)]);
        assert_eq!(got.len(), 3);
    }

    #[test]
    fn twelve_models_differ_in_colour_and_shape_and_lines_in_colour_and_dashes() {
        let signs = |i: usize| (model_colour(i), i % SHAPES);
        let lines = |i: usize| (model_colour(i), i / COLOURS);
        for i in 0..12 {
            for j in 0..i {
                assert_ne!(signs(i), signs(j), "{i} {j}");
                assert_ne!(lines(i), lines(j), "{i} {j}");
            }
        }
    }
}
