//! `runs.csv`, `summary.csv` and the same as JSON, `pairs.csv`, `ranks.csv`.

use std::cmp::Ordering;

use serde_json::{json, Value};

use super::interval::Spread;
use super::pairs::{Pair, Tally};
use super::ranks::Ranks;
use super::results::Results;
use super::significance::{Contrast, Test};
use super::summary::Row;
use crate::experiment::store::exact;
use mdn_core::{Error, Result};

/// What stands for all data sets in `ranks.csv`: no data set can be called so.
const ALL: &str = "(all)";

/// Rows of cells: null where a value is not known, text where a number is not finite.
pub struct Table {
    columns: &'static str,
    rows: Vec<Vec<Value>>,
}

impl Table {
    /// The bytes of a CSV file.
    pub fn csv(&self) -> Result<Vec<u8>> {
        let cell = |value: &Value| match value {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            Value::Number(n) if n.is_f64() => exact(n.as_f64().unwrap_or(f64::NAN)),
            other => other.to_string(),
        };
        let fault = |e: &dyn std::fmt::Display| Error::failed(format!("could not write CSV: {e}"));
        let mut writer = csv::Writer::from_writer(Vec::new());
        let header = self.columns.split(' ').map(str::to_owned).collect();
        let rows = self.rows.iter().map(|row| row.iter().map(cell).collect());
        for row in std::iter::once(header).chain(rows) {
            let row: Vec<String> = row;
            writer.write_record(row).map_err(|e| fault(&e))?;
        }
        writer.into_inner().map_err(|e| fault(&e))
    }

    /// A list of objects.
    pub fn json(&self) -> Value {
        let object = |row: &Vec<Value>| -> Value {
            let names = self.columns.split(' ').map(str::to_owned);
            names.zip(row.iter().cloned()).collect()
        };
        self.rows.iter().map(object).collect()
    }
}

fn number(value: Option<f64>) -> Value {
    match value {
        Some(v) if !v.is_finite() => exact(v).into(),
        v => v.into(),
    }
}

/// Mean and ends of the interval.
fn mean_and_ends(spread: Option<&Spread>) -> Vec<Value> {
    let (low, high) = spread.and_then(|s| s.interval).unzip();
    [spread.map(|s| s.mean), low, high].map(number).to_vec()
}

fn ends(interval: Option<(f64, f64)>) -> Vec<Value> {
    let (low, high) = interval.unzip();
    [low, high].map(number).to_vec()
}

/// The p-values, and the number of tests that they were corrected for.
fn p_values(test: &Test) -> Vec<Value> {
    let mut cells = [test.p, test.p_flip, test.p_holm].map(number).to_vec();
    cells.push(json!(test.p_holm.map(|_| test.family)));
    cells
}

/// The geometric mean of the ratio and its interval, the test of it, and on how many seeds the model is
/// lower and higher.
fn ratio(contrast: &Contrast) -> Vec<Value> {
    let (low, high) = contrast.ratio.and_then(|r| r.interval).unzip();
    let logs = [contrast.ratio.map(|r| r.mean), low, high];
    let mut cells = logs.map(|log| number(log.map(f64::exp))).to_vec();
    let (lower, higher) = contrast.test.signs;
    cells.push(number(contrast.test.p_log));
    let known = contrast.diff.is_some();
    cells.extend([lower, higher].map(|n| json!(known.then_some(n))));
    cells
}

/// `runs.csv`: a row for every run and metric; a run without metrics has one row with its state
/// and the reason as the note.
pub fn runs(results: &Results<'_>) -> Table {
    let mut rows = Vec::new();
    for run in &results.runs {
        let state = run.status.state.word();
        let start = || {
            vec![
                json!(run.data),
                json!(run.model),
                json!(run.seed),
                json!(state),
            ]
        };
        if run.metrics.is_empty() {
            let (reason, tail) = (vec![json!(run.status.reason)], vec![Value::Null; 3]);
            let start = [start(), vec![json!(""); 2], vec![Value::Null; 4]].concat();
            rows.push([start, reason, tail].concat());
        }
        rows.extend(run.metrics.iter().map(|m| {
            let (value, std_err) = (number(m.value), number(m.std_err));
            let counts = [json!(m.n), json!(m.non_finite), json!(m.note)];
            let tail = [number(m.pareto_k), number(m.top10_share), json!(m.rests_on)];
            let end = [json!(m.metric), json!(m.unit), value, std_err].into_iter();
            let end = end.chain(counts).chain(tail);
            start().into_iter().chain(end).collect()
        }));
    }
    let columns = "data model seed state metric unit value std_err n non_finite note pareto_k \
                   top10_share rests_on";
    Table { columns, rows }
}

