//! Ranks of the models over data sets, and whether they differ: Friedman's test and Nemenyi's
//! critical difference, after Demsar, "Statistical comparisons of classifiers over multiple data
//! sets" (JMLR 7, 2006).

use statrs::distribution::{ContinuousCDF, FisherSnedecor};

use super::bootstrap::Bootstrap;
use super::digits::{plain, spread};
use super::interval::Spread;
use super::results::Results;

/// Fewer data sets than this are too few for Friedman's test and for an interval of a mean rank.
pub const FEWEST: usize = 5;

/// q(0.95; k, inf) / sqrt 2 of the studentized range for k = 2 to 20 models: scipy 1.17.1,
/// `stats.studentized_range.ppf(0.95, k, np.inf) / np.sqrt(2)`; Demsar's Table 5(a) to its digits.
const NEMENYI: [f64; 19] = [
    1.959964, 2.343701, 2.569032, 2.727774, 2.849705, 2.94832, 3.030878, 3.10173, 3.163684,
    3.218654, 3.268004, 3.312739, 3.353618, 3.39123, 3.426041, 3.458425, 3.488685, 3.517073,
    3.543799,
];

/// The ranks of one model.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranked {
    pub model: String,
    /// Its place in the experiment file.
    pub index: usize,
    /// Its rank on every data set, 1 the best.
    pub ranks: Vec<f64>,
    /// Over the data sets.
    pub mean: Spread,
    /// Bootstrap interval of the mean rank.
    pub bootstrap: Option<(f64, f64)>,
}

/// Friedman's test of "all models have the same mean rank".
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Friedman {
    /// F = (N - 1) chi^2 / (N (k - 1) - chi^2) (Iman and Davenport 1980), corrected for ties; may be inf.
    pub f: f64,
    /// Its degrees of freedom, k - 1 and (k - 1) (N - 1).
    pub freedom: (usize, usize),
    /// Its p-value.
    pub p: f64,
}

/// The ranks of all models by the mean of the headline metric over the seeds.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranks {
    /// The data sets that were ranked.
    pub data: Vec<String>,
    /// Those that were not, because nothing was measured or a model has no run that ended.
    pub left_out: Vec<String>,
    /// The models, the best mean rank first.
    pub models: Vec<Ranked>,
    /// With at least 5 data sets and 3 models.
    pub friedman: Option<Friedman>,
    /// Nemenyi's q sqrt(k (k + 1) / 6 N) at 5 %, where there is a Friedman test of up to 20 models.
    pub critical_difference: Option<f64>,
}

impl Ranks {
    /// A model's mean rank, with its interval where there are enough data sets for one.
    pub fn mean(&self, of: &Ranked) -> String {
        match self.data.len() < FEWEST {
            true => plain(of.mean.mean),
            false => spread(Some(&of.mean)),
        }
    }

    /// `None` with fewer than 2 models or where no data set can be ranked.
    pub fn of(results: &Results<'_>) -> Option<Self> {
        let what = results.what;
        if what.models.len() < 2 {
            return None;
        }
        let (mut data, mut left_out, mut table) = (Vec::new(), Vec::new(), Vec::new());
        for name in what.data {
            match on(results, name) {
                Some(ranks) => {
                    data.push(name.clone());
                    table.push(ranks);
                }
                None => left_out.push(name.clone()),
            }
        }
        let mut bootstrap = Bootstrap::default();
        let ranked = |(index, model): (usize, &String)| {
            let ranks: Vec<f64> = table.iter().map(|t| t[index]).collect();
            Some(Ranked {
                model: model.clone(),
                index,
                mean: Spread::of(&ranks)?,
                bootstrap: bootstrap.interval(&ranks),
                ranks,
            })
        };
        let models: Option<Vec<Ranked>> = what.models.iter().enumerate().map(ranked).collect();
        let mut models = models?;
        models.sort_by(|a, b| a.mean.mean.total_cmp(&b.mean.mean));
        let friedman = friedman(&table);
        let critical_difference = friedman.and_then(|_| {
            let (k, n) = (models.len(), data.len());
            let q = NEMENYI.get(k - 2)?;
            Some(q * ((k * (k + 1)) as f64 / (6 * n) as f64).sqrt())
        });
        Some(Self {
            data,
            left_out,
            models,
            friedman,
            critical_difference,
        })
    }
}

