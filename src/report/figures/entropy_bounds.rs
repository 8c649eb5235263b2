//! A study: entropies of the relaxed mixture by each density against the number of nested terms.

use super::axes::{log_ticks, number, ticks, Frame};
use super::canvas::{Align, Canvas, Ink, Point, Rect};
use super::curves::spread_out;
use super::style::{
    heading, model_colour, strip, AXIS, DARK, GREY, HEAD, LABEL, MARGIN, NAME, STRIP,
};
use crate::report::digits;
use crate::report::study::Study;
use mdn_core::study::{Density, EntropyRow};
use mdn_core::Result;

const WIDTH: f64 = 1800.0;
/// Panels beside each other at most.
const ACROSS: usize = 3;
/// Heights of the entropies' panel and of that of their distances.
const UPPER: f64 = 330.0;
const LOWER: f64 = 250.0;
/// Below a panel: numbers and the name of the axis.
const BELOW: f64 = 72.0;
const GAP: f64 = 14.0;
const LEFT: f64 = 68.0;
const RIGHT: f64 = 130.0;

/// The curves with their names and places among the colours.
const CURVES: [(Density, &str, usize); 3] = [
    (Density::NestedExcludingOwn, "own left out", 1),
    (Density::NestedIncludingOwn, "own included", 0),
    (Density::Midpoint, "midpoint", 2),
];

const ORDER: [&str; 5] = [
    "equation 1",
    "own left out",
    "midpoint",
    "truth",
    "own included",
];

/// `0.018`, `−28`
fn two_digits(v: f64) -> String {
    let decimals = 1.0 - v.abs().max(1e-9).log10().floor();
    number(v, decimals.clamp(0.0, 9.0) as usize)
}

/// `None` without nested entropies.
pub fn draw(study: &Study<'_>) -> Result<Option<Canvas>> {
    let temperatures: Vec<f64> = study.temperatures();
    let all: Vec<&EntropyRow> = study
        .entropies
        .iter()
        .filter(|r| r.inner.is_some())
        .collect();
    if all.is_empty() {
        return Ok(None);
    }
    let (y, distances) = ranges(study, &all);
    let most = all.iter().filter_map(|r| r.inner).fold(1, usize::max) as f64;
    let least = all
        .iter()
        .filter_map(|r| r.inner)
        .fold(usize::MAX, usize::min) as f64;
    let x = (
        least.log10() - 0.06,
        (most / least).log10().max(0.3) * 1.02 + least.log10(),
    );

    let across = temperatures.len().min(ACROSS);
    let rounds = temperatures.len().div_ceil(ACROSS);
    let group = HEAD + UPPER + GAP + LOWER + BELOW;
    let mut canvas = Canvas::new(WIDTH, STRIP - 10.0 + rounds as f64 * group)?;
    let samples = all.iter().map(|r| r.samples).fold(0, usize::max);
    let facts = format!(
        "dots: up to {} samples each, bars ± 2 standard errors, hollow within them of 0; own: the \
         sample's own weights",
        digits::count(samples as f64)
    );
    strip(
        &mut canvas,
        "Entropy of the relaxed mixture",
        study.command,
        &facts,
    );
    let pitch = (WIDTH - 2.0 * MARGIN) / across as f64;
    for (i, &t) in temperatures.iter().enumerate() {
        let left = MARGIN + pitch * (i % ACROSS) as f64;
        let top = STRIP - 10.0 + group * (i / ACROSS) as f64 + HEAD;
        let width = pitch - LEFT - RIGHT;
        let Some(truth) = study.nested(t, CURVES[0].0).first().map(|(_, r)| r.truth) else {
            continue;
        };
        let title = format!("temperature {t}");
        let off = |d: Density| study.plain(t, d).map(|r| two_digits(r.bias));
        let mut note = format!("truth {} nats", number(truth, 4));
        if let (Some(one), Some(two)) = (off(Density::ExactMixture), off(Density::Joint)) {
            note.push_str(&format!("; equation 1 off by {one}, equation 2 by {two}"));
        }
        heading(&mut canvas, i, &title, &note, (left, top), pitch - 20.0);
        let upper = Rect {
            x: left + LEFT,
            y: top,
            w: width,
            h: UPPER,
        };
        let lower = Rect {
            y: upper.bottom() + GAP,
            h: LOWER,
            ..upper
        };
        let first = i % ACROSS == 0;
        levels(
            &mut canvas,
            study,
            t,
            truth,
            Frame { area: upper, x, y },
            first,
        );
        let frame = Frame {
            area: lower,
            x,
            y: distances,
        };
        gaps(&mut canvas, study, t, frame, first);
        let below = log_ticks(x);
        frame.ticks_below(&mut canvas, &below);
        let middle = (lower.x + 0.5 * lower.w, lower.bottom() + 54.0);
        canvas.text("nested terms M", LABEL, DARK, middle, Align::Middle);
    }
    Ok(Some(canvas))
}

/// Of entropies, and of log10 of distances: what is within the largest distance below the truth is in
/// view above it too.
fn ranges(study: &Study<'_>, all: &[&EntropyRow]) -> ((f64, f64), (f64, f64)) {
    let below = |r: &&&EntropyRow| r.density == Density::NestedIncludingOwn;
    let low = all
        .iter()
        .filter(below)
        .map(|r| r.truth + r.bias)
        .fold(f64::MAX, f64::min);
    let depth = all
        .iter()
        .filter(below)
        .map(|r| -r.bias)
        .fold(0.0, f64::max);
    let crosses = study
        .entropies
        .iter()
        .filter(|r| r.density == Density::ExactMixture);
    let crosses = crosses.map(|r| r.truth + r.bias);
    let high = all.iter().map(|r| r.truth + 0.6 * depth).chain(crosses);
    let high = high.fold(f64::MIN, f64::max);
    let pad = 0.06 * (high - low).max(1e-6);
    let known = all
        .iter()
        .filter(|r| r.predicted != 0.0)
        .map(|r| r.predicted.abs());
    let least = known.fold(f64::MAX, f64::min).min(1.0);
    let most = all.iter().map(|r| r.bias.abs()).fold(least, f64::max);
    let distances = ((0.1 * least).log10().floor(), most.log10() + 0.15);
    ((low - pad, high + pad), distances)
}

