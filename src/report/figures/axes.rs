//! Scales, round ticks and their labels.

use super::canvas::{Align, Canvas, Ink, Point, Rect};
use super::style::{AXIS, DARK, GREY, LABEL, MESH, TICK};

/// Values with their labels.
pub type Ticks = [(f64, String)];

/// A plotting area, the values at its left and right side, and those at its lower and upper side.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Frame {
    pub area: Rect,
    pub x: (f64, f64),
    pub y: (f64, f64),
}

impl Frame {
    pub fn new(area: Rect, x: (f64, f64), y: (f64, f64)) -> Self {
        Self { area, x, y }
    }

    /// Where a pair of values is drawn.
    pub fn at(&self, x: f64, y: f64) -> Point {
        let part = |v: f64, (low, high): (f64, f64)| (v - low) / (high - low);
        (
            self.area.x + part(x, self.x) * self.area.w,
            self.area.bottom() - part(y, self.y) * self.area.h,
        )
    }

    /// Where pairs of values are drawn.
    pub fn path(&self, values: &[Point]) -> Vec<Point> {
        values.iter().map(|p| self.at(p.0, p.1)).collect()
    }

    /// A line around the area.
    pub fn border(&self, canvas: &mut Canvas) {
        let [a, b, c, d] = self.area.corners();
        thin(canvas, &[a, b, c, d, a], AXIS);
    }

    /// Lines at the left and below.
    pub fn corner(&self, canvas: &mut Canvas) {
        let [upper_left, _, lower_right, lower_left] = self.area.corners();
        thin(canvas, &[upper_left, lower_left, lower_right], AXIS);
    }

    /// Both axes with ticks, and faint lines across.
    pub fn axes(&self, canvas: &mut Canvas, left: &Ticks, below: &Ticks) {
        self.mesh_across(canvas, left);
        self.ticks_left(canvas, left);
        self.ticks_below(canvas, below);
        self.corner(canvas);
    }

    /// The horizontal axis of a figure with a row for each model, its name, and faint lines upwards.
    pub fn axis_below_rows(&self, canvas: &mut Canvas, ticks: &Ticks, name: &str) {
        self.mesh_upwards(canvas, ticks);
        self.ticks_below(canvas, ticks);
        let [.., right, left] = self.area.corners();
        thin(canvas, &[left, right], AXIS);
        self.name_below(canvas, name, 58.0);
    }

    /// The name of the horizontal axis, its base line `down` pixels below the area.
    pub fn name_below(&self, canvas: &mut Canvas, name: &str, down: f64) {
        let at = (self.area.middle().0, self.area.bottom() + down);
        canvas.text(name, LABEL, DARK, at, Align::Middle);
    }

    /// The name of the vertical axis, its base line at `x`.
    pub fn name_left(&self, canvas: &mut Canvas, name: &str, x: f64) {
        canvas.text_upwards(name, LABEL, DARK, (x, self.area.middle().1));
    }

    /// Ticks and labels below.
    pub fn ticks_below(&self, canvas: &mut Canvas, ticks: &Ticks) {
        for (value, label) in ticks {
            let (x, y) = self.at(*value, self.y.0);
            thin(canvas, &[(x, y), (x, y + 6.0)], AXIS);
            canvas.text(label, TICK, GREY, (x, y + 23.0), Align::Middle);
        }
    }

    /// Ticks and labels at the left.
    pub fn ticks_left(&self, canvas: &mut Canvas, ticks: &Ticks) {
        for (value, label) in ticks {
            let (x, y) = self.at(self.x.0, *value);
            thin(canvas, &[(x - 6.0, y), (x, y)], AXIS);
            canvas.text(label, TICK, GREY, (x - 10.0, y + 5.5), Align::Right);
        }
    }

    /// Faint lines across at the ticks of the y axis.
    pub fn mesh_across(&self, canvas: &mut Canvas, ticks: &Ticks) {
        for (value, _) in ticks {
            let ends = [self.at(self.x.0, *value), self.at(self.x.1, *value)];
            thin(canvas, &ends, MESH);
        }
    }

    /// Faint lines upwards at the ticks of the x axis.
    pub fn mesh_upwards(&self, canvas: &mut Canvas, ticks: &Ticks) {
        for (value, _) in ticks {
            let ends = [self.at(*value, self.y.0), self.at(*value, self.y.1)];
            thin(canvas, &ends, MESH);
        }
    }
}

/// A line of an axis.
pub fn thin(canvas: &mut Canvas, path: &[Point], colour: [u8; 3]) {
    canvas.stroke(path, 1.3, Ink::full(colour), None);
}

/// The least and the greatest of some values; `None` without one.
pub fn ends(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    let all = values.into_iter();
    let (low, high) = all.fold((f64::MAX, f64::MIN), |(a, b), v| (a.min(v), b.max(v)));
    (low <= high).then_some((low, high))
}

/// More than a reader can use.
const MAX_TICKS: i64 = 1000;

