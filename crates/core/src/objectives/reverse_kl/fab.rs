//! The alpha-divergence with annealed importance sampling and a prioritised buffer (FAB, Midgley et al. 2023).

use candle_core::{Tensor, Var};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::grow::{self, LogTarget};
use crate::error::BadValue;
use crate::models::Model;
use crate::nn::params::Snapshot;
use crate::num;
use crate::rng::Rng;
use crate::Result;

/// `fab = { transition = "hmc" }`
///
/// Minimises the alpha-divergence with alpha = 2, log of the integral of p^2 / q, in place of the reverse
/// KL: lost modes cost. Before every `every`-th step, annealed importance sampling takes a batch from q
/// towards g = p^2 / q, by log f_j = (1 - j / (M + 1)) log q + j / (M + 1) log g, j = 1..M, each with
/// transitions that keep f_j, and stores the points with their weights. A step draws a batch from the
/// store by weight and descends -mean(c log q(x)), with c = q_then(x) / q(x), at most 10, by which
/// the weight is corrected too.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FabSpec {
    /// How points move.
    pub transition: Transition,
    /// M, the intermediate densities.
    pub intermediate: usize,
    /// Transitions at each of them.
    pub transitions: usize,
    /// Length of a leapfrog step or standard deviation of a proposal at the start; it is tuned to an
    /// acceptance of 0.65.
    pub step: f64,
    /// Leapfrog steps of an HMC transition.
    pub leapfrogs: usize,
    /// Steps from one round of annealed importance sampling to the next.
    pub every: usize,
    /// Batches that the buffer holds; a tenth, at least one, is drawn before the first step.
    pub batches: usize,
}

impl Default for FabSpec {
    fn default() -> Self {
        Self {
            transition: Transition::Hmc,
            intermediate: 4,
            transitions: 1,
            step: 0.2,
            leapfrogs: 5,
            every: 4,
            batches: 100,
        }
    }
}

/// How points move under an intermediate density.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Transition {
    /// Hamiltonian Monte Carlo, with the target's gradient.
    Hmc,
    /// Random-walk Metropolis, without.
    Metropolis,
}

impl FabSpec {
    pub(super) fn check(&self) -> std::result::Result<(), BadValue> {
        BadValue::within("intermediate", self.intermediate, 1, 1000)?;
        BadValue::within("transitions", self.transitions, 1, 1000)?;
        BadValue::within("leapfrogs", self.leapfrogs, 1, 1000)?;
        BadValue::within("every", self.every, 1, 1_000_000)?;
        BadValue::within("batches", self.batches, 1, 100_000)?;
        let fine = (1e-6..=1e6).contains(&self.step);
        BadValue::unless(fine, "step", "1e-6 <= `step` <= 1e6", self.step)
    }
}

/// Acceptance that the steps are tuned to, and the factor by which they change.
const ACCEPTANCE: f64 = 0.65;
const TUNING: f64 = 1.1;
/// The largest correction of a weight in the loss.
const MOST: f64 = 10.0;

/// What training has gathered.
#[derive(Debug, Default)]
pub(super) struct Store {
    /// Losses so far.
    steps: usize,
    /// Length of a step at each intermediate density.
    lengths: Vec<f64>,
    /// Points, row by row.
    x: Vec<f64>,
    log_w: Vec<f64>,
    /// log q when the weight was last corrected.
    log_q: Vec<f64>,
}

/// Points with log q, log p~ and the gradient of (1 - 2 t) log q + 2 t log p~ at them, t in \[0, 1\].
struct At {
    x: Vec<f64>,
    log_q: Vec<f64>,
    log_p: Vec<f64>,
    slope: Vec<f64>,
}

impl At {
    /// log f of row i: (1 - t) log q + t log(p^2 / q); -inf where that is not a number.
    fn log_f(&self, i: usize, t: f64) -> f64 {
        let log_f = (1.0 - 2.0 * t) * self.log_q[i] + 2.0 * t * self.log_p[i];
        if log_f.is_finite() {
            log_f
        } else {
            f64::NEG_INFINITY
        }
    }
}

/// The model and the target, in the model's format.
struct Side<'a> {
    model: &'a dyn Model,
    log_p: &'a LogTarget<'a>,
    like: Tensor,
    transition: Transition,
}

