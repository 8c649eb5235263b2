//! Every two models against each other on every data set, by the headline metric.

use std::fmt;

use super::bootstrap::Bootstrap;
use super::interval::Spread;
use super::results::Results;
use super::significance::{self, Test};

/// The result of the first of two models against the other on one data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Better: the difference is significant after correction, and the model has no more failed runs
    /// than the other; or the other has failed in all its runs and the model has not.
    Win,
    /// Neither.
    Tie,
    /// The other one won.
    Loss,
}

impl Outcome {
    /// The word in files.
    pub fn word(self) -> &'static str {
        match self {
            Self::Win => "win",
            Self::Tie => "tie",
            Self::Loss => "loss",
        }
    }

    /// The same for the other model.
    pub fn swapped(self) -> Self {
        match self {
            Self::Win => Self::Loss,
            Self::Tie => Self::Tie,
            Self::Loss => Self::Win,
        }
    }
}

/// Two models on one data set.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    pub data: String,
    /// The headline metric there.
    pub metric: &'static str,
    /// The one that is earlier in the experiment file.
    pub model: String,
    pub other: String,
    /// Model minus other, over the seeds that both finished.
    pub diff: Option<Spread>,
    /// Bootstrap interval of its mean.
    pub bootstrap: Option<(f64, f64)>,
    /// Corrected over the data sets on which these two models meet.
    pub test: Test,
    /// `None` where runs of either are missing altogether.
    pub outcome: Option<Outcome>,
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
            let differences = results.differences(data, model, other, metric);
            all.push(Pair {
                data: data.clone(),
                metric,
                model: model.clone(),
                other: other.clone(),
                diff: Spread::of(&differences),
                bootstrap: bootstrap.interval(&differences),
                test: Test::of(&differences),
                outcome: None,
            });
        }
    }
    for (model, other) in matches {
        let family = all.iter_mut();
        let family = family.filter(|p| p.model == *model && p.other == *other);
        significance::correct(&mut family.map(|p| &mut p.test).collect::<Vec<_>>());
    }
    for pair in &mut all {
        pair.outcome = outcome(results, pair);
    }
    all
}

/// The least is best in every headline metric.
fn outcome(results: &Results<'_>, pair: &Pair) -> Option<Outcome> {
    let (done, failed) = results.done_and_failed(&pair.data, &pair.model);
    let (other_done, other_failed) = results.done_and_failed(&pair.data, &pair.other);
    if done + failed == 0 || other_done + other_failed == 0 {
        return None;
    }
    let difference = pair.diff.filter(|_| pair.test.is_significant());
    let sign = difference.map_or(0.0, |d| d.mean);
    Some(match (done, other_done) {
        (0, 0) => Outcome::Tie,
        (0, _) => Outcome::Loss,
        (_, 0) => Outcome::Win,
        _ if sign < 0.0 && failed <= other_failed => Outcome::Win,
        _ if sign > 0.0 && other_failed <= failed => Outcome::Loss,
        _ => Outcome::Tie,
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
                Some(o) if pair.other == model => (&pair.model, o.swapped()),
                _ => continue,
            };
            if other.is_some_and(|o| o != against) {
                continue;
            }
            match outcome {
                Outcome::Win => tally.wins += 1,
                Outcome::Tie => tally.ties += 1,
                Outcome::Loss => tally.losses += 1,
            }
        }
        tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture::Fixture;

    #[test]
    fn failed_runs_cannot_win_and_models_that_only_fail_lose() {
        let fixture = Fixture::new();
        let what = fixture.comparison();
        let all = pairs(&Results::read(&what).unwrap());
        // 4 models are 6 pairs, on 3 data sets.
        assert_eq!(all.len(), 18);
        let on = |data: &str, model: &str, other: &str| {
            let found = all
                .iter()
                .find(|p| (&*p.data, &*p.model, &*p.other) == (data, model, other));
            found.unwrap()
        };
        // Seed 3 of the mixture base diverged: it is better by far, and still no winner.
        let ring = on("ring", "normal_base", "mixture_base");
        assert!((ring.diff.unwrap().mean - 0.289).abs() < 1e-12);
        assert!(ring.test.is_significant());
        assert_eq!(ring.outcome, Some(Outcome::Tie));
        // Seeds of the clusters are missing, which is no failure.
        let ring = on("ring", "normal_base", "clusters");
        assert_eq!(ring.diff.unwrap().n, 3);
        assert_eq!(ring.outcome, Some(Outcome::Loss));
        // The same KL everywhere on the cloud, where all runs of RAD failed.
        let cloud = on("cloud", "normal_base", "mixture_base");
        assert_eq!(
            (cloud.test.p, cloud.outcome),
            (Some(1.0), Some(Outcome::Tie))
        );
        let cloud = on("cloud", "normal_base", "rad");
        assert_eq!((cloud.diff, cloud.outcome), (None, Some(Outcome::Win)));
        assert_eq!(on("table", "rad", "clusters").metric, "nll");

        // Holm is over the three data sets of a pair: 3 times the p-value of the ring, the least.
        let ring = on("ring", "normal_base", "rad");
        assert_eq!(ring.test.family, 2, "on the cloud RAD has no p-value");
        assert!((ring.test.p_holm.unwrap() / ring.test.p.unwrap() - 2.0).abs() < 1e-9);

        let tally = |other, data| Tally::of(&all, "normal_base", other, data);
        let counted = |wins, ties, losses| Tally { wins, ties, losses };
        assert_eq!(tally(Some("rad"), None), counted(1, 1, 1));
        assert_eq!(tally(None, Some("cloud")), counted(1, 2, 0));
        let of_rad = Tally::of(&all, "rad", Some("normal_base"), None);
        assert_eq!(of_rad, counted(1, 1, 1));
    }
}
