//! All data sets: what training cost against the headline metric, a panel for each.

use super::axes::{log_ticks, ticks, Frame};
use super::canvas::{Align, Canvas, Ink, Rect};
use super::legend::{legend, rows, ROW};
use super::marks::mark;
use super::pages::metric_name;
use super::style::{count, heading, model_colour, strip, AXIS, DARK, HEAD, LABEL, MARGIN, STRIP};
use super::{ComparisonPage, Drawn};
use crate::report::interval::Spread;
use mdn_core::Result;

const MAX_COLUMNS: usize = 4;
const LEFT: f64 = 62.0;
const BELOW: f64 = 84.0;
const GAP: f64 = 26.0;

/// Means over the seeds of a model.
struct Place {
    index: usize,
    seconds: f64,
    quality: Spread,
}

/// `None` where no run has both.
pub fn draw(page: &ComparisonPage<'_>) -> Result<Option<Drawn>> {
    let what = page.results.what;
    let panels: Vec<(&String, &'static str, Vec<Place>)> = what
        .data
        .iter()
        .filter_map(|d| {
            let metric = page.results.headline(d)?;
            let places = places(page, d, metric);
            (!places.is_empty()).then_some((d, metric, places))
        })
        .collect();
    if panels.is_empty() {
        return Ok(None);
    }
    let down = panels.len().div_ceil(MAX_COLUMNS);
    let across = panels.len().div_ceil(down);
    let side = if across == 1 { 620.0 } else { 340.0 };
    let wide = if across == 1 { 900.0 } else { side };
    let width = (2.0 * MARGIN + across as f64 * (LEFT + wide + GAP) - GAP).max(960.0);
    let names = rows(what.models, width - 2.0 * MARGIN);
    let top = STRIP + ROW * names.len() as f64;
    let pitch = HEAD + side + BELOW;
    let mut canvas = Canvas::new(width, top + pitch * down as f64)?;
    let title = format!(
        "Cost against quality of {}",
        count(what.models.len(), "model")
    );
    let bars = match what.seeds.len() {
        1 => "",
        _ => "; bars: 95 % t intervals",
    };
    let facts = format!(
        "{}{bars}; lower left is better",
        count(what.seeds.len(), "seed")
    );
    strip(&mut canvas, &title, what.command, &facts);
    legend(&mut canvas, &names, MARGIN, STRIP + 8.0);
    // One range of seconds: panels can be compared.
    let seconds = panels.iter().flat_map(|p| &p.2).map(|p| p.seconds.log10());
    let x = padded(seconds, 0.3);
    for (i, (data, metric, places)) in panels.iter().enumerate() {
        let (column, row) = (i % across, i / across);
        let area = Rect {
            x: MARGIN + column as f64 * (LEFT + wide + GAP) + LEFT,
            y: top + pitch * row as f64 + HEAD,
            w: wide,
            h: side,
        };
        let log = places.iter().all(|p| p.quality.mean > 0.0) && *metric != "nll";
        let note = format!(
            "{} ({}){}",
            metric_name(metric),
            unit(metric),
            if log { "" } else { ", linear" }
        );
        heading(
            &mut canvas,
            i,
            data,
            &note,
            (area.x - LEFT + 20.0, area.y),
            wide + LEFT - 20.0,
        );
        panel(&mut canvas, area, x, log, places);
        let last = i + across >= panels.len();
        if last {
            let middle = (area.x + 0.5 * area.w, area.bottom() + 54.0);
            canvas.text("training time (s)", LABEL, DARK, middle, Align::Middle);
        }
    }
    Ok(Some(Drawn {
        stem: "cost".to_owned(),
        title,
        canvas,
    }))
}

fn unit(metric: &str) -> &'static str {
    match metric {
        "constraint_error" => "sd",
        _ => "nats",
    }
}

fn places(page: &ComparisonPage<'_>, data: &str, metric: &str) -> Vec<Place> {
    let models = page.results.what.models.iter().enumerate();
    let place = |(index, model): (usize, &String)| {
        let of = |metric: &str| -> Vec<f64> {
            let runs = page.results.of(data, model);
            runs.filter_map(|r| r.value(metric))
                .filter(|v| v.is_finite())
                .collect()
        };
        let seconds = Spread::of(&of("seconds"))?.mean;
        Some(Place {
            index,
            // A model that is not trained by steps is done at once.
            seconds: seconds.max(1e-3),
            quality: Spread::of(&of(metric))?,
        })
    };
    models.filter_map(place).collect()
}

/// A range around values, at least `least` to either side of the middle.
fn padded(values: impl Iterator<Item = f64>, least: f64) -> (f64, f64) {
    let (low, high) = values.fold((f64::MAX, f64::MIN), |(a, b), v| (a.min(v), b.max(v)));
    let pad = 0.12 * (high - low);
    let middle = 0.5 * (low + high);
    (
        (low - pad).min(middle - least),
        (high + pad).max(middle + least),
    )
}

fn panel(canvas: &mut Canvas, area: Rect, x: (f64, f64), log: bool, places: &[Place]) {
    let scale = |v: f64| if log { v.log10() } else { v };
    let means = places.iter().map(|p| scale(p.quality.mean));
    let y = padded(means, if log { 0.3 } else { 1e-3 });
    let frame = Frame { area, x, y };
    let (across, below) = (if log { log_ticks(y) } else { ticks(y, 5) }, log_ticks(x));
    frame.mesh_across(canvas, &across);
    frame.mesh_upwards(canvas, &below);
    frame.ticks_left(canvas, &across);
    frame.ticks_below(canvas, &below);
    let corner = [
        (area.x, area.y),
        (area.x, area.bottom()),
        (area.right(), area.bottom()),
    ];
    canvas.stroke(&corner, 1.3, Ink::full(AXIS), None);
    for p in places {
        let Some((low, high)) = p.quality.interval else {
            continue;
        };
        let held = |v: f64| {
            let v = scale(v);
            frame.at(
                p.seconds.log10(),
                if v.is_nan() { y.0 } else { v.clamp(y.0, y.1) },
            )
        };
        let ink = Ink(model_colour(p.index), 0.75);
        canvas.stroke(&[held(low), held(high)], 2.4, ink, Some(area));
    }
    for p in places {
        let at = frame.at(p.seconds.log10(), scale(p.quality.mean));
        mark(canvas, p.index, at, 7.0, 1.0);
    }
}
