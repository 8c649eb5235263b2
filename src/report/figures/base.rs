//! Where held-out points land at the base: each has one colour in data space and in base space.

use super::axes::Frame;
use super::canvas::{Canvas, Ink, Point};
use super::grid::Grid;
use super::panels::{grids, PanelSheet, Space};
use super::parts::{class_colour, Parts};
use super::style::{count, strip, BLUE, DARK, GREY};
use super::{DataPage, RunPage};
use crate::experiment::store::{BaseComponents, Landing, Picture};
use mdn_core::Result;

const MAX_COLUMNS: usize = 5;
/// Panels of base space have numbers at their left.
const SPACE: Space = Space::squares(58.0, 0.0);
const DOT: f64 = 2.4;
/// Mixed into the colour of a point that several components share.
const SHARED: [u8; 3] = [0xc9, 0xcd, 0xd4];
/// Components of less weight are not drawn.
const LEAST_WEIGHT: f32 = 1e-3;

/// Of one run; `None` where it has no picture or its model no base.
pub fn draw_run(page: &RunPage<'_>) -> Result<Option<Canvas>> {
    let Some(picture) = &page.picture else {
        return Ok(None);
    };
    let (Some(landing), (_, Some(grid))) = (&picture.landing, grids(picture)) else {
        return Ok(None);
    };
    let mut sheet = PanelSheet::squares(2, 1, SPACE)?;
    let canvas = &mut sheet.canvas;
    strip(canvas, &page.title(), page.command, &page.facts());
    data_space(&mut sheet, (0, 0), "Data space", picture, landing, &grid);
    base_space(&mut sheet, (1, 0), "Base space", picture, landing);
    Ok(Some(sheet.canvas))
}

/// Of all models on a data set; `None` where none has both.
pub fn draw(page: &DataPage<'_>) -> Result<Option<Canvas>> {
    let with_base = page.runs.iter();
    let with_base = with_base.filter_map(|r| Some((r, r.picture.landing.as_ref()?)));
    let runs: Vec<_> = with_base.collect();
    if runs.is_empty() {
        return Ok(None);
    }
    let rows = runs.len().div_ceil(MAX_COLUMNS);
    let columns = runs.len().div_ceil(rows);
    let mut sheet = PanelSheet::squares(columns, 2 * rows, SPACE)?;
    let models = count(runs.len(), "model");
    let title = format!("{}: base space of {models}", page.data);
    let facts = format!("{}; a point has one colour in both spaces", page.which());
    strip(&mut sheet.canvas, &title, page.results.what.command, &facts);
    for (row, some) in runs.chunks(columns).enumerate() {
        for (column, (r, landing)) in some.iter().enumerate() {
            let at = (column, 2 * row);
            data_space(&mut sheet, at, &r.model, &r.picture, landing, &r.grid);
        }
        for (column, (r, landing)) in some.iter().enumerate() {
            let (at, title) = ((column, 2 * row + 1), format!("{}, base", r.model));
            base_space(&mut sheet, at, &title, &r.picture, landing);
        }
    }
    Ok(Some(sheet.canvas))
}

fn data_space(
    sheet: &mut PanelSheet,
    at: (usize, usize),
    title: &str,
    picture: &Picture,
    landing: &Landing,
    grid: &Grid,
) {
    let parts = Parts::of(picture);
    let note = match (&parts, &landing.part, &landing.label) {
        (Some(p), Some(_), _) => format!("points on {}", count(p.count(), "part")),
        (_, _, Some(_)) => "points by true mode".to_owned(),
        _ => "held-out points".to_owned(),
    };
    let [x, y] = picture.view;
    let panel = Frame::new(sheet.area(at, title, &note), x, y);
    let canvas = &mut sheet.canvas;
    if let (Some(parts), Some(_)) = (&parts, &landing.part) {
        panel.parts(canvas, parts, grid);
    }
    dots(canvas, &panel, &picture.points, &colours(picture, landing));
    panel.border(canvas);
    panel.numbers(canvas, true);
}

