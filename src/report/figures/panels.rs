//! Square panels of two-dimensional runs: a density, its logarithm, parts, points; and sheets of them.

use super::axes::{self, thin, Frame, Ticks};
use super::canvas::{Align, Canvas, Ink, Point, Rect};
use super::grid::Grid;
use super::parts::Parts;
use super::style::{heading, AXIS, GREY, HEAD, LABEL, MARGIN, STRIP, TICK};
use crate::experiment::store::Picture;
use mdn_core::Result;

/// The shares of [`SHARES`](crate::experiment::store::SHARES) in words.
pub const SHARES_NOTE: &str = "lines hold 50, 90 and 99 % of the mass";

/// Powers of ten below the highest density at which log-density panels end.
pub const DECADES: i32 = 8;

/// Nats below a model's highest density at which its parts have faded.
const FADED: f64 = 12.0;

/// Nats at which maps of errors end.
pub const ERROR_NATS: f64 = 2.0;

/// Share of the truth's highest density below which errors fade; a tenth of it has faded.
const FAINT: f64 = 1e-3;

/// Pixels across a border between parts.
const BORDER: f64 = 1.4;

/// The title needs this much, however few the panels.
const LEAST_WIDTH: f64 = 960.0;

/// 256 steps of a colour map.
pub struct Map([[u8; 3]; 256]);

impl Map {
    /// Viridis is for densities, magma for their logarithms, red-blue for log q - log p.
    pub fn of(gradient: colorous::Gradient) -> Self {
        let colour = |i: usize| gradient.eval_rational(i, 256).as_array();
        Self(std::array::from_fn(colour))
    }

    /// The colour at `t`, held to 0..1.
    pub fn at(&self, t: f64) -> [u8; 3] {
        self.0[usize::from((t * 256.0).clamp(0.0, 255.0) as u8)]
    }
}

impl Frame {
    /// Numbers below, and at the left if `left`.
    pub fn numbers(&self, canvas: &mut Canvas, left: bool) {
        self.ticks_below(canvas, &inner(self.x));
        if left {
            self.ticks_left(canvas, &inner(self.y));
        }
    }

    /// A density in colours up to `top`, with contour lines.
    pub fn density(&self, canvas: &mut Canvas, grid: &Grid, top: f64, map: &Map) {
        canvas.image(&self.area, |v| {
            let density = grid.density(v);
            move |u| map.at(density(u) / top)
        });
        for level in grid.levels() {
            self.lines(canvas, grid, level, 1.25, Ink([255; 3], 0.75));
        }
    }

    /// Its logarithm, from [`DECADES`] below `log_top` (nats) to `log_top`.
    pub fn log_density(&self, canvas: &mut Canvas, grid: &Grid, log_top: f64, map: &Map) {
        let range = f64::from(DECADES) * std::f64::consts::LN_10;
        canvas.image(&self.area, |v| {
            let log_density = grid.log_density(v);
            move |u| map.at(1.0 + (log_density(u) - log_top) / range)
        });
    }

    /// log q - log p to [`ERROR_NATS`] on either side, faded where both densities are small. A line
    /// surrounds what is too low by a nat, for print without colours.
    pub fn errors(&self, canvas: &mut Canvas, target: &Grid, model: &Grid, map: &Map) {
        let faint = target.log_max() + FAINT.ln();
        let error = |p: f64, q: f64| {
            let strength = (1.0 + (p.max(q) - faint) / std::f64::consts::LN_10).clamp(0.0, 1.0);
            strength * (q - p).clamp(-ERROR_NATS, ERROR_NATS)
        };
        canvas.image(&self.area, |v| {
            let (p, q) = (target.log_density(v), model.log_density(v));
            move |u| map.at(0.5 + 0.5 * error(p(u), q(u)) / ERROR_NATS)
        });
        if let Some(field) = target.with(model, error) {
            self.lines(canvas, &field, -1.0, 1.1, Ink([0x22; 3], 0.8));
        }
        self.border(canvas);
    }

    fn lines(&self, canvas: &mut Canvas, grid: &Grid, level: f64, width: f64, ink: Ink) {
        let area = self.area;
        for line in grid.lines(level) {
            let at = |(u, v): &(f64, f64)| (area.x + u * area.w, area.bottom() - v * area.h);
            let path: Vec<_> = line.iter().map(at).collect();
            canvas.stroke(&path, width, ink, Some(area));
        }
    }

    /// Parts in light colours, faded where the model has little mass.
    pub fn parts(&self, canvas: &mut Canvas, parts: &Parts<'_>, grid: &Grid) {
        let top = grid.log_max();
        let border = BORDER / self.area.w;
        canvas.image(&self.area, |v| {
            let log_density = grid.log_density(v);
            move |u| {
                let depth = (top - log_density(u)) / FADED;
                let strength = (1.3 - depth).clamp(0.0, 1.0);
                parts.colour(u, v, strength, border)
            }
        });
        self.border(canvas);
    }

