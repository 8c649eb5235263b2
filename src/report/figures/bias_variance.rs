//! A study: bias and noise of every way to draw, for each kind of parameter.

use super::axes::{log_ticks, Frame};
use super::canvas::{Align, Canvas, Ink, Point, Rect};
use super::curves::spread_out;
use super::labels::{along, around, place};
use super::style::{
    heading, model_colour, strip, AXIS, DARK, GREY, HEAD, LABEL, MARGIN, NAME, NOTE, STRIP, TICK,
};
use crate::report::digits;
use crate::report::study::Study;
use mdn_core::study::{GradientRow, Parameter};
use mdn_core::Result;

const WIDTH: f64 = 1800.0;
const HEIGHT: f64 = 470.0;
const LEFT: f64 = 62.0;
/// Where estimates without a bias to be seen stand: no place on a logarithmic axis.
const ZONE: f64 = 252.0;
const SHADE: [u8; 3] = [0xf3, 0xf5, 0xf8];
const DOT: f64 = 5.6;

/// A panel: to the left those without bias, to the right the others against log10 of it.
struct Panel<'a> {
    study: &'a Study<'a>,
    parameter: Parameter,
    /// The logarithmic part; y is log10 of the noise.
    frame: Frame,
    zone: Rect,
}

/// `None` without gradients.
pub fn draw(study: &Study<'_>) -> Result<Option<Canvas>> {
    let Some(first) = study.gradients.first() else {
        return Ok(None);
    };
    let mut canvas = Canvas::new(WIDTH, STRIP - 10.0 + HEAD + HEIGHT + 84.0)?;
    let evaluations = || study.gradients.iter().map(|r| r.evaluations);
    let (least, most) = (
        evaluations().fold(usize::MAX, usize::min),
        evaluations().fold(0, usize::max),
    );
    let facts = format!(
        "{} estimates of {} evaluations each; bars ± 2 standard errors; numbers: temperatures",
        digits::count(first.estimates as f64),
        if least == most {
            least.to_string()
        } else {
            format!("{least} to {most}")
        }
    );
    strip(
        &mut canvas,
        "Gradients of E[sin(1.5 z) + 0.15 z²]",
        study.command,
        &facts,
    );
    let pitch = (WIDTH - 2.0 * MARGIN) / Parameter::ALL.len() as f64;
    for (i, parameter) in Parameter::ALL.into_iter().enumerate() {
        let left = MARGIN + pitch * i as f64;
        let top = STRIP - 10.0 + HEAD;
        let (title, note) = match parameter {
            Parameter::Logits => ("Weights", "gradient by the logits"),
            Parameter::Means => ("Means", "gradient by the means"),
            Parameter::LogStdDevs => (
                "Standard deviations",
                "gradient by the log standard deviations",
            ),
        };
        heading(&mut canvas, i, title, note, (left, top), pitch - 20.0);
        let zone = Rect {
            x: left + LEFT,
            y: top,
            w: ZONE,
            h: HEIGHT,
        };
        let area = Rect {
            x: zone.right(),
            w: pitch - LEFT - ZONE - 22.0,
            ..zone
        };
        let Some((x, y)) = ranges(study, parameter) else {
            continue;
        };
        let panel = Panel {
            study,
            parameter,
            frame: Frame { area, x, y },
            zone,
        };
        panel.axes(&mut canvas, i == 0);
        panel.unbiased(&mut canvas);
        panel.biased(&mut canvas);
    }
    Ok(Some(canvas))
}

fn usable(r: &&GradientRow) -> bool {
    r.sd > 0.0 && r.sd.is_finite() && r.relative_bias.is_finite()
}

