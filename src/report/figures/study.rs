//! The figures of a study: entropies of the relaxed mixture against the number of nested terms, and
//! bias and noise of gradients.

use super::axes::{log_ticks, number, ticks, Frame};
use super::canvas::{Align, Canvas, Ink, Point, Rect};
use super::curves::spread_out;
use super::labels::{along, around, place};
use super::style::{
    heading, model_colour, strip, AXIS, DARK, GREY, HEAD, LABEL, MARGIN, NAME, NOTE, STRIP, TICK,
};
use crate::experiment::store::Study;
use crate::report::digits;
use mdn_core::study::{Density, EntropyRow, GradientRow, Parameter};
use mdn_core::Result;

const WIDTH: f64 = 1800.0;
/// Panels beside each other at most.
const ACROSS: usize = 3;
/// Top of the first row of panels, above their titles.
const TOP: f64 = STRIP - 10.0;

/// Curves of the entropies with their names, places among the colours and widths.
const CURVES: [(Density, &str, usize, f64); 3] = [
    (Density::NestedExcludingOwn, "own left out", 1, 2.6),
    (Density::NestedIncludingOwn, "own included", 0, 2.6),
    (Density::Midpoint, "midpoint", 2, 1.6),
];

/// From top to bottom where curves have met, whatever the noise between them.
const ORDER: [&str; 5] = [
    "equation 1",
    "own left out",
    "midpoint",
    "truth",
    "own included",
];

/// Heights of the entropies' panel and of that of their distances, and the gap between them.
const UPPER: f64 = 330.0;
const LOWER: f64 = 250.0;
const GAP: f64 = 14.0;

/// Height of a panel of gradients, and width of its part for estimates without a visible bias, which
/// have no place on a logarithmic axis.
const HEIGHT: f64 = 470.0;
const ZONE: f64 = 252.0;
const SHADE: [u8; 3] = [0xf3, 0xf5, 0xf8];
const DOT: f64 = 5.6;

fn rect(x: f64, y: f64, w: f64, h: f64) -> Rect {
    Rect { x, y, w, h }
}

/// The smallest and the largest value.
fn ends(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let (low, high) = values.fold((f64::MAX, f64::MIN), |(a, b), v| (a.min(v), b.max(v)));
    (low <= high).then_some((low, high))
}

/// Axes at the left and below, with ticks at the left.
fn axes(canvas: &mut Canvas, frame: &Frame, across: &[(f64, String)], name: Option<&str>) {
    let area = frame.area;
    frame.mesh_across(canvas, across);
    frame.ticks_left(canvas, across);
    let corner = [
        (area.x, area.y),
        (area.x, area.bottom()),
        (area.right(), area.bottom()),
    ];
    canvas.stroke(&corner, 1.3, Ink::full(AXIS), None);
    if let Some(name) = name {
        let beside = (MARGIN + 10.0, area.y + 0.5 * area.h);
        canvas.text_upwards(name, LABEL, DARK, beside);
    }
}

