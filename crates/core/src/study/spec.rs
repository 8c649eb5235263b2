//! What a study is of, as it stands in its file.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::distributions::{GumbelSoftmaxSpec, MixtureDraws, StraightThroughSpec};
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

/// A name and, where there is one, a temperature: how a strategy is told from the others.
pub(super) fn label(draws: &MixtureDraws) -> (&'static str, Option<f64>) {
    let temperature = match draws {
        MixtureDraws::GumbelSoftmax(s) => Some(s.temperature),
        MixtureDraws::StraightThrough(s) => Some(s.temperature),
        MixtureDraws::Stratified | MixtureDraws::Score | MixtureDraws::Implicit => None,
    };
    (draws.name(), temperature)
}

fn each_once<T: PartialEq + std::fmt::Debug>(key: &str, values: &[T]) -> Checked {
    let twice = values
        .iter()
        .enumerate()
        .find(|(i, v)| values[..*i].contains(v));
    match twice {
        None => Ok(()),
        Some((_, v)) => Err(BadValue::new(
            key,
            format!("every value of `{key}` once"),
            format!("{v:?} twice"),
        )),
    }
}

/// Within the range that the quadrature is made for.
fn check_temperatures(values: &[f64]) -> Checked {
    for (i, t) in values.iter().enumerate() {
        let key = format!("temperatures[{i}]");
        let fine = (0.01..=10.0).contains(t);
        BadValue::unless(fine, &key, "a temperature between 0.01 and 10", t)?;
    }
    each_once("temperatures", values)
}

impl StudySpec {
    /// What is wrong with the values, if anything.
    pub fn check(&self) -> Checked {
        let some = !self.temperatures.is_empty();
        BadValue::unless(some, "temperatures", "at least one temperature", "[]")?;
        check_temperatures(&self.temperatures)?;
        self.mixture.check().map_err(|e| e.below("mixture"))?;
        self.entropy.check().map_err(|e| e.below("entropy"))?;
        for (i, t) in self.entropy.temperatures.iter().enumerate() {
            let key = format!("entropy.temperatures[{i}]");
            let expected = "one of the study's `temperatures`, where the truth is computed";
            BadValue::unless(self.temperatures.contains(t), &key, expected, t)?;
        }
        self.gradients.check().map_err(|e| e.below("gradients"))
    }

    /// Temperatures of the entropies.
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
        for (i, w) in self.weights.iter().enumerate() {
            let fine = *w > 0.0 && *w < 1.0;
            BadValue::unless(
                fine,
                &format!("weights[{i}]"),
                "a weight between 0 and 1",
                w,
            )?;
        }
        let sum: f64 = self.weights.iter().sum();
        let near = (sum - 1.0).abs() < 1e-9;
        BadValue::unless(near, "weights", "`weights` that sum to 1", sum)?;
        for (key, values) in [("means", &self.means), ("std_devs", &self.std_devs)] {
            let expected = format!("as many `{key}` as weights, {k}");
            BadValue::unless(values.len() == k, key, &expected, values.len())?;
            for (i, v) in values.iter().enumerate() {
                let key = format!("{key}[{i}]");
                BadValue::unless(v.is_finite(), &key, "a finite number", v)?;
            }
        }
        for (i, s) in self.std_devs.iter().enumerate() {
            let key = format!("std_devs[{i}]");
            BadValue::unless(*s > 0.0, &key, "a standard deviation > 0", s)?;
        }
        let (wide, narrow) = (self.extent(), self.narrowest());
        BadValue::unless(
            wide <= 1000.0 * narrow,
            "means",
            "modes at most 1000 of the smallest `std_devs` apart, and none 50 times as wide",
            format!("{:.0} in all", wide / narrow),
        )
    }

    pub(super) fn narrowest(&self) -> f64 {
        self.std_devs.iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// From where to where the mixture, and any relaxed one, has mass: `reach` standard deviations
    /// beyond the means.
    pub(super) fn ends(&self, reach: f64) -> (f64, f64) {
        let both = || self.means.iter().zip(&self.std_devs);
        let low = both().map(|(m, s)| m - reach * s);
        let high = both().map(|(m, s)| m + reach * s);
        (
            low.fold(f64::INFINITY, f64::min),
            high.fold(f64::NEG_INFINITY, f64::max),
        )
    }

    fn extent(&self) -> f64 {
        let (low, high) = self.ends(10.0);
        high - low
    }
}

impl EntropySpec {
    fn check(&self) -> Checked {
        check_temperatures(&self.temperatures)?;
        BadValue::unless(
            !self.inner.is_empty(),
            "inner",
            "at least one size in `inner`",
            "[]",
        )?;
        for (i, m) in self.inner.iter().enumerate() {
            let fine = (1..=100_000).contains(m);
            BadValue::unless(
                fine,
                &format!("inner[{i}]"),
                "a size between 1 and 100000",
                m,
            )?;
        }
        each_once("inner", &self.inner)?;
        let fine = (100..=100_000_000).contains(&self.samples);
        BadValue::unless(
            fine,
            "samples",
            "100 <= `samples` <= 100000000",
            self.samples,
        )?;
        let largest = self.inner.iter().copied().max().unwrap_or(1);
        let expected = format!(
            "`terms` >= 100 times the largest of `inner`, {}",
            100 * largest
        );
        BadValue::unless(self.terms >= 100 * largest, "terms", &expected, self.terms)
    }
}

impl GradientSpec {
    fn check(&self) -> Checked {
        let fine = (2..=100_000).contains(&self.batch);
        BadValue::unless(fine, "batch", "2 <= `batch` <= 100000", self.batch)?;
        let fine = (10..=100_000_000).contains(&self.batches);
        BadValue::unless(
            fine,
            "batches",
            "10 <= `batches` <= 100000000",
            self.batches,
        )?;
        for (i, draws) in self.strategies.iter().enumerate() {
            let place = format!("strategies[{i}]");
            draws.check().map_err(|e| e.below(&place))?;
            let moving = match draws {
                MixtureDraws::GumbelSoftmax(GumbelSoftmaxSpec {
                    anneal_from,
                    exact_from,
                    ..
                }) => anneal_from.is_some() || exact_from.is_some(),
                MixtureDraws::StraightThrough(StraightThroughSpec { anneal_from, .. }) => {
                    anneal_from.is_some()
                }
                MixtureDraws::Stratified | MixtureDraws::Score | MixtureDraws::Implicit => false,
            };
            let expected = "a fixed temperature: a study has no training in which it could fall";
            let got = "`anneal_from` or `exact_from`";
            BadValue::unless(!moving, &place, expected, got)?;
        }
        let labels: Vec<_> = self.strategies.iter().map(label).collect();
        each_once("strategies", &labels)
    }
}
