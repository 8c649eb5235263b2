//! All data sets: what training cost against the headline metric, a panel for each.

use super::axes::{ends, log_ticks, ticks, Frame};
use super::canvas::{Canvas, Ink, Rect};
use super::legend::{mark, Legend};
use super::pages::{finite, seeds};
use super::style::{count, heading, model_colour, strip, HEAD, MARGIN, STRIP};
use super::Drawn;
use crate::report::headline::Headline;
use crate::report::interval::Spread;
use crate::report::results::Results;
use mdn_core::Result;

const MAX_COLUMNS: usize = 4;
const LEFT: f64 = 62.0;
const BELOW: f64 = 84.0;
const GAP: f64 = 26.0;

/// Means over the seeds of a model.
struct Cost {
    index: usize,
    log_seconds: f64,
    quality: Spread,
}

/// None where no run has both.
pub fn draw(results: &Results<'_>) -> Result<Vec<Drawn>> {
    let what = results.what;
    let mut panels: Vec<(&String, Headline, Vec<Cost>)> = Vec::new();
    for data in what.data {
        let Some(key) = results.headline(data) else {
            continue;
        };
        let costs = costs(results, data, key);
        if !costs.is_empty() {
            panels.push((data, Headline::of(key), costs));
        }
    }
    // One range of seconds: panels can be compared.
    let seconds = panels.iter().flat_map(|p| &p.2).map(|p| p.log_seconds);
    let Some(x) = padded(seconds, 0.3) else {
        return Ok(Vec::new());
    };
    let down = panels.len().div_ceil(MAX_COLUMNS);
    let across = panels.len().div_ceil(down);
    let (wide, side) = if across == 1 {
        (900.0, 620.0)
    } else {
        (340.0, 340.0)
    };
    let width = (2.0 * MARGIN + across as f64 * (LEFT + wide + GAP) - GAP).max(960.0);
    let legend = Legend::new(what.models, width - 2.0 * MARGIN);
    let top = STRIP + legend.height();
    let pitch = HEAD + side + BELOW;
    let mut canvas = Canvas::new(width, top + pitch * down as f64)?;
    let models = count(what.models.len(), "model");
    let title = format!("Cost against quality of {models}");
    let bars = "; bars: 95 % t intervals";
    let facts = seeds(results, "", bars) + "; lower left is better";
    strip(&mut canvas, &title, what.command, &facts);
    legend.draw(&mut canvas, (MARGIN, STRIP + 8.0));
    for (i, (data, metric, costs)) in panels.iter().enumerate() {
        let (column, row) = (i % across, i / across);
        let left = MARGIN + column as f64 * (LEFT + wide + GAP) + LEFT;
        let area = Rect::new(left, top + pitch * row as f64 + HEAD, wide, side);
        let log = costs.iter().all(|p| p.quality.mean > 0.0) && metric.key != "nll";
        let linear = if log { "" } else { ", linear" };
        let note = format!("{} ({}){linear}", metric.name, metric.unit);
        let (at, room) = ((area.x - LEFT + 20.0, area.y), wide + LEFT - 20.0);
        heading(&mut canvas, i, data, &note, at, room);
        let scale = |v: f64| if log { v.log10() } else { v };
        let means = costs.iter().map(|p| scale(p.quality.mean));
        let Some(y) = padded(means, if log { 0.3 } else { 1e-3 }) else {
            continue;
        };
        let frame = Frame { area, x, y };
        let left = if log { log_ticks(y) } else { ticks(y, 5) };
        draw_costs(&mut canvas, &frame, &left, costs, &scale);
        if i + across >= panels.len() {
            frame.name_below(&mut canvas, "training time (s)", 54.0);
        }
    }
    Ok(vec![Drawn::new("cost", title, canvas)])
}

fn costs(results: &Results<'_>, data: &str, metric: &str) -> Vec<Cost> {
    let models = results.what.models.iter().enumerate();
    let cost = |(index, model): (usize, &String)| {
        let seconds = finite(results, data, model, "seconds")?.mean;
        Some(Cost {
            index,
            // A model that is not trained by steps is done at once.
            log_seconds: seconds.max(1e-3).log10(),
            quality: finite(results, data, model, metric)?,
        })
    };
    models.filter_map(cost).collect()
}

/// A range around values, at least `least` to either side of the middle.
fn padded(values: impl Iterator<Item = f64>, least: f64) -> Option<(f64, f64)> {
    let (low, high) = ends(values)?;
    let (pad, middle) = (0.12 * (high - low), 0.5 * (low + high));
    Some((
        (low - pad).min(middle - least),
        (high + pad).max(middle + least),
    ))
}

fn draw_costs(
    canvas: &mut Canvas,
    frame: &Frame,
    left: &super::axes::Ticks,
    costs: &[Cost],
    scale: &dyn Fn(f64) -> f64,
) {
    let below = log_ticks(frame.x);
    frame.mesh_upwards(canvas, &below);
    frame.axes(canvas, left, &below);
    for cost in costs {
        let held = |v: f64| {
            let v = scale(v).max(frame.y.0).min(frame.y.1);
            frame.at(cost.log_seconds, v)
        };
        if let Some((low, high)) = cost.quality.interval {
            let ink = Ink(model_colour(cost.index), 0.75);
            canvas.stroke(&[held(low), held(high)], 2.4, ink, Some(frame.area));
        }
    }
    for cost in costs {
        let at = frame.at(cost.log_seconds, scale(cost.quality.mean));
        mark(canvas, cost.index, at, 7.0);
    }
}
