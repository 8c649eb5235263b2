use super::*;
use crate::models::testing::{log_prob, seeded};
use crate::num::{log_sum_exp_slice, testing::tensor};

fn build(bandwidth: Bandwidth, rows: &[f64], dim: usize) -> KernelDensity {
    let spec = KernelDensitySpec { bandwidth };
    KernelDensity::build(&spec, &seeded(5), dim, Some(tensor(rows, dim))).unwrap()
}

/// Two blobs of unequal spread and weight.
fn blobs(n: usize, dim: usize, rng: &mut Rng) -> Vec<f64> {
    (0..n * dim)
        .map(|i| match (i / dim) % 3 {
            0 => 4.0 + 0.3 * rng.normal(),
            _ => rng.normal(),
        })
        .collect()
}

/// The sum over all points, term by term.
fn by_hand(rows: &[f64], dim: usize, h: f64, x: &[f64]) -> f64 {
    let scale = deviations(rows, dim);
    let n = (rows.len() / dim) as f64;
    let log_norm: f64 = scale.iter().map(|s| (h * s).ln() + 0.5 * LN_2PI).sum();
    let terms: Vec<f64> = rows
        .chunks(dim)
        .map(|row| {
            let squares = row.iter().zip(x).zip(&scale);
            let square: f64 = squares.map(|((a, b), s)| ((a - b) / (h * s)).powi(2)).sum();
            -0.5 * square - log_norm - n.ln()
        })
        .collect();
    log_sum_exp_slice(&terms)
}

#[test]
fn the_tree_leaves_out_nothing_that_counts() {
    for dim in [1, 2, 5] {
        let rows = blobs(700, dim, &mut Rng::new(1));
        for h in [0.02, 0.3, 5.0] {
            let model = build(Bandwidth::Fixed(h), &rows, dim);
            let mut x = blobs(40, dim, &mut Rng::new(2));
            x.extend(vec![-30.0; dim]);
            x.extend(vec![1e4; dim]);
            // As far as this the width is lost in the rounding of the distance.
            x.extend(vec![1e12; dim]);
            let got = log_prob(&model, &tensor(&x, dim));
            for (got, x) in got.iter().zip(x.chunks(dim)) {
                let want = by_hand(&rows, dim, h, x);
                let gap = (got - want).abs();
                assert!(
                    gap < 1e-10 * want.abs().max(1.0),
                    "{dim} {h}: {got}, {want}"
                );
            }
        }
    }
}

/// The bandwidth that is found against a fine scan of the leave-one-out likelihood, each of whose
/// terms is a sum over the other points.
#[test]
fn leave_one_out_finds_the_best_bandwidth() {
    let (n, dim) = (240, 2);
    let rows = blobs(n, dim, &mut Rng::new(3));
    let found = build(Bandwidth::LeaveOneOut, &rows, dim).h;
    let scale = deviations(&rows, dim);
    let square = |i: usize, j: usize, h: f64| -> f64 {
        let off = |d: usize| (rows[i * dim + d] - rows[j * dim + d]) / (h * scale[d]);
        (0..dim).map(|d| off(d).powi(2)).sum()
    };
    let left_out = |h: f64| -> f64 {
        let one = |i: usize| {
            let others = (0..n).filter(|j| *j != i);
            let terms: Vec<f64> = others.map(|j| -0.5 * square(i, j, h)).collect();
            log_sum_exp_slice(&terms) - dim as f64 * h.ln()
        };
        (0..n).map(one).sum()
    };
    let scan = (0..160).map(|i| 0.02 * 1.025f64.powi(i));
    let best = scan.max_by(|a, b| left_out(*a).total_cmp(&left_out(*b)));
    let best = best.unwrap();
    assert!((found / best).ln().abs() < 0.03, "{found}, {best}");
    let scott = build(Bandwidth::Scott, &rows, dim).h;
    assert!((scott - (n as f64).powf(-1.0 / 6.0)).abs() < 1e-12);
    let silverman = build(Bandwidth::Silverman, &rows, dim).h;
    // In the plane the two rules agree: 4 / (D + 2) = 1.
    assert!((silverman - scott).abs() < 1e-12 && found < 0.6 * scott);
}

#[test]
fn ties_single_points_and_broken_ones() {
    let ties = build(Bandwidth::LeaveOneOut, &[2.0; 60], 2);
    let got = log_prob(&ties, &tensor(&[2.0, 2.0, 3.0, 2.0], 2));
    assert!(got.iter().all(|v| v.is_finite()) && ties.h > 0.0, "{got:?}");
    let one = build(Bandwidth::LeaveOneOut, &[1.0, 5.0], 2);
    assert_eq!(one.h, 1.0);
    let x = tensor(&[f64::NAN, 0.0, f64::INFINITY, 0.0], 2);
    let got = log_prob(&one, &x);
    assert!(got[0].is_nan() && got[1] == f64::NEG_INFINITY, "{got:?}");
}
