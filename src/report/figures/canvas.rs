//! Drawing in pixels of the finished figure, three times as fine while drawing; the shapes are kept
//! beside the pixels, for SVG.

use std::collections::BTreeSet;

use plotters::backend::{BitMapBackend, DrawingBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontTransform, RGBColor, TextStyle};
use rayon::prelude::*;

use super::font::{self, drawable, Type};
use super::shapes::{image_cells, Item};
pub use super::shapes::{Align, Ink, Point, Rect};
use mdn_core::{Error, Result};

/// Fine pixels to a pixel, each way. Plotters draws on whole pixels: averaging 3 x 3 of them is
/// what makes curves and letters smooth.
pub(super) const FINE: usize = 3;

/// A picture in the making.
pub struct Canvas {
    width: usize,
    height: usize,
    fine: Vec<u8>,
    fault: Option<String>,
    lacking: BTreeSet<char>,
    items: Vec<Item>,
}

/// A finished picture, RGB row by row from the top.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    /// Pixels across.
    pub width: usize,
    /// Pixels down.
    pub height: usize,
    /// `3 * width * height` bytes.
    pub rgb: Vec<u8>,
}

/// The nearest of 0..=255. `f64::round` is a call into the C library on a plain x86-64.
pub(super) fn byte(v: f64) -> u8 {
    (v + 0.5) as u8
}

impl Canvas {
    /// A white sheet.
    pub fn new(width: f64, height: f64) -> Result<Self> {
        font::register()?;
        let (width, height) = (width.ceil() as usize, height.ceil() as usize);
        Ok(Self {
            width,
            height,
            fine: vec![255; 3 * width * height * FINE * FINE],
            fault: None,
            lacking: BTreeSet::new(),
            items: Vec::new(),
        })
    }

    /// Everything drawn so far, in order.
    pub(super) fn items(&self) -> &[Item] {
        &self.items
    }

    pub(super) fn keep(&mut self, item: Item) {
        self.items.push(item);
    }

    /// Width and height in pixels.
    pub fn size(&self) -> (f64, f64) {
        (self.width as f64, self.height as f64)
    }

    /// The fine columns and rows of a rectangle, within the sheet.
    pub(super) fn span(&self, r: &Rect) -> (std::ops::Range<usize>, std::ops::Range<usize>) {
        let f = FINE as f64;
        let edge = |v: f64, most: usize| (v * f).round().clamp(0.0, (most * FINE) as f64) as usize;
        (
            edge(r.x, self.width)..edge(r.right(), self.width),
            edge(r.y, self.height)..edge(r.bottom(), self.height),
        )
    }

    /// All of it.
    pub(super) fn sheet(&self) -> Rect {
        let (w, h) = self.size();
        Rect {
            x: 0.0,
            y: 0.0,
            w,
            h,
        }
    }

    /// Lays ink over one fine pixel.
    pub(super) fn blend(&mut self, column: usize, row: usize, Ink(rgb, alpha): Ink) {
        let at = 3 * (row * self.width * FINE + column);
        for (old, new) in self.fine[at..at + 3].iter_mut().zip(rgb) {
            *old = byte(f64::from(*old) * (1.0 - alpha) + f64::from(new) * alpha);
        }
    }

    /// The area within `corners`.
    pub fn fill(&mut self, corners: &[Point], ink: Ink) {
        self.keep(Item::Fill {
            corners: corners.to_vec(),
            ink,
        });
        let f = FINE as f64;
        let corners = corners
            .iter()
            .map(|(x, y)| ((x * f).round() as i32, (y * f).round() as i32));
        let corners: Vec<_> = corners.collect();
        let [r, g, b] = ink.0;
        let colour = RGBColor(r, g, b).mix(ink.1);
        let size = ((self.width * FINE) as u32, (self.height * FINE) as u32);
        let mut backend = BitMapBackend::with_buffer(&mut self.fine, size);
        if let Err(e) = backend.fill_polygon(corners, &colour) {
            self.fault = Some(e.to_string());
        }
    }

    /// White again.
    pub fn blank(&mut self, area: &Rect) {
        let (l, t, r, b) = (area.x, area.y, area.right(), area.bottom());
        self.keep(Item::Fill {
            corners: vec![(l, t), (r, t), (r, b), (l, b)],
            ink: Ink::full([255; 3]),
        });
        self.colour_pixels(area, |_| |_| [255; 3]);
    }