/// Entropies by each density, and their distances from the truth. `None` without nested entropies.
pub fn entropies(study: &Study<'_>) -> Result<Option<Canvas>> {
    let temperatures = study.temperatures();
    let nested = study.entropies.iter().filter(|r| r.inner.is_some());
    let nested: Vec<&EntropyRow> = nested.collect();
    let sizes = nested.iter().filter_map(|r| Some(r.inner? as f64));
    let Some((least, most)) = ends(sizes) else {
        return Ok(None);
    };
    let x = (
        least.log10() - 0.06,
        (most / least).log10().max(0.3) * 1.02 + least.log10(),
    );
    let (y, distances) = entropy_ranges(study, &nested);
    let across = temperatures.len().min(ACROSS);
    let group = HEAD + UPPER + GAP + LOWER + 72.0;
    let down = temperatures.len().div_ceil(ACROSS) as f64;
    let mut canvas = Canvas::new(WIDTH, TOP + down * group)?;
    let samples = nested.iter().map(|r| r.samples).max().unwrap_or_default();
    let facts = format!(
        "dots: up to {} samples each, bars ± 2 standard errors, hollow within them of 0; own: the \
         sample's own weights",
        digits::count(samples as f64)
    );
    let title = "Entropy of the relaxed mixture";
    strip(&mut canvas, title, study.command, &facts);
    let pitch = (WIDTH - 2.0 * MARGIN) / across as f64;
    for (i, &t) in temperatures.iter().enumerate() {
        let left = MARGIN + pitch * (i % ACROSS) as f64;
        let top = TOP + group * (i / ACROSS) as f64 + HEAD;
        let plain = [Density::ExactMixture, Density::Joint]
            .map(|density| study.entropies(t, density).first().map(|r| r.bias));
        let Some(truth) = study.entropies(t, CURVES[0].0).first().map(|r| r.truth) else {
            continue;
        };
        let mut note = format!("truth {} nats", number(truth, 4));
        if let [Some(one), Some(two)] = plain.map(|bias| bias.map(two_digits)) {
            note.push_str(&format!("; equation 1 off by {one}, equation 2 by {two}"));
        }
        let title = format!("temperature {t}");
        heading(&mut canvas, i, &title, &note, (left, top), pitch - 20.0);
        let (x0, width) = (left + 68.0, pitch - 68.0 - 130.0);
        let upper = rect(x0, top, width, UPPER);
        let lower = rect(x0, upper.bottom() + GAP, width, LOWER);
        let is_first = i % ACROSS == 0;
        let frame = Frame { area: upper, x, y };
        axes(
            &mut canvas,
            &frame,
            &ticks(y, 6),
            is_first.then_some("entropy (nats)"),
        );
        draw_entropies(&mut canvas, study, t, truth, plain[0], frame);
        let (area, y) = (lower, distances);
        let frame = Frame { area, x, y };
        let name = is_first.then_some("distance (nats)");
        axes(&mut canvas, &frame, &log_ticks(y), name);
        draw_distances(&mut canvas, study, t, frame);
        frame.ticks_below(&mut canvas, &log_ticks(x));
        let middle = (lower.x + 0.5 * lower.w, lower.bottom() + 54.0);
        canvas.text("nested terms M", LABEL, DARK, middle, Align::Middle);
    }
    Ok(Some(canvas))
}

/// `0.018`, `−28`
fn two_digits(v: f64) -> String {
    let decimals = 1.0 - v.abs().max(1e-9).log10().floor();
    number(v, decimals.clamp(0.0, 9.0) as usize)
}

/// Of entropies, and of log10 of distances: as much is in view above the truth as 0.6 of the largest
/// distance below it.
fn entropy_ranges(study: &Study<'_>, nested: &[&EntropyRow]) -> ((f64, f64), (f64, f64)) {
    let below = nested
        .iter()
        .filter(|r| r.density == Density::NestedIncludingOwn);
    let low = below
        .clone()
        .map(|r| r.truth + r.bias)
        .fold(f64::MAX, f64::min);
    let depth = below.map(|r| -r.bias).fold(0.0, f64::max);
    let crosses = study
        .entropies
        .iter()
        .filter(|r| r.density == Density::ExactMixture);
    let crosses = crosses.map(|r| r.truth + r.bias);
    let high = nested.iter().map(|r| r.truth + 0.6 * depth).chain(crosses);
    let high = high.fold(f64::MIN, f64::max);
    let pad = 0.06 * (high - low).max(1e-6);
    let known = nested
        .iter()
        .map(|r| r.predicted.abs())
        .filter(|p| *p != 0.0);
    let least = known.fold(1.0, f64::min);
    let most = nested.iter().map(|r| r.bias.abs()).fold(least, f64::max);
    let distances = ((0.1 * least).log10().floor(), most.log10() + 0.15);
    ((low - pad, high + pad), distances)
}

fn log_size(row: &EntropyRow) -> f64 {
    (row.inner.unwrap_or(1) as f64).log10()
}

