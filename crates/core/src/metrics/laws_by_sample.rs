//! Metrics that are computed from points and samples, or from responsibilities, agree with their definitions.

use super::distances::Distances;
use super::laws::{case, is, number, value, N};
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
    let [x, y] = [&x, &y].map(|rows| rows.chunks_exact(dim).collect::<Vec<_>>());
    let pairs = (0..n).flat_map(|i| (0..i).map(move |j| (i, j)));
    let mut within: Vec<f64> = pairs.map(|(i, j)| distance(x[i], x[j])).collect();
    within.sort_by(f64::total_cmp);
    let median = within[within.len() / 2];
    let kernel = |d: f64| -> f64 {
        let each = [0.05, 0.2, 0.9].map(|a| (a * median).powi(2));
        each.iter().map(|a| a / (a + d * d)).sum()
    };
    // 2 E f(X, Y) - E f(X, X') - E f(Y, Y').
    let difference = |f: &dyn Fn(f64) -> f64| {
        let mean = |a: &[&[f64]], b: &[&[f64]], same: bool| {
            let pairs = (0..n).flat_map(|i| (0..n).map(move |j| (i, j)));
            let pairs = pairs.filter(|(i, j)| !same || i != j);
            let values: Vec<f64> = pairs.map(|(i, j)| f(distance(a[i], b[j]))).collect();
            values.iter().sum::<f64>() / values.len() as f64
        };
        2.0 * mean(&x, &y, false) - mean(&x, &x, true) - mean(&y, &y, true)
    };
    let (energy, mmd) = (difference(&|d| d), -difference(&kernel));
    let errors = [got.energy.value - energy, got.mmd.value - mmd];
    assert!(
        crate::num::largest(errors.map(f64::abs)) < 1e-12,
        "{got:?} {energy} {mmd}"
    );
    assert!(energy > 0.1 && got.energy.std_err < energy);
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
    assert!(shifted.energy.value > 5.0 * shifted.energy.std_err);
    assert!(shifted.mmd.value > 5.0 * shifted.mmd.std_err);
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
    let memberships = |components: usize, rows: Vec<f64>| {
        Some(Memberships {
            components,
            rows,
            non_finite: 0,
            place: (0..N).collect(),
        })
    };
    on.memberships = memberships(2, [0.8, 0.2].repeat(N));
    is("ece", &on, 0.05, 1e-12);
    let regret = -0.75 * 0.8f64.ln() - 0.25 * 0.2f64.ln();
    is("label_regret", &on, regret, 1e-12);
    // A second component for label 1 and one without points.
    let rows = (0..N).flat_map(|i| match i {
        _ if i < 250 => [0.0, 1.0, 0.0, 0.0],
        _ if i % 3 == 0 => [1.0, 0.0, 0.0, 0.0],
        _ => [0.0, 0.0, 1.0, 0.0],
    });
    on.memberships = memberships(4, rows.collect());
    assert_eq!(number("ece", &on), 0.0);
    assert_eq!(number("label_regret", &on), 0.0);
    assert_eq!(number("dead_components", &on), 1.0);
    let by_hand: f64 = [0.25, 0.25f64, 0.5].iter().map(|u| -u * u.ln()).sum();
    is("usage_perplexity", &on, by_hand.exp(), 1e-12);
    // One component cannot stand for two labels.
    on.memberships = memberships(1, vec![1.0; N]);
    let infinite = Outcome::none("infinite: fewer components than labels");
    assert_eq!(value("label_regret", &on), infinite);
    is("ece", &on, 0.25, 1e-12);
}
