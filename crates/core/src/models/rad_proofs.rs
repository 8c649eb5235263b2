//! The proofs that a folded layer owes beyond the distribution laws: continuity across every fold,
//! round trips through every branch, the sum over all pre-images, and a boundary gradient that
//! automatic differentiation sees. Each that could pass by accident has a control that must fail.

use candle_core::{DType, Device, Tensor};

use super::rad::Rad;
use super::testing::{largest_gap, loaded, log_prob, rows, values};
use super::{Gates, RadSpec};
use crate::distributions::Distribution;
use crate::nn::mlp::Activation;
use crate::nn::Params;
use crate::num::largest;
use crate::num::testing::normal;
use crate::rng::Rng;

pub(super) fn spec(layers: usize, gates: Gates) -> RadSpec {
    RadSpec {
        layers,
        hidden: vec![6],
        activation: Activation::Tanh,
        gates,
        standardise: false,
        ..RadSpec::default()
    }
}

pub(super) fn rad(layers: usize, gates: Gates, dim: usize, noise: f64, seed: u64) -> (Params, Rad) {
    let rng = Rng::new(seed);
    let params = Params::seeded(rng.fork("init"), DType::F64, &Device::Cpu);
    let model = Rad::build(&spec(layers, gates), &params, dim, None).unwrap();
    params.perturb(noise, &mut rng.fork("perturb"));
    (params, model)
}

pub(super) const GATES: [Gates; 3] = [Gates::Flat, Gates::Edge, Gates::Net];

pub(super) fn column(values: &[f64]) -> Tensor {
    rows(values, 1)
}

/// z of points (n, dim).
fn folded(model: &Rad, x: &Tensor) -> Vec<f64> {
    values(&model.fold(x).unwrap().0)
}

fn parts(model: &Rad, x: &Tensor) -> Vec<u64> {
    model.part(x).unwrap().unwrap()
}

/// Places in [-r, r] where the branch code of a one-dimensional model changes, by bisection.
fn borders(model: &Rad, r: f64) -> Vec<(f64, f64)> {
    let place = |i| -r + 2.0 * r * f64::from(i) / 3999.0;
    let grid: Vec<f64> = (0..4000).map(place).collect();
    let codes = parts(model, &column(&grid));
    let mut found = Vec::new();
    for i in 1..grid.len() {
        if codes[i] == codes[i - 1] {
            continue;
        }
        let (mut low, mut high) = (grid[i - 1], grid[i]);
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            if parts(model, &column(&[middle]))[0] == codes[i - 1] {
                low = middle;
            } else {
                high = middle;
            }
        }
        found.push((low, high));
    }
    found
}

#[test]
fn density_is_continuous_across_every_fold_in_one_dimension() {
    for gates in GATES {
        let (_, model) = rad(2, gates, 1, 0.3, 4);
        let borders = borders(&model, 8.0);
        assert!(borders.len() >= 2, "{gates:?}: {borders:?}");
        for (low, high) in borders {
            let l = log_prob(&model, &column(&[low, high]));
            assert!((l[0] - l[1]).abs() < 1e-6, "{gates:?} at {low}: {l:?}");
        }
    }
}

#[test]
fn density_is_continuous_across_every_fold_in_two_dimensions() {
    for gates in GATES {
        let (_, model) = rad(3, gates, 2, 0.3, 8);
        let mut rng = Rng::new(2);
        let n = 400;
        let mut ends = [vec![0.0; 2 * n], vec![0.0; 2 * n]];
        for v in ends.iter_mut().flatten() {
            *v = 2.0 * rng.normal();
        }
        let first = parts(&model, &rows(&ends[0], 2));
        let other = parts(&model, &rows(&ends[1], 2));
        for _ in 0..60 {
            let middle: Vec<f64> = ends[0]
                .iter()
                .zip(&ends[1])
                .map(|(a, b)| 0.5 * (a + b))
                .collect();
            let codes = parts(&model, &rows(&middle, 2));
            for i in 0..n {
                let side = usize::from(codes[i] != first[i]);
                ends[side][2 * i..2 * i + 2].copy_from_slice(&middle[2 * i..2 * i + 2]);
            }
        }
        let ends = ends.map(|end| rows(&end, 2));
        let [l, other_l] = [0, 1].map(|side: usize| log_prob(&model, &ends[side]));
        let [z, other_z] = [0, 1].map(|side: usize| folded(&model, &ends[side]));
        let mut crossings = 0;
        for i in 0..n {
            if first[i] == other[i] {
                continue;
            }
            crossings += 1;
            let jump = (l[i] - other_l[i]).abs();
            let gap = largest_gap(&z[2 * i..2 * i + 2], &other_z[2 * i..2 * i + 2]);
            assert!(
                jump < 1e-6 && gap < 1e-8,
                "{gates:?}: jump {jump:e}, z {gap:e}"
            );
        }
        assert!(crossings > 100, "{gates:?}: {crossings}");
    }
}

