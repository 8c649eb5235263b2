//! `mdn show`

use std::path::PathBuf;

use clap::Args;
use serde_json::{json, Value};

use super::common::{named, Facts};
use super::output::{columns, print, print_json};
use super::Context;
use crate::experiment::plan::{Difference, RunSpec};
use crate::experiment::store::MetricRow;
use crate::experiment::weights;
use crate::report::digits::{dash, plain};
use crate::report::headline;
use mdn_core::{Error, Result};

/// Show what a run is, how it ended and what was measured
///
/// The metric that models are ranked by comes first, each with its standard error, the number of points
/// that it was computed on and of those left out because their value was not finite. An unfinished run
/// shows the last step of its history.
#[derive(Debug, Clone, Args)]
pub(super) struct ShowArgs {
    /// Folder of the run, such as results/ring/ring/rad/seed-0
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &ShowArgs, _: &Context) -> Result<()> {
    let shown = Shown::read(Facts::read(named(&args.run)?)?)?;
    match args.json {
        true => print_json([shown.json()?]),
        false => print(&shown.text()?),
    }
}

struct Shown {
    facts: Facts,
    progress: Option<(usize, usize)>,
    /// Where the trained settings differ from `config.toml`.
    chosen: Vec<Difference>,
    best_step: Option<u64>,
    /// The headline first.
    metrics: Vec<MetricRow>,
    files: Vec<String>,
}

impl Shown {
    fn read(facts: Facts) -> Result<Self> {
        let trained = RunSpec::read_trained(&facts.place)?;
        let mut chosen = facts.spec.differences(&trained);
        // The trained settings have neither a budget nor a search.
        chosen.retain(|d| !d.key.starts_with("budget") && !d.key.starts_with("search"));
        let weights = std::fs::read(facts.place.path("model.safetensors")).ok();
        Ok(Self {
            progress: facts.progress()?,
            chosen,
            best_step: weights.and_then(|bytes| weights::best_step(&bytes)),
            metrics: headline_first(facts.metrics()?),
            files: files(&facts)?,
            facts,
        })
    }

    /// A description that the metrics hold.
    fn count(&self, metric: &str) -> Option<f64> {
        self.metrics.iter().find(|m| m.metric == metric)?.value
    }

    fn text(&self) -> Result<String> {
        let (facts, spec) = (&self.facts, &self.facts.spec);
        let mut lines = Vec::new();
        let mut add = |name: &str, text: String| {
            if !text.is_empty() {
                lines.push(vec![name.to_owned(), text]);
            }
        };
        let named = |table: &str, name: &str| {
            let setting = spec.setting(&format!("{table}.{name}"));
            setting.map_or_else(|| name.to_owned(), |s| format!("{name} = {s}"))
        };
        add("state", facts.state());
        add("", facts.status.reason.clone());
        add("held by", facts.holder.clone().unwrap_or_default());
        add("experiment", spec.experiment.clone());
        match spec.task.has_data() {
            true => add("data", named("data", &spec.data_name)),
            false => add("problem", named("problems", &spec.data_name)),
        }
        add("model", named("models", &spec.model_name));
        add("seed", spec.seed.to_string());
        let changed = spec.changed();
        let changed = changed.iter().map(|d| ("not default", d));
        for (name, d) in changed.chain(self.chosen.iter().map(|d| ("chosen", d))) {
            let [was, now] = d.shown();
            add(name, format!("{} = {now} ({was})", d.key));
        }
        let count = |metric: &str| self.count(metric).map_or_else(String::new, plain);
        add("parameters", count("parameters"));
        if let Some((at, of)) = self.progress {
            add("step", format!("{at} of {of}, as far as its history is"));
        }
        add("steps", count("steps"));
        let best_step = self.best_step.map(|step| step.to_string());
        add("best step", best_step.unwrap_or_default());
        if let Some(e) = facts.place.read_environment()? {
            add("command", e.command);
            let place = format!("mdn {} on {}, {}", e.version, e.device, e.kernels);
            add("made by", place);
            add("started", e.started);
            add("ended", e.ended);
            add("note", e.note.unwrap_or_default());
        }
        add("files", self.files.join("  "));
        let mut text = format!("{}\n\n{}", facts.folder(), columns(&[], lines));
        if !self.metrics.is_empty() {
            text += &format!("\n{}", metrics_table(&self.metrics));
        }
        Ok(text)
    }

    fn json(&self) -> Result<Value> {
        let spec = &self.facts.spec;
        let mut object = self.facts.json();
        let compared = |all: &[Difference]| -> Value {
            let pair = |d: &Difference| (d.key.clone(), json!({ "was": d.was, "now": d.now }));
            all.iter().map(pair).collect()
        };
        object["settings"] = serde_json::to_value(spec)
            .map_err(|e| Error::failed(format!("could not write the settings as JSON: {e}")))?;
        object["not_default"] = compared(&spec.changed());
        object["chosen"] = compared(&self.chosen);
        object["parameters"] = self.count("parameters").into();
        object["step"] = self.progress.map(|p| p.0).into();
        object["steps"] = self.count("steps").into();
        object["best_step"] = self.best_step.into();
        object["environment"] = json!(self.facts.place.read_environment()?);
        object["metrics"] = json!(self.metrics);
        object["files"] = json!(self.files);
        Ok(object)
    }
}

/// What is in the run's folder, by name.
fn files(facts: &Facts) -> Result<Vec<String>> {
    let unreadable = |e| Error::io(&facts.place.0, "could not read")(e);
    let entries = std::fs::read_dir(&facts.place.0).map_err(unreadable)?;
    let names = entries.map(|entry| {
        let name = entry.map_err(unreadable)?.file_name();
        Ok(name.to_string_lossy().into_owned())
    });
    let mut names = names.collect::<Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

/// The metrics in their order, the one that models are ranked by in front.
pub(super) fn headline_first(mut rows: Vec<MetricRow>) -> Vec<MetricRow> {
    let value = |name: &str| rows.iter().any(|r| r.metric == name && r.value.is_some());
    if let Some(name) = headline(value) {
        rows.sort_by_key(|r| r.metric != name);
    }
    rows
}

fn metrics_table(rows: &[MetricRow]) -> String {
    let header = [
        "metric",
        "value",
        "std error",
        "unit",
        "n",
        "left out",
        "better",
        "note",
    ];
    let cells = rows.iter().map(|r| {
        vec![
            r.metric.clone(),
            r.value.map_or_else(dash, plain),
            r.std_err.map_or_else(dash, plain),
            r.unit.clone(),
            r.n.to_string(),
            r.non_finite.to_string(),
            r.better.clone(),
            r.note.clone(),
        ]
    });
    columns(&header, cells)
}
