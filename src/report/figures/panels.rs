//! Square panels of two-dimensional runs: a density, its logarithm, parts, points.

use super::axes::{self, Frame};
use super::canvas::{Align, Canvas, Ink, Rect};
use super::grid::Grid;
use super::parts::Parts;
use super::style::{AXIS, GREY, LABEL, TICK};
use crate::experiment::store::Picture;

/// Shares of the mass that the contour lines hold.
pub const SHARES: [f64; 3] = [0.5, 0.9, 0.99];

/// How a figure says so.
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

/// 256 steps of a colour map.
pub struct Map([[u8; 3]; 256]);

impl Map {
    /// For densities.
    pub fn viridis() -> Self {
        Self::of(colorous::VIRIDIS)
    }

    /// For logarithms of densities.
    pub fn magma() -> Self {
        Self::of(colorous::MAGMA)
    }

    /// For log q - log p: red where q is too low, blue where it is too high.
    pub fn errors() -> Self {
        Self::of(colorous::RED_BLUE)
    }

    fn of(gradient: colorous::Gradient) -> Self {
        let colour = |i: usize| gradient.eval_rational(i, 256).as_array();
        Self(std::array::from_fn(colour))
    }

    /// The colour at `t`, held to 0..1.
    pub fn at(&self, t: f64) -> [u8; 3] {
        self.0[usize::from((t * 256.0).clamp(0.0, 255.0) as u8)]
    }
}

/// A square panel of a view.
#[derive(Debug, Clone, Copy)]
pub struct Panel(pub Frame);

impl Panel {
    /// With its upper left corner at `(x, y)`.
    pub fn new(x: f64, y: f64, side: f64, view: [(f64, f64); 2]) -> Self {
        let area = Rect {
            x,
            y,
            w: side,
            h: side,
        };
        Self(Frame {
            area,
            x: view[0],
            y: view[1],
        })
    }

    /// Numbers below, and at the left if `left`.
    pub fn axes(&self, canvas: &mut Canvas, left: bool) {
        self.0.ticks_below(canvas, &inner(self.0.x));
        if left {
            self.0.ticks_left(canvas, &inner(self.0.y));
        }
    }

    /// A density in colours up to `top`, with contour lines.
    pub fn density(&self, canvas: &mut Canvas, grid: &Grid, top: f64, map: &Map) {
        canvas.image(&self.0.area, |v| {
            let density = grid.density(v);
            move |u| map.at(density(u) / top)
        });
        self.contours(canvas, grid);
    }

    /// Its logarithm, from [`DECADES`] below `log_top` (nats) to `log_top`.
    pub fn log_density(&self, canvas: &mut Canvas, grid: &Grid, log_top: f64, map: &Map) {
        let range = f64::from(DECADES) * std::f64::consts::LN_10;
        canvas.image(&self.0.area, |v| {
            let log_density = grid.log_density(v);
            move |u| map.at(1.0 + (log_density(u) - log_top) / range)
        });
    }

    /// log q - log p to [`ERROR_NATS`] on either side, faded where neither density matters. A line
    /// is around what is too low by a nat, which print without colours could not tell from too high.
    pub fn errors(&self, canvas: &mut Canvas, target: &Grid, model: &Grid, map: &Map) {
        let faint = target.log_max() + FAINT.ln();
        let error = |p: f64, q: f64| {
            let strength = (1.0 + (p.max(q) - faint) / std::f64::consts::LN_10).clamp(0.0, 1.0);
            strength * (q - p).clamp(-ERROR_NATS, ERROR_NATS)
        };
        canvas.image(&self.0.area, |v| {
            let (p, q) = (target.log_density(v), model.log_density(v));
            move |u| map.at(0.5 + 0.5 * error(p(u), q(u)) / ERROR_NATS)
        });
        if let Some(field) = target.with(model, error) {
            self.lines(canvas, &field, -1.0, 1.1, Ink([0x22; 3], 0.8));
        }
        self.0.border(canvas);
    }

    fn contours(&self, canvas: &mut Canvas, grid: &Grid) {
        for level in grid.levels(&SHARES) {
            self.lines(canvas, grid, level, 1.25, Ink([255; 3], 0.75));
        }
    }

    fn lines(&self, canvas: &mut Canvas, grid: &Grid, level: f64, width: f64, ink: Ink) {
        let area = self.0.area;
        for line in grid.lines(level) {
            let at = |(u, v): &(f64, f64)| (area.x + u * area.w, area.bottom() - v * area.h);
            let path: Vec<_> = line.iter().map(at).collect();
            canvas.stroke(&path, width, ink, Some(area));
        }
    }

    /// Parts in light colours, faded where the model has no mass to speak of.
    pub fn parts(&self, canvas: &mut Canvas, parts: &Parts<'_>, grid: &Grid) {
        let top = grid.log_max();
        let border = BORDER / self.0.area.w;
        canvas.image(&self.0.area, |v| {
            let log_density = grid.log_density(v);
            move |u| {
                let depth = (top - log_density(u)) / FADED;
                let strength = (1.3 - depth).clamp(0.0, 1.0);
                parts.colour(u, v, strength, border)
            }
        });
        self.0.border(canvas);
    }

    /// Points as dots; what lies outside is not drawn.
    pub fn points(&self, canvas: &mut Canvas, points: &[[f32; 2]], radius: f64, ink: Ink) {
        for [x, y] in points {
            let (x, y) = (f64::from(*x), f64::from(*y));
            let inside = |v: f64, (low, high): (f64, f64)| v >= low && v <= high;
            if inside(x, self.0.x) && inside(y, self.0.y) {
                canvas.dot(self.0.at(x, y), radius, ink, Some(self.0.area));
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

/// A colour bar for a panel, at its right, with ticks from `low` to `high`.
pub fn colour_bar(
    canvas: &mut Canvas,
    panel: &Panel,
    map: &Map,
    range: (f64, f64),
    ticks: &[(f64, String)],
    title: &str,
) {
    let beside = panel.0.area;
    let area = Rect {
        x: beside.right() + 16.0,
        w: 17.0,
        ..beside
    };
    canvas.image(&area, |v| move |_| map.at(v));
    let frame = Frame {
        area,
        x: (0.0, 1.0),
        y: range,
    };
    for (value, label) in ticks {
        let (x, y) = frame.at(1.0, *value);
        canvas.stroke(&[(x, y), (x + 5.0, y)], 1.3, Ink::full(AXIS), None);
        canvas.text(label, TICK, GREY, (x + 9.0, y + 5.5), Align::Left);
    }
    let middle = area.y + 0.5 * area.h;
    canvas.text_upwards(title, LABEL, GREY, (area.right() + 68.0, middle));
}

/// The grids of a picture that fit its side.
pub fn grids(picture: &Picture) -> (Option<Grid>, Option<Grid>) {
    let target = picture.log_p.as_ref();
    (
        target.and_then(|p| Grid::new(picture.side, p)),
        Grid::new(picture.side, &picture.log_q),
    )
}

/// The top of one colour scale for a target (without one, the middle model) and models. A model
/// far above it would make it vanish, so the scale reaches at most half as high again.
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