fn base_space(
    sheet: &mut PanelSheet,
    at: (usize, usize),
    title: &str,
    picture: &Picture,
    landing: &Landing,
) {
    let note = match &landing.components {
        Some(c) => format!("{}: 1 and 2 sd", count(kept(c).count(), "component")),
        None => "circles: 1 and 2 sd of N(0, I)".to_owned(),
    };
    let [x, y] = view(landing);
    let panel = Frame::new(sheet.area(at, title, &note), x, y);
    let canvas = &mut sheet.canvas;
    dots(canvas, &panel, &landing.z, &colours(picture, landing));
    match &landing.components {
        Some(components) => {
            for (mean, std_dev) in kept(components) {
                ellipses(canvas, &panel, mean, std_dev, DARK);
            }
        }
        None => ellipses(canvas, &panel, [0.0; 2], [1.0; 2], GREY),
    }
    panel.border(canvas);
    panel.numbers(canvas, true);
}

/// By part, paler the smaller the part's share of the point; without parts by true mode.
fn colours(picture: &Picture, landing: &Landing) -> Vec<[u8; 3]> {
    let mix = |a: [u8; 3], b: [u8; 3], t: f64| -> [u8; 3] {
        std::array::from_fn(|i| (f64::from(a[i]) * (1.0 - t) + f64::from(b[i]) * t) as u8)
    };
    let strong = |light| mix(light, [0; 3], 0.36);
    let n = landing.z.len();
    match (Parts::of(picture), &landing.part, &landing.label) {
        (Some(parts), Some(own), _) => {
            let share = |i: usize| landing.share.as_ref().and_then(|s| s.get(i)).copied();
            let of = |(i, p): (usize, &u32)| {
                // Half a point is the least that its own part usually has.
                let doubt = 2.0 * (1.0 - f64::from(share(i).unwrap_or(1.0)));
                mix(strong(parts.colour_of(*p)), SHARED, doubt.clamp(0.0, 1.0))
            };
            own.iter().enumerate().map(of).collect()
        }
        (_, _, Some(label)) => label.iter().map(|l| strong(class_colour(*l))).collect(),
        _ => vec![BLUE; n],
    }
}

fn dots(canvas: &mut Canvas, panel: &Frame, points: &[[f32; 2]], colours: &[[u8; 3]]) {
    for (point, colour) in points.iter().zip(colours) {
        panel.points(canvas, &[*point], DOT, Ink(*colour, 0.8));
    }
}

/// Mean and standard deviations of the components that have a weight.
fn kept(c: &BaseComponents) -> impl Iterator<Item = ([f32; 2], [f32; 2])> + '_ {
    let all = c.means.iter().zip(&c.std_devs).zip(&c.weights);
    all.filter(|(_, w)| **w >= LEAST_WEIGHT)
        .map(|((m, s), _)| (*m, *s))
}

fn ellipses(canvas: &mut Canvas, panel: &Frame, mean: [f32; 2], std_dev: [f32; 2], rgb: [u8; 3]) {
    const CORNERS: u32 = 72;
    for (radius, width) in [(1.0, 2.0), (2.0, 1.2)] {
        let corner = |i: u32| -> Point {
            let angle = std::f64::consts::TAU * f64::from(i) / f64::from(CORNERS);
            let along =
                |d: usize, part: f64| f64::from(mean[d]) + radius * f64::from(std_dev[d]) * part;
            panel.at(along(0, angle.cos()), along(1, angle.sin()))
        };
        let path: Vec<Point> = (0..=CORNERS).map(corner).collect();
        canvas.stroke(&path, width, Ink(rgb, 0.9), Some(panel.area));
    }
}

/// A square around all but the outermost hundredth of the points, and around the components.
fn view(landing: &Landing) -> [(f64, f64); 2] {
    let components: Vec<([f32; 2], [f32; 2])> = match &landing.components {
        Some(c) => kept(c).collect(),
        None => vec![([0.0; 2], [1.0; 2])],
    };
    let range = |d: usize| {
        let mut values: Vec<f64> = landing.z.iter().map(|p| f64::from(p[d])).collect();
        values.retain(|v| v.is_finite());
        values.sort_by(f64::total_cmp);
        let at = |share: f64| values.get((values.len() as f64 * share) as usize).copied();
        let (mut low, mut high) = (at(0.005).unwrap_or(-2.0), at(0.995).unwrap_or(2.0));
        for (mean, std_dev) in &components {
            let (mean, reach) = (f64::from(mean[d]), 2.0 * f64::from(std_dev[d]));
            if mean.is_finite() && reach.is_finite() {
                (low, high) = (low.min(mean - reach), high.max(mean + reach));
            }
        }
        (0.5 * (low + high), 0.5 * (high - low))
    };
    let (x, y) = (range(0), range(1));
    let half = 1.06 * x.1.max(y.1).max(1e-6);
    [x, y].map(|(middle, _)| (middle - half, middle + half))
}
