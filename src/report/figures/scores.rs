//! One data set: the headline metric of every model, a dot for each seed, mean and interval.

use super::axes::{log_ticks, signs, ticks, Frame};
use super::canvas::{Align, Canvas, Ink, Rect};
use super::style::{model_colour, name_colour, strip, AXIS, DARK, GREY, LABEL, NAME, NOTE, STRIP};
use super::{DataPage, Drawn};
use crate::report::digits;
use crate::report::interval::Spread;
use mdn_core::Result;

const ROW: f64 = 100.0;
const DOT: f64 = 4.6;

struct Score<'a> {
    model: &'a str,
    colour: [u8; 3],
    ink: [u8; 3],
    values: Vec<f64>,
    mark: String,
}

/// `None` where no run of the data set has the metric.
pub fn draw(page: &DataPage<'_>) -> Result<Option<Drawn>> {
    let Some(metric) = page.headline else {
        return Ok(None);
    };
    let models = page.results.what.models.iter().enumerate();
    let scores: Vec<Score<'_>> = models.map(|(i, m)| score(page, metric, i, m)).collect();
    let all: Vec<f64> = scores.iter().flat_map(|s| s.values.clone()).collect();
    if all.is_empty() {
        return Ok(None);
    }
    let least = all.iter().copied().fold(f64::INFINITY, f64::min);
    let most = all.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let log = least > 0.0 && most > 10.0 * least;
    let scale = |v: f64| if log { v.log10() } else { v };
    let mut ends: Vec<f64> = all.iter().map(|v| scale(*v)).collect();
    for (low, high) in scores
        .iter()
        .filter_map(|s| Spread::of(&s.values)?.interval)
    {
        ends.push(scale(high));
        // On a logarithmic axis an interval may reach 0, which is nowhere.
        ends.push(if log {
            scale(low.max(0.1 * least))
        } else {
            low
        });
    }
    let low = ends.iter().copied().fold(f64::INFINITY, f64::min);
    let high = ends.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let equal = high - low <= 1e-6 * high.abs();
    let pad = if equal {
        0.02 * high.abs() + 1e-9
    } else {
        0.07 * (high - low)
    };

    let width = |s: &Score<'_>| NAME.width(s.model).max(NOTE.width(&s.mark));
    let widest = scores.iter().map(width).fold(90.0, f64::max);
    let left = 30.0 + widest.min(360.0) + 24.0;
    let height = ROW * scores.len() as f64;
    let mut canvas = Canvas::new(1400.0, STRIP + height + 96.0)?;
    let name = page.headline_name();
    let title = format!(
        "{}: {name} of {}",
        page.data,
        super::style::count(scores.len(), "model")
    );
    let dots = match page.results.what.seeds.len() {
        1 => "one value each, no interval",
        _ => "dot: a seed, bar: mean ± 95 % t interval",
    };
    let facts = format!("{}; {dots}; lower is better", page.seeds());
    strip(&mut canvas, &title, page.results.what.command, &facts);
    let area = Rect {
        x: left,
        y: STRIP,
        w: 1400.0 - left - 60.0,
        h: height,
    };
    let frame = Frame {
        area,
        x: (low - pad, high + pad),
        y: (0.0, 1.0),
    };
    let below = if log {
        log_ticks(frame.x)
    } else {
        ticks(frame.x, 7)
    };
    frame.mesh_upwards(&mut canvas, &below);
    frame.ticks_below(&mut canvas, &below);
    let base = [(area.x, area.bottom()), (area.right(), area.bottom())];
    canvas.stroke(&base, 1.3, Ink::full(AXIS), None);
    let (long, unit) = match metric {
        "kl" => ("KL(p||q)", "nats"),
        "reverse_kl" => ("KL(q||p)", "nats"),
        "constraint_error" => ("largest error of a constrained moment", "sd"),
        _ => ("negative log-likelihood", "nats"),
    };
    let axis = format!("{long} ({unit}{})", if log { ", log scale" } else { "" });
    let middle = (area.x + 0.5 * area.w, area.bottom() + 58.0);
    canvas.text(&axis, LABEL, DARK, middle, Align::Middle);
    for (i, s) in scores.iter().enumerate() {
        draw_row(
            &mut canvas,
            &frame,
            s,
            STRIP + ROW * (i as f64 + 0.5),
            &scale,
        );
    }
    Ok(Some(Drawn {
        stem: format!("{metric}-{}", page.data),
        title,
        canvas,
    }))
}

