//! The law of a relaxed sample on a grid.

use std::f64::consts::PI;

use super::quadrature::over_weights;
use super::{RelaxedRow, StudyMixture};
use crate::num::{log_sum_exp_slice, LN_2PI};
use crate::{Error, Result};

/// Euler's constant.
const EULER: f64 = 0.577_215_664_901_532_9;

/// Standard deviations beyond the outermost means that the grid reaches.
const REACH: f64 = 9.5;

/// Grid points to the smallest standard deviation.
const FINENESS: f64 = 20.0;

/// p(z) = E_c\[N(z; c.mu, c.sigma)\] at one temperature, by quadrature over c on equal steps of z, and
/// what follows from it by sums over the steps (which converge faster than any power).
#[derive(Debug, Clone)]
pub struct RelaxedLaw {
    low: f64,
    step: f64,
    log_p: Vec<f64>,
    row: RelaxedRow,
}

/// sum_z f(z).
fn sum(values: impl Iterator<Item = f64>) -> f64 {
    values.sum()
}

impl RelaxedLaw {
    /// # Errors
    /// If the mass is not 1 to 1e-7: components too far apart for the quadrature.
    pub fn new(of: &StudyMixture, temperature: f64) -> Result<Self> {
        let (low, high) = of.ends(REACH);
        let step = of.narrowest() / FINENESS;
        let cells = ((high - low) / step).ceil() as usize + 1;
        let (mut p, mut p_squared) = (vec![0.0; cells], vec![0.0; cells]);
        let (mut log_sums, mut log_stds) = (0.0, 0.0);
        over_weights(of, temperature, |weight, c, log_sum| {
            let dot = |v: &[f64]| c.iter().zip(v).map(|(c, v)| c * v).sum::<f64>();
            let (mean, std) = (dot(&of.means), dot(&of.std_devs));
            log_sums += weight * log_sum;
            log_stds += weight * std.ln();
            if weight > 1e-40 {
                let at = ((mean - low) / step, std / step);
                add_gaussian(&mut p, &mut p_squared, weight, at, step);
            }
        });
        let mass = sum(p.iter().copied()) * step;
        if !((mass - 1.0).abs() < 1e-7) {
            return Err(Error::failed(format!(
                "the relaxed mixture at temperature {temperature}: expected mass 1 by quadrature; \
                 got {mass} (try means nearer to each other, or other temperatures)"
            )));
        }
        let log_p: Vec<f64> = p.iter().map(|p| p.ln()).collect();
        let z = |i: usize| low + step * i as f64;
        let log_m: Vec<f64> = (0..cells).map(|i| log_mixture(of, z(i))).collect();
        let over = |f: &dyn Fn(usize) -> f64| step * sum((0..cells).map(f));
        let inside = |i: usize| p[i] > 0.0;
        let entropy = over(&|i| if inside(i) { -p[i] * log_p[i] } else { 0.0 });
        let exact_mixture = over(&|i| -p[i] * log_m[i]);
        let kl_from_mixture = over(&|i| match inside(i) {
            true => log_m[i].exp() * (log_m[i] - log_p[i]),
            false => 0.0,
        });
        let mean = over(&|i| p[i] * z(i));
        let k = of.weights.len() as f64;
        let sum_log_alpha: f64 = of.weights.iter().map(|w| w.ln()).sum();
        // Entropy of the log ratios, and E sum_k log c_k, which leads to the simplex.
        let log_ratios = -libm::lgamma(k) - (k - 1.0) * temperature.ln() + k * (EULER + digamma(k));
        let weights = log_ratios + sum_log_alpha / temperature - k * log_sums;
        let joint_entropy = weights + 0.5 * (LN_2PI + 1.0) + log_stds;
        let row = RelaxedRow {
            temperature,
            entropy,
            exact_mixture,
            kl_to_mixture: exact_mixture - entropy,
            kl_from_mixture,
            total_variation: 0.5 * over(&|i| (p[i] - log_m[i].exp()).abs()),
            mean,
            variance: over(&|i| p[i] * (z(i) - mean).powi(2)),
            joint_entropy,
            conditional_entropy: joint_entropy - entropy,
            chi2: over(&|i| if inside(i) { p_squared[i] / p[i] } else { 0.0 }) - 1.0,
        };
        Ok(Self {
            low,
            step,
            log_p,
            row,
        })
    }

    /// The law in numbers.
    pub fn row(&self) -> RelaxedRow {
        self.row
    }

    /// log p(z), nats, by the polynomial through the four nearest grid points; beyond the grid its
    /// value at the end.
    pub fn log_p(&self, z: f64) -> f64 {
        let last = self.log_p.len() - 1;
        let at = ((z - self.low) / self.step).clamp(0.0, last as f64);
        let first = (at.floor() as usize).clamp(1, last - 2) - 1;
        let t = at - first as f64;
        let near = &self.log_p[first..first + 4];
        let (a, b, c, d) = (t, t - 1.0, t - 2.0, t - 3.0);
        near[0] * (b * c * d / -6.0)
            + near[1] * (a * c * d / 2.0)
            + near[2] * (a * b * d / -2.0)
            + near[3] * (a * b * c / 6.0)
    }
}

/// Adds weight N(z; mean, std) and weight N(z; mean, std)^2 on a grid where the Gaussian stands `at`
/// (mean, std) in steps. From its middle outwards a Gaussian is a product of ratios that themselves
/// have a constant ratio.
fn add_gaussian(
    p: &mut [f64],
    p_squared: &mut [f64],
    weight: f64,
    (mean, std): (f64, f64),
    step: f64,
) {
    let top = 1.0 / (std * step * (2.0 * PI).sqrt());
    let reach = (REACH * std).ceil();
    let middle = mean.round();
    let offset = middle - mean;
    let bend = (-1.0 / (std * std)).exp();
    for (sign, start) in [(1.0, 0.0), (-1.0, 1.0)] {
        let x = (offset + sign * start) / std;
        let mut density = top * (-0.5 * x * x).exp();
        let mut ratio = (-(0.5 + sign * (offset + sign * start)) / (std * std)).exp();
        let mut at = middle + sign * start;
        for _ in 0..reach as usize {
            if at >= 0.0 && at < p.len() as f64 {
                let i = at as usize;
                p[i] += weight * density;
                p_squared[i] += weight * density * density;
            }
            density *= ratio;
            ratio *= bend;
            at += sign;
        }
    }
}

/// log sum_k alpha_k N(z; mu_k, sigma_k).
fn log_mixture(of: &StudyMixture, z: f64) -> f64 {
    let terms = of.weights.iter().zip(&of.means).zip(&of.std_devs);
    let terms = terms.map(|((w, m), s)| {
        let x = (z - m) / s;
        w.ln() - s.ln() - 0.5 * (x * x + LN_2PI)
    });
    log_sum_exp_slice(&terms.collect::<Vec<_>>())
}

/// psi(k) of a whole number.
fn digamma(k: f64) -> f64 {
    (1..k as usize).map(|i| 1.0 / i as f64).sum::<f64>() - EULER
}
