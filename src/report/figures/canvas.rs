//! A figure as a list of marks in pixels, y downwards: what PNG and SVG are written from.

use std::collections::BTreeSet;
use std::ops::Range;

use rayon::prelude::*;

use super::font::{self, drawable, Type};
use mdn_core::Result;

/// Fine pixels to a pixel, each way: averaging 3 x 3 of them smooths edges.
pub const FINE: usize = 3;

/// A point in pixels, y downwards.
pub type Point = (f64, f64);

/// A colour and its opacity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ink(pub [u8; 3], pub f64);

impl Ink {
    /// The opaque colour.
    pub const fn full(rgb: [u8; 3]) -> Self {
        Self(rgb, 1.0)
    }
}

/// An upright rectangle in pixels: its left and upper side, its width and height.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rect {
    pub x: f64,
    pub y: f64,
    pub w: f64,
    pub h: f64,
}

impl Rect {
    pub fn new(x: f64, y: f64, w: f64, h: f64) -> Self {
        Self { x, y, w, h }
    }

    /// x of the right side.
    pub fn right(&self) -> f64 {
        self.x + self.w
    }

    /// y of the lower side.
    pub fn bottom(&self) -> f64 {
        self.y + self.h
    }

    /// The centre.
    pub fn middle(&self) -> Point {
        (self.x + 0.5 * self.w, self.y + 0.5 * self.h)
    }

    /// The corners, clockwise from the upper left.
    pub fn corners(&self) -> [Point; 4] {
        let (l, t, r, b) = (self.x, self.y, self.right(), self.bottom());
        [(l, t), (r, t), (r, b), (l, b)]
    }
}

/// The fine columns and rows of a rectangle on a figure of `width` x `height` pixels.
pub fn cells(r: &Rect, (width, height): (usize, usize)) -> (Range<usize>, Range<usize>) {
    let edge = |v: f64, most: usize| {
        let most = (most * FINE) as f64;
        (v * FINE as f64).round().clamp(0.0, most) as usize
    };
    (
        edge(r.x, width)..edge(r.right(), width),
        edge(r.y, height)..edge(r.bottom(), height),
    )
}

/// Which part of a text is at its point, which is on the base line: its beginning, middle or end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Align {
    Left,
    Middle,
    Right,
}

/// What a figure is made of.
#[derive(Debug, Clone, PartialEq)]
pub enum Mark {
    /// A filled polygon.
    Area { corners: Vec<Point>, ink: Ink },
    /// A line with round ends and joints, or a disc for a path of one point; clipped to `within`.
    Line {
        path: Vec<Point>,
        width: f64,
        ink: Ink,
        within: Option<Rect>,
    },
    /// A colour for every fine pixel of an area, `columns` of them across, row by row from the top.
    Image {
        area: Rect,
        columns: usize,
        rgb: Vec<[u8; 3]>,
    },
    /// Words.
    Text(Text),
}

/// Words in characters that the font has; they read upwards where `up`.
#[derive(Debug, Clone, PartialEq)]
pub struct Text {
    pub words: String,
    pub face: Type,
    pub rgb: [u8; 3],
    pub at: Point,
    pub align: Align,
    pub up: bool,
}

impl Text {
    /// Pixels from the beginning of the text to its point, of a text of this width in pixels.
    pub fn before(&self, width: f64) -> f64 {
        match self.align {
            Align::Left => 0.0,
            Align::Middle => 0.5 * width,
            Align::Right => width,
        }
    }
}

/// A figure: its size and its marks in the order in which they are drawn.
pub struct Canvas {
    /// The title, which the file's description begins with.
    pub(super) title: String,
    /// What tells its file from those of other figures of the same name.
    pub(super) suffix: String,
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) marks: Vec<Mark>,
    /// Characters of texts that the font lacks.
    pub(super) missing: BTreeSet<char>,
}

impl Canvas {
    /// An empty white figure.
    pub fn new(width: f64, height: f64) -> Result<Self> {
        font::check()?;
        Ok(Self {
            title: String::new(),
            suffix: String::new(),
            width: width.ceil() as usize,
            height: height.ceil() as usize,
            marks: Vec::new(),
            missing: BTreeSet::new(),
        })
    }

