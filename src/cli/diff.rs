//! `mdn diff`

use std::path::PathBuf;

use clap::Args;
use serde_json::{json, Value};

use super::common::{named, settings, Facts};
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

/// A setting or name that is not the same.
struct Setting {
    key: String,
    values: [Value; 2],
    shown: [String; 2],
}

/// A metric of both runs: value and standard error of each.
struct Metric {
    row: MetricRow,
    values: [Option<f64>; 2],
    std_errs: [Option<f64>; 2],
}

impl Metric {
    fn difference(&self) -> Option<f64> {
        Some(self.values[1]? - self.values[0]?)
    }

    fn std_err(&self) -> Option<f64> {
        self.difference()?;
        Some(self.std_errs[0]?.hypot(self.std_errs[1]?))
    }
}

pub(super) fn run(args: &DiffArgs, _: &Context) -> Result<()> {
    let read = |folder: &PathBuf| named(folder).and_then(Facts::read);
    let (first, second) = (read(&args.first)?, read(&args.second)?);
    let settings = settings_of(&first.spec, &second.spec)?;
    let metrics = metrics_of(&first, &second)?;
    for facts in [&first, &second] {
        if facts.status.state != State::Done {
            let state = facts.status.state.word();
            warn(&format!("{} is {state}: it has no metrics", facts.folder()));
        }
    }
    match args.json {
        true => print_json([as_json(&first, &second, &settings, &metrics)]),
        false => print(&as_text(&first, &second, &settings, &metrics)),
    }
}

fn settings_of(first: &RunSpec, second: &RunSpec) -> Result<Vec<Setting>> {
    let mut all = Vec::new();
    for (key, names) in [
        ("data or problem", [&first.data_name, &second.data_name]),
        ("model", [&first.model_name, &second.model_name]),
    ] {
        if names[0] != names[1] {
            all.push(Setting {
                key: key.to_owned(),
                values: names.map(|name| name.as_str().into()),
                shown: names.map(String::clone),
            });
        }
    }
    // Otherwise every key would differ, since keys have the names in them.
    let second = RunSpec {
        data_name: first.data_name.clone(),
        model_name: first.model_name.clone(),
        ..second.clone()
    };
    for d in first.differences(&second) {
        let shown = |spec: &RunSpec| spec.setting(&d.key).unwrap_or_else(|| "absent".to_owned());
        all.push(Setting {
            values: [settings(first, &d.key)?, settings(&second, &d.key)?],
            shown: [shown(first), shown(&second)],
            key: d.key,
        });
    }
    Ok(all)
}

/// In the order of the first run, its headline in front; then those that the second alone has.
fn metrics_of(first: &Facts, second: &Facts) -> Result<Vec<Metric>> {
    let (a, b) = (
        headline_first(first.metrics()?),
        headline_first(second.metrics()?),
    );
    let find = |all: &[MetricRow], name: &str| all.iter().find(|r| r.metric == name).cloned();
    let added = b.iter().filter(|r| find(&a, &r.metric).is_none());
    let both = a.iter().chain(added).map(|row| {
        let rows = [find(&a, &row.metric), find(&b, &row.metric)];
        Metric {
            values: rows.each_ref().map(|r| r.as_ref()?.value),
            std_errs: rows.each_ref().map(|r| r.as_ref()?.std_err),
            row: row.clone(),
        }
    });
    // Metrics that apply to neither run are left out.
    let applies = |m: &Metric| m.values.iter().any(Option::is_some);
    Ok(both.filter(applies).collect())
}

fn as_text(first: &Facts, second: &Facts, settings: &[Setting], metrics: &[Metric]) -> String {
    let mut text = format!("1  {}\n2  {}\n\n", first.folder(), second.folder());
    if settings.is_empty() {
        text += "no setting differs\n";
    } else {
        let row = |s: &Setting| [std::slice::from_ref(&s.key), &s.shown].concat();
        text += &columns(&["setting", "1", "2"], settings.iter().map(row));
    }
    if metrics.is_empty() {
        return text;
    }
    let header = ["metric", "unit", "1", "2", "2 - 1", "std error", "better"];
    let shown = |value: Option<f64>| value.map_or_else(dash, plain);
    let rows = metrics.iter().map(|m| {
        vec![
            m.row.metric.clone(),
            m.row.unit.clone(),
            shown(m.values[0]),
            shown(m.values[1]),
            shown(m.difference()),
            shown(m.std_err()),
            m.row.better.clone(),
        ]
    });
    text + "\n" + &columns(&header, rows)
}

fn as_json(first: &Facts, second: &Facts, settings: &[Setting], metrics: &[Metric]) -> Value {
    let settings = settings.iter().map(|s| {
        let [first, second] = &s.values;
        json!({ "key": s.key, "first": first, "second": second })
    });
    let metrics = metrics.iter().map(|m| {
        json!({
            "metric": m.row.metric,
            "unit": m.row.unit,
            "better": m.row.better,
            "first": m.values[0],
            "first_std_err": m.std_errs[0],
            "second": m.values[1],
            "second_std_err": m.std_errs[1],
            "difference": m.difference(),
            "std_err": m.std_err(),
        })
    });
    json!({
        "first": first.json(),
        "second": second.json(),
        "settings": settings.collect::<Vec<_>>(),
        "metrics": metrics.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_have_the_root_of_the_sum_of_squares() {
        let metric = |values, std_errs| Metric {
            row: MetricRow {
                metric: "kl".into(),
                unit: "nats".into(),
                better: "lower".into(),
                value: None,
                std_err: None,
                n: 0,
                non_finite: 0,
                note: String::new(),
            },
            values,
            std_errs,
        };
        let both = metric([Some(1.0), Some(3.5)], [Some(0.3), Some(0.4)]);
        assert_eq!((both.difference(), both.std_err()), (Some(2.5), Some(0.5)));
        let one = metric([Some(1.0), Some(3.0)], [Some(0.3), None]);
        assert_eq!((one.difference(), one.std_err()), (Some(2.0), None));
        let none = metric([Some(1.0), None], [Some(0.3), Some(0.4)]);
        assert_eq!((none.difference(), none.std_err()), (None, None));
    }
}
