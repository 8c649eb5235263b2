//! Scales, round ticks and their labels.

use super::canvas::{Align, Canvas, Ink, Point, Rect};
use super::style::{AXIS, GREY, MESH, TICK};

/// A plotting area and what its sides stand for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Frame {
    /// Where it is drawn.
    pub area: Rect,
    /// Values at the left and the right side.
    pub x: (f64, f64),
    /// Values at the lower and the upper side.
    pub y: (f64, f64),
}

impl Frame {
    /// Where a pair of values is drawn.
    pub fn at(&self, x: f64, y: f64) -> Point {
        let part = |v: f64, (low, high): (f64, f64)| (v - low) / (high - low);
        (
            self.area.x + part(x, self.x) * self.area.w,
            self.area.bottom() - part(y, self.y) * self.area.h,
        )
    }

    /// A line around the area.
    pub fn border(&self, canvas: &mut Canvas) {
        let (l, t, r, b) = (
            self.area.x,
            self.area.y,
            self.area.right(),
            self.area.bottom(),
        );
        let path = [(l, t), (r, t), (r, b), (l, b), (l, t)];
        canvas.stroke(&path, 1.3, Ink::full(AXIS), None);
    }

    /// Ticks and labels below.
    pub fn ticks_below(&self, canvas: &mut Canvas, ticks: &[(f64, String)]) {
        for (value, label) in ticks {
            let (x, _) = self.at(*value, self.y.0);
            let y = self.area.bottom();
            canvas.stroke(&[(x, y), (x, y + 6.0)], 1.3, Ink::full(AXIS), None);
            canvas.text(label, TICK, GREY, (x, y + 23.0), Align::Middle);
        }
    }

    /// Ticks and labels at the left.
    pub fn ticks_left(&self, canvas: &mut Canvas, ticks: &[(f64, String)]) {
        for (value, label) in ticks {
            let (_, y) = self.at(self.x.0, *value);
            let x = self.area.x;
            canvas.stroke(&[(x - 6.0, y), (x, y)], 1.3, Ink::full(AXIS), None);
            canvas.text(label, TICK, GREY, (x - 10.0, y + 5.5), Align::Right);
        }
    }

    /// Faint lines across at the ticks of the y axis.
    pub fn mesh_across(&self, canvas: &mut Canvas, ticks: &[(f64, String)]) {
        for (value, _) in ticks {
            let (from, to) = (self.at(self.x.0, *value), self.at(self.x.1, *value));
            canvas.stroke(&[from, to], 1.3, Ink::full(MESH), None);
        }
    }

    /// Faint lines upwards at the ticks of the x axis.
    pub fn mesh_upwards(&self, canvas: &mut Canvas, ticks: &[(f64, String)]) {
        for (value, _) in ticks {
            let (from, to) = (self.at(*value, self.y.0), self.at(*value, self.y.1));
            canvas.stroke(&[from, to], 1.3, Ink::full(MESH), None);
        }
    }
}

/// More than anybody can read.
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
    (first..=last)
        .map(|i| i as f64 * step)
        .map(|v| (v, number(v, decimals)))
        .collect()
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

/// Labels of a step axis: thousands as `k` where every tick is one.
pub fn step_ticks(range: (f64, f64), wanted: usize) -> Vec<(f64, String)> {
    let plain = ticks(range, wanted);
    let thousands = plain.iter().any(|t| t.0 >= 1000.0)
        && plain.iter().all(|t| (t.0 / 100.0).fract().abs() < 1e-9);
    if !thousands {
        return plain;
    }
    let whole = plain.iter().all(|t| (t.0 / 1000.0).fract() == 0.0);
    plain
        .into_iter()
        .map(|(v, _)| match v {
            0.0 => (v, "0".to_owned()),
            v => (v, format!("{}k", number(v / 1000.0, usize::from(!whole)))),
        })
        .collect()
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

    fn labels(t: Vec<(f64, String)>) -> String {
        t.into_iter().map(|t| t.1).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn ticks_are_round_and_equally_long() {
        assert_eq!(labels(ticks((-3.0, 3.0), 4)), "−2 0 2");
        assert_eq!(labels(ticks((0.0, 0.24), 5)), "0.00 0.05 0.10 0.15 0.20");
        assert_eq!(labels(ticks((-0.05, 0.11), 3)), "−0.05 0.00 0.05 0.10");
        assert_eq!(labels(step_ticks((0.0, 5000.0), 5)), "0 1k 2k 3k 4k 5k");
        assert_eq!(labels(step_ticks((0.0, 300.0), 3)), "0 100 200 300");
        assert_eq!(labels(step_ticks((0.0, 1500.0), 3)), "0 0.5k 1.0k 1.5k");
        assert_eq!(
            labels(log_ticks((-2.0, 0.0))),
            "0.01 0.02 0.05 0.1 0.2 0.5 1"
        );
        assert_eq!(labels(log_ticks((-7.0, -4.0))), "10⁻⁷ 10⁻⁶ 10⁻⁵ 10⁻⁴");
        assert_eq!(ticks((1.0, 1.0), 4), []);
        assert_eq!(ticks((f64::NAN, 1.0), 4), []);
        assert_eq!(ticks((0.0, 5e-324), 4), []);
        assert_eq!(ticks((-1e308, 1e308), 4), []);
        assert!(ticks((1e16, 1e16 + 2.0), 4).len() < 10);
        assert_eq!(log_ticks((f64::NEG_INFINITY, 0.0)), []);
        assert_eq!(number(-0.001, 1), "0.0");
    }
}
