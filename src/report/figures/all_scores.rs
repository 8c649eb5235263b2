//! All data sets: the headline metric of every model, mean and interval, on one logarithmic axis.

use super::axes::{ends, log_ticks, Frame};
use super::canvas::{Align, Canvas, Ink, Point, Rect};
use super::legend::{mark, Legend};
use super::pages::{finite, seeds};
use super::style::{count, model_colour, strip, DARK, GREY, MARGIN, NAME, NOTE, STRIP};
use crate::report::headline::{Headline, HEADLINES};
use crate::report::interval::Spread;
use crate::report::results::Results;
use mdn_core::Result;

const WIDTH: f64 = 1400.0;
/// Height of a model's line in the strip of a data set.
const LINE: f64 = 11.0;
const SHADE: [u8; 3] = [0xf3, 0xf5, 0xf8];

/// A figure for each metric that ranks two data sets or more; not for the NLL, which may be < 0.
pub fn draw(results: &Results<'_>) -> Result<Vec<Canvas>> {
    let mut figures = Vec::new();
    for metric in HEADLINES.iter().filter(|h| h.key != "nll") {
        figures.extend(figure(results, metric)?);
    }
    if let Some(first) = figures.first_mut() {
        first.suffix.clear();
    }
    Ok(figures)
}

fn figure(results: &Results<'_>, metric: &Headline) -> Result<Option<Canvas>> {
    let what = results.what;
    let ranked_by = |d: &&String| results.headline(d) == Some(metric.key);
    let data: Vec<&String> = what.data.iter().filter(ranked_by).collect();
    let spread = |data: &str, model: &str| finite(results, data, model, metric.key);
    let all = data
        .iter()
        .flat_map(|d| what.models.iter().map(|m| spread(d, m)));
    let means = all.flatten().map(|s| s.mean).filter(|v| *v > 0.0);
    let Some((least, most)) = ends(means.map(f64::log10)).filter(|_| data.len() > 1) else {
        return Ok(None);
    };
    let pad = 0.05 * (most - least) + 0.15;
    let x = (least - pad, most + pad);

    let height = LINE * what.models.len() as f64 + 16.0;
    let legend = Legend::new(what.models, WIDTH - 2.0 * MARGIN);
    let widths = data.iter().map(|d| NAME.width(d));
    let widest = widths.fold(60.0, f64::max).min(300.0);
    let (left, top) = (MARGIN + widest + 18.0, STRIP + legend.height() + 6.0);
    let width = WIDTH - 2.0 * MARGIN - widest - 30.0;
    let area = Rect::new(left, top, width, height * data.len() as f64);
    let mut canvas = Canvas::new(WIDTH, area.bottom() + 84.0)?;
    let models = count(what.models.len(), "model");
    let on = count(data.len(), "data set");
    let title = format!("{} of {models} on {on}", metric.name);
    let bars = "; bar: 95 % t interval of the mean";
    let facts = seeds(results, "; no intervals", bars) + "; lower is better";
    strip(&mut canvas, &title, what.command, &facts);
    legend.draw(&mut canvas, (MARGIN, STRIP + 8.0));
    let frame = Frame::new(area, x, (0.0, 1.0));
    for (i, name) in data.iter().enumerate() {
        let y = area.y + height * i as f64;
        let row = Rect::new(MARGIN, y, area.right() - MARGIN, height);
        if i % 2 == 0 {
            canvas.fill_rect(&row, Ink::full(SHADE));
        }
        let at = (area.x - 12.0, row.middle().1 + 6.0);
        canvas.text(&NAME.squeeze(name, widest), NAME, DARK, at, Align::Right);
    }
    frame.axis_below_rows(&mut canvas, &log_ticks(x), &metric.axis(true));
    for (i, d) in data.iter().enumerate() {
        for (k, model) in what.models.iter().enumerate() {
            let y = area.y + height * i as f64 + 8.0 + LINE * (k as f64 + 0.5);
            score(&mut canvas, &frame, k, y, spread(d, model));
        }
    }
    canvas.suffix = format!("-{}", metric.key);
    Ok(Some(canvas))
}

/// An arrow where a value is beyond the axis, a dash where there is none.
fn score(canvas: &mut Canvas, frame: &Frame, i: usize, y: f64, spread: Option<Spread>) {
    let (low, high) = frame.x;
    let at = |v: f64| -> Point {
        let v = if v > 0.0 { v.log10() } else { low };
        (frame.at(v.clamp(low, high), 0.0).0, y)
    };
    let Some(spread) = spread else {
        let at = (frame.area.x + 8.0, y + 5.0);
        canvas.text("–", NOTE, GREY, at, Align::Left);
        return;
    };
    if let Some((a, b)) = spread.interval {
        canvas.stroke(&[at(a), at(b)], 2.4, Ink(model_colour(i), 0.75), None);
        if a <= 0.0 || a.log10() < low {
            let end = (frame.area.x - 1.0, y + 5.0);
            canvas.text("←", NOTE, model_colour(i), end, Align::Middle);
        }
    }
    mark(canvas, i, at(spread.mean), 5.2);
}
