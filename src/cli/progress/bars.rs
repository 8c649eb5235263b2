//! Bars on a terminal: one per running run, and one for all.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::pace;
use mdn_core::train::Progress;

/// Between two updates of a bar: a step may take microseconds.
const PERIOD: Duration = Duration::from_millis(100);

/// The bars.
pub(super) struct Bars {
    screen: MultiProgress,
    all: ProgressBar,
    /// Per job: its bar while it runs, and when it was moved.
    each: Vec<Mutex<Option<(ProgressBar, Instant)>>>,
}

impl Bars {
    /// For `jobs` jobs, of which `to_train` will run.
    pub(super) fn new(jobs: usize, to_train: usize) -> Self {
        let screen = MultiProgress::new();
        let all = screen.add(ProgressBar::new(to_train as u64));
        all.set_style(style(
            "{bar:30} {pos}/{len} runs, {elapsed} since the start{msg}",
        ));
        all.enable_steady_tick(Duration::from_secs(1));
        Self {
            screen,
            all,
            each: (0..jobs).map(|_| Mutex::new(None)).collect(),
        }
    }

    /// A run begins.
    pub(super) fn began(&self, job: usize, label: &str, steps: usize) {
        let bar = ProgressBar::new(steps as u64);
        bar.set_style(style("{bar:30} {prefix}: {msg}"));
        let bar = self.screen.insert_before(&self.all, bar);
        bar.set_prefix(label.to_owned());
        *self.each[job]
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some((bar, Instant::now()));
    }

    /// A run has made a step.
    pub(super) fn stepped(&self, job: usize, p: &Progress) {
        let mut slot = self.each[job]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let Some((bar, moved)) = slot.as_mut() else {
            return;
        };
        if moved.elapsed() >= PERIOD || p.step >= p.steps {
            *moved = Instant::now();
            bar.set_length(p.steps as u64);
            bar.set_position(p.step as u64);
            bar.set_message(pace(p));
        }
    }

    /// A run has ended: its bar gives way to a line that stays.
    pub(super) fn ended(&self, job: usize, line: &str) {
        let mut slot = self.each[job]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some((bar, _)) = slot.take() {
            bar.finish_and_clear();
        }
        let _ = self.screen.println(line);
        self.all.inc(1);
    }

    /// How long all runs will take.
    pub(super) fn left(&self, text: &str) {
        self.all.set_message(text.to_owned());
    }

    /// All is over.
    pub(super) fn finish(&self) {
        self.all.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
