//! The figures of a study: entropies of the relaxed mixture against the number of nested terms, and
//! bias and noise of gradients.

use super::axes::{ends, log_ticks, number, signs, ticks, Frame};
use super::canvas::{Align, Canvas, Ink, Point, Rect};
use super::curves::names_at_ends;
use super::legend::{mark, Legend};
use super::style::{
    heading, model_colour, name_colour, strip, DARK, GREY, HEAD, MARGIN, NOTE, STRIP, TICK,
};
use crate::report::digits;
use crate::report::study::Study;
use mdn_core::study::{Density, EntropyRow, GradientRow, Parameter};
use mdn_core::Result;

const WIDTH: f64 = 1800.0;
/// Panels beside each other at most.
const ACROSS: usize = 3;
/// Space at the left of a panel, for numbers.
const LEFT: f64 = 68.0;

/// Curves of the entropies with their names, places among the colours and widths.
const CURVES: [(Density, &str, usize, f64); 3] = [
    (Density::NestedExcludingOwn, "own left out", 1, 2.6),
    (Density::NestedIncludingOwn, "own included", 0, 2.6),
    (Density::Midpoint, "midpoint", 2, 1.6),
];
/// The colour of the mixture's own density.
const EQUATION_1: usize = 3;

/// Heights of the entropies' panel and of that of their distances, and the gap between them.
const UPPER: f64 = 330.0;
const LOWER: f64 = 250.0;
const GAP: f64 = 14.0;

/// Height of a panel of gradients, and width of its part for estimates without a visible bias, which
/// have no place on a logarithmic axis.
const HEIGHT: f64 = 470.0;
const ZONE: f64 = 230.0;
const SHADE: [u8; 3] = [0xf3, 0xf5, 0xf8];
const DOT: f64 = 5.6;

/// Entropies by each density, and their distances from the truth. `None` without nested entropies.
pub fn entropies(study: &Study<'_>) -> Result<Option<Canvas>> {
    let nested = || study.entropies.iter().filter(|r| r.inner.is_some());
    let Some((least, most)) = ends(nested().map(log_size)) else {
        return Ok(None);
    };
    let x = (least - 0.06, least + 1.02 * (most - least).max(0.3));
    let (y, distances) = (entropy_range(study), distance_range(nested()));
    let temperatures = study.temperatures();
    let group = HEAD + UPPER + GAP + LOWER + 72.0;
    let down = temperatures.len().div_ceil(ACROSS) as f64;
    let mut canvas = Canvas::new(WIDTH, STRIP - 10.0 + down * group)?;
    let samples = nested().map(|r| r.samples).max().unwrap_or_default();
    let facts = format!(
        "dots: up to {} samples each, bars ± 2 standard errors, hollow within them of 0; own: the \
         sample's own weights",
        digits::count(samples as f64)
    );
    let title = "Entropy of the relaxed mixture";
    strip(&mut canvas, title, study.command, &facts);
    let pitch = (WIDTH - 2.0 * MARGIN) / temperatures.len().min(ACROSS) as f64;
    for (i, &t) in temperatures.iter().enumerate() {
        let left = MARGIN + pitch * (i % ACROSS) as f64;
        let top = STRIP - 10.0 + group * (i / ACROSS) as f64 + HEAD;
        let first = |density| study.entropies(t, density).into_iter().next();
        let Some(truth) = first(Density::NestedExcludingOwn).map(|r| r.truth) else {
            continue;
        };
        let equations = [Density::ExactMixture, Density::Joint].map(|d| Some(first(d)?.bias));
        let mut note = format!("truth {} nats", number(truth, 4));
        if let [Some(one), Some(two)] = equations {
            let [one, two] = [one, two].map(|bias| signs(&digits::plain(bias)));
            note.push_str(&format!("; equation 1 off by {one}, equation 2 by {two}"));
        }
        let title = format!("temperature {t}");
        heading(&mut canvas, i, &title, &note, (left, top), pitch - 20.0);
        let area = Rect::new(left + LEFT, top, pitch - LEFT - 130.0, UPPER);
        let upper = Frame::new(area, x, y);
        upper.axes(&mut canvas, &ticks(y, 6), &[]);
        draw_entropies(&mut canvas, &upper, study, t, (truth, equations[0]));
        let area = Rect::new(area.x, area.bottom() + GAP, area.w, LOWER);
        let lower = Frame::new(area, x, distances);
        lower.axes(&mut canvas, &log_ticks(distances), &log_ticks(x));
        lower.name_below(&mut canvas, "nested terms M", 54.0);
        draw_distances(&mut canvas, &lower, study, t);
        if i % ACROSS == 0 {
            upper.name_left(&mut canvas, "entropy (nats)", MARGIN + 10.0);
            lower.name_left(&mut canvas, "distance (nats)", MARGIN + 10.0);
        }
    }
    Ok(Some(canvas))
}

