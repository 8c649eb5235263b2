//! The training loop: one objective, one model, one source of points, one random stream.

use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::data::DataSet;
use crate::models::Model;
use crate::nn::params::Params;
use crate::objectives::{At, Objective, Round};
use crate::rng::Rng;
use crate::{Error, Result};

mod checkpoint;
mod clock;
mod course;
#[cfg(test)]
mod problem_tests;
#[cfg(test)]
mod resume_tests;
mod spec;
mod steps;
#[cfg(test)]
mod tests;

pub use checkpoint::{Checkpoint, Checkpointer, InPhase, InRound, NoCheckpoints, Place, Request};
pub use spec::{Precision, Schedule, TrainSpec};
use steps::{Outcome, Steps};

/// Progress of training after a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Steps done.
    pub step: usize,
    /// Steps at most; with limited time, as many as the pace so far allows.
    pub steps: usize,
    /// Loss of the last step, nats per point.
    pub loss: f64,
    /// Wall time since training began.
    pub seconds: f64,
}

/// Which points a loss was computed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// The step's batch.
    Train,
    /// The validation set.
    Validation,
}

impl Split {
    /// The word in files.
    pub fn word(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
        }
    }
}

/// A point of the learning curves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistoryRow {
    /// Optimizer steps done.
    pub step: usize,
    /// Which points.
    pub split: Split,
    /// The objective in training; in validation the mean negative log-density of the validation set
    /// or the objective's own measure; nats.
    pub loss: f64,
    /// Norm of the gradient before clipping (training rows).
    pub grad_norm: Option<f64>,
    /// Points whose log-density was not finite.
    pub non_finite: usize,
    /// Points at which training has evaluated the target's density so far, where the objective has one.
    #[serde(default)]
    pub target_evaluations: Option<u64>,
}

/// Where training points come from.
pub enum Points<'a> {
    /// A fixed set (n, dim), in a new random order every epoch.
    Fixed(Tensor),
    /// Fresh points for every step.
    Stream(&'a dyn DataSet),
    /// None: the objective draws from the model.
    Nothing,
}

/// The order of one epoch: its number and the rows.
type Epoch = Option<(usize, Vec<usize>)>;

impl Points<'_> {
    /// The batch of step `step` (from 0): a function of the stream and the step alone.
    /// `epoch` only saves drawing the same order again.
    fn batch(
        &self,
        step: usize,
        size: usize,
        rng: &Rng,
        like: &(DType, Device),
        epoch: &mut Epoch,
    ) -> Result<Option<Tensor>> {
        Ok(match self {
            Self::Nothing => None,
            Self::Stream(data) => Some(
                data.sample(size, &mut rng.fork_at("batch", step as u64))?
                    .to_dtype(like.0)?
                    .to_device(&like.1)?,
            ),
            Self::Fixed(points) => {
                let n = points.dim(0)?;
                // Batches run on from one shuffled epoch into the next.
                let mut rows = Vec::with_capacity(size);
                let mut at = step * size;
                while rows.len() < size {
                    if epoch.as_ref().is_none_or(|(number, _)| *number != at / n) {
                        let mut stream = rng.fork_at("epoch", (at / n) as u64);
                        *epoch = Some((at / n, stream.permutation(n)));
                    }
                    let order = epoch.as_ref().map_or(&[][..], |(_, order)| order);
                    let from = at % n;
                    let take = (n - from).min(size - rows.len());
                    rows.extend(order[from..from + take].iter().map(|&i| i as u32));
                    at += take;
                }
                let rows = Tensor::from_vec(rows, size, points.device())?;
                Some(points.index_select(&rows, 0)?)
            }
        })
    }
}

/// How training went and ended.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Curves {
    /// The learning curves.
    pub history: Vec<HistoryRow>,
    /// Steps done.
    pub steps: usize,
    /// Step whose weights the model now has: the best by validation loss, or of the best round.
    pub best_step: usize,
    /// Wall time in seconds, validations included.
    pub seconds: f64,
    /// The rounds, with the steps done at the end of each, for an objective that has rounds.
    pub rounds: Vec<(usize, Round)>,
    /// Why training could not go on, if it diverged.
    pub diverged: Option<String>,
    /// Points at which the steps have evaluated the target's density, where the objective has one.
    pub target_evaluations: Option<u64>,
}

impl Curves {
    /// Validation loss of the kept weights, nats; `None` for an objective with rounds in place of
    /// validations.
    pub fn validation_loss(&self) -> Option<f64> {
        let mut kept = self.history.iter().filter(|r| r.step == self.best_step);
        let row = kept.find(|r| r.split == Split::Validation)?;
        Some(row.loss)
    }
}

/// Validation that ends this many times farther above its start than it ever fell below it has failed.
const FAR_ABOVE: f64 = 100.0;