/// Entropies against M, the truth and the mixture's own density.
fn draw_entropies(
    canvas: &mut Canvas,
    study: &Study<'_>,
    temperature: f64,
    truth: f64,
    exact_mixture: Option<f64>,
    frame: Frame,
) {
    let area = frame.area;
    let level = |v: f64| [frame.at(frame.x.0, v), frame.at(frame.x.1, v)];
    let mut names = vec![("truth", DARK, truth)];
    canvas.stroke(&level(truth), 2.0, Ink::full(DARK), Some(area));
    if let Some(bias) = exact_mixture {
        let [from, to] = level(truth + bias);
        canvas.dashes(from, to, 2.2, Ink::full(model_colour(3)));
        names.push(("equation 1", model_colour(3), truth + bias));
    }
    for (density, name, colour, width) in CURVES {
        let rows = study.entropies(temperature, density);
        let colour = model_colour(colour);
        let path = rows.iter().map(|r| frame.at(log_size(r), r.truth + r.bias));
        let path: Vec<Point> = path.collect();
        canvas.stroke(&path, width, Ink::full(colour), Some(area));
        for at in path.iter().filter(|p| p.1 >= area.y) {
            canvas.dot(*at, width + 1.7, Ink::full(colour), None);
        }
        names.extend(rows.last().map(|r| (name, colour, r.truth + r.bias)));
    }
    names.sort_by_key(|(name, ..)| ORDER.iter().position(|o| o == name));
    let step = |v: f64| (frame.at(0.0, v).1 / 6.0).round() * 6.0;
    let wanted = names
        .iter()
        .zip(0..)
        .map(|((_, _, v), i)| step(*v) + 1e-3 * f64::from(i));
    let limits = (area.y + 6.0, area.bottom() - 6.0);
    let heights = spread_out(&wanted.collect::<Vec<_>>(), 22.0, limits);
    for ((name, colour, _), y) in names.iter().zip(heights) {
        let at = (area.right() + 10.0, y + 6.0);
        canvas.text(name, NAME, *colour, at, Align::Left);
    }
}

/// Distances from the truth on a logarithmic axis, and their theoretical value.
fn draw_distances(canvas: &mut Canvas, study: &Study<'_>, temperature: f64, frame: Frame) {
    let area = frame.area;
    let at = |r: &EntropyRow, v: f64| frame.at(log_size(r), v.max(1e-300).log10().max(frame.y.0));
    let theory = study.entropies(temperature, Density::NestedExcludingOwn);
    if let [first, .., last] = theory.as_slice() {
        let (from, to) = (at(first, first.predicted), at(last, last.predicted));
        canvas.dashes(from, to, 2.0, Ink::full(GREY));
        let name = (area.right() + 10.0, to.1 + 6.0);
        canvas.text("χ² / 2M", NAME, GREY, name, Align::Left);
    }
    for (density, _, colour, _) in CURVES {
        let ink = Ink::full(model_colour(colour));
        let rows = study.entropies(temperature, density);
        let is_clear = |r: &&EntropyRow| r.bias.abs() > 2.0 * r.bias_std_err;
        let clear = rows.iter().copied().take_while(is_clear);
        let path: Vec<Point> = clear.map(|r| at(r, r.bias.abs())).collect();
        canvas.stroke(&path, 1.8, ink, Some(area));
        for r in &rows {
            let bar = [-2.0, 2.0].map(|k| at(r, r.bias.abs() + k * r.bias_std_err));
            canvas.stroke(&bar, 1.6, ink, Some(area));
            canvas.dot(at(r, r.bias.abs()), 4.6, ink, None);
            if !is_clear(r) {
                canvas.dot(at(r, r.bias.abs()), 2.8, Ink::full([255; 3]), None);
            }
        }
    }
}

/// A panel of gradients: to the left those without bias, to the right the others against log10 of it.
struct Panel<'a> {
    strategies: Vec<&'a str>,
    rows: Vec<&'a GradientRow>,
    /// The logarithmic part; y is log10 of the noise.
    frame: Frame,
    zone: Rect,
}

