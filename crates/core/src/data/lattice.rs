//! Randomly shifted lattices: means over the unit cube in any dimension, with a measured error.

use statrs::function::erf::erfc_inv;

use super::quadrature::Estimate;
use super::sampling::Modes;
use super::truth::log_density;
use super::Truth;
use crate::rng::Rng;

const SHIFTS: usize = 16;

/// Richtmyer's sequence: point i is frac(i sqrt(p_d) + shift_d) with p_d the d-th prime. Its
/// means of smooth functions converge almost as 1/n, and a uniform shift makes them unbiased
/// (Niederreiter 1992, Random Number Generation and Quasi-Monte Carlo Methods, section 4).
#[derive(Debug)]
pub(super) struct Lattice {
    steps: Vec<f64>,
}

impl Lattice {
    pub(super) fn new(dim: usize) -> Self {
        let mut primes: Vec<u32> = Vec::with_capacity(dim);
        let mut candidate = 2;
        while primes.len() < dim {
            let composite = primes
                .iter()
                .take_while(|p| *p * *p <= candidate)
                .any(|p| candidate % p == 0);
            if !composite {
                primes.push(candidate);
            }
            candidate += 1;
        }
        Self {
            steps: primes
                .iter()
                .map(|p| f64::from(*p).sqrt().fract())
                .collect(),
        }
    }

    /// Writes point `i` of the sequence with this shift.
    pub(super) fn point(&self, i: usize, shift: &[f64], out: &mut [f64]) {
        for ((u, step), s) in out.iter_mut().zip(&self.steps).zip(shift) {
            // The open interval: the normal quantiles of 0 and 1 are infinite.
            *u = (i as f64 * step + s).fract().clamp(1e-16, 1.0 - 1e-16);
        }
    }
}

/// The standard normal quantile of `u`.
pub(super) fn normal_quantile(u: f64) -> f64 {
    -std::f64::consts::SQRT_2 * erfc_inv(2.0 * u)
}

/// The mean over random shifts of `estimate(n, shift)` with its standard error, n doubled until
/// the error is below `tolerance` or n above `max_n`. The shifts are always the same ones.
pub(super) fn shifted_mean(
    dim: usize,
    tolerance: f64,
    max_n: usize,
    mut estimate: impl FnMut(usize, &[f64]) -> f64,
) -> Estimate {
    let mut rng = Rng::new(0).fork("lattice");
    let shifts: Vec<Vec<f64>> = (0..SHIFTS)
        .map(|_| (0..dim).map(|_| rng.uniform()).collect())
        .collect();
    let mut n = 64;
    loop {
        let values: Vec<f64> = shifts.iter().map(|shift| estimate(n, shift)).collect();
        let value = values.iter().sum::<f64>() / SHIFTS as f64;
        let squares: f64 = values.iter().map(|v| (v - value).powi(2)).sum();
        let error = (squares / (SHIFTS * (SHIFTS - 1)) as f64).sqrt();
        if error < tolerance || 2 * n > max_n {
            return Estimate { value, error };
        }
        n *= 2;
    }
}

/// Where [`mean_surprise`] stops refining.
const TOLERANCE: f64 = 2e-5;
const MAX_N: usize = 1 << 14;

/// H = E[-log p(X)] of a law in the plane. `place(j, u, x)` writes a point of mode j to `x` for a
/// uniform u in `dim` dimensions and returns a number of mean 0 over u: what it takes away from the
/// spread of -log p makes the mean more precise. The modes are taken in turn, each for its share of
/// the points: a stretch of the sequence is as even as its beginning.
pub(super) fn mean_surprise(
    law: &dyn Truth,
    modes: &Modes,
    dim: usize,
    place: impl Fn(usize, &[f64], &mut [f64]) -> f64,
) -> Estimate {
    let lattice = Lattice::new(dim);
    let (mut u, mut x) = (vec![0.0; dim], [0.0; 2]);
    shifted_mean(dim + 1, TOLERANCE, MAX_N, |n, shift| {
        let mut sum = 0.0;
        for i in 0..n {
            let mode = modes.at((i as f64 + shift[0]) / n as f64);
            lattice.point(i, &shift[1..], &mut u);
            sum += place(mode, &u, &mut x) - log_density(law, &x);
        }
        sum / n as f64
    })
}

#[cfg(test)]
mod tests {
    use super::{normal_quantile, shifted_mean, Lattice};

    #[test]
    fn means_of_known_value() {
        // E prod_d (1 + z_d^2 / 2) = 1.5^5 for independent standard normal z_d.
        let lattice = Lattice::new(5);
        let mut u = vec![0.0; 5];
        let got = shifted_mean(5, 1e-2, 1 << 14, |n, shift| {
            let sum: f64 = (0..n)
                .map(|i| {
                    lattice.point(i, shift, &mut u);
                    let factor = |u: &f64| 1.0 + normal_quantile(*u).powi(2) / 2.0;
                    u.iter().map(factor).product::<f64>()
                })
                .sum();
            sum / n as f64
        });
        assert!(
            (got.value - 1.5f64.powi(5)).abs() < 4.0 * got.error,
            "{got:?}"
        );
        assert!(got.error < 2e-2, "{got:?}");
    }
}