    /// A colour bar at its right, with `ticks` in `range`.
    pub fn colour_bar(
        &self,
        canvas: &mut Canvas,
        map: &Map,
        range: (f64, f64),
        ticks: &Ticks,
        title: &str,
    ) {
        let area = Rect {
            x: self.area.right() + 16.0,
            w: 17.0,
            ..self.area
        };
        canvas.image(&area, |v| move |_| map.at(v));
        let frame = Frame::new(area, (0.0, 1.0), range);
        for (value, label) in ticks {
            let (x, y) = frame.at(1.0, *value);
            thin(canvas, &[(x, y), (x + 5.0, y)], AXIS);
            canvas.text(label, TICK, GREY, (x + 9.0, y + 5.5), Align::Left);
        }
        let at = (area.right() + 68.0, area.middle().1);
        canvas.text_upwards(title, LABEL, GREY, at);
    }

    /// Points as dots; those outside are not drawn.
    pub fn points(&self, canvas: &mut Canvas, points: &[[f32; 2]], radius: f64, ink: Ink) {
        for [x, y] in points {
            let (x, y) = (f64::from(*x), f64::from(*y));
            let inside = |v: f64, (low, high): (f64, f64)| v >= low && v <= high;
            if inside(x, self.x) && inside(y, self.y) {
                canvas.dot(self.at(x, y), radius, ink, Some(self.area));
            }
        }
    }
}

/// Ticks that leave the corners free, where labels of neighbouring panels would meet.
fn inner((low, high): (f64, f64)) -> Vec<(f64, String)> {
    let rim = 0.04 * (high - low);
    let mut ticks = axes::ticks((low, high), 4);
    ticks.retain(|(v, _)| *v > low + rim && *v < high - rim);
    ticks
}

/// Space at the left and right of all panels, between columns, and below each row.
#[derive(Clone, Copy)]
pub struct Space {
    pub left: f64,
    pub gap: f64,
    pub right: f64,
    pub below: f64,
}

impl Space {
    /// Around square panels with numbers.
    pub const fn squares(gap: f64, right: f64) -> Self {
        Self {
            left: 46.0,
            gap,
            right,
            below: 46.0,
        }
    }
}

/// Panels in rows and columns, lettered in the order in which they are drawn.
pub struct PanelSheet {
    pub canvas: Canvas,
    /// Width and height of every panel.
    pub size: (f64, f64),
    /// The upper left corner of the first one.
    pub corner: Point,
    pitch: (f64, f64),
    letter: usize,
}

impl PanelSheet {
    /// With the first row `top` pixels below the upper edge.
    pub fn new(
        (columns, rows): (usize, usize),
        size: (f64, f64),
        top: f64,
        space: Space,
    ) -> Result<Self> {
        let pitch = (size.0 + space.gap, HEAD + size.1 + space.below);
        let columns = columns as f64 * pitch.0 - space.gap;
        let width = 2.0 * MARGIN + space.left + columns + space.right;
        Ok(Self {
            canvas: Canvas::new(width.max(LEAST_WIDTH), top + rows as f64 * pitch.1)?,
            size,
            corner: (MARGIN + space.left, top + HEAD),
            pitch,
            letter: 0,
        })
    }

    /// Square panels, as large as a page allows.
    pub fn squares(columns: usize, rows: usize, space: Space) -> Result<Self> {
        let most = if columns == 1 { 700.0 } else { 400.0 };
        let room = 1900.0 - 2.0 * MARGIN - space.left - space.right;
        let side = (room / columns as f64 - space.gap).clamp(200.0, most);
        Self::new((columns, rows), (side, side), STRIP, space)
    }

    /// Draws the head of the next panel, its title and note, and returns the area of the panel.
    pub fn area(&mut self, (column, row): (usize, usize), title: &str, note: &str) -> Rect {
        let x = self.corner.0 + column as f64 * self.pitch.0;
        let y = self.corner.1 + row as f64 * self.pitch.1;
        let room = self.pitch.0 - 20.0;
        heading(&mut self.canvas, self.letter, title, note, (x, y), room);
        self.letter += 1;
        Rect::new(x, y, self.size.0, self.size.1)
    }

    /// The same for a view, with numbers below it, and at its left in the first column.
    pub fn view(
        &mut self,
        at: (usize, usize),
        (title, note): (&str, &str),
        view: [(f64, f64); 2],
    ) -> Frame {
        let frame = Frame::new(self.area(at, title, note), view[0], view[1]);
        frame.numbers(&mut self.canvas, at.0 == 0);
        frame
    }
}

/// The grids of a picture that fit its side.
pub fn grids(picture: &Picture) -> (Option<Grid>, Option<Grid>) {
    let target = picture.log_p.as_ref();
    (
        target
            .and_then(|p| Some(Grid::new(picture.side, p)?.with_levels(picture.levels_p.as_ref()))),
        Grid::new(picture.side, &picture.log_q).map(|q| q.with_levels(picture.levels_q.as_ref())),
    )
}

/// The top of the colour scale that a target (without one, the median model) shares with models: at
/// most 1.5 times the target's, so that a model far above it does not make it vanish.
pub fn common_top(target: Option<f64>, models: &[f64]) -> f64 {
    let mut sorted = models.to_vec();
    sorted.sort_by(f64::total_cmp);
    let highest = sorted.last().copied().unwrap_or(0.0);
    let main = target.or_else(|| sorted.get(sorted.len() / 2).copied());
    let top = main.map_or(highest, |m| m.max(highest.min(1.5 * m)));
    if top > 0.0 {
        top
    } else {
        1.0
    }
}
