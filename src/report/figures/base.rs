//! Where held-out points land at the base: data space with the parts of the model, base space with
//! the base's components, every point in the same colour in both.

use super::canvas::{Canvas, Ink, Point};
use super::grid::Grid;
use super::panels::{grids, Panel};
use super::parts::{class_colour, Parts};
use super::sheet::Sheet;
use super::style::{count, strip, BLUE, DARK, GREY};
use super::{DataPage, Drawn, RunPage};
use crate::experiment::store::{BaseComponents, Landing, Picture};
use mdn_core::Result;

const MAX_COLUMNS: usize = 5;
/// Every panel of base space has numbers of its own.
const GAP: f64 = 58.0;
const DOT: f64 = 2.4;
/// What a point is mixed with that no component has for itself.
const SHARED: [u8; 3] = [0xc9, 0xcd, 0xd4];
/// Components of less weight are none to speak of.
const LEAST_WEIGHT: f32 = 1e-3;

/// Of one run; `None` where it has no picture or its model no base.
pub fn draw_run(page: &RunPage<'_>) -> Result<Option<Canvas>> {
    let Some(picture) = &page.picture else {
        return Ok(None);
    };
    let (Some(landing), (_, Some(grid))) = (&picture.landing, grids(picture)) else {
        return Ok(None);
    };
    let mut sheet = Sheet::new(2, 1, GAP, 0.0)?;
    strip(
        &mut sheet.canvas,
        &page.title(),
        page.command,
        &page.facts(),
    );
    data_space(&mut sheet, 0, "Data space", picture, landing, &grid);
    base_space(&mut sheet, 1, "Base space", picture, landing);
    Ok(Some(sheet.canvas))
}

/// Of all models on a data set; `None` where none has both.
pub fn draw(page: &DataPage<'_>) -> Result<Option<Drawn>> {
    let shown: Vec<_> = page
        .shown
        .iter()
        .filter_map(|s| Some((s, s.picture.landing.as_ref()?)))
        .collect();
    if shown.is_empty() {
        return Ok(None);
    }
    let rows = shown.len().div_ceil(MAX_COLUMNS);
    let columns = shown.len().div_ceil(rows);
    let mut sheet = Sheet::new(columns, 2 * rows, GAP, 0.0)?;
    let title = format!(
        "{}: base space of {}",
        page.data,
        count(shown.len(), "model")
    );
    let facts = format!("{}; a point has one colour in both spaces", page.which());
    strip(&mut sheet.canvas, &title, page.results.what.command, &facts);
    for (i, some) in shown.chunks(columns).enumerate() {
        if i > 0 {
            sheet.next_row();
        }
        for (column, (s, landing)) in some.iter().enumerate() {
            data_space(&mut sheet, column, &s.title, &s.picture, landing, &s.grid);
        }
        sheet.next_row();
        for (column, (s, landing)) in some.iter().enumerate() {
            let title = format!("{}, base", s.title);
            base_space(&mut sheet, column, &title, &s.picture, landing);
        }
    }
    Ok(Some(Drawn {
        stem: format!("base-{}", page.data),
        title,
        canvas: sheet.canvas,
    }))
}

fn data_space(
    sheet: &mut Sheet,
    column: usize,
    title: &str,
    picture: &Picture,
    landing: &Landing,
    grid: &Grid,
) {
    let parts = parts(picture);
    let note = match (&parts, &landing.part, &landing.label) {
        (Some(p), Some(_), _) => format!("points on {}", count(p.count(), "part")),
        (_, _, Some(_)) => "points by true mode".to_owned(),
        _ => "held-out points".to_owned(),
    };
    let panel = sheet.bare(column, (title, &note), picture.view);
    let canvas = &mut sheet.canvas;
    if let (Some(parts), Some(_)) = (&parts, &landing.part) {
        panel.parts(canvas, parts, grid);
    }
    dots(canvas, &panel, &picture.points, &colours(picture, landing));
    panel.0.border(canvas);
    panel.axes(canvas, true);
}

