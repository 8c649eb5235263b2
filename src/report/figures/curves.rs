//! Loss curves: smoothing, ranges that show the end of training, labels that do not collide.

use super::canvas::Point;

/// The mean over a window of `share` of all values, centred, shorter at the ends.
pub fn smooth(values: &[f64], share: f64) -> Vec<f64> {
    let reach = ((values.len() as f64 * share / 2.0) as usize).max(1);
    (0..values.len())
        .map(|i| {
            let reach = reach.min(i).min(values.len() - 1 - i);
            let window = &values[i - reach..=i + reach];
            window.iter().sum::<f64>() / window.len() as f64
        })
        .collect()
}

/// A range that holds the curves from a twentieth of the way on: the first steps often start so
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
        .filter(|p| p.0 >= 0.05 * last);
    let finite = late.map(|p| p.1).filter(|v| v.is_finite());
    let (low, high) = finite.fold((f64::MAX, f64::MIN), |(a, b), v| (a.min(v), b.max(v)));
    if low > high {
        return None;
    }
    let pad = (0.06 * (high - low)).max(1e-3 * high.abs()).max(1e-6);
    Some((low - pad, high + pad))
}

/// Heights for labels that want to be at `wanted`, at least `gap` apart and within `low..high`.
pub fn spread_out(wanted: &[f64], gap: f64, (low, high): (f64, f64)) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|a, b| wanted[*a].total_cmp(&wanted[*b]));
    let mut out = vec![0.0; wanted.len()];
    let mut floor = low;
    for &i in &order {
        out[i] = wanted[i].max(floor);
        floor = out[i] + gap;
    }
    let mut ceiling = high;
    for &i in order.iter().rev() {
        out[i] = out[i].min(ceiling);
        ceiling = out[i] - gap;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smoothing_keeps_lines_and_ends() {
        let line: Vec<f64> = (0..50).map(f64::from).collect();
        assert_eq!(smooth(&line, 0.2), line);
        assert!(smooth(&[], 0.2).is_empty());
        assert_eq!(smooth(&[1.0, 4.0, 1.0], 0.5), [1.0, 2.0, 1.0]);
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
        assert!(low > 0.9 && low < 1.0 && high > 1.95 && high < 2.1);
        assert_eq!(range(&[&[(1.0, f64::NAN)]]), None);
        assert_eq!(range(&[]), None);
    }

    #[test]
    fn labels_keep_their_distance_and_order() {
        let got = spread_out(&[50.0, 10.0, 12.0], 10.0, (0.0, 100.0));
        assert_eq!(got, [50.0, 10.0, 20.0]);
        let low = spread_out(&[99.0, 98.0], 10.0, (0.0, 100.0));
        assert_eq!(low, [100.0, 90.0]);
    }
}