    /// The colours that `colour(v)(u)` gives for 0 <= u, v < 1, u to the right and v upwards.
    pub fn image<C: Fn(f64) -> [u8; 3]>(&mut self, area: &Rect, colour: impl Fn(f64) -> C + Sync) {
        let (columns, rows) = (image_cells(area.w), image_cells(area.h));
        let mut rgb = Vec::with_capacity(columns * rows);
        for j in 0..rows {
            let along = colour(1.0 - (j as f64 + 0.5) / rows as f64);
            rgb.extend((0..columns).map(|i| along((i as f64 + 0.5) / columns as f64)));
        }
        self.keep(Item::Image {
            area: *area,
            columns,
            rgb,
        });
        self.colour_pixels(area, colour);
    }

    fn colour_pixels<C: Fn(f64) -> [u8; 3]>(
        &mut self,
        area: &Rect,
        colour: impl Fn(f64) -> C + Sync,
    ) {
        let (columns, rows) = self.span(area);
        let (w, h) = (columns.len() as f64, rows.len() as f64);
        let across = 3 * self.width * FINE;
        self.fine[rows.start * across..rows.end * across]
            .par_chunks_exact_mut(across)
            .enumerate()
            .for_each(|(j, row)| {
                let along = colour(1.0 - (j as f64 + 0.5) / h);
                let pixels = row[3 * columns.start..3 * columns.end].as_chunks_mut().0;
                for (i, pixel) in pixels.iter_mut().enumerate() {
                    *pixel = along((i as f64 + 0.5) / w);
                }
            });
    }

    /// A text whose base line is at `at`.
    pub fn text(&mut self, text: &str, face: Type, rgb: [u8; 3], at: Point, align: Align) {
        self.write(text, face, rgb, at, align, false);
    }

    /// A text that reads upwards, its middle at `at`.
    pub fn text_upwards(&mut self, text: &str, face: Type, rgb: [u8; 3], at: Point) {
        self.write(text, face, rgb, at, Align::Middle, true);
    }

    fn write(&mut self, text: &str, face: Type, rgb: [u8; 3], at: Point, align: Align, up: bool) {
        let f = FINE as f64;
        let drawable = drawable(text);
        let replaced = text.chars().zip(drawable.chars()).filter(|(a, b)| a != b);
        self.lacking.extend(replaced.map(|(a, _)| a));
        self.keep(Item::Text {
            text: drawable.clone(),
            face,
            rgb,
            at,
            align,
            up,
        });
        let font = face.font(f);
        let size = font.get_size();
        let h_pos = match align {
            Align::Left => HPos::Left,
            Align::Middle => HPos::Center,
            Align::Right => HPos::Right,
        };
        let [r, g, b] = rgb;
        let font = if up {
            font.transform(FontTransform::Rotate270)
        } else {
            font
        };
        let colour = RGBColor(r, g, b);
        let style = TextStyle::from(font)
            .pos(Pos::new(h_pos, VPos::Top))
            .color(&colour);
        // Plotters' base line lies half a size below the point it is given; in an upward text
        // that way points to the right.
        let drop = 0.5 * size;
        let (x, y) = if up {
            (at.0 * f - drop, at.1 * f)
        } else {
            (at.0 * f, at.1 * f - drop)
        };
        let place = (x.round() as i32, y.round() as i32);
        let size = ((self.width * FINE) as u32, (self.height * FINE) as u32);
        let mut backend = BitMapBackend::with_buffer(&mut self.fine, size);
        if let Err(e) = backend.draw_text(&drawable, &style, place) {
            self.fault = Some(e.to_string());
        }
    }

    /// Signs that texts asked for and the font lacks.
    pub fn lacking(&self) -> &BTreeSet<char> {
        &self.lacking
    }

    /// The mean of every 3 x 3 fine pixels.
    pub fn finish(self) -> Result<Image> {
        if let Some(fault) = self.fault {
            return Err(Error::failed(format!("could not draw: {fault}")));
        }
        let across = 3 * self.width * FINE;
        let cells = (FINE * FINE) as u16;
        let mut rgb = Vec::with_capacity(3 * self.width * self.height);
        let mut sums = vec![0u16; across];
        for rows in self.fine.chunks_exact(across * FINE) {
            sums.fill(0);
            for row in rows.chunks_exact(across) {
                for (sum, fine) in sums.iter_mut().zip(row) {
                    *sum += u16::from(*fine);
                }
            }
            for fine in sums.as_chunks::<{ 3 * FINE }>().0 {
                for channel in 0..3 {
                    let sum: u16 = (0..FINE).map(|f| fine[3 * f + channel]).sum();
                    rgb.push(((sum + cells / 2) / cells) as u8);
                }
            }
        }
        Ok(Image {
            width: self.width,
            height: self.height,
            rgb,
        })
    }
}