impl Curves {
    /// Why training learned nothing, if it did: no validation is below that of the start, unless that fits
    /// already, or the last one is far above it. Nothing is said of a model without steps or of an
    /// objective with rounds.
    pub fn learned_nothing(&self, start_fits: bool) -> Option<String> {
        let validations = self.history.iter();
        let mut validations = validations.filter(|r| r.split == Split::Validation);
        let start = validations.next()?.loss;
        let last = validations.next_back().filter(|_| self.steps > 0)?.loss;
        let (best, steps) = (self.validation_loss()?, self.steps);
        if self.best_step == 0 && !start_fits {
            return Some(format!(
                "no validation in {steps} steps was below the start's {start:.4} nats, and the last was \
                 {last:.4}, so the weights are those of the start"
            ));
        }
        let most = 1f64.max(FAR_ABOVE * (start - best));
        let failed = start.is_finite() && !(last - start <= most);
        failed.then(|| {
            format!(
                "validation fell from {start:.4} to {best:.4} nats at step {} and ended at {last:.4}",
                self.best_step
            )
        })
    }
}

/// Everything that a training run needs.
pub struct Training<'a> {
    /// What is trained.
    pub model: &'a dyn Model,
    /// Its parameters.
    pub params: &'a Params,
    /// What is minimised.
    pub objective: &'a dyn Objective,
    /// What it is trained on.
    pub points: &'a Points<'a>,
    /// Points (n, dim) that are not trained on; `None` for objectives without data.
    pub validation: Option<&'a Tensor>,
    /// How.
    pub spec: &'a TrainSpec,
    /// Limit of the wall time, validations included, if there is one: then schedules follow the
    /// clock, and equal runs differ.
    pub seconds: Option<f64>,
    /// The random stream of batches and of the objective.
    pub rng: &'a Rng,
}

/// Trains the model and leaves it with the weights of the best validation loss, or of the best round
/// for an objective with rounds. `watch` is called after every step.
///
/// A loss or gradient that is not finite ends training: the model keeps the best weights so far
/// and [`Curves::diverged`] says where it happened.
///
/// Between any two steps `checkpointer` may request a checkpoint or a stop. Training that resumes
/// `from` a checkpoint makes the same steps as without the interruption.
///
/// # Errors
/// [`crate::Error::Interrupted`] if the checkpointer requests a stop.
pub fn train(
    task: &Training<'_>,
    from: Option<Checkpoint>,
    checkpointer: &mut dyn Checkpointer,
    watch: &mut dyn FnMut(&Progress),
) -> Result<Curves> {
    let make_steps = || steps::for_device(task);
    course::run(task, from, &make_steps, checkpointer, watch)
}

impl Training<'_> {
    /// The batch of step `step` (from 1).
    fn batch(&self, step: usize, epoch: &mut Epoch) -> Result<Option<Tensor>> {
        let like = (self.params.dtype(), self.params.device());
        let size = self.spec.batch_size;
        self.points.batch(step - 1, size, self.rng, &like, epoch)
    }

    /// The random stream that the objective draws from in step `step` (from 1).
    fn noise(&self, step: usize) -> Rng {
        self.rng.fork_at("objective", step as u64)
    }

    fn at<'b>(&self, phase: usize, progress: f64, batch: Option<&'b Tensor>) -> At<'b> {
        At {
            phase,
            progress,
            size: self.spec.batch_size,
            points: batch,
        }
    }

    /// Step `step` (from 1) on its batch, with its noise and the learning rate of `progress`, the
    /// share of training that is over before it.
    fn make_step(
        &self,
        steps: &mut dyn Steps,
        (step, phase): (usize, usize),
        progress: f64,
        epoch: &mut Epoch,
    ) -> Result<Vec<Outcome>> {
        let batch = self.batch(step, epoch)?;
        let spec = self.spec;
        let done = (progress * spec.steps as f64).round() as usize;
        let rate = spec.learning_rate * spec.schedule.factor(done, spec.steps);
        let at = self.at(phase, progress, batch.as_ref());
        steps.step(&at, &mut self.noise(step), rate)
    }
}

/// The steps of the first phase of [`train`] and nothing else: no validation, no curves, no best
/// weights.
pub struct BareSteps<'a> {
    task: &'a Training<'a>,
    steps: Box<dyn Steps + 'a>,
    epoch: Epoch,
    made: usize,
    known: usize,
}

impl<'a> BareSteps<'a> {
    /// Before the first step.
    pub fn new(task: &'a Training<'a>) -> Result<Self> {
        Ok(Self {
            task,
            steps: steps::for_device(task)?,
            epoch: None,
            made: 0,
            known: 0,
        })
    }

    /// The next step. A GPU may not have finished it on return.
    ///
    /// # Errors
    /// If a loss or gradient is not finite.
    pub fn make(&mut self) -> Result<()> {
        let progress = self.made as f64 / self.task.spec.steps as f64;
        self.made += 1;
        let (steps, at) = (self.steps.as_mut(), (self.made, 0));
        let outcomes = self.task.make_step(steps, at, progress, &mut self.epoch)?;
        self.check(outcomes)
    }

    /// Waits until all steps are finished and the model has their parameters.
    ///
    /// # Errors
    /// If a loss or gradient is not finite.
    pub fn settle(&mut self) -> Result<()> {
        let outcomes = self.steps.settle()?;
        self.check(outcomes)
    }

    fn check(&mut self, outcomes: Vec<Outcome>) -> Result<()> {
        for Outcome { loss, grad_norm } in outcomes {
            self.known += 1;
            if !(loss + grad_norm).is_finite() {
                return Err(Error::failed(format!(
                    "expected a finite loss and gradient; got {loss} and {grad_norm} at step {} \
                     (try a smaller train.learning_rate)",
                    self.known
                )));
            }
        }
        Ok(())
    }
}
