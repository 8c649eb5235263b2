//! Every two models against each other on every data set, by the headline metric.

use std::cmp::Ordering;
use std::fmt;

use super::bootstrap::Bootstrap;
use super::results::Results;
use super::significance::{self, Contrast};
use super::summary::has_ratio;
use mdn_core::metrics::Better;

/// Two models on one data set.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    pub data: String,
    /// The headline metric there.
    pub metric: &'static str,
    /// The one that is earlier in the experiment file.
    pub model: String,
    pub other: String,
    /// Model against other; the test is corrected over the data sets on which they meet.
    pub contrast: Contrast,
    /// Bootstrap interval of the mean difference.
    pub bootstrap: Option<(f64, f64)>,
    /// `Less` where the model wins, `Greater` where the other does. The winner is better by a difference
    /// that is significant after correction, and has no more failed runs; or the other has failed in all
    /// its runs. `None` where runs of either are missing altogether.
    pub outcome: Option<Ordering>,
}

/// Every pair on every data set that has a headline metric.
pub fn pairs(results: &Results<'_>) -> Vec<Pair> {
    let what = results.what;
    let mut bootstrap = Bootstrap::default();
    let mut all = Vec::new();
    let meet = |i: usize| {
        what.models[i + 1..]
            .iter()
            .map(move |o| (&what.models[i], o))
    };
    let matches: Vec<(&String, &String)> = (0..what.models.len()).flat_map(meet).collect();
    for data in what.data {
        let Some(metric) = results.headline(data) else {
            continue;
        };
        for &(model, other) in &matches {
            let values = results.pairs(data, model, other, metric);
            let differences: Vec<f64> = values.iter().map(|(a, b)| a - b).collect();
            all.push(Pair {
                data: data.clone(),
                metric,
                model: model.clone(),
                other: other.clone(),
                contrast: Contrast::of(
                    &values,
                    has_ratio(metric, Better::Lower),
                    results.points_of_pairs(data, model, other, metric),
                ),
                bootstrap: bootstrap.interval(&differences),
                outcome: None,
            });
        }
    }
    for (model, other) in matches {
        let family = all.iter_mut();
        let family = family.filter(|p| p.model == *model && p.other == *other);
        significance::correct(&mut family.map(|p| &mut p.contrast.test).collect::<Vec<_>>());
    }
    for pair in &mut all {
        pair.outcome = outcome(results, pair);
    }
    all
}

/// The least is best in every headline metric.
fn outcome(results: &Results<'_>, pair: &Pair) -> Option<Ordering> {
    let (done, failed) = results.done_and_failed(&pair.data, &pair.model);
    let (other_done, other_failed) = results.done_and_failed(&pair.data, &pair.other);
    if done + failed == 0 || other_done + other_failed == 0 {
        return None;
    }
    let Contrast { diff, ratio, test } = pair.contrast;
    let decided = ratio.or(diff).filter(|_| test.is_significant());
    let sign = decided.map_or(0.0, |d| d.mean);
    Some(match (done, other_done) {
        (0, 0) => Ordering::Equal,
        (0, _) => Ordering::Greater,
        (_, 0) => Ordering::Less,
        _ if sign < 0.0 && failed <= other_failed => Ordering::Less,
        _ if sign > 0.0 && other_failed <= failed => Ordering::Greater,
        _ => Ordering::Equal,
    })
}

/// Numbers of pairs on data sets that a model won, neither won nor lost, and lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    pub wins: usize,
    pub ties: usize,
    pub losses: usize,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.wins, self.ties, self.losses)
    }
}

impl Tally {
    /// Of `model`, against `other` or all others, on `data` or all data sets.
    pub fn of(pairs: &[Pair], model: &str, other: Option<&str>, data: Option<&str>) -> Self {
        let mut tally = Self::default();
        for pair in pairs.iter().filter(|p| data.is_none_or(|d| p.data == d)) {
            let (against, outcome) = match pair.outcome {
                Some(o) if pair.model == model => (&pair.other, o),
                Some(o) if pair.other == model => (&pair.model, o.reverse()),
                _ => continue,
            };
            if other.is_some_and(|o| o != against) {
                continue;
            }
            match outcome {
                Ordering::Less => tally.wins += 1,
                Ordering::Equal => tally.ties += 1,
                Ordering::Greater => tally.losses += 1,
            }
        }
        tally
    }
}
