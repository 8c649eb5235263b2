//! What figures are drawn from: one run, all runs on one data set, or all runs.

use std::path::Path;

use super::shown::Shown;
use crate::experiment::store::{HistoryRow, Picture, Round, RunDir, State};
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
    pub(super) headline: Option<&'static str>,
    /// A run of every model, for two-dimensional data.
    pub(super) shown: Vec<Shown>,
}

/// What a figure of a whole comparison is drawn from.
pub struct ComparisonPage<'a> {
    /// Its runs.
    pub results: &'a Results<'a>,
}

impl<'a> RunPage<'a> {
    /// Reads what a run left; a run that ended early leaves less.
    pub fn read(place: &RunDir, command: &'a str) -> Result<Self> {
        let status = place.read_status()?;
        let metrics = match status.state {
            State::Done => place.read_metrics()?,
            _ => Vec::new(),
        };
        let history = if place.path("history.csv").exists() {
            place.read_history()?
        } else {
            Vec::new()
        };
        let name = |path: Option<&Path>| {
            let name = path.and_then(Path::file_name);
            name.map_or_else(String::new, |n| n.to_string_lossy().into_owned())
        };
        let model = place.0.parent();
        let seed = name(Some(&place.0));
        Ok(Self {
            run: Run {
                data: name(model.and_then(Path::parent)),
                model: name(model),
                seed: seed.trim_start_matches("seed-").parse().unwrap_or(0),
                place: place.clone(),
                status,
                metrics,
            },
            history,
            rounds: place.read_rounds()?,
            picture: place.read_picture()?,
            command,
        })
    }

    /// `ring: rad, seed 0`
    pub(super) fn title(&self) -> String {
        let Run {
            data, model, seed, ..
        } = &self.run;
        format!("{data}: {model}, seed {seed}")
    }

    /// What the loss of the run is called.
    pub(super) fn loss_name(&self) -> &'static str {
        if !self.rounds.is_empty() {
            "augmented Lagrangian"
        } else if self.run.is_done() && self.run.value("nll").is_none() {
            "KL(q||p)"
        } else {
            "negative log-likelihood"
        }
    }

    /// The scores of a run that is done, the state and reason of any other.
    pub(super) fn facts(&self) -> String {
        let status = &self.run.status;
        if !self.run.is_done() {
            let colon = if status.reason.is_empty() { "" } else { ": " };
            return format!("{}{colon}{}", status.state.word(), status.reason);
        }
        let of_data = [("kl", "KL", "nats"), ("nll", "NLL", "nats")];
        let of_problem = [
            ("reverse_kl", "reverse KL", "nats"),
            ("constraint_error", "constraint error", "sd"),
        ];
        let shown = match self.run.value("nll") {
            Some(_) => of_data,
            None => of_problem,
        };
        let scores: Vec<String> = shown
            .into_iter()
            .filter_map(|(key, name, unit)| {
                let value = crate::report::digits::plain(self.run.value(key)?);
                Some(format!("{name} {} {unit}", super::axes::signs(&value)))
            })
            .collect();
        if scores.is_empty() {
            status.state.word().to_owned()
        } else {
            scores.join(", ")
        }
    }
}

impl<'a> DataPage<'a> {
    /// Reads the pictures of the runs that stand for their models.
    pub fn read(results: &'a Results<'a>, data: &'a str) -> Result<Self> {
        Ok(Self {
            results,
            data,
            headline: results.headline(data),
            shown: Shown::all(results, data)?,
        })
    }

    /// `5 seeds`
    pub(super) fn seeds(&self) -> String {
        super::style::count(self.results.what.seeds.len(), "seed")
    }

    /// `5 seeds; shown is the seed with the median KL`
    pub(super) fn which(&self) -> String {
        match self.results.what.seeds.len() {
            1 => self.seeds(),
            _ => format!(
                "{}; shown is the seed with the median {}",
                self.seeds(),
                self.headline_name()
            ),
        }
    }

    /// What the validation loss is called.
    pub(super) fn loss_name(&self) -> &'static str {
        match self.headline {
            Some("reverse_kl") => "KL(q||p)",
            _ => "negative log-likelihood",
        }
    }

    /// How the headline metric is called in a figure.
    pub(super) fn headline_name(&self) -> &'static str {
        self.headline.map_or("KL", metric_name)
    }
}

/// How a headline metric is called in a figure.
pub(super) fn metric_name(metric: &str) -> &'static str {
    match metric {
        "nll" => "NLL",
        "reverse_kl" => "reverse KL",
        "constraint_error" => "constraint error",
        _ => "KL",
    }
}
