//! The course of training: steps, what is written down of them, and which weights are kept.

use std::time::Instant;

use super::checkpoint::{Checkpoint, Checkpointer, InPhase, InRound, Place, Request};
use super::clock::Clock;
use super::steps::{Outcome, Steps};
use super::{Curves, Epoch, HistoryRow, Progress, Split, Training};
use crate::nn::optimizer::OptimizerState;
use crate::nn::params::Snapshot;
use crate::objectives::{Rounds, Validation};
use crate::{Error, Result};

/// Training rows of a history.
const TRAIN_ROWS: usize = 500;

pub(super) type MakeSteps<'a> = dyn Fn() -> Result<Box<dyn Steps + 'a>> + 'a;
/// What is asked between steps, and what is told of them.
pub(super) type Hooks<'w> = (&'w mut dyn Checkpointer, &'w mut dyn FnMut(&Progress));

/// Training as far as it is.
struct Course<'a, 'w> {
    task: &'a Training<'a>,
    checkpointer: &'w mut dyn Checkpointer,
    watch: &'w mut dyn FnMut(&Progress),
    clock: Clock,
    /// Share of training that was over before the last step.
    progress: f64,
    epoch: Epoch,
    out: Curves,
}

/// [`super::train`] with steps made by `make_steps` for every phase.
pub(super) fn run<'a>(
    task: &'a Training<'a>,
    from: Option<Checkpoint>,
    make_steps: &MakeSteps<'a>,
    (checkpointer, watch): Hooks<'_>,
) -> Result<Curves> {
    let mut course = Course {
        task,
        checkpointer,
        watch,
        clock: Clock::new(task.seconds, task.spec.steps, from.as_ref()),
        progress: 0.0,
        epoch: None,
        out: Curves::default(),
    };
    let from = match from {
        Some(from) => {
            let steps = task.spec.steps;
            let rounds = task.objective.rounds().map(|r| r.count().min(steps));
            from.check(steps, task.model.phases().len(), rounds)?;
            task.params.restore(&from.weights)?;
            course.out = from.curves;
            Some((from.place, from.moments))
        }
        None => None,
    };
    let best = match (task.objective.rounds(), from) {
        (None, None) => course.by_validation(None, make_steps)?,
        (None, Some((Place::Phase(at), moments))) => {
            course.by_validation(Some((at, moments)), make_steps)?
        }
        (Some(rounds), None) => course.by_rounds(rounds, None, make_steps)?,
        (Some(rounds), Some((Place::Round(at), moments))) => {
            course.by_rounds(rounds, Some((at, moments)), make_steps)?
        }
        _ => {
            return Err(Error::request(
                "expected the checkpoint of an objective of the same kind; got one of another",
            ))
        }
    };
    task.params.restore(&best)?;
    let mut out = course.out;
    out.seconds = course.clock.seconds();
    Ok(out)
}

