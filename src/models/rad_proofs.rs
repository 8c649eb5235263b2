//! The proofs that a folded layer owes beyond the distribution laws: continuity across every fold,
//! round trips through every branch, the sum over all pre-images, and a boundary gradient that
//! automatic differentiation sees. Each that could pass by accident has a control that must fail.

use candle_core::{DType, Device, Tensor};

use super::rad::Rad;
use super::{Gates, RadSpec};
use crate::distributions::Distribution;
use crate::nn::mlp::Activation;
use crate::nn::Params;
use crate::num::{from_rows, to_vec};
use crate::rng::Rng;

fn spec(layers: usize, gates: Gates) -> RadSpec {
    RadSpec {
        layers,
        hidden: vec![6],
        activation: Activation::Tanh,
        gates,
        standardise: false,
        ..RadSpec::default()
    }
}

fn rad(layers: usize, gates: Gates, dim: usize, noise: f64, seed: u64) -> (Params, Rad) {
    let rng = Rng::new(seed);
    let params = Params::seeded(rng.fork("init"), DType::F64, &Device::Cpu);
    let model = Rad::build(&spec(layers, gates), &params, dim, None).unwrap();
    params.perturb(noise, &mut rng.fork("perturb"));
    (params, model)
}

const GATES: [Gates; 3] = [Gates::Flat, Gates::Edge, Gates::Net];

fn column(values: &[f64]) -> Tensor {
    from_rows(values, 1, DType::F64, &Device::Cpu).unwrap()
}

fn log_prob(model: &Rad, x: &[f64]) -> Vec<f64> {
    to_vec(&model.log_prob(&column(x)).unwrap()).unwrap()
}

fn parts(model: &Rad, x: &Tensor) -> Vec<u64> {
    model.part(x).unwrap().unwrap()
}

/// Places in [-r, r] where the branch code of a one-dimensional model changes, by bisection.
fn borders(model: &Rad, r: f64) -> Vec<(f64, f64)> {
    let grid: Vec<f64> = (0..4000)
        .map(|i| -r + 2.0 * r * f64::from(i) / 3999.0)
        .collect();
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
            let l = log_prob(&model, &[low, high]);
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
        let tensor = |v: &[f64]| from_rows(v, 2, DType::F64, &Device::Cpu).unwrap();
        let first = parts(&model, &tensor(&ends[0]));
        let other = parts(&model, &tensor(&ends[1]));
        for _ in 0..60 {
            let middle: Vec<f64> = ends[0]
                .iter()
                .zip(&ends[1])
                .map(|(a, b)| 0.5 * (a + b))
                .collect();
            let codes = parts(&model, &tensor(&middle));
            for i in 0..n {
                let side = usize::from(codes[i] != first[i]);
                ends[side][2 * i..2 * i + 2].copy_from_slice(&middle[2 * i..2 * i + 2]);
            }
        }
        let l: Vec<Vec<f64>> = ends
            .iter()
            .map(|e| to_vec(&model.log_prob(&tensor(e)).unwrap()).unwrap())
            .collect();
        let z: Vec<Vec<f64>> = ends
            .iter()
            .map(|e| to_vec(&model.fold(&tensor(e)).unwrap().0).unwrap())
            .collect();
        let mut crossings = 0;
        for i in 0..n {
            if first[i] == other[i] {
                continue;
            }
            crossings += 1;
            let jump = (l[0][i] - l[1][i]).abs();
            let gap = (z[0][2 * i] - z[1][2 * i])
                .abs()
                .max((z[0][2 * i + 1] - z[1][2 * i + 1]).abs());
            assert!(
                jump < 1e-6 && gap < 1e-8,
                "{gates:?}: jump {jump:e}, z {gap:e}"
            );
        }
        assert!(crossings > 100, "{gates:?}: {crossings}");
    }
}

/// One fold in plain numbers, with the two rules that make it continuous switched off on demand.
struct Plain {
    m: f64,
    b: f64,
    a1: f64,
    a3: f64,
    h1: f64,
    h3: f64,
    free_gates: bool,
    plain_tails: bool,
}

impl Plain {
    fn log_gates(&self, t: f64) -> [f64; 3] {
        let (s1, s3) = if self.free_gates {
            (self.h1 * (1.0 - t), self.h3 * t)
        } else {
            (-self.a1 + (1.0 - t) * self.h1, -self.a3 + t * self.h3)
        };
        let norm = (s1.exp() + 1.0 + s3.exp()).ln();
        [s1 - norm, -norm, s3 - norm]
    }

