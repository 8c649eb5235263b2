//! Losses against steps: of a run, and of all models on a data set.

use super::axes::{number, ticks, Frame};
use super::canvas::{Canvas, Ink, Point, Rect};
use super::curves::{names_at_ends, names_width, over_seeds, range, smooth, OF_SEVERAL};
use super::pages::seeds;
use super::style::{strip, BLUE, GREY, MARGIN, ORANGE, STRIP};
use super::{curves, DataPage, RunPage};
use crate::experiment::store::{HistoryRow, Split};
use mdn_core::Result;

const WIDTH: f64 = 1400.0;

/// `None` where the run has no history.
pub fn draw(page: &RunPage<'_>) -> Result<Option<Canvas>> {
    let [train, validation] =
        [Split::Train, Split::Validation].map(|split| losses(&page.history, split));
    let values: Vec<f64> = train.iter().map(|p| p.1).collect();
    let smoothed = train.iter().zip(smooth(&values, 0.03));
    let smoothed: Vec<Point> = smoothed.map(|(p, v)| (p.0, v)).collect();
    let Some(y) = range(&[&smoothed, &validation]) else {
        return Ok(None);
    };
    let (mut canvas, frame) = chart(&[&train, &validation], y, 160.0, page.loss_name())?;
    // The step whose weights are kept.
    let best = validation.iter().min_by(|a, b| a.1.total_cmp(&b.1));
    let mut facts = page.facts();
    if let Some((step, loss)) = best {
        facts += &format!("; best: {} nats at step {step}", number(*loss, 3));
    }
    strip(&mut canvas, &page.title(), page.command, &facts);
    for (points, width, ink) in [
        (&train, 1.2, Ink(BLUE, 0.22)),
        (&smoothed, 2.6, Ink::full(BLUE)),
        (&validation, 2.6, Ink::full(ORANGE)),
    ] {
        canvas.stroke(&frame.path(points), width, ink, Some(frame.area));
    }
    if let Some(best) = best {
        let at = frame.at(best.0, best.1);
        canvas.dashes((at.0, frame.area.y), at, 1.4, Ink::full(GREY));
        canvas.dot(at, 7.5, Ink::full([255; 3]), None);
        canvas.dot(at, 5.5, Ink::full(ORANGE), None);
    }
    let mut names = vec![
        ("training".to_owned(), BLUE, smoothed.last().copied()),
        ("validation".to_owned(), ORANGE, validation.last().copied()),
    ];
    names.retain(|n| n.2.is_some());
    names_at_ends(&mut canvas, &frame, &names, 160.0);
    Ok(Some(canvas))
}

/// One data set: validation loss of every model, mean and interval over seeds.
pub fn draw_by_model(page: &DataPage<'_>) -> Result<Option<Canvas>> {
    let curves = over_seeds(
        page,
        |run| Ok(losses(&run.place.read_history()?, Split::Validation)),
        |step, loss| (step, loss),
    )?;
    let means: Vec<&[Point]> = curves.iter().map(|c| c.mean.as_slice()).collect();
    let Some((low, high)) = range(&means) else {
        return Ok(None);
    };
    let intervals = curves.iter().flat_map(|c| [c.low.as_slice(), &c.high]);
    let around = range(&intervals.collect::<Vec<_>>()).unwrap_or((low, high));
    // The interval of two seeds can be a hundred times as wide as anything of interest.
    let room = 0.35 * (high - low);
    let y = (
        around.0.clamp(low - room, low),
        around.1.clamp(high, high + room),
    );
    let width = names_width(&curves);
    let (mut canvas, frame) = chart(&means, y, width + 46.0, page.loss_name())?;
    let title = format!("{}: validation loss", page.data);
    let facts = seeds(page.results, "", OF_SEVERAL) + "; failed runs left out";
    strip(&mut canvas, &title, page.results.what.command, &facts);
    curves::draw(&mut canvas, &frame, &curves, width);
    Ok(Some(canvas))
}

/// Steps with the finite losses of one kind of points.
fn losses(history: &[HistoryRow], split: Split) -> Vec<Point> {
    let rows = history.iter().filter(|r| r.split == split);
    let finite = rows.filter(|r| r.loss.is_finite());
    finite.map(|r| (r.step as f64, r.loss)).collect()
}

/// Axes of a loss against the steps of `curves`, with `right` pixels for names.
fn chart(curves: &[&[Point]], y: (f64, f64), right: f64, loss: &str) -> Result<(Canvas, Frame)> {
    let mut canvas = Canvas::new(WIDTH, 760.0)?;
    let last = curves.iter().filter_map(|c| c.last()).map(|p| p.0);
    let area = Rect::new(118.0, STRIP + 14.0, WIDTH - 118.0 - right, 545.0);
    let frame = Frame::new(area, (0.0, last.fold(1.0, f64::max)), y);
    frame.axes(&mut canvas, &ticks(y, 6), &ticks(frame.x, 6));
    frame.name_below(&mut canvas, "training step", 58.0);
    frame.name_left(&mut canvas, &format!("{loss} (nats)"), MARGIN + 14.0);
    Ok((canvas, frame))
}
