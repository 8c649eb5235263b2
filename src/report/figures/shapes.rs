//! Points, colours, rectangles in pixels, and what a figure is made of.

use super::font::Type;

/// A point in pixels, y downwards.
pub type Point = (f64, f64);

/// A colour and how much of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ink(pub [u8; 3], pub f64);

impl Ink {
    /// The colour at full strength.
    pub const fn full(rgb: [u8; 3]) -> Self {
        Self(rgb, 1.0)
    }
}

/// An upright rectangle in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rect {
    /// Left.
    pub x: f64,
    /// Top.
    pub y: f64,
    /// Width.
    pub w: f64,
    /// Height.
    pub h: f64,
}

impl Rect {
    /// x of the right side.
    pub fn right(&self) -> f64 {
        self.x + self.w
    }

    /// y of the lower side.
    pub fn bottom(&self) -> f64 {
        self.y + self.h
    }
}

/// Where a text stands from its point: the point is on the base line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Align {
    /// The text begins there.
    Left,
    /// Its middle is there.
    Middle,
    /// It ends there.
    Right,
}

/// What was drawn.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// The area within corners.
    Fill {
        /// Its corners in order.
        corners: Vec<Point>,
        /// Its colour.
        ink: Ink,
    },
    /// A line with round ends and joints, or a disc where the path is one point.
    Line {
        /// Its points.
        path: Vec<Point>,
        /// Pixels across.
        width: f64,
        /// Its colour.
        ink: Ink,
        /// Nothing of it is seen outside.
        within: Option<Rect>,
    },
    /// A colour for every cell of an area.
    Image {
        /// Where.
        area: Rect,
        /// Cells across.
        columns: usize,
        /// Row by row from the top.
        rgb: Vec<[u8; 3]>,
    },
    /// Words.
    Text {
        /// Which; the font has every sign of them.
        text: String,
        /// Weight and size.
        face: Type,
        /// Their colour.
        rgb: [u8; 3],
        /// A point on the base line.
        at: Point,
        /// What of the text is there.
        align: Align,
        /// Whether it reads upwards.
        up: bool,
    },
}

/// Cells along a side of an image that is kept: as many as pixels, up to twice as many where the
/// side is short, so that small panels can be enlarged.
pub fn image_cells(side: f64) -> usize {
    const ENOUGH: f64 = 200.0;
    side.max((2.0 * side).min(ENOUGH)).ceil().max(1.0) as usize
}