/// Bias and noise of every strategy, for each kind of parameter. `None` without gradients.
pub fn gradients(study: &Study<'_>) -> Result<Option<Canvas>> {
    let evaluations = study.gradients.iter().map(|r| r.evaluations as f64);
    let (Some(first), Some((least, most))) = (study.gradients.first(), ends(evaluations)) else {
        return Ok(None);
    };
    let mut canvas = Canvas::new(WIDTH, TOP + HEAD + HEIGHT + 84.0)?;
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
    let usable = |r: &&GradientRow| r.sd > 0.0 && r.sd.is_finite() && r.relative_bias.is_finite();
    let biased = study
        .gradients
        .iter()
        .filter(usable)
        .filter(|r| !r.looks_unbiased());
    let (least, most) = ends(biased.map(|r| r.relative_bias.log10())).unwrap_or((-1.0, 0.0));
    let pitch = (WIDTH - 2.0 * MARGIN) / ACROSS as f64;
    let titles = [
        ("Weights", "gradient by the logits"),
        ("Means", "gradient by the means"),
        (
            "Standard deviations",
            "gradient by the log standard deviations",
        ),
    ];
    for (i, (parameter, (title, note))) in Parameter::ALL.into_iter().zip(titles).enumerate() {
        let (left, top) = (MARGIN + pitch * i as f64, TOP + HEAD);
        heading(&mut canvas, i, title, note, (left, top), pitch - 20.0);
        let rows: Vec<_> = study.by(parameter).filter(usable).collect();
        let Some((low, high)) = ends(rows.iter().map(|r| r.sd.log10())) else {
            continue;
        };
        let zone = rect(left + 62.0, top, ZONE, HEIGHT);
        let area = rect(zone.right(), top, pitch - 62.0 - ZONE - 22.0, HEIGHT);
        // At least a factor of five, so that the axis has numbers.
        let pad = 0.08_f64.max(0.5 * (0.7 - (high - low)));
        let panel = Panel {
            strategies: study.strategies(),
            rows,
            frame: Frame {
                area,
                x: (least - 0.2, most + 0.25),
                y: (low - pad, high + pad),
            },
            zone,
        };
        panel.axes(&mut canvas, i == 0);
        panel.unbiased(&mut canvas);
        panel.biased(&mut canvas);
    }
    Ok(Some(canvas))
}