fn base_space(sheet: &mut Sheet, column: usize, title: &str, picture: &Picture, landing: &Landing) {
    let note = match &landing.components {
        Some(c) => format!("{}: 1 and 2 sd", count(kept(c).count(), "component")),
        None => "circles: 1 and 2 sd of N(0, I)".to_owned(),
    };
    let panel = sheet.bare(column, (title, &note), view(landing));
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
    panel.0.border(canvas);
    panel.axes(canvas, true);
}

fn parts(picture: &Picture) -> Option<Parts<'_>> {
    Parts::new(picture.side, picture.part.as_ref()?)
}

/// Of every point: its part's, paler the less of it the part has; else its true mode's.
fn colours(picture: &Picture, landing: &Landing) -> Vec<[u8; 3]> {
    let mix = |a: [u8; 3], b: [u8; 3], t: f64| -> [u8; 3] {
        std::array::from_fn(|i| (f64::from(a[i]) * (1.0 - t) + f64::from(b[i]) * t) as u8)
    };
    let strong = |light| mix(light, [0; 3], 0.36);
    let n = landing.z.len();
    match (parts(picture), &landing.part, &landing.label) {
        (Some(parts), Some(own), _) => {
            let share = |i: usize| landing.share.as_ref().and_then(|s| s.get(i)).copied();
            let of = |(i, p): (usize, &u32)| {
                // An even split between two is as little as a part usually has of a point.
                let doubt = 2.0 * (1.0 - f64::from(share(i).unwrap_or(1.0)));
                mix(strong(parts.of(*p)), SHARED, doubt.clamp(0.0, 1.0))
            };
            own.iter().enumerate().map(of).collect()
        }
        (_, _, Some(label)) => label.iter().map(|l| strong(class_colour(*l))).collect(),
        _ => vec![BLUE; n],
    }
}

fn dots(canvas: &mut Canvas, panel: &Panel, points: &[[f32; 2]], colours: &[[u8; 3]]) {
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

fn ellipses(canvas: &mut Canvas, panel: &Panel, mean: [f32; 2], std_dev: [f32; 2], rgb: [u8; 3]) {
    const CORNERS: u32 = 72;
    for (radius, width) in [(1.0, 2.0), (2.0, 1.2)] {
        let corner = |i: u32| -> Point {
            let angle = std::f64::consts::TAU * f64::from(i) / f64::from(CORNERS);
            let along =
                |d: usize, part: f64| f64::from(mean[d]) + radius * f64::from(std_dev[d]) * part;
            panel.0.at(along(0, angle.cos()), along(1, angle.sin()))
        };
        let path: Vec<Point> = (0..=CORNERS).map(corner).collect();
        canvas.stroke(&path, width, Ink(rgb, 0.9), Some(panel.0.area));
    }
}

/// A square around all but the outermost hundredth of the points, and around the components.
fn view(landing: &Landing) -> [(f64, f64); 2] {
    let range = |d: usize| {
        let mut values: Vec<f64> = landing.z.iter().map(|p| f64::from(p[d])).collect();
        values.retain(|v| v.is_finite());
        values.sort_by(f64::total_cmp);
        let at = |share: f64| values.get((values.len() as f64 * share) as usize).copied();
        let (mut low, mut high) = (at(0.005).unwrap_or(-2.0), at(0.995).unwrap_or(2.0));
        let reach = |m: f64, s: f64| (m - 2.0 * s, m + 2.0 * s);
        let ends: Vec<(f64, f64)> = match &landing.components {
            Some(c) => kept(c)
                .map(|(m, s)| reach(f64::from(m[d]), f64::from(s[d])))
                .collect(),
            None => vec![reach(0.0, 1.0)],
        };
        for end in ends
            .into_iter()
            .filter(|e| e.0.is_finite() && e.1.is_finite())
        {
            (low, high) = (low.min(end.0), high.max(end.1));
        }
        (0.5 * (low + high), 0.5 * (high - low))
    };
    let (x, y) = (range(0), range(1));
    let half = 1.06 * x.1.max(y.1).max(1e-6);
    [x, y].map(|(middle, _)| (middle - half, middle + half))
}
