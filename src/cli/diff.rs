//! `mdn diff`

use std::path::PathBuf;

use clap::Args;
use serde_json::{json, Value};

use super::common::{named, Facts};
use super::output::{columns, print, print_json, warn};
use super::show::headline_first;
use super::Context;
use crate::experiment::plan::RunSpec;
use crate::experiment::store::{MetricRow, State};
use crate::report::digits::{dash, plain};
use mdn_core::Result;

/// Show in which settings two runs differ, and how their metrics compare
///
/// First the settings that differ, by their dotted keys, with the values of both; the second run's data
/// set and model stand under the names of the first's. Then every metric of both runs with the
/// difference (second minus first) and its standard error, the root of the sum of the squares of both.
/// This assumes independent runs: it is too large where they share test points, and neither standard
/// error has the spread over seeds (see `mdn compare`).
#[derive(Debug, Clone, Args)]
pub(super) struct DiffArgs {
    /// Folder of the first run
    #[arg(value_name = "RUN")]
    first: PathBuf,
    /// Folder of the second run
    #[arg(value_name = "RUN")]
    second: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// The rows of a table, and the same as JSON objects.
type Rows = (Vec<Vec<String>>, Vec<Value>);

pub(super) fn run(args: &DiffArgs, _: &Context) -> Result<()> {
    let read = |folder: &PathBuf| named(folder).and_then(Facts::read);
    let (first, second) = (read(&args.first)?, read(&args.second)?);
    let (setting_rows, settings) = settings(&first.spec, &second.spec);
    let (metric_rows, metrics) = metrics(&first, &second)?;
    for facts in [&first, &second] {
        if facts.status.state != State::Done {
            let state = facts.status.state.word();
            warn(&format!("{} is {state}: it has no metrics", facts.folder()));
        }
    }
    if args.json {
        return print_json([json!({
            "first": first.json(),
            "second": second.json(),
            "settings": settings,
            "metrics": metrics,
        })]);
    }
    let mut text = format!("1  {}\n2  {}\n\n", first.folder(), second.folder());
    match settings.is_empty() {
        true => text += "no setting differs\n",
        false => text += &columns(&["setting", "1", "2"], setting_rows),
    }
    if !metrics.is_empty() {
        let header = ["metric", "unit", "1", "2", "2 - 1", "std error", "better"];
        text += &format!("\n{}", columns(&header, metric_rows));
    }
    print(&text)
}

/// The settings and names that differ.
fn settings(first: &RunSpec, second: &RunSpec) -> Rows {
    let (mut rows, mut objects) = Rows::default();
    let mut add = |key: &str, [first, second]: [(String, Value); 2]| {
        rows.push(vec![key.to_owned(), first.0, second.0]);
        objects.push(json!({ "key": key, "first": first.1, "second": second.1 }));
    };
    for (key, names) in [
        ("data or problem", [&first.data_name, &second.data_name]),
        ("model", [&first.model_name, &second.model_name]),
    ] {
        if names[0] != names[1] {
            add(key, names.map(|name| (name.clone(), json!(name))));
        }
    }
    // Otherwise every key would differ, since keys have the names in them.
    let second = RunSpec {
        data_name: first.data_name.clone(),
        model_name: first.model_name.clone(),
        ..second.clone()
    };
    for d in first.differences(&second) {
        let value = |value: Option<toml::Value>| match value {
            Some(value) => (value.to_string(), json!(value)),
            None => ("absent".to_owned(), Value::Null),
        };
        add(&d.key, [value(d.was), value(d.now)]);
    }
    (rows, objects)
}

/// The metrics that apply to a run, in the order of the first run with its headline in front; then
/// those that the second alone has.
fn metrics(first: &Facts, second: &Facts) -> Result<Rows> {
    let (a, b) = (
        headline_first(first.metrics()?),
        headline_first(second.metrics()?),
    );
    let (mut rows, mut objects) = Rows::default();
    let find = |all: &[MetricRow], name: &str| all.iter().find(|r| r.metric == name).cloned();
    let added = b.iter().filter(|r| find(&a, &r.metric).is_none());
    for row in a.iter().chain(added) {
        let both = [find(&a, &row.metric), find(&b, &row.metric)];
        let [x, y] = both.each_ref().map(|r| r.as_ref()?.value);
        let [x_err, y_err] = both.each_ref().map(|r| r.as_ref()?.std_err);
        if x.or(y).is_none() {
            continue;
        }
        let difference = x.zip(y).map(|(x, y)| y - x);
        let errors = difference.and(x_err.zip(y_err));
        let std_err = errors.map(|(x, y)| x.hypot(y));
        let shown = |value: Option<f64>| value.map_or_else(dash, plain);
        rows.push(vec![
            row.metric.clone(),
            row.unit.clone(),
            shown(x),
            shown(y),
            shown(difference),
            shown(std_err),
            row.better.clone(),
        ]);
        objects.push(json!({
            "metric": row.metric,
            "unit": row.unit,
            "better": row.better,
            "first": x,
            "first_std_err": x_err,
            "second": y,
            "second_std_err": y_err,
            "difference": difference,
            "std_err": std_err,
        }));
    }
    Ok((rows, objects))
}
