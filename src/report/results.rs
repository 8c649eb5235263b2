//! The runs of a comparison, read from their folders.

use super::interval::Spread;
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
    /// log q of every held-out point of a file; `None` for other data and in runs of older versions.
    pub held_out: Option<Vec<f64>>,
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
        let (metrics, held_out) = match status.state {
            State::Done => (
                place.read_metrics().map_err(hint)?,
                place.read_held_out().map_err(hint)?,
            ),
            _ => (Vec::new(), None),
        };
        Ok(Self {
            data: data.to_owned(),
            model: model.to_owned(),
            seed,
            place,
            status,
            metrics,
            held_out,
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

    /// Mean of [`Self::values`], whose error includes that of the held-out points which all seeds share.
    pub fn spread(&self, data: &str, model: &str, metric: &str) -> Option<Spread> {
        let runs = self.of(data, model);
        let measured = runs.filter(|r| r.value(metric).is_some());
        let points = error_of_points(metric, measured.map(|r| (r, -1.0)));
        let spread = Spread::of(&self.values(data, model, metric))?;
        Some(spread.with_error(points))
    }

    /// The runs of model and other for every seed that has the metric of both.
    fn runs_of_pairs<'s>(
        &'s self,
        data: &'s str,
        model: &'s str,
        other: &'s str,
        metric: &'s str,
    ) -> impl Iterator<Item = (&'s Run, &'s Run)> {
        let has = move |r: &&Run| r.value(metric).is_some();
        let partner = move |r: &'s Run| {
            let mut others = self.of(data, other).filter(has);
            Some((r, others.find(|o| o.seed == r.seed)?))
        };
        self.of(data, model).filter(has).filter_map(partner)
    }

    /// The values of model and other for every seed that has the metric of both.
    pub fn pairs(&self, data: &str, model: &str, other: &str, metric: &str) -> Vec<(f64, f64)> {
        let runs = self.runs_of_pairs(data, model, other, metric);
        let values = |(a, b): (&Run, &Run)| Some((a.value(metric)?, b.value(metric)?));
        runs.filter_map(values).collect()
    }

    /// Standard error of the mean difference of [`Self::pairs`] by the held-out points that all seeds share,
    /// with its degrees of freedom. The models are paired by point.
    pub fn points_of_pairs(
        &self,
        data: &str,
        model: &str,
        other: &str,
        metric: &str,
    ) -> Option<(f64, f64)> {
        let runs = self.runs_of_pairs(data, model, other, metric);
        error_of_points(metric, runs.flat_map(|(a, b)| [(a, -1.0), (b, 1.0)]))
    }

    /// The metric that models are ranked by on a data set.
    pub fn headline(&self, data: &str) -> Option<&'static str> {
        headline(|metric| self.on(data).any(|r| r.value(metric).is_some()))
    }
}

/// Standard error, and its degrees of freedom, of the mean over points of sum sign log q, divided by the
/// number of runs with sign -1. `None` for other metrics than `nll`, and unless all runs have log q of the
/// same number of points.
fn error_of_points<'r>(
    metric: &str,
    runs: impl Iterator<Item = (&'r Run, f64)>,
) -> Option<(f64, f64)> {
    if metric != "nll" {
        return None;
    }
    let mut sums: Vec<f64> = Vec::new();
    let mut seeds = 0.0;
    for (run, sign) in runs {
        let log_q = run.held_out.as_ref()?;
        if sums.is_empty() {
            sums = vec![0.0; log_q.len()];
        }
        if log_q.len() != sums.len() {
            return None;
        }
        for (sum, l) in sums.iter_mut().zip(log_q) {
            *sum += sign * l;
        }
        if sign < 0.0 {
            seeds += 1.0;
        }
    }
    // The metric leaves such points out, too.
    sums.retain(|s| s.is_finite());
    let (std_err, freedom) = Spread::of(&sums)?.error?;
    Some((std_err / seeds, freedom))
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
