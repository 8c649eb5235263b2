//! Points, colours and rectangles in pixels.

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