/// `summary.csv`: a row for every data set, model and metric.
pub fn summary(rows: &[Row]) -> Table {
    let columns = "data model metric unit mean ci_low ci_high median seeds failed diff diff_low \
                   diff_high parameters std_dev boot_low boot_high p p_flip p_holm tests fragile ratio \
                   ratio_low ratio_high p_log lower higher";
    let row = |r: &Row| {
        let value = r.value.as_ref();
        let names = [&r.data, &r.model, &r.metric, &r.unit].map(|name| json!(name));
        [
            names.to_vec(),
            mean_and_ends(value),
            vec![number(value.map(|s| s.median))],
            vec![json!(value.map_or(0, |s| s.n)), json!(r.failed)],
            mean_and_ends(r.contrast.diff.as_ref()),
            vec![number(r.parameters.map(|s| s.mean))],
            vec![number(value.and_then(|s| s.std_dev))],
            ends(r.bootstrap),
            p_values(&r.contrast.test),
            vec![json!(r.fragile)],
            ratio(&r.contrast),
        ]
        .concat()
    };
    let rows = rows.iter().map(row).collect();
    Table { columns, rows }
}

/// `pairs.csv`: a row for every two models on every data set, by its headline metric.
pub fn pairs(pairs: &[Pair]) -> Table {
    let columns =
        "data metric model other diff diff_low diff_high boot_low boot_high seeds p p_flip \
                   p_holm tests outcome ratio ratio_low ratio_high p_log lower higher";
    let row = |p: &Pair| {
        let outcome = p.outcome.map(|o| match o {
            Ordering::Less => "win",
            Ordering::Equal => "tie",
            Ordering::Greater => "loss",
        });
        [
            vec![
                json!(p.data),
                json!(p.metric),
                json!(p.model),
                json!(p.other),
            ],
            mean_and_ends(p.contrast.diff.as_ref()),
            ends(p.bootstrap),
            vec![json!(p.contrast.diff.map_or(0, |s| s.n))],
            p_values(&p.contrast.test),
            vec![json!(outcome)],
            ratio(&p.contrast),
        ]
        .concat()
    };
    let rows = pairs.iter().map(row).collect();
    Table { columns, rows }
}

/// `ranks.csv`: rank, wins, ties and losses of every model by data set, and over all of them.
pub fn ranks(pairs: &[Pair], ranks: Option<&Ranks>) -> Table {
    let columns = "data model rank ci_low ci_high boot_low boot_high wins ties losses friedman_p \
                   critical_difference";
    let mut rows = Vec::new();
    if let Some(ranks) = ranks {
        let row =
            |model: &str, data: Option<&str>, ranks: [Vec<Value>; 2], tests: [Option<f64>; 2]| {
                let Tally { wins, ties, losses } = Tally::of(pairs, model, None, data);
                let start = vec![json!(data.unwrap_or(ALL)), json!(model)];
                let counts = [wins, ties, losses].map(|n| json!(n)).to_vec();
                let [rank, bootstrap] = ranks;
                [start, rank, bootstrap, counts, tests.map(number).to_vec()].concat()
            };
        for (i, data) in ranks.data.iter().enumerate() {
            rows.extend(ranks.models.iter().map(|m| {
                let rank = vec![number(Some(m.ranks[i])), Value::Null, Value::Null];
                row(&m.model, Some(data), [rank, ends(None)], [None; 2])
            }));
        }
        let tests = [ranks.friedman.map(|f| f.p), ranks.critical_difference];
        rows.extend(ranks.models.iter().map(|m| {
            let mean = [mean_and_ends(Some(&m.mean)), ends(m.bootstrap)];
            row(&m.model, None, mean, tests)
        }));
    }
    Table { columns, rows }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_that_is_not_finite_is_text_and_not_an_empty_cell() {
        let ratio =
            |value: f64| super::ratio(&Contrast::of(&[(value, 1.0)], true, None))[0].clone();
        assert_eq!(ratio(2.0).as_f64().map(f64::round), Some(2.0));
        assert_eq!(ratio(f64::INFINITY), number(Some(f64::INFINITY)));
        assert!(ratio(f64::INFINITY).is_string());
    }
}
