//! One data set: the model's mass below a density level of the truth, against the truth's own.

use super::axes::{ends, log_ticks, Frame};
use super::canvas::{Align, Canvas, Ink, Rect};
use super::curves::{self, names_width, over_seeds, OF_SEVERAL};
use super::pages::seeds;
use super::style::{strip, GREY, MARGIN, NOTE, STRIP};
use super::DataPage;
use mdn_core::Result;

/// `None` where no finished run has density levels.
pub fn draw(page: &DataPage<'_>) -> Result<Option<Canvas>> {
    // The names are at the lowest shares, where the curves are apart. No mass is drawn off the figure.
    let curves = over_seeds(
        page,
        |run| {
            let mut levels = run.place.read_levels()?;
            levels.retain(|l| l.0 > 0.0);
            levels.sort_by(|a, b| b.0.total_cmp(&a.0));
            Ok(levels)
        },
        |share, mass| (share.log10(), mass.max(0.01 * share).log10()),
    )?;
    let all = || curves.iter().flat_map(|c| &c.mean);
    let (Some(x), Some(masses)) = (ends(all().map(|p| p.0)), ends(all().map(|p| p.1))) else {
        return Ok(None);
    };
    if x.0 >= x.1 {
        return Ok(None);
    }
    // The whole diagonal, and not much below it: a model without mass there is at zero.
    let y = (
        (x.0 - 0.5).max(masses.0).min(x.0) - 0.1,
        masses.1.max(x.1).min(0.0) + 0.1,
    );
    let (left, names) = (118.0, names_width(&curves));
    let width = (left + 860.0 + names + 46.0).max(1200.0);
    let area = Rect::new(left, STRIP + 14.0, width - left - names - 46.0, 600.0);
    let mut canvas = Canvas::new(width, area.bottom() + 84.0)?;
    let title = format!("{}: mass between the modes", page.data);
    let facts = seeds(page.results, "", OF_SEVERAL) + "; above the diagonal: bridges";
    strip(&mut canvas, &title, page.results.what.command, &facts);
    let frame = Frame::new(area, (x.1, x.0), y);
    frame.axes(&mut canvas, &log_ticks(y), &log_ticks(x));
    let below = "share of p below the density level (log scale)";
    frame.name_below(&mut canvas, below, 58.0);
    let beside = "mass of q below it (log scale)";
    frame.name_left(&mut canvas, beside, MARGIN + 14.0);
    let (from, to) = (frame.at(x.1, x.1), frame.at(x.0, x.0));
    canvas.dashes(from, to, 1.4, Ink::full(GREY));
    let at = (0.5 * (from.0 + to.0) - 10.0, 0.5 * (from.1 + to.1) + 22.0);
    canvas.text("p itself", NOTE, GREY, at, Align::Right);
    curves::draw(&mut canvas, &frame, &curves, names);
    Ok(Some(canvas))
}
