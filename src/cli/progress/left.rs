//! How long the runs of a sweep that are not over will take.

use std::collections::BTreeMap;

use mdn_core::train::Progress;

/// What is known of every run. Runs of one model are taken to last alike: the model decides more than the
/// data and the seed do.
pub(super) struct Left {
    /// Runs at a time.
    workers: usize,
    runs: Vec<Run>,
    /// Whether anything was heard that tells how long a run takes. Until then nobody need look through
    /// all runs, as often as there are runs where they ended before.
    heard: bool,
}

struct Run {
    model: String,
    at: At,
}

enum At {
    /// Over, or another process's, after so many seconds of work here where it was trained to its end.
    Over(Option<f64>),
    Waiting,
    /// The last that was heard of it.
    Running(Option<Progress>),
}

impl Left {
    /// Of runs of these models, of which `workers` are done at a time.
    pub(super) fn new(models: impl Iterator<Item = String>, workers: usize) -> Self {
        let waiting = |model| Run {
            model,
            at: At::Waiting,
        };
        Self {
            workers: workers.max(1),
            runs: models.map(waiting).collect(),
            heard: false,
        }
    }

    pub(super) fn began(&mut self, run: usize) {
        self.runs[run].at = At::Running(None);
    }

    pub(super) fn stepped(&mut self, run: usize, progress: &Progress) {
        self.runs[run].at = At::Running(Some(*progress));
        self.heard = true;
    }

    /// It is over, after `seconds` where that says what one like it takes.
    pub(super) fn ended(&mut self, run: usize, seconds: Option<f64>) {
        self.runs[run].at = At::Over(seconds);
        self.heard |= seconds.is_some();
    }

    /// Seconds until all are over; `None` while nothing is known of how long any takes.
    pub(super) fn seconds(&self) -> Option<f64> {
        if !self.heard {
            return None;
        }
        // Of each model: from runs that ended, else from the pace of those that train.
        let (mut ended, mut paced) = (Means::default(), Means::default());
        for run in &self.runs {
            match &run.at {
                At::Over(Some(seconds)) => ended.add(&run.model, *seconds),
                At::Running(Some(p)) => {
                    if let Some(left) = left(p) {
                        paced.add(&run.model, p.seconds + left);
                    }
                }
                At::Over(None) | At::Waiting | At::Running(None) => {}
            }
        }
        let of_model = |model: &str| ended.of(model).or_else(|| paced.of(model));
        let known: Vec<f64> = self
            .runs
            .iter()
            .filter_map(|r| of_model(&r.model))
            .collect();
        if known.is_empty() {
            return None;
        }
        let mean = known.iter().sum::<f64>() / known.len() as f64;
        let (mut sum, mut longest) = (0.0, 0.0f64);
        for run in &self.runs {
            let seconds = match &run.at {
                At::Over(_) => continue,
                At::Running(Some(p)) => left(p),
                At::Waiting | At::Running(None) => None,
            };
            let seconds = seconds.or_else(|| of_model(&run.model)).unwrap_or(mean);
            sum += seconds;
            longest = longest.max(seconds);
        }
        Some(longest.max(sum / self.workers as f64))
    }
}

/// Seconds of the steps that are left of one run.
pub(super) fn left(p: &Progress) -> Option<f64> {
    let rate = p.step as f64 / p.seconds;
    (rate.is_finite() && rate > 0.0).then(|| p.steps.saturating_sub(p.step) as f64 / rate)
}

/// Means by model.
#[derive(Default)]
struct Means<'a>(BTreeMap<&'a str, (f64, usize)>);

impl<'a> Means<'a> {
    fn add(&mut self, model: &'a str, seconds: f64) {
        let (sum, n) = self.0.entry(model).or_default();
        *sum += seconds;
        *n += 1;
    }

    fn of(&self, model: &str) -> Option<f64> {
        self.0.get(model).map(|(sum, n)| sum / *n as f64)
    }
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
    fn what_is_left_follows_from_what_is_known() {
        let models = ["a", "a", "a", "b", "b"].map(str::to_owned);
        let mut all = Left::new(models.into_iter(), 2);
        assert_eq!(all.seconds(), None);
        all.began(0);
        all.stepped(0, &at(0, 0.0));
        assert_eq!(all.seconds(), None);
        // 20 seconds each by the pace of the only one known, 15 left of it; two at a time.
        all.stepped(0, &at(25, 5.0));
        assert_eq!(all.seconds(), Some((15.0 + 4.0 * 20.0) / 2.0));
        // With metrics and figures it took 30; what is known of no run is the mean of those that are.
        all.ended(0, Some(30.0));
        assert_eq!(all.seconds(), Some(4.0 * 30.0 / 2.0));
        all.began(3);
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
