//! What the user sees of many runs at once: bars on a terminal, plain lines elsewhere, JSON
//! events for programs.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::{json, Value};

use super::common::job_json;
use super::output::{duration, to_stderr};
use crate::experiment::pool::{Ended, Job, Watch};
use crate::experiment::store::State;
use mdn_core::train::Progress;

/// Time between two lines of progress on a stderr that is not a terminal, and between two events of a run.
const PERIOD: Duration = Duration::from_secs(10);
/// Time between two updates of a run's bar, since a step may take microseconds.
const BAR_PERIOD: Duration = Duration::from_millis(100);
/// Time between two estimates, on a terminal, of the time that all runs will take.
const ESTIMATE_PERIOD: Duration = Duration::from_secs(1);

/// Shows the progress of the jobs.
pub(super) struct Screen<'a> {
    jobs: &'a [Job],
    stderr: Stderr,
    json: bool,
    told: Mutex<Told>,
}

enum Stderr {
    Silent,
    Lines,
    /// A bar for all runs, below those of the runs under way.
    Bars(MultiProgress, ProgressBar),
}

/// The state between two messages.
struct Told {
    /// Runs to be trained.
    all: usize,
    ended: usize,
    left: Left,
    /// When the time left, or a line, was last shown.
    last_shown: Instant,
    /// Per job.
    last_event: Vec<Instant>,
    /// Per job: its bar while it runs, and when it was moved.
    bars: Vec<Option<(ProgressBar, Instant)>>,
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
            let screen = MultiProgress::new();
            let all = screen.add(ProgressBar::new(to_train as u64));
            let template = "{bar:30} {pos}/{len} runs, {elapsed} since the start{msg}";
            all.set_style(style(template));
            all.enable_steady_tick(Duration::from_secs(1));
            Stderr::Bars(screen, all)
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
                last_shown: now,
                last_event: vec![now; jobs.len()],
                bars: vec![None; jobs.len()],
            }),
        }
    }

    /// Clears the screen when all is over.
    pub(super) fn finish(&self, ended: &[Ended]) {
        if let Stderr::Bars(_, all) = &self.stderr {
            all.finish_and_clear();
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

    /// One JSON object on stdout. A closed pipe does not stop the training.
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
        let mut about = job_json(&self.jobs[job]);
        about["event"] = event.into();
        about
    }
}

impl Watch for Screen<'_> {
    fn began(&self, job: usize) {
        let spec = &self.jobs[job].spec;
        let mut told = self.told();
        if let Stderr::Bars(screen, all) = &self.stderr {
            let bar = ProgressBar::new(spec.train.steps as u64);
            bar.set_style(style("{bar:30} {prefix}: {msg}"));
            let bar = screen.insert_before(all, bar);
            bar.set_prefix(spec.label());
            told.bars[job] = Some((bar, Instant::now()));
        }
        self.event(&self.about(job, "began"));
    }

    fn stepped(&self, job: usize, p: &Progress) {
        let mut told = self.told();
        told.left.stepped(job, p);
        if let Some((bar, moved)) = &mut told.bars[job] {
            if elapsed(moved, BAR_PERIOD) || p.step >= p.steps {
                bar.set_length(p.steps as u64);
                bar.set_position(p.step as u64);
                bar.set_message(pace(p));
            }
        }
        if self.json && elapsed(&mut told.last_event[job], PERIOD) {
            let mut event = self.about(job, "stepped");
            event["step"] = p.step.into();
            event["steps"] = p.steps.into();
            event["loss"] = p.loss.into();
            event["seconds"] = p.seconds.into();
            event["sweep_seconds_left"] = told.left.seconds().into();
            self.event(&event);
        }
        match &self.stderr {
            Stderr::Bars(_, all) if elapsed(&mut told.last_shown, ESTIMATE_PERIOD) => {
                all.set_message(told.all_left());
            }
            Stderr::Lines if elapsed(&mut told.last_shown, PERIOD) => {
                let (label, left) = (self.jobs[job].spec.label(), told.all_left());
                to_stderr(&format!(
                    "[{}/{}] {label}: step {} of {}, {}{left}",
                    told.ended,
                    told.all,
                    p.step,
                    p.steps,
                    pace(p),
                ));
            }
            _ => {}
        }
    }

    fn ended(&self, ended: &Ended) {
        let mut event = self.about(ended.job, "ended");
        event["state"] = ended.status.state.word().into();
        event["reason"] = ended.status.reason.as_str().into();
        event["learned_nothing"] = ended.status.learned_nothing().into();
        event["seconds"] = ended.seconds.into();
        event["skipped"] = ended.skipped.into();
        let mut told = self.told();
        let whole = !ended.skipped && ended.status.state == State::Done;
        told.left.ended(ended.job, whole.then_some(ended.seconds));
        event["sweep_seconds_left"] = told.left.seconds().into();
        self.event(&event);
        if ended.skipped {
            return;
        }
        told.ended += 1;
        let label = self.jobs[ended.job].spec.label();
        let what = match ended.status.state {
            State::Done => format!(
                "{} in {}",
                ended.status.text(": ", ";"),
                duration(ended.seconds)
            ),
            _ => ended.status.text(": ", ""),
        };
        let line = format!("[{}/{}] {label}: {what}", told.ended, told.all);
        match &self.stderr {
            Stderr::Silent => {}
            Stderr::Lines => to_stderr(&format!("{line}{}", told.all_left())),
            Stderr::Bars(screen, all) => {
                if let Some((bar, _)) = told.bars[ended.job].take() {
                    bar.finish_and_clear();
                }
                let _ = screen.println(line);
                all.inc(1);
                all.set_message(told.all_left());
            }
        }
    }
}

