//! All data sets: the mean rank of every model with its interval, and its rank on each data set.

use super::axes::Frame;
use super::canvas::{Align, Canvas, Ink, Rect};
use super::scores::{draw_row, Row};
use super::style::{count, strip, DARK, GREY, LABEL, MARGIN, MESH, NAME, NOTE};
use super::style::{STRIP, TICK};
use crate::report::digits::p_value;
use crate::report::pairs::{pairs, Tally};
use crate::report::ranks::Ranks;
use crate::report::results::Results;
use mdn_core::Result;

const WIDTH: f64 = 1400.0;
const ROW: f64 = 84.0;
/// Height above the rows for the bar of the critical difference.
const BAR: f64 = 52.0;
/// Width at the right for wins, ties and losses.
const COUNTS: f64 = 150.0;

/// None with fewer than 2 models or data sets to rank.
pub fn draw(results: &Results<'_>) -> Result<Vec<Canvas>> {
    let Some(ranks) = Ranks::of(results).filter(|r| r.data.len() > 1) else {
        return Ok(Vec::new());
    };
    let pairs = pairs(results);
    let k = ranks.models.len();
    let names = ranks.models.iter().map(|m| NAME.width(&m.model));
    let left = MARGIN + names.fold(90.0, f64::max).min(330.0) + 24.0;
    let top = STRIP + ranks.critical_difference.map_or(8.0, |_| BAR);
    let height = ROW * k as f64;
    let mut canvas = Canvas::new(WIDTH, top + height + 96.0)?;
    let (models, data) = (count(k, "model"), count(ranks.data.len(), "data set"));
    let title = format!("{}: ranks of {models} on {data}", results.what.experiment);
    let test = ranks.friedman;
    let test = test.map_or_else(String::new, |f| format!("; Friedman {}", p_value(f.p)));
    let facts =
        format!("large dot and bar: mean rank ± 95 % t interval; small dot: a data set{test}");
    strip(&mut canvas, &title, results.what.command, &facts);
    let area = Rect::new(left, top, WIDTH - left - COUNTS - MARGIN, height);
    let frame = Frame::new(area, (0.6, k as f64 + 0.4), (0.0, 1.0));
    if let (Some(width), Some(best)) = (ranks.critical_difference, ranks.models.first()) {
        critical_difference(&mut canvas, &frame, best.mean.mean, width);
    }
    let ticks: Vec<(f64, String)> = (1..=k).map(|r| (r as f64, r.to_string())).collect();
    let axis = "rank by the mean over the seeds (1 is best)";
    frame.axis_below_rows(&mut canvas, &ticks, axis);
    let (right, head) = (WIDTH - MARGIN, "wins / ties / losses");
    canvas.text(head, TICK, GREY, (right, top - 12.0), Align::Right);
    for (i, model) in ranks.models.iter().enumerate() {
        let y = top + ROW * (i as f64 + 0.5);
        // Equal ranks side by side, no further than a neighbouring rank's would reach.
        let mut values = model.ranks.clone();
        values.sort_by(f64::total_cmp);
        for group in values.chunk_by_mut(|a, b| a == b) {
            let step = (10.2 * (k as f64 - 0.2) / area.w).min(0.42 / group.len() as f64);
            let middle = 0.5 * (group.len() - 1) as f64;
            let places = (0..).map(|i| step * (f64::from(i) - middle));
            group
                .iter_mut()
                .zip(places)
                .for_each(|(v, offset)| *v += offset);
        }
        let row = Row {
            index: model.index,
            model: &model.model,
            note: String::new(),
            values,
            spread: Some(model.mean),
        };
        // No mean rank is far beyond the first or the last.
        let scale = |rank: f64| rank.clamp(0.79, k as f64 + 0.21);
        draw_row(&mut canvas, &frame, &row, y, &scale);
        let Tally { wins, ties, losses } = Tally::of(&pairs, &model.model, None, None);
        let text = format!("{wins} / {ties} / {losses}");
        canvas.text(&text, LABEL, DARK, (right, y + 2.0), Align::Right);
    }
    Ok(vec![canvas])
}

/// A bar from the best mean rank, as long as the critical difference, and its shade over the rows.
fn critical_difference(canvas: &mut Canvas, frame: &Frame, best: f64, width: f64) {
    let area = frame.area;
    let (from, to) = (frame.at(best, 0.0).0, frame.at(best + width, 0.0).0);
    let end = to.min(area.right());
    let shade = Rect {
        x: from,
        w: end - from,
        ..area
    };
    canvas.fill_rect(&shade, Ink(MESH, 0.45));
    let y = area.y - 8.0;
    canvas.stroke(&[(from, y), (end, y)], 2.2, Ink::full(DARK), None);
    for x in [from, end] {
        // A bar that goes on beyond the axis has no end.
        if x < area.right() || to <= area.right() {
            canvas.stroke(&[(x, y - 6.0), (x, y + 6.0)], 2.2, Ink::full(DARK), None);
        }
    }
    let text = format!("critical difference {width:.2} (Nemenyi, 5 %)");
    canvas.text(&text, NOTE, DARK, (from, y - 14.0), Align::Left);
}
