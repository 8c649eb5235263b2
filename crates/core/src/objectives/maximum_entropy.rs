//! Maximum entropy under moment constraints by the augmented Lagrangian (Loaiza-Ganem, Gao and
//! Cunningham 2017).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::{DType, Tensor};

use super::scale::{self, solve_transposed};
use super::{
    At, Constraint, MaximumEntropySpec, Multipliers, Objective, Round, Solution, Validation,
};
use crate::data::point;
use crate::distributions::Draws;
use crate::models::Model;
use crate::num::{self, mean_and_std_err};
use crate::rng::Rng;
use crate::rows::{self, RowFunction};
use crate::statistics::Statistics;
use crate::{Error, Result};

/// The number of groups in which a round draws its samples, and whose residuals it tests.
pub(super) const GROUPS: usize = 200;

/// max H(q) subject to R = E_q\[T(X)\] - m = 0, as the minimum of
///
/// L = -H(q) + lambda . R + (c / 2) |W R|^2
///
/// with W from the covariance of T under the model ([`super::scale::Scaling`]). After every round
/// lambda grows by c W^T W R, and c grows while |W R| does not fall. At the solution lambda = -eta,
/// the natural parameters of p(x) ~ exp(eta . T(x)).
///
/// The gradient of |R|^2 is estimated without bias: for independent rows by subtracting what their
/// covariance adds to the square of their mean (a U-statistic, per stratum), for dependent rows by
/// the product of two independent sets.
pub struct MaximumEntropy {
    spec: MaximumEntropySpec,
    statistics: Arc<Statistics>,
    targets: Vec<f64>,
    solution: Option<Solution>,
    state: Mutex<Multipliers>,
}

/// Entropy and weighted moments of one set of draws.
struct Moments {
    entropy: f64,
    mean: Vec<f64>,
    /// E\[T_i T_j\], row by row.
    products: Vec<f64>,
}

impl MaximumEntropy {
    /// The objective of a checked specification, before its first round.
    pub fn new(spec: &MaximumEntropySpec) -> Result<Self> {
        let (statistics, targets) = spec.constraints()?;
        let m = targets.len();
        Ok(Self {
            state: Mutex::new(Multipliers {
                multipliers: vec![0.0; m],
                scale: Vec::new(),
                penalty: spec.penalty,
                error: None,
            }),
            statistics: Arc::new(statistics),
            targets,
            solution: spec.solution(),
            spec: spec.clone(),
        })
    }

    fn state(&self) -> MutexGuard<'_, Multipliers> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// T of every row: (n, m).
    fn statistics_of(&self, x: &Tensor) -> Result<Tensor> {
        rows::apply(x, Arc::clone(&self.statistics) as Arc<dyn RowFunction>)
    }

    /// -H () and W R (1, m) of one set of draws, and what the rows' variance adds to |W R|^2 if they
    /// are independent.
    fn terms(&self, draws: &Draws, scale: &[f64]) -> Result<(Tensor, Tensor, Option<Tensor>)> {
        let weight = draws.log_weight.exp()?;
        let negentropy = (&weight * &draws.log_prob)?.sum_all()?;
        let like = &draws.x;
        let m = self.targets.len();
        let rows = |v: &[f64]| num::from_rows(v, m, like.dtype(), like.device());
        let statistics = self
            .statistics_of(&draws.x)?
            .broadcast_sub(&rows(&self.targets)?)?
            .matmul(&rows(scale)?.t()?)?;
        let residual = weight.unsqueeze(0)?.matmul(&statistics)?;
        let Some(strata) = &draws.strata else {
            return Ok((negentropy, residual, None));
        };
        let mut scatter = negentropy.zeros_like()?;
        let mut start = 0;
        for &n in strata {
            let rows = statistics.narrow(0, start, n)?;
            let share = weight.narrow(0, start, n)?.sum_all()?;
            start += n;
            if n < 2 {
                continue;
            }
            let squares = rows
                .broadcast_sub(&rows.mean_keepdim(0)?)?
                .sqr()?
                .sum_all()?;
            let variance = (squares / ((n - 1) * n) as f64)?;
            scatter = (scatter + (share.sqr()? * variance)?)?;
        }
        Ok((negentropy, residual, Some(scatter)))
    }

    /// The first finite point among draws at which a statistic is not finite, in words.
    fn fault_of(&self, draws: &Draws) -> Result<Option<String>> {
        let x = num::to_vec(&draws.x)?;
        let mut t = vec![0.0; self.targets.len()];
        for x in x.chunks_exact(self.statistics.dim()) {
            self.statistics.evaluate(x, &mut t);
            let bad = t.iter().position(|t| !t.is_finite());
            if let Some(i) = bad.filter(|_| x.iter().all(|v| v.is_finite())) {
                let name = &self.statistics.names()[i];
                let at = point(x);
                return Ok(Some(format!("statistic `{name}` {} at {at}", t[i])));
            }
        }
        Ok(None)
    }

