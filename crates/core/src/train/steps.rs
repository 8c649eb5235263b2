//! Ways to make training steps. Every phase of training gets new ones: the moments of one phase do not
//! belong to the weights from which the next begins.

use candle_core::{Device, Tensor};

use super::Training;
use crate::nn::optimizer::{Adam, Moved, OptimizerState};
use crate::num;
use crate::objectives::At;
use crate::rng::Rng;
use crate::{Error, Result};
use mdn_kernels::FusedTraining;

/// The outcome of a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Outcome {
    /// Loss of the batch, nats per point.
    pub loss: f64,
    /// Norm of the gradient before clipping.
    pub grad_norm: f64,
}

impl Outcome {
    pub(super) fn is_finite(self) -> bool {
        self.loss.is_finite() && self.grad_norm.is_finite()
    }
}

/// One way to make training steps.
pub(super) trait Steps {
    /// Loss and gradient at `at` and, if both are finite, an Adam step at `rate`; no steps after one
    /// where they are not. Returns the outcomes that are known so far, in the order of the steps: a GPU
    /// keeps some back, so that it need not wait for the host.
    fn step(&mut self, at: &At<'_>, noise: &mut Rng, rate: f64) -> Result<Vec<Outcome>>;

    /// The outcomes that were kept back; then the model has the parameters of the last step.
    fn settle(&mut self) -> Result<Vec<Outcome>>;

    /// The optimizer's moments, after [`Steps::settle`].
    fn state(&self) -> Result<OptimizerState>;

    /// Continues from the moments of other steps over the same parameters, which the model already has.
    fn resume(&mut self, from: &[Moved]) -> Result<()>;
}

/// The steps for the model's kernels and device.
pub(super) fn for_device<'a>(task: &'a Training<'a>) -> Result<Box<dyn Steps + 'a>> {
    if let (Some(fused), true) = (task.model.fused(), task.objective.is_mean_log_prob()) {
        let training = fused.training(&task.params.trained(), task.spec.weight_decay)?;
        return Ok(Box::new(FusedSteps { task, training }));
    }
    let queued = !task.params.device().is_cpu();
    Ok(Box::new(TensorSteps::new(task, queued)?))
}

/// The factor for a gradient of this norm; a largest norm of 0 does not clip.
fn clipping(largest: f64, norm: f64) -> f64 {
    if largest > 0.0 && norm > largest {
        largest / norm
    } else {
        1.0
    }
}

/// Fused kernels on flat vectors of their own; `settle` copies them to the model's parameters.
struct FusedSteps<'a> {
    task: &'a Training<'a>,
    training: FusedTraining,
}

impl Steps for FusedSteps<'_> {
    fn step(&mut self, at: &At<'_>, _noise: &mut Rng, rate: f64) -> Result<Vec<Outcome>> {
        let batch = at
            .points
            .ok_or_else(|| Error::failed("fused steps: expected a batch"))?;
        let (loss, grad_norm) = self.training.loss(batch)?;
        let outcome = Outcome { loss, grad_norm };
        if outcome.is_finite() {
            let scale = clipping(self.task.spec.clip_norm, grad_norm);
            self.training.update(scale, rate);
        }
        Ok(vec![outcome])
    }

    fn settle(&mut self) -> Result<Vec<Outcome>> {
        self.training.store()?;
        Ok(Vec::new())
    }

    fn state(&self) -> Result<OptimizerState> {
        let ([m, v], steps) = self.training.moments();
        let tensor = |values: &[f32]| Tensor::from_slice(values, values.len(), &Device::Cpu);
        Ok(vec![Moved {
            members: Vec::new(),
            m: tensor(m)?,
            v: tensor(v)?,
            steps,
        }])
    }

    fn resume(&mut self, from: &[Moved]) -> Result<()> {
        let [moved] = from else {
            return Err(Error::request(format!(
                "expected the moments of fused kernels; got those of {} plain tensors (try \
                 --kernels plain, as before)",
                from.len()
            )));
        };
        let (m, v) = (moved.m.to_vec1()?, moved.v.to_vec1()?);
        self.training
            .resume([&m, &v], moved.steps)
            .map_err(|e| Error::request(e.to_string()))
    }
}

/// The number of steps after which the host reads the losses from a GPU.
const QUEUE: usize = 50;

/// Candle's automatic differentiation. On a CPU every outcome is known at once. Steps of a GPU are
/// `queued`: the optimizer has few large tensors, and the host waits for the device only to read the
/// losses every [`QUEUE`] steps.
pub(super) struct TensorSteps<'a> {
    task: &'a Training<'a>,
    adam: Adam,
    queued: bool,
    losses: Vec<Tensor>,
    norms: Vec<Tensor>,
}

impl<'a> TensorSteps<'a> {
    pub(super) fn new(task: &'a Training<'a>, queued: bool) -> Result<Self> {
        Ok(Self {
            task,
            adam: Adam::new(task.params.trained(), task.spec.weight_decay, queued)?,
            queued,
            losses: Vec::new(),
            norms: Vec::new(),
        })
    }
}

impl Steps for TensorSteps<'_> {
    fn step(&mut self, at: &At<'_>, noise: &mut Rng, rate: f64) -> Result<Vec<Outcome>> {
        let clip_norm = self.task.spec.clip_norm;
        let loss = self.task.objective.loss(self.task.model, at, noise)?;
        let gradients = loss.backward()?;
        if self.queued {
            let norm = self
                .adam
                .step_on_device(&gradients, &loss, clip_norm, rate)?;
            self.norms.push(norm);
            self.losses.push(loss.detach());
            return match self.losses.len() {
                QUEUE => self.settle(),
                _ => Ok(Vec::new()),
            };
        }
        let outcome = Outcome {
            loss: num::to_vec(&loss)?[0],
            grad_norm: self.adam.gradient_norm(&gradients)?,
        };
        if outcome.is_finite() {
            let scale = clipping(clip_norm, outcome.grad_norm);
            self.adam.step(&gradients, scale, rate)?;
        }
        Ok(vec![outcome])
    }

    fn settle(&mut self) -> Result<Vec<Outcome>> {
        if self.losses.is_empty() {
            return Ok(Vec::new());
        }
        let losses = num::to_vec(&Tensor::stack(&self.losses, 0)?)?;
        let norms = num::to_vec(&Tensor::stack(&self.norms, 0)?)?;
        self.losses.clear();
        self.norms.clear();
        let outcomes = losses.into_iter().zip(norms);
        Ok(outcomes
            .map(|(loss, grad_norm)| Outcome { loss, grad_norm })
            .collect())
    }

    fn state(&self) -> Result<OptimizerState> {
        Ok(self.adam.state())
    }

    fn resume(&mut self, from: &[Moved]) -> Result<()> {
        self.adam.resume(from)
    }
}
