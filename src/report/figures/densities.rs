//! One data set: the target and every model on one colour scale, in three rows: densities, their
//! logarithms, where bridges between modes show, and the parts of models that have them. Where
//! the truth is unknown, held-out points on the logarithms stand for it.

use super::axes::{number, power_of_ten, ticks};
use super::canvas::Ink;
use super::density::{MAX_POINTS, MAX_SAMPLES};
use super::grid::Grid;
use super::panels::{colour_bar, common_top, grids, Map, DECADES, SHARES_NOTE};
use super::parts::Parts;
use super::sheet::Sheet;
use super::shown::Shown;
use super::style::{count, strip, BLUE, NOTE, ORANGE};
use super::{DataPage, Drawn};
use mdn_core::Result;

const GAP: f64 = 26.0;
const POINTS_ON_DARK: [u8; 3] = [0x56, 0xd4, 0xe9];
const BAR: f64 = 106.0;

/// `None` where no finished run of the data set has a picture.
pub fn draw(page: &DataPage<'_>) -> Result<Option<Drawn>> {
    let shown = &page.shown;
    let Some(first) = shown.first() else {
        return Ok(None);
    };
    let (view, points) = (first.picture.view, first.picture.points.clone());
    let target = shown.iter().find_map(|s| grids(&s.picture).0);
    let with_parts = shown.iter().any(|s| s.picture.part.is_some());
    let columns = shown.len() + usize::from(target.is_some());
    let rows = 2 + usize::from(with_parts);
    let mut sheet = Sheet::new(columns, rows, GAP, BAR)?;
    let beside = match (target.is_some(), points.is_empty()) {
        (true, _) => "target and ",
        (false, false) => "data and ",
        (false, true) => "",
    };
    let title = format!("{}: {beside}{}", page.data, count(shown.len(), "model"));
    let facts = format!("{}; {SHARES_NOTE}", page.which());
    strip(&mut sheet.canvas, &title, page.results.what.command, &facts);

    let map = Map::viridis();
    let tops: Vec<f64> = shown.iter().map(|s| s.grid.max()).collect();
    let top = common_top(target.as_ref().map(Grid::max), &tops);
    let first = usize::from(target.is_some());
    if let Some(target) = &target {
        let panel = sheet.panel(0, ("Target density", "p(x), exact"), view);
        panel.density(&mut sheet.canvas, target, top, &map);
    }
    for (i, s) in shown.iter().enumerate() {
        let panel = sheet.panel(i + first, (&s.title, &s.note), s.picture.view);
        panel.density(&mut sheet.canvas, &s.grid, top, &map);
        if i + 1 == shown.len() {
            let range = (0.0, top);
            colour_bar(
                &mut sheet.canvas,
                &panel,
                &map,
                range,
                &ticks(range, 5),
                "density",
            );
        }
    }
    sheet.next_row();
    log_row(&mut sheet, target.as_ref(), shown, top);
    if with_parts {
        sheet.next_row();
        if target.is_some() {
            draw_points(&mut sheet, view, &points);
        }
        parts_row(&mut sheet, shown, first);
    }
    Ok(Some(Drawn {
        stem: format!("densities-{}", page.data),
        title,
        canvas: sheet.canvas,
    }))
}

fn log_row(sheet: &mut Sheet, target: Option<&Grid>, shown: &[Shown], top: f64) {
    let map = Map::magma();
    let log_top = top.ln();
    if let Some(target) = target {
        let head = ("Target density", "log scale shows bridges");
        let panel = sheet.panel(0, head, shown[0].picture.view);
        panel.log_density(&mut sheet.canvas, target, log_top, &map);
    }
    for (i, s) in shown.iter().enumerate() {
        let above = s.grid.max() / top;
        let mut note = "log scale".to_owned();
        if target.is_none() && !s.picture.points.is_empty() {
            note.push_str(", held-out points on top");
        } else if above > 1.2 {
            note.push_str(&format!(", peak {} times its top", number(above, 1)));
        }
        let head = (s.title.as_str(), note.as_str());
        let panel = sheet.panel(i + usize::from(target.is_some()), head, s.picture.view);
        panel.log_density(&mut sheet.canvas, &s.grid, log_top, &map);
        if target.is_none() {
            let points = &s.picture.points[..s.picture.points.len().min(MAX_POINTS)];
            panel.points(&mut sheet.canvas, points, 1.8, Ink(POINTS_ON_DARK, 0.75));
        }
        if i + 1 == shown.len() {
            let high = log_top / std::f64::consts::LN_10;
            let range = (high - f64::from(DECADES), high);
            let powers = range.0.ceil() as i32..=range.1.floor() as i32;
            let ticks: Vec<(f64, String)> = powers
                .filter(|p| p % 2 == 0)
                .map(|p| {
                    (
                        f64::from(p),
                        if p == 0 { "1".into() } else { power_of_ten(p) },
                    )
                })
                .collect();
            colour_bar(
                &mut sheet.canvas,
                &panel,
                &map,
                range,
                &ticks,
                "density (log scale)",
            );
        }
    }
}

fn parts_row(sheet: &mut Sheet, shown: &[Shown], first: usize) {
    for (i, s) in shown.iter().enumerate() {
        let part = s.picture.part.as_ref();
        match part.and_then(|p| Parts::new(s.picture.side, p)) {
            Some(parts) => {
                let parts_in_view = count(parts.count(), "part");
                let mut note = format!("{parts_in_view}; faint where q is tiny");
                if NOTE.width(&note) > sheet.side - 30.0 {
                    note = parts_in_view;
                }
                let panel = sheet.panel(i + first, (&s.title, &note), s.picture.view);
                panel.parts(&mut sheet.canvas, &parts, &s.grid);
            }
            None => {
                let samples = &s.picture.samples[..s.picture.samples.len().min(MAX_SAMPLES)];
                let note = format!("{} samples", samples.len());
                let panel = sheet.panel(i + first, (&s.title, &note), s.picture.view);
                panel.points(&mut sheet.canvas, samples, 1.9, Ink(BLUE, 0.3));
                panel.0.border(&mut sheet.canvas);
            }
        }
    }
}

fn draw_points(sheet: &mut Sheet, view: [(f64, f64); 2], points: &[[f32; 2]]) {
    let points = &points[..points.len().min(2 * MAX_POINTS)];
    let note = count(points.len(), "point");
    let panel = sheet.panel(0, ("Held-out points", &note), view);
    panel.points(&mut sheet.canvas, points, 2.1, Ink(ORANGE, 0.55));
    panel.0.border(&mut sheet.canvas);
}
