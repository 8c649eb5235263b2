//! One data set: the headline metric of every model, a dot for each seed, mean and interval.

use super::axes::{ends, log_ticks, signs, ticks, Frame};
use super::canvas::{Align, Canvas, Ink, Point, Rect};
use super::pages::{finite, seeds};
use super::style::{count, model_colour, name_colour, strip, DARK, GREY, LABEL, NAME, NOTE, STRIP};
use super::DataPage;
use crate::report::digits;
use crate::report::interval::Spread;
use mdn_core::Result;

const ROW: f64 = 100.0;
const DOT: f64 = 4.6;

/// A model's row: its place in the experiment, a note below its name, its values and their mean.
pub struct Row<'a> {
    pub index: usize,
    pub model: &'a str,
    pub note: String,
    pub values: Vec<f64>,
    pub spread: Option<Spread>,
}

/// `None` where no run of the data set has the metric.
pub fn draw(page: &DataPage<'_>) -> Result<Option<Canvas>> {
    let Some(metric) = page.headline else {
        return Ok(None);
    };
    let models = page.results.what.models.iter();
    let scores = models.enumerate().map(|m| score(page, metric.key, m));
    let scores: Vec<Row<'_>> = scores.collect();
    let all = || scores.iter().flat_map(|s| s.values.iter().copied());
    let Some((least, most)) = ends(all()) else {
        return Ok(None);
    };
    let log = least > 0.0 && most > 10.0 * least;
    let scale = |v: f64| if log { v.log10() } else { v };
    let intervals = scores.iter().filter_map(|s| s.spread?.interval);
    // A logarithmic axis has no place for 0, which an interval may reach.
    let least = if log { 0.1 * least } else { f64::NEG_INFINITY };
    let intervals = intervals.flat_map(|(low, high)| [low.max(least), high]);
    let Some((low, high)) = ends(all().chain(intervals).map(scale)) else {
        return Ok(None);
    };
    let pad = if high - low <= 1e-6 * high.abs() {
        0.02 * high.abs() + 1e-9
    } else {
        0.07 * (high - low)
    };

    let width = |s: &Row<'_>| NAME.width(s.model).max(NOTE.width(&s.note));
    let left = 54.0 + scores.iter().map(width).fold(90.0, f64::max).min(360.0);
    let height = ROW * scores.len() as f64;
    let mut canvas = Canvas::new(1400.0, STRIP + height + 96.0)?;
    let models = count(scores.len(), "model");
    let title = format!("{}: {} of {models}", page.data, metric.name);
    let several = "; dot: a seed, bar: mean ± 95 % t interval";
    let facts = seeds(page.results, "; one value each, no interval", several) + "; lower is better";
    strip(&mut canvas, &title, page.results.what.command, &facts);
    let area = Rect::new(left, STRIP, 1400.0 - left - 60.0, height);
    let frame = Frame::new(area, (low - pad, high + pad), (0.0, 1.0));
    let below = match log {
        true => log_ticks(frame.x),
        false => ticks(frame.x, 7),
    };
    frame.axis_below_rows(&mut canvas, &below, &metric.axis(log));
    for (i, s) in scores.iter().enumerate() {
        let y = STRIP + ROW * (i as f64 + 0.5);
        draw_row(&mut canvas, &frame, s, y, &scale);
    }
    Ok(Some(canvas))
}

fn score<'a>(page: &DataPage<'a>, metric: &str, (index, model): (usize, &'a String)) -> Row<'a> {
    let all = page.results.of(page.data, model).count();
    let (done, failed) = page.results.done_and_failed(page.data, model);
    let note = match (all - done, failed) {
        (0, _) => String::new(),
        (_, 0) => format!("{done} of {all} seeds"),
        _ => format!("{done} of {all} seeds; {failed} failed"),
    };
    let mut values = page.results.values(page.data, model, metric);
    values.retain(|v| v.is_finite());
    Row {
        index,
        model,
        note,
        spread: finite(page.results, page.data, model, metric),
        values,
    }
}

/// Name and note, a bar for the interval, a dot with digits for the mean, a small dot for each value.
pub fn draw_row(
    canvas: &mut Canvas,
    frame: &Frame,
    row: &Row<'_>,
    y: f64,
    scale: &dyn Fn(f64) -> f64,
) {
    let left = frame.area.x - 22.0;
    let (name, colour) = (
        NAME.squeeze(row.model, left - 30.0),
        model_colour(row.index),
    );
    let at = (left, y + 2.0);
    canvas.text(&name, NAME, name_colour(row.index), at, Align::Right);
    let note = NOTE.squeeze(&row.note, left - 30.0);
    canvas.text(&note, NOTE, GREY, (left, y + 24.0), Align::Right);
    let Some(spread) = &row.spread else {
        return;
    };
    let at = |v: f64| match scale(v) {
        v if v.is_nan() => frame.area.x,
        v => frame.at(v.clamp(frame.x.0, frame.x.1), 0.0).0,
    };
    if let Some((low, high)) = spread.interval {
        // An arrow where the interval goes on beyond the axis.
        if !(scale(low) >= frame.x.0) {
            let end = (at(low) - 9.0, y + 6.0);
            canvas.text("←", NAME, colour, end, Align::Middle);
        }
        let ends = [(at(low), y), (at(high), y)];
        canvas.stroke(&ends, 4.5, Ink::full(colour), None);
    }
    if spread.n > 1 {
        for (x, below) in side_by_side(row.values.iter().map(|v| at(*v)).collect()) {
            canvas.dot((x, y + 26.0 + below), DOT, Ink(colour, 0.5), None);
        }
    }
    canvas.dot((at(spread.mean), y), 7.5, Ink::full(colour), None);
    let text = signs(&digits::spread(Some(spread)));
    let half = 0.5 * LABEL.width(&text);
    let x = at(spread.mean).clamp(frame.area.x + half, frame.area.right() - half);
    canvas.text(&text, LABEL, DARK, (x, y - 16.0), Align::Middle);
}

/// Where dots are drawn that must not hide one another: places across and offsets down.
fn side_by_side(mut places: Vec<f64>) -> Vec<Point> {
    places.sort_by(f64::total_cmp);
    let mut out: Vec<Point> = Vec::new();
    for x in places {
        let offsets = [0.0, 1.0, -1.0, 2.0, -2.0].map(|k| k * (2.0 * DOT + 0.8) / 1.5);
        let free = |d: &f64| out.iter().all(|(a, b)| (a - x).hypot(b - d) >= 1.3 * DOT);
        out.push((x, offsets.into_iter().find(free).unwrap_or(0.0)));
    }
    out
}
