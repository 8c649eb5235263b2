//! A canvas as pixels, three times as fine while drawing.

use std::ops::Range;

use plotters::backend::{BitMapBackend, DrawingBackend};
use plotters::style::{Color, RGBColor};
use rayon::prelude::*;

use super::canvas::{cells, Canvas, Ink, Mark, Point, Rect, Text, FINE};
use mdn_core::{Error, Result};

/// A finished picture, row by row from the top.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    pub width: usize,
    pub height: usize,
    pub rgb: Vec<[u8; 3]>,
}

/// The nearest of 0..=255. `f64::round` is a call into the C library on a plain x86-64.
pub fn byte(v: f64) -> u8 {
    (v + 0.5) as u8
}

/// The means of `factor` x `factor` pixels of a picture.
pub fn means(rgb: &[[u8; 3]], width: usize, factor: usize) -> Vec<[u8; 3]> {
    let n = (factor * factor) as u32;
    let mut means = vec![[0; 3]; rgb.len() / (factor * factor)];
    let rows = means.par_chunks_mut(width / factor);
    let rows = rows.zip(rgb.par_chunks_exact(width * factor));
    rows.for_each(|(means, rows)| {
        for (i, mean) in means.iter_mut().enumerate() {
            let mut sums = [0; 3];
            for row in rows.chunks_exact(width) {
                for pixel in &row[i * factor..][..factor] {
                    sums = [0, 1, 2].map(|k| sums[k] + u32::from(pixel[k]));
                }
            }
            *mean = sums.map(|sum| ((sum + n / 2) / n) as u8);
        }
    });
    means
}

/// The canvas as a picture.
///
/// # Errors
/// Where plotters cannot fill an area.
pub fn draw(canvas: &Canvas) -> Result<Image> {
    let (width, height) = (canvas.width, canvas.height);
    let mut fine = Fine {
        size: (width, height),
        rgb: vec![[255; 3]; width * height * FINE * FINE],
        covers: vec![0.0; width * height * FINE * FINE],
    };
    for mark in &canvas.marks {
        match mark {
            Mark::Area { corners, ink } => fine.area(corners, *ink)?,
            Mark::Line {
                path,
                width,
                ink,
                within,
            } => fine.line(path, *width, *ink, within.as_ref()),
            Mark::Image { area, columns, rgb } => fine.image(area, *columns, rgb),
            Mark::Text(text) => fine.text(text),
        }
    }
    Ok(Image {
        width,
        height,
        rgb: means(&fine.rgb, width * FINE, FINE),
    })
}

/// The fine pixels of a figure whose size is given in pixels.
struct Fine {
    size: (usize, usize),
    rgb: Vec<[u8; 3]>,
    /// The share of each fine pixel that the line being drawn covers; 0 between lines.
    covers: Vec<f32>,
}

impl Fine {
    /// Blends ink over the fine pixel with this index.
    fn blend(&mut self, at: usize, Ink(rgb, alpha): Ink) {
        let pixel = &mut self.rgb[at];
        for (old, new) in pixel.iter_mut().zip(rgb) {
            *old = byte(f64::from(*old) * (1.0 - alpha) + f64::from(new) * alpha);
        }
    }

    fn area(&mut self, corners: &[Point], Ink([r, g, b], alpha): Ink) -> Result<()> {
        let fine = |v: f64| (v * FINE as f64).round() as i32;
        let corners: Vec<_> = corners.iter().map(|(x, y)| (fine(*x), fine(*y))).collect();
        let size = ((self.size.0 * FINE) as u32, (self.size.1 * FINE) as u32);
        BitMapBackend::with_buffer(self.rgb.as_flattened_mut(), size)
            .fill_polygon(corners, &RGBColor(r, g, b).mix(alpha))
            .map_err(|e| Error::failed(format!("could not draw: {e}")))
    }

    fn image(&mut self, area: &Rect, columns: usize, rgb: &[[u8; 3]]) {
        let (x, rows) = cells(area, self.size);
        for (row, colours) in rows.zip(rgb.chunks_exact(columns.max(1))) {
            let at = row * self.size.0 * FINE + x.start;
            self.rgb[at..at + columns].copy_from_slice(colours);
        }
    }

    fn text(&mut self, text: &Text) {
        let (line, scale) = (text.face.set(&text.words), text.face.em * FINE as f64);
        let (x, y) = (text.at.0 * FINE as f64, text.at.1 * FINE as f64);
        // Along the base line and down from it, whichever way the text reads.
        let (along, down) = if text.up { (-y, x) } else { (x, y) };
        let start = (along - text.before(line.width * scale), down);
        let (columns, rows) = ((self.size.0 * FINE) as i64, (self.size.1 * FINE) as i64);
        for letter in &line.letters {
            text.face.draw_letter(letter, scale, start, |i, j, cover| {
                let (column, row) = if text.up { (j, -1 - i) } else { (i, j) };
                if (0..columns).contains(&column) && (0..rows).contains(&row) {
                    let ink = Ink(text.rgb, f64::from(cover.clamp(0.0, 1.0)));
                    self.blend((row * columns + column) as usize, ink);
                }
            });
        }
    }

    /// By the distance of each fine pixel: the polygons of plotters would overlap at joints.
    fn line(&mut self, path: &[Point], width: f64, ink: Ink, within: Option<&Rect>) {
        let radius = 0.5 * width * FINE as f64;
        let whole = (0..self.size.0 * FINE, 0..self.size.1 * FINE);
        let (columns, rows) = within.map_or(whole, |r| cells(r, self.size));
        let reached = |a: f64, b: f64, range: &Range<usize>| {
            let edge = |v: f64| v.clamp(range.start as f64, range.end as f64) as usize;
            let (low, high) = (a.min(b) * FINE as f64, a.max(b) * FINE as f64);
            edge(low - radius - 1.0)..edge(high + radius + 2.0)
        };
        let dot = [path[0], path[0]];
        let path = if path.len() == 1 { &dot[..] } else { path };
        let mut touched = Vec::new();
        for pair in path.windows(2) {
            let cover = cover(pair, radius);
            let columns = reached(pair[0].0, pair[1].0, &columns);
            for row in reached(pair[0].1, pair[1].1, &rows) {
                for column in columns.clone() {
                    let cover = cover(column, row);
                    if cover > 0.0 {
                        let at = row * self.size.0 * FINE + column;
                        if self.covers[at] == 0.0 {
                            touched.push(at);
                        }
                        self.covers[at] = self.covers[at].max(cover);
                    }
                }
            }
        }
        for at in touched {
            let cover = std::mem::take(&mut self.covers[at]);
            self.blend(at, Ink(ink.0, ink.1 * f64::from(cover)));
        }
    }
}

/// The share of the fine pixel `(column, row)` within `radius` of the line between two points.
fn cover(ends: &[Point], radius: f64) -> impl Fn(usize, usize) -> f32 {
    let [(ax, ay), (bx, by)] = [ends[0], ends[1]].map(|(x, y)| (x * FINE as f64, y * FINE as f64));
    let (dx, dy) = (bx - ax, by - ay);
    let length = dx * dx + dy * dy;
    move |column, row| {
        let (px, py) = (column as f64 + 0.5 - ax, row as f64 + 0.5 - ay);
        let t = if length > 0.0 {
            ((px * dx + py * dy) / length).clamp(0.0, 1.0)
        } else {
            0.0
        };
        // The square root is exactly rounded, unlike `hypot`, and one instruction.
        let distance = ((px - t * dx).powi(2) + (py - t * dy).powi(2)).sqrt();
        (radius + 0.5 - distance).clamp(0.0, 1.0) as f32
    }
}
