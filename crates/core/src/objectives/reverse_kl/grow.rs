//! A mixture base that grows: components are added where the target has mass that the model lacks,
//! moved by natural gradients, and removed when idle.

use candle_core::{DType, Device, Tensor, Var};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::distributions::Components;
use crate::error::BadValue;
use crate::models::{log_q, Model};
use crate::nn::params::Snapshot;
use crate::num::{self, log_sum_exp_slice, LN_2PI};
use crate::rng::Rng;
use crate::{Error, Result};

/// `grow = { width = 30.0 }`
///
/// The first share `over` of training moves the base by the rules below and only the map above it by
/// Adam; then Adam moves all parameters. A round, before every `every`-th step, with h = b log p~(f(z))
/// + log|det df/dz| - log q_Z(z) on the base side, f the flow:
///
/// 1. Samples of every component estimate E_k\[h\], E_k\[grad h\] and by Stein's identity the diagonal of
///    E_k\[Hessian h\] = E_k\[(z - mu_k) grad h / sigma_k^2\]; each sample serves all components, weighted
///    by N_k over the mean of all. With s = -E_k\[(z - mu_k) grad h\] and rate r:
///    sigma_k^-2 <- sigma_k^-2 (1 + r s + (r s)^2 / 2), mu_k <- mu_k + r sigma_k^2 E_k\[grad h\],
///    log alpha_k <- log alpha_k + r E_k\[h\], steps bounded (Arenz et al. 2023, GMMVI; Lin et al. 2020).
/// 2. Components whose weight stays below 1e-4 become idle: weight 0, free to be used again.
/// 3. Of the candidates (the wide start N(0, width^2 I) and samples of the model so far, each evaluated
///    once), the one with the largest log p~ - log q, if that exceeds the estimate of log Z by a nat,
///    becomes the mean of an idle component, with the deviations of the target's curvature there.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GrowSpec {
    /// Standard deviation of the wide start around 0, in the target's coordinates.
    pub width: f64,
    /// Points of the wide start, and as many places for samples of the model.
    #[serde(default = "candidates")]
    pub candidates: usize,
    /// Share of the steps, in (0, 1\].
    #[serde(default = "half")]
    pub over: f64,
    /// Steps from one round to the next.
    #[serde(default = "every")]
    pub every: usize,
    /// Samples of each component in a round.
    #[serde(default = "samples")]
    pub samples: usize,
    /// r, in (0, 1\].
    #[serde(default = "half")]
    pub rate: f64,
}

fn candidates() -> usize {
    10_000
}
fn half() -> f64 {
    0.5
}
fn every() -> usize {
    5
}
fn samples() -> usize {
    20
}

impl GrowSpec {
    pub(super) fn check(&self) -> std::result::Result<(), BadValue> {
        let fine = (1e-3..=1e6).contains(&self.width);
        BadValue::unless(fine, "width", "1e-3 <= `width` <= 1e6", self.width)?;
        BadValue::within("candidates", self.candidates, 10, 10_000_000)?;
        BadValue::within("every", self.every, 1, 1_000_000)?;
        BadValue::within("samples", self.samples, 2, 100_000)?;
        for (key, value) in [("over", self.over), ("rate", self.rate)] {
            let expected = format!("0 < `{key}` <= 1");
            BadValue::unless(value > 0.0 && value <= 1.0, key, &expected, value)?;
        }
        Ok(())
    }
}

/// Components below this weight may become idle.
const LIGHT: f64 = 1e-4;
/// Rounds after which they do.
const PATIENCE: u32 = 5;
/// The weight of an idle component.
const IDLE: f64 = 1e-18;
/// Components that are added in one round at most.
const ADDED: usize = 4;
/// Nats by which a candidate must be above the model.
const GAIN: f64 = 1.0;
/// Nats, beside one per coordinate, below the densest candidate at which a point does not matter.
const DEPTH: f64 = 10.0;

/// log p~ of rows (n, D) with gradients by the rows: (n,).
pub(super) type LogTarget<'a> = dyn Fn(&Tensor) -> Result<Tensor> + 'a;

/// What growth has gathered between two rounds.
#[derive(Debug, Default)]
pub(super) struct Growth {
    /// Steps that asked for a round.
    steps: usize,
    /// Candidates, row by row, in the target's coordinates.
    x: Vec<f64>,
    /// log p~ of each.
    log_p: Vec<f64>,
    /// Rounds for which each component has been light.
    light: Vec<u32>,
}

