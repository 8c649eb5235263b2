//! Curves: smoothing, ranges, means over seeds, and names at their ends.

use super::axes::{ends, Frame};
use super::canvas::{Align, Canvas, Ink, Point};
use super::legend::line;
use super::style::{model_colour, name_colour, NAME};
use super::DataPage;
use crate::report::interval::Spread;
use crate::report::results::Run;
use mdn_core::Result;

/// The mean over seeds of the curves of the model at `index`, and the ends of its intervals.
pub struct Curve<'a> {
    pub index: usize,
    pub model: &'a str,
    pub mean: Vec<Point>,
    pub low: Vec<Point>,
    pub high: Vec<Point>,
}

/// The curves of all models: at every x that all their finished runs have, `place` of x and of the mean
/// and the ends of the interval of y. The mean would jump where its seeds change.
pub fn over_seeds<'a>(
    page: &DataPage<'a>,
    points: impl Fn(&Run) -> Result<Vec<Point>>,
    place: impl Fn(f64, f64) -> Point,
) -> Result<Vec<Curve<'a>>> {
    let mut curves = Vec::new();
    for (index, model) in page.results.what.models.iter().enumerate() {
        let done = page.results.of(page.data, model).filter(|r| r.is_done());
        let mut seeds: Vec<Vec<Point>> = done.map(&points).collect::<Result<_>>()?;
        seeds.retain(|s| !s.is_empty());
        let (mut mean, mut low, mut high) = (Vec::new(), Vec::new(), Vec::new());
        for &(x, _) in seeds.first().into_iter().flatten() {
            let at = |s: &Vec<Point>| Some(s.iter().find(|p| p.0 == x)?.1);
            let values: Option<Vec<f64>> = seeds.iter().map(at).collect();
            let Some(spread) = values.as_deref().and_then(Spread::of) else {
                continue;
            };
            mean.push(place(x, spread.mean));
            if let Some((a, b)) = spread.interval {
                low.push(place(x, a));
                high.push(place(x, b));
            }
        }
        for points in [&mut mean, &mut low, &mut high] {
            points.retain(|p| p.1.is_finite());
        }
        if !mean.is_empty() {
            curves.push(Curve {
                index,
                model,
                mean,
                low,
                high,
            });
        }
    }
    Ok(curves)
}

/// Width of the longest name of a model at the end of its curve.
pub fn names_width(curves: &[Curve<'_>]) -> f64 {
    let widths = curves.iter().map(|c| NAME.width(c.model));
    widths.fold(60.0, f64::max).min(330.0)
}

/// What the lines and bands of several seeds are.
pub const OF_SEVERAL: &str = "; line: mean, band: 95 % t interval";

/// Intervals first, then means, then names at the right within `width`.
pub fn draw(canvas: &mut Canvas, frame: &Frame, curves: &[Curve<'_>], width: f64) {
    let (area, y) = (frame.area, frame.y);
    // Many intervals on top of each other would be one dark cloud.
    let opacity = f64::min(0.16, 0.6 / curves.len() as f64);
    for c in curves {
        let around: Vec<Point> = c.low.iter().chain(c.high.iter().rev()).copied().collect();
        let interval = between(&frame.path(&around), area.y, area.bottom());
        if interval.len() > 2 {
            canvas.fill(&interval, Ink(model_colour(c.index), opacity));
        }
    }
    for c in curves {
        line(canvas, c.index, &frame.path(&c.mean), 2.6, area);
    }
    let name = |c: &Curve<'_>| {
        let last = c.mean.last().map(|p| (p.0, p.1.clamp(y.0, y.1)));
        (c.model.to_owned(), name_colour(c.index), last)
    };
    let names: Vec<_> = curves.iter().map(name).collect();
    names_at_ends(canvas, frame, &names, width);
}

/// Names with their colours beside the last points of their curves, without overlaps.
pub fn names_at_ends(
    canvas: &mut Canvas,
    frame: &Frame,
    names: &[(String, [u8; 3], Option<Point>)],
    width: f64,
) {
    let area = frame.area;
    let end = |last: &Option<Point>| last.map_or(area.y, |p| frame.at(p.0, p.1).1);
    let wanted: Vec<f64> = names.iter().map(|n| end(&n.2)).collect();
    let heights = spread_out(&wanted, 24.0, (area.y, area.bottom()));
    for ((name, colour, _), y) in names.iter().zip(heights) {
        let at = (area.right() + 12.0, y + 6.0);
        canvas.text(&NAME.squeeze(name, width), NAME, *colour, at, Align::Left);
    }
}

/// The mean over a centred window of `share` of all values, shorter near the start.
pub fn smooth(values: &[f64], share: f64) -> Vec<f64> {
    let reach = ((values.len() as f64 * share / 2.0) as usize).max(1);
    (0..values.len())
        .map(|i| {
            let reach = reach.min(i);
            let window = &values[i - reach..values.len().min(i + reach + 1)];
            window.iter().sum::<f64>() / window.len() as f64
        })
        .collect()
}

/// The range of the last nine tenths of the curves: the first losses are often far higher.
pub fn range(curves: &[&[Point]]) -> Option<(f64, f64)> {
    let last = curves.iter().flat_map(|c| c.last()).map(|p| p.0);
    let last = last.fold(0.0, f64::max);
    let late = curves.concat().into_iter().filter(|p| p.0 >= 0.1 * last);
    let (low, high) = ends(late.map(|p| p.1).filter(|v| v.is_finite()))?;
    let pad = (0.06 * (high - low)).max(1e-3 * high.abs()).max(1e-6);
    Some((low - pad, high + pad))
}

/// Heights in the order of `wanted`, at least `gap` apart, down from `low` and not beyond `high`.
pub fn spread_out(wanted: &[f64], gap: f64, (low, high): (f64, f64)) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|a, b| wanted[*a].total_cmp(&wanted[*b]));
    let (mut out, mut least, mut most) = (wanted.to_vec(), low, high);
    for &i in &order {
        out[i] = wanted[i].max(least);
        least = out[i] + gap;
    }
    for &i in order.iter().rev() {
        out[i] = out[i].min(most);
        most = out[i] - gap;
    }
    out
}

