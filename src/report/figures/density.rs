//! A run of two dimensions: target, model, samples and the model's parts side by side.

use super::axes::ticks;
use super::canvas::{Canvas, Ink};
use super::panels::{colour_bar, common_top, grids, Map, Panel, SHARES_NOTE};
use super::parts::Parts;
use super::style::{count, heading, strip, BLUE, HEAD, MARGIN, ORANGE, STRIP};
use super::RunPage;
use mdn_core::Result;

/// Dots beyond these numbers only hide each other.
pub const MAX_SAMPLES: usize = 4000;
/// Held-out points drawn over them.
pub const MAX_POINTS: usize = 400;

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
    let (side, gap, left, bar) = (410.0, 34.0, 46.0, 88.0);
    let width = 2.0 * MARGIN + left + bar + panels as f64 * (side + gap) - gap;
    let y = STRIP + HEAD;
    let mut canvas = Canvas::new(width, y + side + 52.0)?;
    strip(&mut canvas, &page.title(), page.command, &page.facts());
    let map = Map::viridis();
    let top = common_top(target.as_ref().map(|t| t.max()), &[model.max()]);
    let mut x = MARGIN + left;
    let mut letter = 0;
    let mut next = |canvas: &mut Canvas, title: &str, note: &str, x: &mut f64| {
        let panel = Panel::new(*x, y, side, picture.view);
        heading(canvas, letter, title, note, (*x, y), side);
        letter += 1;
        *x += side + gap;
        panel
    };
    if let Some(target) = &target {
        let panel = next(&mut canvas, "Target density", "p(x), exact", &mut x);
        panel.density(&mut canvas, target, top, &map);
        panel.axes(&mut canvas, true);
    }
    let panel = next(&mut canvas, "Model density", SHARES_NOTE, &mut x);
    panel.density(&mut canvas, &model, top, &map);
    panel.axes(&mut canvas, target.is_none());
    let range = (0.0, top);
    colour_bar(
        &mut canvas,
        &panel,
        &map,
        range,
        &ticks(range, 5),
        "density",
    );
    x += bar;
    let samples = &picture.samples[..picture.samples.len().min(MAX_SAMPLES)];
    let points = &picture.points[..picture.points.len().min(MAX_POINTS)];
    let note = format!(
        "{} of the model, {} in orange",
        samples.len(),
        count(points.len(), "held-out point")
    );
    let panel = next(&mut canvas, "Samples", &note, &mut x);
    panel.points(&mut canvas, samples, 2.2, Ink(BLUE, 0.28));
    panel.points(&mut canvas, points, 2.2, Ink(ORANGE, 0.7));
    panel.0.border(&mut canvas);
    panel.axes(&mut canvas, false);
    if let Some(parts) = &parts {
        let note = format!(
            "{} in view; faint where q is tiny",
            count(parts.count(), "part")
        );
        let panel = next(&mut canvas, "Parts of the model", &note, &mut x);
        panel.parts(&mut canvas, parts, &model);
        panel.axes(&mut canvas, false);
    }
    Ok(Some(canvas))
}