impl Course<'_, '_> {
    /// Phase after phase, each from the best weights so far, until validation no longer improves.
    fn by_validation<'b>(
        &mut self,
        from: Option<(InPhase, OptimizerState)>,
        make_steps: &MakeSteps<'b>,
    ) -> Result<Snapshot> {
        let Training {
            model,
            params,
            spec,
            ..
        } = *self.task;
        let (first, mut best, mut from) = match from {
            Some((at, moments)) => {
                let best = (at.best_loss, at.best);
                (
                    at.phase,
                    best,
                    Some((at.end, at.until, at.without_progress, moments)),
                )
            }
            None => {
                let now = self.validate()?;
                (0, (finite_or_worst(now.loss), params.snapshot()?), None)
            }
        };
        'phases: for (phase, share) in model.phases().into_iter().enumerate().skip(first) {
            let (end, until, mut without_progress, moments) = match from.take() {
                Some((end, until, without, moments)) => (end, until, without, Some(moments)),
                None => {
                    let done = self.out.steps;
                    let last = done + (share * spec.steps as f64).round() as usize;
                    if phase > 0 {
                        params.restore(&best.1)?;
                    }
                    (last.min(spec.steps), self.clock.time() + share, 0, None)
                }
            };
            let mut steps = make_steps()?;
            if let Some(moments) = moments {
                steps.resume(&moments)?;
            }
            for step in self.out.steps + 1..=end {
                let last = step == end || self.clock.is_up(until);
                let validates = step % spec.validate_every == 0 || last;
                if !self.step(steps.as_mut(), (step, phase), validates)? {
                    break 'phases;
                }
                if validates {
                    let now = self.validate()?;
                    if now.loss < best.0 {
                        best = (now.loss, params.snapshot()?);
                        self.out.best_step = step;
                        without_progress = 0;
                    } else if self.task.objective.is_settled(self.progress) {
                        without_progress += 1;
                    }
                    if last || (spec.patience > 0 && without_progress >= spec.patience) {
                        break;
                    }
                }
                let place = || {
                    Place::Phase(InPhase {
                        phase,
                        end,
                        until,
                        without_progress,
                        best_loss: best.0,
                        best: best.1.clone(),
                    })
                };
                if !self.save(steps.as_mut(), phase, &place)? {
                    break 'phases;
                }
            }
        }
        if self.out.diverged.is_none() && !best.0.is_finite() {
            self.out.diverged = Some(format!(
                "no validation loss was finite in {} steps",
                self.out.steps
            ));
        }
        Ok(best.1)
    }

    /// Round after round, each from where the last one ended.
    fn by_rounds<'b>(
        &mut self,
        rounds: &dyn Rounds,
        from: Option<(InRound, OptimizerState)>,
        make_steps: &MakeSteps<'b>,
    ) -> Result<Snapshot> {
        let Training {
            model,
            params,
            spec,
            rng,
            ..
        } = *self.task;
        let (first, start, mut weights, mut moments) = match from {
            Some((at, moments)) => {
                rounds.resume(at.multipliers)?;
                (at.round, at.start, at.weights, Some(moments))
            }
            None => (0, params.snapshot()?, Vec::new(), None),
        };
        let count = rounds.count().min(spec.steps);
        for round in first..count {
            let end = spec.steps * (round + 1) / count;
            let until = (round + 1) as f64 / count as f64;
            // Moments that belong to the last round's multipliers would carry it on.
            let mut steps = make_steps()?;
            if let Some(moments) = moments.take() {
                steps.resume(&moments)?;
            }
            for step in self.out.steps + 1..=end {
                let last = step == end || self.clock.is_up(until);
                if !self.step(steps.as_mut(), (step, 0), last)? {
                    return Ok(weights.pop().unwrap_or(start));
                }
                if last {
                    break;
                }
                let place = || {
                    Place::Round(InRound {
                        round,
                        start: start.clone(),
                        weights: weights.clone(),
                        multipliers: rounds.multipliers(),
                    })
                };
                if !self.save(steps.as_mut(), 0, &place)? {
                    return Ok(weights.pop().unwrap_or(start));
                }
            }
            let done = self.out.steps;
            let progress = self.clock.share(done);
            let measured = rounds.end(model, progress, &rng.fork_at("round", round as u64))?;
            if let Some(fault) = measured.fault() {
                self.out.diverged = Some(format!("{fault} after step {done}"));
                return Ok(weights.pop().unwrap_or(start));
            }
            self.out.rounds.push((done, measured));
            weights.push(params.snapshot()?);
        }
        let ended: Vec<_> = self.out.rounds.iter().map(|(_, r)| r.clone()).collect();
        let best = rounds.best(&ended);
        self.out.best_step = self.out.rounds[best].0;
        Ok(weights.swap_remove(best))
    }

    /// Does what the checkpointer wishes between two steps; false if training cannot go on.
    ///
    /// # Errors
    /// [`Error::Interrupted`] if the checkpointer wishes an end.
    fn save(
        &mut self,
        steps: &mut dyn Steps,
        phase: usize,
        place: &dyn Fn() -> Place,
    ) -> Result<bool> {
        let request = self.checkpointer.request();
        if request == Request::Continue {
            return Ok(true);
        }
        if !self.settle(steps, phase)? {
            return Ok(false);
        }
        self.out.seconds = self.clock.seconds();
        self.checkpointer.save(Checkpoint {
            weights: self.task.params.snapshot()?,
            moments: steps.state()?,
            curves: self.out.clone(),
            longest_validation: self.clock.longest_validation(),
            place: place(),
        })?;
        match request {
            Request::Stop => Err(Error::Interrupted(format!("after step {}", self.out.steps))),
            _ => Ok(true),
        }
    }

    /// Waits for the outcomes that are still out; false if training cannot go on.
    fn settle(&mut self, steps: &mut dyn Steps, phase: usize) -> Result<bool> {
        let outcomes = steps.settle()?;
        self.write_all_down(steps, outcomes, phase)
    }

    fn write_all_down(
        &mut self,
        steps: &mut dyn Steps,
        outcomes: Vec<Outcome>,
        phase: usize,
    ) -> Result<bool> {
        for outcome in outcomes {
            self.out.steps += 1;
            if !self.write_down(steps, outcome, phase)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Measures the model on what it is not trained on, and writes that down.
    fn validate(&mut self) -> Result<Validation> {
        let Training {
            model,
            objective,
            validation,
            spec,
            rng,
            ..
        } = *self.task;
        let began = Instant::now();
        // The same noise every time, so that two values differ by the weights alone.
        let noise = &mut rng.fork("validation");
        let now = objective.validate(model, validation, spec.validation_points, noise)?;
        self.clock.validated(began.elapsed().as_secs_f64());
        self.out.history.push(HistoryRow {
            step: self.out.steps,
            split: Split::Validation,
            loss: now.loss,
            grad_norm: None,
            non_finite: now.non_finite,
        });
        Ok(now)
    }

    /// Makes a step; with `settle` all outcomes are in afterwards. False if training cannot go on.
    fn step(
        &mut self,
        steps: &mut dyn Steps,
        (step, phase): (usize, usize),
        settle: bool,
    ) -> Result<bool> {
        self.progress = self.clock.share(step - 1);
        let outcomes = self
            .task
            .make_step(steps, (step, phase), self.progress, &mut self.epoch)?;
        Ok(self.write_all_down(steps, outcomes, phase)?
            && (!settle || self.settle(steps, phase)?))
    }

    /// The next step's outcome; false if it was not finite.
    fn write_down(
        &mut self,
        steps: &mut dyn Steps,
        outcome: Outcome,
        phase: usize,
    ) -> Result<bool> {
        let task = self.task;
        let spec = task.spec;
        let step = self.out.steps;
        let finite = outcome.is_finite();
        let non_finite = if finite {
            0
        } else {
            // The model still has the parameters of this step; a device that works on its own may
            // be batches ahead.
            steps.settle()?;
            let batch = task.batch(step, &mut self.epoch)?;
            let at = task.at(phase, self.progress, batch.as_ref());
            task.objective
                .non_finite(task.model, &at, &mut task.noise(step))?
        };
        let log_every = match spec.steps.div_ceil(TRAIN_ROWS) {
            // Steps may be many more than there will be.
            every if self.clock.is_limited() => every.min(spec.validate_every),
            every => every,
        };
        if !finite || step.is_multiple_of(log_every) || step == spec.steps {
            self.out.history.push(HistoryRow {
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
            self.out.diverged = Some(format!(
                "{what} not finite at step {step} ({non_finite} of {} points)",
                spec.batch_size
            ));
            return Ok(false);
        }
        (self.watch)(&Progress {
            step,
            steps: if self.clock.is_limited() {
                self.clock.expected(step)
            } else {
                spec.steps
            },
            loss: outcome.loss,
            seconds: self.clock.seconds(),
        });
        Ok(true)
    }
}

fn finite_or_worst(loss: f64) -> f64 {
    if loss.is_finite() {
        loss
    } else {
        f64::INFINITY
    }
}