impl Told {
    /// "; all runs: about 2m 5s left", for several runs when it is known.
    fn all_left(&self) -> String {
        match self.left.seconds() {
            Some(left) if self.all > 1 && self.ended < self.all => {
                format!("; all runs: about {} left", duration(left))
            }
            _ => String::new(),
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Whether `period` is over since `last`, which then becomes now.
fn elapsed(last: &mut Instant, period: Duration) -> bool {
    let over = last.elapsed() >= period;
    if over {
        *last = Instant::now();
    }
    over
}

/// "loss 2.310, 950 steps/s, 4s left"
fn pace(p: &Progress) -> String {
    let Some(left) = seconds_left(p) else {
        return format!("loss {:.3}", p.loss);
    };
    let rate = p.step as f64 / p.seconds;
    format!(
        "loss {:.3}, {rate:.0} steps/s, {} left",
        p.loss,
        duration(left)
    )
}

/// An estimate of how long the unfinished runs of a sweep will take. It assumes that runs of one model
/// take equally long: the model decides more than the data and the seed do.
struct Left {
    /// Runs at a time.
    workers: usize,
    /// The model of every run, and where the run stands.
    runs: Vec<(String, At)>,
}

enum At {
    /// Over, or held by another process; with its seconds if it was trained here to its end.
    Over(Option<f64>),
    /// Not over; with the last message from it.
    Open(Option<Progress>),
}

impl Left {
    /// For runs of these models, of which `workers` train at a time.
    fn new(models: impl Iterator<Item = String>, workers: usize) -> Self {
        Self {
            workers: workers.max(1),
            runs: models.map(|model| (model, At::Open(None))).collect(),
        }
    }

    fn stepped(&mut self, run: usize, progress: &Progress) {
        self.runs[run].1 = At::Open(Some(*progress));
    }

    /// The run is over; `seconds` if it was trained from its start to its end.
    fn ended(&mut self, run: usize, seconds: Option<f64>) {
        self.runs[run].1 = At::Over(seconds);
    }

    /// Seconds until all are over; `None` while nothing is known of how long any takes.
    fn seconds(&self) -> Option<f64> {
        let mean = |all: &[f64]| all.iter().sum::<f64>() / all.len() as f64;
        // The seconds of runs that ended, and the pace of those that train.
        let mut times: BTreeMap<&str, [Vec<f64>; 2]> = BTreeMap::new();
        for (model, at) in &self.runs {
            let [ended, paced] = times.entry(model).or_default();
            match at {
                At::Over(seconds) => ended.extend(seconds),
                At::Open(p) => paced.extend(p.and_then(|p| Some(p.seconds + seconds_left(&p)?))),
            }
        }
        let of_model = |model: &str| {
            let known = times[model].iter().find(|all| !all.is_empty())?;
            Some(mean(known))
        };
        let known: Vec<f64> = self.runs.iter().filter_map(|r| of_model(&r.0)).collect();
        if known.is_empty() {
            return None;
        }
        let (mut sum, mut longest) = (0.0, 0.0f64);
        for (model, at) in &self.runs {
            if let At::Open(p) = at {
                let paced = p.and_then(|p| seconds_left(&p));
                let seconds = paced.or_else(|| of_model(model));
                let seconds = seconds.unwrap_or_else(|| mean(&known));
                sum += seconds;
                longest = longest.max(seconds);
            }
        }
        Some(longest.max(sum / self.workers as f64))
    }
}

/// Seconds that the remaining steps of one run take.
fn seconds_left(p: &Progress) -> Option<f64> {
    let rate = p.step as f64 / p.seconds;
    (rate.is_finite() && rate > 0.0).then(|| p.steps.saturating_sub(p.step) as f64 / rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(step: usize, seconds: f64) -> Progress {
        Progress {
            step,
            steps: 100,
            loss: 0.0,
            seconds,
        }
    }

    #[test]
    fn a_pace_is_short_and_never_divides_by_zero() {
        let mut p = at(100, 2.0);
        (p.loss, p.steps) = (2.25, 1000);
        assert_eq!(pace(&p), "loss 2.250, 50 steps/s, 18s left");
        p.seconds = 0.0;
        assert_eq!(pace(&p), "loss 2.250");
        p.step = 0;
        assert_eq!(pace(&p), "loss 2.250");
    }

    #[test]
    fn the_time_left_follows_from_what_is_known() {
        let models = ["a", "a", "a", "b", "b"].map(str::to_owned);
        let mut all = Left::new(models.into_iter(), 2);
        assert_eq!(all.seconds(), None);
        all.stepped(0, &at(0, 0.0));
        assert_eq!(all.seconds(), None);
        // 20 seconds each by the pace of the only one known, 15 left of it; two at a time.
        all.stepped(0, &at(25, 5.0));
        assert_eq!(all.seconds(), Some((15.0 + 4.0 * 20.0) / 2.0));
        // With metrics and figures it took 30; a model without a known run takes the mean of the others.
        all.ended(0, Some(30.0));
        assert_eq!(all.seconds(), Some(4.0 * 30.0 / 2.0));
        all.stepped(3, &at(50, 100.0));
        assert_eq!(all.seconds(), Some(200.0), "one run is the longest");
        all.ended(3, None);
        all.ended(4, None);
        assert_eq!(all.seconds(), Some(30.0));
        all.ended(1, Some(10.0));
        assert_eq!(all.seconds(), Some(20.0), "the mean of 30 and 10");
        all.ended(2, Some(20.0));
        assert_eq!(all.seconds(), Some(0.0));
    }
}
