//! One data set: the model's mass below a density level of the truth, against the truth's own.

use super::axes::{log_ticks, Frame};
use super::bands::{self, Curve};
use super::canvas::{Align, Canvas, Ink, Rect};
use super::style::{count, STRIP};
use super::style::{strip, AXIS, DARK, GREY, LABEL, MARGIN, NOTE};
use super::{DataPage, Drawn};
use crate::report::interval::Spread;
use mdn_core::Result;

/// `None` where no finished run has density levels.
pub fn draw(page: &DataPage<'_>) -> Result<Option<Drawn>> {
    let mut curves = Vec::new();
    for (i, model) in page.results.what.models.iter().enumerate() {
        curves.extend(curve(page, i, model)?);
    }
    let all = || curves.iter().flat_map(|c| &c.mean);
    let ends = |values: &mut dyn Iterator<Item = f64>| {
        values.fold((f64::MAX, f64::MIN), |(a, b), v| (a.min(v), b.max(v)))
    };
    let x = ends(&mut all().map(|p| p.0));
    let masses = ends(&mut all().map(|p| p.1));
    if x.0 >= x.1 {
        return Ok(None);
    }
    // The whole diagonal, and not much below it: a model without mass there is at zero.
    let y = (
        (x.0 - 0.5).max(masses.0).min(x.0) - 0.1,
        masses.1.max(x.1).min(0.0) + 0.1,
    );
    let widest = bands::widest(&curves);
    let (wide, high) = (860.0, 600.0);
    let area = Rect {
        x: 118.0,
        y: STRIP + 14.0,
        w: wide,
        h: high,
    };
    let width = (area.right() + widest + 46.0).max(1200.0);
    let area = Rect {
        w: width - area.x - widest - 46.0,
        ..area
    };
    let mut canvas = Canvas::new(width, area.bottom() + 84.0)?;
    let title = format!("{}: mass between the modes", page.data);
    let lines = match page.results.what.seeds.len() {
        1 => "",
        _ => "; line: mean, band: 95 % t interval",
    };
    let facts = format!("{}{lines}; above the diagonal: bridges", page.seeds());
    strip(&mut canvas, &title, page.results.what.command, &facts);
    // Shares fall to the right, where the curves are apart and their names stand.
    let frame = Frame {
        area,
        x: (x.1, x.0),
        y,
    };
    axes(&mut canvas, &frame);
    bands::draw(&mut canvas, &frame, &curves, widest);
    Ok(Some(Drawn {
        stem: format!("bridges-{}", page.data),
        title: format!("{title} of {}", count(curves.len(), "model")),
        canvas,
    }))
}

/// The axes with the diagonal.
fn axes(canvas: &mut Canvas, frame: &Frame) {
    let area = frame.area;
    let across = log_ticks(frame.y);
    frame.mesh_across(canvas, &across);
    frame.ticks_left(canvas, &across);
    frame.ticks_below(canvas, &log_ticks((frame.x.1, frame.x.0)));
    let corner = [
        (area.x, area.y),
        (area.x, area.bottom()),
        (area.right(), area.bottom()),
    ];
    canvas.stroke(&corner, 1.3, Ink::full(AXIS), None);
    let (a, b) = (
        frame.at(frame.x.0, frame.x.0),
        frame.at(frame.x.1, frame.x.1),
    );
    canvas.dashes(a, b, 1.4, Ink::full(GREY));
    let middle = frame.at(0.5 * (frame.x.0 + frame.x.1), 0.5 * (frame.x.0 + frame.x.1));
    let at = (middle.0 - 10.0, middle.1 + 22.0);
    canvas.text("p itself", NOTE, GREY, at, Align::Right);
    let middle = (area.x + 0.5 * area.w, area.bottom() + 58.0);
    let below = "share of p below the density level (log scale)";
    canvas.text(below, LABEL, DARK, middle, Align::Middle);
    let beside = (MARGIN + 14.0, area.y + 0.5 * area.h);
    canvas.text_upwards("mass of q below it (log scale)", LABEL, DARK, beside);
}

/// Over the seeds that are done, at every share that all of them have. No mass at all stands at a
/// hundredth of the share, off the sheet. Shares and masses as log10.
fn curve<'a>(page: &DataPage<'a>, index: usize, model: &'a str) -> Result<Option<Curve<'a>>> {
    let mut seeds: Vec<Vec<(f64, f64)>> = Vec::new();
    for run in page.results.of(page.data, model).filter(|r| r.is_done()) {
        let levels = run.place.read_levels()?;
        if !levels.is_empty() {
            seeds.push(levels);
        }
    }
    let Some(first) = seeds.first() else {
        return Ok(None);
    };
    let (mut mean, mut low, mut high) = (Vec::new(), Vec::new(), Vec::new());
    for &(share, _) in first.iter().filter(|l| l.0 > 0.0) {
        let at = |s: &Vec<(f64, f64)>| Some(s.iter().find(|l| l.0 == share)?.1);
        let values: Option<Vec<f64>> = seeds.iter().map(at).collect();
        let Some(spread) = values.as_deref().and_then(Spread::of) else {
            continue;
        };
        let log = |v: f64| v.max(0.01 * share).log10();
        let x = share.log10();
        mean.push((x, log(spread.mean)));
        if let Some((a, b)) = spread.interval {
            low.push((x, log(a)));
            high.push((x, log(b)));
        }
    }
    for points in [&mut mean, &mut low, &mut high] {
        points.retain(|p| p.1.is_finite());
        points.sort_by(|a, b| b.0.total_cmp(&a.0));
    }
    Ok((!mean.is_empty()).then_some(Curve {
        index,
        model,
        mean,
        low,
        high,
    }))
}
