//! The relaxed categorical distribution (Gumbel-softmax, Jang et al. 2017; Concrete, Maddison et al.
//! 2017): points of the simplex that gather in its corners as the temperature falls.

use candle_core::{Device, Tensor};

use crate::num;
use crate::rng::Rng;
use crate::Result;

/// c = softmax((log alpha + g) / tau) with independent g_k = -ln(-ln u_k). Everything is carried as
/// log c: at temperature 0.01 most samples have a c_k that is 0 in single precision.
pub struct RelaxedCategorical {
    log_weights: Tensor,
    temperature: f64,
    components: usize,
}

/// With respect to what a density of c is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Lebesgue measure of the log ratios ln(c_k / c_K), k < K.
    LogRatio,
    /// Lebesgue measure of c_1 .. c_(K-1): smaller than that of the log ratios by the factor
    /// prod_k c_k.
    Simplex,
}

/// -ln(-ln u) for u in (0, 1).
pub fn gumbel(u: f64) -> f64 {
    -(-u.ln()).ln()
}

/// `count` Gumbel numbers in double precision: single precision would cut their tail at 17.
pub fn gumbels(count: usize, rng: &mut Rng) -> Vec<f64> {
    (0..count).map(|_| gumbel(rng.uniform())).collect()
}

/// One-hot of the largest, (n, K), with the gradient of c itself.
pub fn straight_through(log_c: &Tensor) -> Result<Tensor> {
    let (_, k) = log_c.dims2()?;
    let index = Tensor::arange(0, k as u32, log_c.device())?.unsqueeze(0)?;
    let largest = log_c.detach().argmax_keepdim(1)?;
    let hard = index.broadcast_eq(&largest)?.to_dtype(log_c.dtype())?;
    let soft = log_c.exp()?;
    Ok((hard + (&soft - soft.detach())?)?)
}

impl RelaxedCategorical {
    /// `log_weights`: log alpha, (1, K), with or without its normalising constant.
    pub fn new(log_weights: &Tensor, temperature: f64) -> Result<Self> {
        Ok(Self {
            components: log_weights.dim(1)?,
            log_weights: log_weights.clone(),
            temperature,
        })
    }

    fn tensor(&self, values: &[f64]) -> Result<Tensor> {
        num::from_rows(
            values,
            self.components,
            self.log_weights.dtype(),
            self.log_weights.device(),
        )
    }

    /// log c (n, K) from its Gumbel numbers, row by row, differentiable in the weights.
    pub fn log_sample(&self, gumbels: &[f64]) -> Result<Tensor> {
        let perturbed = self.tensor(gumbels)?.broadcast_add(&self.log_weights)?;
        num::log_softmax(&(perturbed * (1.0 / self.temperature))?)
    }

    /// (ln Gamma(K) + (K - 1) ln tau)
    fn constant(&self) -> f64 {
        let k = self.components as f64;
        libm::lgamma(k) + (k - 1.0) * self.temperature.ln()
    }

    /// log p(c), (n,), nats, of log c (n, K). With s_k = log alpha_k - tau log c_k:
    ///
    /// ln Gamma(K) + (K - 1) ln tau + sum_k s_k - K logsumexp(s)
    ///
    /// in the measure of the log ratios, less sum_k log c_k on the simplex.
    pub fn log_density(&self, log_c: &Tensor, measure: Measure) -> Result<Tensor> {
        let k = self.components as f64;
        let s = (log_c * -self.temperature)?.broadcast_add(&self.log_weights)?;
        let log_p = (s.sum(1)? - (num::log_sum_exp(&s, 1)? * k)?)?;
        let log_p = (log_p + self.constant())?;
        match measure {
            Measure::LogRatio => Ok(log_p),
            Measure::Simplex => Ok((log_p - log_c.sum(1)?)?),
        }
    }

