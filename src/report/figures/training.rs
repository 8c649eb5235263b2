//! A run's loss against its steps, in training and on the validation points.

use super::axes::{step_ticks, ticks, Frame};
use super::canvas::{Align, Canvas, Ink, Point, Rect};
use super::curves::{range, smooth, spread_out};
use super::style::{strip, BLUE, DARK, GREY, LABEL, MARGIN, NAME, NOTE, ORANGE, STRIP};
use super::RunPage;
use crate::experiment::store::{HistoryRow, Split};
use mdn_core::Result;

/// `None` where the run has no history.
pub fn draw(page: &RunPage<'_>) -> Result<Option<Canvas>> {
    let curve = |split| -> Vec<Point> {
        let rows = page
            .history
            .iter()
            .filter(|r: &&HistoryRow| r.split == split);
        rows.filter(|r| r.loss.is_finite())
            .map(|r| (r.step as f64, r.loss))
            .collect()
    };
    let (train, validation) = (curve(Split::Train), curve(Split::Validation));
    let losses: Vec<f64> = train.iter().map(|p| p.1).collect();
    let smoothed = smooth(&losses, 0.03);
    let smoothed: Vec<Point> = train.iter().zip(smoothed).map(|(p, v)| (p.0, v)).collect();
    let Some(y) = range(&[&smoothed, &validation]) else {
        return Ok(None);
    };
    let last = train
        .iter()
        .chain(&validation)
        .map(|p| p.0)
        .fold(1.0, f64::max);
    let mut canvas = Canvas::new(1400.0, 760.0)?;
    strip(&mut canvas, &page.title(), page.command, &page.facts());
    let area = Rect {
        x: 118.0,
        y: STRIP + 14.0,
        w: 1400.0 - 118.0 - 160.0,
        h: 545.0,
    };
    let frame = Frame {
        area,
        x: (0.0, last),
        y,
    };
    draw_axes(&mut canvas, &frame, page.loss_name());
    let to_pixels = |c: &[Point]| c.iter().map(|p| frame.at(p.0, p.1)).collect::<Vec<_>>();
    if !train.is_empty() {
        canvas.stroke(&to_pixels(&train), 1.2, Ink(BLUE, 0.22), Some(area));
        canvas.stroke(&to_pixels(&smoothed), 2.6, Ink::full(BLUE), Some(area));
    }
    if !validation.is_empty() {
        canvas.stroke(&to_pixels(&validation), 2.6, Ink::full(ORANGE), Some(area));
    }
    mark_best(&mut canvas, &frame, &validation);
    let ends = [
        ("training", &smoothed, BLUE),
        ("validation", &validation, ORANGE),
    ];
    let ends: Vec<_> = ends
        .iter()
        .filter_map(|(n, c, k)| Some((n, c.last()?, k)))
        .collect();
    let wanted: Vec<f64> = ends.iter().map(|(_, p, _)| frame.at(p.0, p.1).1).collect();
    let heights = spread_out(&wanted, 24.0, (area.y, area.bottom()));
    for ((name, _, colour), y) in ends.iter().zip(heights) {
        canvas.text(
            name,
            NAME,
            **colour,
            (area.right() + 12.0, y + 6.0),
            Align::Left,
        );
    }
    Ok(Some(canvas))
}

/// Axes of a loss against steps.
pub fn draw_axes(canvas: &mut Canvas, frame: &Frame, loss: &str) {
    let across = ticks(frame.y, 6);
    frame.mesh_across(canvas, &across);
    frame.ticks_left(canvas, &across);
    frame.ticks_below(canvas, &step_ticks(frame.x, 6));
    let area = frame.area;
    let corner = [
        (area.x, area.y),
        (area.x, area.bottom()),
        (area.right(), area.bottom()),
    ];
    canvas.stroke(&corner, 1.3, Ink::full(super::style::AXIS), None);
    let middle = (area.x + 0.5 * area.w, area.bottom() + 58.0);
    canvas.text("training step", LABEL, DARK, middle, Align::Middle);
    let beside = (MARGIN + 14.0, area.y + 0.5 * area.h);
    canvas.text_upwards(&format!("{loss} (nats)"), LABEL, DARK, beside);
}

/// The step with the least validation loss, whose weights are kept.
fn mark_best(canvas: &mut Canvas, frame: &Frame, validation: &[Point]) {
    let Some(best) = validation.iter().min_by(|a, b| a.1.total_cmp(&b.1)) else {
        return;
    };
    let at = frame.at(best.0, best.1);
    let top = frame.area.y;
    canvas.dashes((at.0, top), at, 1.4, Ink::full(GREY));
    canvas.dot(at, 7.5, Ink::full([255; 3]), None);
    canvas.dot(at, 5.5, Ink::full(ORANGE), None);
    let text = format!(
        "best: {} nats at step {}",
        super::axes::number(best.1, 3),
        best.0
    );
    let room = NOTE.width(&text) + 12.0;
    let (x, align) = if at.0 - frame.area.x > room {
        (at.0 - 9.0, Align::Right)
    } else {
        (at.0 + 9.0, Align::Left)
    };
    let from = if align == Align::Right {
        x - room + 8.0
    } else {
        x - 4.0
    };
    canvas.blank(&Rect {
        x: from,
        y: top,
        w: room - 4.0,
        h: 24.0,
    });
    canvas.text(&text, NOTE, GREY, (x, top + 16.0), align);
}
