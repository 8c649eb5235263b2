//! What metrics owe that are computed from points and samples, or from responsibilities, alone.

use super::distances::Distances;
use super::laws::{case, number, value, N};
use super::memberships::Memberships;
use super::neighbours::Neighbours;
use super::pairs::Pairs;
use super::Outcome;
use crate::rng::Rng;

fn normal_rows(n: usize, dim: usize, shift: f64, seed: u64) -> Vec<f64> {
    let mut rng = Rng::new(seed);
    (0..n * dim).map(|_| shift + rng.normal()).collect()
}

/// Against sums written out as the definitions say.
#[test]
fn energy_distance_and_mmd_are_their_definitions() {
    let (n, dim) = (37, 3);
    let x = normal_rows(n, dim, 0.0, 1);
    let y = normal_rows(n, dim, 0.7, 2);
    let got = Pairs::of(&x, &y, &x, dim);
    let distance = |a: &[f64], b: &[f64]| -> f64 {
        let gaps = a.iter().zip(b).map(|(a, b)| (a - b).powi(2));
        gaps.sum::<f64>().sqrt()
    };
    let row = |rows: &'static [f64], i: usize| &rows[i * dim..(i + 1) * dim];
    let (x, y): (&'static [f64], &'static [f64]) = (x.leak(), y.leak());
    let mut within: Vec<f64> = (0..n)
        .flat_map(|i| (0..i).map(move |j| (i, j)))
        .map(|(i, j)| distance(row(x, i), row(x, j)))
        .collect();
    within.sort_by(f64::total_cmp);
    let median = within[within.len() / 2];
    let kernel = |d: f64| -> f64 {
        let each = [0.05, 0.2, 0.9].map(|a| (a * median).powi(2));
        each.iter().map(|a| a / (a + d * d)).sum()
    };
    let mean = |a: &'static [f64], b: &'static [f64], f: &dyn Fn(f64) -> f64, same: bool| -> f64 {
        let pairs = (0..n).flat_map(|i| (0..n).map(move |j| (i, j)));
        let pairs = pairs.filter(|(i, j)| !same || i != j);
        let values: Vec<f64> = pairs
            .map(|(i, j)| f(distance(row(a, i), row(b, j))))
            .collect();
        values.iter().sum::<f64>() / values.len() as f64
    };
    let plain = |d: f64| d;
    let energy =
        2.0 * mean(x, y, &plain, false) - mean(x, x, &plain, true) - mean(y, y, &plain, true);
    let mmd =
        mean(x, x, &kernel, true) + mean(y, y, &kernel, true) - 2.0 * mean(x, y, &kernel, false);
    assert!(
        (got.energy.value - energy).abs() < 1e-12,
        "{got:?} {energy}"
    );
    assert!((got.mmd.value - mmd).abs() < 1e-12, "{got:?} {mmd}");
    assert!(energy > 0.1 && got.energy.std_err.unwrap() < energy);
}

/// The mean over many small sets of what has no bias is 0, and a shift stands out of its standard error.
#[test]
fn equal_laws_are_at_distance_zero_in_the_mean() {
    let of = |seed: u64, shift: f64| {
        let x = normal_rows(60, 2, 0.0, 3 * seed);
        let y = normal_rows(60, 2, shift, 3 * seed + 1);
        let others = normal_rows(60, 2, 0.0, 3 * seed + 2);
        Pairs::of(&x, &y, &others, 2)
    };
    let all: Vec<Pairs> = (0..300).map(|seed| of(seed, 0.0)).collect();
    let values: [fn(&Pairs) -> f64; 4] = [
        |p| p.energy.value,
        |p| p.energy_floor.value,
        |p| p.mmd.value,
        |p| p.mmd_floor.value,
    ];
    for value in values {
        let (mean, err) = crate::num::mean_and_std_err(all.iter().map(value));
        assert!(mean.abs() < 4.0 * err && err < 0.01, "{mean} ± {err}");
    }
    let shifted = of(1, 2.0);
    assert!(shifted.energy.value > 5.0 * shifted.energy.std_err.unwrap());
    assert!(shifted.mmd.value > 5.0 * shifted.mmd.std_err.unwrap());
}

