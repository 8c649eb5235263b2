//! The two rules that make a fold's density continuous, in plain numbers and with each switched off
//! in turn, and the boundary gradient that automatic differentiation sees only because of them.

use candle_core::{DType, Device, Tensor};

use super::rad::Rad;
use super::rad_proofs::{column, log_prob, rad, spec, GATES};
use super::Gates;
use crate::distributions::Distribution;
use crate::nn::Params;
use crate::num::to_vec;

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

/// d/dtheta of E_p\[log q\], p a mixture of two Gaussians: automatic differentiation of a
/// quadrature with fixed nodes against finite differences. Where log q jumped at a border, the
/// first would miss the border's own motion. The nodes see the kinks of log q to within their
/// spacing, 2.4e-4.
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
