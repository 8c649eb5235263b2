//! `runs.csv`, `summary.csv` and the same as JSON, `pairs.csv`, `ranks.csv`.

use serde::{Deserialize, Serialize};

use super::interval::Spread;
use super::pairs::{Pair, Tally};
use super::ranks::Ranks;
use super::results::Results;
use super::significance::Test;
use super::summary::Row;
use crate::experiment::store::csv_rows;
use mdn_core::Result;

/// What stands for all data sets in `ranks.csv`: no data set can be called so.
const ALL: &str = "(all)";

#[derive(Clone, Default, Serialize, Deserialize)]
struct RunRow<'a> {
    data: &'a str,
    model: &'a str,
    seed: u64,
    state: &'a str,
    metric: &'a str,
    unit: &'a str,
    value: Option<f64>,
    std_err: Option<f64>,
    n: Option<usize>,
    non_finite: Option<usize>,
    note: &'a str,
}

/// A row of `summary.csv`.
#[derive(Serialize, Deserialize)]
pub struct SummaryRow {
    data: String,
    model: String,
    metric: String,
    unit: String,
    mean: Option<f64>,
    ci_low: Option<f64>,
    ci_high: Option<f64>,
    median: Option<f64>,
    seeds: usize,
    failed: usize,
    diff: Option<f64>,
    diff_low: Option<f64>,
    diff_high: Option<f64>,
    parameters: Option<f64>,
    std_dev: Option<f64>,
    boot_low: Option<f64>,
    boot_high: Option<f64>,
    p: Option<f64>,
    p_flip: Option<f64>,
    p_holm: Option<f64>,
    tests: Option<usize>,
}

#[derive(Serialize, Deserialize)]
struct PairRow {
    data: String,
    metric: String,
    model: String,
    other: String,
    diff: Option<f64>,
    diff_low: Option<f64>,
    diff_high: Option<f64>,
    boot_low: Option<f64>,
    boot_high: Option<f64>,
    seeds: usize,
    p: Option<f64>,
    p_flip: Option<f64>,
    p_holm: Option<f64>,
    tests: Option<usize>,
    outcome: Option<String>,
}

#[derive(Default, Serialize, Deserialize)]
struct RankRow {
    data: String,
    model: String,
    rank: Option<f64>,
    ci_low: Option<f64>,
    ci_high: Option<f64>,
    boot_low: Option<f64>,
    boot_high: Option<f64>,
    wins: usize,
    ties: usize,
    losses: usize,
    friedman_p: Option<f64>,
    critical_difference: Option<f64>,
}

/// `runs.csv`: a row for every run and metric; a run without metrics has one row with its state
/// and the reason as the note.
pub fn runs_csv(results: &Results<'_>) -> Result<Vec<u8>> {
    let mut rows = Vec::new();
    for run in &results.runs {
        let bare = RunRow {
            data: &run.data,
            model: &run.model,
            seed: run.seed,
            state: run.status.state.word(),
            note: &run.status.reason,
            ..RunRow::default()
        };
        if run.metrics.is_empty() {
            rows.push(bare.clone());
        }
        rows.extend(run.metrics.iter().map(|m| RunRow {
            metric: &m.metric,
            unit: &m.unit,
            value: m.value,
            std_err: m.std_err,
            n: Some(m.n),
            non_finite: Some(m.non_finite),
            note: &m.note,
            ..bare.clone()
        }));
    }
    csv_rows(&rows)
}

/// Mean and ends of the interval.
fn mean_and_ends(spread: Option<&Spread>) -> [Option<f64>; 3] {
    let (low, high) = spread.and_then(|s| s.interval).unzip();
    [spread.map(|s| s.mean), low, high]
}

/// The number of tests that a p-value was corrected for.
fn tests(test: &Test) -> Option<usize> {
    test.p_holm.map(|_| test.family)
}

/// The rows of `summary.csv`, and of the same as JSON.
pub fn summary_rows(rows: &[Row]) -> Vec<SummaryRow> {
    let row = |r: &Row| {
        let Row { value, diff, .. } = r;
        let [mean, ci_low, ci_high] = mean_and_ends(value.as_ref());
        let [diff, diff_low, diff_high] = mean_and_ends(diff.as_ref());
        let (boot_low, boot_high) = r.bootstrap.unzip();
        SummaryRow {
            data: r.data.clone(),
            model: r.model.clone(),
            metric: r.metric.clone(),
            unit: r.unit.clone(),
            mean,
            ci_low,
            ci_high,
            median: value.map(|s| s.median),
            seeds: value.map_or(0, |s| s.n),
            failed: r.failed,
            diff,
            diff_low,
            diff_high,
            parameters: r.parameters.map(|s| s.mean),
            std_dev: value.and_then(|s| s.std_dev),
            boot_low,
            boot_high,
            p: r.test.p,
            p_flip: r.test.p_flip,
            p_holm: r.test.p_holm,
            tests: tests(&r.test),
        }
    };
    rows.iter().map(row).collect()
}

/// `pairs.csv`: a row for every two models on every data set, by its headline metric.
pub fn pairs_csv(pairs: &[Pair]) -> Result<Vec<u8>> {
    let row = |p: &Pair| {
        let [diff, diff_low, diff_high] = mean_and_ends(p.diff.as_ref());
        let (boot_low, boot_high) = p.bootstrap.unzip();
        PairRow {
            data: p.data.clone(),
            metric: p.metric.to_owned(),
            model: p.model.clone(),
            other: p.other.clone(),
            diff,
            diff_low,
            diff_high,
            boot_low,
            boot_high,
            seeds: p.diff.map_or(0, |s| s.n),
            p: p.test.p,
            p_flip: p.test.p_flip,
            p_holm: p.test.p_holm,
            tests: tests(&p.test),
            outcome: p.outcome.map(|o| o.word().to_owned()),
        }
    };
    csv_rows(&pairs.iter().map(row).collect::<Vec<_>>())
}

/// `ranks.csv`: rank, wins, ties and losses of every model on every data set that can be ranked, and
/// over all of them.
pub fn ranks_csv(pairs: &[Pair], ranks: Option<&Ranks>) -> Result<Vec<u8>> {
    let mut rows = Vec::new();
    let Some(ranks) = ranks else {
        return csv_rows::<RankRow>(&rows);
    };
    let row = |model: &str, data: Option<&str>| {
        let tally = Tally::of(pairs, model, None, data);
        RankRow {
            data: data.unwrap_or(ALL).to_owned(),
            model: model.to_owned(),
            wins: tally.wins,
            ties: tally.ties,
            losses: tally.losses,
            ..RankRow::default()
        }
    };
    for (i, data) in ranks.data.iter().enumerate() {
        rows.extend(ranks.models.iter().map(|m| RankRow {
            rank: Some(m.ranks[i]),
            ..row(&m.model, Some(data))
        }));
    }
    rows.extend(ranks.models.iter().map(|m| {
        let [rank, ci_low, ci_high] = mean_and_ends(Some(&m.mean));
        let (boot_low, boot_high) = m.bootstrap.unzip();
        RankRow {
            rank,
            ci_low,
            ci_high,
            boot_low,
            boot_high,
            friedman_p: ranks.friedman.map(|f| f.p),
            critical_difference: ranks.critical_difference,
            ..row(&m.model, None)
        }
    }));
    csv_rows(&rows)
}
