//! The course of training: steps, learning curves, checkpoints, and which weights are kept.

use std::collections::VecDeque;
use std::time::Instant;

use super::checkpoint::{Checkpoint, Checkpointer, InPhase, InRound, Place, Request};
use super::clock::Clock;
use super::steps::{Outcome, Steps};
use super::{Curves, Epoch, HistoryRow, Progress, Split, Training};
use crate::nn::optimizer::OptimizerState;
use crate::nn::params::Snapshot;
use crate::objectives::{MaximumEntropy, Validation};
use crate::{Error, Result};

/// Training rows of a history.
const TRAIN_ROWS: usize = 500;

pub(super) type MakeSteps<'a> = dyn Fn() -> Result<Box<dyn Steps + 'a>> + 'a;

/// The state of training.
struct Course<'a, 'm, 'w> {
    task: &'a Training<'a>,
    make_steps: &'m MakeSteps<'a>,
    checkpointer: &'w mut dyn Checkpointer,
    watch: &'w mut dyn FnMut(&Progress),
    clock: Clock,
    /// The phase of the model's training; 0 in rounds.
    phase: usize,
    /// Share of training that was over before the last step.
    progress: f64,
    epoch: Epoch,
    /// Points at which each of the steps without a known outcome evaluated the target.
    evaluated: VecDeque<u64>,
    out: Curves,
}

