//! The trials of a run: all are trained, one is kept.

use super::checkpoint::Kept;
use super::control::Checkpoints;
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
/// after the trials of the checkpoint.
///
/// # Errors
/// [`Error::Interrupted`] if the run is to end; a checkpoint is left.
pub(super) fn best(
    spec: &RunSpec,
    law: Option<&Law>,
    compute: &Compute,
    checkpoints: &mut Checkpoints<'_>,
    watch: &mut dyn FnMut(&Progress),
) -> Result<Best> {
    let all = spec.trials()?;
    let count = all.len();
    let saved = &mut checkpoints.saved;
    let done = saved.trials.len();
    if done > count || saved.kept.as_ref().is_some_and(|k| k.number >= done) {
        return Err(Error::request(format!(
            "checkpoint: expected the best of at most {count} trials; got that of others, after {done} \
             (`mdn train` with --force trains the run from its start)"
        )));
    }
    let mut current = saved.current.take();
    // The best trial, if this process trained it; a checkpoint has only its weights.
    let mut trained_here: Option<Run> = None;
    for (number, (trial, alone)) in all.iter().enumerate().skip(done) {
        let run = Run::on(alone, law, compute)?;
        let before = checkpoints.saved.seconds;
        // Every trial counts as an equal part of the whole: the steps of later ones are not known.
        let mut told = |p: &Progress| {
            watch(&Progress {
                step: number * p.steps + p.step,
                steps: count * p.steps,
                loss: p.loss,
                seconds: before + p.seconds,
            });
        };
        let from = current.take();
        let trained = run.with_training(|task| train(task, from, checkpoints, &mut told))?;
        let saved = &mut checkpoints.saved;
        saved.seconds += trained.seconds;
        let loss = trained.validation_loss();
        saved.trials.push(TrialRow {
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
        if saved.kept.as_ref().is_none_or(|kept| loss < kept.loss) {
            saved.kept = Some(Kept {
                number,
                loss,
                weights: run.params.snapshot()?,
                trained,
            });
            trained_here = Some(run);
        }
        checkpoints.after_trial()?;
    }
    let saved = std::mem::take(&mut checkpoints.saved);
    let none = || Error::failed("expected at least one trial; got none");
    let kept = saved.kept.ok_or_else(none)?;
    let (mut trials, mut trained) = (saved.trials, kept.trained);
    let run = match trained_here {
        Some(run) => run,
        None => {
            let run = Run::on(&all[kept.number].1, law, compute)?;
            run.params.restore(&kept.weights)?;
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
        search_seconds: (!spec.search.is_empty()).then_some(saved.seconds),
    })
}

#[cfg(test)]
mod tests;
