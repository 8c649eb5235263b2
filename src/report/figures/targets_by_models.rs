//! All two-dimensional data sets by all models: logarithms of densities, a row for each data set.

use super::axes::{signs, Frame};
use super::canvas::{Align, Canvas, Ink, Rect};
use super::grid::Grid;
use super::panels::{common_top, Map, DECADES};
use super::style::{count, name_colour, strip, DARK, GREY, MARGIN, NAME, NOTE, ORANGE, STRIP};
use super::DataPage;
use crate::report::digits;
use crate::report::results::Results;
use mdn_core::Result;

/// Rows of a figure.
const MAX_ROWS: usize = 10;
const GAP: f64 = 10.0;
/// Space for the name of a data set, which reads upwards.
const LEFT: f64 = 30.0;
/// Names of the models.
const TOP: f64 = 30.0;
/// The score below a panel.
const BELOW: f64 = 30.0;

/// Figures of at most ten rows; none where there is one data set, which has figures of its own.
pub fn draw(results: &Results<'_>) -> Result<Vec<Canvas>> {
    let what = results.what;
    let drawn = |d: &&String| {
        let runs = results.on(d);
        runs.filter(|r| r.is_done())
            .any(|r| r.place.path("picture.safetensors").is_file())
    };
    let data: Vec<&String> = what.data.iter().filter(drawn).collect();
    if data.len() < 2 {
        return Ok(Vec::new());
    }
    let pages = data.len().div_ceil(MAX_ROWS);
    let rows = data.len().div_ceil(pages);
    let chunks = data.chunks(rows).enumerate();
    let figures = chunks.map(|(i, some)| figure(results, some, (i + 1, pages)));
    figures.collect()
}

fn figure(results: &Results<'_>, data: &[&String], (at, of): (usize, usize)) -> Result<Canvas> {
    let what = results.what;
    let columns = what.models.len() + 1;
    let room = 1900.0 - 2.0 * MARGIN - LEFT;
    let side = (room / columns as f64 - GAP).clamp(120.0, 260.0);
    let width = 2.0 * MARGIN + LEFT + columns as f64 * (side + GAP) - GAP;
    let pitch = side + BELOW;
    let height = STRIP + TOP + pitch * data.len() as f64 + 14.0;
    let mut canvas = Canvas::new(width.max(960.0), height)?;
    let mut part = String::new();
    if of > 1 {
        part = format!(" ({at} of {of})");
        canvas.suffix = format!("-{at}");
    }
    let models = count(what.models.len(), "model");
    let title = format!("Log densities: targets and {models}{part}");
    let which = match what.seeds.len() {
        1 => "1 seed",
        _ => "seed with the median score, which stands below",
    };
    let facts = format!("{which}; each row on one scale of {DECADES} decades");
    strip(&mut canvas, &title, what.command, &facts);
    let x = |column: usize| MARGIN + LEFT + column as f64 * (side + GAP);
    let square = |column: usize, y: f64, view: [(f64, f64); 2]| {
        Frame::new(Rect::new(x(column), y, side, side), view[0], view[1])
    };
    let (middle, head) = (|column: usize| x(column) + 0.5 * side, STRIP + TOP - 16.0);
    canvas.text("target", NAME, DARK, (middle(0), head), Align::Middle);
    for (i, model) in what.models.iter().enumerate() {
        let at = (middle(i + 1), head);
        let name = NAME.squeeze(model, side);
        canvas.text(&name, NAME, name_colour(i), at, Align::Middle);
    }
    let map = Map::of(colorous::MAGMA);
    for (row, name) in data.iter().enumerate() {
        let y = STRIP + TOP + pitch * row as f64;
        let upwards = NAME.squeeze(name, side);
        canvas.text_upwards(&upwards, NAME, DARK, (MARGIN + 14.0, y + 0.5 * side));
        let page = DataPage::read(results, name)?;
        let target = page.target();
        let tops: Vec<f64> = page.runs.iter().map(|r| r.grid.max()).collect();
        let top = common_top(target.as_ref().map(Grid::max), &tops).ln();
        let below = y + side + 18.0;
        if let Some(first) = page.runs.first() {
            let picture = &first.picture;
            let panel = square(0, y, picture.view);
            match &target {
                Some(target) => panel.log_density(&mut canvas, target, top, &map),
                None => panel.points(&mut canvas, &picture.points, 1.3, Ink(ORANGE, 0.6)),
            }
            panel.border(&mut canvas);
            let [x, y] = picture.view.map(|(low, high)| digits::plain(high - low));
            let view = NOTE.squeeze(&format!("{x} x {y}"), side);
            canvas.text(&view, NOTE, GREY, (middle(0), below), Align::Middle);
        }
        for i in 0..what.models.len() {
            let Some(run) = page.runs.iter().find(|r| r.index == i) else {
                let at = (middle(i + 1), y + 0.5 * side);
                canvas.text("no finished run", NOTE, GREY, at, Align::Middle);
                continue;
            };
            let panel = square(i + 1, y, run.picture.view);
            panel.log_density(&mut canvas, &run.grid, top, &map);
            panel.border(&mut canvas);
            if let Some(score) = run.score {
                let text = signs(&digits::plain(score));
                canvas.text(&text, NOTE, DARK, (middle(i + 1), below), Align::Middle);
            }
        }
    }
    Ok(canvas)
}