/// Round values between `low` and `high`, about `wanted` of them, with labels of equal decimals.
pub fn ticks((low, high): (f64, f64), wanted: usize) -> Vec<(f64, String)> {
    let range = high - low;
    if !(range.is_finite() && range > 0.0) {
        return Vec::new();
    }
    let rough = range / wanted.max(1) as f64;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .map(|m| m * power)
        .into_iter()
        .min_by(|a, b| (a / rough).ln().abs().total_cmp(&(b / rough).ln().abs()))
        .unwrap_or(power);
    let decimals = (-(step * 1.000001).log10().floor()).clamp(0.0, 12.0) as usize;
    let slack = 1e-9 * step;
    let first = ((low - slack) / step).ceil() as i64;
    let last = ((high + slack) / step).floor() as i64;
    // A step beyond the range of floats, or values so large that a step changes nothing.
    if last.saturating_sub(first) > MAX_TICKS {
        return Vec::new();
    }
    let values = (first..=last).map(|i| i as f64 * step);
    // Longer labels than "−200000" and "−0.0001" do not fit beside an axis; powers do not shorten small steps far from 0.
    let steps = last.abs().max(first.abs());
    let has_powers = step < 5e-5 || (steps as f64 * step >= 1e6 && steps <= MAX_TICKS);
    if !has_powers {
        return values.map(|v| (v, number(v, decimals))).collect();
    }
    // Whole multiples of the step's power of ten, which have no zeros in front or behind.
    let power = (step * 1.000001).log10().floor() as i32;
    let label = |v: f64| match (v / 10f64.powi(power)).round() {
        0.0 => "0".to_owned(),
        m => format!("{}×{}", number(m, 0), power_of_ten(power)),
    };
    values.map(|v| (v, label(v))).collect()
}

/// Powers of ten, and 2 and 5 times them where there are few, for values given as log10.
pub fn log_ticks((low, high): (f64, f64)) -> Vec<(f64, String)> {
    let multiples: &[f64] = match high - low {
        r if r < 2.5 => &[1.0, 2.0, 5.0],
        _ => &[1.0],
    };
    if !(high - low <= MAX_TICKS as f64) {
        return Vec::new();
    }
    let plain = low >= -3.0 && high <= 4.0;
    let mut out = Vec::new();
    for power in low.floor() as i32..=high.ceil() as i32 {
        for m in multiples {
            let value = f64::from(power) + m.log10();
            if value >= low - 1e-9 && value <= high + 1e-9 {
                let label = if plain {
                    number(m * 10f64.powi(power), (-power).max(0) as usize)
                } else if *m == 1.0 {
                    power_of_ten(power)
                } else {
                    continue;
                };
                out.push((value, label));
            }
        }
    }
    out
}

/// A number with a true minus sign.
pub fn number(value: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", value.abs());
    let zero = text.chars().all(|c| matches!(c, '0' | '.'));
    format!("{}{text}", if value < 0.0 && !zero { "−" } else { "" })
}

/// A text of `report::digits` with true minus signs.
pub fn signs(text: &str) -> String {
    text.replace('-', "−")
}

/// `10⁻³`
pub fn power_of_ten(power: i32) -> String {
    const RAISED: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    let digits = power.unsigned_abs().to_string();
    let raised = digits.bytes().map(|b| RAISED[usize::from(b - b'0')]);
    let sign = if power < 0 { "⁻" } else { "" };
    format!("10{sign}{}", raised.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_equally_long() {
        for (ticks, labels) in [
            (ticks((-3.0, 3.0), 4), "−2 0 2"),
            (ticks((0.0, 0.24), 5), "0.00 0.05 0.10 0.15 0.20"),
            (ticks((-0.05, 0.11), 3), "−0.05 0.00 0.05 0.10"),
            (log_ticks((-2.0, 0.0)), "0.01 0.02 0.05 0.1 0.2 0.5 1"),
            (log_ticks((-7.0, -4.0)), "10⁻⁷ 10⁻⁶ 10⁻⁵ 10⁻⁴"),
            (
                ticks((0.0, 5e-13), 4),
                "0 1×10⁻¹³ 2×10⁻¹³ 3×10⁻¹³ 4×10⁻¹³ 5×10⁻¹³",
            ),
            (ticks((-4.4e6, 4.4e6), 4), "−4×10⁶ −2×10⁶ 0 2×10⁶ 4×10⁶"),
            (ticks((-2.2e5, 2.2e5), 2), "−200000 0 200000"),
            (ticks((1234567.0, 1234571.0), 2), "1234568 1234570"),
            (ticks((1.0, 1.0), 4), ""),
            (ticks((f64::NAN, 1.0), 4), ""),
            (ticks((0.0, 5e-324), 4), ""),
            (ticks((-1e308, 1e308), 4), ""),
            (log_ticks((f64::NEG_INFINITY, 0.0)), ""),
        ] {
            let got: Vec<String> = ticks.into_iter().map(|t| t.1).collect();
            assert_eq!(got.join(" "), labels);
        }
        assert!(ticks((1e16, 1e16 + 2.0), 4).len() < 10);
        assert_eq!(number(-0.001, 1), "0.0");
    }
}