#[test]
fn flat_gates_leave_one_constant_on_the_whole_line() {
    let (_, model) = rad(1, Gates::Flat, 1, 0.5, 3);
    let x: Vec<f64> = (0..200).map(|i| -6.0 + 0.06 * f64::from(i)).collect();
    let lambda = values(&model.fold(&column(&x)).unwrap().1);
    let off = largest_gap(&lambda, &vec![lambda[0]; 200]);
    assert!(off < 1e-12, "{off} apart");
}

#[test]
fn round_trips_through_every_branch() {
    for gates in GATES {
        for dim in [1, 2, 5] {
            let (_, model) = rad(3, gates, dim, 0.3, 6);
            let x = model.sample(2000, &mut Rng::new(1)).unwrap();
            let (z, _, codes) = model.fold(&x).unwrap();
            let back = model.unfold(&z, &codes).unwrap();
            let (z2, _, codes2) = model.fold(&back).unwrap();
            for (got, expected) in [(&back, &x), (&z2, &z)] {
                let gap = largest_gap(&values(got), &values(expected));
                assert!(gap < 1e-8, "{gates:?}, D = {dim}: {gap:e}");
            }
            // Rounding may flip the part of a point on a border, nowhere else.
            let flips: f64 = values(&codes.ne(&codes2).unwrap()).iter().sum();
            assert!(flips <= 2.0, "{gates:?}, D = {dim}: {flips}");
        }
    }
}

/// Over all code words with a true pre-image, sum p_X(x_k) / |det J(x_k)| = p_Z(z). Exact, without
/// quadrature: p_X / |det J| = p_Z times the gates' probabilities, so these must sum to one.
#[test]
fn all_pre_images_share_out_the_base_density() {
    for gates in GATES {
        let layers = 3;
        let (_, model) = rad(layers, gates, 2, 0.3, 7);
        let n = 20;
        let z = normal(n, 2, 1.0, &mut Rng::new(3));
        let mut total = vec![0.0; n];
        let mut words = vec![0; n];
        for word in 0..3usize.pow(layers as u32) {
            let digits: Vec<u8> = (0..layers)
                .map(|l| (word / 3usize.pow(l as u32) % 3) as u8)
                .collect();
            let codes = Tensor::from_vec(digits.repeat(n), (n, layers), &Device::Cpu).unwrap();
            let x = model.unfold(&z, &codes).unwrap();
            let (back, lambda, got) = model.fold(&x).unwrap();
            let gap = values(&(back - &z).unwrap());
            let got = got.to_vec2::<u8>().unwrap();
            let log_jacobian = log_jacobians(&model, &x);
            for (i, lambda) in values(&lambda).iter().enumerate() {
                let gap = largest([gap[2 * i].abs(), gap[2 * i + 1].abs()]);
                if got[i] == digits && gap < 1e-8 {
                    words[i] += 1;
                    total[i] += (lambda - log_jacobian[i]).exp();
                }
            }
        }
        assert!(words.iter().any(|w| *w > 3), "{gates:?}: {words:?}");
        for (i, t) in total.iter().enumerate() {
            assert!(
                (t - 1.0).abs() < 1e-6,
                "{gates:?}: {t} from {} words",
                words[i]
            );
        }
    }
}

/// log|det dz/dx| of every row, by central differences of the fold.
fn log_jacobians(model: &Rad, x: &Tensor) -> Vec<f64> {
    let h = 1e-7;
    let z = |step: [f64; 2]| folded(model, &x.broadcast_add(&rows(&step, 2)).unwrap());
    let slopes = |step: [f64; 2]| -> Vec<f64> {
        let (ahead, behind) = (z(step), z(step.map(|s| -s)));
        let pairs = ahead.iter().zip(&behind);
        pairs.map(|(a, b)| (a - b) / (2.0 * h)).collect()
    };
    let (by_x, by_y) = (slopes([h, 0.0]), slopes([0.0, h]));
    let each = by_x.chunks(2).zip(by_y.chunks(2));
    each.map(|(x, y)| (x[0] * y[1] - x[1] * y[0]).abs().ln())
        .collect()
}

#[test]
fn densities_far_away_are_finite_in_single_precision() {
    let (params, _) = rad(4, Gates::Edge, 2, 0.2, 9);
    let single = |(name, t): (String, Tensor)| (name, t.to_dtype(DType::F32).unwrap());
    let snapshot = params.snapshot().unwrap().into_iter().map(single).collect();
    let single = loaded(snapshot, DType::F32);
    let single = Rad::build(&spec(4, Gates::Edge), &single, 2, None).unwrap();
    let far = Tensor::new(&[[50f32, -50.0], [-50.0, 50.0]], &Device::Cpu).unwrap();
    assert!(log_prob(&single, &far).iter().all(|v| v.is_finite()));
}