#[test]
fn distances_leave_out_what_is_not_finite_and_need_points() {
    let points = normal_rows(400, 2, 0.0, 1);
    let mut samples = normal_rows(400, 2, 0.0, 2);
    samples[6] = f64::NAN;
    let found = Distances::of(&points, &samples, 2).unwrap();
    assert_eq!((found.n, found.non_finite), (199, 1));
    assert!(found.sliced.is_finite() && found.pairs.energy.value.is_finite());
    assert!(Distances::of(&points[..6], &samples, 2).is_none());
    // A shift by (3, 4) of the points themselves: 5 / sqrt 2.
    let moved: Vec<f64> = points
        .chunks(2)
        .flat_map(|p| [p[0] + 3.0, p[1] + 4.0])
        .collect();
    let found = Distances::of(&points, &moved, 2).unwrap();
    assert!((found.sliced - 12.5f64.sqrt()).abs() < 1e-12);
    // The same points a second time are no second sample, but at no sliced distance.
    let twice = [&points[..], &points[..]].concat();
    assert_eq!(Distances::of(&twice, &points, 2).unwrap().sliced, 0.0);
    let line = Distances::of(
        &normal_rows(2000, 1, 0.0, 3),
        &normal_rows(2000, 1, 2.0, 4),
        1,
    );
    assert!((line.unwrap().sliced - 2.0).abs() < 0.2);
}

#[test]
fn neighbours_on_a_line_by_hand() {
    // A ball reaches to the fifth neighbour: 5 for the ends of 0, 1, .., 9, less inside.
    let points: Vec<f64> = (0..10).map(f64::from).collect();
    let found = Neighbours::of(&points, &points, 1).unwrap();
    assert_eq!((found.precision, found.recall, found.n), (1.0, 1.0, 10));
    let far: Vec<f64> = points.iter().map(|v| v + 100.0).collect();
    let found = Neighbours::of(&points, &far, 1).unwrap();
    assert_eq!((found.precision, found.recall), (0.0, 0.0));
    // Samples at 14 - k/100 are in the ball of 9 (from 4 to 14); of the points only 9 can lie in
    // balls of radius 0.09 at most, and does not.
    let near: Vec<f64> = (0..10).map(|k| 14.0 - f64::from(k) / 100.0).collect();
    let found = Neighbours::of(&points, &near, 1).unwrap();
    assert_eq!((found.precision, found.recall), (1.0, 0.0));
    let mut broken = near.clone();
    broken[0] = f64::INFINITY;
    assert_eq!(Neighbours::of(&points, &broken, 1).unwrap().non_finite, 1);
    assert!(Neighbours::of(&points[..5], &near, 1).is_none());
}

/// Responsibilities (0.8, 0.2) for all, of which 0.75 are label 1: the first component goes with it, so the
/// guess is 1 at confidence 0.8 and right for 0.75.
#[test]
fn calibration_and_regret_by_hand() {
    let mut on = case(0.25, 0.0, 0.0);
    if let Some(found) = &mut on.memberships {
        found.rows = [0.8, 0.2].repeat(N);
    }
    assert!((number("ece", &on) - 0.05).abs() < 1e-12);
    let regret = -0.75 * 0.8f64.ln() - 0.25 * 0.2f64.ln();
    assert!((number("label_regret", &on) - regret).abs() < 1e-12);
    // A second component for label 1 and one without points.
    on.memberships = Some(Memberships {
        components: 4,
        rows: (0..N)
            .flat_map(|i| match i {
                _ if i < 250 => [0.0, 1.0, 0.0, 0.0],
                _ if i % 3 == 0 => [1.0, 0.0, 0.0, 0.0],
                _ => [0.0, 0.0, 1.0, 0.0],
            })
            .collect(),
        non_finite: 0,
        place: (0..N).collect(),
    });
    assert_eq!(number("ece", &on), 0.0);
    assert_eq!(number("label_regret", &on), 0.0);
    assert_eq!(number("dead_components", &on), 1.0);
    let usage = number("usage_perplexity", &on);
    let by_hand: f64 = [0.25, 0.25f64, 0.5].iter().map(|u| -u * u.ln()).sum();
    assert!((usage - by_hand.exp()).abs() < 1e-12, "{usage}");
    // One component cannot stand for two labels.
    on.memberships = Some(Memberships {
        components: 1,
        rows: vec![1.0; N],
        non_finite: 0,
        place: (0..N).collect(),
    });
    assert!(matches!(
        value("label_regret", &on),
        Outcome::NotApplicable { .. }
    ));
    assert!((number("ece", &on) - 0.25).abs() < 1e-12);
}