    fn log_prob(&self, x: f64) -> f64 {
        let u = (x - self.m) * (-self.b).exp();
        let outer = |a: f64, l: f64| if self.plain_tails { a } else { a + l };
        let left = outer(self.a1, self.log_gates(0.0)[0]);
        let right = outer(self.a3, self.log_gates(1.0)[2]);
        let (u_l, u_r) = (-1.0 - 2.0 * (-self.a1).exp(), 1.0 + 2.0 * (-self.a3).exp());
        let gate = |v: f64, k: usize| self.log_gates((v + 1.0) / 2.0)[k];
        let (v, lambda) = if u < u_l {
            (-1.0 + left.exp() * (u - u_l), left)
        } else if u < -1.0 {
            let v = 1.0 + self.a1.exp() * (u + 1.0);
            (v, self.a1 + gate(v, 0))
        } else if u <= 1.0 {
            (-u, gate(-u, 1))
        } else if u <= u_r {
            let v = -1.0 + self.a3.exp() * (u - 1.0);
            (v, self.a3 + gate(v, 2))
        } else {
            (1.0 + right.exp() * (u - u_r), right)
        };
        let g = self.b + ((-self.a1).exp() + 1.0 + (-self.a3).exp()).ln();
        let z = v * g.exp();
        -0.5 * z * z - 0.5 * crate::num::LN_2PI + lambda - self.b + g
    }

    fn knots(&self) -> [f64; 4] {
        [
            -1.0 - 2.0 * (-self.a1).exp(),
            -1.0,
            1.0,
            1.0 + 2.0 * (-self.a3).exp(),
        ]
        .map(|u| self.m + self.b.exp() * u)
    }

    fn largest_jump(&self) -> f64 {
        self.knots()
            .iter()
            .map(|k| (self.log_prob(k + 1e-9) - self.log_prob(k - 1e-9)).abs())
            .fold(0.0, f64::max)
    }

    fn mass(&self) -> f64 {
        // Midpoints between the knots, so that no cell straddles a jump.
        let mut edges = vec![-60.0];
        edges.extend(self.knots());
        edges.push(60.0);
        edges
            .windows(2)
            .map(|w| {
                let n = 40_000;
                let h = (w[1] - w[0]) / f64::from(n);
                (0..n)
                    .map(|i| self.log_prob(w[0] + (f64::from(i) + 0.5) * h).exp() * h)
                    .sum::<f64>()
            })
            .sum()
    }

    fn example(free_gates: bool, plain_tails: bool) -> Self {
        Self {
            m: 0.3,
            b: -0.4,
            a1: 0.5,
            a3: -0.7,
            h1: 1.1,
            h3: -0.8,
            free_gates,
            plain_tails,
        }
    }
}

#[test]
fn the_continuity_rules_are_needed_and_mass_never_depends_on_them() {
    let good = Plain::example(false, false);
    assert!(good.largest_jump() < 1e-6, "{}", good.largest_jump());
    assert!((good.mass() - 1.0).abs() < 1e-7, "{}", good.mass());
    for (free_gates, plain_tails) in [(true, false), (false, true)] {
        let control = Plain::example(free_gates, plain_tails);
        assert!(control.largest_jump() > 0.1, "{}", control.largest_jump());
    }
    let free = Plain::example(true, false);
    assert!((free.mass() - 1.0).abs() < 1e-7, "{}", free.mass());
}

/// The layer's own numbers are those of the plain formulas.
#[test]
fn one_fold_agrees_with_the_plain_formulas() {
    let plain = Plain::example(false, false);
    let raw = |v: f64, c: f64| c * (v / c).atanh();
    let bias = vec![
        plain.m,
        raw(plain.b, 4.0),
        raw(plain.a1, 2.0),
        raw(plain.a3, 2.0),
        0.0,
        0.0,
        raw(plain.h1, 3.0),
        raw(plain.h3, 3.0),
    ];
    let bias = Tensor::from_vec(bias, (1, 8), &Device::Cpu).unwrap();
    let tensors = [("0.fold.conditioner.out.bias".to_owned(), bias)];
    let params = Params::from_tensors(tensors.into_iter().collect(), DType::F64, &Device::Cpu);
    let model = Rad::build(&spec(1, Gates::Edge), &params, 1, None).unwrap();
    let x: Vec<f64> = (0..400).map(|i| -5.0 + 0.025 * f64::from(i)).collect();
    for (x, got) in x.iter().zip(log_prob(&model, &x)) {
        let expected = plain.log_prob(*x);
        assert!(
            (got - expected).abs() < 1e-12,
            "{x}: {got} against {expected}"
        );
    }
}

