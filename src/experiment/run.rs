//! One run from its specification to its record: all trials are trained, one is kept and measured.

use std::time::SystemTime;

use super::checkpoint::{self, Kept, Saved};
use super::control::{Checkpoints, Control};
use super::plan::RunSpec;
pub use super::prepared::Run;
use super::prepared::{ended_by_the_clock, Law};
use super::store::{remove_unfinished, Environment, RunDir, State, Status, TrialRow};
use super::{program, Compute};
use mdn_core::data::Programs;
use mdn_core::train::{train, Curves, Progress};
use mdn_core::{Error, Result};

const CONFIG: &str = "config.toml";

/// Trains, evaluates and records one run. `command` is what the user typed, for the record;
/// `watch` is told about every step. A run that diverges, or that `control` interrupts, is recorded
/// and returned as such; an error is recorded as `failed` before it is returned.
///
/// An interrupted run with the same settings continues from its checkpoint and writes the same bytes
/// as an uninterrupted one.
pub fn run(
    spec: &RunSpec,
    place: &RunDir,
    compute: &Compute,
    (control, command): (&Control, &str),
    watch: &mut dyn FnMut(&Progress),
) -> Result<Status> {
    place.create()?;
    remove_unfinished(&place.0)?;
    let settings = spec.to_toml(&place.0)?;
    // First: a run that is killed while its old files are removed must not look done.
    place.write_status(&Status::of(State::Running))?;
    let started = SystemTime::now();
    let environment = |kernels: String| {
        let time = |t| humantime::format_rfc3339_seconds(t).to_string();
        Environment {
            command: command.to_owned(),
            version: crate::VERSION.to_owned(),
            device: mdn_core::device::name(&compute.device),
            kernels,
            threads: rayon::current_num_threads(),
            precision: spec.train.precision,
            started: time(started),
            ended: time(SystemTime::now()),
            note: ended_by_the_clock(spec).map(|by| {
                format!("{by}: the same run again makes other steps and leaves other bytes")
            }),
        }
    };
    let made = saved_or_new(place, &settings, control).and_then(|saved| {
        let mut checkpoints = Checkpoints::new(place, control, saved);
        let programs = program::starter(control.run_programs);
        let programs = programs.as_ref();
        train_and_measure(spec, place, (compute, programs), &mut checkpoints, watch)
    });
    match made {
        Ok((status, kernels)) => {
            place.write_environment(&environment(kernels))?;
            // Last, so that a run whose status says `done` has everything.
            place.write_status(&status)?;
            place.remove_checkpoint()?;
            Ok(status)
        }
        Err(Error::Interrupted(at)) => {
            let by = control.interrupt.reason().unwrap_or_default();
            let status = Status::because(State::Interrupted, &format!("by {by} {at}"));
            place.write_status(&status)?;
            Ok(status)
        }
        Err(error) => {
            place.write_status(&Status::because(State::Failed, &error.to_string()))?;
            // The error matters more than this record, which a full disk may refuse.
            let _ = place.write_environment(&environment(String::new()));
            Err(error)
        }
    }
}

/// What the run's checkpoint holds, or a new start in a folder without old files.
fn saved_or_new(place: &RunDir, settings: &str, control: &Control) -> Result<Saved> {
    let same = std::fs::read_to_string(place.path(CONFIG)).is_ok_and(|there| there == settings);
    if same && !control.force {
        if let Some(saved) = place.read_checkpoint(settings)? {
            return Ok(saved);
        }
    }
    place.remove_checkpoint()?;
    place.remove_outputs(&control.figures)?;
    place.write(CONFIG, settings.as_bytes())?;
    Ok(Saved {
        settings: checkpoint::digest(settings),
        ..Saved::default()
    })
}

/// Trains every trial and measures the chosen one; also returns which kernels evaluated the model.
fn train_and_measure(
    spec: &RunSpec,
    place: &RunDir,
    (compute, programs): (&Compute, &dyn Programs),
    checkpoints: &mut Checkpoints<'_>,
    watch: &mut dyn FnMut(&Progress),
) -> Result<(Status, String)> {
    let law = spec.task.law()?.map(Law::from);
    let best = best(spec, (law.as_ref(), programs), compute, checkpoints, watch)?;
    if !spec.search.is_empty() {
        place.write_trials(&best.trials)?;
    }
    if spec.is_settled_in_training() {
        let settled = best.run.spec.to_toml(&place.0)?;
        place.write("trained.toml", settled.as_bytes())?;
    }
    let check = || checkpoints.check_interrupt("while it was measured");
    let (run, seconds) = (best.run, best.search_seconds);
    let status = run.record(place, &best.trained, seconds, &check)?;
    Ok((status, run.kernels()))
}

/// The trial that is kept.
struct Best {
    /// Its model, with the weights of its best validation.
    run: Run,
    /// Its training. It diverged only if every trial did.
    trained: Curves,
    /// Every trial, in order.
    trials: Vec<TrialRow>,
    /// Wall time of all trials together, if there was a search.
    search_seconds: Option<f64>,
}

/// Trains every trial of a run on the same points, with the same start and batches, and keeps the
/// one with the least validation loss, the first of equals. A trial that diverges loses. Continues
/// after the trials of the checkpoint.
/// Fails with [`Error::Interrupted`] if the run is to end; a checkpoint is left.
fn best(
    spec: &RunSpec,
    on: (Option<&Law>, &dyn Programs),
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
            "checkpoint: expected at most {count} finished trials with the best among them; got {done} \
             (`mdn train` with --force trains the run from its start)"
        )));
    }
    let mut current = saved.current.take();
    // The best trial, if this process trained it; a checkpoint has only its weights.
    let mut trained_here: Option<Run> = None;
    for (number, (trial, alone)) in all.iter().enumerate().skip(done) {
        let run = Run::on(alone, on, compute)?;
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
            let run = Run::on(&all[kept.number].1, on, compute)?;
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
