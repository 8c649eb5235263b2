//! Loss curves: smoothing, ranges that show the end of training, labels that do not collide.

use super::canvas::Point;

/// The mean over a window of `share` of all values, centred; at the start, where losses fall fast,
/// it is shorter on both sides.
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

/// A range that holds the curves from a tenth of the way on: the first steps often start so
/// high that nothing else could be seen.
pub fn range(curves: &[&[Point]]) -> Option<(f64, f64)> {
    let last = curves
        .iter()
        .flat_map(|c| c.last())
        .map(|p| p.0)
        .fold(0.0, f64::max);
    let late = curves
        .iter()
        .flat_map(|c| c.iter())
        .filter(|p| p.0 >= 0.1 * last);
    let finite = late.map(|p| p.1).filter(|v| v.is_finite());
    let (low, high) = finite.fold((f64::MAX, f64::MIN), |(a, b), v| (a.min(v), b.max(v)));
    if low > high {
        return None;
    }
    let pad = (0.06 * (high - low)).max(1e-3 * high.abs()).max(1e-6);
    Some((low - pad, high + pad))
}

/// Heights for labels that want to be at `wanted`, at least `gap` apart, those that must move as
/// near as can be (least squares, by pooling neighbours that collide), and within `low..high`.
pub fn spread_out(wanted: &[f64], gap: f64, (low, high): (f64, f64)) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|a, b| wanted[*a].total_cmp(&wanted[*b]));
    // Less `gap` for each label before it, a height only has to be no smaller than the last.
    let mut pools: Vec<(f64, usize)> = Vec::new();
    for (rank, &i) in order.iter().enumerate() {
        let mut pool = (wanted[i] - gap * rank as f64, 1);
        while let Some((mean, n)) = pools.pop_if(|last| last.0 > pool.0) {
            let sum = mean * n as f64 + pool.0 * pool.1 as f64;
            pool = (sum / (n + pool.1) as f64, n + pool.1);
        }
        pools.push(pool);
    }
    let room = f64::max(low, high - gap * wanted.len().saturating_sub(1) as f64);
    let heights = pools
        .iter()
        .flat_map(|(mean, n)| std::iter::repeat_n(*mean, *n));
    let mut out = vec![0.0; wanted.len()];
    for (rank, (&i, height)) in order.iter().zip(heights).enumerate() {
        out[i] = height.clamp(low, room) + gap * rank as f64;
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
        let curve: Vec<Point> = (0..=100)
            .map(|i| {
                (
                    f64::from(i),
                    if i < 5 {
                        1e9
                    } else {
                        2.0 - f64::from(i) / 100.0
                    },
                )
            })
            .collect();
        let (low, high) = range(&[&curve]).unwrap();
        assert!(low > 0.9 && low < 1.0 && high > 1.9 && high < 2.1);
        assert_eq!(range(&[&[(1.0, f64::NAN)]]), None);
        assert_eq!(range(&[]), None);
    }

    #[test]
    fn labels_keep_their_distance_and_order() {
        let got = spread_out(&[50.0, 10.0, 12.0], 10.0, (0.0, 100.0));
        assert_eq!(got, [50.0, 6.0, 16.0]);
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
