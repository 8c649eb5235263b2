//! Scatter plots: training time against the headline metric, a panel for each data set.

use super::axes::{ends, log_ticks, ticks, Frame, Ticks};
use super::canvas::{Align, Canvas, Ink, Point};
use super::curves::spread_out;
use super::legend::{mark, Legend};
use super::pages::{finite, seeds};
use super::panels::{PanelSheet, Space};
use super::style::{count, model_colour, name_colour, strip, MARGIN, NOTE, STRIP};
use crate::report::headline::Headline;
use crate::report::interval::Spread;
use crate::report::results::Results;
use mdn_core::Result;

const MAX_COLUMNS: usize = 4;
const SPACE: Space = Space {
    left: 62.0,
    gap: 88.0,
    right: 40.0,
    below: 84.0,
};

/// A mark: its place in the legend, its point, the ends of its interval, and a text beside it.
pub struct Dot {
    pub index: usize,
    pub at: Point,
    pub bar: Option<[Point; 2]>,
    pub text: String,
}

/// A panel with its title and note; its heights are logarithms if `log`.
pub struct Dots {
    pub title: String,
    pub note: String,
    pub dots: Vec<Dot>,
    pub log: bool,
}

/// None where no run has both.
pub fn draw(results: &Results<'_>) -> Result<Vec<Canvas>> {
    let what = results.what;
    let panel = |data: &String| {
        let metric = Headline::of(results.headline(data)?);
        let models = what.models.iter().enumerate();
        let costs = models.filter_map(|(index, model)| {
            let seconds = finite(results, data, model, "seconds")?.mean;
            // A model that is not trained by steps is done at once.
            let log_seconds = seconds.max(1e-3).log10();
            Some((
                index,
                log_seconds,
                finite(results, data, model, metric.key)?,
            ))
        });
        let costs: Vec<_> = costs.collect();
        let log = metric.key != "nll" && costs.iter().all(|(.., quality)| quality.mean > 0.0);
        let scale = |v: f64| if log { v.log10() } else { v };
        let dot = |(index, x, quality): &(usize, f64, Spread)| Dot {
            index: *index,
            at: (*x, scale(quality.mean)),
            bar: quality
                .interval
                .map(|(low, high)| [low, high].map(|v| (*x, scale(v)))),
            text: String::new(),
        };
        let linear = if log { "" } else { ", linear" };
        Some(Dots {
            title: data.clone(),
            note: format!("{} ({}){linear}", metric.name, metric.unit),
            dots: costs.iter().map(dot).collect(),
            log,
        })
    };
    let mut panels: Vec<Dots> = what.data.iter().filter_map(panel).collect();
    panels.retain(|p| !p.dots.is_empty());
    // One range of seconds: panels can be compared.
    let Some(x) = padded(panels.iter().flat_map(|p| &p.dots).map(|d| d.at.0), 0.3) else {
        return Ok(Vec::new());
    };
    let models = count(what.models.len(), "model");
    let title = format!("Cost against quality of {models}");
    let bars = "; bars: 95 % t intervals";
    let facts = seeds(results, "", bars) + "; lower left is better";
    let axis = (x, &*log_ticks(x), "training time (s)");
    let canvas = scatter((&title, what.command, &facts), what.models, &panels, axis)?;
    Ok(vec![canvas])
}

/// Panels of dots with a strip and a legend of `names`; `x` has the range, ticks and name of the axis.
pub fn scatter(
    (title, command, facts): (&str, &str, &str),
    names: &[String],
    panels: &[Dots],
    x: ((f64, f64), &Ticks, &str),
) -> Result<Canvas> {
    let down = panels.len().div_ceil(MAX_COLUMNS);
    let across = panels.len().div_ceil(down);
    let size = match across {
        1 => (900.0, 620.0),
        2..=3 => (440.0, 440.0),
        _ => (340.0, 340.0),
    };
    let legend = Legend::new(names, across as f64 * (size.0 + SPACE.gap));
    let top = STRIP + legend.height();
    let mut sheet = PanelSheet::new((across, down), size, top, SPACE)?;
    strip(&mut sheet.canvas, title, command, facts);
    legend.draw(&mut sheet.canvas, (MARGIN, STRIP + 8.0));
    for (
        i,
        Dots {
            title,
            note,
            dots,
            log,
        },
    ) in panels.iter().enumerate()
    {
        let area = sheet.area((i % across, i / across), title, note);
        let canvas = &mut sheet.canvas;
        let heights = dots.iter().map(|d| d.at.1);
        let Some(y) = padded(heights, if *log { 0.5 } else { 1e-3 }) else {
            continue;
        };
        let frame = Frame::new(area, x.0, y);
        let left = if *log { log_ticks(y) } else { ticks(y, 5) };
        frame.mesh_upwards(canvas, x.1);
        frame.axes(canvas, &left, x.1);
        if i + across >= panels.len() {
            frame.name_below(canvas, x.2, 54.0);
        }
        // Also for ends that are not numbers.
        let held = |v: f64, (low, high): (f64, f64)| v.max(low).min(high);
        for dot in dots {
            let ends = dot.bar.into_iter().flatten();
            let ends = ends.map(|(x, y)| frame.at(held(x, frame.x), held(y, frame.y)));
            let ink = Ink(model_colour(dot.index), 0.75);
            canvas.stroke(&ends.collect::<Vec<_>>(), 2.4, ink, Some(frame.area));
        }
        let at = |dot: &Dot| frame.at(dot.at.0, dot.at.1);
        for dot in dots {
            mark(canvas, dot.index, at(dot), 6.0);
        }
        for same in dots.chunk_by(|a, b| a.index == b.index) {
            let heights: Vec<f64> = same.iter().map(|dot| at(dot).1).collect();
            let heights = spread_out(&heights, 14.0, (area.y, area.bottom()));
            for (dot, y) in same.iter().zip(heights) {
                let beside = (at(dot).0 + 9.0, y + 5.0);
                let colour = name_colour(dot.index);
                canvas.text(&dot.text, NOTE, colour, beside, Align::Left);
            }
        }
    }
    Ok(sheet.canvas)
}

/// A range around values, at least `least` to either side of the middle.
pub fn padded(values: impl Iterator<Item = f64>, least: f64) -> Option<(f64, f64)> {
    let (low, high) = ends(values)?;
    let (pad, middle) = (0.12 * (high - low), 0.5 * (low + high));
    Some((
        (low - pad).min(middle - least),
        (high + pad).max(middle + least),
    ))
}
