//! All data sets: the mean rank of every model with its interval, and its rank on each data set.

use super::axes::Frame;
use super::canvas::{Align, Canvas, Ink, Rect};
use super::scores::mean_with_text;
use super::style::{count, model_colour, strip, DARK, GREY, LABEL, MARGIN, MESH, NAME, NOTE};
use super::style::{STRIP, TICK};
use super::Drawn;
use crate::report::digits::p_value;
use crate::report::pairs::{pairs, Tally};
use crate::report::ranks::{Ranked, Ranks};
use crate::report::results::Results;
use mdn_core::Result;

const WIDTH: f64 = 1400.0;
const ROW: f64 = 84.0;
const DOT: f64 = 4.6;
/// Height above the rows for the bar of the critical difference.
const BAR: f64 = 52.0;
/// Width at the right for wins, ties and losses.
const COUNTS: f64 = 150.0;

/// None with fewer than 2 models or data sets to rank.
pub fn draw(results: &Results<'_>) -> Result<Vec<Drawn>> {
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
        row(&mut canvas, &frame, model, y);
        let Tally { wins, ties, losses } = Tally::of(&pairs, &model.model, None, None);
        let text = format!("{wins} / {ties} / {losses}");
        canvas.text(&text, LABEL, DARK, (right, y + 2.0), Align::Right);
    }
    Ok(vec![Drawn::new("ranks", title, canvas)])
}

/// A bar above the rows from the best mean rank, as long as the critical difference, and its shade
/// over all rows: means inside do not differ significantly from the best.
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

fn row(canvas: &mut Canvas, frame: &Frame, model: &Ranked, y: f64) {
    let last = frame.x.1.floor();
    let colour = model_colour(model.index);
    let left = frame.area.x - 22.0;
    let name = NAME.squeeze(&model.model, left - MARGIN);
    canvas.text(&name, NAME, colour, (left, y + 2.0), Align::Right);
    let at = |rank: f64| frame.at(rank.clamp(frame.x.0, frame.x.1), 0.0).0;
    if let Some((low, high)) = model.mean.interval {
        // No mean rank is beyond the first or the last.
        let (low, high) = (at(low.max(1.0)), at(high.min(last)));
        canvas.stroke(&[(low, y), (high, y)], 4.5, Ink::full(colour), None);
    }
    let mean = (at(model.mean.mean), y);
    mean_with_text(canvas, frame, &model.mean, (mean, y - 15.0), colour);
    let mut ranks = model.ranks.clone();
    ranks.sort_by(f64::total_cmp);
    for group in ranks.chunk_by(|a, b| a == b) {
        // Equal ranks side by side, no further than a neighbouring rank's would reach.
        let room = 0.42 * (at(2.0) - at(1.0));
        let step = (2.0 * DOT + 1.0).min(room / group.len() as f64);
        let first = at(group[0]) - 0.5 * step * (group.len() - 1) as f64;
        for i in 0..group.len() {
            let place = (first + step * i as f64, y + 24.0);
            canvas.dot(place, DOT, Ink(colour, 0.5), None);
        }
    }
}
