//! Gauss-Legendre quadrature.

use std::f64::consts::PI;

/// Gauss-Legendre rule on [0, 1]: int_0^1 f ~ sum_i weights[i] f(nodes[i]), exact for
/// polynomials of degree 2 n - 1.
#[derive(Debug)]
pub(crate) struct GaussLegendre {
    pub(crate) nodes: Vec<f64>,
    pub(crate) weights: Vec<f64>,
}

impl GaussLegendre {
    /// The roots of the Legendre polynomial P_n, by Newton's method from
    /// cos(pi (i + 3/4) / (n + 1/2)) (Abramowitz and Stegun 22.16.6).
    pub(crate) fn new(n: usize) -> Self {
        let (nodes, weights) = (0..n)
            .map(|i| {
                let mut x = (PI * (i as f64 + 0.75) / (n as f64 + 0.5)).cos();
                for _ in 0..10 {
                    let (value, slope) = legendre(n, x);
                    x -= value / slope;
                }
                let slope = legendre(n, x).1;
                ((1.0 - x) / 2.0, 1.0 / ((1.0 - x * x) * slope * slope))
            })
            .unzip();
        Self { nodes, weights }
    }
}

/// P_n(x) and its derivative, by the three-term recurrence.
fn legendre(n: usize, x: f64) -> (f64, f64) {
    let (mut before, mut value) = (1.0, x);
    for k in 2..=n {
        let k = k as f64;
        (before, value) = (
            value,
            ((2.0 * k - 1.0) * x * value - (k - 1.0) * before) / k,
        );
    }
    (value, n as f64 * (x * value - before) / (x * x - 1.0))
}

#[cfg(test)]
mod tests {
    use super::GaussLegendre;

    #[test]
    fn gauss_legendre_is_exact_for_polynomials() {
        for n in [1, 2, 5, 24, 32] {
            let rule = GaussLegendre::new(n);
            for degree in 0..2 * n as i32 {
                let terms = rule.nodes.iter().zip(&rule.weights);
                let got: f64 = terms.map(|(x, w)| w * x.powi(degree)).sum();
                let want = 1.0 / f64::from(degree + 1);
                assert!((got - want).abs() < 1e-14, "n={n} degree={degree}: {got}");
            }
        }
    }
}
