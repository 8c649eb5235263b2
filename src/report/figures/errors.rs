//! One data set: where each model's density is too high and where it is too low.

use super::axes::ticks;
use super::panels::{colour_bar, grids, Map, ERROR_NATS};
use super::sheet::Sheet;
use super::style::{count, strip};
use super::{DataPage, Drawn};
use mdn_core::Result;

const MAX_COLUMNS: usize = 5;
const GAP: f64 = 26.0;
const BAR: f64 = 106.0;

/// `None` where the truth is unknown or no finished run has a picture.
pub fn draw(page: &DataPage<'_>) -> Result<Option<Drawn>> {
    let shown = &page.shown;
    let Some(target) = shown.iter().find_map(|s| grids(&s.picture).0) else {
        return Ok(None);
    };
    let panels = shown.len() + 1;
    let rows = panels.div_ceil(MAX_COLUMNS);
    let columns = panels.div_ceil(rows);
    let mut sheet = Sheet::new(columns, rows, GAP, BAR)?;
    let title = format!(
        "{}: log-density errors of {}",
        page.data,
        count(shown.len(), "model")
    );
    let facts = format!(
        "{}; held to ±{ERROR_NATS} nats, line at −1, faded where both are < 10⁻³ of the highest p",
        page.which()
    );
    strip(&mut sheet.canvas, &title, page.results.what.command, &facts);
    let view = shown[0].picture.view;
    let panel = sheet.panel(0, ("Target density", "lines hold 50, 90 and 99 %"), view);
    panel.density(&mut sheet.canvas, &target, target.max(), &Map::viridis());
    let map = Map::errors();
    for (i, s) in shown.iter().enumerate() {
        let at = i + 1;
        if at % columns == 0 {
            sheet.next_row();
        }
        let panel = sheet.panel(at % columns, (&s.title, &s.note), s.picture.view);
        panel.errors(&mut sheet.canvas, &target, &s.grid, &map);
        if at % columns == columns - 1 || at == shown.len() {
            let range = (-ERROR_NATS, ERROR_NATS);
            let canvas = &mut sheet.canvas;
            colour_bar(
                canvas,
                &panel,
                &map,
                range,
                &ticks(range, 4),
                "log q − log p (nats)",
            );
        }
    }
    Ok(Some(Drawn {
        stem: format!("errors-{}", page.data),
        title,
        canvas: sheet.canvas,
    }))
}
