//! The figures of a study: entropies of the relaxed mixture, and bias and noise of gradients.

use indexmap::IndexSet;

use super::axes::{ends, log_ticks, number, signs, ticks, Frame};
use super::canvas::{Canvas, Rect};
use super::cost::{padded, scatter, Dot, Dots};
use super::curves::{self, Curve};
use super::panels::{PanelSheet, Space};
use super::style::{strip, MARGIN, STRIP};
use crate::report::digits;
use crate::report::study::Study;
use mdn_core::study::{Density, EntropyRow, GradientRow, Parameter};
use mdn_core::Result;

/// Space at the right of a panel, for the names of its curves.
const NAMES: f64 = 130.0;
const SPACE: Space = Space {
    left: 68.0,
    gap: 68.0 + NAMES,
    right: NAMES,
    below: 84.0,
};
/// Heights of the entropies' panel and of that of their distances, and the gap between them.
const UPPER: f64 = 330.0;
const LOWER: f64 = 250.0;
const GAP: f64 = 14.0;

/// A curve: its name, the place of its colour, its rows, and their heights, so many standard errors away.
type Line<'a> = (&'a str, usize, Density, &'a dyn Fn(&EntropyRow, f64) -> f64);

/// Entropies by each density, and their distances from the truth. `None` without nested entropies.
pub fn entropies(study: &Study<'_>) -> Result<Option<Canvas>> {
    let rows = study.entropies.iter();
    let nested: Vec<_> = rows.filter(|r| r.inner.is_some()).collect();
    let Some((least, most)) = ends(nested.iter().map(|r| log_size(r))) else {
        return Ok(None);
    };
    let x = (least - 0.06, least + 1.02 * (most - least).max(0.3));
    let sizes = nested.iter().map(|r| r.predicted.abs());
    let least = sizes.filter(|p| *p != 0.0).fold(1.0, f64::min);
    let most = nested.iter().map(|r| r.bias.abs()).fold(least, f64::max);
    let distances = ((0.1 * least).log10().floor(), most.log10() + 0.15);
    let temperatures = study.temperatures();
    let panels = (temperatures.len(), 1);
    let mut sheet = PanelSheet::new(panels, (420.0, UPPER + GAP + LOWER), STRIP, SPACE)?;
    let samples = nested.iter().map(|r| r.samples).max().unwrap_or_default();
    let facts = format!(
        "up to {} samples each, bands ± 2 standard errors; own: the sample's own weights",
        digits::count(samples as f64)
    );
    let title = "Entropy of the relaxed mixture";
    strip(&mut sheet.canvas, title, study.command, &facts);
    for (i, &t) in temperatures.iter().enumerate() {
        let estimates = [
            Density::NestedExcludingOwn,
            Density::ExactMixture,
            Density::Joint,
        ]
        .map(|density| study.entropies(t, density));
        let [[own, ..], [one, ..], [two, ..]] = estimates.each_ref().map(Vec::as_slice) else {
            continue;
        };
        let off = [one, two].map(|r| signs(&digits::plain(r.bias)));
        let note = format!(
            "truth {} nats; equation 1 off by {}, equation 2 by {}",
            number(own.truth, 4),
            off[0],
            off[1],
        );
        let title = format!("temperature {t}");
        let whole = sheet.area((i, 0), &title, &note);
        let canvas = &mut sheet.canvas;
        let upper = Frame::new(Rect { h: UPPER, ..whole }, x, entropy_range(study));
        upper.axes(canvas, &ticks(upper.y, 6), &[]);
        let entropy = |r: &EntropyRow, errors: f64| r.truth + r.bias + errors * r.bias_std_err;
        let by_equation_1 = |r: &EntropyRow, _| r.truth + one.bias;
        let lines: [Line<'_>; 5] = [
            ("own left out", 1, Density::NestedExcludingOwn, &entropy),
            ("own included", 0, Density::NestedIncludingOwn, &entropy),
            ("midpoint", 2, Density::Midpoint, &entropy),
            ("truth", 6, Density::Midpoint, &|r, _| r.truth),
            ("equation 1", 3, Density::Midpoint, &by_equation_1),
        ];
        draw(canvas, &upper, study, t, &lines);
        let area = Rect::new(whole.x, whole.bottom() - LOWER, whole.w, LOWER);
        let lower = Frame::new(area, x, distances);
        lower.axes(canvas, &log_ticks(distances), &log_ticks(x));
        lower.name_below(canvas, "nested terms M", 54.0);
        let log = |distance: f64| distance.max(1e-300).log10().max(distances.0 - 1.0);
        let distance = |r: &EntropyRow, errors: f64| log(r.bias.abs() + errors * r.bias_std_err);
        let theory = |r: &EntropyRow, _| log(r.predicted);
        let lines: [Line<'_>; 4] = [
            ("own left out", 1, Density::NestedExcludingOwn, &distance),
            ("own included", 0, Density::NestedIncludingOwn, &distance),
            ("midpoint", 2, Density::Midpoint, &distance),
            ("χ² / 2M", 13, Density::NestedExcludingOwn, &theory),
        ];
        draw(canvas, &lower, study, t, &lines);
        if i == 0 {
            upper.name_left(canvas, "entropy (nats)", MARGIN + 10.0);
            lower.name_left(canvas, "distance (nats)", MARGIN + 10.0);
        }
    }
    Ok(Some(sheet.canvas))
}

