//! `runs.csv`, `summary.csv` and the same as JSON.

use serde_json::{json, Value};

use super::interval::Spread;
use super::results::Results;
use super::summary::Row;
use crate::experiment::store::{csv_bytes, exact, exact_or_empty};
use crate::Result;

const RUNS: [&str; 11] = [
    "data",
    "model",
    "seed",
    "state",
    "metric",
    "unit",
    "value",
    "std_err",
    "n",
    "non_finite",
    "note",
];

const SUMMARY: [&str; 14] = [
    "data",
    "model",
    "metric",
    "unit",
    "mean",
    "ci_low",
    "ci_high",
    "median",
    "seeds",
    "failed",
    "diff",
    "diff_low",
    "diff_high",
    "parameters",
];

/// `runs.csv`: a row for every run and metric; a run without metrics has one row with its state
/// and the reason as the note.
pub fn runs_csv(results: &Results<'_>) -> Result<Vec<u8>> {
    let mut rows = Vec::new();
    for run in &results.runs {
        let cells = |rest: [String; 7]| {
            let [metric, unit, value, std_err, n, non_finite, note] = rest;
            [
                run.data.clone(),
                run.model.clone(),
                run.seed.to_string(),
                run.status.state.word().to_owned(),
                metric,
                unit,
                value,
                std_err,
                n,
                non_finite,
                note,
            ]
        };
        if run.metrics.is_empty() {
            let mut bare = [const { String::new() }; 7];
            bare[6].clone_from(&run.status.reason);
            rows.push(cells(bare));
        }
        for m in &run.metrics {
            rows.push(cells([
                m.metric.clone(),
                m.unit.clone(),
                exact_or_empty(m.value),
                exact_or_empty(m.std_err),
                m.n.to_string(),
                m.non_finite.to_string(),
                m.note.clone(),
            ]));
        }
    }
    csv_bytes(RUNS, rows)
}

/// The numbers of a row, in the order of the columns from `mean` to `diff_high`, without the
/// counts.
fn numbers(s: Option<&Spread>) -> [Option<f64>; 4] {
    let interval = s.and_then(|s| s.interval);
    [
        s.map(|s| s.mean),
        interval.map(|i| i.0),
        interval.map(|i| i.1),
        s.map(|s| s.median),
    ]
}

/// `summary.csv`.
pub fn summary_csv(rows: &[Row]) -> Result<Vec<u8>> {
    let lines = rows.iter().map(|r| {
        let [mean, low, high, median] = numbers(r.value.as_ref()).map(exact_or_empty);
        let [diff, diff_low, diff_high, _] = numbers(r.diff.as_ref()).map(exact_or_empty);
        [
            r.data.clone(),
            r.model.clone(),
            r.metric.clone(),
            r.unit.clone(),
            mean,
            low,
            high,
            median,
            r.value.map_or(0, |s| s.n).to_string(),
            r.failed.to_string(),
            diff,
            diff_low,
            diff_high,
            exact_or_empty(r.parameters.map(|s| s.mean)),
        ]
    });
    csv_bytes(SUMMARY, lines)
}

/// The rows of `summary.csv` as a list of objects: an empty cell is null, and what is not finite
/// is text, since JSON has no number for it.
pub fn summary_json(rows: &[Row]) -> Value {
    let number = |v: Option<f64>| match v {
        Some(v) if v.is_finite() => json!(v),
        Some(v) => json!(exact(v)),
        None => Value::Null,
    };
    let object = |r: &Row| {
        let [mean, low, high, median] = numbers(r.value.as_ref()).map(number);
        let [diff, diff_low, diff_high, _] = numbers(r.diff.as_ref()).map(number);
        json!({
            "data": r.data,
            "model": r.model,
            "metric": r.metric,
            "unit": r.unit,
            "mean": mean,
            "ci_low": low,
            "ci_high": high,
            "median": median,
            "seeds": r.value.map_or(0, |s| s.n),
            "failed": r.failed,
            "diff": diff,
            "diff_low": diff_low,
            "diff_high": diff_high,
            "parameters": number(r.parameters.map(|s| s.mean)),
        })
    };
    Value::Array(rows.iter().map(object).collect())
}
