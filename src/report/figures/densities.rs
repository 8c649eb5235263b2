//! Densities in two dimensions: of a run, of all models on a data set, and their errors.

use super::axes::{number, power_of_ten, ticks};
use super::canvas::{Canvas, Ink};
use super::grid::Grid;
use super::pages::MedianRun;
use super::panels::{common_top, grids, Map, PanelSheet, Space, DECADES, ERROR_NATS, SHARES_NOTE};
use super::parts::Parts;
use super::style::{count, strip, BLUE, NOTE, ORANGE, STRIP};
use super::{DataPage, RunPage};
use mdn_core::Result;

/// Panels of errors in a row.
const MAX_COLUMNS: usize = 5;
const SPACE: Space = Space::squares(26.0, 106.0);
const POINTS_ON_DARK: [u8; 3] = [0x56, 0xd4, 0xe9];

/// More dots than these only hide each other.
const MAX_SAMPLES: usize = 4000;
/// Held-out points drawn over them.
const MAX_POINTS: usize = 400;

/// Space for the colour bar, between the densities and the samples.
const RUN_BAR: f64 = 88.0;

/// One data set: the target and every model on one colour scale, in three rows: densities, their
/// logarithms, where bridges between modes show, and the parts of models that have them. Where
/// the truth is unknown, held-out points on the logarithms stand for it. `None` where no finished run has
/// a picture.
pub fn draw(page: &DataPage<'_>) -> Result<Option<Canvas>> {
    let runs = &page.runs;
    let Some(first) = runs.first() else {
        return Ok(None);
    };
    let (view, points) = (first.picture.view, &first.picture.points);
    let target = page.target();
    let with_parts = runs.iter().any(|r| r.picture.part.is_some());
    let before = usize::from(target.is_some());
    let rows = 2 + usize::from(with_parts);
    let mut sheet = PanelSheet::squares(runs.len() + before, rows, SPACE)?;
    let beside = match (target.is_some(), points.is_empty()) {
        (true, _) => "target and ",
        (false, false) => "data and ",
        (false, true) => "",
    };
    let title = format!("{}: {beside}{}", page.data, count(runs.len(), "model"));
    let facts = format!("{}; {SHARES_NOTE}", page.which());
    strip(&mut sheet.canvas, &title, page.results.what.command, &facts);

    let map = Map::of(colorous::VIRIDIS);
    let tops: Vec<f64> = runs.iter().map(|r| r.grid.max()).collect();
    let top = common_top(target.as_ref().map(Grid::max), &tops);
    if let Some(target) = &target {
        let panel = sheet.view((0, 0), ("Target density", "p(x), exact"), view);
        panel.density(&mut sheet.canvas, target, top, &map);
    }
    for (i, run) in runs.iter().enumerate() {
        let panel = sheet.view((i + before, 0), (&run.model, &run.note), run.picture.view);
        panel.density(&mut sheet.canvas, &run.grid, top, &map);
        if i + 1 == runs.len() {
            let range = (0.0, top);
            panel.colour_bar(&mut sheet.canvas, &map, range, &ticks(range, 5), "density");
        }
    }
    logarithms(&mut sheet, target.as_ref(), runs, top);
    if with_parts {
        if target.is_some() {
            let points = &points[..points.len().min(2 * MAX_POINTS)];
            let note = count(points.len(), "point");
            let panel = sheet.view((0, 2), ("Held-out points", &note), view);
            panel.points(&mut sheet.canvas, points, 2.1, Ink(ORANGE, 0.55));
            panel.border(&mut sheet.canvas);
        }
        parts(&mut sheet, runs, before);
    }
    Ok(Some(sheet.canvas))
}

fn logarithms(sheet: &mut PanelSheet, target: Option<&Grid>, runs: &[MedianRun], top: f64) {
    let map = Map::of(colorous::MAGMA);
    let log_top = top.ln();
    if let Some(target) = target {
        let head = ("Target density", "log scale shows bridges");
        let panel = sheet.view((0, 1), head, runs[0].picture.view);
        panel.log_density(&mut sheet.canvas, target, log_top, &map);
    }
    for (i, run) in runs.iter().enumerate() {
        let points = &run.picture.points;
        let above = run.grid.max() / top;
        let note = if target.is_none() && !points.is_empty() {
            "log scale, held-out points on top".to_owned()
        } else if above > 1.2 {
            format!("log scale, peak {} times its top", number(above, 1))
        } else {
            "log scale".to_owned()
        };
        let at = (i + usize::from(target.is_some()), 1);
        let panel = sheet.view(at, (&run.model, &note), run.picture.view);
        panel.log_density(&mut sheet.canvas, &run.grid, log_top, &map);
        if target.is_none() {
            let points = &points[..points.len().min(MAX_POINTS)];
            panel.points(&mut sheet.canvas, points, 1.8, Ink(POINTS_ON_DARK, 0.75));
        }
        if i + 1 == runs.len() {
            let high = log_top / std::f64::consts::LN_10;
            let range = (high - f64::from(DECADES), high);
            let powers = range.0.ceil() as i32..=range.1.floor() as i32;
            let label = |p: i32| match p {
                0 => "1".to_owned(),
                p => power_of_ten(p),
            };
            let even = powers.filter(|p| p % 2 == 0);
            let ticks: Vec<_> = even.map(|p| (f64::from(p), label(p))).collect();
            let title = "density (log scale)";
            panel.colour_bar(&mut sheet.canvas, &map, range, &ticks, title);
        }
    }
}