/// log alpha_k N(z; mu_k, sigma_k) without alpha_k.
fn log_normal(mix: &Components, k: usize, z: &[f64]) -> f64 {
    let d = z.len();
    let (means, stds) = (&mix.means[k * d..], &mix.std_devs[k * d..]);
    let each = z.iter().zip(means).zip(stds);
    let terms = each.map(|((z, m), s)| -0.5 * ((z - m) / s).powi(2) - s.ln());
    terms.sum::<f64>() - 0.5 * LN_2PI * d as f64
}

fn active(mix: &Components) -> Vec<usize> {
    let weights = mix.weights.iter().enumerate();
    weights
        .filter(|(_, w)| **w > 10.0 * IDLE)
        .map(|(k, _)| k)
        .collect()
}

/// Rounds as the model computes: its format and device.
struct Side<'a> {
    model: &'a dyn Model,
    log_p: &'a LogTarget<'a>,
    /// The inverse temperature.
    b: f64,
    dtype: DType,
}

impl Side<'_> {
    fn rows(&self, rows: &[f64]) -> Result<Tensor> {
        num::from_rows(rows, self.model.dim(), self.dtype, &Device::Cpu)
    }

    /// x, log p~(x), b log p~(f(z)) + log|det df/dz| and its gradient by z, of rows z.
    fn pulled_back(&self, z: &[f64]) -> Result<[Vec<f64>; 4]> {
        let z = Var::from_tensor(&self.rows(z)?)?;
        let no_map = || Error::failed("grow: expected a model with one map; got one without");
        let (x, log_det) = self.model.to_data(&z)?.ok_or_else(no_map)?;
        let log_p = (self.log_p)(&x)?;
        let log_target = ((&log_p * self.b)? + log_det)?;
        let gradients = log_target.sum_all()?.backward()?;
        let gradient = match gradients.get(&z) {
            Some(gradient) => gradient.clone(),
            None => z.zeros_like()?,
        };
        Ok([
            num::to_vec(&x)?,
            num::to_vec(&log_p)?,
            num::to_vec(&log_target)?,
            num::to_vec(&gradient)?,
        ])
    }
}

impl Growth {
    /// Whether this model has a base that can grow.
    pub(super) fn suits(model: &dyn Model) -> Result<bool> {
        let Some(base) = model.base() else {
            return Ok(false);
        };
        Ok(base.components()?.is_some())
    }

