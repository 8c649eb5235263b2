//! Training steps without the loop around them.

use super::steps::{self, Outcome, Steps};
use super::{Epoch, Training};
use crate::{Error, Result};

/// The steps of the first phase of [`super::train`] and nothing else: no validation, no curves, no
/// best weights.
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
        let step = (self.made, 0);
        let steps = self.steps.as_mut();
        let outcomes = self
            .task
            .make_step(steps, step, progress, &mut self.epoch)?;
        self.check(&outcomes)
    }

    /// Waits until all steps are finished and the model has their parameters.
    ///
    /// # Errors
    /// If a loss or gradient is not finite.
    pub fn settle(&mut self) -> Result<()> {
        let outcomes = self.steps.settle()?;
        self.check(&outcomes)
    }

    fn check(&mut self, outcomes: &[Outcome]) -> Result<()> {
        for outcome in outcomes {
            self.known += 1;
            if !outcome.is_finite() {
                return Err(Error::failed(format!(
                    "expected a finite loss and gradient; got {} and {} at step {} (try a smaller \
                     train.learning_rate)",
                    outcome.loss, outcome.grad_norm, self.known
                )));
            }
        }
        Ok(())
    }
}
