//! Nodes and weights for means under N(0, I).

use candle_core::{DType, Device, Tensor};
use statrs::function::erf::erfc_inv;

use crate::num::{self, LN_2PI};
use crate::rng::Rng;
use crate::Result;

/// Nodes (m, D) and their weights (m, 1): E\[f\] ~ sum_i weights_i f(nodes_i) under N(0, I).
///
/// In one and two dimensions they are a regular grid in a ball, weighted with the density: the
/// trapezoidal rule, which converges faster than any power of the spacing for smooth functions that
/// decay. The grid is rotated, so that kinks along the axes or diagonals do not lie along it. In more
/// dimensions they are a Kronecker sequence with the generalised golden ratio, mapped by the normal
/// quantile. `shift` moves all nodes by a uniform part of a cell, or of the unit cube, which makes
/// the mean unbiased. `fine` nodes are for the density that is evaluated, others for one step of
/// training.
pub(super) fn nodes(
    dim: usize,
    fine: bool,
    shift: Option<&mut Rng>,
    dtype: DType,
    device: &Device,
) -> Result<[Tensor; 2]> {
    let shift: Vec<f64> = match shift {
        Some(rng) => (0..dim).map(|_| rng.uniform()).collect(),
        None => vec![0.5; dim],
    };
    let (rows, weights) = match (dim, fine) {
        (1, false) => grid(1, 1.0 / 32.0, 6.0, &shift),
        (1, true) => grid(1, 1.0 / 256.0, 8.0, &shift),
        (2, false) => grid(2, 0.3, 5.0, &shift),
        (2, true) => grid(2, 1.0 / 16.0, 6.5, &shift),
        (_, false) => sequence(dim, 1 << 10, &shift),
        (_, true) => sequence(dim, 1 << 16, &shift),
    };
    Ok([
        num::from_rows(&rows, dim, dtype, device)?,
        num::from_rows(&weights, 1, dtype, device)?,
    ])
}

/// The weights are normalised, so that the mean of a constant is exact.
fn grid(dim: usize, spacing: f64, radius: f64, shift: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let reach = (radius / spacing).ceil() as i64 + 1;
    let axis = |d: usize| (-reach..=reach).map(move |i| spacing * (i as f64 + shift[d] - 0.5));
    // The slope of the golden ratio, far from every ratio of small whole numbers.
    let (sin, cos) = ((5f64.sqrt() - 1.0) / 2.0).atan().sin_cos();
    let (mut rows, mut weights) = (Vec::new(), Vec::new());
    let mut add = |point: &[f64]| {
        let square: f64 = point.iter().map(|v| v * v).sum();
        if square <= radius * radius {
            rows.extend_from_slice(point);
            weights.push((-0.5 * square - 0.5 * LN_2PI * dim as f64).exp());
        }
    };
    for x in axis(0) {
        match dim {
            1 => add(&[x]),
            _ => axis(1).for_each(|y| add(&[cos * x - sin * y, sin * x + cos * y])),
        }
    }
    let total: f64 = weights.iter().sum();
    weights.iter_mut().for_each(|w| *w /= total);
    (rows, weights)
}

/// frac(shift_d + i g^-(d+1)), g the positive root of g^(D+1) = g + 1 (Roberts 2018), which fills the
/// cube evenly in any dimension.
fn sequence(dim: usize, n: usize, shift: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let mut golden = 2f64;
    for _ in 0..64 {
        golden = (1.0 + golden).powf(1.0 / (dim as f64 + 1.0));
    }
    let mut rows = Vec::with_capacity(n * dim);
    for i in 1..=n {
        let mut step = 1.0;
        for s in shift {
            step /= golden;
            // The quantiles of 0 and 1 are infinite.
            let u = (s + i as f64 * step).fract().clamp(1e-16, 1.0 - 1e-16);
            rows.push(-std::f64::consts::SQRT_2 * erfc_inv(2.0 * u));
        }
    }
    (rows, vec![1.0 / n as f64; n])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::num::testing::values;

    /// E\[prod_d cos(w z_d)\] = exp(-D w^2 / 2), and a kinked one, E |z_1| = sqrt(2 / pi).
    #[test]
    fn means_are_the_known_ones() {
        let mut rng = Rng::new(1);
        for (dim, fine, tolerances) in [
            (1, false, [1e-8, 1e-4]),
            (1, true, [1e-12, 2e-6]),
            (2, false, [1e-5, 2e-3]),
            (2, true, [1e-9, 2e-6]),
            (3, true, [5e-4, 1e-3]),
            (8, true, [3e-3, 1e-3]),
        ] {
            for shift in [false, true] {
                let shift = shift.then_some(&mut rng);
                let found = nodes(dim, fine, shift, DType::F64, &Device::Cpu).unwrap();
                let [rows, weights] = found.map(|t| values(&t));
                let mean = |f: &dyn Fn(&[f64]) -> f64| -> f64 {
                    rows.chunks(dim).zip(&weights).map(|(z, w)| w * f(z)).sum()
                };
                let w = 0.8;
                let wave = mean(&|z| z.iter().map(|v| (w * v).cos()).product());
                let kink = mean(&|z| z[0].abs());
                let gaps = [
                    (wave - (-0.5 * w * w * dim as f64).exp()).abs(),
                    (kink - (2.0 / std::f64::consts::PI).sqrt()).abs(),
                ];
                assert!((mean(&|_| 1.0) - 1.0).abs() < 1e-9);
                assert!(
                    gaps[0] < tolerances[0] && gaps[1] < tolerances[1],
                    "{dim} {fine} {gaps:?}"
                );
            }
        }
    }
}