/// As much is in view above the truth as 0.6 of the largest distance below it.
fn entropy_range(study: &Study<'_>) -> (f64, f64) {
    let of = |density| study.entropies.iter().filter(move |r| r.density == density);
    let below = of(Density::NestedIncludingOwn);
    let depth = below.clone().map(|r| -r.bias).fold(0.0, f64::max);
    let above = below.clone().map(|r| r.truth + 0.6 * depth);
    let curves = below.chain(of(Density::ExactMixture));
    let (low, high) = ends(curves.map(|r| r.truth + r.bias).chain(above)).unwrap_or((0.0, 1.0));
    let pad = 0.06 * (high - low).max(1e-6);
    (low - pad, high + pad)
}

/// Of log10 of the distances from the truth.
fn distance_range<'a>(nested: impl Iterator<Item = &'a EntropyRow> + Clone) -> (f64, f64) {
    let predicted = nested.clone().map(|r| r.predicted.abs());
    let least = predicted.filter(|p| *p != 0.0).fold(1.0, f64::min);
    let most = nested.map(|r| r.bias.abs()).fold(least, f64::max);
    ((0.1 * least).log10().floor(), most.log10() + 0.15)
}

fn log_size(row: &EntropyRow) -> f64 {
    (row.inner.unwrap_or(1) as f64).log10()
}

/// Entropies against M, the truth and the mixture's own density.
fn draw_entropies(
    canvas: &mut Canvas,
    frame: &Frame,
    study: &Study<'_>,
    temperature: f64,
    (truth, equation_1): (f64, Option<f64>),
) {
    let level = |v: f64| frame.path(&[(frame.x.0, v), (frame.x.1, v)]);
    let mut names = vec![("truth".to_owned(), DARK, Some((frame.x.1, truth)))];
    canvas.stroke(&level(truth), 2.0, Ink::full(DARK), Some(frame.area));
    if let Some(bias) = equation_1 {
        let path = level(truth + bias);
        let ink = Ink::full(model_colour(EQUATION_1));
        canvas.dashes(path[0], path[1], 2.2, ink);
        let end = Some((frame.x.1, truth + bias));
        names.push(("equation 1".to_owned(), name_colour(EQUATION_1), end));
    }
    for (density, name, colour, width) in CURVES {
        let rows = study.entropies(temperature, density).into_iter();
        let values: Vec<Point> = rows.map(|r| (log_size(r), r.truth + r.bias)).collect();
        let (path, ink) = (frame.path(&values), Ink::full(model_colour(colour)));
        canvas.stroke(&path, width, ink, Some(frame.area));
        for at in path.iter().filter(|p| p.1 >= frame.area.y) {
            canvas.dot(*at, width + 1.7, ink, None);
        }
        if let Some(last) = values.last() {
            names.push((name.to_owned(), name_colour(colour), Some(*last)));
        }
    }
    names_at_ends(canvas, frame, &names, 118.0);
}