/// Ranks on one data set by (failed runs, mean): a model with failed runs comes after those without,
/// whatever its mean. Equal ones share the mean of their ranks.
fn on(results: &Results<'_>, data: &str) -> Option<Vec<f64>> {
    let metric = results.headline(data)?;
    let models = results.what.models;
    let key = |model: &String| {
        let (done, failed) = results.done_and_failed(data, model);
        if done + failed == 0 {
            return None;
        }
        let spread = Spread::of(&results.values(data, model, metric));
        let mean = spread.map(|s| s.mean).filter(|m| !m.is_nan());
        Some((failed, mean.unwrap_or(f64::INFINITY)))
    };
    let keys: Vec<(usize, f64)> = models.iter().map(key).collect::<Option<_>>()?;
    let rank = |own: &(usize, f64)| {
        let before = keys.iter().filter(|k| *k < own).count();
        let equal = keys.iter().filter(|k| *k == own).count();
        before as f64 + 0.5 * (equal + 1) as f64
    };
    Some(keys.iter().map(rank).collect())
}

/// Of ranks, a row for every data set.
fn friedman(table: &[Vec<f64>]) -> Option<Friedman> {
    let n = table.len();
    let k = table.first()?.len();
    if n < FEWEST || k < 3 {
        return None;
    }
    let (rows, columns) = (n as f64, k as f64);
    let sum = |j: usize| table.iter().map(|row| row[j]).sum::<f64>();
    let squares: f64 = (0..k).map(|j| sum(j).powi(2)).sum();
    let plain = 12.0 * squares / (rows * columns * (columns + 1.0)) - 3.0 * rows * (columns + 1.0);
    // Every group of t equal ranks takes t^3 - t: summed over its members, t^2 - 1 each.
    let tied = |row: &Vec<f64>| -> f64 {
        let equal = |r: &f64| row.iter().filter(|o| *o == r).count() as f64;
        row.iter().map(|r| equal(r).powi(2) - 1.0).sum()
    };
    let ties: f64 = table.iter().map(tied).sum();
    let correction = 1.0 - ties / (rows * (columns.powi(3) - columns));
    if correction <= 0.0 {
        // All models are equal on all data sets.
        return None;
    }
    let chi2 = plain / correction;
    let freedom = (k - 1, (k - 1) * (n - 1));
    let (a, b) = (freedom.0 as f64, freedom.1 as f64);
    let rest = rows * a - chi2;
    let f = if rest > 1e-9 * chi2 {
        (rows - 1.0) * chi2 / rest
    } else {
        f64::INFINITY
    };
    let p = match f.is_finite() {
        true => FisherSnedecor::new(a, b).ok()?.sf(f),
        false => 0.0,
    };
    Some(Friedman { f, freedom, p })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture::Fixture;

    #[test]
    fn friedman_is_that_of_scipy() {
        let table = [
            vec![1.0, 2.0, 3.0, 4.0],
            vec![1.0, 3.0, 2.0, 4.0],
            vec![2.0, 1.0, 3.0, 4.0],
            vec![1.0, 2.0, 4.0, 3.0],
            vec![1.0, 2.0, 3.0, 4.0],
            vec![2.0, 1.0, 3.5, 3.5],
        ];
        // scipy 1.17.1: F of stats.friedmanchisquare, and stats.f.sf(F, 3, 15).
        let got = friedman(&table).unwrap();
        assert!((got.f - 15.344827586206938).abs() < 1e-9, "{got:?}");
        assert!((got.p - 7.7004638238825e-5).abs() < 1e-9, "{got:?}");
        assert_eq!(got.freedom, (3, 15));
        assert_eq!(friedman(&table[..4]), None, "too few data sets");
        let equal = vec![vec![2.0; 3]; 6];
        assert_eq!(friedman(&equal), None, "no differences at all");
        let agreed = friedman(&vec![vec![1.0, 2.0, 3.0]; 5]).unwrap();
        assert_eq!((agreed.f, agreed.p), (f64::INFINITY, 0.0));
    }

    #[test]
    fn a_data_set_without_runs_of_a_model_is_left_out() {
        let fixture = Fixture::new();
        let what = fixture.comparison();
        for seed in 0..5 {
            std::fs::remove_dir_all(&fixture.place("cloud", "clusters", seed).0).unwrap();
        }
        let ranks = Ranks::of(&Results::read(&what).unwrap()).unwrap();
        assert_eq!(ranks.data, ["ring", "table"]);
        assert_eq!(ranks.left_out, ["cloud"]);
    }
}
