//! What figures are drawn from: one run, or all runs on one data set.

use super::axes::signs;
use super::grid::Grid;
use super::panels::grids;
use super::style::count;
use crate::experiment::store::{HistoryRow, Picture, Round, RunDir};
use crate::report::digits;
use crate::report::headline::Headline;
use crate::report::interval::Spread;
use crate::report::results::{Results, Run};
use mdn_core::Result;

/// What a figure of one run is drawn from.
pub struct RunPage<'a> {
    pub(super) run: Run,
    pub(super) history: Vec<HistoryRow>,
    pub(super) rounds: Vec<(usize, Round)>,
    pub(super) picture: Option<Picture>,
    pub(super) command: &'a str,
}

/// What a figure of one data set of a comparison is drawn from.
pub struct DataPage<'a> {
    pub(super) results: &'a Results<'a>,
    pub(super) data: &'a str,
    pub(super) headline: Option<Headline>,
    /// A run of every model, for two-dimensional data.
    pub(super) runs: Vec<MedianRun>,
}

/// The run of a model with the median headline metric of its seeds, the lower one of two.
pub struct MedianRun {
    pub model: String,
    /// The model's place in the experiment.
    pub index: usize,
    /// Its headline metric, where that is a number.
    pub score: Option<f64>,
    /// `KL 0.0123, seed 2`
    pub note: String,
    pub picture: Picture,
    /// log q.
    pub grid: Grid,
}

impl<'a> RunPage<'a> {
    /// Reads the files of a run; a run that ended early has fewer.
    pub fn read(place: &RunDir, command: &'a str) -> Result<Self> {
        let mut names = place.0.iter().rev().map(|name| name.to_string_lossy());
        let [seed, model, data] = std::array::from_fn(|_| names.next().unwrap_or_default());
        let seed = seed.trim_start_matches("seed-").parse().unwrap_or(0);
        let run = Run::read(place.clone(), &data, &model, seed)?;
        let history = match place.path("history.csv").exists() {
            true => place.read_history()?,
            false => Vec::new(),
        };
        Ok(Self {
            run,
            history,
            rounds: place.read_rounds()?,
            picture: place.read_picture()?,
            command,
        })
    }

    /// `ring: rad, seed 0`
    pub(super) fn title(&self) -> String {
        let run = &self.run;
        format!("{}: {}, seed {}", run.data, run.model, run.seed)
    }

    /// What the loss of the run is called.
    pub(super) fn loss_name(&self) -> &'static str {
        if !self.rounds.is_empty() {
            "augmented Lagrangian"
        } else {
            loss_name(self.run.is_done() && self.run.value("nll").is_none())
        }
    }

    /// The scores of a run that is done, the state and reason of any other.
    pub(super) fn facts(&self) -> String {
        if !self.run.is_done() {
            return self.run.status.text(": ", "");
        }
        let score = |h: &Headline| {
            let value = digits::plain(self.run.value(h.key)?);
            Some(format!("{} {} {}", h.name, signs(&value), h.unit))
        };
        let headlines = Headline::some(self.run.value("nll").is_some());
        let scores: Vec<String> = headlines.iter().filter_map(score).collect();
        if scores.is_empty() {
            return self.run.status.words();
        }
        scores.join(", ")
    }
}

impl<'a> DataPage<'a> {
    /// Reads the pictures of the models' median runs.
    pub fn read(results: &'a Results<'a>, data: &'a str) -> Result<Self> {
        let headline = results.headline(data).map(Headline::of);
        let mut runs = Vec::new();
        for (index, model) in results.what.models.iter().enumerate() {
            runs.extend(MedianRun::read(results, data, (index, model), headline)?);
        }
        Ok(Self {
            results,
            data,
            headline,
            runs,
        })
    }

    /// log p, where the truth is known.
    pub(super) fn target(&self) -> Option<Grid> {
        self.runs.iter().find_map(|r| grids(&r.picture).0)
    }

    /// `5 seeds; shown is the seed with the median KL`
    pub(super) fn which(&self) -> String {
        let metric = self.headline.map_or("KL", |h| h.name);
        let several = format!("; shown is the seed with the median {metric}");
        seeds(self.results, "", &several)
    }

    /// What the validation loss is called.
    pub(super) fn loss_name(&self) -> &'static str {
        loss_name(self.headline.is_some_and(|h| h.key == "reverse_kl"))
    }
}

/// What the loss of a model is called that learns from its own samples or from data.
fn loss_name(own_samples: bool) -> &'static str {
    if own_samples {
        "KL(q||p)"
    } else {
        "negative log-likelihood"
    }
}

impl MedianRun {
    /// `None` where the model has no finished run with a picture.
    fn read(
        results: &Results<'_>,
        data: &str,
        (index, model): (usize, &str),
        headline: Option<Headline>,
    ) -> Result<Option<Self>> {
        let done = results.of(data, model).filter(|r| r.is_done());
        let score = |r: &Run| headline.and_then(|h| r.value(h.key));
        let mut done: Vec<&Run> = done.collect();
        let key = |r: &Run| score(r).unwrap_or(f64::INFINITY);
        done.sort_by(|a, b| key(a).total_cmp(&key(b)));
        let Some(run) = done.get(done.len().saturating_sub(1) / 2) else {
            return Ok(None);
        };
        let Some(picture) = run.place.read_picture()? else {
            return Ok(None);
        };
        let Some(grid) = grids(&picture).1 else {
            return Ok(None);
        };
        let score = score(run).filter(|s| s.is_finite());
        let value = headline.zip(score).map_or_else(String::new, |(h, s)| {
            format!("{} {}, ", h.name, signs(&digits::plain(s)))
        });
        Ok(Some(Self {
            model: model.to_owned(),
            index,
            score,
            note: format!("{value}seed {}", run.seed),
            picture,
            grid,
        }))
    }
}

/// `5 seeds` with what is said of one seed or of several.
pub(super) fn seeds(results: &Results<'_>, one: &str, several: &str) -> String {
    let n = results.what.seeds.len();
    count(n, "seed") + if n == 1 { one } else { several }
}

/// A metric of one model on one data set over the seeds where it is finite.
pub(super) fn finite(
    results: &Results<'_>,
    data: &str,
    model: &str,
    metric: &str,
) -> Option<Spread> {
    let all = results.spread(data, model, metric);
    all.filter(|s| s.mean.is_finite()).or_else(|| {
        let mut values = results.values(data, model, metric);
        values.retain(|v| v.is_finite());
        Spread::of(&values)
    })
}
