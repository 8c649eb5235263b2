//! Mixtures of Gaussians by EM (Dempster, Laird and Rubin 1977), with a given number of components or the
//! one of least BIC (Schwarz 1978). Plain f64 on the host.

use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::num;
use crate::rng::Rng;

mod climb;
mod count;
mod gaussians;
mod missing;
mod search;
#[cfg(test)]
mod tests;

use climb::{Fit, Points};
pub use count::Count;
pub(crate) use gaussians::{largest, Gaussians};
pub(crate) use search::free_numbers;
use search::LIMIT;

/// Which covariances the components have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Covariance {
    /// Any.
    #[default]
    Full,
    /// A variance for every coordinate.
    Diagonal,
}

/// How a mixture is fitted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Fitting {
    /// K.
    pub components: Count,
    /// Largest K that BIC may choose.
    pub max_components: usize,
    /// Which covariances the components have.
    pub covariance: Covariance,
    /// Starts by k-means.
    pub restarts: usize,
    /// See [`Points::floor_of`].
    pub floor: f64,
}

impl Default for Fitting {
    fn default() -> Self {
        Self {
            components: Count::Bic,
            max_components: 30,
            covariance: Covariance::Full,
            restarts: 5,
            floor: 1e-6,
        }
    }
}

/// A number of components that BIC compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tried {
    /// K, without components that EM dropped.
    pub components: usize,
    /// m ln n - 2 ln L, nats.
    pub bic: f64,
    /// ln L of the n points, nats.
    pub log_likelihood: f64,
    /// m, the free numbers.
    pub parameters: usize,
    /// Iterations of EM from the start that was kept.
    pub iterations: usize,
    /// Whether EM had next to nothing left to gain; else it ended because this K could not win any more, or at
    /// its limit of iterations.
    #[serde(deserialize_with = "yes_or_no")]
    pub converged: bool,
    /// Whether it is the number of least BIC.
    #[serde(deserialize_with = "yes_or_no")]
    pub chosen: bool,
}

/// As CSV files write it.
fn yes_or_no<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<bool, D::Error> {
    match String::deserialize(from)?.as_str() {
        "yes" => Ok(true),
        "no" => Ok(false),
        other => Err(D::Error::custom(format!(
            "expected `yes` or `no`; got `{other}`"
        ))),
    }
}

/// What models found out about their points when they were built from them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Findings {
    /// The numbers of components that BIC compared.
    pub tried: Vec<Tried>,
    /// What the reader of results must know, a sentence each.
    pub warnings: Vec<String>,
}

impl Findings {
    /// Adds some. A model has one table of numbers of components at most: the last one counts.
    pub fn add(&mut self, tried: &[Tried], warnings: &[String]) {
        if !tried.is_empty() {
            self.tried = tried.to_vec();
        }
        let new = warnings.iter().filter(|text| !self.warnings.contains(text));
        let new: Vec<String> = new.cloned().collect();
        self.warnings.extend(new);
    }
}

/// A mixture that was fitted.
pub(crate) struct Fitted {
    /// In the units of the points.
    pub mixture: Gaussians,
    /// Points of each component, the sums of responsibilities; of equal points one counts.
    pub distinct: Vec<f64>,
    /// What BIC compared; empty for a given K.
    pub tried: Vec<Tried>,
    /// What the reader of results must know, a sentence each.
    pub warnings: Vec<String>,
}

/// Maximum likelihood from points given as rows; `None` without points.
pub(crate) fn fit(rows: &[f64], dim: usize, how: &Fitting, rng: &Rng) -> Option<Fitted> {
    if rows.is_empty() {
        return None;
    }
    let mut warnings = Vec::new();
    let n = rows.len() / dim;
    let k = match how.components {
        Count::Given(k) => k,
        Count::Bic => 1,
    };
    let mut covariance = how.covariance;
    if covariance == Covariance::Full && n < k * (dim + 1) && dim > 1 {
        covariance = Covariance::Diagonal;
        warnings.push(format!(
            "{n} points for components = {k} of {dim} coordinates: full covariances need {} or more, so \
             diagonal ones were fitted (use fewer components, `covariance = \"diagonal\"` or more points)",
            k * (dim + 1)
        ));
    }
    let moments = num::moments(rows, dim).into_iter();
    // A constant coordinate keeps its unit.
    let (centre, scale): (Vec<_>, Vec<_>) = moments
        .map(|(mean, std)| (mean, if std > 0.0 { std } else { 1.0 }))
        .unzip();
    let standard: Vec<f64> = rows
        .iter()
        .enumerate()
        .map(|(i, v)| (v - centre[i % dim]) / scale[i % dim])
        .collect();
    let points = Points::new(&standard, dim, covariance, how.floor);
    let (fit, tried) = match how.components {
        Count::Given(k) => (points.with(k, how.restarts, None, rng)?, Vec::new()),
        Count::Bic => points.by_bic(how.max_components, how.restarts, rng)?,
    };
    if !fit.converged {
        warnings.push(format!(
            "EM met its limit of {LIMIT} iterations before it converged: the fit can be improved (try other \
             `components`)"
        ));
    }
    warnings.extend(points.floor_warning(&fit));
    let distinct = points.distinct(&fit.mixture);
    Some(Fitted {
        mixture: fit.mixture.scaled(&centre, &scale),
        distinct,
        tried,
        warnings,
    })
}

impl Points<'_> {
    /// Says where the floor makes much of a component's variance in its narrowest direction.
    fn floor_warning(&self, fit: &Fit) -> Option<String> {
        let most = num::largest(self.floor_shares(&fit.mixture));
        // In steps, so that runs of several seeds share a warning.
        let percent = 10.0 * (10.0 * most).floor();
        (percent > 0.0).then(|| {
            format!(
                "`covariance_floor` is {percent:.0} % or more of a component's variance in its narrowest \
                 direction (lower it, use fewer components, or look for equal points)"
            )
        })
    }
}