    /// [`GROUPS`] independent sets of draws, as the model is trained at `progress`.
    fn groups<'m>(
        &self,
        model: &'m dyn Model,
        progress: f64,
        rng: &'m Rng,
    ) -> impl Iterator<Item = Result<Draws>> + 'm {
        let size = self.spec.samples.div_ceil(GROUPS);
        (0..GROUPS as u64)
            .map(move |group| model.draws(size, progress, &mut rng.fork_at("group", group)))
    }

    /// The moments of the groups.
    fn measure(&self, model: &dyn Model, progress: f64, rng: &Rng) -> Result<Vec<Moments>> {
        let m = self.targets.len();
        self.groups(model, progress, rng)
            .map(|draws| {
                let draws = draws?;
                let weights = num::to_vec(&draws.log_weight)?;
                let log_prob = num::to_vec(&draws.log_prob)?;
                let x = num::to_vec(&draws.x)?;
                let mut out = Moments {
                    entropy: 0.0,
                    mean: vec![0.0; m],
                    products: vec![0.0; m * m],
                };
                let mut t = vec![0.0; m];
                for ((x, w), log_q) in x.chunks(model.dim()).zip(weights).zip(log_prob) {
                    let w = w.exp();
                    self.statistics.evaluate(x, &mut t);
                    out.entropy -= w * log_q;
                    for (i, one) in t.iter().enumerate() {
                        out.mean[i] += w * one;
                        for (sum, other) in out.products[i * m..].iter_mut().zip(&t) {
                            *sum += w * one * other;
                        }
                    }
                }
                Ok(out)
            })
            .collect()
    }
}

/// Cov(T), row by row.
fn covariance(groups: &[Moments]) -> Vec<f64> {
    let m = groups[0].mean.len();
    let over = |f: &dyn Fn(&Moments) -> f64| groups.iter().map(f).sum::<f64>() / GROUPS as f64;
    let mean: Vec<f64> = (0..m).map(|i| over(&|g| g.mean[i])).collect();
    (0..m * m)
        .map(|at| over(&|g| g.products[at]) - mean[at / m] * mean[at % m])
        .collect()
}

impl Objective for MaximumEntropy {
    fn loss(&self, model: &dyn Model, at: &At<'_>, rng: &mut Rng) -> Result<Tensor> {
        if self.state().scale.is_empty() {
            let groups = self.measure(model, at.progress, &rng.fork("scale"))?;
            let scale = self
                .spec
                .scaling
                .matrix(&covariance(&groups), self.targets.len());
            self.state().scale = scale;
        }
        let state = self.state();
        let draws = model.draws(at.size, at.progress, rng)?;
        let (mut negentropy, mut residual, scatter) = self.terms(&draws, &state.scale)?;
        let square = match scatter {
            Some(scatter) => (residual.sqr()?.sum_all()? - scatter)?,
            None => {
                let other = model.draws(at.size, at.progress, rng)?;
                let (more, independent, _) = self.terms(&other, &state.scale)?;
                let product = (&residual * &independent)?.sum_all()?;
                negentropy = ((negentropy + more)? * 0.5)?;
                residual = ((residual + independent)? * 0.5)?;
                product
            }
        };
        // lambda . R = mu . W R with W^T mu = lambda.
        let mu = solve_transposed(&state.scale, &state.multipliers);
        let mu = num::from_rows(&mu, mu.len(), residual.dtype(), residual.device())?;
        let linear = (residual * mu)?.sum_all()?;
        Ok(((negentropy + linear)? + (square * (0.5 * state.penalty))?)?)
    }

    fn non_finite(&self, model: &dyn Model, at: &At<'_>, rng: &mut Rng) -> Result<usize> {
        let draws = model.draws(at.size, at.progress, rng)?;
        let statistics = self.statistics_of(&draws.x)?.to_dtype(DType::F64)?;
        let all = (statistics.sum(1)? + draws.log_prob.to_dtype(DType::F64)?)?;
        num::non_finite(&all)
    }

    fn fault(&self, model: &dyn Model, at: &At<'_>, rng: &mut Rng) -> Result<Option<String>> {
        let draws = model.draws(at.size, at.progress, rng)?;
        let fault = self.fault_of(&draws)?;
        if fault.is_some() || draws.strata.is_some() {
            return Ok(fault);
        }
        // Steps whose rows depend on each other draw twice.
        self.fault_of(&model.draws(at.size, at.progress, rng)?)
    }

    /// Not used, since rounds choose the weights.
    fn validate(
        &self,
        model: &dyn Model,
        _points: Option<&Tensor>,
        n: usize,
        rng: &mut Rng,
    ) -> Result<Validation> {
        let draws = model.draws(n, 1.0, rng)?;
        let log_prob = num::to_vec(&draws.log_prob)?;
        Ok(Validation::mean(&log_prob))
    }

    fn rounds(&self) -> Option<&MaximumEntropy> {
        Some(self)
    }
}