impl Side<'_> {
    fn rows(&self, rows: &[f64]) -> Result<Tensor> {
        let (dtype, device) = (self.like.dtype(), self.like.device());
        num::from_rows(rows, self.model.dim(), dtype, device)
    }

    fn at(&self, x: Vec<f64>, t: f64) -> Result<At> {
        let rows = self.rows(&x)?;
        let evaluated =
            |x: &Tensor| -> Result<[Tensor; 2]> { Ok([self.model.log_prob(x)?, (self.log_p)(x)?]) };
        let ([log_q, log_p], slope) = match self.transition {
            Transition::Metropolis => (evaluated(&rows)?, Vec::new()),
            Transition::Hmc => {
                let point = Var::from_tensor(&rows)?;
                let [log_q, log_p] = evaluated(&point)?;
                let log_f = ((&log_q * (1.0 - 2.0 * t))? + (&log_p * (2.0 * t))?)?;
                let gradients = log_f.sum_all()?.backward()?;
                let none = || point.zeros_like();
                let slope = gradients.get(&point).cloned().map_or_else(none, Ok)?;
                ([log_q, log_p], num::to_vec(&slope)?)
            }
        };
        Ok(At {
            x,
            log_q: num::to_vec(&log_q)?,
            log_p: num::to_vec(&log_p)?,
            slope,
        })
    }

    /// One transition of every row that keeps log f at t; returns the share of accepted rows.
    fn step(&self, at: &mut At, t: f64, spec: &FabSpec, length: f64, rng: &mut Rng) -> Result<f64> {
        let d = self.model.dim();
        let mut momentum: Vec<f64> = at.x.iter().map(|_| rng.normal()).collect();
        let energy = |v: &[f64], i: usize| {
            let row = &v[i * d..(i + 1) * d];
            0.5 * row.iter().map(|v| v * v).sum::<f64>()
        };
        let n = at.log_q.len();
        let moved = |x: &[f64], v: &[f64]| x.iter().zip(v).map(|(x, v)| x + length * v).collect();
        let (new, kinetic): (At, Vec<f64>) = match self.transition {
            Transition::Metropolis => (self.at(moved(&at.x, &momentum), t)?, vec![0.0; n]),
            Transition::Hmc => {
                let before: Vec<f64> = (0..n).map(|i| energy(&momentum, i)).collect();
                let kick = |momentum: &mut [f64], slope: &[f64], by: f64| {
                    for (v, s) in momentum.iter_mut().zip(slope) {
                        *v += by * length * s;
                    }
                };
                kick(&mut momentum, &at.slope, 0.5);
                let mut new = self.at(moved(&at.x, &momentum), t)?;
                for _ in 1..spec.leapfrogs {
                    kick(&mut momentum, &new.slope, 1.0);
                    new = self.at(moved(&new.x, &momentum), t)?;
                }
                kick(&mut momentum, &new.slope, 0.5);
                let gain = before.iter().enumerate();
                let gain = gain.map(|(i, before)| before - energy(&momentum, i));
                (new, gain.collect())
            }
        };
        let mut accepted = 0;
        for (i, kinetic) in kinetic.iter().enumerate() {
            let log_ratio = new.log_f(i, t) - at.log_f(i, t) + kinetic;
            // Drawn for every row, so that no row shifts the next one's numbers; NaN is refused.
            let draw = rng.uniform().ln();
            if new.log_f(i, t) > f64::NEG_INFINITY && draw < log_ratio {
                accepted += 1;
                let row = i * d..(i + 1) * d;
                at.x[row.clone()].copy_from_slice(&new.x[row.clone()]);
                if self.transition == Transition::Hmc {
                    at.slope[row.clone()].copy_from_slice(&new.slope[row]);
                }
                (at.log_q[i], at.log_p[i]) = (new.log_q[i], new.log_p[i]);
            }
        }
        Ok(f64::from(accepted) / n as f64)
    }
}