/// Distances from the truth on a logarithmic axis, and their theoretical value.
fn draw_distances(canvas: &mut Canvas, frame: &Frame, study: &Study<'_>, temperature: f64) {
    let log = |v: f64| v.max(1e-300).log10().max(frame.y.0);
    let at = |r: &EntropyRow, v: f64| frame.at(log_size(r), log(v));
    let theory = study.entropies(temperature, Density::NestedExcludingOwn);
    if let [first, .., last] = theory.as_slice() {
        let (from, to) = (at(first, first.predicted), at(last, last.predicted));
        canvas.dashes(from, to, 2.0, Ink::full(GREY));
        let end = Some((log_size(last), log(last.predicted)));
        names_at_ends(canvas, frame, &[("χ² / 2M".to_owned(), GREY, end)], 118.0);
    }
    for (density, _, colour, _) in CURVES {
        let ink = Ink::full(model_colour(colour));
        let rows = study.entropies(temperature, density);
        let is_clear = |r: &&&EntropyRow| r.bias.abs() > 2.0 * r.bias_std_err;
        let clear = rows.iter().take_while(is_clear);
        let path: Vec<Point> = clear.map(|r| at(r, r.bias.abs())).collect();
        canvas.stroke(&path, 1.8, ink, Some(frame.area));
        for r in &rows {
            let bar = [-2.0, 2.0].map(|k| at(r, r.bias.abs() + k * r.bias_std_err));
            canvas.stroke(&bar, 1.6, ink, Some(frame.area));
            canvas.dot(at(r, r.bias.abs()), 4.6, ink, None);
            if !is_clear(&r) {
                canvas.dot(at(r, r.bias.abs()), 2.8, Ink::full([255; 3]), None);
            }
        }
    }
}

/// Bias and noise of every strategy, a panel for each kind of parameter: at the left the estimates
/// without a visible bias, at the right the others against log10 of it. `None` without gradients.
pub fn gradients(study: &Study<'_>) -> Result<Option<Canvas>> {
    let evaluations = study.gradients.iter().map(|r| r.evaluations as f64);
    let (Some(first), Some((least, most))) = (study.gradients.first(), ends(evaluations)) else {
        return Ok(None);
    };
    let strategies = study.strategies();
    let names: Vec<String> = strategies.iter().map(|s| s.replace('_', " ")).collect();
    let legend = Legend::new(&names, WIDTH - 2.0 * MARGIN);
    let top = STRIP + legend.height() + HEAD;
    let mut canvas = Canvas::new(WIDTH, top + HEIGHT + 84.0)?;
    let evaluations = if least == most {
        least.to_string()
    } else {
        format!("{least} to {most}")
    };
    let facts = format!(
        "{} estimates of {evaluations} evaluations each; bars ± 2 standard errors; numbers: temperatures",
        digits::count(first.estimates as f64),
    );
    let title = "Gradients of E[sin(1.5 z) + 0.15 z²]";
    strip(&mut canvas, title, study.command, &facts);
    legend.draw(&mut canvas, (MARGIN, STRIP + 8.0));
    let usable = |r: &&GradientRow| r.sd > 0.0 && r.sd.is_finite() && r.relative_bias.is_finite();
    let biased = study.gradients.iter().filter(usable);
    let biased = biased.filter(|r| !r.looks_unbiased());
    let (least, most) = ends(biased.map(|r| r.relative_bias.log10())).unwrap_or((-1.0, 0.0));
    let x = (least - 0.2, most + 0.25);
    let pitch = (WIDTH - 2.0 * MARGIN) / ACROSS as f64;
    let titles = [
        ("Weights", "logits"),
        ("Means", "means"),
        ("Standard deviations", "log standard deviations"),
    ];
    for (i, (parameter, (title, by))) in Parameter::ALL.into_iter().zip(titles).enumerate() {
        let left = MARGIN + pitch * i as f64;
        let note = format!("gradient by the {by}");
        heading(&mut canvas, i, title, &note, (left, top), pitch - 20.0);
        let rows: Vec<_> = study.by(parameter).filter(usable).collect();
        let Some((low, high)) = ends(rows.iter().map(|r| r.sd.log10())) else {
            continue;
        };
        // At least a factor of five, so that the axis has numbers.
        let pad = 0.08_f64.max(0.5 * (0.7 - (high - low)));
        let y = (low - pad, high + pad);
        let whole = Rect::new(left + LEFT, top, pitch - LEFT - 16.0, HEIGHT);
        let zone = Rect { w: ZONE, ..whole };
        canvas.fill_rect(&zone, Ink::full(SHADE));
        let axes = Frame::new(whole, x, y);
        axes.axes(&mut canvas, &log_ticks(y), &[]);
        if i == 0 {
            axes.name_left(
                &mut canvas,
                "noise of one evaluation / |gradient|",
                MARGIN + 10.0,
            );
        }
        let below = (zone.middle().0, zone.bottom() + 23.0);
        canvas.text("unbiased within error", TICK, GREY, below, Align::Middle);
        let area = Rect::new(zone.right(), top, whole.w - ZONE, HEIGHT);
        let frame = Frame::new(area, x, y);
        let mut ticks = log_ticks(x);
        ticks.retain(|(v, _)| *v > x.0 + 0.05);
        frame.ticks_below(&mut canvas, &ticks);
        frame.name_below(&mut canvas, "relative bias", 56.0);
        draw_gradients(&mut canvas, &frame, zone, &strategies, &rows);
    }
    Ok(Some(canvas))
}