/// [`super::train`] with steps made by `make_steps` for every phase.
pub(super) fn run<'a>(
    task: &'a Training<'a>,
    from: Option<Checkpoint>,
    make_steps: &MakeSteps<'a>,
    checkpointer: &mut dyn Checkpointer,
    watch: &mut dyn FnMut(&Progress),
) -> Result<Curves> {
    let mut course = Course {
        task,
        make_steps,
        checkpointer,
        watch,
        clock: Clock::new(task.seconds, task.spec.steps, from.as_ref()),
        phase: 0,
        progress: 0.0,
        epoch: None,
        evaluated: VecDeque::new(),
        out: Curves {
            target_evaluations: task.objective.target().map(|_| 0),
            ..Curves::default()
        },
    };
    let (mut place, mut moments) = (None, None);
    if let Some(from) = from {
        let steps = task.spec.steps;
        let rounds = task.objective.rounds().map(|r| r.count().min(steps));
        from.check(steps, task.model.phases().len(), rounds)?;
        task.params.restore(&from.weights)?;
        task.objective.resume(&from.gathered)?;
        course.out = from.curves;
        (place, moments) = (Some(from.place), Some(from.moments));
    }
    let rounds = task.objective.rounds();
    let place = match (place, rounds) {
        (Some(place), _) => place,
        (None, None) => Place::Phase(course.first_phase()?),
        (None, Some(rounds)) => Place::Round(InRound {
            round: 0,
            start: task.params.snapshot()?,
            weights: Vec::new(),
            multipliers: rounds.multipliers(),
        }),
    };
    let best = match (rounds, place) {
        (None, Place::Phase(at)) => course.by_validation(at, moments)?,
        (Some(rounds), Place::Round(at)) => {
            rounds.resume(at.multipliers.clone())?;
            course.by_rounds(rounds, at, moments)?
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

impl<'a> Course<'a, '_, '_> {
    /// Before the first step; the first phase is yet to begin.
    fn first_phase(&mut self) -> Result<InPhase> {
        let loss = self.validate()?.loss;
        Ok(InPhase {
            phase: 0,
            end: 0,
            until: 0.0,
            without_progress: 0,
            best_loss: if loss.is_finite() {
                loss
            } else {
                f64::INFINITY
            },
            best: self.task.params.snapshot()?,
        })
    }

    /// New steps, which continue from `moments` if they are given.
    fn steps(&self, moments: Option<&OptimizerState>) -> Result<Box<dyn Steps + 'a>> {
        let mut steps = (self.make_steps)()?;
        if let Some(moments) = moments {
            steps.resume(moments)?;
        }
        Ok(steps)
    }

    /// Phase after phase, each from the best weights so far, until validation no longer improves.
    fn by_validation(
        &mut self,
        mut at: InPhase,
        mut moments: Option<OptimizerState>,
    ) -> Result<Snapshot> {
        let Training { params, spec, .. } = *self.task;
        for (phase, share) in (self.task.model.phases().into_iter().enumerate()).skip(at.phase) {
            self.phase = phase;
            if moments.is_none() {
                if phase > 0 {
                    params.restore(&at.best)?;
                }
                let end = self.out.steps + (share * spec.steps as f64).round() as usize;
                at = InPhase {
                    phase,
                    end: end.min(spec.steps),
                    until: self.clock.time() + share,
                    without_progress: 0,
                    ..at
                };
            }
            let mut steps = self.steps(moments.take().as_ref())?;
            if !self.run_phase(steps.as_mut(), &mut at)? {
                break;
            }
        }
        if self.out.diverged.is_none() && !at.best_loss.is_finite() {
            self.out.diverged = Some(format!(
                "no validation loss was finite in {} steps",
                self.out.steps
            ));
        }
        Ok(at.best)
    }

    /// The steps of one phase; false if training cannot go on.
    fn run_phase(&mut self, steps: &mut dyn Steps, at: &mut InPhase) -> Result<bool> {
        let spec = self.task.spec;
        for step in self.out.steps + 1..=at.end {
            let last = step == at.end || self.clock.is_up(at.until);
            let validates = step % spec.validate_every == 0 || last;
            if !self.step(steps, step, validates)? {
                return Ok(false);
            }
            if validates {
                let now = self.validate()?;
                if now.loss < at.best_loss {
                    at.best_loss = now.loss;
                    at.best = self.task.params.snapshot()?;
                    at.without_progress = 0;
                    self.out.best_step = step;
                } else if self.task.objective.is_settled(self.progress) {
                    at.without_progress += 1;
                }
                if last || (spec.patience > 0 && at.without_progress >= spec.patience) {
                    break;
                }
            }
            if !self.save(steps, &|| Place::Phase(at.clone()))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Round after round, each from where the last one ended.
    fn by_rounds(
        &mut self,
        rounds: &MaximumEntropy,
        mut at: InRound,
        mut moments: Option<OptimizerState>,
    ) -> Result<Snapshot> {
        let Training {
            model,
            params,
            spec,
            rng,
            ..
        } = *self.task;
        let count = rounds.count().min(spec.steps);
        for round in at.round..count {
            at.round = round;
            // Each round begins with new moments: those of the last belong to other multipliers.
            let mut steps = self.steps(moments.take().as_ref())?;
            if !self.run_round(steps.as_mut(), rounds, &at, count)? {
                return Ok(at.weights.pop().unwrap_or(at.start));
            }
            let done = self.out.steps;
            let progress = self.clock.share(done);
            let noise = rng.fork_at("round", round as u64);
            let measured = rounds.end(model, progress, &noise)?;
            if let Some(fault) = measured.fault() {
                let fault = rounds
                    .fault_at_end(model, progress, &noise)?
                    .unwrap_or(fault);
                self.out.diverged = Some(format!("{fault} after step {done}"));
                return Ok(at.weights.pop().unwrap_or(at.start));
            }
            self.out.rounds.push((done, measured));
            at.weights.push(params.snapshot()?);
        }
        let ended: Vec<_> = self.out.rounds.iter().map(|(_, r)| r.clone()).collect();
        let best = rounds.best(&ended);
        self.out.best_step = self.out.rounds[best].0;
        Ok(at.weights.swap_remove(best))
    }

    /// The steps of one of `count` rounds; false if training cannot go on.
    fn run_round(
        &mut self,
        steps: &mut dyn Steps,
        rounds: &MaximumEntropy,
        at: &InRound,
        count: usize,
    ) -> Result<bool> {
        let end = self.task.spec.steps * (at.round + 1) / count;
        let until = (at.round + 1) as f64 / count as f64;
        for step in self.out.steps + 1..=end {
            let last = step == end || self.clock.is_up(until);
            if !self.step(steps, step, last)? {
                return Ok(false);
            }
            if last {
                break;
            }
            let place = || {
                Place::Round(InRound {
                    multipliers: rounds.multipliers(),
                    ..at.clone()
                })
            };
            if !self.save(steps, &place)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Does what the checkpointer requests between two steps; false if training cannot go on.
    ///
    /// # Errors
    /// [`Error::Interrupted`] if the checkpointer requests a stop.
    fn save(&mut self, steps: &mut dyn Steps, place: &dyn Fn() -> Place) -> Result<bool> {
        let request = self.checkpointer.request();
        if request == Request::Continue {
            return Ok(true);
        }
        if !self.settle(steps)? {
            return Ok(false);
        }
        self.out.seconds = self.clock.seconds();
        self.checkpointer.save(Checkpoint {
            weights: self.task.params.snapshot()?,
            moments: steps.state()?,
            gathered: self.task.objective.state()?,
            curves: self.out.clone(),
            longest_validation: self.clock.longest_validation,
            place: place(),
        })?;
        match request {
            Request::Stop => Err(Error::Interrupted(format!("after step {}", self.out.steps))),
            _ => Ok(true),
        }
    }

    /// Validates the model and records the loss.
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
        let longest = &mut self.clock.longest_validation;
        *longest = longest.max(began.elapsed().as_secs_f64());
        self.out.history.push(HistoryRow {
            step: self.out.steps,
            split: Split::Validation,
            loss: now.loss,
            grad_norm: None,
            non_finite: now.non_finite,
            target_evaluations: self.out.target_evaluations,
        });
        Ok(now)
    }

    /// Makes a step, and with `settle` waits for all outcomes. False if training cannot go on.
    fn step(&mut self, steps: &mut dyn Steps, step: usize, settle: bool) -> Result<bool> {
        self.progress = self.clock.share(step - 1);
        let at = (step, self.phase);
        let evaluated = || self.task.objective.target().map_or(0, |t| t.evaluated());
        let before = evaluated();
        let outcomes = self
            .task
            .make_step(steps, at, self.progress, &mut self.epoch)?;
        self.evaluated.push_back(evaluated() - before);
        Ok(self.record(steps, outcomes)? && (!settle || self.settle(steps)?))
    }

    /// Waits for the outstanding outcomes; false if training cannot go on.
    fn settle(&mut self, steps: &mut dyn Steps) -> Result<bool> {
        let outcomes = steps.settle()?;
        self.record(steps, outcomes)
    }

    /// Records the outcomes of the next steps; false at the first one that is not finite.
    fn record(&mut self, steps: &mut dyn Steps, outcomes: Vec<Outcome>) -> Result<bool> {
        let Training {
            model,
            objective,
            spec,
            ..
        } = *self.task;
        let limited = self.clock.is_limited();
        let log_every = match spec.steps.div_ceil(TRAIN_ROWS) {
            // With limited time there may be far fewer steps than `spec.steps`.
            every if limited => every.min(spec.validate_every),
            every => every,
        };
        for outcome in outcomes {
            self.out.steps += 1;
            let step = self.out.steps;
            let evaluated = self.evaluated.pop_front().unwrap_or_default();
            let total = self.out.target_evaluations;
            self.out.target_evaluations = total.map(|total| total + evaluated);
            let finite = outcome.is_finite();
            let (mut non_finite, mut fault) = (0, None);
            if !finite {
                // The model still has the parameters of this step; a GPU may be batches ahead.
                steps.settle()?;
                let batch = self.task.batch(step, &mut self.epoch)?;
                let at = self.task.at(self.phase, self.progress, batch.as_ref());
                non_finite = objective.non_finite(model, &at, &mut self.task.noise(step))?;
                fault = objective.fault(model, &at, &mut self.task.noise(step))?;
            }
            if !finite || step.is_multiple_of(log_every) || step == spec.steps {
                self.out.history.push(HistoryRow {
                    step,
                    split: Split::Train,
                    loss: outcome.loss,
                    grad_norm: Some(outcome.grad_norm),
                    non_finite,
                    target_evaluations: self.out.target_evaluations,
                });
            }
            if !finite {
                let what = match outcome.loss.is_finite() {
                    true => "gradient",
                    false => "loss",
                };
                let what = match fault {
                    Some(fault) => format!("{fault} in step {step}"),
                    None => format!("{what} not finite at step {step}"),
                };
                let points = spec.batch_size;
                self.out.diverged = Some(format!("{what} ({non_finite} of {points} points)"));
                return Ok(false);
            }
            (self.watch)(&Progress {
                step,
                steps: match limited {
                    true => self.clock.expected(step),
                    false => spec.steps,
                },
                loss: outcome.loss,
                seconds: self.clock.seconds(),
            });
        }
        Ok(true)
    }
}
