//! One data set: validation loss against steps, mean and interval over seeds for every model.

use super::axes::Frame;
use super::canvas::{Align, Canvas, Ink, Point, Rect};
use super::curves::{between, range, spread_out};
use super::marks::line;
use super::style::{count, model_colour, name_colour, strip, NAME, STRIP};
use super::training::draw_axes;
use super::{DataPage, Drawn};
use crate::experiment::store::Split;
use crate::report::interval::Spread;
use crate::Result;

struct Curve<'a> {
    model: &'a str,
    index: usize,
    mean: Vec<Point>,
    low: Vec<Point>,
    high: Vec<Point>,
}

/// `None` where no finished run of the data set has validation losses.
pub fn draw(page: &DataPage<'_>) -> Result<Option<Drawn>> {
    let mut curves = Vec::new();
    for (i, model) in page.results.what.models.iter().enumerate() {
        curves.extend(curve(page, i, model)?);
    }
    let means: Vec<&[Point]> = curves.iter().map(|c| c.mean.as_slice()).collect();
    let Some((low, high)) = range(&means) else {
        return Ok(None);
    };
    let bands: Vec<&[Point]> = curves
        .iter()
        .flat_map(|c| [c.low.as_slice(), &c.high])
        .collect();
    let around = range(&bands).unwrap_or((low, high));
    // A band of two seeds can be a hundred times as wide as anything of interest.
    let room = 0.35 * (high - low);
    let y = (
        around.0.clamp(low - room, low),
        around.1.clamp(high, high + room),
    );
    let last = means
        .iter()
        .filter_map(|c| c.last())
        .map(|p| p.0)
        .fold(1.0, f64::max);

    let widest = curves
        .iter()
        .map(|c| NAME.width(c.model))
        .fold(60.0, f64::max)
        .min(330.0);
    let mut canvas = Canvas::new(1400.0, 760.0)?;
    let title = format!("{}: validation loss", page.data);
    let lines = match page.results.what.seeds.len() {
        1 => "",
        _ => "; line: mean, band: 95 % t interval",
    };
    let facts = format!("{}{lines}; failed runs left out", page.seeds());
    strip(&mut canvas, &title, page.results.what.command, &facts);
    let area = Rect {
        x: 118.0,
        y: STRIP + 14.0,
        w: 1400.0 - 118.0 - widest - 46.0,
        h: 545.0,
    };
    let frame = Frame {
        area,
        x: (0.0, last),
        y,
    };
    draw_axes(&mut canvas, &frame, page.loss_name());
    let held = |p: &Point| frame.at(p.0, p.1.clamp(y.0, y.1));
    // Many bands on top of each other would be one dark cloud.
    let faint = f64::min(0.16, 0.6 / curves.len() as f64);
    for c in &curves {
        let around = c.low.iter().chain(c.high.iter().rev());
        let band: Vec<Point> = around.map(|p| frame.at(p.0, p.1)).collect();
        let band = between(&band, area.y, area.bottom());
        if band.len() > 2 {
            canvas.fill(&band, Ink(model_colour(c.index), faint));
        }
    }
    for c in &curves {
        let path: Vec<Point> = c.mean.iter().map(|p| frame.at(p.0, p.1)).collect();
        line(&mut canvas, c.index, &path, 2.6, Some(area));
    }
    let wanted: Vec<f64> = curves
        .iter()
        .map(|c| c.mean.last().map_or(area.y, |p| held(p).1))
        .collect();
    let heights = spread_out(&wanted, 24.0, (area.y, area.bottom()));
    for (c, y) in curves.iter().zip(heights) {
        let name = NAME.squeeze(c.model, widest);
        canvas.text(
            &name,
            NAME,
            name_colour(c.index),
            (area.right() + 12.0, y + 6.0),
            Align::Left,
        );
    }
    let models = count(curves.len(), "model");
    Ok(Some(Drawn {
        stem: format!("training-{}", page.data),
        title: format!("{title} of {models}"),
        canvas,
    }))
}

/// At every step that all finished seeds measured: a mean whose seeds change would jump.
fn curve<'a>(page: &DataPage<'a>, i: usize, model: &'a str) -> Result<Option<Curve<'a>>> {
    let mut seeds: Vec<Vec<Point>> = Vec::new();
    for run in page.results.of(page.data, model).filter(|r| r.is_done()) {
        let history = run.place.read_history()?;
        let rows = history
            .iter()
            .filter(|r| r.split == Split::Validation && r.loss.is_finite());
        seeds.push(rows.map(|r| (r.step as f64, r.loss)).collect());
    }
    let Some(first) = seeds.first() else {
        return Ok(None);
    };
    let (mut mean, mut low, mut high) = (Vec::new(), Vec::new(), Vec::new());
    for (step, _) in first {
        let at = |s: &Vec<Point>| {
            let found = s.binary_search_by(|p| p.0.total_cmp(step));
            found.ok().map(|i| s[i].1)
        };
        let values: Option<Vec<f64>> = seeds.iter().map(at).collect();
        let Some(spread) = values.as_deref().and_then(Spread::of) else {
            continue;
        };
        mean.push((*step, spread.mean));
        if let Some((a, b)) = spread.interval {
            low.push((*step, a));
            high.push((*step, b));
        }
    }
    Ok((!mean.is_empty()).then_some(Curve {
        model,
        index: i,
        mean,
        low,
        high,
    }))
}
