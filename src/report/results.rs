//! The runs of a comparison, read from their folders.

use super::Comparison;
use crate::experiment::store::{MetricRow, RunDir, State, Status};
use mdn_core::{Error, Result};

/// One run as its folder tells it.
#[derive(Debug, Clone)]
pub struct Run {
    /// Data set.
    pub data: String,
    /// Model.
    pub model: String,
    /// Seed.
    pub seed: u64,
    /// Its folder.
    pub place: RunDir,
    /// Where it stands.
    pub status: Status,
    /// What was measured: empty unless the run is done.
    pub metrics: Vec<MetricRow>,
}

impl Run {
    /// Reads the status and, of a run that is done, the metrics.
    pub fn read(place: RunDir, data: &str, model: &str, seed: u64) -> Result<Self> {
        let status = place.read_status()?;
        let hint = |e| {
            Error::request(format!(
                "{e} (`mdn train` repeats a run with missing files, and any run with --force)"
            ))
        };
        let metrics = match status.state {
            State::Done => place.read_metrics().map_err(hint)?,
            _ => Vec::new(),
        };
        Ok(Self {
            data: data.to_owned(),
            model: model.to_owned(),
            seed,
            place,
            status,
            metrics,
        })
    }

    /// Whether it ended with metrics.
    pub fn is_done(&self) -> bool {
        self.status.state == State::Done
    }

    /// Whether it ended without: counted, never averaged in.
    pub fn has_failed(&self) -> bool {
        matches!(self.status.state, State::Diverged | State::Failed)
    }

    /// The value of a metric, where it was measured and applies.
    pub fn value(&self, metric: &str) -> Option<f64> {
        self.metrics.iter().find(|m| m.metric == metric)?.value
    }
}

/// Every run of a comparison, in the order data set, model, seed.
#[derive(Debug, Clone)]
pub struct Results<'a> {
    /// What was asked for.
    pub what: &'a Comparison<'a>,
    /// The runs, those that are missing among them.
    pub runs: Vec<Run>,
}

impl<'a> Results<'a> {
    /// Reads the status of every run and the metrics of those that are done.
    pub fn read(what: &'a Comparison<'a>) -> Result<Self> {
        let mut runs = Vec::new();
        for data in what.data {
            for model in what.models {
                for &seed in what.seeds {
                    let place = RunDir::below(what.dir, data, model, seed);
                    runs.push(Run::read(place, data, model, seed)?);
                }
            }
        }
        Ok(Self { what, runs })
    }

    /// The runs on one data set.
    pub fn on<'s>(&'s self, data: &'s str) -> impl Iterator<Item = &'s Run> {
        self.runs.iter().filter(move |r| r.data == data)
    }

    /// The runs of one model on one data set.
    pub fn of<'s>(&'s self, data: &'s str, model: &'s str) -> impl Iterator<Item = &'s Run> {
        self.on(data).filter(move |r| r.model == model)
    }

    /// How many runs of a model on a data set are done, and how many failed.
    pub fn done_and_failed(&self, data: &str, model: &str) -> (usize, usize) {
        let count = |f: fn(&Run) -> bool| self.of(data, model).filter(|r| f(r)).count();
        (count(Run::is_done), count(Run::has_failed))
    }

    /// How many runs of a model on a data set are done and learned nothing.
    pub fn learned_nothing(&self, data: &str, model: &str) -> usize {
        let runs = self.of(data, model);
        runs.filter(|r| r.status.learned_nothing()).count()
    }

    /// A metric of one model on one data set, a value for every seed that has it.
    pub fn values(&self, data: &str, model: &str, metric: &str) -> Vec<f64> {
        let runs = self.of(data, model);
        runs.filter_map(|r| r.value(metric)).collect()
    }

    /// The values of model and other for every seed that has the metric of both.
    pub fn pairs(&self, data: &str, model: &str, other: &str, metric: &str) -> Vec<(f64, f64)> {
        let base = |seed| {
            let mut runs = self.of(data, other);
            runs.find(|r| r.seed == seed).and_then(|r| r.value(metric))
        };
        let runs = self.of(data, model);
        let pair = |r: &Run| Some((r.value(metric)?, base(r.seed)?));
        runs.filter_map(pair).collect()
    }

    /// The metric that models are ranked by on a data set.
    pub fn headline(&self, data: &str) -> Option<&'static str> {
        headline(|metric| self.on(data).any(|r| r.value(metric).is_some()))
    }
}

/// The metric that models are ranked by: on a data set `kl` where the truth is known, else `nll`;
/// on a problem without data `reverse_kl` where the solution is known, else `constraint_error`.
/// `None` where none of them was measured.
pub(crate) fn headline(measured: impl Fn(&str) -> bool) -> Option<&'static str> {
    let order = if measured("nll") {
        ["kl", "nll"]
    } else {
        ["reverse_kl", "constraint_error"]
    };
    order.into_iter().find(|metric| measured(metric))
}