#[test]
fn flat_gates_leave_one_constant_on_the_whole_line() {
    let (_, model) = rad(1, Gates::Flat, 1, 0.5, 3);
    let x = column(
        &(0..200)
            .map(|i| -6.0 + 0.06 * f64::from(i))
            .collect::<Vec<_>>(),
    );
    let lambda = to_vec(&model.fold(&x).unwrap().1).unwrap();
    for l in &lambda {
        assert!((l - lambda[0]).abs() < 1e-12, "{l} against {}", lambda[0]);
    }
}

#[test]
fn round_trips_through_every_branch() {
    for gates in GATES {
        for dim in [1, 2, 5] {
            let (_, model) = rad(3, gates, dim, 0.3, 6);
            let x = model.sample(2000, &mut Rng::new(1)).unwrap();
            let (z, _, codes) = model.fold(&x).unwrap();
            let back = model.unfold(&z, &codes).unwrap();
            let gap = to_vec(&(&back - &x).unwrap())
                .unwrap()
                .iter()
                .fold(0.0f64, |m, v| m.max(v.abs()));
            assert!(gap < 1e-8, "{gates:?}, D = {dim}: {gap:e}");
            let (z2, _, codes2) = model.fold(&back).unwrap();
            let gap = to_vec(&(z2 - z).unwrap())
                .unwrap()
                .iter()
                .fold(0.0f64, |m, v| m.max(v.abs()));
            assert!(gap < 1e-8, "{gates:?}, D = {dim}: {gap:e}");
            // Rounding may flip the part of a point on a border, nowhere else.
            let flips = (codes.ne(&codes2).unwrap())
                .to_dtype(DType::F64)
                .unwrap()
                .sum_all()
                .unwrap()
                .to_scalar::<f64>()
                .unwrap();
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
        let z = Rng::new(3)
            .normal_tensor((n, 2), DType::F64, &Device::Cpu)
            .unwrap();
        let mut total = vec![0.0; n];
        let mut words = vec![0; n];
        for word in 0..3usize.pow(layers as u32) {
            let digits: Vec<u8> = (0..layers)
                .map(|l| (word / 3usize.pow(l as u32) % 3) as u8)
                .collect();
            let codes = Tensor::from_vec(digits.repeat(n), (n, layers), &Device::Cpu).unwrap();
            let x = model.unfold(&z, &codes).unwrap();
            let (back, lambda, got) = model.fold(&x).unwrap();
            let gap = to_vec(&(back - &z).unwrap()).unwrap();
            let got = got.to_vec2::<u8>().unwrap();
            let lambda = to_vec(&lambda).unwrap();
            for i in 0..n {
                if got[i] == digits && gap[2 * i].abs().max(gap[2 * i + 1].abs()) < 1e-8 {
                    words[i] += 1;
                    total[i] += (lambda[i] - log_jacobian(&model, &x, i)).exp();
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

/// log|det dz/dx| at row `i`, by central differences of the fold.
fn log_jacobian(model: &Rad, x: &Tensor, i: usize) -> f64 {
    let row = to_vec(&x.narrow(0, i, 1).unwrap()).unwrap();
    let h = 1e-7;
    let z = |dx: f64, dy: f64| {
        let at = from_rows(&[row[0] + dx, row[1] + dy], 2, DType::F64, &Device::Cpu).unwrap();
        to_vec(&model.fold(&at).unwrap().0).unwrap()
    };
    let (right, left, up, down) = (z(h, 0.0), z(-h, 0.0), z(0.0, h), z(0.0, -h));
    let d = |a: &[f64], b: &[f64], k: usize| (a[k] - b[k]) / (2.0 * h);
    let det = d(&right, &left, 0) * d(&up, &down, 1) - d(&right, &left, 1) * d(&up, &down, 0);
    det.abs().ln()
}

/// The nodes see the kinks of log q to within their spacing, 2.4e-4.
///
/// d/dtheta of E_p\[log q\], p a mixture of two Gaussians: automatic differentiation of a
/// quadrature with fixed nodes against finite differences. Where log q jumped at a border, the
/// first would miss the border's own motion.
#[test]
fn boundary_gradients_are_seen_by_automatic_differentiation() {
    let cells = 100_000;
    let h = 24.0 / f64::from(cells);
    let nodes: Vec<f64> = (0..cells)
        .map(|i| -12.0 + (f64::from(i) + 0.5) * h)
        .collect();
    let p = |x: f64| {
        let n = |m: f64, s: f64| (-0.5 * ((x - m) / s).powi(2)).exp() / (s * 2.506_628_274_631);
        0.6 * n(-1.0, 0.9) + 0.4 * n(1.4, 0.8)
    };
    let weights: Vec<f64> = nodes.iter().map(|&x| p(x) * h).collect();
    let (nodes, weights) = (
        column(&nodes),
        Tensor::from_vec(weights, cells as usize, &Device::Cpu).unwrap(),
    );
    for gates in GATES {
        let (params, model) = rad(1, gates, 1, 0.4, 5);
        let objective = || {
            (model.log_prob(&nodes).unwrap() * &weights)
                .unwrap()
                .sum_all()
                .unwrap()
        };
        let gradients = objective().backward().unwrap();
        let mut largest = 0.0f64;
        for (name, var) in params.trainable() {
            let start = to_vec(var.as_tensor()).unwrap();
            let got = to_vec(gradients.get(var.as_tensor()).unwrap()).unwrap();
            for i in 0..start.len() {
                let at = |by: f64| {
                    let mut v = start.clone();
                    v[i] += by;
                    let t = Tensor::from_vec(v, var.shape().clone(), &Device::Cpu).unwrap();
                    var.set(&t).unwrap();
                    objective().to_scalar::<f64>().unwrap()
                };
                let expected = (at(1e-3) - at(-1e-3)) / 2e-3;
                at(0.0);
                largest = largest.max(expected.abs());
                assert!(
                    (got[i] - expected).abs() < 1e-3,
                    "{gates:?} {name}[{i}]: {} against {expected}",
                    got[i]
                );
            }
        }
        assert!(largest > 1e-2, "{gates:?}: {largest}");
    }

    // The control: free gates jump at the folds, and the almost-everywhere gradient is wrong.
    let h = 24.0 / 400_000.0;
    let rows: Vec<f64> = (0..400_000)
        .map(|i| -12.0 + (f64::from(i) + 0.5) * h)
        .collect();
    let weights: Vec<f64> = rows.iter().map(|&x| p(x) * h).collect();
    let missed = |free_gates: bool| {
        let at = |m: f64, x: f64| {
            Plain {
                m,
                ..Plain::example(free_gates, false)
            }
            .log_prob(x)
        };
        let e = 1e-4;
        let total = |m: f64| -> f64 { rows.iter().zip(&weights).map(|(x, w)| w * at(m, *x)).sum() };
        let difference = (total(0.3 + e) - total(0.3 - e)) / (2.0 * e);
        // Between the folds d/dm log q = -d/dx log q, taken on one side of every knot.
        let knots = Plain::example(free_gates, false).knots();
        let gradient: f64 = rows
            .iter()
            .zip(&weights)
            .filter(|(x, _)| knots.iter().all(|k| (*x - k).abs() > 1e-3))
            .map(|(x, w)| w * (at(0.3 + e, *x) - at(0.3 - e, *x)) / (2.0 * e))
            .sum();
        (difference - gradient).abs()
    };
    assert!(missed(false) < 5e-3, "{}", missed(false));
    assert!(missed(true) > 0.05, "{}", missed(true));
}

#[test]
fn single_precision_follows_double() {
    let (params, model) = rad(4, Gates::Edge, 2, 0.2, 9);
    let loaded = Params::from_tensors(params.snapshot().unwrap(), DType::F32, &Device::Cpu);
    let single = Rad::build(&spec(4, Gates::Edge), &loaded, 2, None).unwrap();
    let x = model.sample(2000, &mut Rng::new(4)).unwrap();
    let exact = to_vec(&model.log_prob(&x).unwrap()).unwrap();
    let close = to_vec(&single.log_prob(&x.to_dtype(DType::F32).unwrap()).unwrap()).unwrap();
    let mut errors: Vec<f64> = exact
        .iter()
        .zip(&close)
        .map(|(a, b)| (a - b).abs() / a.abs().max(1.0))
        .collect();
    errors.sort_by(f64::total_cmp);
    assert!(errors[1980] < 1e-4, "{}", errors[1980]);
    let far = Tensor::new(&[[50f32, -50.0], [-50.0, 50.0]], &Device::Cpu).unwrap();
    assert!(to_vec(&single.log_prob(&far).unwrap())
        .unwrap()
        .iter()
        .all(|v| v.is_finite()));
}
