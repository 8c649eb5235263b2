//! One data set: where each model's density is too high and where it is too low.

use super::axes::ticks;
use super::panels::{Map, PanelSheet, ERROR_NATS};
use super::style::{count, strip};
use super::{DataPage, Drawn};
use mdn_core::Result;

const MAX_COLUMNS: usize = 5;
const GAP: f64 = 26.0;
const BAR: f64 = 106.0;

/// `None` where the truth is unknown or no finished run has a picture.
pub fn draw(page: &DataPage<'_>) -> Result<Option<Drawn>> {
    let Some(target) = page.target() else {
        return Ok(None);
    };
    let (panels, models) = (page.runs.len() + 1, count(page.runs.len(), "model"));
    let rows = panels.div_ceil(MAX_COLUMNS);
    let columns = panels.div_ceil(rows);
    let mut sheet = PanelSheet::new(columns, rows, GAP, BAR)?;
    let title = format!("{}: log-density errors of {models}", page.data);
    let facts = format!(
        "{}; held to ±{ERROR_NATS} nats, line at −1, faded where both are < 10⁻³ of the highest p",
        page.which()
    );
    strip(&mut sheet.canvas, &title, page.results.what.command, &facts);
    let view = page.runs[0].picture.view;
    let head = ("Target density", "lines hold 50, 90 and 99 %");
    let panel = sheet.panel(0, head, view);
    panel.density(&mut sheet.canvas, &target, target.max(), &Map::viridis());
    let (map, range) = (Map::errors(), (-ERROR_NATS, ERROR_NATS));
    for (at, run) in (1..).zip(&page.runs) {
        if at % columns == 0 {
            sheet.next_row();
        }
        let panel = sheet.panel(at % columns, (&run.model, &run.note), run.picture.view);
        let canvas = &mut sheet.canvas;
        panel.errors(canvas, &target, &run.grid, &map);
        if at % columns == columns - 1 || at + 1 == panels {
            let title = "log q − log p (nats)";
            panel.colour_bar(canvas, &map, range, &ticks(range, 4), title);
        }
    }
    let stem = format!("errors-{}", page.data);
    Ok(Some(Drawn::new(stem, title, sheet.canvas)))
}
