//! All data sets: the headline metric of every model, mean and interval, on one logarithmic axis.

use super::axes::{log_ticks, Frame};
use super::canvas::{Align, Canvas, Ink, Point, Rect};
use super::legend::{legend, rows, ROW};
use super::marks::mark;
use super::pages::metric_name;
use super::style::{
    count, model_colour, strip, AXIS, DARK, GREY, LABEL, MARGIN, NAME, NOTE, STRIP,
};
use super::{ComparisonPage, Drawn};
use crate::report::interval::Spread;
use mdn_core::Result;

const WIDTH: f64 = 1400.0;
/// Height of a model's line in a data set's band.
const LINE: f64 = 11.0;
const SHADE: [u8; 3] = [0xf3, 0xf5, 0xf8];

/// The metrics that a logarithmic axis suits, with what they are in full.
const METRICS: [(&str, &str); 3] = [
    ("kl", "KL(p||q) (nats, log scale)"),
    ("reverse_kl", "KL(q||p) (nats, log scale)"),
    (
        "constraint_error",
        "largest error of a constrained moment (sd, log scale)",
    ),
];

/// A sheet for each metric that two data sets or more are ranked by.
pub fn draw(page: &ComparisonPage<'_>) -> Result<Vec<Drawn>> {
    let mut sheets = Vec::new();
    for (metric, axis) in METRICS {
        sheets.extend(sheet(page, metric, axis)?);
    }
    if let Some(first) = sheets.first_mut() {
        "scores".clone_into(&mut first.stem);
    }
    Ok(sheets)
}

fn sheet(page: &ComparisonPage<'_>, metric: &str, axis: &str) -> Result<Option<Drawn>> {
    let what = page.results.what;
    let data: Vec<&String> = what
        .data
        .iter()
        .filter(|d| page.results.headline(d) == Some(metric))
        .collect();
    let values = |data: &str, model: &str| -> Vec<f64> {
        let runs = page.results.of(data, model);
        runs.filter_map(|r| r.value(metric))
            .filter(|v| v.is_finite())
            .collect()
    };
    let means = data
        .iter()
        .flat_map(|d| what.models.iter().map(|m| values(d, m)))
        .filter_map(|v| Spread::of(&v));
    let means: Vec<f64> = means.map(|s| s.mean).filter(|v| *v > 0.0).collect();
    if data.len() < 2 || means.is_empty() {
        return Ok(None);
    }
    let least = means.iter().copied().fold(f64::INFINITY, f64::min).log10();
    let most = means
        .iter()
        .copied()
        .fold(f64::NEG_INFINITY, f64::max)
        .log10();
    let pad = 0.05 * (most - least) + 0.15;
    let x = (least - pad, most + pad);

    let band = LINE * what.models.len() as f64 + 16.0;
    let names = rows(what.models, WIDTH - 2.0 * MARGIN);
    let top = STRIP + ROW * names.len() as f64 + 6.0;
    let widest = data
        .iter()
        .map(|d| NAME.width(d))
        .fold(60.0, f64::max)
        .min(300.0);
    let area = Rect {
        x: MARGIN + widest + 18.0,
        y: top,
        w: WIDTH - 2.0 * MARGIN - widest - 30.0,
        h: band * data.len() as f64,
    };
    let mut canvas = Canvas::new(WIDTH, area.bottom() + 84.0)?;
    let name = metric_name(metric);
    let title = format!(
        "{name} of {} on {}",
        count(what.models.len(), "model"),
        count(data.len(), "data set")
    );
    let bars = match what.seeds.len() {
        1 => "no intervals",
        _ => "bar: 95 % t interval of the mean",
    };
    let facts = format!(
        "{}; {bars}; lower is better",
        count(what.seeds.len(), "seed")
    );
    strip(&mut canvas, &title, what.command, &facts);
    legend(&mut canvas, &names, MARGIN, STRIP + 8.0);
    let frame = Frame {
        area,
        x,
        y: (0.0, 1.0),
    };
    for (i, name) in data.iter().enumerate() {
        let y = area.y + band * i as f64;
        if i % 2 == 0 {
            let (l, r, b) = (MARGIN, area.right(), y + band);
            canvas.fill(&[(l, y), (r, y), (r, b), (l, b)], Ink::full(SHADE));
        }
        let name = NAME.squeeze(name, widest);
        let at = (area.x - 12.0, y + 0.5 * band + 6.0);
        canvas.text(&name, NAME, DARK, at, Align::Right);
    }
    let below = log_ticks(x);
    frame.mesh_upwards(&mut canvas, &below);
    frame.ticks_below(&mut canvas, &below);
    let base = [(area.x, area.bottom()), (area.right(), area.bottom())];
    canvas.stroke(&base, 1.3, Ink::full(AXIS), None);
    let middle = (area.x + 0.5 * area.w, area.bottom() + 58.0);
    canvas.text(axis, LABEL, DARK, middle, Align::Middle);
    for (i, d) in data.iter().enumerate() {
        for (k, model) in what.models.iter().enumerate() {
            let y = area.y + band * i as f64 + 8.0 + LINE * (k as f64 + 0.5);
            score(&mut canvas, &frame, k, y, Spread::of(&values(d, model)));
        }
    }
    Ok(Some(Drawn {
        stem: format!("scores-{metric}"),
        title,
        canvas,
    }))
}

/// An arrow where a value has no place on the axis, a dash where there is none.
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
    mark(canvas, i, at(spread.mean), 5.2, 1.0);
}
