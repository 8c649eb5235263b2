//! One data set: validation loss against steps, mean and interval over seeds for every model.

use super::axes::Frame;
use super::bands::{self, Curve};
use super::canvas::{Canvas, Point, Rect};
use super::curves::range;
use super::style::{count, strip, STRIP};
use super::training::draw_axes;
use super::{DataPage, Drawn};
use crate::experiment::store::Split;
use crate::report::interval::Spread;
use mdn_core::Result;

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

    let widest = bands::widest(&curves);
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
    bands::draw(&mut canvas, &frame, &curves, widest);
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
