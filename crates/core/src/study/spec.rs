//! The settings of a study file.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::distributions::MixtureDraws;
use crate::error::BadValue;

type Checked = Result<(), BadValue>;

/// A study file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StudySpec {
    /// Name of the study and of its folder below the results; the file's stem if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Seed of everything that is drawn.
    #[serde(default)]
    pub seed: u64,
    /// Temperatures at which the relaxed mixture is integrated.
    #[serde(default = "default_temperatures")]
    pub temperatures: Vec<f64>,
    /// The mixture.
    pub mixture: StudyMixture,
    /// Entropies of the relaxed mixture.
    #[serde(default)]
    pub entropy: EntropySpec,
    /// Gradients of an expectation under the mixture.
    #[serde(default)]
    pub gradients: GradientSpec,
}

/// A mixture of two or three Gaussians in one dimension.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StudyMixture {
    /// alpha, which sum to one.
    pub weights: Vec<f64>,
    /// mu.
    pub means: Vec<f64>,
    /// sigma.
    pub std_devs: Vec<f64>,
}

/// The table `[entropy]` of a study file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EntropySpec {
    /// Temperatures, out of those that are integrated; all of them if empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub temperatures: Vec<f64>,
    /// M: nested terms of a density.
    pub inner: Vec<usize>,
    /// Samples of an estimate.
    pub samples: usize,
    /// Nested terms of an estimate at most: it has min(`samples`, `terms` / M) samples.
    pub terms: usize,
}

impl Default for EntropySpec {
    fn default() -> Self {
        Self {
            temperatures: Vec::new(),
            inner: vec![1, 2, 5, 10, 20, 50, 100],
            samples: 100_000,
            terms: 10_000_000,
        }
    }
}

/// The table `[gradients]` of a study file: gradients of E sin(1.5 z) + 0.15 z^2.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GradientSpec {
    /// Samples that are asked for in one estimate of the gradient.
    pub batch: usize,
    /// Estimates, from which bias and deviation are computed.
    pub batches: usize,
    /// Ways to draw, as in `base.mixture.draws`. The density of a relaxed one plays no part.
    pub strategies: Vec<MixtureDraws>,
}

impl Default for GradientSpec {
    fn default() -> Self {
        Self {
            batch: 16,
            batches: 20_000,
            strategies: MixtureDraws::examples(),
        }
    }
}

fn default_temperatures() -> Vec<f64> {
    vec![0.1, 0.5, 1.0]
}

/// Name of a strategy and, where it has one, its temperature: strategies of a study differ by these.
pub(super) fn label(draws: &MixtureDraws) -> (&'static str, Option<f64>) {
    let temperature = match draws {
        MixtureDraws::GumbelSoftmax(s) => Some(s.temperature),
        MixtureDraws::StraightThrough(s) => Some(s.temperature),
        MixtureDraws::Stratified | MixtureDraws::Score | MixtureDraws::Implicit => None,
    };
    (draws.name(), temperature)
}

fn check_each<T: std::fmt::Display>(
    key: &str,
    values: &[T],
    expected: &str,
    is_fine: impl Fn(&T) -> bool,
) -> Checked {
    let mut all = values.iter().enumerate();
    all.try_for_each(|(i, v)| BadValue::unless(is_fine(v), &format!("{key}[{i}]"), expected, v))
}

fn check_distinct<T: PartialEq + std::fmt::Debug>(key: &str, values: &[T]) -> Checked {
    let expected = format!("every value of `{key}` once");
    let again = (1..values.len()).find(|i| values[..*i].contains(&values[*i]));
    let twice = again.map(|i| BadValue::new(key, expected, format!("{:?} twice", values[i])));
    twice.map_or(Ok(()), Err)
}

impl StudySpec {
    /// What is wrong with the values, if anything.
    pub fn check(&self) -> Checked {
        let (key, all) = ("temperatures", &self.temperatures);
        let expected = "at least one value in `temperatures`";
        BadValue::unless(!all.is_empty(), key, expected, "[]")?;
        // The range that the quadrature is made for.
        let expected = "a temperature between 0.01 and 10";
        check_each(key, all, expected, |t| (0.01..=10.0).contains(t))?;
        check_distinct(key, all)?;
        self.mixture.check().map_err(|e| e.below("mixture"))?;
        self.entropy.check(all).map_err(|e| e.below("entropy"))?;
        self.gradients.check().map_err(|e| e.below("gradients"))
    }

