//! The two rules that make a fold's density continuous, in plain numbers and with each switched off
//! in turn, and the boundary gradient that automatic differentiation sees only because of them.

use candle_core::{DType, Device, Tensor};

use super::rad::Rad;
use super::rad_proofs::{column, rad, spec, GATES};
use super::testing::{loaded, log_prob, values};
use super::Gates;
use crate::distributions::Distribution;
use crate::num::largest;
use crate::num::testing::{differences, gradients, Faults};

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
        let jump = |k: f64| (self.log_prob(k + 1e-9) - self.log_prob(k - 1e-9)).abs();
        largest(self.knots().map(jump))
    }

    fn mass(&self) -> f64 {
        // Midpoints between the knots, so that no cell straddles a jump.
        let mut edges = vec![-60.0];
        edges.extend(self.knots());
        edges.push(60.0);
        let n = 40_000;
        let piece = |w: &[f64]| -> f64 {
            let h = (w[1] - w[0]) / f64::from(n);
            let cell = |i| self.log_prob(w[0] + (f64::from(i) + 0.5) * h).exp() * h;
            (0..n).map(cell).sum()
        };
        edges.windows(2).map(piece).sum()
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

/// Nodes on [-12, 12] and their weights for E_p, p a mixture of two Gaussians.
fn quadrature(cells: u32) -> (Vec<f64>, Vec<f64>) {
    let h = 24.0 / f64::from(cells);
    let node = |i| -12.0 + (f64::from(i) + 0.5) * h;
    let nodes: Vec<f64> = (0..cells).map(node).collect();
    let normal = |x: f64, m: f64, s: f64| (-0.5 * ((x - m) / s).powi(2)).exp() / s;
    let p = |x: &f64| 0.6 * normal(*x, -1.0, 0.9) + 0.4 * normal(*x, 1.4, 0.8);
    let norm = (0.5 * crate::num::LN_2PI).exp();
    let weights = nodes.iter().map(|x| p(x) * h / norm).collect();
    (nodes, weights)
}

/// d/dtheta of E_p\[log q\]: automatic differentiation of a quadrature with fixed nodes against
/// finite differences. Where log q jumped at a border, the first would miss the motion of the
/// border. The nodes see the kinks of log q to within their spacing, 4.8e-4.
#[test]
fn boundary_gradients_are_seen_by_automatic_differentiation() {
    let (nodes, weights) = quadrature(50_000);
    let (nodes, weights) = (column(&nodes), column(&weights).squeeze(1).unwrap());
    let mut faults = Faults::default();
    for gates in GATES {
        let (params, model) = rad(1, gates, 1, 0.4, 5);
        let objective = || {
            let each = (model.log_prob(&nodes).unwrap() * &weights).unwrap();
            each.sum_all().unwrap()
        };
        let (names, vars): (Vec<_>, Vec<_>) = params.trainable().into_iter().unzip();
        let mut seen = Vec::new();
        for ((name, var), got) in names.iter().zip(&vars).zip(gradients(&objective(), &vars)) {
            let expected = differences(var, 1e-3, || values(&objective())[0]);
            let what = format!("{gates:?} {name}");
            faults.near(&what, &got, &expected, |_| 1e-3);
            seen.extend(expected.into_iter().map(f64::abs));
        }
        let seen = largest(seen);
        assert!(seen > 1e-2, "{gates:?}: {seen}");
    }
    faults.none();

    // The control: free gates jump at the folds, and the almost-everywhere gradient is wrong.
    let (nodes, weights) = quadrature(400_000);
    let missed = |free_gates: bool| {
        let e = 1e-4;
        let example = |m: f64| Plain {
            m,
            ..Plain::example(free_gates, false)
        };
        let (above, below) = (example(0.3 + e), example(0.3 - e));
        let slope = |x: f64| (above.log_prob(x) - below.log_prob(x)) / (2.0 * e);
        // Between the folds d/dm log q = -d/dx log q, taken on one side of every knot.
        let knots = example(0.3).knots();
        let near_a_knot = |x: f64| knots.iter().any(|k| !((x - k).abs() > 1e-3));
        let all = nodes.iter().zip(&weights);
        let missed: f64 = all
            .filter(|(x, _)| near_a_knot(**x))
            .map(|(x, w)| w * slope(*x))
            .sum();
        missed.abs()
    };
    assert!(missed(false) < 5e-3, "{}", missed(false));
    assert!(missed(true) > 0.05, "{}", missed(true));
}
