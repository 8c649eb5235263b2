//! What the user sees of many runs at once: bars on a terminal, plain lines elsewhere, JSON
//! events for programs.

use std::io::{IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{json, Value};

use super::output::to_stderr;
use crate::experiment::pool::{Ended, Job, Watch};
use crate::experiment::store::State;
use bars::Bars;
use left::Left;
use mdn_core::train::Progress;

mod bars;
mod left;

/// Between two lines on a stderr that is no terminal, and two events of one run.
const PERIOD: Duration = Duration::from_secs(10);

/// Between two looks, on a terminal, at how long all runs together will take.
const LOOK: Duration = Duration::from_secs(1);

/// All that is shown of the jobs.
pub(super) struct Screen<'a> {
    jobs: &'a [Job],
    stderr: Stderr,
    json: bool,
    told: Mutex<Told>,
}

enum Stderr {
    Silent,
    Bars(Bars),
    Lines,
}

/// What is known between two messages.
struct Told {
    /// Runs to be trained.
    all: usize,
    ended: usize,
    left: Left,
    last_look: Instant,
    last_line: Instant,
    /// Per job.
    last_event: Vec<Instant>,
}

impl<'a> Screen<'a> {
    /// For `jobs`, of which `to_train` are to be trained, `workers` at a time.
    pub(super) fn new(
        jobs: &'a [Job],
        (to_train, workers): (usize, usize),
        json: bool,
        quiet: bool,
    ) -> Self {
        let stderr = if quiet || to_train == 0 {
            Stderr::Silent
        } else if std::io::stderr().is_terminal() {
            Stderr::Bars(Bars::new(jobs.len(), to_train))
        } else {
            Stderr::Lines
        };
        let now = Instant::now();
        Self {
            jobs,
            stderr,
            json,
            told: Mutex::new(Told {
                all: to_train,
                ended: 0,
                left: Left::new(jobs.iter().map(|j| j.spec.model_name.clone()), workers),
                last_look: now,
                last_line: now,
                last_event: vec![now; jobs.len()],
            }),
        }
    }

    /// Clears the screen when all is over.
    pub(super) fn finish(&self, ended: &[Ended]) {
        if let Stderr::Bars(bars) = &self.stderr {
            bars.finish();
        }
        let count = |state| ended.iter().filter(|e| e.status.state == state).count();
        self.event(&json!({
            "event": "finished",
            "done": count(State::Done),
            "diverged": count(State::Diverged),
            "failed": count(State::Failed),
            "interrupted": count(State::Interrupted),
            "elsewhere": count(State::Running),
            "skipped": ended.iter().filter(|e| e.skipped).count(),
        }));
    }

    /// One JSON object on stdout. A reader that went away does not stop the training.
    fn event(&self, event: &Value) {
        if self.json {
            let mut out = std::io::stdout().lock();
            let _ = writeln!(out, "{event}").and_then(|()| out.flush());
        }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn about(&self, job: usize, event: &str) -> Value {
        let job = &self.jobs[job];
        json!({
            "event": event,
            "index": job.index,
            "data": job.spec.data_name,
            "model": job.spec.model_name,
            "seed": job.spec.seed,
            "folder": job.place.0.display().to_string(),
        })
    }
}

impl Watch for Screen<'_> {
    fn began(&self, job: usize) {
        let spec = &self.jobs[job].spec;
        if let Stderr::Bars(bars) = &self.stderr {
            bars.began(job, &spec.label(), spec.train.steps);
        }
        self.told().left.began(job);
        self.event(&self.about(job, "began"));
    }

    fn stepped(&self, job: usize, p: &Progress) {
        if let Stderr::Bars(bars) = &self.stderr {
            bars.stepped(job, p);
        }
        let mut told = self.told();
        told.left.stepped(job, p);
        if self.json && told.last_event[job].elapsed() >= PERIOD {
            told.last_event[job] = Instant::now();
            let mut event = self.about(job, "stepped");
            event["step"] = p.step.into();
            event["steps"] = p.steps.into();
            event["loss"] = p.loss.into();
            event["seconds"] = p.seconds.into();
            event["sweep_seconds_left"] = told.left.seconds().into();
            self.event(&event);
        }
        if let Stderr::Bars(bars) = &self.stderr {
            if told.last_look.elapsed() >= LOOK {
                told.last_look = Instant::now();
                bars.left(&of_all(&told, told.left.seconds()));
            }
        }
        if matches!(self.stderr, Stderr::Lines) && told.last_line.elapsed() >= PERIOD {
            told.last_line = Instant::now();
            let label = self.jobs[job].spec.label();
            to_stderr(&format!(
                "[{}/{}] {label}: step {} of {}, {}{}",
                told.ended,
                told.all,
                p.step,
                p.steps,
                pace(p),
                of_all(&told, told.left.seconds())
            ));
        }
    }

    fn ended(&self, ended: &Ended) {
        let mut event = self.about(ended.job, "ended");
        event["state"] = ended.status.state.word().into();
        event["reason"] = ended.status.reason.as_str().into();
        event["seconds"] = ended.seconds.into();
        event["skipped"] = ended.skipped.into();
        let mut told = self.told();
        let whole = !ended.skipped && ended.status.state == State::Done;
        told.left.ended(ended.job, whole.then_some(ended.seconds));
        let left = told.left.seconds();
        event["sweep_seconds_left"] = left.into();
        self.event(&event);
        if ended.skipped {
            return;
        }
        told.ended += 1;
        let label = self.jobs[ended.job].spec.label();
        let what = match ended.status.state {
            State::Done => format!("done in {}", span(ended.seconds)),
            other => format!("{}: {}", other.word(), ended.status.reason),
        };
        let line = format!("[{}/{}] {label}: {what}", told.ended, told.all);
        match &self.stderr {
            Stderr::Silent => {}
            Stderr::Lines => to_stderr(&format!("{line}{}", of_all(&told, left))),
            Stderr::Bars(bars) => {
                bars.ended(ended.job, &line);
                bars.left(&of_all(&told, left));
            }
        }
    }
}

/// "; all runs: about 2 min 5 s left", where that is more than one run and known.
fn of_all(told: &Told, left: Option<f64>) -> String {
    match left {
        Some(left) if told.all > 1 && told.ended < told.all => {
            format!("; all runs: about {} left", span(left))
        }
        _ => String::new(),
    }
}

/// "loss 2.310, 950 steps/s, 4 s left"
fn pace(p: &Progress) -> String {
    let Some(left) = left::left(p) else {
        return format!("loss {:.3}", p.loss);
    };
    let rate = p.step as f64 / p.seconds;
    format!("loss {:.3}, {rate:.0} steps/s, {} left", p.loss, span(left))
}

/// Seconds, minutes and seconds, or hours and minutes.
fn span(seconds: f64) -> String {
    if seconds < 10.0 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s} s"),
        (h, m, _) => format!("{h} h {m} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_short_and_never_divides_by_zero() {
        let mut p = Progress {
            step: 100,
            steps: 1000,
            loss: 2.25,
            seconds: 2.0,
        };
        assert_eq!(pace(&p), "loss 2.250, 50 steps/s, 18 s left");
        p.seconds = 0.0;
        assert_eq!(pace(&p), "loss 2.250");
        p.step = 0;
        assert_eq!(pace(&p), "loss 2.250");
    }

    #[test]
    fn spans_are_in_the_unit_that_fits() {
        let spans = [3.21, 42.4, 125.0, 7300.0].map(span);
        assert_eq!(spans, ["3.2 s", "42 s", "2 min 5 s", "2 h 1 min"]);
    }
}