fn score<'a>(page: &DataPage<'a>, metric: &str, i: usize, model: &'a str) -> Score<'a> {
    let runs: Vec<_> = page.results.of(page.data, model).collect();
    let values = runs.iter().filter_map(|r| r.value(metric));
    let (done, failed) = (
        runs.iter().filter(|r| r.is_done()).count(),
        runs.iter().filter(|r| r.has_failed()).count(),
    );
    let mut mark = String::new();
    if done < runs.len() {
        mark = format!("{done} of {} seeds", runs.len());
        if failed > 0 {
            mark.push_str(&format!("; {failed} failed"));
        }
    }
    Score {
        model,
        colour: model_colour(i),
        ink: name_colour(i),
        values: values.filter(|v| v.is_finite()).collect(),
        mark,
    }
}

fn draw_row(canvas: &mut Canvas, frame: &Frame, s: &Score<'_>, y: f64, scale: &dyn Fn(f64) -> f64) {
    let left = frame.area.x - 22.0;
    let name = NAME.squeeze(s.model, left - 30.0);
    canvas.text(&name, NAME, s.ink, (left, y + 2.0), Align::Right);
    let mark = NOTE.cut(&s.mark, left - 30.0);
    canvas.text(&mark, NOTE, GREY, (left, y + 24.0), Align::Right);
    let Some(spread) = Spread::of(&s.values) else {
        return;
    };
    let at = |v: f64| {
        let v = scale(v);
        let v = if v.is_nan() {
            frame.x.0
        } else {
            v.clamp(frame.x.0, frame.x.1)
        };
        frame.at(v, 0.0).0
    };
    if let Some((low, high)) = spread.interval {
        // An interval that goes on beyond the axis says so.
        if scale(low).is_nan() || scale(low) < frame.x.0 {
            let end = (at(low) - 9.0, y + 6.0);
            canvas.text("←", NAME, s.colour, end, Align::Middle);
        }
        canvas.stroke(
            &[(at(low), y), (at(high), y)],
            4.5,
            Ink::full(s.colour),
            None,
        );
    }
    let mean = at(spread.mean);
    canvas.dot((mean, y), 7.5, Ink::full(s.colour), None);
    let places = if spread.n > 1 {
        s.values.as_slice()
    } else {
        &[]
    };
    for (x, below) in swarm(places.iter().map(|v| at(*v)).collect()) {
        canvas.dot((x, y + 26.0 + below), DOT, Ink(s.colour, 0.5), None);
    }
    let text = signs(&digits::spread(Some(&spread)));
    let half = 0.5 * LABEL.width(&text);
    let x = mean.clamp(frame.area.x + half, frame.area.right() - half);
    canvas.text(&text, LABEL, DARK, (x, y - 16.0), Align::Middle);
}

/// Dots beside each other where they would hide one another: places across and offsets down.
fn swarm(mut places: Vec<f64>) -> Vec<(f64, f64)> {
    places.sort_by(f64::total_cmp);
    let mut out: Vec<(f64, f64)> = Vec::new();
    for x in places {
        let offsets = [0.0, 1.0, -1.0, 2.0, -2.0].map(|k| k * (2.0 * DOT + 0.8) / 1.5);
        let free = |d: &f64| out.iter().all(|(a, b)| (a - x).hypot(b - d) >= 1.3 * DOT);
        out.push((x, offsets.into_iter().find(free).unwrap_or(0.0)));
    }
    out
}
