//! All two-dimensional data sets by all models: logarithms of densities, a row for each data set.

use super::axes::signs;
use super::canvas::{Align, Canvas};
use super::grid::Grid;
use super::panels::{common_top, grids, Map, Panel, DECADES};
use super::shown::Shown;
use super::style::{count, name_colour, strip, DARK, GREY, MARGIN, NAME, NOTE, STRIP};
use super::{ComparisonPage, Drawn};
use crate::report::digits;
use mdn_core::Result;

/// Rows on a sheet.
const MAX_ROWS: usize = 10;
const GAP: f64 = 10.0;
/// Space for the name of a data set, which reads upwards.
const LEFT: f64 = 30.0;
/// Names of the models.
const TOP: f64 = 30.0;
/// The score below a panel.
const BELOW: f64 = 30.0;

/// Sheets of at most ten rows; none where there is one data set, which has figures of its own.
pub fn draw(page: &ComparisonPage<'_>) -> Result<Vec<Drawn>> {
    let what = page.results.what;
    let drawn = |d: &&String| {
        let runs = page.results.on(d);
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
    let sheets = chunks.map(|(i, some)| sheet(page, some, (i + 1, pages)));
    sheets.collect()
}

fn sheet(page: &ComparisonPage<'_>, data: &[&String], (at, of): (usize, usize)) -> Result<Drawn> {
    let what = page.results.what;
    let columns = what.models.len() + 1;
    let room = 1900.0 - 2.0 * MARGIN - LEFT;
    let side = (room / columns as f64 - GAP).clamp(120.0, 260.0);
    let width = 2.0 * MARGIN + LEFT + columns as f64 * (side + GAP) - GAP;
    let pitch = side + BELOW;
    let mut canvas = Canvas::new(
        width.max(960.0),
        STRIP + TOP + pitch * data.len() as f64 + 14.0,
    )?;
    let part = if of > 1 {
        format!(" ({at} of {of})")
    } else {
        String::new()
    };
    let models = count(what.models.len(), "model");
    let title = format!("Log densities: targets and {models}{part}");
    let which = match what.seeds.len() {
        1 => "1 seed",
        _ => "seed with the median score, which stands below",
    };
    let facts = format!("{which}; each row on one scale of {DECADES} decades");
    strip(&mut canvas, &title, what.command, &facts);
    let x = |column: usize| MARGIN + LEFT + column as f64 * (side + GAP);
    let head = STRIP + TOP - 16.0;
    canvas.text(
        "target",
        NAME,
        DARK,
        (x(0) + 0.5 * side, head),
        Align::Middle,
    );
    for (i, model) in what.models.iter().enumerate() {
        let middle = (x(i + 1) + 0.5 * side, head);
        canvas.text(
            &NAME.squeeze(model, side),
            NAME,
            name_colour(i),
            middle,
            Align::Middle,
        );
    }
    let map = Map::magma();
    for (row, name) in data.iter().enumerate() {
        let y = STRIP + TOP + pitch * row as f64;
        let upwards = NAME.squeeze(name, side);
        canvas.text_upwards(&upwards, NAME, DARK, (MARGIN + 14.0, y + 0.5 * side));
        let shown = Shown::all(page.results, name)?;
        one_row(&mut canvas, &shown, (y, side), &x, &map);
        for i in 0..what.models.len() {
            if !shown.iter().any(|s| s.index == i) {
                let middle = (x(i + 1) + 0.5 * side, y + 0.5 * side);
                canvas.text("no finished run", NOTE, GREY, middle, Align::Middle);
            }
        }
    }
    Ok(Drawn {
        stem: match of {
            1 => "targets-by-models".to_owned(),
            _ => format!("targets-by-models-{at}"),
        },
        title,
        canvas,
    })
}

fn one_row(
    canvas: &mut Canvas,
    shown: &[Shown],
    (y, side): (f64, f64),
    x: &dyn Fn(usize) -> f64,
    map: &Map,
) {
    let target = shown.iter().find_map(|s| grids(&s.picture).0);
    let tops: Vec<f64> = shown.iter().map(|s| s.grid.max()).collect();
    let top = common_top(target.as_ref().map(Grid::max), &tops).ln();
    let Some(first) = shown.first() else { return };
    let panel = Panel::new(x(0), y, side, first.picture.view);
    match &target {
        Some(target) => panel.log_density(canvas, target, top, map),
        None => {
            let ink = super::canvas::Ink(super::style::ORANGE, 0.6);
            panel.points(canvas, &first.picture.points, 1.3, ink);
        }
    }
    panel.0.border(canvas);
    let [(a, b), (c, d)] = first.picture.view;
    let number = |v: f64| match v {
        0.1..1e4 => format!("{v:.1}"),
        _ => signs(&format!("{v:.1e}")),
    };
    let view = format!("{} x {}", number(b - a), number(d - c));
    let below = (x(0) + 0.5 * side, y + side + 18.0);
    canvas.text(&NOTE.cut(&view, side), NOTE, GREY, below, Align::Middle);
    for s in shown {
        let panel = Panel::new(x(s.index + 1), y, side, s.picture.view);
        panel.log_density(canvas, &s.grid, top, map);
        panel.0.border(canvas);
        if let Some(score) = s.score {
            let text = signs(&digits::plain(score));
            let below = (x(s.index + 1) + 0.5 * side, y + side + 18.0);
            canvas.text(&text, NOTE, DARK, below, Align::Middle);
        }
    }
}
