//! The training loop: one objective, one model, one source of points, one random stream.

use candle_core::Tensor;

use crate::data::DataSet;
use crate::metrics::evaluation;
use crate::models::Model;
use crate::nn::params::{Params, Snapshot};
use crate::num;
use crate::objectives::Objective;
use crate::rng::Rng;
use crate::Result;

mod bare;
mod spec;
mod steps;
#[cfg(test)]
mod tests;

pub use bare::BareSteps;
pub use spec::{Precision, Schedule, TrainSpec};
use steps::{Outcome, Steps};

/// How far training is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Steps done.
    pub step: usize,
    /// Steps at most.
    pub steps: usize,
    /// Loss of the last step, nats per point.
    pub loss: f64,
    /// Wall time since training began.
    pub seconds: f64,
}

/// Which points a loss was computed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// The step's batch.
    Train,
    /// The validation set.
    Validation,
}

/// A point of the learning curves.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryRow {
    /// Optimizer steps done.
    pub step: usize,
    /// Which points.
    pub split: Split,
    /// The objective on a training batch, the mean negative log-density on the validation set; nats
    /// per point.
    pub loss: f64,
    /// Norm of the gradient before clipping (training rows).
    pub grad_norm: Option<f64>,
    /// Points whose log-density was not finite.
    pub non_finite: usize,
}

/// Where training points come from.
pub enum Points<'a> {
    /// A fixed set (n, dim), gone through in a new random order every epoch.
    Fixed(Tensor),
    /// Fresh points for every step.
    Stream(&'a dyn DataSet),
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
        like: &Tensor,
        epoch: &mut Epoch,
    ) -> Result<Tensor> {
        match self {
            Self::Stream(data) => Ok(data
                .sample(size, &mut rng.fork_at("batch", step as u64))?
                .to_dtype(like.dtype())?
                .to_device(like.device())?),
            Self::Fixed(points) => {
                let n = points.dim(0)?;
                // Batches follow each other through an endless row of shuffled epochs.
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
                Ok(points.index_select(&rows, 0)?)
            }
        }
    }
}

/// How training went and ended.
pub struct Curves {
    /// The learning curves.
    pub history: Vec<HistoryRow>,
    /// Steps done.
    pub steps: usize,
    /// Step whose weights the model now has: the best by validation loss.
    pub best_step: usize,
    /// Wall time in seconds, validations included.
    pub seconds: f64,
    /// Why training could not go on, if it diverged.
    pub diverged: Option<String>,
}

const TRAIN_ROWS: usize = 500;

/// Mean negative log-density of `points` and the number of them that have none.
fn validate(model: &dyn Model, points: &Tensor) -> Result<(f64, usize)> {
    let values = evaluation::log_q(model, points)?;
    let bad = values.iter().filter(|v| !v.is_finite()).count();
    Ok((-values.iter().sum::<f64>() / values.len() as f64, bad))
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
    /// Points (n, dim) that are not trained on.
    pub validation: &'a Tensor,
    /// How.
    pub spec: &'a TrainSpec,
    /// The random stream of batches and of the objective.
    pub rng: &'a Rng,
}

/// Trains the model and leaves it with the weights of the best validation loss. `watch` hears of
/// every step.
///
/// A loss or gradient that is not finite ends training: the model keeps the best weights so far
/// and [`Curves::diverged`] says where it happened.
pub fn train(task: &Training<'_>, watch: &mut dyn FnMut(&Progress)) -> Result<Curves> {
    train_by(task, &|phase| steps::for_device(task, phase), watch)
}

/// Step `step` (from 1) on its batch, with its noise and its learning rate.
fn make_step(
    task: &Training<'_>,
    steps: &mut dyn Steps,
    step: usize,
    epoch: &mut Epoch,
) -> Result<Vec<Outcome>> {
    let Training {
        points, spec, rng, ..
    } = *task;
    let batch = points.batch(step - 1, spec.batch_size, rng, task.validation, epoch)?;
    let mut noise = rng.fork_at("objective", step as u64);
    let rate = spec.learning_rate * spec.schedule.factor(step - 1, spec.steps);
    steps.step(&batch, &mut noise, rate)
}

