//! `mdn show`

use std::fs::DirEntry;
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
/// that it was computed on and of those left out because their value was not finite. Of means of log ratios
/// or weights follow the Pareto k of the tail, the share of the ten largest points, and the number of points
/// that make half of it; ! marks a value that rests on too few to be trusted. An unfinished run shows the
/// last step of its history.
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
    let facts = Facts::read(named(&args.run)?)?;
    match args.json {
        true => print_json([json(&facts)?]),
        false => print(&text(&facts)?),
    }
}

/// Where the trained settings differ from `config.toml`, but for the budget and the search, which they
/// do not have.
fn chosen(facts: &Facts) -> Result<Vec<Difference>> {
    let trained = RunSpec::read_trained(&facts.place)?;
    let mut chosen = facts.spec.differences(&trained);
    chosen.retain(|d| !d.key.starts_with("budget") && !d.key.starts_with("search"));
    Ok(chosen)
}

fn best_step(facts: &Facts) -> Option<u64> {
    let weights = std::fs::read(facts.place.path("model.safetensors")).ok()?;
    weights::best_step(&weights)
}

/// A description that the metrics hold.
fn count(metrics: &[MetricRow], metric: &str) -> Option<f64> {
    metrics.iter().find(|m| m.metric == metric)?.value
}

/// How BIC chose the number of components; empty where it did not.
fn scan(facts: &Facts) -> Result<String> {
    let tried = facts.place.read_tried()?;
    let all: Vec<String> = tried.iter().map(|t| t.components.to_string()).collect();
    let chosen = tried.iter().find(|t| t.chosen);
    Ok(match (chosen, all.as_slice()) {
        (Some(chosen), [first, .., last]) => {
            format!("{} of {first} to {last} by BIC (k.csv)", chosen.components)
        }
        (Some(chosen), _) => format!("{} by BIC (k.csv)", chosen.components),
        _ => String::new(),
    })
}

/// What is in the run's folder, by name.
fn files(facts: &Facts) -> Result<Vec<String>> {
    let name = |e: &DirEntry| e.file_name().to_string_lossy().into_owned();
    let mut names: Vec<_> = facts.place.entries()?.iter().map(name).collect();
    names.sort();
    Ok(names)
}

fn text(facts: &Facts) -> Result<String> {
    let spec = &facts.spec;
    let metrics = headline_first(facts.metrics()?);
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
    for (name, all) in [("not default", spec.changed()), ("chosen", chosen(facts)?)] {
        for d in all {
            let [was, now] = d.shown();
            add(name, format!("{} = {now} ({was})", d.key));
        }
    }
    add("components", scan(facts)?);
    let number = |metric: &str| count(&metrics, metric).map_or_else(String::new, plain);
    add("parameters", number("parameters"));
    if let Some((at, of)) = facts.progress()? {
        add("step", format!("{at} of {of}, as far as its history is"));
    }
    add("steps", number("steps"));
    let best_step = best_step(facts).map(|step| step.to_string());
    add("best step", best_step.unwrap_or_default());
    if let Some(e) = facts.place.read_environment()? {
        add("command", e.command);
        let place = format!("mdn {} on {}, {}", e.version, e.device, e.kernels);
        add("made by", place);
        add("started", e.started);
        add("ended", e.ended);
        add("note", e.note.unwrap_or_default());
    }
    add("files", files(facts)?.join("  "));
    let mut text = format!("{}\n\n{}", facts.folder(), columns(&[], lines));
    if !metrics.is_empty() {
        text += &format!("\n{}", metrics_table(&metrics));
    }
    Ok(text)
}

fn json(facts: &Facts) -> Result<Value> {
    let metrics = headline_first(facts.metrics()?);
    let mut object = facts.json();
    let compared = |all: Vec<Difference>| -> Value {
        let pair = |d: Difference| (d.key, json!({ "was": d.was, "now": d.now }));
        all.into_iter().map(pair).collect()
    };
    object["settings"] = serde_json::to_value(&facts.spec)
        .map_err(|e| Error::failed(format!("could not write the settings as JSON: {e}")))?;
    object["not_default"] = compared(facts.spec.changed());
    object["chosen"] = compared(chosen(facts)?);
    object["parameters"] = json!(count(&metrics, "parameters"));
    object["step"] = json!(facts.progress()?.map(|p| p.0));
    let tried = facts.place.read_tried()?;
    if !tried.is_empty() {
        object["tried"] = json!(tried);
    }
    object["steps"] = json!(count(&metrics, "steps"));
    object["best_step"] = json!(best_step(facts));
    object["environment"] = json!(facts.place.read_environment()?);
    object["metrics"] = json!(metrics);
    object["files"] = json!(files(facts)?);
    Ok(object)
}

/// The metrics in their order, the one that models are ranked by in front.
pub(super) fn headline_first(mut rows: Vec<MetricRow>) -> Vec<MetricRow> {
    let value = |name: &str| rows.iter().any(|r| r.metric == name && r.value.is_some());
    if let Some(name) = headline(value) {
        rows.sort_by_key(|r| r.metric != name);
    }
    rows
}

/// The number of points, with a sign where the value is not to be trusted.
fn rests_on(row: &MetricRow) -> String {
    let number = row.rests_on.map_or_else(String::new, |n| n.to_string());
    let sign = if row.is_fragile() { " !" } else { "" };
    number + sign
}

fn metrics_table(rows: &[MetricRow]) -> String {
    let header = "metric,value,std error,unit,n,left out,better,pareto k,top ten,rests on,note";
    let header: Vec<_> = header.split(',').collect();
    let cells = rows.iter().map(|r| {
        vec![
            r.metric.clone(),
            r.value.map_or_else(dash, plain),
            r.std_err.map_or_else(dash, plain),
            r.unit.clone(),
            r.n.to_string(),
            r.non_finite.to_string(),
            r.better.clone(),
            r.pareto_k.map_or_else(String::new, plain),
            r.top10_share.map_or_else(String::new, plain),
            rests_on(r),
            r.note.clone(),
        ]
    });
    columns(&header, cells)
}
