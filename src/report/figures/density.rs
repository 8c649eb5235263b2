//! A run of two dimensions: target, model, samples and the model's parts side by side.

use super::axes::ticks;
use super::canvas::{Canvas, Ink};
use super::panels::{common_top, grids, Map, PanelSheet, SHARES_NOTE};
use super::parts::Parts;
use super::style::{count, strip, BLUE, ORANGE};
use super::RunPage;
use mdn_core::Result;

/// More dots than these only hide each other.
pub const MAX_SAMPLES: usize = 4000;
/// Held-out points drawn over them.
pub const MAX_POINTS: usize = 400;

const SIDE: f64 = 410.0;
const GAP: f64 = 34.0;
/// Space for the colour bar, between the densities and the samples.
const BAR: f64 = 88.0;

/// `None` where the run has no picture.
pub fn draw(page: &RunPage<'_>) -> Result<Option<Canvas>> {
    let Some(picture) = &page.picture else {
        return Ok(None);
    };
    let (target, Some(model)) = grids(picture) else {
        return Ok(None);
    };
    let part = picture.part.as_ref();
    let parts = part.and_then(|p| Parts::new(picture.side, p));
    let panels = 2 + usize::from(target.is_some()) + usize::from(parts.is_some());
    let mut sheet = PanelSheet::with_side(panels, 1, SIDE, (GAP, BAR))?;
    strip(
        &mut sheet.canvas,
        &page.title(),
        page.command,
        &page.facts(),
    );
    let (map, view) = (Map::viridis(), picture.view);
    let top = common_top(target.as_ref().map(|t| t.max()), &[model.max()]);
    if let Some(target) = &target {
        let panel = sheet.panel(0, ("Target density", "p(x), exact"), view);
        panel.density(&mut sheet.canvas, target, top, &map);
    }
    let column = usize::from(target.is_some());
    let panel = sheet.panel(column, ("Model density", SHARES_NOTE), view);
    panel.density(&mut sheet.canvas, &model, top, &map);
    let range = (0.0, top);
    panel.colour_bar(&mut sheet.canvas, &map, range, &ticks(range, 5), "density");
    sheet.left += BAR;
    let samples = &picture.samples[..picture.samples.len().min(MAX_SAMPLES)];
    let points = &picture.points[..picture.points.len().min(MAX_POINTS)];
    let held_out = count(points.len(), "held-out point");
    let note = format!("{} of the model, {held_out} in orange", samples.len());
    let panel = sheet.panel(column + 1, ("Samples", &note), view);
    panel.points(&mut sheet.canvas, samples, 2.2, Ink(BLUE, 0.28));
    panel.points(&mut sheet.canvas, points, 2.2, Ink(ORANGE, 0.7));
    panel.border(&mut sheet.canvas);
    if let Some(parts) = &parts {
        let in_view = count(parts.count(), "part");
        let note = format!("{in_view} in view; faint where q is tiny");
        let panel = sheet.panel(column + 2, ("Parts of the model", &note), view);
        panel.parts(&mut sheet.canvas, parts, &model);
    }
    Ok(Some(sheet.canvas))
}
