//! The target's inverse temperature in training.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::distributions::Draws;
use crate::error::BadValue;
use crate::num;
use crate::Result;

/// `anneal = { from = 0.1, over = 0.5 }`: b rises linearly from `from` to 1 over the first `over`
/// share of the steps. `anneal = { from = 0.1, ess = 0.9 }`: before every step b rises to the largest
/// value at which the step's draws, weighted by p^b / q, have the effective sample size `ess` n, so
/// that it waits for the model; from `over` on b = 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnnealSpec {
    /// b at the start, in (0, 1\].
    pub from: f64,
    /// Share of the steps, in (0, 1\].
    #[serde(default = "half")]
    pub over: f64,
    /// Share of effective samples that every rise of b keeps, in (0, 1); b rises linearly if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ess: Option<f64>,
}

fn half() -> f64 {
    0.5
}

/// Bisections of one rise.
const HALVINGS: usize = 30;

impl AnnealSpec {
    pub(super) fn check(&self) -> std::result::Result<(), BadValue> {
        for (key, value) in [("from", self.from), ("over", self.over)] {
            let expected = format!("0 < `{key}` <= 1");
            BadValue::unless(value > 0.0 && value <= 1.0, key, &expected, value)?;
        }
        let Some(ess) = self.ess else { return Ok(()) };
        BadValue::unless(ess > 0.0 && ess < 1.0, "ess", "0 < `ess` < 1", ess)
    }

    /// b of a step, where `reached` is that of the last one.
    pub(super) fn at(&self, progress: f64, reached: f64) -> f64 {
        match self.ess {
            _ if progress >= self.over => 1.0,
            None => self.from + (1.0 - self.from) * progress / self.over,
            Some(_) => reached,
        }
    }

    /// b after a step with these draws at b = `now`.
    pub(super) fn after(&self, now: f64, draws: &Draws, log_p: &[f64]) -> Result<f64> {
        let Some(ess) = self.ess else {
            return Ok(now);
        };
        let log_w = num::to_vec(&draws.log_weight)?;
        let log_q = num::to_vec(&draws.log_prob)?;
        let each = || log_w.iter().zip(&log_q).zip(log_p);
        let at = |b: f64| {
            let sum = |power: f64| {
                let terms = each().map(|((w, q), p)| w + power * (b * p - q));
                num::log_sum_exp_slice(&terms.collect::<Vec<_>>())
            };
            (2.0 * sum(1.0) - sum(2.0)).exp()
        };
        if at(1.0) >= ess {
            return Ok(1.0);
        }
        let (mut low, mut high) = (now, 1.0);
        for _ in 0..HALVINGS {
            let middle = 0.5 * (low + high);
            if at(middle) >= ess {
                low = middle;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }
}
