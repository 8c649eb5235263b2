//! One row for every data set, model and metric, from the runs alone.

use super::interval::Spread;
use super::results::Results;
use crate::metrics::Better;

/// What the seeds of one model on one data set say about one metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Data set.
    pub data: String,
    /// Model.
    pub model: String,
    /// Key of the metric; empty where no run on this data set was measured.
    pub metric: String,
    /// Its unit.
    pub unit: String,
    /// Which values are good.
    pub better: Better,
    /// Over the seeds that are done and to which the metric applies.
    pub value: Option<Spread>,
    /// Runs that are done.
    pub done: usize,
    /// Runs that diverged or failed: counted, in no mean.
    pub failed: usize,
    /// Runs that never started or never ended.
    pub missing: usize,
    /// Model minus reference, over the seeds that both finished.
    pub diff: Option<Spread>,
    /// Parameters of the model, the mean where seeds differ.
    pub parameters: Option<Spread>,
    /// Points left out because their value was not finite, over all seeds.
    pub non_finite: usize,
    /// Why there is no value, where the metric does not apply.
    pub note: String,
}

/// Every row, in the order of the experiment file, metrics in the order they were measured.
pub fn rows(results: &Results<'_>) -> Vec<Row> {
    let what = results.what;
    let mut rows = Vec::new();
    for data in what.data {
        let metrics = metrics_on(results, data);
        for model in what.models {
            for (metric, unit, better) in &metrics {
                rows.push(Row {
                    unit: unit.clone(),
                    better: *better,
                    ..row(results, data, model, metric)
                });
            }
        }
    }
    rows
}

/// The metrics of any run on a data set. One without a name stands in where there are none, so
/// that runs that all failed are counted all the same.
fn metrics_on(results: &Results<'_>, data: &str) -> Vec<(String, String, Better)> {
    let mut found: Vec<(String, String, Better)> = Vec::new();
    for m in results.on(data).flat_map(|r| &r.metrics) {
        if found.iter().all(|(key, ..)| *key != m.metric) {
            found.push((m.metric.clone(), m.unit.clone(), better(&m.better)));
        }
    }
    if found.is_empty() {
        found.push((String::new(), String::new(), Better::Neither));
    }
    found
}

fn row(results: &Results<'_>, data: &str, model: &str, metric: &str) -> Row {
    let count =
        |f: fn(&super::results::Run) -> bool| results.of(data, model).filter(|r| f(r)).count();
    let values = |key: &str| -> Vec<f64> {
        let runs = results.of(data, model);
        runs.filter_map(|r| r.value(key)).collect()
    };
    let measured = || {
        let metrics = results.of(data, model).flat_map(|r| &r.metrics);
        metrics.filter(|m| m.metric == metric)
    };
    let (done, failed) = (count(|r| r.is_done()), count(|r| r.has_failed()));
    Row {
        data: data.to_owned(),
        model: model.to_owned(),
        metric: metric.to_owned(),
        unit: String::new(),
        better: Better::Neither,
        value: Spread::of(&values(metric)),
        done,
        failed,
        missing: results.of(data, model).count() - done - failed,
        diff: Spread::of(&differences(results, data, model, metric)),
        parameters: Spread::of(&values("parameters")),
        non_finite: measured().map(|m| m.non_finite).sum(),
        note: measured()
            .find(|m| m.value.is_none())
            .map_or_else(String::new, |m| m.note.clone()),
    }
}

/// Model minus reference for every seed that has both. None for the reference itself, nor for
/// metrics of which neither end is better.
fn differences(results: &Results<'_>, data: &str, model: &str, metric: &str) -> Vec<f64> {
    let Some(reference) = results.what.reference.filter(|r| *r != model) else {
        return Vec::new();
    };
    let base = |seed| {
        let mut runs = results.of(data, reference);
        runs.find(|r| r.seed == seed).and_then(|r| r.value(metric))
    };
    results
        .of(data, model)
        .filter_map(|r| Some(r.value(metric)? - base(r.seed)?))
        .collect()
}

/// The column `better` of `metrics.csv`; anything unknown is neither.
fn better(text: &str) -> Better {
    match text {
        "lower" => Better::Lower,
        "higher" => Better::Higher,
        _ => text
            .strip_prefix("near ")
            .and_then(|v| v.parse().ok())
            .map_or(Better::Neither, Better::Near),
    }
}

/// How far a mean is from the best that the metric can be: the least is best.
pub fn badness(better: Better, mean: f64) -> Option<f64> {
    match better {
        Better::Lower => Some(mean),
        Better::Higher => Some(-mean),
        Better::Near(target) => Some((mean - target).abs()),
        Better::Neither => None,
    }
    .filter(|b| !b.is_nan())
}

/// Of the rows of one data set and metric, the models with the best mean: none where the metric
/// has no better end or only one model was measured, several where they tie.
pub fn best<'a>(rows: &[&'a Row]) -> Vec<&'a str> {
    let scored: Vec<(&str, f64)> = rows
        .iter()
        .filter_map(|r| Some((r.model.as_str(), badness(r.better, r.value?.mean)?)))
        .collect();
    let least = scored.iter().map(|s| s.1).fold(f64::INFINITY, f64::min);
    let winners: Vec<&str> = scored
        .iter()
        .filter(|s| s.1 == least)
        .map(|s| s.0)
        .collect();
    if scored.len() < 2 || winners.len() == scored.len() {
        return Vec::new();
    }
    winners
}