impl Store {
    /// Annealed importance sampling of `n` points into the store.
    fn fill(&mut self, spec: &FabSpec, side: &Side<'_>, n: usize, rng: &mut Rng) -> Result<()> {
        let t = |j: usize| j as f64 / (spec.intermediate + 1) as f64;
        let mut at = side.at(num::to_vec(&side.model.sample(n, rng)?)?, t(1))?;
        let mut log_w = vec![0.0; at.log_q.len()];
        for j in 1..=spec.intermediate + 1 {
            for (i, log_w) in log_w.iter_mut().enumerate() {
                *log_w += at.log_f(i, t(j)) - at.log_f(i, t(j - 1));
            }
            if j > spec.intermediate {
                break;
            }
            if j > 1 && side.transition == Transition::Hmc {
                at = side.at(at.x, t(j))?;
            }
            for _ in 0..spec.transitions {
                let length = self.lengths[j - 1];
                let accepted = side.step(&mut at, t(j), spec, length, rng)?;
                self.lengths[j - 1] = match accepted > ACCEPTANCE {
                    true => length * TUNING,
                    false => length / TUNING,
                };
            }
        }
        let d = side.model.dim();
        for (i, log_w) in log_w.into_iter().enumerate() {
            if log_w.is_finite() {
                self.x.extend(&at.x[i * d..(i + 1) * d]);
                self.log_w.push(log_w);
                self.log_q.push(at.log_q[i]);
            }
        }
        let old = self.log_w.len().saturating_sub(spec.batches * n);
        self.log_w.drain(..old);
        self.log_q.drain(..old);
        self.x.drain(..old * d);
        Ok(())
    }

    /// The loss of a step on `n` points of the store.
    pub(super) fn loss(
        &mut self,
        spec: &FabSpec,
        model: &dyn Model,
        log_p: &LogTarget<'_>,
        n: usize,
        rng: &Rng,
    ) -> Result<Tensor> {
        let side = Side {
            model,
            log_p,
            like: model.sample(1, &mut rng.fork("format"))?,
            transition: spec.transition,
        };
        if self.steps == 0 {
            self.lengths = vec![spec.step; spec.intermediate];
            for batch in 0..spec.batches.div_ceil(10) {
                let rng = &mut rng.fork_at("fill", batch as u64);
                self.fill(spec, &side, n, rng)?;
            }
        } else if self.steps.is_multiple_of(spec.every) {
            self.fill(spec, &side, n, &mut rng.fork("sample"))?;
        }
        self.steps += 1;
        let most = num::largest(self.log_w.iter().copied());
        let mut sum = 0.0;
        let sums: Vec<f64> = (self.log_w.iter())
            .map(|w| {
                sum += (w - most).exp();
                sum
            })
            .collect();
        let rng = &mut rng.fork("batch");
        let chosen: Vec<usize> = (0..n)
            .map(|_| {
                let u = rng.uniform() * sum;
                sums.partition_point(|s| *s <= u).min(sums.len() - 1)
            })
            .collect();
        let d = model.dim();
        let rows: Vec<f64> = (chosen.iter())
            .flat_map(|i| self.x[i * d..(i + 1) * d].to_vec())
            .collect();
        let log_q = model.log_prob(&side.rows(&rows)?)?;
        let now = num::to_vec(&log_q)?;
        let mut corrections = Vec::with_capacity(n);
        for (&i, now) in chosen.iter().zip(&now) {
            corrections.push((self.log_q[i] - now).exp().min(MOST));
        }
        for (i, now) in chosen
            .into_iter()
            .zip(now)
            .filter(|(_, now)| now.is_finite())
        {
            self.log_w[i] += self.log_q[i] - now;
            self.log_q[i] = now;
        }
        let weights = side.column(&corrections)?;
        Ok(((log_q * weights)?.mean_all()? * -1.0)?)
    }

    /// For a checkpoint.
    pub(super) fn state(&self, dim: usize, to: &mut Snapshot) -> Result<()> {
        let steps = [self.steps as f64];
        let columns: [(&str, &[f64], usize); 5] = [
            ("fab.steps", &steps, 1),
            ("fab.lengths", &self.lengths, 1),
            ("fab.x", &self.x, dim),
            ("fab.log_w", &self.log_w, 1),
            ("fab.log_q", &self.log_q, 1),
        ];
        grow::store(&columns, to)
    }

    /// From a checkpoint.
    pub(super) fn resumed(from: &Snapshot) -> Result<Self> {
        let get = |name| grow::stored(from, name);
        Ok(Self {
            steps: get("fab.steps")?.first().map_or(0, |n| *n as usize),
            lengths: get("fab.lengths")?,
            x: get("fab.x")?,
            log_w: get("fab.log_w")?,
            log_q: get("fab.log_q")?,
        })
    }
}

impl Side<'_> {
    fn column(&self, values: &[f64]) -> Result<Tensor> {
        let (dtype, device) = (self.like.dtype(), self.like.device());
        Ok(num::from_rows(values, 1, dtype, device)?.squeeze(1)?)
    }
}
