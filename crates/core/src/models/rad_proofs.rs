//! What a folded layer must obey beyond the laws of models: continuity across every fold, the sum
//! over all pre-images, one fold against plain formulas, and a gradient that includes the motion of
//! the folds.

use candle_core::{DType, Device, Tensor, Var};

use super::rad::Rad;
use super::testing::{largest_gap, loaded, log_prob, rows, values};
use super::{Gates, RadSpec};
use crate::distributions::Distribution;
use crate::nn::mlp::Activation;
use crate::nn::params::{slopes_along, Params};
use crate::num::largest;
use crate::num::testing::{gradients, log_abs_dets, normal};
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
    rows(values, 1)
}

/// On segments between random points with different branch codes, log q and z have no jump where the
/// code changes; the place is found by bisection.
#[test]
fn density_is_continuous_across_every_fold() {
    for (gates, dim) in GATES.into_iter().flat_map(|gates| [(gates, 1), (gates, 2)]) {
        let (_, model) = rad(3, gates, dim, 0.3, 8);
        let parts = |x: &[f64]| model.part(&rows(x, dim)).unwrap().unwrap();
        let (n, mut rng) = (400, Rng::new(2));
        let mut ends = [0, 1].map(|_| values(&normal(n, dim, 2.0, &mut rng)));
        let [first, other] = ends.each_ref().map(|end| parts(end));
        for _ in 0..60 {
            let pairs = ends[0].iter().zip(&ends[1]);
            let middle: Vec<f64> = pairs.map(|(a, b)| 0.5 * (a + b)).collect();
            for (i, code) in parts(&middle).into_iter().enumerate() {
                let own = dim * i..dim * (i + 1);
                let side = usize::from(code != first[i]);
                ends[side][own.clone()].copy_from_slice(&middle[own]);
            }
        }
        let ends = ends.map(|end| rows(&end, dim));
        let [l, other_l] = ends.each_ref().map(|end| log_prob(&model, end));
        let [z, other_z] = ends.map(|end| values(&model.fold(&end).unwrap().0));
        let crossings: Vec<usize> = (0..n).filter(|&i| first[i] != other[i]).collect();
        assert!(crossings.len() > 100, "{gates:?}, D = {dim}");
        for i in crossings {
            let own = dim * i..dim * (i + 1);
            let jump = (l[i] - other_l[i]).abs();
            let gap = largest_gap(&z[own.clone()], &other_z[own]);
            assert!(
                jump < 1e-6 && gap < 1e-8,
                "{gates:?}, D = {dim}: jump {jump:e}, z {gap:e}"
            );
        }
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
            let x = Var::from_tensor(&model.unfold(&z, &codes).unwrap()).unwrap();
            let (back, lambda, got) = model.fold(&x).unwrap();
            let log_jacobian = log_abs_dets(&back, &x);
            let gap = values(&(back - &z).unwrap());
            let got = got.to_vec2::<u8>().unwrap();
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

/// One fold in plain numbers, without one of the two rules that make it continuous if asked.
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
        let jump = |k: f64| (self.log_prob(k + 1e-9) - self.log_prob(k - 1e-9)).abs();
        largest(self.knots().map(jump))
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
fn the_continuity_rules_are_needed() {
    let jump = |free_gates, plain_tails| Plain::example(free_gates, plain_tails).largest_jump();
    assert!(jump(false, false) < 1e-6);
    assert!(jump(true, false) > 0.1 && jump(false, true) > 0.1);
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
    let params = loaded(tensors.into_iter().collect(), DType::F64);
    let model = Rad::build(&spec(1, Gates::Edge), &params, 1, None).unwrap();
    let x: Vec<f64> = (0..400).map(|i| -5.0 + 0.025 * f64::from(i)).collect();
    for (x, got) in x.iter().zip(log_prob(&model, &column(&x))) {
        let expected = plain.log_prob(*x);
        assert!(
            (got - expected).abs() < 1e-12,
            "{x}: {got} against {expected}"
        );
    }
}

/// The gradient of E_p\[log q\] for a mixture p of two Gaussians, along random directions: automatic
/// differentiation of a quadrature with fixed nodes against finite differences. Where log q jumped at
/// a border, the first would miss the motion of the border. The nodes see the kinks of log q to
/// within their spacing, 4.8e-4.
#[test]
fn boundary_gradients_are_seen_by_automatic_differentiation() {
    let h = 24.0 / 50_000.0;
    let nodes: Vec<f64> = (0..50_000)
        .map(|i| -12.0 + (f64::from(i) + 0.5) * h)
        .collect();
    let normal = |x: f64, m: f64, s: f64| (-0.5 * ((x - m) / s).powi(2)).exp() / s;
    let p = |x: &f64| 0.6 * normal(*x, -1.0, 0.9) + 0.4 * normal(*x, 1.4, 0.8);
    let norm = (0.5 * crate::num::LN_2PI).exp();
    let weights: Vec<f64> = nodes.iter().map(|x| p(x) * h / norm).collect();
    let (nodes, weights) = (column(&nodes), column(&weights).squeeze(1).unwrap());
    for gates in GATES {
        let (params, model) = rad(1, gates, 1, 0.4, 5);
        let objective = || {
            let each = (model.log_prob(&nodes).unwrap() * &weights).unwrap();
            each.sum_all().unwrap()
        };
        let vars = params.trained();
        let gradient = gradients(&objective(), &vars).concat();
        for direction in 0..3 {
            let rng = &mut Rng::new(3).fork_at("direction", direction);
            let value = || values(&objective())[0];
            let [got, expected] = slopes_along(&vars, &gradient, 1e-3, rng, value);
            assert!(
                (got - expected).abs() < 1e-3 * expected.abs().max(1.0) && expected.abs() > 1e-2,
                "{gates:?}: {got} against {expected}"
            );
        }
    }
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
