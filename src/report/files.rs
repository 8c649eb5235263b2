//! `runs.csv`, `summary.csv` and the same as JSON, `pairs.csv`, `ranks.csv`.

use serde_json::{json, Value};

use super::interval::Spread;
use super::pairs::{Outcome, Pair, Tally};
use super::ranks::{Ranked, Ranks};
use super::results::Results;
use super::significance::Test;
use super::summary::Row;
use crate::experiment::store::{csv_bytes, exact, exact_or_empty};
use mdn_core::Result;

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

const SUMMARY: [&str; 21] = [
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
    "std_dev",
    "boot_low",
    "boot_high",
    "p",
    "p_flip",
    "p_holm",
    "tests",
];

const PAIRS: [&str; 15] = [
    "data",
    "metric",
    "model",
    "other",
    "diff",
    "diff_low",
    "diff_high",
    "boot_low",
    "boot_high",
    "seeds",
    "p",
    "p_flip",
    "p_holm",
    "tests",
    "outcome",
];

const RANKS: [&str; 12] = [
    "data",
    "model",
    "rank",
    "ci_low",
    "ci_high",
    "boot_low",
    "boot_high",
    "wins",
    "ties",
    "losses",
    "friedman_p",
    "critical_difference",
];

/// What stands for all data sets in `ranks.csv`: no data set can be called so.
const ALL: &str = "(all)";

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
            exact_or_empty(r.value.and_then(|s| s.std_dev)),
            exact_or_empty(r.bootstrap.map(|b| b.0)),
            exact_or_empty(r.bootstrap.map(|b| b.1)),
            exact_or_empty(r.test.p),
            exact_or_empty(r.test.p_flip),
            exact_or_empty(r.test.p_holm),
            family(&r.test),
        ]
    });
    csv_bytes(SUMMARY, lines)
}

/// The number of tests that a p-value was corrected for.
fn family(test: &Test) -> String {
    test.p_holm
        .map_or_else(String::new, |_| test.family.to_string())
}

/// `pairs.csv`: a row for every two models on every data set, by its headline metric.
pub fn pairs_csv(pairs: &[Pair]) -> Result<Vec<u8>> {
    let lines = pairs.iter().map(|p| {
        let [diff, low, high, _] = numbers(p.diff.as_ref()).map(exact_or_empty);
        [
            p.data.clone(),
            p.metric.to_owned(),
            p.model.clone(),
            p.other.clone(),
            diff,
            low,
            high,
            exact_or_empty(p.bootstrap.map(|b| b.0)),
            exact_or_empty(p.bootstrap.map(|b| b.1)),
            p.diff.map_or(0, |s| s.n).to_string(),
            exact_or_empty(p.test.p),
            exact_or_empty(p.test.p_flip),
            exact_or_empty(p.test.p_holm),
            family(&p.test),
            p.outcome.map_or("", Outcome::word).to_owned(),
        ]
    });
    csv_bytes(PAIRS, lines)
}

/// `ranks.csv`: rank, wins, ties and losses of every model on every data set that can be ranked, and
/// over all of them.
pub fn ranks_csv(pairs: &[Pair], ranks: Option<&Ranks>) -> Result<Vec<u8>> {
    let mut rows = Vec::new();
    if let Some(ranks) = ranks {
        let cells = |data: &str, model: &Ranked, tally: Tally, rest: [Option<f64>; 7]| {
            let [rank, low, high, boot_low, boot_high, p, cd] = rest.map(exact_or_empty);
            [
                data.to_owned(),
                model.model.clone(),
                rank,
                low,
                high,
                boot_low,
                boot_high,
                tally.wins.to_string(),
                tally.ties.to_string(),
                tally.losses.to_string(),
                p,
                cd,
            ]
        };
        for (i, data) in ranks.data.iter().enumerate() {
            for model in &ranks.models {
                let tally = Tally::of(pairs, &model.model, None, Some(data));
                let mut rest = [None; 7];
                rest[0] = Some(model.ranks[i]);
                rows.push(cells(data, model, tally, rest));
            }
        }
        for model in &ranks.models {
            let [mean, low, high, _] = numbers(Some(&model.mean));
            let rest = [
                mean,
                low,
                high,
                model.bootstrap.map(|b| b.0),
                model.bootstrap.map(|b| b.1),
                ranks.friedman.map(|f| f.p),
                ranks.critical_difference,
            ];
            let tally = Tally::of(pairs, &model.model, None, None);
            rows.push(cells(ALL, model, tally, rest));
        }
    }
    csv_bytes(RANKS, rows)
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
            "std_dev": number(r.value.and_then(|s| s.std_dev)),
            "boot_low": number(r.bootstrap.map(|b| b.0)),
            "boot_high": number(r.bootstrap.map(|b| b.1)),
            "p": number(r.test.p),
            "p_flip": number(r.test.p_flip),
            "p_holm": number(r.test.p_holm),
            "tests": r.test.p_holm.map(|_| r.test.family),
        })
    };
    Value::Array(rows.iter().map(object).collect())
}