/// Of log10 of bias and of noise.
fn ranges(study: &Study<'_>, parameter: Parameter) -> Option<((f64, f64), (f64, f64))> {
    let ends = |values: &mut dyn Iterator<Item = f64>| {
        let (low, high) = values.fold((f64::MAX, f64::MIN), |(a, b), v| (a.min(v), b.max(v)));
        (low <= high).then_some((low, high))
    };
    let rows = || study.by(parameter).filter(usable);
    let (low, high) = ends(&mut rows().map(|r| r.sd.log10()))?;
    // At least a factor of five, so that the axis has numbers.
    let pad = 0.08_f64.max(0.5 * (0.7 - (high - low)));
    let biases = &mut study
        .gradients
        .iter()
        .filter(|r| usable(r) && !r.looks_unbiased())
        .map(|r| r.relative_bias.log10());
    let (least, most) = ends(biases).unwrap_or((-1.0, 0.0));
    Some(((least - 0.2, most + 0.25), (low - pad, high + pad)))
}

impl Panel<'_> {
    fn rows(&self) -> impl Iterator<Item = &GradientRow> {
        self.study.by(self.parameter).filter(usable)
    }

    fn axes(&self, canvas: &mut Canvas, first: bool) {
        let (zone, area) = (self.zone, self.frame.area);
        let corners = [
            (zone.x, zone.y),
            (zone.right(), zone.y),
            (zone.right(), zone.bottom()),
            (zone.x, zone.bottom()),
        ];
        canvas.fill(&corners, Ink::full(SHADE));
        let whole = Frame {
            area: Rect {
                w: zone.w + area.w,
                ..zone
            },
            ..self.frame
        };
        let across = noise_ticks(self.frame.y);
        whole.mesh_across(canvas, &across);
        whole.ticks_left(canvas, &across);
        let mut below = log_ticks(self.frame.x);
        below.retain(|(v, _)| *v > self.frame.x.0 + 0.05);
        self.frame.ticks_below(canvas, &below);
        let corner = [
            (zone.x, zone.y),
            (zone.x, zone.bottom()),
            (area.right(), area.bottom()),
        ];
        canvas.stroke(&corner, 1.3, Ink::full(AXIS), None);
        let middle = (zone.x + 0.5 * zone.w, zone.bottom() + 23.0);
        canvas.text("unbiased within error", TICK, GREY, middle, Align::Middle);
        let middle = (area.x + 0.5 * area.w, area.bottom() + 56.0);
        canvas.text("relative bias", LABEL, DARK, middle, Align::Middle);
        if first {
            let beside = (MARGIN + 8.0, zone.y + 0.5 * zone.h);
            canvas.text_upwards("noise of one evaluation / |gradient|", LABEL, DARK, beside);
        }
    }

    fn colour(&self, strategy: &str) -> [u8; 3] {
        let all = self.study.strategies();
        model_colour(all.iter().position(|s| *s == strategy).unwrap_or(0))
    }

    /// Points in the shaded part, beside each other where they would hide one another, with their
    /// names at the right: one for all temperatures that stand together.
    fn unbiased(&self, canvas: &mut Canvas) {
        let mut rows: Vec<_> = self.rows().filter(|r| r.looks_unbiased()).collect();
        rows.sort_by(|a, b| a.sd.total_cmp(&b.sd));
        let mut placed: Vec<(&str, Point)> = Vec::new();
        let mut names: Vec<(&str, Vec<f64>, f64)> = Vec::new();
        for row in &rows {
            let (_, y) = self.frame.at(0.0, row.sd.log10());
            let hides = |p: &Point, (other, q): &(&str, Point)| {
                *other != row.strategy && (p.0 - q.0).hypot(p.1 - q.1) < 2.0 * DOT + 1.0
            };
            let at = (0..6)
                .map(|i| (self.zone.x + 16.0 + 13.0 * f64::from(i), y))
                .find(|p| !placed.iter().any(|q| hides(p, q)))
                .unwrap_or((self.zone.x + 16.0, y));
            placed.push((&row.strategy, at));
            canvas.dot(at, DOT, Ink::full(self.colour(&row.strategy)), None);
            let together = names
                .iter_mut()
                .find(|n| n.0 == row.strategy && (n.2 - y).abs() < 3.0 * DOT);
            match together {
                Some(name) => name.1.extend(row.temperature),
                None => names.push((&row.strategy, row.temperature.into_iter().collect(), y)),
            }
        }
        let wanted: Vec<f64> = names.iter().map(|n| n.2).collect();
        let limits = (self.zone.y + 12.0, self.zone.bottom() - 12.0);
        for ((strategy, temperatures, _), y) in names.iter().zip(spread_out(&wanted, 21.0, limits))
        {
            let near = placed.iter().filter(|(_, p)| (p.1 - y).abs() < 16.0 + DOT);
            let right = near.map(|(_, p)| p.0).fold(self.zone.x + 16.0, f64::max) + DOT + 8.0;
            let name = name(strategy, temperatures);
            let text = NOTE.squeeze(&name, self.zone.right() - right - 4.0);
            let width = NOTE.width(&text);
            clear(canvas, (right, y - 8.5, width, 17.0), SHADE);
            let colour = self.colour(strategy);
            canvas.text(&text, NOTE, colour, (right, y + 5.5), Align::Left);
        }
    }

    fn biased(&self, canvas: &mut Canvas) {
        let frame = self.frame;
        let at = |r: &GradientRow| frame.at(r.relative_bias.log10(), r.sd.log10());
        let biased: Vec<_> = self.rows().filter(|r| !r.looks_unbiased()).collect();
        let mut taken: Vec<Rect> = biased.iter().map(|r| around(at(r), DOT + 1.5)).collect();
        let families: Vec<(&str, Vec<&GradientRow>)> = self
            .study
            .strategies()
            .into_iter()
            .map(|s| {
                let mut own: Vec<_> = biased.iter().copied().filter(|r| r.strategy == s).collect();
                own.sort_by(|a, b| {
                    a.temperature
                        .unwrap_or(0.0)
                        .total_cmp(&b.temperature.unwrap_or(0.0))
                });
                (s, own)
            })
            .filter(|(_, own)| !own.is_empty())
            .collect();
        for (strategy, own) in &families {
            let path: Vec<Point> = own.iter().map(|r| at(r)).collect();
            taken.extend(along(&path));
            let colour = self.colour(strategy);
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
            }
        }
        let room = Rect {
            x: frame.area.x + 4.0,
            w: frame.area.w + 16.0,
            ..frame.area
        };
        let mut write = |text: &str, face: super::font::Type, colour, points: &[Point]| {
            let r = place((face.width(text), 17.0), points, &taken, &room);
            clear(canvas, (r.x, r.y, r.w, r.h), [255; 3]);
            canvas.text(text, face, colour, (r.x, r.y + 13.5), Align::Left);
            taken.push(r);
        };
        for (strategy, own) in &families {
            for r in own {
                if let Some(t) = r.temperature {
                    write(&t.to_string(), NOTE, self.colour(strategy), &[at(r)]);
                }
            }
        }
        for (strategy, own) in &families {
            let points: Vec<Point> = own.iter().map(|r| at(r)).collect();
            write(&name(strategy, &[]), NAME, self.colour(strategy), &points);
        }
    }
}

/// Numbers that are no more than a factor of two apart.
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

/// Nothing but this colour, so that no line runs through a name.
fn clear(canvas: &mut Canvas, (x, y, w, h): (f64, f64, f64, f64), colour: [u8; 3]) {
    let corners = [(x, y), (x + w, y), (x + w, y + h), (x, y + h)];
    canvas.fill(&corners, Ink::full(colour));
}

/// `straight through, 0.1 to 2`
fn name(strategy: &str, temperatures: &[f64]) -> String {
    let name = strategy.replace('_', " ");
    let least = temperatures.iter().copied().fold(f64::INFINITY, f64::min);
    let most = temperatures
        .iter()
        .copied()
        .fold(f64::NEG_INFINITY, f64::max);
    match temperatures.len() {
        0 => name,
        1 => format!("{name} {least}"),
        _ => format!("{name}, {least} to {most}"),
    }
}