fn train_by<'a>(
    task: &'a Training<'a>,
    make_steps: &dyn Fn(usize) -> Result<Box<dyn Steps + 'a>>,
    watch: &mut dyn FnMut(&Progress),
) -> Result<Curves> {
    let Training {
        model,
        params,
        points,
        validation,
        spec,
        rng,
        ..
    } = *task;
    let began = std::time::Instant::now();
    let (first, bad) = validate(model, validation)?;
    let mut out = Curves {
        history: vec![HistoryRow {
            step: 0,
            split: Split::Validation,
            loss: first,
            grad_norm: None,
            non_finite: bad,
        }],
        steps: 0,
        best_step: 0,
        seconds: 0.0,
        diverged: None,
    };
    let mut best: (f64, Snapshot) = (finite_or_worst(first), params.snapshot()?);
    let mut epoch = None;
    let log_every = spec.steps.div_ceil(TRAIN_ROWS);
    'phases: for (phase, share) in model.phases().into_iter().enumerate() {
        let end = (out.steps + (share * spec.steps as f64).round() as usize).min(spec.steps);
        if phase > 0 {
            params.restore(&best.1)?;
        }
        let mut steps = make_steps(phase)?;
        let mut without_progress = 0;
        for step in out.steps + 1..=end {
            let mut outcomes = make_step(task, steps.as_mut(), step, &mut epoch)?;
            let validates = step % spec.validate_every == 0 || step == end || step == spec.steps;
            if validates {
                outcomes.extend(steps.settle()?);
            }
            for outcome in outcomes {
                out.steps += 1;
                let step = out.steps;
                let finite = outcome.is_finite();
                let non_finite = if finite {
                    0
                } else {
                    // The model still has the parameters of this step; a device that works on its
                    // own may be batches ahead.
                    steps.settle()?;
                    let size = spec.batch_size;
                    let batch = points.batch(step - 1, size, rng, validation, &mut epoch)?;
                    let all = num::to_vec(&model.training_log_prob(phase, &batch)?)?;
                    all.iter().filter(|v| !v.is_finite()).count()
                };
                if !finite || step.is_multiple_of(log_every) || step == spec.steps {
                    out.history.push(HistoryRow {
                        step,
                        split: Split::Train,
                        loss: outcome.loss,
                        grad_norm: Some(outcome.grad_norm),
                        non_finite,
                    });
                }
                if !finite {
                    let what = if outcome.loss.is_finite() {
                        "gradient"
                    } else {
                        "loss"
                    };
                    out.diverged = Some(format!(
                        "{what} not finite at step {step} ({non_finite} of {} points)",
                        spec.batch_size
                    ));
                    break 'phases;
                }
                watch(&Progress {
                    step,
                    steps: spec.steps,
                    loss: outcome.loss,
                    seconds: began.elapsed().as_secs_f64(),
                });
            }
            if validates {
                let (loss, non_finite) = validate(model, validation)?;
                out.history.push(HistoryRow {
                    step,
                    split: Split::Validation,
                    loss,
                    grad_norm: None,
                    non_finite,
                });
                if loss < best.0 {
                    best = (loss, params.snapshot()?);
                    out.best_step = step;
                    without_progress = 0;
                } else {
                    without_progress += 1;
                }
                if spec.patience > 0 && without_progress >= spec.patience {
                    break;
                }
            }
        }
    }
    if out.diverged.is_none() && !best.0.is_finite() {
        out.diverged = Some(format!(
            "no validation loss was finite in {} steps",
            out.steps
        ));
    }
    params.restore(&best.1)?;
    out.seconds = began.elapsed().as_secs_f64();
    Ok(out)
}

fn finite_or_worst(loss: f64) -> f64 {
    if loss.is_finite() {
        loss
    } else {
        f64::INFINITY
    }
}
