//! How long an experiment will train, by a few steps of each of its models.

use std::time::{Duration, Instant};

use super::output::columns;
use crate::experiment::plan::{Plan, RunSpec};
use crate::experiment::run::Run;
use crate::experiment::{pool, Compute};
use mdn_core::train::BareSteps;
use mdn_core::Result;

/// The first steps fill caches and buffers.
const WARM_UP: usize = 3;
/// Steps that are timed, at least and at most, unless the time is over.
const TIMED: (usize, usize) = (3, 500);
const LONGEST: Duration = Duration::from_millis(500);

/// What one run takes.
struct Pace {
    /// Of one step; of a model that is fitted at once, `None`.
    step: Option<f64>,
    /// Of building the model and training it to its last step, every trial of a search.
    run: f64,
}

/// A table with the time of each model, and of all runs on `threads` cores, one run on each.
pub(super) fn forecast(plan: &Plan, compute: &Compute, threads: usize) -> Result<String> {
    let header = ["model", "dim", "runs", "step", "run"];
    let mut cells = vec![header.map(str::to_owned).to_vec()];
    let mut whole = 0.0;
    let mut known: Vec<(&str, usize, bool)> = Vec::new();
    for run in &plan.runs {
        // Steps cost the same on all data of one dimension.
        let of = |run: &RunSpec| Ok::<_, mdn_core::Error>((run.task.dim()?, run.task.has_data()));
        let (dim, has_data) = of(run)?;
        if known.contains(&(run.model_name.as_str(), dim, has_data)) {
            continue;
        }
        known.push((&run.model_name, dim, has_data));
        let mut alike = 0;
        for other in plan.runs.iter().filter(|r| r.model_name == run.model_name) {
            alike += usize::from(of(other)? == (dim, has_data));
        }
        let pace = pool::pool(1)?.install(|| pace(run, compute))?;
        whole += pace.run * alike as f64;
        cells.push(vec![
            run.model_name.clone(),
            dim.to_string(),
            alike.to_string(),
            pace.step.map_or_else(|| "-".to_owned(), duration),
            duration(pace.run),
        ]);
    }
    let cores = threads.min(plan.runs.len()).max(1);
    let runs = plan.runs.len();
    Ok(format!(
        "{}\ntime: {runs} runs train for about {} of one core, {} on {cores}, if none stops early; \
         validations, metrics and figures come on top\n",
        columns(&cells),
        duration(whole),
        duration(whole / cores as f64),
    ))
}

fn pace(run: &RunSpec, compute: &Compute) -> Result<Pace> {
    let trials = run.trials()?;
    let first = trials.first().map_or(run, |(_, first)| first);
    let began = Instant::now();
    let made = Run::new(first, compute)?;
    let build = began.elapsed().as_secs_f64();
    let step = match made.model().phases().is_empty() {
        true => None,
        false => Some(step(&made)?),
    };
    let training = step.map_or(0.0, |step| step * first.train.steps as f64);
    let training = first.budget.seconds.map_or(training, |s| training.min(s));
    Ok(Pace {
        step,
        run: trials.len() as f64 * (build + training),
    })
}

/// Seconds of one step.
fn step(run: &Run) -> Result<f64> {
    run.with_training(|task| {
        let mut steps = BareSteps::new(task)?;
        for _ in 0..WARM_UP {
            steps.make()?;
        }
        steps.settle()?;
        let began = Instant::now();
        let mut made = 0;
        while made < TIMED.0 || (made < TIMED.1 && began.elapsed() < LONGEST) {
            steps.make()?;
            made += 1;
        }
        steps.settle()?;
        Ok(began.elapsed().as_secs_f64() / made as f64)
    })
}

/// Two digits and a unit.
fn duration(seconds: f64) -> String {
    let (value, unit) = match seconds {
        s if s < 1.0 => (1e3 * s, "ms"),
        s if s < 100.0 => (s, "s"),
        s if s < 6000.0 => (s / 60.0, "min"),
        s if s < 360_000.0 => (s / 3600.0, "h"),
        s => (s / 86_400.0, "days"),
    };
    let digits = if value < 1.0 {
        2
    } else {
        usize::from(value < 9.95)
    };
    format!("{value:.digits$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_digits_and_a_unit() {
        for (seconds, text) in [
            (0.000_8, "0.80 ms"),
            (0.0123, "12 ms"),
            (1.3, "1.3 s"),
            (90.0, "90 s"),
            (600.0, "10 min"),
            (9000.0, "2.5 h"),
            (1e6, "12 days"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }
}