impl MaximumEntropy {
    /// The largest number of rounds.
    pub fn count(&self) -> usize {
        self.spec.rounds
    }

    /// Measures the model as it is trained at `progress`, and updates the multipliers.
    ///
    /// Two tests. The round is accepted if no constraint fails the sign test of its residuals over the
    /// groups (two-sided, at 5 % over all constraints). And c grows if |W R| is above both `progress`
    /// times its last value and the samples' noise.
    pub fn end(&self, model: &dyn Model, progress: f64, rng: &Rng) -> Result<Round> {
        let groups = self.measure(model, progress, rng)?;
        let (entropy, entropy_std_err) = mean_and_std_err(groups.iter().map(|g| g.entropy));
        let m = self.targets.len();
        let covariance = covariance(&groups);
        let scale = self.spec.scaling.matrix(&covariance, m);
        let (mut means, mut accepted) = (Vec::new(), true);
        for (i, &target) in self.targets.iter().enumerate() {
            means.push(mean_and_std_err(groups.iter().map(|g| g.mean[i])));
            let above = groups.iter().filter(|g| g.mean[i] > target).count();
            let p = 2.0 * above.min(GROUPS - above) as f64 / GROUPS as f64;
            accepted &= p > 0.05 / m as f64;
        }
        let residual = |mean: &mut dyn Iterator<Item = f64>| -> Vec<f64> {
            let off: Vec<f64> = mean.zip(&self.targets).map(|(mean, m)| mean - m).collect();
            scale::apply(&scale, &off)
        };
        let off = residual(&mut means.iter().map(|m| m.0));
        let each: Vec<Vec<f64>> = groups
            .iter()
            .map(|g| residual(&mut g.mean.iter().copied()))
            .collect();
        let noise = (0..m).map(|i| mean_and_std_err(each.iter().map(|o| o[i])).1.powi(2));
        let floor = 2.0 * noise.sum::<f64>().sqrt();
        let error = off.iter().map(|o| o * o).sum::<f64>().sqrt();
        let mut state = self.state();
        let moved = scale::apply_transposed(&scale, &off);
        let penalty = state.penalty;
        for (multiplier, moved) in state.multipliers.iter_mut().zip(moved) {
            *multiplier += penalty * moved;
        }
        let constraints = (0..m).map(|i| Constraint {
            statistic: self.statistics.names()[i].clone(),
            target: self.targets[i],
            mean: means[i].0,
            std_err: means[i].1,
            std_dev: covariance[i * m + i].max(0.0).sqrt(),
            multiplier: state.multipliers[i],
            exact: self.solution.as_ref().map(|s| -s.eta[i]),
        });
        let constraints = constraints.collect();
        let wanted = state.error.map(|e| (self.spec.progress * e).max(floor));
        if wanted.is_some_and(|wanted| error > wanted) {
            let grown = state.penalty * self.spec.penalty_growth;
            state.penalty = grown.min(self.spec.penalty_cap);
        }
        state.error = Some(error);
        state.scale = scale;
        Ok(Round {
            entropy,
            entropy_std_err,
            accepted,
            penalty: state.penalty,
            constraints,
        })
    }

    /// What was not finite in the measurement of [`MaximumEntropy::end`] with the same arguments, and where.
    pub fn fault_at_end(
        &self,
        model: &dyn Model,
        progress: f64,
        rng: &Rng,
    ) -> Result<Option<String>> {
        for draws in self.groups(model, progress, rng) {
            let fault = self.fault_of(&draws?)?;
            if fault.is_some() {
                return Ok(fault);
            }
        }
        Ok(None)
    }

    /// The index of the round whose weights to keep: the accepted one (any, if none is) with the least -H + lambda . R for the last
    /// multipliers, which is KL(q || p_lambda) up to a constant.
    pub fn best(&self, rounds: &[Round]) -> usize {
        let state = self.state();
        let score = |round: &Round| {
            let residuals = round.constraints.iter().map(|c| c.mean - c.target);
            let linear: f64 = residuals.zip(&state.multipliers).map(|(r, l)| r * l).sum();
            linear - round.entropy
        };
        let any = rounds.iter().any(|r| r.accepted);
        let candidates = (0..rounds.len()).filter(|&i| rounds[i].accepted || !any);
        candidates
            .min_by(|&a, &b| score(&rounds[a]).total_cmp(&score(&rounds[b])))
            .unwrap_or(0)
    }

    /// The objective's state.
    pub fn multipliers(&self) -> Multipliers {
        self.state().clone()
    }

    /// Restores that state.
    ///
    /// # Errors
    /// If it is the state of another problem.
    pub fn resume(&self, from: Multipliers) -> Result<()> {
        let m = self.targets.len();
        let scale = from.scale.len();
        if from.multipliers.len() != m || (scale != 0 && scale != m * m) {
            return Err(Error::request(format!(
                "expected multipliers of {m} constraints; got {}",
                from.multipliers.len()
            )));
        }
        *self.state() = from;
        Ok(())
    }
}
