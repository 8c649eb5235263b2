//! What training minimises.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use crate::data::Target;
use crate::models::Model;
use crate::nn::params::Snapshot;
use crate::rng::Rng;
use crate::{Error, Result};

pub mod maximum_entropy;
pub mod maximum_likelihood;
pub mod reverse_kl;
pub mod scale;
mod spec;

pub use maximum_entropy::MaximumEntropy;
pub use spec::{MaximumEntropySpec, ProblemSettings, ProblemSpec, Solution};

/// The step that a loss is for.
#[derive(Debug, Clone, Copy)]
pub struct At<'a> {
    /// Phase of the model's training, from 0.
    pub phase: usize,
    /// Share of training that is over, in \[0, 1\].
    pub progress: f64,
    /// The number of points in the batch, or of samples to draw.
    pub size: usize,
    /// The batch (n, dim); `None` for objectives without data.
    pub points: Option<&'a Tensor>,
}

/// How good a model is during training, on points or samples that it is not trained on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Validation {
    /// Nats; the lower the better.
    pub loss: f64,
    /// Points without a finite value.
    pub non_finite: usize,
}

impl Validation {
    /// The mean cost per point.
    pub fn mean(costs: &[f64]) -> Self {
        Self {
            loss: costs.iter().sum::<f64>() / costs.len() as f64,
            non_finite: costs.iter().filter(|v| !v.is_finite()).count(),
        }
    }
}

/// A scalar to be minimised. Objectives are independent of models: a new one changes no model.
pub trait Objective: Send + Sync {
    /// The loss of `model`: a scalar tensor with gradients, in nats.
    fn loss(&self, model: &dyn Model, at: &At<'_>, rng: &mut Rng) -> Result<Tensor>;
    /// The number of points without a finite value among those that [`Objective::loss`] uses with the
    /// same arguments.
    fn non_finite(&self, model: &dyn Model, at: &At<'_>, rng: &mut Rng) -> Result<usize>;
    /// What is not finite among those points, with the first point where it is not, where that is a fault
    /// of the problem and not of the model: a target without a density there.
    fn fault(&self, _model: &dyn Model, _at: &At<'_>, _rng: &mut Rng) -> Result<Option<String>> {
        Ok(None)
    }
    /// The density that the model is fitted to, of an objective that evaluates one.
    fn target(&self) -> Option<&Target> {
        None
    }
    /// The loss by which the best weights are chosen: on held-out `points`, or on `n` samples.
    fn validate(
        &self,
        model: &dyn Model,
        points: Option<&Tensor>,
        n: usize,
        rng: &mut Rng,
    ) -> Result<Validation>;
    /// Whether the loss is exactly minus the mean of log q over the batch, so that fused kernels may
    /// compute it.
    fn is_mean_log_prob(&self) -> bool {
        false
    }
    /// Whether the loss no longer changes with `progress`, the share of training that is over: early
    /// stopping counts validations only from then on.
    fn is_settled(&self, _progress: f64) -> bool {
        true
    }
    /// What the objective has gathered in training and its next loss depends on, by name.
    fn state(&self) -> Result<Snapshot> {
        Ok(Snapshot::new())
    }
    /// Continues from that state.
    ///
    /// # Errors
    /// If it is the state of another objective.
    fn resume(&self, state: &Snapshot) -> Result<()> {
        match state.keys().next() {
            None => Ok(()),
            Some(name) => Err(Error::request(format!(
                "checkpoint: expected an objective without a state; got `{name}`"
            ))),
        }
    }
    /// The objective itself, if it is trained in rounds of equally many steps, between which it
    /// measures the model and changes. The weights that are kept are then those of a round, not of a
    /// validation.
    fn rounds(&self) -> Option<&MaximumEntropy> {
        None
    }
}

/// What changes between the rounds of an augmented Lagrangian with m constraints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Multipliers {
    /// lambda: m.
    pub multipliers: Vec<f64>,
    /// W: m x m row by row; empty before the model is measured.
    pub scale: Vec<f64>,
    /// c.
    pub penalty: f64,
    /// |W R| of the last round.
    pub error: Option<f64>,
}

/// What is measured at the end of a round, and the objective's response.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Round {
    /// Entropy of the model, nats.
    pub entropy: f64,
    /// Its standard error.
    pub entropy_std_err: f64,
    /// Whether the samples are consistent with the constraints.
    pub accepted: bool,
    /// c of the next round.
    pub penalty: f64,
    /// The constraints.
    pub constraints: Vec<Constraint>,
}

impl Round {
    /// The multipliers beside the natural parameters of the exact solution, where it is known.
    pub fn against_exact(&self) -> Option<(Vec<f64>, Vec<f64>)> {
        let each = self.constraints.iter();
        each.map(|c| Some((c.multiplier, -c.exact?))).collect()
    }

    /// The first number that is not finite, if any, in words.
    pub fn fault(&self) -> Option<String> {
        if !self.entropy.is_finite() {
            return Some("entropy not finite".to_owned());
        }
        let broken = self.constraints.iter().find(|c| !c.mean.is_finite());
        broken.map(|c| format!("E[{}] not finite", c.statistic))
    }
}

/// One constraint E\[T\] = m at the end of a round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Constraint {
    /// T by its name in the experiment file.
    pub statistic: String,
    /// m.
    pub target: f64,
    /// E_q\[T\], estimated from samples.
    pub mean: f64,
    /// Its standard error.
    pub std_err: f64,
    /// Standard deviation of T under the model.
    pub std_dev: f64,
    /// The multiplier of the next round.
    pub multiplier: f64,
    /// The multiplier of the exact solution, -eta, where it is known.
    pub exact: Option<f64>,
}

#[cfg(test)]
mod laws;