    /// The same in the measure of the log ratios for a sample with these Gumbel numbers:
    ///
    /// ln Gamma(K) + (K - 1) ln tau - sum_k g_k - K ln sum_k exp(-g_k)
    ///
    /// in which nothing depends on alpha: moving with the weights, a sample keeps its density.
    pub fn log_density_of_noise(&self, gumbels: &[f64]) -> Result<Tensor> {
        let k = self.components as f64;
        let values: Vec<f64> = gumbels
            .chunks_exact(self.components)
            .map(|g| {
                let total: f64 = g.iter().map(|g| (-g).exp()).sum();
                self.constant() - g.iter().sum::<f64>() - k * total.ln()
            })
            .collect();
        let n = values.len();
        Ok(Tensor::from_vec(values, n, &Device::Cpu)?
            .to_dtype(self.log_weights.dtype())?
            .to_device(self.log_weights.device())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Var};
    use serde_json::Value;

    fn reference() -> Value {
        serde_json::from_str(include_str!("../../tests/reference/gumbel_softmax.json")).unwrap()
    }

    fn numbers(v: &Value) -> Vec<f64> {
        let items = v.as_array().unwrap();
        items.iter().map(|v| v.as_f64().unwrap()).collect()
    }

    fn row(values: &[f64]) -> Tensor {
        Tensor::from_slice(values, (1, values.len()), &Device::Cpu).unwrap()
    }

    struct Check(Vec<String>);

    impl Check {
        /// |got - expected| <= relative |expected| + absolute.
        fn near(&mut self, what: &str, got: &[f64], expected: &[f64], tolerance: (f64, f64)) {
            assert_eq!(got.len(), expected.len(), "{what}");
            for (g, e) in got.iter().zip(expected) {
                if !((g - e).abs() <= tolerance.0 * e.abs() + tolerance.1) {
                    self.0.push(format!("{what}: {g} against {e}"));
                }
            }
        }
    }

    fn gradient(of: &Tensor, by: &Var) -> Vec<f64> {
        let gradients = of.sum_all().unwrap().backward().unwrap();
        num::to_vec(gradients.get(by.as_tensor()).unwrap()).unwrap()
    }

    /// tests/reference/gumbel_softmax.json: mpmath with 60 digits, checked with torch 2.15.0;
    /// tolerances as stated there.
    #[test]
    fn golden_values() {
        let file = reference();
        let mut check = Check(Vec::new());
        for g in file["gumbel_transform"].as_array().unwrap() {
            // serde_json reads 1 - 2^-53 as 1.
            let u = g["uniform"].as_f64().unwrap().min(1.0 - f64::EPSILON / 2.0);
            let got = gumbel(u);
            let expected = g["gumbel"].as_f64().unwrap();
            check.near("gumbel", &[got], &[expected], (1e-13, 0.0));
        }
        for (i, case) in file["cases"].as_array().unwrap().iter().enumerate() {
            let name = |what: &str| format!("case {i}: {what}");
            let log_alpha: Vec<f64> = numbers(&case["alpha"]).iter().map(|a| a.ln()).collect();
            let logits = Var::from_tensor(&row(&log_alpha)).unwrap();
            let tau = case["tau"].as_f64().unwrap();
            let relaxed = RelaxedCategorical::new(logits.as_tensor(), tau).unwrap();
            let g: Vec<f64> = numbers(&case["uniform"]).into_iter().map(gumbel).collect();
            check.near(&name("g"), &g, &numbers(&case["gumbel"]), (1e-13, 0.0));
            let log_c = relaxed.log_sample(&g).unwrap();
            let c = log_c.exp().unwrap();
            // Next to 0, log c of the largest is as exact as c.
            let got = num::to_vec(&log_c).unwrap();
            check.near(
                &name("log_c"),
                &got,
                &numbers(&case["log_c"]),
                (1e-12, 1e-14),
            );
            let got = num::to_vec(&c).unwrap();
            check.near(&name("c"), &got, &numbers(&case["c"]), (0.0, 1e-14));
            let pull = (&c * row(&numbers(&case["cotangent_c"]))).unwrap();
            let got = gradient(&pull, &logits);
            let expected = numbers(&case["grad_logits"]);
            let size = expected.iter().fold(1.0f64, |m, v| m.max(v.abs()));
            check.near(&name("grad_logits"), &got, &expected, (1e-12, 1e-13 * size));
            let expected = case["log_density_logratio"].as_f64().unwrap();
            let of_noise = num::to_vec(&relaxed.log_density_of_noise(&g).unwrap()).unwrap();
            check.near(&name("of noise"), &of_noise, &[expected], (1e-12, 1e-12));
            densities(&mut check, &name, case, &logits, tau, "_at_rounded_log_c");
        }
        for (i, case) in file["extreme_cases"].as_array().unwrap().iter().enumerate() {
            let name = |what: &str| format!("extreme case {i}: {what}");
            let log_alpha: Vec<f64> = numbers(&case["alpha"]).iter().map(|a| a.ln()).collect();
            let logits = Var::from_tensor(&row(&log_alpha)).unwrap();
            let tau = case["tau"].as_f64().unwrap();
            densities(&mut check, &name, case, &logits, tau, "");
        }
        assert!(check.0.is_empty(), "{}", check.0.join("\n"));
    }

    /// Densities and gradients at the log c that the file gives.
    fn densities(
        check: &mut Check,
        name: &dyn Fn(&str) -> String,
        case: &Value,
        logits: &Var,
        tau: f64,
        suffix: &str,
    ) {
        let relaxed = RelaxedCategorical::new(logits.as_tensor(), tau).unwrap();
        let log_c = Var::from_tensor(&row(&numbers(&case["log_c"]))).unwrap();
        for (measure, key) in [
            (Measure::LogRatio, "log_density_logratio"),
            (Measure::Simplex, "log_density_simplex"),
        ] {
            let log_p = relaxed.log_density(log_c.as_tensor(), measure).unwrap();
            let expected = case[format!("{key}{suffix}").as_str()].as_f64().unwrap();
            let got = num::to_vec(&log_p).unwrap();
            check.near(&name(key), &got, &[expected], (1e-12, 1e-12));
            let expected = numbers(&case["grad_log_alpha_at_fixed_c"]);
            let got = gradient(&log_p, logits);
            check.near(&name("grad_log_alpha"), &got, &expected, (1e-11, 1e-11));
            if measure == Measure::Simplex {
                let expected = numbers(&case["grad_log_c_of_log_density_simplex"]);
                let got = gradient(&log_p, &log_c);
                check.near(&name("grad_log_c"), &got, &expected, (1e-11, 1e-11));
            }
        }
    }

    /// tests/reference/gumbel_softmax.json, `entropy_closed_form`.
    #[test]
    fn the_entropy_is_the_closed_form() {
        let file = reference();
        let n = 20_000;
        let mut rng = Rng::new(5);
        for case in file["entropy_closed_form"]["values"].as_array().unwrap() {
            let k = case["K"].as_u64().unwrap() as usize;
            let tau = case["tau"].as_f64().unwrap();
            let logits: Vec<f64> = (0..k).map(|i| -0.4 * i as f64).collect();
            let relaxed = RelaxedCategorical::new(&row(&logits), tau).unwrap();
            let noise = gumbels(n * k, &mut rng);
            let log_p = relaxed.log_density_of_noise(&noise).unwrap();
            let log_p = num::to_vec(&log_p).unwrap();
            let mean = -log_p.iter().sum::<f64>() / n as f64;
            let var = log_p.iter().map(|l| (l + mean).powi(2)).sum::<f64>() / n as f64;
            let expected = case["entropy_logratio"].as_f64().unwrap();
            let error = (mean - expected) / (var / n as f64).sqrt();
            assert!(error.abs() < 4.5, "K = {k}, tau = {tau}: {error}");
        }
    }

    #[test]
    fn single_precision_stays_finite_where_c_underflows() {
        let logits = row(&[0.2f64.ln(), 0.3f64.ln(), 0.5f64.ln()]);
        let logits = Var::from_tensor(&logits.to_dtype(DType::F32).unwrap()).unwrap();
        let relaxed = RelaxedCategorical::new(logits.as_tensor(), 0.01).unwrap();
        let noise = gumbels(3 * 2000, &mut Rng::new(1));
        let log_c = relaxed.log_sample(&noise).unwrap();
        let c = num::to_vec(&log_c.exp().unwrap()).unwrap();
        let zeros = c.iter().filter(|c| **c == 0.0).count();
        assert!(zeros > 1000, "{zeros} underflows");
        let finite = |values: Vec<f64>| values.iter().all(|v| v.is_finite());
        assert!(finite(num::to_vec(&log_c).unwrap()));
        let of_noise = num::to_vec(&relaxed.log_density_of_noise(&noise).unwrap()).unwrap();
        let both = relaxed.log_density(&log_c, Measure::LogRatio).unwrap();
        for (a, b) in num::to_vec(&both).unwrap().iter().zip(&of_noise) {
            assert!((a - b).abs() < 1e-4 * b.abs().max(1.0), "{a} against {b}");
        }
        let simplex = relaxed.log_density(&log_c, Measure::Simplex).unwrap();
        assert!(finite(num::to_vec(&simplex).unwrap()));
        assert!(finite(gradient(&simplex, &logits)));
        let hard = straight_through(&log_c).unwrap();
        assert!(finite(gradient(&hard.sqr().unwrap(), &logits)));
    }

    #[test]
    fn straight_through_is_hard_forward_and_soft_backward() {
        let logits = Var::from_tensor(&row(&[0.0, 0.5, -1.0])).unwrap();
        let relaxed = RelaxedCategorical::new(logits.as_tensor(), 0.7).unwrap();
        let noise = gumbels(3 * 50, &mut Rng::new(2));
        let log_c = relaxed.log_sample(&noise).unwrap();
        let hard = straight_through(&log_c).unwrap();
        for row in num::to_vec(&hard).unwrap().chunks(3) {
            assert_eq!(row.iter().filter(|v| **v == 1.0).count(), 1, "{row:?}");
            assert_eq!(row.iter().sum::<f64>(), 1.0, "{row:?}");
        }
        let pull = row(&[1.0, -2.0, 0.5]);
        let soft = log_c.exp().unwrap().broadcast_mul(&pull).unwrap();
        let hard = hard.broadcast_mul(&pull).unwrap();
        assert_eq!(gradient(&hard, &logits), gradient(&soft, &logits));
    }
}
