//! Curves of models: mean and interval over seeds, each with its name at its end.

use super::axes::Frame;
use super::canvas::{Align, Canvas, Ink, Point};
use super::curves::{between, spread_out};
use super::marks::line;
use super::style::{model_colour, name_colour, NAME};

/// One model's, in the order of the axis.
pub struct Curve<'a> {
    /// The model's place among all: its colour and mark.
    pub index: usize,
    /// Its name.
    pub model: &'a str,
    /// Mean over the seeds.
    pub mean: Vec<Point>,
    /// Lower ends of the intervals, where there are any.
    pub low: Vec<Point>,
    /// Upper ends.
    pub high: Vec<Point>,
}

/// The room that the names need.
pub fn widest(curves: &[Curve<'_>]) -> f64 {
    let widths = curves.iter().map(|c| NAME.width(c.model));
    widths.fold(60.0, f64::max).min(330.0)
}

/// Bands first, then lines, then the names to the right, within `widest`.
pub fn draw(canvas: &mut Canvas, frame: &Frame, curves: &[Curve<'_>], widest: f64) {
    let (area, y) = (frame.area, frame.y);
    // Many bands on top of each other would be one dark cloud.
    let faint = f64::min(0.16, 0.6 / curves.len() as f64);
    for c in curves {
        let around = c.low.iter().chain(c.high.iter().rev());
        let band: Vec<Point> = around.map(|p| frame.at(p.0, p.1)).collect();
        let band = between(&band, area.y, area.bottom());
        if band.len() > 2 {
            canvas.fill(&band, Ink(model_colour(c.index), faint));
        }
    }
    for c in curves {
        let path: Vec<Point> = c.mean.iter().map(|p| frame.at(p.0, p.1)).collect();
        line(canvas, c.index, &path, 2.6, Some(area));
    }
    let end = |c: &Curve<'_>| {
        let last = c.mean.last();
        last.map_or(area.y, |p| frame.at(p.0, p.1.clamp(y.0, y.1)).1)
    };
    let wanted: Vec<f64> = curves.iter().map(end).collect();
    let heights = spread_out(&wanted, 24.0, (area.y, area.bottom()));
    for (c, y) in curves.iter().zip(heights) {
        let name = NAME.squeeze(c.model, widest);
        let at = (area.right() + 12.0, y + 6.0);
        canvas.text(&name, NAME, name_colour(c.index), at, Align::Left);
    }
}
