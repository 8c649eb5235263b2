//! The rounds of a maximum-entropy run: how far each constraint is off, and its multiplier.

use super::axes::{ends, number, ticks, Frame};
use super::canvas::{Canvas, Ink, Point, Rect};
use super::curves::names_at_ends;
use super::panels::{PanelSheet, Space};
use super::style::{model_colour, strip, GREY, STRIP};
use super::RunPage;
use crate::experiment::store::{Constraint, Round};
use mdn_core::Result;

/// Width of the names at the right of a panel.
const NAMES: f64 = 130.0;
const SPACE: Space = Space {
    left: 88.0,
    gap: 268.0,
    right: 120.0,
    below: 106.0,
};

/// A panel: its title, the line below it, and what it shows of a constraint, with a level to reach.
struct Panel {
    title: &'static str,
    note: &'static str,
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
    let mut sheet = PanelSheet::new((2, 1), (432.0, 490.0), STRIP + 8.0, SPACE)?;
    let facts = format!(
        "{} of {} rounds accepted, penalty {} at the end",
        rounds.iter().filter(|(_, r)| r.accepted).count(),
        rounds.len(),
        number(last.1.penalty, 0),
    );
    let title = format!("{}: constraints and multipliers", page.title());
    strip(&mut sheet.canvas, &title, page.command, &facts);
    let known = first.1.constraints.iter().all(|c| c.exact.is_some());
    let panels = [
        Panel {
            title: "Constraint errors",
            note: "(E[T] − m) / sd(T) of the samples at the end of each round",
            axis: "error (standard deviations)",
            value: |c| (c.mean - c.target) / c.std_dev,
            level: |_| Some(0.0),
        },
        Panel {
            title: "Multipliers",
            note: if known {
                "λ sd(T) after each round; dashed: −η sd(T), the exact solution's"
            } else {
                "λ sd(T) after each round"
            },
            axis: "multiplier (nats per standard deviation)",
            value: |c| c.multiplier * c.std_dev,
            level: |c| c.exact.map(|e| e * c.std_dev),
        },
    ];
    for (i, panel) in panels.iter().enumerate() {
        let area = sheet.area((i, 0), panel.title, panel.note);
        curves(&mut sheet.canvas, panel, rounds, area);
    }
    Ok(Some(sheet.canvas))
}

fn curves(canvas: &mut Canvas, panel: &Panel, rounds: &[(usize, Round)], area: Rect) {
    let names = &rounds[0].1.constraints;
    let line = |i: usize| -> Vec<Point> {
        let each = rounds.iter().filter_map(|(step, r)| {
            let value = (panel.value)(r.constraints.get(i)?);
            value.is_finite().then_some((*step as f64, value))
        });
        each.collect()
    };
    let lines: Vec<Vec<Point>> = (0..names.len()).map(line).collect();
    let (end, last) = &rounds[rounds.len() - 1];
    let end = *end as f64;
    let levels: Vec<Option<f64>> = last.constraints.iter().map(panel.level).collect();
    let values = lines.iter().flatten().map(|p| p.1);
    let finite = levels.iter().flatten().copied().filter(|l| l.is_finite());
    let Some((low, high)) = ends(values.chain(finite)) else {
        return;
    };
    let pad = (0.08 * (high - low)).max(1e-3);
    let frame = Frame::new(area, (0.0, end), (low - pad, high + pad));
    frame.axes(canvas, &ticks(frame.y, 6), &ticks(frame.x, 4));
    frame.name_below(canvas, "training step", 58.0);
    frame.name_left(canvas, panel.axis, area.x - 86.0);
    for (i, level) in levels.iter().enumerate() {
        if let Some(level) = level {
            let colour = if *level == 0.0 { GREY } else { model_colour(i) };
            let (from, to) = (frame.at(0.0, *level), frame.at(end, *level));
            canvas.dashes(from, to, 1.4, Ink(colour, 0.8));
        }
    }
    let mut ends = Vec::new();
    for (i, (line, constraint)) in lines.iter().zip(names).enumerate() {
        let ink = Ink::full(model_colour(i));
        let path = frame.path(line);
        canvas.stroke(&path, 2.4, ink, Some(area));
        for at in path {
            canvas.dot(at, 4.0, ink, None);
        }
        ends.push((constraint.statistic.clone(), ink.0, line.last().copied()));
    }
    names_at_ends(canvas, &frame, &ends, NAMES);
}
