//! The rounds of a maximum-entropy run: how far each constraint is off, and its multiplier.

use super::axes::{step_ticks, ticks, Frame};
use super::canvas::{Align, Canvas, Ink, Point, Rect};
use super::curves::{range, spread_out};
use super::style::{heading, model_colour, strip, AXIS, DARK, GREY, HEAD, LABEL, NAME, STRIP};
use super::RunPage;
use crate::experiment::store::{Constraint, Round};
use mdn_core::Result;

const GAP: f64 = 118.0;
const RIGHT: f64 = 150.0;

/// A panel: its title, the line below it, and what it shows of a constraint, with a level to reach.
struct Panel {
    title: &'static str,
    note: String,
    axis: &'static str,
    value: fn(&Constraint) -> f64,
    level: fn(&Constraint) -> Option<f64>,
}

/// `None` where the run has no rounds.
pub fn draw(page: &RunPage<'_>) -> Result<Option<Canvas>> {
    let rounds = &page.rounds;
    let Some((last, first)) = rounds.last().zip(rounds.first()) else {
        return Ok(None);
    };
    let mut canvas = Canvas::new(1400.0, 760.0)?;
    let accepted = rounds.iter().filter(|(_, r)| r.accepted).count();
    let facts = format!(
        "{} of {} rounds accepted, penalty {} at the end",
        accepted,
        rounds.len(),
        super::axes::number(last.1.penalty, 0),
    );
    let title = format!("{}: constraints and multipliers", page.title());
    strip(&mut canvas, &title, page.command, &facts);
    let known = first.1.constraints.iter().all(|c| c.exact.is_some());
    let panels = [
        Panel {
            title: "Constraint errors",
            note: "(E[T] − m) / sd(T) of the samples at the end of each round".to_owned(),
            axis: "error (standard deviations)",
            value: |c| (c.mean - c.target) / c.std_dev,
            level: |_| Some(0.0),
        },
        Panel {
            title: "Multipliers",
            note: if known {
                "λ sd(T) after each round; dashed: −η sd(T), the exact solution's".to_owned()
            } else {
                "λ sd(T) after each round".to_owned()
            },
            axis: "multiplier (nats per standard deviation)",
            value: |c| c.multiplier * c.std_dev,
            level: |c| c.exact.map(|e| e * c.std_dev),
        },
    ];
    let width = 0.5 * (1400.0 - 2.0 * (GAP + RIGHT));
    for (i, panel) in panels.iter().enumerate() {
        let area = Rect {
            x: GAP + i as f64 * (width + GAP + RIGHT),
            y: STRIP + HEAD + 8.0,
            w: width,
            h: 490.0,
        };
        let room = width + RIGHT - 20.0;
        let at = (area.x, area.y);
        heading(&mut canvas, i, panel.title, &panel.note, at, room);
        curves(&mut canvas, panel, rounds, area);
    }
    Ok(Some(canvas))
}

fn curves(canvas: &mut Canvas, panel: &Panel, rounds: &[(usize, Round)], area: Rect) {
    let names = &rounds[0].1.constraints;
    let lines: Vec<Vec<Point>> = (0..names.len())
        .map(|i| {
            let each = rounds.iter().filter_map(|(step, r)| {
                let value = (panel.value)(r.constraints.get(i)?);
                value.is_finite().then_some((*step as f64, value))
            });
            each.collect()
        })
        .collect();
    let end = rounds[rounds.len() - 1].0 as f64;
    let last = &rounds[rounds.len() - 1].1.constraints;
    let levels: Vec<Option<f64>> = last.iter().map(|c| (panel.level)(c)).collect();
    let mut all: Vec<Point> = lines.concat();
    all.extend(levels.iter().flatten().map(|l| (end, *l)));
    let (low, high) = all.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |r, p| {
        (r.0.min(p.1), r.1.max(p.1))
    });
    let Some(_) = range(&[&all]) else {
        return;
    };
    let pad = (0.08 * (high - low)).max(1e-3);
    let frame = Frame {
        area,
        x: (0.0, end),
        y: (low - pad, high + pad),
    };
    let across = ticks(frame.y, 6);
    frame.mesh_across(canvas, &across);
    frame.ticks_left(canvas, &across);
    frame.ticks_below(canvas, &step_ticks(frame.x, 4));
    let corner = [
        (area.x, area.y),
        (area.x, area.bottom()),
        (area.right(), area.bottom()),
    ];
    canvas.stroke(&corner, 1.3, Ink::full(AXIS), None);
    let below = (area.x + 0.5 * area.w, area.bottom() + 58.0);
    canvas.text("training step", LABEL, DARK, below, Align::Middle);
    let beside = (area.x - 86.0, area.y + 0.5 * area.h);
    canvas.text_upwards(panel.axis, LABEL, DARK, beside);
    for (i, level) in levels.iter().enumerate() {
        if let Some(level) = level {
            let colour = if *level == 0.0 { GREY } else { model_colour(i) };
            let (from, to) = (frame.at(0.0, *level), frame.at(end, *level));
            canvas.dashes(from, to, 1.4, Ink(colour, 0.8));
        }
    }
    for (i, line) in lines.iter().enumerate() {
        let path: Vec<Point> = line.iter().map(|p| frame.at(p.0, p.1)).collect();
        canvas.stroke(&path, 2.4, Ink::full(model_colour(i)), Some(area));
        for at in path {
            canvas.dot(at, 4.0, Ink::full(model_colour(i)), None);
        }
    }
    let wanted: Vec<f64> = lines
        .iter()
        .map(|l| l.last().map_or(area.y, |p| frame.at(p.0, p.1).1))
        .collect();
    let heights = spread_out(&wanted, 24.0, (area.y, area.bottom()));
    for (i, (name, y)) in names.iter().zip(heights).enumerate() {
        let text = NAME.squeeze(&name.statistic, RIGHT - 20.0);
        let at = (area.right() + 12.0, y + 6.0);
        canvas.text(&text, NAME, model_colour(i), at, Align::Left);
    }
}