impl Panel<'_> {
    fn axes(&self, canvas: &mut Canvas, is_first: bool) {
        let (zone, area) = (self.zone, self.frame.area);
        fill(canvas, zone, SHADE);
        let whole = Frame {
            area: rect(zone.x, zone.y, zone.w + area.w, zone.h),
            ..self.frame
        };
        let name = is_first.then_some("noise of one evaluation / |gradient|");
        axes(canvas, &whole, &noise_ticks(self.frame.y), name);
        let mut below = log_ticks(self.frame.x);
        below.retain(|(v, _)| *v > self.frame.x.0 + 0.05);
        self.frame.ticks_below(canvas, &below);
        let middle = (zone.x + 0.5 * zone.w, zone.bottom() + 23.0);
        canvas.text("unbiased within error", TICK, GREY, middle, Align::Middle);
        let middle = (area.x + 0.5 * area.w, area.bottom() + 56.0);
        canvas.text("relative bias", LABEL, DARK, middle, Align::Middle);
    }

    fn colour(&self, strategy: &str) -> [u8; 3] {
        let place = self.strategies.iter().position(|s| *s == strategy);
        model_colour(place.unwrap_or(0))
    }

    /// Points in the shaded part, beside each other where they would hide one another, with their
    /// names at the right: one name for temperatures at nearly the same height.
    fn unbiased(&self, canvas: &mut Canvas) {
        let mut rows: Vec<_> = self.rows.iter().filter(|r| r.looks_unbiased()).collect();
        rows.sort_by(|a, b| a.sd.total_cmp(&b.sd));
        let mut placed: Vec<(&str, Point)> = Vec::new();
        let mut names: Vec<(&str, Vec<f64>, f64)> = Vec::new();
        let left = self.zone.x + 16.0;
        for row in rows {
            let strategy = row.strategy.as_str();
            let (_, y) = self.frame.at(0.0, row.sd.log10());
            let hides = |p: &Point, (other, q): &(&str, Point)| {
                *other != strategy && (p.0 - q.0).hypot(p.1 - q.1) < 2.0 * DOT + 1.0
            };
            let mut beside = (0..6).map(|i| (left + 13.0 * f64::from(i), y));
            let free = beside.find(|p| !placed.iter().any(|q| hides(p, q)));
            let at = free.unwrap_or((left, y));
            placed.push((strategy, at));
            canvas.dot(at, DOT, Ink::full(self.colour(strategy)), None);
            let near =
                |n: &&mut (&str, Vec<f64>, f64)| n.0 == strategy && (n.2 - y).abs() < 3.0 * DOT;
            match names.iter_mut().find(near) {
                Some(name) => name.1.extend(row.temperature),
                None => names.push((strategy, row.temperature.into_iter().collect(), y)),
            }
        }
        let wanted: Vec<f64> = names.iter().map(|n| n.2).collect();
        let limits = (self.zone.y + 12.0, self.zone.bottom() - 12.0);
        let heights = spread_out(&wanted, 21.0, limits);
        for ((strategy, temperatures, _), y) in names.iter().zip(heights) {
            let near = placed.iter().filter(|(_, p)| (p.1 - y).abs() < 16.0 + DOT);
            let right = near.map(|(_, p)| p.0).fold(left, f64::max) + DOT + 8.0;
            let mut name = strategy.replace('_', " ");
            match ends(temperatures.iter().copied()) {
                Some((low, high)) if low < high => name.push_str(&format!(", {low} to {high}")),
                Some((one, _)) => name.push_str(&format!(" {one}")),
                None => {}
            }
            let text = NOTE.squeeze(&name, self.zone.right() - right - 4.0);
            let behind = rect(right, y - 8.5, NOTE.width(&text), 17.0);
            fill(canvas, behind, SHADE);
            let colour = self.colour(strategy);
            canvas.text(&text, NOTE, colour, (right, y + 5.5), Align::Left);
        }
    }

    /// Points at their bias with the temperatures beside them, a line and a name for each strategy.
    fn biased(&self, canvas: &mut Canvas) {
        let frame = self.frame;
        let at = |r: &GradientRow| frame.at(r.relative_bias.log10(), r.sd.log10());
        let biased = self.rows.iter().copied().filter(|r| !r.looks_unbiased());
        let mut taken: Vec<Rect> = biased.clone().map(|r| around(at(r), DOT + 1.5)).collect();
        let mut texts = Vec::new();
        let mut names = Vec::new();
        for strategy in &self.strategies {
            let own = biased.clone().filter(|r| r.strategy == *strategy);
            let mut own: Vec<&GradientRow> = own.collect();
            let temperature = |r: &GradientRow| r.temperature.unwrap_or(0.0);
            own.sort_by(|a, b| temperature(a).total_cmp(&temperature(b)));
            if own.is_empty() {
                continue;
            }
            let colour = self.colour(strategy);
            let path: Vec<Point> = own.iter().map(|r| at(r)).collect();
            taken.extend(along(&path));
            canvas.stroke(&path, 1.6, Ink(colour, 0.45), Some(frame.area));
            for r in own {
                let reach = [-2.0, 2.0].map(|k| {
                    let bias = (r.relative_bias + k * r.bias_std_err).max(1e-300);
                    let (x, _) = frame.at(bias.log10().max(frame.x.0), 0.0);
                    (x, at(r).1)
                });
                canvas.stroke(&reach, 1.8, Ink::full(colour), Some(frame.area));
                taken.extend(along(&reach));
                canvas.dot(at(r), DOT, Ink::full(colour), None);
                texts.extend(
                    r.temperature
                        .map(|t| (t.to_string(), NOTE, colour, vec![at(r)])),
                );
            }
            names.push((strategy.replace('_', " "), NAME, colour, path));
        }
        let area = frame.area;
        let room = rect(area.x + 4.0, area.y, area.w + 16.0, area.h);
        for (text, face, colour, points) in texts.into_iter().chain(names) {
            let r = place((face.width(&text), 17.0), &points, &taken, &room);
            fill(canvas, r, [255; 3]);
            canvas.text(&text, face, colour, (r.x, r.y + 13.5), Align::Left);
            taken.push(r);
        }
    }
}

/// Ticks that are no more than a factor of two apart.
fn noise_ticks((low, high): (f64, f64)) -> Vec<(f64, String)> {
    if high - low > 1.0 {
        return log_ticks((low, high));
    }
    let decades = low.floor() as i32..=high.floor() as i32;
    let values = decades.flat_map(|d| {
        let steps = [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0];
        steps.map(|m| m * 10f64.powi(d))
    });
    let inside = values.filter(|v| v.log10() >= low && v.log10() <= high);
    let text = |v: f64| ((v * 1e6).round() / 1e6).to_string();
    inside.map(|v| (v.log10(), text(v))).collect()
}

/// Fills a rectangle, so that no line runs through a name.
fn fill(canvas: &mut Canvas, r: Rect, colour: [u8; 3]) {
    let (right, bottom) = (r.right(), r.bottom());
    let corners = [(r.x, r.y), (right, r.y), (right, bottom), (r.x, bottom)];
    canvas.fill(&corners, Ink::full(colour));
}
