//! One data set: validation loss against steps, mean and interval over seeds for every model.

use super::canvas::Point;
use super::curves::{self, names_width, over_seeds, range, OF_SEVERAL};
use super::pages::seeds;
use super::style::{count, strip};
use super::training::{chart, losses};
use super::{DataPage, Drawn};
use crate::experiment::store::Split;
use mdn_core::Result;

/// `None` where no finished run of the data set has validation losses.
pub fn draw(page: &DataPage<'_>) -> Result<Option<Drawn>> {
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
    let stem = format!("training-{}", page.data);
    let title = format!("{title} of {}", count(curves.len(), "model"));
    Ok(Some(Drawn::new(stem, title, canvas)))
}