    /// A filled polygon.
    pub fn fill(&mut self, corners: &[Point], ink: Ink) {
        let corners = corners.to_vec();
        self.marks.push(Mark::Area { corners, ink });
    }

    /// A filled rectangle.
    pub fn fill_rect(&mut self, area: &Rect, ink: Ink) {
        self.fill(&area.corners(), ink);
    }

    /// A line of even opacity, or a disc for one point; nothing where a point is not finite.
    pub fn stroke(&mut self, path: &[Point], width: f64, ink: Ink, within: Option<Rect>) {
        let finite = path.iter().all(|p| p.0.is_finite() && p.1.is_finite());
        if finite && !path.is_empty() {
            let path = path.to_vec();
            self.marks.push(Mark::Line {
                path,
                width,
                ink,
                within,
            });
        }
    }

    /// A disc.
    pub fn dot(&mut self, at: Point, radius: f64, ink: Ink, within: Option<Rect>) {
        self.stroke(&[at], 2.0 * radius, ink, within);
    }

    /// A dashed line.
    pub fn dashes(&mut self, from: Point, to: Point, width: f64, ink: Ink) {
        for piece in dashed(&[from, to], 6.0, 6.0) {
            self.stroke(&piece, width, ink, None);
        }
    }

    /// The colours that `colour(v)(u)` gives for 0 <= u, v < 1, u to the right and v upwards.
    pub fn image<C: Fn(f64) -> [u8; 3]>(&mut self, area: &Rect, colour: impl Fn(f64) -> C + Sync) {
        let (columns, rows) = cells(area, (self.width, self.height));
        let (columns, rows) = (columns.len(), rows.len());
        let mut rgb = vec![[255; 3]; columns * rows];
        rgb.par_chunks_mut(columns.max(1))
            .enumerate()
            .for_each(|(j, row)| {
                let colour = colour(1.0 - (j as f64 + 0.5) / rows as f64);
                for (i, pixel) in row.iter_mut().enumerate() {
                    *pixel = colour((i as f64 + 0.5) / columns as f64);
                }
            });
        self.marks.push(Mark::Image {
            area: *area,
            columns,
            rgb,
        });
    }

    /// A text whose base line is at `at`.
    pub fn text(&mut self, text: &str, face: Type, rgb: [u8; 3], at: Point, align: Align) {
        let words = drawable(text);
        let replaced = text.chars().zip(words.chars()).filter(|(a, b)| a != b);
        self.missing.extend(replaced.map(|(a, _)| a));
        self.marks.push(Mark::Text(Text {
            words,
            face,
            rgb,
            at,
            align,
            up: false,
        }));
    }

    /// A text that reads upwards, its middle at `at`.
    pub fn text_upwards(&mut self, text: &str, face: Type, rgb: [u8; 3], at: Point) {
        self.text(text, face, rgb, at, Align::Middle);
        if let Some(Mark::Text(text)) = self.marks.last_mut() {
            text.up = true;
        }
    }
}

/// Longer than any figure, in pixels.
const FARTHEST: f64 = 10_000.0;

/// The pieces of a path that a pattern of `on` pixels drawn and `off` left out keeps.
pub fn dashed(path: &[Point], on: f64, off: f64) -> Vec<Vec<Point>> {
    let mut all: Vec<Vec<Point>> = Vec::new();
    let (mut drawn, mut left, mut walked) = (true, on, 0.0);
    let mut piece: Vec<Point> = path.first().copied().into_iter().collect();
    for pair in path.windows(2) {
        let ((mut ax, mut ay), (bx, by)) = (pair[0], pair[1]);
        let mut length = (bx - ax).hypot(by - ay);
        while length.is_finite() && length > left && walked < FARTHEST {
            let t = left / length;
            (ax, ay) = (ax + t * (bx - ax), ay + t * (by - ay));
            length -= left;
            walked += left;
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
        let got = dashed(&path, 4.0, 3.0);
        assert_eq!(got[0], [(0.0, 0.0), (4.0, 0.0)]);
        assert_eq!(got[1], [(7.0, 0.0), (10.0, 0.0), (10.0, 1.0)]);
        assert_eq!(got[2], [(10.0, 4.0), (10.0, 8.0)]);
        assert_eq!(got.len(), 3);
    }
}