/// Marks of one panel with temperatures beside them: in the shaded part a column for each strategy,
/// right of it a line through its temperatures.
fn draw_gradients(
    canvas: &mut Canvas,
    frame: &Frame,
    zone: Rect,
    strategies: &[&str],
    rows: &[&GradientRow],
) {
    let column = zone.w / strategies.len() as f64;
    let mut marks = Vec::new();
    for (i, strategy) in strategies.iter().enumerate() {
        let mut own: Vec<_> = rows.iter().filter(|r| r.strategy == *strategy).collect();
        let temperature = |r: &GradientRow| r.temperature.unwrap_or(0.0);
        own.sort_by(|a, b| temperature(a).total_cmp(&temperature(b)));
        let ink = Ink::full(model_colour(i));
        let mut path = Vec::new();
        for r in own {
            let (mut x, y) = frame.at(r.relative_bias.log10(), r.sd.log10());
            if r.looks_unbiased() {
                x = zone.x + column * (i as f64 + 0.5);
            } else {
                let bar = [-2.0, 2.0].map(|k| {
                    let bias = (r.relative_bias + k * r.bias_std_err).max(1e-300);
                    (frame.at(bias.log10().max(frame.x.0), 0.0).0, y)
                });
                canvas.stroke(&bar, 1.8, ink, Some(frame.area));
                path.push((x, y));
            }
            marks.push((i, (x, y), r.temperature));
        }
        canvas.stroke(&path, 1.6, Ink(ink.0, 0.45), Some(frame.area));
    }
    // Middles of marks and numbers.
    let mut taken: Vec<Point> = marks.iter().map(|(_, at, _)| *at).collect();
    for (i, at, temperature) in marks {
        mark(canvas, i, at, DOT);
        let Some(temperature) = temperature else {
            continue;
        };
        let across = [25.0, -25.0, 0.0, 0.0, 25.0, -25.0, 25.0, -25.0, 0.0, 0.0];
        let down = [0.0, 0.0, -17.0, 17.0, -17.0, -17.0, 17.0, 17.0, -34.0, 34.0];
        let mut places = across.iter().zip(down).map(|(x, y)| (at.0 + x, at.1 + y));
        let is_free = |p: &Point| {
            let touches = |q: &Point| (p.0 - q.0).abs() < 24.0 && (p.1 - q.1).abs() < 15.0;
            !taken.iter().any(touches)
        };
        let place = places.find(is_free).unwrap_or((at.0 + 25.0, at.1));
        taken.push(place);
        let (text, line) = (temperature.to_string(), (place.0, place.1 + 5.5));
        canvas.text(&text, NOTE, name_colour(i), line, Align::Middle);
    }
}
