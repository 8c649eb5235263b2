//! Gradients of an expectation by each way to draw.

use candle_core::{Tensor, Var};
use rayon::prelude::*;

use super::spec::label;
use super::{build, GradientRow, Parameter, StudyMixture, StudySpec, Watch};
use crate::distributions::mixture::Mixture;
use crate::distributions::{Distribution, GumbelSoftmaxSpec, MixtureDraws, RelaxedDensity};
use crate::num;
use crate::rng::Rng;
use crate::{Error, Result};

/// Estimates that one thread makes in a row.
const IN_A_ROW: usize = 64;

/// The frequency of the sine and the factor of the square in f(z) = sin(1.5 z) + 0.15 z^2.
const F: (f64, f64) = (1.5, 0.15);

/// f(x), (n, 1) -> (n,).
fn f(x: &Tensor) -> Result<Tensor> {
    let x = x.squeeze(1)?;
    Ok(((&x * F.0)?.sin()? + (x.sqr()? * F.1)?)?)
}

/// The gradients of E f(z) by logits, means and log standard deviations, in closed form:
/// E f = sum_k alpha_k f_k with f_k = e^(-(1.5 sigma_k)^2 / 2) sin(1.5 mu_k) + 0.15 (mu_k^2 + sigma_k^2).
fn truth(of: &StudyMixture) -> [Vec<f64>; 3] {
    let (w, q) = F;
    let parts = of.means.iter().zip(&of.std_devs).map(|(m, s)| {
        let decay = (-0.5 * (w * s).powi(2)).exp();
        let value = decay * (w * m).sin() + q * (m * m + s * s);
        let by_mean = decay * w * (w * m).cos() + 2.0 * q * m;
        let by_log_std = -(w * s).powi(2) * decay * (w * m).sin() + 2.0 * q * s * s;
        [value, by_mean, by_log_std]
    });
    let parts: Vec<[f64; 3]> = parts.collect();
    let alpha = || of.weights.iter().zip(&parts);
    let mean: f64 = alpha().map(|(a, p)| a * p[0]).sum();
    [
        alpha().map(|(a, p)| a * (p[0] - mean)).collect(),
        alpha().map(|(a, p)| a * p[1]).collect(),
        alpha().map(|(a, p)| a * p[2]).collect(),
    ]
}

/// A way to draw with the parameters it acts on, in the order of [`Parameter::ALL`].
struct Estimator {
    base: Mixture,
    vars: [Var; 3],
    batch: usize,
    rng: Rng,
}

impl Estimator {
    fn new(spec: &StudySpec, draws: &MixtureDraws) -> Result<Self> {
        let (name, temperature) = label(draws);
        let draws = match draws {
            // E f does not contain the density, and this one is the cheapest.
            MixtureDraws::GumbelSoftmax(s) => MixtureDraws::GumbelSoftmax(GumbelSoftmaxSpec {
                density: RelaxedDensity::ExactMixture,
                ..s.clone()
            }),
            other => other.clone(),
        };
        let (params, base) = build(&spec.mixture, draws)?;
        let all = params.trainable();
        let var = |name: &str| {
            let found = all.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
            found.ok_or_else(|| Error::failed(format!("a mixture without `{name}`")))
        };
        let root = Rng::new(spec.seed).fork("gradients").fork(name);
        Ok(Self {
            base,
            vars: [var("logits")?, var("means")?, var("log_stds")?],
            batch: spec.gradients.batch,
            rng: match temperature {
                Some(t) => root.fork(&t.to_string()),
                None => root,
            },
        })
    }

    /// Estimate number `index`: all gradients one after the other, and the evaluations of f.
    fn estimate(&self, index: usize) -> Result<(Vec<f64>, usize)> {
        let mut rng = self.rng.fork_at("estimate", index as u64);
        let draws = self.base.draws(self.batch, 1.0, &mut rng)?;
        let mean = (draws.log_weight.exp()? * f(&draws.x)?)?.sum_all()?;
        let gradients = mean.backward()?;
        let mut all = Vec::new();
        for var in &self.vars {
            match gradients.get(var.as_tensor()) {
                Some(g) => all.extend(num::to_vec(g)?),
                None => all.resize(all.len() + var.elem_count(), 0.0),
            }
        }
        Ok((all, draws.x.dim(0)?))
    }
}

fn length(v: &[f64]) -> f64 {
    v.iter().map(|v| v * v).sum::<f64>().sqrt()
}

/// A row per parameter for every way to draw, in the order of the study.
pub fn gradients(spec: &StudySpec, watch: Watch<'_>) -> Result<Vec<GradientRow>> {
    let truths = truth(&spec.mixture);
    let mut rows = Vec::new();
    for draws in &spec.gradients.strategies {
        let (name, temperature) = label(draws);
        let at = temperature.map_or_else(String::new, |t| format!(" at temperature {t}"));
        watch(&format!("gradients by {name}{at}"));
        let estimator = Estimator::new(spec, draws)?;
        let count = spec.gradients.batches;
        let parts: Vec<Result<Vec<_>>> = (0..count.div_ceil(IN_A_ROW))
            .into_par_iter()
            .map(|part| {
                let own = part * IN_A_ROW..count.min((part + 1) * IN_A_ROW);
                own.map(|index| estimator.estimate(index)).collect()
            })
            .collect();
        let mut all = Vec::with_capacity(count);
        for part in parts {
            all.extend(part?);
        }
        let mut start = 0;
        for (parameter, truth) in Parameter::ALL.into_iter().zip(&truths) {
            let own = start..start + truth.len();
            start = own.end;
            let estimates: Vec<&[f64]> = all.iter().map(|(g, _)| &g[own.clone()]).collect();
            let noise = Noise::of(&estimates, truth);
            let evaluations = all.first().map_or(0, |(_, n)| *n);
            let scale = (evaluations as f64).sqrt();
            rows.push(GradientRow {
                strategy: name.to_owned(),
                temperature,
                parameter,
                evaluations,
                estimates: count,
                relative_bias: noise.bias,
                bias_std_err: noise.sd / (count as f64).sqrt(),
                sd: noise.sd * scale,
                sd_std_err: noise.sd_std_err * scale,
                cosine: noise.cosine,
            });
        }
    }
    Ok(rows)
}

/// Of estimates of one vector, relative to its length.
struct Noise {
    bias: f64,
    /// Root of the total variance.
    sd: f64,
    sd_std_err: f64,
    cosine: f64,
}

impl Noise {
    fn of(estimates: &[&[f64]], truth: &[f64]) -> Self {
        let size = length(truth);
        let mean: Vec<f64> = (0..truth.len())
            .map(|i| num::mean_and_std_err(estimates.iter().map(|e| e[i])).0)
            .collect();
        let apart = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum();
        let off: f64 = apart(&mean, truth);
        let squares = estimates.iter().map(|e| -> f64 { apart(e, &mean) });
        let (variance, error) = num::mean_and_std_err(squares);
        let n = estimates.len() as f64;
        let sd = (variance * n / (n - 1.0)).sqrt();
        let along: f64 = mean.iter().zip(truth).map(|(a, b)| a * b).sum();
        Self {
            bias: off.sqrt() / size,
            sd: sd / size,
            sd_std_err: if sd > 0.0 {
                0.5 * error / sd / size
            } else {
                0.0
            },
            cosine: along / (length(&mean) * size),
        }
    }
}
