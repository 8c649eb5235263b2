//! The relaxed categorical distribution (Gumbel-softmax, Jang et al. 2017; Concrete, Maddison et al.
//! 2017): c = softmax((log alpha + g) / tau) with independent g_k = -ln(-ln u_k), points of the simplex
//! that concentrate in its corners as the temperature tau falls.
//!
//! Everything is carried as log c: at temperature 0.01 most samples have a c_k that is 0 in single
//! precision.

use candle_core::Tensor;

use crate::num;
use crate::rng::Rng;
use crate::Result;

/// -ln(-ln u) for u in (0, 1).
pub(super) fn gumbel(u: f64) -> f64 {
    -(-u.ln()).ln()
}

/// `count` Gumbel numbers in double precision: single precision would cut their tail at 17.
pub(super) fn gumbels(count: usize, rng: &mut Rng) -> Vec<f64> {
    (0..count).map(|_| gumbel(rng.uniform())).collect()
}

/// log c (n, K) from log alpha (1, K), normalised or not, and n K Gumbel numbers, row by row;
/// differentiable in log alpha.
pub(super) fn log_sample(log_alpha: &Tensor, tau: f64, gumbels: &[f64]) -> Result<Tensor> {
    let (k, dtype) = (log_alpha.dim(1)?, log_alpha.dtype());
    let gumbels = num::from_rows(gumbels, k, dtype, log_alpha.device())?;
    num::log_softmax(&(gumbels.broadcast_add(log_alpha)? * (1.0 / tau))?)
}

/// log p(c) by Lebesgue measure of the log ratios ln(c_k / c_K), k < K, nats, of samples with these
/// Gumbel numbers, K per sample:
///
/// ln Gamma(K) + (K - 1) ln tau - sum_k g_k - K ln sum_k exp(-g_k)
///
/// in which nothing depends on alpha: moving with the weights, a sample keeps its density. By
/// Lebesgue measure of c_1 .. c_(K-1) it is larger by -sum_k log c_k.
pub(super) fn log_density_of_noise(components: usize, tau: f64, gumbels: &[f64]) -> Vec<f64> {
    let k = components as f64;
    let constant = libm::lgamma(k) + (k - 1.0) * tau.ln();
    let each = gumbels.chunks_exact(components).map(|g| {
        let total: f64 = g.iter().map(|g| (-g).exp()).sum();
        constant - g.iter().sum::<f64>() - k * total.ln()
    });
    each.collect()
}

/// One-hot of the largest, (n, K), with the gradient of c itself.
pub(super) fn straight_through(log_c: &Tensor) -> Result<Tensor> {
    let (_, k) = log_c.dims2()?;
    let index = Tensor::arange(0, k as u32, log_c.device())?.unsqueeze(0)?;
    let largest = log_c.detach().argmax_keepdim(1)?;
    let hard = index.broadcast_eq(&largest)?.to_dtype(log_c.dtype())?;
    let soft = log_c.exp()?;
    Ok((hard + (&soft - soft.detach())?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::num::testing::{cases, gradient, numbers, reference, row, values, var, Faults};

    /// |got - expected| <= relative |expected| + absolute.
    fn within(relative: f64, absolute: f64) -> impl Fn(f64) -> f64 {
        move |expected| relative * expected.abs() + absolute
    }

    /// tests/reference/gumbel_softmax.json: mpmath with 60 digits, checked with torch 2.15.0;
    /// tolerances as stated there.
    #[test]
    fn golden_values() {
        let file = reference(include_str!("../../tests/reference/gumbel_softmax.json"));
        let mut faults = Faults::default();
        for g in cases(&file, "gumbel_transform") {
            // serde_json reads 1 - 2^-53 as 1.
            let u = g["uniform"].as_f64().unwrap().min(1.0 - f64::EPSILON / 2.0);
            let expected = numbers(&g["gumbel"]);
            faults.near("gumbel", &[gumbel(u)], &expected, within(1e-13, 0.0));
        }
        for (i, case) in cases(&file, "cases").iter().enumerate() {
            let log_alpha: Vec<f64> = numbers(&case["alpha"]).iter().map(|a| a.ln()).collect();
            let logits = var(&log_alpha, log_alpha.len());
            let tau = case["tau"].as_f64().unwrap();
            let mut check = |key: &str, got: &[f64], tolerance: (f64, f64)| {
                let what = format!("case {i}: {key}");
                let tolerance = within(tolerance.0, tolerance.1);
                faults.near(&what, got, &numbers(&case[key]), tolerance);
            };
            let g: Vec<f64> = numbers(&case["uniform"]).into_iter().map(gumbel).collect();
            check("gumbel", &g, (1e-13, 0.0));
            let log_c = log_sample(&logits, tau, &g).unwrap();
            let c = log_c.exp().unwrap();
            // Next to 0, log c of the largest is as exact as c.
            check("log_c", &values(&log_c), (1e-12, 1e-14));
            check("c", &values(&c), (0.0, 1e-14));
            let pull = (&c * row(&numbers(&case["cotangent_c"]))).unwrap();
            let sizes = numbers(&case["grad_logits"]).into_iter().map(f64::abs);
            let size = num::largest(sizes.chain([1.0]));
            check(
                "grad_logits",
                &gradient(&pull, &logits),
                (1e-12, 1e-13 * size),
            );
            let of_noise = log_density_of_noise(log_alpha.len(), tau, &g);
            check("log_density_logratio", &of_noise, (1e-12, 1e-12));
        }
        faults.none();
    }

    #[test]
    fn straight_through_is_hard_forward_and_soft_backward() {
        let logits = var(&[0.0, 0.5, -1.0], 3);
        let log_c = log_sample(&logits, 0.7, &gumbels(3 * 50, &mut Rng::new(2))).unwrap();
        let hard = straight_through(&log_c).unwrap();
        for row in values(&hard).chunks(3) {
            assert_eq!(row.iter().filter(|v| **v == 1.0).count(), 1, "{row:?}");
            assert_eq!(row.iter().sum::<f64>(), 1.0, "{row:?}");
        }
        let pull = row(&[1.0, -2.0, 0.5]);
        let soft = log_c.exp().unwrap().broadcast_mul(&pull).unwrap();
        let hard = hard.broadcast_mul(&pull).unwrap();
        assert_eq!(gradient(&hard, &logits), gradient(&soft, &logits));
    }
}
