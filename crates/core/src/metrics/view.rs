//! The rectangle that a density is looked at in.

/// The centres of a grid's cells as rows (x, y).
pub fn grid_rows(view: [(f64, f64); 2], side: usize) -> Vec<f64> {
    let centre =
        |(low, high): (f64, f64), i: usize| low + (high - low) * (i as f64 + 0.5) / side as f64;
    (0..side * side)
        .flat_map(|i| [centre(view[0], i % side), centre(view[1], i / side)])
        .collect()
}

/// The data's view with room for the samples, at most twice as wide: a stray sample must not
/// coarsen the grid.
pub(super) fn widened(data_view: [(f64, f64); 2], samples: &[f64]) -> [(f64, f64); 2] {
    let mut view = data_view;
    for (d, range) in view.iter_mut().enumerate() {
        let mut values: Vec<f64> = samples.iter().skip(d).step_by(2).copied().collect();
        values.retain(|v| v.is_finite());
        if values.is_empty() {
            continue;
        }
        let mut at = |share: f64| {
            let rank = ((values.len() - 1) as f64 * share) as usize;
            *values.select_nth_unstable_by(rank, f64::total_cmp).1
        };
        let room = 0.5 * (range.1 - range.0);
        *range = (
            range.0.min(at(0.0005)).max(range.0 - room),
            range.1.max(at(0.9995)).min(range.1 + room),
        );
    }
    view
}

/// A square that holds 99 % of the samples along each axis, with a margin, where there is no law to
/// say what a figure should show.
pub fn view_of(samples: &[f64]) -> Option<[(f64, f64); 2]> {
    let range = |d: usize| {
        let mut values: Vec<f64> = samples.iter().skip(d).step_by(2).copied().collect();
        values.retain(|v| v.is_finite());
        values.sort_by(f64::total_cmp);
        let at = |share: f64| values.get((values.len() as f64 * share) as usize).copied();
        Some((at(0.005)?, at(0.995)?))
    };
    let (x, y) = (range(0)?, range(1)?);
    let half = 0.6 * (x.1 - x.0).max(y.1 - y.0).max(1e-6);
    let around = |(low, high): (f64, f64)| {
        let middle = 0.5 * (low + high);
        (middle - half, middle + half)
    };
    Some([around(x), around(y)])
}
