//! Gradients of an expectation by each strategy.

use std::collections::BTreeMap;

use candle_core::{Tensor, Var};
use rayon::prelude::*;

use super::spec::label;
use super::{build, GradientRow, Parameter, StudyMixture, StudySpec, Watch};
use crate::distributions::{Distribution, MixtureDraws, RelaxedDensity};
use crate::num;
use crate::rng::Rng;
use crate::Result;

/// Estimates that one thread makes in a row.
const IN_A_ROW: usize = 64;

/// The frequency of the sine and the factor of the square in f(z) = sin(1.5 z) + 0.15 z^2.
const F: (f64, f64) = (1.5, 0.15);

/// f(x), (n, 1) -> (n,).
fn f(x: &Tensor) -> Result<Tensor> {
    let x = x.squeeze(1)?;
    Ok(((&x * F.0)?.sin()? + (x.sqr()? * F.1)?)?)
}

/// The gradients of E f(z) by the parameters in the order of [`Parameter::ALL`], in closed form:
/// E f = sum_k alpha_k f_k with f_k = e^(-(1.5 sigma_k)^2 / 2) sin(1.5 mu_k) + 0.15 (mu_k^2 + sigma_k^2).
fn truth(mixture: &StudyMixture) -> [Vec<f64>; 3] {
    let (w, q) = F;
    let parts = mixture.means.iter().zip(&mixture.std_devs).map(|(m, s)| {
        let decay = (-0.5 * (w * s).powi(2)).exp();
        let value = decay * (w * m).sin() + q * (m * m + s * s);
        let by_mean = decay * w * (w * m).cos() + 2.0 * q * m;
        let by_log_std = -(w * s).powi(2) * decay * (w * m).sin() + 2.0 * q * s * s;
        [value, by_mean, by_log_std]
    });
    let parts: Vec<[f64; 3]> = parts.collect();
    let alpha = || mixture.weights.iter().zip(&parts);
    let mean: f64 = alpha().map(|(a, p)| a * p[0]).sum();
    [
        alpha().map(|(a, p)| a * (p[0] - mean)).collect(),
        alpha().map(|(a, p)| a * p[1]).collect(),
        alpha().map(|(a, p)| a * p[2]).collect(),
    ]
}

/// A row per parameter for every strategy, in the order of the study.
pub fn gradients(spec: &StudySpec, watch: Watch<'_>) -> Result<Vec<GradientRow>> {
    let truths = truth(&spec.mixture);
    let mut rows = Vec::new();
    for draws in &spec.gradients.strategies {
        let (name, temperature) = label(draws);
        let at = temperature.map(|t| format!(" at temperature {t}"));
        watch(&format!("gradients by {name}{}", at.unwrap_or_default()));
        let mut draws = draws.clone();
        if let MixtureDraws::GumbelSoftmax(spec) = &mut draws {
            // E f does not contain the density, and this one is the cheapest.
            spec.density = RelaxedDensity::ExactMixture;
        }
        let (params, base) = build(&spec.mixture, draws)?;
        let vars: BTreeMap<String, Var> = params.trainable().into_iter().collect();
        let root = Rng::new(spec.seed).fork("gradients").fork(name);
        let root = temperature.map_or(root.clone(), |t| root.fork(&t.to_string()));
        // The gradient by each of the parameters, and the evaluations of f.
        let estimate = |index: usize| -> Result<([Vec<f64>; 3], usize)> {
            let mut rng = root.fork_at("estimate", index as u64);
            let draws = base.draws(spec.gradients.batch, 1.0, &mut rng)?;
            let mean = (draws.log_weight.exp()? * f(&draws.x)?)?.sum_all()?;
            let gradients = mean.backward()?;
            let mut all = truths.clone();
            for (own, name) in all.iter_mut().zip(["logits", "means", "log_stds"]) {
                *own = match gradients.get(vars[name].as_tensor()) {
                    Some(gradient) => num::to_vec(gradient)?,
                    None => vec![0.0; own.len()],
                };
            }
            Ok((all, draws.x.dim(0)?))
        };
        let estimates = (0..spec.gradients.batches).into_par_iter();
        let estimates = estimates.with_min_len(IN_A_ROW).map(estimate);
        let all = estimates.collect::<Result<Vec<_>>>()?;
        let evaluations = all.first().map_or(0, |(_, n)| *n);
        for (i, parameter) in Parameter::ALL.into_iter().enumerate() {
            let estimates: Vec<_> = all.iter().map(|(g, _)| g[i].as_slice()).collect();
            rows.push(GradientRow {
                strategy: name.to_owned(),
                temperature,
                parameter,
                ..compared(&estimates, &truths[i], evaluations)
            });
        }
    }
    Ok(rows)
}

fn length(v: &[f64]) -> f64 {
    v.iter().map(|v| v * v).sum::<f64>().sqrt()
}

/// Bias, noise and direction of estimates of one vector, relative to its length.
fn compared(estimates: &[&[f64]], truth: &[f64], evaluations: usize) -> GradientRow {
    let n = estimates.len() as f64;
    let size = length(truth);
    let mean = (0..truth.len()).map(|i| num::mean_and_std_err(estimates.iter().map(|e| e[i])).0);
    let mean: Vec<f64> = mean.collect();
    let apart = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
    let squares = estimates.iter().map(|e| apart(e, &mean));
    let (variance, error) = num::mean_and_std_err(squares);
    let total_sd = (variance * n / (n - 1.0)).sqrt();
    let sd = total_sd / size;
    // Of estimates that are all the same 0 / 0.
    let sd_std_err = if total_sd > 0.0 {
        0.5 * error / total_sd / size
    } else {
        0.0
    };
    let along: f64 = mean.iter().zip(truth).map(|(a, b)| a * b).sum();
    let scale = (evaluations as f64).sqrt();
    GradientRow {
        evaluations,
        estimates: estimates.len(),
        relative_bias: apart(&mean, truth).sqrt() / size,
        bias_std_err: sd / n.sqrt(),
        sd: sd * scale,
        sd_std_err: sd_std_err * scale,
        cosine: along / (length(&mean) * size),
        ..GradientRow::default()
    }
}