/// As much is in view above the truth as 0.6 of the largest distance below it.
fn entropy_range(study: &Study<'_>) -> (f64, f64) {
    let shown = [Density::NestedIncludingOwn, Density::ExactMixture];
    let rows = study.entropies.iter();
    let rows = rows.filter(|r| shown.contains(&r.density));
    let depth = rows.clone().map(|r| -r.bias).fold(0.0, f64::max);
    let heights = rows.flat_map(|r| [r.truth + r.bias, r.truth + 0.6 * depth]);
    padded(heights, 1e-6).unwrap_or((0.0, 1.0))
}

fn log_size(row: &EntropyRow) -> f64 {
    (row.inner.unwrap_or(1) as f64).log10()
}

fn draw<'a>(canvas: &mut Canvas, frame: &Frame, study: &Study<'_>, t: f64, lines: &[Line<'a>]) {
    let curve = |&(model, index, density, height): &Line<'a>| {
        let rows = study.entropies(t, density);
        let place = |r: &EntropyRow, errors| (log_size(r), height(r, errors));
        let at = |errors| rows.iter().map(|r| place(r, errors)).collect();
        Curve {
            index,
            model,
            mean: at(0.0),
            low: at(-2.0),
            high: at(2.0),
        }
    };
    let curves: Vec<Curve<'a>> = lines.iter().map(curve).collect();
    curves::draw(canvas, frame, &curves, NAMES - 12.0);
}

/// Bias and noise of every strategy, a panel for each kind of parameter: at the left the estimates
/// without a visible bias, which have no place on a logarithmic axis, at the right the others. `None`
/// without gradients.
pub fn gradients(study: &Study<'_>) -> Result<Option<Canvas>> {
    let evaluations = study.gradients.iter().map(|r| r.evaluations as f64);
    let (Some(first), Some((least, most))) = (study.gradients.first(), ends(evaluations)) else {
        return Ok(None);
    };
    let evaluations = match least == most {
        true => least.to_string(),
        false => format!("{least} to {most}"),
    };
    let names = study.gradients.iter().map(|r| r.strategy.as_str());
    let strategies: IndexSet<&str> = names.collect();
    let biased = study.gradients.iter().filter(|r| !r.looks_unbiased());
    let biases = biased
        .map(|r| r.relative_bias.log10())
        .filter(|b| b.is_finite());
    let (low, high) = padded(biases, 0.3).unwrap_or((-1.0, 0.0));
    // A column for each strategy without a bias.
    let pitch = 0.12 * (high - low);
    let start = low - pitch * strategies.len() as f64;
    let dot = |r: &GradientRow| {
        let index = strategies.get_index_of(r.strategy.as_str())?;
        let bias = |errors: f64| (r.relative_bias + errors * r.bias_std_err).log10().max(low);
        let (noise, unbiased) = (r.sd.log10(), r.looks_unbiased());
        let x = if unbiased {
            start + pitch * index as f64
        } else {
            bias(0.0)
        };
        let dot = Dot {
            index,
            at: (x, noise),
            bar: (!unbiased).then(|| [-2.0, 2.0].map(|errors| (bias(errors), noise))),
            text: r.temperature.map_or_else(String::new, |t| t.to_string()),
        };
        (x.is_finite() && noise.is_finite()).then_some(dot)
    };
    let panel = |(parameter, title, by): (Parameter, &str, &str)| {
        let mut dots: Vec<Dot> = study.by(parameter).into_iter().filter_map(dot).collect();
        dots.sort_by_key(|d| d.index);
        Dots {
            title: title.to_owned(),
            note: format!("noise / |gradient by the {by}|"),
            dots,
            log: true,
        }
    };
    let panels = [
        (Parameter::Logits, "Weights", "logits"),
        (Parameter::Means, "Means", "means"),
        (
            Parameter::LogStdDevs,
            "Standard deviations",
            "log standard deviations",
        ),
    ]
    .map(panel);
    let facts = format!(
        "{} estimates of {evaluations} evaluations each; noise: of one evaluation; bars ± 2 standard \
         errors; numbers: temperatures",
        digits::count(first.estimates as f64),
    );
    let title = "Gradients of E[sin(1.5 z) + 0.15 z²]";
    let mut ticks = log_ticks((low, high));
    ticks.push((
        0.5 * (start + low) - 0.5 * pitch,
        "unbiased within error".to_owned(),
    ));
    let x = ((start - 0.5 * pitch, high), &*ticks, "relative bias");
    let names: Vec<String> = strategies.iter().map(|s| s.replace('_', " ")).collect();
    scatter((title, study.command, &facts), &names, &panels, x).map(Some)
}