    /// Temperatures at which entropies are estimated.
    pub fn entropy_temperatures(&self) -> &[f64] {
        match self.entropy.temperatures.as_slice() {
            [] => &self.temperatures,
            some => some,
        }
    }
}

impl StudyMixture {
    fn check(&self) -> Checked {
        let k = self.weights.len();
        let expected = "2 or 3 `weights`: the truth is an integral over relaxed weights";
        BadValue::unless((2..=3).contains(&k), "weights", expected, k)?;
        for (key, n) in [
            ("means", self.means.len()),
            ("std_devs", self.std_devs.len()),
        ] {
            BadValue::unless(n == k, key, &format!("as many `{key}` as weights, {k}"), n)?;
        }
        let is_positive = |v: &f64| *v > 0.0 && v.is_finite();
        check_each("weights", &self.weights, "a weight > 0", is_positive)?;
        check_each("means", &self.means, "a finite number", |m| m.is_finite())?;
        check_each(
            "std_devs",
            &self.std_devs,
            "a finite number > 0",
            is_positive,
        )?;
        let sum: f64 = self.weights.iter().sum();
        let near = (sum - 1.0).abs() < 1e-9;
        BadValue::unless(near, "weights", "`weights` that sum to 1", sum)?;
        let (low, high) = self.ends(10.0);
        let widths = (high - low) / self.narrowest();
        let expected =
            "modes at most 1000 of the smallest `std_devs` apart, and none 50 times as wide";
        let got = format!("{widths:.0} in all");
        BadValue::unless(widths <= 1000.0, "means", expected, got)
    }

    pub(super) fn narrowest(&self) -> f64 {
        self.std_devs.iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// From `reach` standard deviations below the lowest mean to as many above the highest.
    pub(super) fn ends(&self, reach: f64) -> (f64, f64) {
        let both = self.means.iter().zip(&self.std_devs);
        both.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), (m, s)| {
            (low.min(m - reach * s), high.max(m + reach * s))
        })
    }
}

impl EntropySpec {
    fn check(&self, integrated: &[f64]) -> Checked {
        let (key, all) = ("temperatures", &self.temperatures);
        let expected = "one of the study's `temperatures`, where the truth is computed";
        check_each(key, all, expected, |t| integrated.contains(t))?;
        check_distinct(key, all)?;
        let expected = "at least one value in `inner`";
        BadValue::unless(!self.inner.is_empty(), "inner", expected, "[]")?;
        let expected = "a number between 1 and 100000";
        check_each("inner", &self.inner, expected, |m| {
            (1..=100_000).contains(m)
        })?;
        check_distinct("inner", &self.inner)?;
        BadValue::within("samples", self.samples, 100, 100_000_000)?;
        let least = 100 * self.inner.iter().max().unwrap_or(&1);
        let expected = format!("`terms` >= 100 times the largest of `inner`, {least}");
        BadValue::unless(self.terms >= least, "terms", &expected, self.terms)
    }
}

impl GradientSpec {
    fn check(&self) -> Checked {
        BadValue::within("batch", self.batch, 2, 100_000)?;
        BadValue::within("batches", self.batches, 10, 100_000_000)?;
        for (i, draws) in self.strategies.iter().enumerate() {
            let key = format!("strategies[{i}]");
            draws.check().map_err(|e| e.below(&key))?;
            let fixed = match draws {
                MixtureDraws::GumbelSoftmax(s) => s.anneal_from.or(s.exact_from).is_none(),
                MixtureDraws::StraightThrough(s) => s.anneal_from.is_none(),
                _ => true,
            };
            let expected = "a fixed temperature: a study has no training in which it could fall";
            BadValue::unless(fixed, &key, expected, "`anneal_from` or `exact_from`")?;
        }
        let labels: Vec<_> = self.strategies.iter().map(label).collect();
        check_distinct("strategies", &labels)
    }
}
