//! Square panels in rows and columns, lettered in the order in which they are drawn.

use super::canvas::Canvas;
use super::panels::Panel;
use super::style::{heading, HEAD, MARGIN, STRIP};
use mdn_core::Result;

/// Space below a row of panels.
const BELOW: f64 = 46.0;
/// Space for the numbers at the left.
const LEFT: f64 = 46.0;
/// The title needs this much, however few the panels.
const LEAST_WIDTH: f64 = 960.0;

/// A sheet with columns for the target and the models.
pub struct Sheet {
    /// What is drawn on.
    pub canvas: Canvas,
    /// Of every panel.
    pub side: f64,
    gap: f64,
    letter: usize,
    y: f64,
}

impl Sheet {
    /// With room for `columns` x `rows` panels, `gap` apart, and `bar` pixels at their right.
    pub fn new(columns: usize, rows: usize, gap: f64, bar: f64) -> Result<Self> {
        let most = if columns == 1 { 700.0 } else { 400.0 };
        let room = 1900.0 - 2.0 * MARGIN - LEFT - bar;
        let side = (room / columns as f64 - gap).clamp(200.0, most);
        let panels = 2.0 * MARGIN + LEFT + bar + columns as f64 * (side + gap) - gap;
        let height = STRIP + rows as f64 * (HEAD + side + BELOW) + 10.0;
        Ok(Self {
            canvas: Canvas::new(panels.max(LEAST_WIDTH), height)?,
            side,
            gap,
            letter: 0,
            y: STRIP,
        })
    }

    /// A panel with its title and note; numbers at the left if it is the first of its row.
    pub fn panel(&mut self, column: usize, head: (&str, &str), view: [(f64, f64); 2]) -> Panel {
        let panel = self.bare(column, head, view);
        panel.axes(&mut self.canvas, column == 0);
        panel
    }

    /// The same without numbers.
    pub fn bare(&mut self, column: usize, head: (&str, &str), view: [(f64, f64); 2]) -> Panel {
        let x = MARGIN + LEFT + column as f64 * (self.side + self.gap);
        let panel = Panel::new(x, self.y + HEAD, self.side, view);
        let at = (x, self.y + HEAD);
        heading(&mut self.canvas, self.letter, head.0, head.1, at, self.side);
        self.letter += 1;
        panel
    }

    /// What follows stands below.
    pub fn next_row(&mut self) {
        self.y += HEAD + self.side + BELOW;
    }
}
