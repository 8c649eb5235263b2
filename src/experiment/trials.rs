//! The trials of a run: each is trained, one is kept.

use super::plan::RunSpec;
use super::run::{Law, Run};
use super::store::TrialRow;
use super::Compute;
use crate::train::{train, Curves, Progress};
use crate::{Error, Result};

/// The trial that is kept.
pub(super) struct Best {
    /// Its model, with the weights of its best validation.
    pub run: Run,
    /// How its training went. It diverged only where every trial did.
    pub trained: Curves,
    /// Every trial, in order.
    pub trials: Vec<TrialRow>,
    /// Wall time of all trials together, where there was something to choose.
    pub search_seconds: Option<f64>,
}

/// Trains every trial of a run on the same points, with the same start and batches, and keeps the
/// one with the least validation loss, the first of equals. One that diverges counts as a trial and
/// loses.
pub(super) fn best(
    spec: &RunSpec,
    law: Option<&Law>,
    compute: &Compute,
    watch: &mut dyn FnMut(&Progress),
) -> Result<Best> {
    let all = spec.trials()?;
    let count = all.len();
    let mut trials: Vec<TrialRow> = Vec::new();
    let mut kept: Option<(usize, f64, Run, Curves)> = None;
    let mut seconds = 0.0;
    for (number, (trial, alone)) in all.into_iter().enumerate() {
        let run = Run::on(&alone, law, compute)?;
        let before = seconds;
        // Every trial as a like part of the whole: how many steps the others make is not known.
        let mut told = |p: &Progress| {
            watch(&Progress {
                step: number * p.steps + p.step,
                steps: count * p.steps,
                loss: p.loss,
                seconds: before + p.seconds,
            });
        };
        let trained = run.with_training(|task| train(task, &mut told))?;
        seconds += trained.seconds;
        let loss = trained.validation_loss();
        trials.push(TrialRow {
            settings: trial.settings,
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
        if kept.as_ref().is_none_or(|(_, least, ..)| loss < *least) {
            kept = Some((number, loss, run, trained));
        }
    }
    let (number, _, run, mut trained) =
        kept.ok_or_else(|| Error::failed("expected at least one trial; got none"))?;
    trials[number].chosen = true;
    if let Some(reason) = trained.diverged.as_mut().filter(|_| count > 1) {
        *reason = format!("all {count} trials diverged, the first: {reason}");
    }
    Ok(Best {
        run,
        trained,
        trials,
        search_seconds: (!spec.search.is_empty()).then_some(seconds),
    })
}

#[cfg(test)]
mod tests;