fn corner(canvas: &mut Canvas, area: &Rect) {
    let path = [
        (area.x, area.y),
        (area.x, area.bottom()),
        (area.right(), area.bottom()),
    ];
    canvas.stroke(&path, 1.3, Ink::full(AXIS), None);
}

fn inner(m: usize) -> f64 {
    (m as f64).log10()
}

/// Entropies against M, the truth and the mixture's own density.
fn levels(
    canvas: &mut Canvas,
    study: &Study<'_>,
    temperature: f64,
    truth: f64,
    frame: Frame,
    first: bool,
) {
    let area = frame.area;
    let across = ticks(frame.y, 6);
    frame.mesh_across(canvas, &across);
    frame.ticks_left(canvas, &across);
    corner(canvas, &area);
    if first {
        let beside = (MARGIN + 10.0, area.y + 0.5 * area.h);
        canvas.text_upwards("entropy (nats)", LABEL, DARK, beside);
    }
    let level = |v: f64| [frame.at(frame.x.0, v), frame.at(frame.x.1, v)];
    let mut names = vec![("truth", DARK, truth)];
    canvas.stroke(&level(truth), 2.0, Ink::full(DARK), Some(area));
    if let Some(row) = study.plain(temperature, Density::ExactMixture) {
        let [from, to] = level(row.truth + row.bias);
        canvas.dashes(from, to, 2.2, Ink::full(model_colour(3)));
        names.push(("equation 1", model_colour(3), row.truth + row.bias));
    }
    for (density, name, colour) in CURVES {
        let rows = study.nested(temperature, density);
        let ink = model_colour(colour);
        let path: Vec<Point> = rows
            .iter()
            .map(|(m, r)| frame.at(inner(*m), r.truth + r.bias))
            .collect();
        let width = if density == Density::Midpoint {
            1.6
        } else {
            2.6
        };
        canvas.stroke(&path, width, Ink::full(ink), Some(area));
        for at in path.iter().filter(|p| p.1 >= area.y) {
            canvas.dot(*at, width + 1.7, Ink::full(ink), None);
        }
        names.extend(rows.last().map(|(_, r)| (name, ink, r.truth + r.bias)));
    }
    // Curves that have met are named in this order, whatever the noise between them.
    names.sort_by_key(|(name, ..)| ORDER.iter().position(|o| o == name));
    let step = |v: f64| (frame.at(0.0, v).1 / 6.0).round() * 6.0;
    let places = names.iter().zip(0..);
    let wanted: Vec<f64> = places
        .map(|((_, _, v), i)| step(*v) + 1e-3 * f64::from(i))
        .collect();
    let heights = spread_out(&wanted, 22.0, (area.y + 6.0, area.bottom() - 6.0));
    for ((name, colour, _), y) in names.iter().zip(heights) {
        let at = (area.right() + 10.0, y + 6.0);
        canvas.text(name, NAME, *colour, at, Align::Left);
    }
}

/// Distances from the truth on a logarithmic axis, and what theory says of them.
fn gaps(canvas: &mut Canvas, study: &Study<'_>, temperature: f64, frame: Frame, first: bool) {
    let area = frame.area;
    let across = log_ticks(frame.y);
    frame.mesh_across(canvas, &across);
    frame.ticks_left(canvas, &across);
    corner(canvas, &area);
    if first {
        let beside = (MARGIN + 10.0, area.y + 0.5 * area.h);
        canvas.text_upwards("distance (nats)", LABEL, DARK, beside);
    }
    let at = |m: usize, v: f64| frame.at(inner(m), v.max(1e-300).log10().max(frame.y.0));
    let theory = study.nested(temperature, Density::NestedExcludingOwn);
    if let [(m, a), .., (n, b)] = theory.as_slice() {
        let (from, to) = (at(*m, a.predicted), at(*n, b.predicted));
        canvas.dashes(from, to, 2.0, Ink::full(GREY));
        let name = (area.right() + 10.0, to.1 + 6.0);
        canvas.text("χ² / 2M", NAME, GREY, name, Align::Left);
    }
    for (density, _, colour) in CURVES {
        let ink = Ink::full(model_colour(colour));
        let rows = study.nested(temperature, density);
        let size = |r: &EntropyRow| r.bias.abs();
        let clear = |r: &EntropyRow| size(r) > 2.0 * r.bias_std_err;
        let path: Vec<Point> = rows
            .iter()
            .take_while(|(_, r)| clear(r))
            .map(|(m, r)| at(*m, size(r)))
            .collect();
        canvas.stroke(&path, 1.8, ink, Some(area));
        for (m, r) in &rows {
            let bar = [-2.0, 2.0].map(|k| at(*m, size(r) + k * r.bias_std_err));
            canvas.stroke(&bar, 1.6, ink, Some(area));
            canvas.dot(at(*m, size(r)), 4.6, ink, None);
            if !clear(r) {
                canvas.dot(at(*m, size(r)), 2.8, Ink::full([255; 3]), None);
            }
        }
    }
}