fn parts(sheet: &mut PanelSheet, runs: &[MedianRun], before: usize) {
    for (column, run) in (before..).zip(runs) {
        let picture = &run.picture;
        if let Some(parts) = Parts::of(picture) {
            let in_view = count(parts.count(), "part");
            let mut note = format!("{in_view}; faint where q is tiny");
            if NOTE.width(&note) > sheet.size.0 - 30.0 {
                note = in_view;
            }
            let panel = sheet.view((column, 2), (&run.model, &note), picture.view);
            panel.parts(&mut sheet.canvas, &parts, &run.grid);
        } else {
            let samples = &picture.samples[..picture.samples.len().min(MAX_SAMPLES)];
            let note = format!("{} samples", samples.len());
            let panel = sheet.view((column, 2), (&run.model, &note), picture.view);
            panel.points(&mut sheet.canvas, samples, 1.9, Ink(BLUE, 0.3));
            panel.border(&mut sheet.canvas);
        }
    }
}

/// One data set: where each model's density is too high and where too low; needs the truth.
pub fn draw_errors(page: &DataPage<'_>) -> Result<Option<Canvas>> {
    let Some(target) = page.target() else {
        return Ok(None);
    };
    let (panels, models) = (page.runs.len() + 1, count(page.runs.len(), "model"));
    let rows = panels.div_ceil(MAX_COLUMNS);
    let columns = panels.div_ceil(rows);
    let mut sheet = PanelSheet::squares(columns, rows, SPACE)?;
    let title = format!("{}: log-density errors of {models}", page.data);
    let facts = format!(
        "{}; held to ±{ERROR_NATS} nats, line at −1, faded where both are < 10⁻³ of the highest p",
        page.which()
    );
    strip(&mut sheet.canvas, &title, page.results.what.command, &facts);
    let view = page.runs[0].picture.view;
    let head = ("Target density", "lines hold 50, 90 and 99 %");
    let panel = sheet.view((0, 0), head, view);
    let map = Map::of(colorous::VIRIDIS);
    panel.density(&mut sheet.canvas, &target, target.max(), &map);
    let (map, range) = (Map::of(colorous::RED_BLUE), (-ERROR_NATS, ERROR_NATS));
    for (at, run) in (1..).zip(&page.runs) {
        let (column, row) = (at % columns, at / columns);
        let panel = sheet.view((column, row), (&run.model, &run.note), run.picture.view);
        let canvas = &mut sheet.canvas;
        panel.errors(canvas, &target, &run.grid, &map);
        if column == columns - 1 || at + 1 == panels {
            let title = "log q − log p (nats)";
            panel.colour_bar(canvas, &map, range, &ticks(range, 4), title);
        }
    }
    Ok(Some(sheet.canvas))
}

/// A run with a picture: target, model, samples and the model's parts side by side.
pub fn draw_run(page: &RunPage<'_>) -> Result<Option<Canvas>> {
    let Some(picture) = &page.picture else {
        return Ok(None);
    };
    let (target, Some(model)) = grids(picture) else {
        return Ok(None);
    };
    let parts = Parts::of(picture);
    let panels = 2 + usize::from(target.is_some()) + usize::from(parts.is_some());
    let space = Space::squares(34.0, RUN_BAR);
    let mut sheet = PanelSheet::new((panels, 1), (410.0, 410.0), STRIP, space)?;
    let canvas = &mut sheet.canvas;
    strip(canvas, &page.title(), page.command, &page.facts());
    let (map, view) = (Map::of(colorous::VIRIDIS), picture.view);
    let top = common_top(target.as_ref().map(Grid::max), &[model.max()]);
    if let Some(target) = &target {
        let panel = sheet.view((0, 0), ("Target density", "p(x), exact"), view);
        panel.density(&mut sheet.canvas, target, top, &map);
    }
    let column = usize::from(target.is_some());
    let panel = sheet.view((column, 0), ("Model density", SHARES_NOTE), view);
    panel.density(&mut sheet.canvas, &model, top, &map);
    let range = (0.0, top);
    panel.colour_bar(&mut sheet.canvas, &map, range, &ticks(range, 5), "density");
    sheet.corner.0 += RUN_BAR;
    let samples = &picture.samples[..picture.samples.len().min(MAX_SAMPLES)];
    let points = &picture.points[..picture.points.len().min(MAX_POINTS)];
    let held_out = count(points.len(), "held-out point");
    let note = format!("{} of the model, {held_out} in orange", samples.len());
    let panel = sheet.view((column + 1, 0), ("Samples", &note), view);
    panel.points(&mut sheet.canvas, samples, 2.2, Ink(BLUE, 0.28));
    panel.points(&mut sheet.canvas, points, 2.2, Ink(ORANGE, 0.7));
    panel.border(&mut sheet.canvas);
    if let Some(parts) = &parts {
        let in_view = count(parts.count(), "part");
        let note = format!("{in_view} in view; faint where q is tiny");
        let panel = sheet.view((column + 2, 0), ("Parts of the model", &note), view);
        panel.parts(&mut sheet.canvas, parts, &model);
    }
    Ok(Some(sheet.canvas))
}
