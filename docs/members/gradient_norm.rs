//! A run's gradient norm against its steps.

use crate::report::figures::axes::{ticks, Frame};
use crate::report::figures::canvas::{Canvas, Ink, Point, Rect};
use crate::report::figures::curves::range;
use crate::report::figures::style::{strip, BLUE, STRIP};
use crate::report::figures::RunPage;
use mdn_core::Result;

/// `None` where the run has no gradients.
pub fn draw(page: &RunPage<'_>) -> Result<Option<Canvas>> {
    let rows = page.history.iter();
    let norms: Vec<Point> = rows
        .filter_map(|r| Some((r.step as f64, r.grad_norm?.log10())))
        .filter(|p| p.1.is_finite())
        .collect();
    let (Some(y), Some(last)) = (range(&[&norms]), norms.last()) else {
        return Ok(None);
    };
    let mut canvas = Canvas::new(1400.0, 760.0)?;
    let what = "log10 of the gradient norm";
    strip(&mut canvas, &page.title(), page.command, what);
    let area = Rect {
        x: 118.0,
        y: STRIP + 14.0,
        w: 1200.0,
        h: 545.0,
    };
    let frame = Frame {
        area,
        x: (0.0, last.0),
        y,
    };
    frame.ticks_left(&mut canvas, &ticks(y, 6));
    frame.ticks_below(&mut canvas, &ticks(frame.x, 6));
    frame.border(&mut canvas);
    let line: Vec<Point> = norms.iter().map(|p| frame.at(p.0, p.1)).collect();
    canvas.stroke(&line, 2.0, Ink::full(BLUE), Some(area));
    Ok(Some(canvas))
}