/// The part of a polygon between two heights (Sutherland and Hodgman 1974).
pub fn between(polygon: &[Point], top: f64, bottom: f64) -> Vec<Point> {
    let cut = |polygon: &[Point], at: f64, keeps: &dyn Fn(f64) -> bool| {
        let mut out = Vec::with_capacity(polygon.len() + 4);
        for (i, &b) in polygon.iter().enumerate() {
            let a = polygon[(i + polygon.len() - 1) % polygon.len()];
            if keeps(a.1) != keeps(b.1) {
                let t = (at - a.1) / (b.1 - a.1);
                out.push((a.0 + t * (b.0 - a.0), at));
            }
            if keeps(b.1) {
                out.push(b);
            }
        }
        out
    };
    let lower = cut(polygon, top, &|y| y >= top);
    cut(&lower, bottom, &|y| y <= bottom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smoothing_keeps_lines_and_ends() {
        let line: Vec<f64> = (0..50).map(f64::from).collect();
        assert_eq!(smooth(&line, 0.2)[..45], line[..45]);
        assert!(smooth(&[], 0.2).is_empty());
        assert_eq!(smooth(&[1.0, 4.0, 1.0], 0.5), [1.0, 2.0, 2.5]);
    }

    #[test]
    fn the_range_forgets_the_first_steps_and_what_is_not_finite() {
        let loss = |i: i32| match i {
            0..5 => 1e9,
            _ => 2.0 - f64::from(i) / 100.0,
        };
        let curve: Vec<Point> = (0..=100).map(|i| (f64::from(i), loss(i))).collect();
        let (low, high) = range(&[&curve]).unwrap();
        assert!(low > 0.9 && low < 1.0 && high > 1.9 && high < 2.1);
        assert_eq!(range(&[&[(1.0, f64::NAN)]]), None);
        assert_eq!(range(&[]), None);
    }

    #[test]
    fn labels_keep_their_distance_and_order() {
        let got = spread_out(&[50.0, 10.0, 12.0], 10.0, (0.0, 100.0));
        assert_eq!(got, [50.0, 10.0, 20.0]);
        assert_eq!(spread_out(&[99.0, 98.0], 10.0, (0.0, 100.0)), [100.0, 90.0]);
        assert_eq!(spread_out(&[], 10.0, (0.0, 100.0)), [] as [f64; 0]);
    }

    #[test]
    fn a_polygon_is_cut_at_both_heights() {
        let square = [(0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0)];
        let cut = between(&square, 2.0, 7.0);
        assert_eq!(cut, [(0.0, 7.0), (0.0, 2.0), (10.0, 2.0), (10.0, 7.0)]);
        assert!(between(&square, 20.0, 30.0).is_empty());
        assert!(between(&[], 0.0, 1.0).is_empty());
    }
}
