//! Square panels of two-dimensional runs: a density, its logarithm, parts, points; and sheets of them.

use super::axes::{self, thin, Frame, Ticks};
use super::canvas::{Align, Canvas, Ink, Point, Rect};
use super::grid::Grid;
use super::parts::Parts;
use super::style::{heading, AXIS, GREY, HEAD, LABEL, MARGIN, STRIP, TICK};
use crate::experiment::store::Picture;
use mdn_core::Result;

/// Shares of the mass that the contour lines hold.
const SHARES: [f64; 3] = [0.5, 0.9, 0.99];

/// The same in words.
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

/// Space of a sheet below a row of panels.
const BELOW: f64 = 46.0;
/// Space for the numbers at the left.
const LEFT: f64 = 46.0;
/// The title needs this much, however few the panels.
const LEAST_WIDTH: f64 = 960.0;

/// 256 steps of a colour map.
pub struct Map([[u8; 3]; 256]);

impl Map {
    /// Viridis is for densities, magma for their logarithms, and red-blue for log q - log p: red where q
    /// is too low, blue where it is too high.
    pub fn of(gradient: colorous::Gradient) -> Self {
        let colour = |i: usize| gradient.eval_rational(i, 256).as_array();
        Self(std::array::from_fn(colour))
    }

    /// The colour at `t`, held to 0..1.
    pub fn at(&self, t: f64) -> [u8; 3] {
        self.0[usize::from((t * 256.0).clamp(0.0, 255.0) as u8)]
    }
}

/// A square frame of a view with its upper left corner at `(x, y)`.
pub fn square((x, y): Point, side: f64, view: [(f64, f64); 2]) -> Frame {
    Frame::new(Rect::new(x, y, side, side), view[0], view[1])
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
        for level in grid.levels(&SHARES) {
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

/// Panels in rows and columns, lettered in the order in which they are drawn.
pub struct PanelSheet {
    pub canvas: Canvas,
    /// Length of the sides of every panel.
    pub side: f64,
    /// Left side of the first column.
    pub left: f64,
    gap: f64,
    letter: usize,
    y: f64,
}

impl PanelSheet {
    /// With room for `columns` x `rows` panels, `gap` apart, and `bar` pixels at their right.
    pub fn new(columns: usize, rows: usize, gap: f64, bar: f64) -> Result<Self> {
        let most = if columns == 1 { 700.0 } else { 400.0 };
        let room = 1900.0 - 2.0 * MARGIN - LEFT - bar;
        let side = (room / columns as f64 - gap).clamp(200.0, most);
        Self::with_side(columns, rows, side, (gap, bar))
    }

    /// The same with a given side of the panels.
    pub fn with_side(
        columns: usize,
        rows: usize,
        side: f64,
        (gap, bar): (f64, f64),
    ) -> Result<Self> {
        let width = 2.0 * MARGIN + LEFT + bar + columns as f64 * (side + gap) - gap;
        let height = STRIP + rows as f64 * (HEAD + side + BELOW) + 10.0;
        Ok(Self {
            canvas: Canvas::new(width.max(LEAST_WIDTH), height)?,
            side,
            left: MARGIN + LEFT,
            gap,
            letter: 0,
            y: STRIP + HEAD,
        })
    }

    /// A panel with its title and note; numbers at the left if it is the first of its row.
    pub fn panel(&mut self, column: usize, head: (&str, &str), view: [(f64, f64); 2]) -> Frame {
        let panel = self.without_axes(column, head, view);
        panel.numbers(&mut self.canvas, column == 0);
        panel
    }

    /// The same without numbers.
    pub fn without_axes(
        &mut self,
        column: usize,
        (title, note): (&str, &str),
        view: [(f64, f64); 2],
    ) -> Frame {
        let at = (self.left + column as f64 * (self.side + self.gap), self.y);
        heading(&mut self.canvas, self.letter, title, note, at, self.side);
        self.letter += 1;
        square(at, self.side, view)
    }

    /// Begins the next row.
    pub fn next_row(&mut self) {
        self.y += HEAD + self.side + BELOW;
    }
}

/// The grids of a picture that fit its side.
pub fn grids(picture: &Picture) -> (Option<Grid>, Option<Grid>) {
    let target = picture.log_p.as_ref();
    (
        target.and_then(|p| Grid::new(picture.side, p)),
        Grid::new(picture.side, &picture.log_q),
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
