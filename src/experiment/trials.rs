//! The trials of a run: all are trained, one is kept.

use super::checkpoint::{Kept, Saved};
use super::control::{Checkpoints, TrialCheckpoints};
use super::plan::RunSpec;
use super::prepared::{Law, Run};
use super::store::TrialRow;
use super::Compute;
use mdn_core::train::{train, Curves, Progress};
use mdn_core::{Error, Result};

/// The trial that is kept.
pub(super) struct Best {
    /// Its model, with the weights of its best validation.
    pub run: Run,
    /// Its training. It diverged only if every trial did.
    pub trained: Curves,
    /// Every trial, in order.
    pub trials: Vec<TrialRow>,
    /// Wall time of all trials together, if there was a search.
    pub search_seconds: Option<f64>,
}

/// Trains every trial of a run on the same points, with the same start and batches, and keeps the
/// one with the least validation loss, the first of equals. A trial that diverges loses. Continues
/// after the trials of `so_far`.
///
/// # Errors
/// [`Error::Interrupted`] if the run is to end; a checkpoint is left.
pub(super) fn best(
    spec: &RunSpec,
    law: Option<&Law>,
    compute: &Compute,
    (mut so_far, checkpoints): (Saved, &mut Checkpoints<'_>),
    watch: &mut dyn FnMut(&Progress),
) -> Result<Best> {
    let all = spec.trials()?;
    let count = all.len();
    let done = so_far.trials.len();
    if done > count || so_far.kept.as_ref().is_some_and(|k| k.number >= done) {
        return Err(Error::request(format!(
            "checkpoint: expected the best of at most {count} trials; got that of others, after {done} \
             (`mdn train` with --force trains the run from its start)"
        )));
    }
    let mut current = so_far.current.take();
    // The best trial, if this process trained it; a checkpoint has only its weights.
    let mut trained_here: Option<Run> = None;
    for (number, (trial, alone)) in all.iter().enumerate().skip(so_far.trials.len()) {
        let run = Run::on(alone, law, compute)?;
        let before = so_far.seconds;
        // Every trial counts as an equal part of the whole: the steps of later ones are not known.
        let mut told = |p: &Progress| {
            watch(&Progress {
                step: number * p.steps + p.step,
                steps: count * p.steps,
                loss: p.loss,
                seconds: before + p.seconds,
            });
        };
        let mut checkpointer = TrialCheckpoints {
            run: &mut *checkpoints,
            before: &so_far,
        };
        let from = current.take();
        let trained = run.with_training(|task| train(task, from, &mut checkpointer, &mut told))?;
        so_far.seconds += trained.seconds;
        let loss = trained.validation_loss();
        so_far.trials.push(TrialRow {
            settings: trial.settings.clone(),
            validation_loss: loss,
            parameters: run.parameters(),
            best_step: trained.best_step,
            steps: trained.steps,
            diverged: trained.diverged.clone(),
            chosen: false,
        });
        let loss = match (&trained.diverged, loss) {
            (None, Some(loss)) if loss.is_finite() => loss,
            _ => f64::INFINITY,
        };
        if so_far.kept.as_ref().is_none_or(|kept| loss < kept.loss) {
            so_far.kept = Some(Kept {
                number,
                loss,
                weights: run.weights()?,
                trained,
            });
            trained_here = Some(run);
        }
        checkpoints.after_trial(&so_far)?;
    }
    let none = || Error::failed("expected at least one trial; got none");
    let kept = so_far.kept.ok_or_else(none)?;
    let (mut trials, mut trained) = (so_far.trials, kept.trained);
    let run = match trained_here {
        Some(run) => run,
        None => {
            let run = Run::on(&all[kept.number].1, law, compute)?;
            run.set_weights(&kept.weights)?;
            run
        }
    };
    trials[kept.number].chosen = true;
    if let Some(reason) = trained.diverged.as_mut().filter(|_| count > 1) {
        *reason = format!("all {count} trials diverged, the first: {reason}");
    }
    Ok(Best {
        run,
        trained,
        trials,
        search_seconds: (!spec.search.is_empty()).then_some(so_far.seconds),
    })
}

#[cfg(test)]
mod tests;
