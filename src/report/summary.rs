//! One row for every data set, model and metric, from the runs alone.

use std::collections::BTreeMap;

use super::bootstrap::Bootstrap;
use super::interval::Spread;
use super::results::Results;
use super::significance::{self, Contrast, Test};
use mdn_core::metrics::Better;

/// One metric of one model on one data set, over the seeds.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub data: String,
    pub model: String,
    /// Key of the metric; empty where no run on this data set was measured.
    pub metric: String,
    pub unit: String,
    pub better: Better,
    /// Over the seeds that are done and to which the metric applies.
    pub value: Option<Spread>,
    /// Bootstrap interval of its mean.
    pub bootstrap: Option<(f64, f64)>,
    /// Runs that are done.
    pub done: usize,
    /// Runs that diverged or failed: counted, in no mean.
    pub failed: usize,
    /// Runs that never started or never ended.
    pub missing: usize,
    /// Model against reference; tested where the metric has a better end.
    pub contrast: Contrast,
    /// Parameters of the model, the mean where seeds differ.
    pub parameters: Option<Spread>,
    /// Points left out because their value was not finite, over all seeds.
    pub non_finite: usize,
    /// Why there is no value, where the metric does not apply.
    pub note: String,
    /// Seeds whose value rests on too few points to be trusted.
    pub fragile: usize,
    /// The largest Pareto k of the seeds.
    pub pareto_k: Option<f64>,
}

impl Row {
    /// Runs of the model on the data set, however they ended.
    pub fn runs(&self) -> usize {
        self.done + self.failed + self.missing
    }
}

/// Every row, in the order of the experiment file, metrics in the order they were measured.
pub fn rows(results: &Results<'_>) -> Vec<Row> {
    let what = results.what;
    let mut bootstrap = Bootstrap::default();
    let mut rows = Vec::new();
    for data in what.data {
        let metrics = metrics_on(results, data);
        for model in what.models {
            for metric in &metrics {
                rows.push(row(results, &mut bootstrap, data, model, metric));
            }
        }
    }
    correct(results, &mut rows);
    rows
}

/// Holm's correction of the tests against the reference, as in `pairs.csv`: a family is one pair of models
/// and one metric, or the headline metrics, on all data sets.
fn correct(results: &Results<'_>, rows: &mut [Row]) {
    let mut families: BTreeMap<(String, String), Vec<&mut Test>> = BTreeMap::new();
    for row in rows {
        let headline = results.headline(&row.data) == Some(row.metric.as_str());
        // No metric has an empty key.
        let metric = if headline { "" } else { &row.metric };
        let family = (row.model.clone(), metric.to_owned());
        let family = families.entry(family).or_default();
        if row.better == Better::Neither {
            row.contrast.test = Test::default();
        }
        family.push(&mut row.contrast.test);
    }
    for family in families.values_mut() {
        significance::correct(family);
    }
}

/// The metrics on a data set; one without a name where there are none, to count failed runs.
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

fn row(
    results: &Results<'_>,
    bootstrap: &mut Bootstrap,
    data: &str,
    model: &str,
    (metric, unit, better): &(String, String, Better),
) -> Row {
    let measured = || {
        let metrics = results.of(data, model).flat_map(|r| &r.metrics);
        metrics.filter(|m| m.metric == *metric)
    };
    let (done, failed) = results.done_and_failed(data, model);
    let values = results.values(data, model, metric);
    let reference = results.what.reference.filter(|r| *r != model);
    let pairs = reference.map_or_else(Vec::new, |reference| {
        results.pairs(data, model, reference, metric)
    });
    Row {
        data: data.to_owned(),
        model: model.to_owned(),
        metric: metric.to_owned(),
        unit: unit.clone(),
        better: *better,
        value: results.spread(data, model, metric),
        bootstrap: bootstrap.interval(&values),
        done,
        failed,
        missing: results.of(data, model).count() - done - failed,
        contrast: Contrast::of(
            &pairs,
            has_ratio(metric, *better),
            reference.and_then(|r| results.points_of_pairs(data, model, r, metric)),
        ),
        parameters: Spread::of(&results.values(data, model, "parameters")),
        non_finite: measured().map(|m| m.non_finite).sum(),
        note: measured()
            .find(|m| m.value.is_none())
            .map_or_else(String::new, |m| m.note.clone()),
        fragile: measured().filter(|m| m.is_fragile()).count(),
        pareto_k: measured().filter_map(|m| m.pareto_k).max_by(f64::total_cmp),
    }
}

/// The column `better` of `metrics.csv`; anything unknown is neither.
fn better(text: &str) -> Better {
    let near = || text.strip_prefix("near ")?.parse().ok();
    match text {
        "lower" => Better::Lower,
        "higher" => Better::Higher,
        _ => near().map_or(Better::Neither, Better::Near),
    }
}

/// Whether 0 is the best value of a metric, so that ratios have a meaning: a log-likelihood has none.
pub fn has_ratio(metric: &str, better: Better) -> bool {
    better == Better::Lower && metric != "nll"
}

/// A mean as a number of which the least is best.
fn badness(better: Better, mean: f64) -> Option<f64> {
    match better {
        Better::Lower => Some(mean),
        Better::Higher => Some(-mean),
        Better::Near(target) => Some((mean - target).abs()),
        Better::Neither => None,
    }
    .filter(|b| !b.is_nan())
}

/// Of the rows of one data set and metric, the models with the best mean: none where the metric
/// has no better end, only one model was measured or the best mean rests on few points, several where they
/// tie.
pub fn best<'a>(rows: &[&'a Row]) -> Vec<&'a str> {
    let scored = rows.iter();
    let scored = scored.filter_map(|r| Some((&*r.model, badness(r.better, r.value?.mean)?)));
    let scored: Vec<(&str, f64)> = scored.collect();
    let least = scored.iter().map(|s| s.1).fold(f64::INFINITY, f64::min);
    let winners = scored.iter().filter(|s| s.1 == least).map(|s| s.0);
    let winners: Vec<&str> = winners.collect();
    let fragile = |model: &str| rows.iter().any(|r| r.model == model && r.fragile > 0);
    if winners.len() == scored.len() || winners.iter().any(|model| fragile(model)) {
        return Vec::new();
    }
    winners
}