    /// Before a step: a round, if it is time for one.
    pub(super) fn before_step(
        &mut self,
        spec: &GrowSpec,
        model: &dyn Model,
        (log_p, b): (&LogTarget<'_>, f64),
        rng: &Rng,
    ) -> Result<()> {
        let now = self.steps;
        self.steps += 1;
        if !now.is_multiple_of(spec.every) {
            return Ok(());
        }
        let none = || Error::failed("grow: expected a mixture base; got another");
        let mut mix = model.components()?.ok_or_else(none)?;
        let rng = rng.fork("grow");
        let origin = model.sample(1, &mut rng.fork("format"))?;
        if !origin.device().is_cpu() {
            return Err(Error::request(
                "grow: expected --device cpu; got another one",
            ));
        }
        let side = Side {
            model,
            log_p,
            b,
            dtype: origin.dtype(),
        };
        let log_z = if now == 0 {
            self.start(spec, &side, &mut rng.fork("wide"))?;
            self.light = vec![0; mix.weights.len()];
            mix.weights.fill(IDLE);
            f64::NEG_INFINITY
        } else {
            self.forget(model.dim(), b);
            let log_z = self.update(spec, &side, &mut mix, &mut rng.fork("samples"))?;
            self.retire(&mut mix);
            log_z
        };
        model.set_components(&mix)?;
        self.add(spec, &side, &mut mix, log_z)
    }

    /// Draws the wide start.
    fn start(&mut self, spec: &GrowSpec, side: &Side<'_>, rng: &mut Rng) -> Result<()> {
        let shape = (spec.candidates, side.model.dim());
        let x = (rng.normal_tensor(shape, DType::F64, &Device::Cpu)? * spec.width)?;
        self.keep(num::to_vec(&x)?, num::to_vec(&(side.log_p)(&x)?)?);
        self.forget(side.model.dim(), side.b);
        Ok(())
    }

    fn keep(&mut self, x: Vec<f64>, log_p: Vec<f64>) {
        self.x.extend(x);
        self.log_p.extend(log_p);
    }

    /// Drops candidates that no longer matter at the inverse temperature b, which never falls.
    fn forget(&mut self, dim: usize, b: f64) {
        let finite = self.log_p.iter().copied().filter(|v| v.is_finite());
        let most = finite.fold(f64::NEG_INFINITY, f64::max);
        let depth = (DEPTH + dim as f64) / b;
        let matters: Vec<bool> = (self.log_p.iter()).map(|v| *v >= most - depth).collect();
        let mut each = matters.iter();
        self.log_p.retain(|_| each.next() == Some(&true));
        let mut at = 0;
        self.x.retain(|_| {
            at += 1;
            matters[(at - 1) / dim]
        });
    }

    /// Moves weights, means and deviations; returns E_q\[h\], a lower estimate of log Z.
    fn update(
        &mut self,
        spec: &GrowSpec,
        side: &Side<'_>,
        mix: &mut Components,
        rng: &mut Rng,
    ) -> Result<f64> {
        let d = side.model.dim();
        let live = active(mix);
        let mut z = Vec::with_capacity(live.len() * spec.samples * d);
        for &k in &live {
            for _ in 0..spec.samples {
                let each = k * d..(k + 1) * d;
                z.extend(each.map(|i| mix.means[i] + mix.std_devs[i] * rng.normal()));
            }
        }
        // As the model sees them.
        let z = num::to_vec(&side.rows(&z)?)?;
        let [x, log_p, log_target, gradient] = side.pulled_back(&z)?;
        let n = log_p.len();
        // log N_k(z_i), row by row; h and its gradient.
        let mut densities = Vec::with_capacity(n * live.len());
        let (mut h, mut slope) = (Vec::with_capacity(n), gradient);
        for (i, z) in z.chunks_exact(d).enumerate() {
            let own: Vec<f64> = live.iter().map(|&k| log_normal(mix, k, z)).collect();
            let joint: Vec<f64> = (own.iter().zip(&live))
                .map(|(l, &k)| l + mix.weights[k].ln())
                .collect();
            let log_q = log_sum_exp_slice(&joint);
            for (&k, joint) in live.iter().zip(&joint) {
                let share = (joint - log_q).exp();
                for (c, z) in z.iter().enumerate() {
                    let at = k * d + c;
                    slope[i * d + c] += share * (z - mix.means[at]) / mix.std_devs[at].powi(2);
                }
            }
            h.push(log_target[i] - log_q);
            densities.extend(own);
        }
        let fine: Vec<bool> = (0..n)
            .map(|i| h[i].is_finite() && slope[i * d..(i + 1) * d].iter().all(|v| v.is_finite()))
            .collect();
        let before = mix.clone();
        let mut gains = vec![f64::NEG_INFINITY; live.len()];
        for (j, &k) in live.iter().enumerate() {
            let weights: Vec<f64> = (0..n)
                .map(|i| {
                    let row = &densities[i * live.len()..(i + 1) * live.len()];
                    let share = (row[j] - log_sum_exp_slice(row)).exp();
                    if fine[i] {
                        share
                    } else {
                        0.0
                    }
                })
                .collect();
            let total: f64 = weights.iter().sum();
            if total <= 0.0 {
                continue;
            }
            let mean = |f: &dyn Fn(usize) -> f64| {
                let each = (0..n).filter(|&i| weights[i] > 0.0);
                each.map(|i| weights[i] * f(i)).sum::<f64>() / total
            };
            gains[j] = mean(&|i| h[i]);
            for c in 0..d {
                let at = k * d + c;
                let (m, s) = (before.means[at], before.std_devs[at]);
                let curved = -mean(&|i| (z[i * d + c] - m) * slope[i * d + c]);
                let r = (spec.rate * curved).clamp(-1.0, 1.0);
                let s = s / (1.0 + r + 0.5 * r * r).sqrt();
                let step = spec.rate * s * s * mean(&|i| slope[i * d + c]);
                mix.means[at] = m + step.clamp(-s, s);
                mix.std_devs[at] = s;
            }
        }
        let log_z = (gains.iter().zip(&live))
            .filter(|(gain, _)| gain.is_finite())
            .map(|(gain, &k)| gain * before.weights[k])
            .sum::<f64>();
        for (gain, &k) in gains.iter().zip(&live) {
            let by = (spec.rate * (gain - log_z)).clamp(-3.0, 3.0);
            mix.weights[k] *= by.exp();
        }
        normalise(&mut mix.weights);
        // The oldest samples make room.
        self.keep(x, log_p);
        let most = 2 * spec.candidates;
        let old = self.log_p.len().saturating_sub(most);
        self.log_p.drain(..old);
        self.x.drain(..old * d);
        Ok(log_z)
    }

    /// Makes components idle that have been light for long.
    fn retire(&mut self, mix: &mut Components) {
        for (light, weight) in self.light.iter_mut().zip(&mut mix.weights) {
            *light = if *weight < LIGHT { *light + 1 } else { 0 };
            if *light >= PATIENCE {
                *weight = IDLE;
            }
        }
        normalise(&mut mix.weights);
    }

    /// Adds components where the target is above the model.
    fn add(
        &mut self,
        spec: &GrowSpec,
        side: &Side<'_>,
        mix: &mut Components,
        mut log_z: f64,
    ) -> Result<()> {
        for _ in 0..ADDED {
            let idle = |w: &f64| *w <= 10.0 * IDLE;
            let Some(k) = mix.weights.iter().position(idle) else {
                return Ok(());
            };
            let empty = active(mix).is_empty();
            let above: Vec<f64> = match empty {
                true => self.log_p.iter().map(|l| side.b * l).collect(),
                false => {
                    let log_q = log_q(side.model, &side.rows(&self.x)?)?;
                    let each = self.log_p.iter().zip(log_q);
                    each.map(|(l, q)| side.b * l - q - log_z).collect()
                }
            };
            let better = |a: &usize, b: &usize| above[*a].total_cmp(&above[*b]);
            let finite = (0..above.len()).filter(|&i| above[i].is_finite());
            let Some(best) = finite.max_by(better) else {
                return Ok(());
            };
            if !empty && above[best] < GAIN {
                return Ok(());
            }
            let log_mass = self.place(spec, side, mix, (k, best))?;
            if empty {
                log_z = log_mass;
            }
            mix.weights[k] = (log_mass - log_z).clamp(-20.0, 0.0).exp();
            self.light[k] = 0;
            normalise(&mut mix.weights);
            side.model.set_components(mix)?;
        }
        Ok(())
    }

    /// Puts component k at a candidate, with deviations 1 / sqrt(-curvature) of the target pulled back;
    /// returns the log of the target's mass that this accounts for.
    fn place(
        &self,
        spec: &GrowSpec,
        side: &Side<'_>,
        mix: &mut Components,
        (k, candidate): (usize, usize),
    ) -> Result<f64> {
        let d = side.model.dim();
        let x = side.rows(&self.x[candidate * d..(candidate + 1) * d])?;
        let none = || Error::failed("grow: expected a model with a base; got one without");
        let centre = num::to_vec(&side.model.to_base(&x)?.ok_or_else(none)?)?;
        let apart = 2e-3 * spec.width;
        let mut z = centre.clone();
        for c in 0..d {
            for by in [apart, -apart] {
                let mut moved = centre.clone();
                moved[c] += by;
                z.extend(moved);
            }
        }
        let [_, _, log_target, gradient] = side.pulled_back(&z)?;
        for c in 0..d {
            let at = |row: usize| gradient[row * d + c];
            let curvature = (at(1 + 2 * c) - at(2 + 2 * c)) / (2.0 * apart);
            let std = 1.0 / (-curvature).max(spec.width.powi(-2)).sqrt();
            mix.std_devs[k * d + c] = if std.is_finite() { std } else { spec.width };
            mix.means[k * d + c] = centre[c];
        }
        Ok(log_target[0] - log_normal(mix, k, &centre))
    }

    /// For a checkpoint.
    pub(super) fn state(&self, dim: usize, to: &mut Snapshot) -> Result<()> {
        let light: Vec<f64> = self.light.iter().map(|n| f64::from(*n)).collect();
        let steps = [self.steps as f64];
        let columns: [(&str, &[f64], usize); 4] = [
            ("grow.steps", &steps, 1),
            ("grow.x", &self.x, dim),
            ("grow.log_p", &self.log_p, 1),
            ("grow.light", &light, 1),
        ];
        store(&columns, to)
    }

    /// From a checkpoint.
    pub(super) fn resumed(from: &Snapshot) -> Result<Self> {
        let get = |name| stored(from, name);
        Ok(Self {
            steps: get("grow.steps")?.first().map_or(0, |n| *n as usize),
            x: get("grow.x")?,
            log_p: get("grow.log_p")?,
            light: get("grow.light")?.iter().map(|n| *n as u32).collect(),
        })
    }
}

/// Adds rows of these widths by name.
pub(super) fn store(columns: &[(&str, &[f64], usize)], to: &mut Snapshot) -> Result<()> {
    for (name, values, dim) in columns {
        let rows = num::from_rows(values, *dim, DType::F64, &Device::Cpu)?;
        to.insert((*name).to_owned(), rows);
    }
    Ok(())
}

/// The numbers of that name.
pub(super) fn stored(from: &Snapshot, name: &str) -> Result<Vec<f64>> {
    let missing = || Error::request(format!("checkpoint: expected `{name}`; got none"));
    num::to_vec(from.get(name).ok_or_else(missing)?)
}

fn normalise(weights: &mut [f64]) {
    let total: f64 = weights.iter().sum();
    weights.iter_mut().for_each(|w| *w = (*w / total).max(IDLE));
}
