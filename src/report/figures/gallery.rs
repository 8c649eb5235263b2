//! Every two-dimensional benchmark: its density, modes and entropy.

use std::path::Path;

use rayon::prelude::*;

use super::axes::{number, Frame};
use super::canvas::Canvas;
use super::grid::Grid;
use super::panels::{Map, PanelSheet, Space};
use super::pixels;
use super::png::png_bytes;
use super::style::{count, strip, STRIP};
use super::Metadata;
use crate::experiment::store::write_atomic;
use mdn_core::data::{log_densities, low_density_levels, Support, BENCHMARKS};
use mdn_core::num;
use mdn_core::rng::Rng;
use mdn_core::{Error, Result};

const COLUMNS: usize = 5;
const SIDE: f64 = 290.0;
const SPACE: Space = Space {
    left: 40.0,
    gap: 52.0,
    right: 0.0,
    below: 38.0,
};
/// Share of a view added on each side, so that no mode touches the frame.
const RIM: f64 = 0.025;
/// Cells along a panel, interpolated in the logarithm.
const CELLS: usize = 480;
/// Points whose densities give the ends of a panel's colours.
const POINTS: usize = 20_000;
/// Share of a target's own points whose density is below the darkest colour.
const SHARE: f64 = 0.001;

/// Draws them into `to`, a PNG file.
pub fn draw_gallery(to: &Path, command: &str) -> Result<()> {
    let metadata = Metadata {
        description: "every two-dimensional target: log density, modes and entropy".to_owned(),
        command: command.to_owned(),
        config_hash: None,
    };
    let image = pixels::draw(&gallery(CELLS, command)?)?;
    write_atomic(to, &png_bytes(&image, &metadata)?)
}

/// The same with so many cells along a panel.
pub(super) fn gallery(cells: usize, command: &str) -> Result<Canvas> {
    let (mut shown, mut others) = (Vec::new(), Vec::new());
    for benchmark in BENCHMARKS.iter() {
        let data = benchmark.spec().build()?;
        match data.view() {
            Some(_) => shown.push((benchmark.name.as_str(), data)),
            None => others.push(benchmark.name.as_str()),
        }
    }
    let rows = shown.len().div_ceil(COLUMNS);
    let mut sheet = PanelSheet::new((COLUMNS, rows), (SIDE, SIDE), STRIP, SPACE)?;
    let title = format!("{} targets in two dimensions", shown.len());
    let facts = format!(
        "log density, dark below the level that 0.1 % of the law's own points are under   ·   \
         H in nats   ·   not drawn: {}",
        others.join(", ")
    );
    strip(&mut sheet.canvas, &title, command, &facts);
    let map = &Map::of(colorous::VIRIDIS);
    for (i, (name, data)) in shown.iter().enumerate() {
        let missing = || Error::failed("gallery: expected data with a density in two dimensions");
        let (view, truth) = data.view().zip(data.truth()).ok_or_else(missing)?;
        let [x, y] = view.map(|(low, high)| {
            let rim = RIM * (high - low);
            (low - rim, high + rim)
        });
        let rng = Rng::new(0).fork("gallery");
        let mut stream = rng.fork("level");
        let levels = low_density_levels(&**data, &[SHARE], POINTS, &mut stream)?;
        let level = levels[0].log_level;
        let points = num::to_vec(&data.sample(POINTS, &mut rng.fork("top"))?)?;
        let top = num::largest(log_densities(truth, &points, 2));
        // A density may have few levels: the lowest of several must be visible.
        let low = match truth.support() {
            Support::Everywhere => level,
            _ => 2.0 * level - top - 1e-3,
        };
        let high = top - 1e-6;
        let centre = |(a, b): (f64, f64), i: usize| a + (b - a) * (i as f64 + 0.5) / cells as f64;
        let places = (0..cells * cells).into_par_iter();
        let places = places.flat_map_iter(|k| [centre(x, k % cells), centre(y, k / cells)]);
        let log_p = log_densities(truth, &places.collect::<Vec<f64>>(), 2).into_iter();
        let log_p: Vec<f32> = log_p.map(|v| v as f32).collect();
        let grid = Grid::new(cells, &log_p).ok_or_else(missing)?;
        let modes = count(truth.weights().len(), "mode");
        let note = format!("{modes}, H = {}", number(truth.entropy().value, 3));
        let area = sheet.area((i % COLUMNS, i / COLUMNS), name, &note);
        sheet.canvas.image(&area, |v| {
            let log_density = grid.log_density(v);
            // Where the density has one level both ends are the same, and it is the brightest.
            move |u| match log_density(u) {
                log_p if log_p >= high => map.at(1.0),
                log_p => map.at((log_p - low) / (high - low)),
            }
        });
        Frame::new(area, x, y).numbers(&mut sheet.canvas, true);
    }
    Ok(sheet.canvas)
}
