//! How an experiment file chooses the way that a mixture's samples are drawn in training.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::BadValue;
use crate::Result;

/// `base.mixture.draws`: where the gradients of E_q\[h\] come from, q the mixture.
///
/// Relative bias of the gradient and its standard deviation times sqrt(evaluations), both over the
/// size of the true gradient, for three components of spread 0.5 to 1 at -3, 0 and 4 and
/// h(z) = sin(1.5 z) + 0.15 z^2 (2e6 samples, f64):
///
/// | strategy | logits: bias, deviation | means | log standard deviations |
/// |---|---|---|---|
/// | `stratified` | 0, 1.4 | 0, 0.8 | 0, 5.0 |
/// | `score` | 0, 1.8 | 0, 1.4 | 0, 5.1 |
/// | `implicit` | 0, 4.9 | 0, 1.3 | 0, 4.6 |
/// | `gumbel_softmax`, temperature 0.1 | 0.14, 10 | 0.10, 1.3 | 0.13, 5.0 |
/// | `gumbel_softmax`, temperature 0.5 | 0.53, 4.0 | 0.48, 1.2 | 0.43, 4.4 |
/// | `straight_through`, temperature 0.5 | 1.7, 6.3 | 0, 1.4 | 0, 5.1 |
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum MixtureDraws {
    /// Samples of every component, weighted; unbiased.
    ///
    /// A fixed number n_k from component k, weighted alpha_k / n_k.
    #[default]
    Stratified,
    /// Parameters mixed by relaxed weights (Jang et al. 2017, Maddison et al. 2017); biased.
    ///
    /// Unbiased for the relaxed distribution, which approaches the mixture as the temperature falls.
    GumbelSoftmax(GumbelSoftmaxSpec),
    /// A component forward, relaxed weights backward; biased for the weights.
    ///
    /// Unbiased for means and standard deviations; the bias stays at every temperature.
    StraightThrough(StraightThroughSpec),
    /// Sampled components, with the score of their weights; unbiased.
    ///
    /// The baseline of a sample is the mean of the others.
    Score,
    /// Samples that move with the distribution function (Figurnov et al. 2018); unbiased.
    ///
    /// Where modes are far apart, the variance for the weights grows like the inverse density
    /// between them.
    Implicit,
}

/// `draws.gumbel_softmax = { temperature = 0.1, density = "exact_mixture" }`
///
/// c ~ Concrete(alpha, temperature) (Jang et al. 2017, Maddison et al. 2017), then
/// z ~ N(c.mu, diag (c.sigma)^2). The density of z has no closed form; `density` chooses its
/// replacement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GumbelSoftmaxSpec {
    /// The temperature; its final value, if it falls. The total variation distance between relaxed
    /// mixture and mixture is about 0.7 times this (three separated components).
    pub temperature: f64,
    /// What replaces log p(z).
    pub density: RelaxedDensity,
    /// The temperature at the start, from which it falls geometrically; fixed if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anneal_from: Option<f64>,
    /// Share of training over which it falls.
    pub anneal_over: f64,
    /// Share of training after which draws are stratified and exact, so that training ends on the
    /// mixture that is sampled later; never if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exact_from: Option<f64>,
}

impl Default for GumbelSoftmaxSpec {
    fn default() -> Self {
        Self {
            temperature: 0.1,
            density: RelaxedDensity::default(),
            anneal_from: None,
            anneal_over: 0.8,
            exact_from: None,
        }
    }
}

/// `draws.straight_through = { temperature = 0.5 }`
///
/// z = mu_k + sigma_k w with k the largest of the perturbed logits, a true sample of the mixture
/// with the mixture's own density; the gradient of the logits is that of relaxed weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StraightThroughSpec {
    /// The temperature of the backward pass; its final value, if it falls.
    pub temperature: f64,
    /// The temperature at the start, from which it falls geometrically; fixed if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anneal_from: Option<f64>,
    /// Share of training over which it falls.
    pub anneal_over: f64,
}

impl Default for StraightThroughSpec {
    fn default() -> Self {
        Self {
            temperature: 0.5,
            anneal_from: None,
            anneal_over: 0.8,
        }
    }
}

/// The density that replaces that of a relaxed sample z, drawn with the weights c_0. With H the
/// entropy of z, and H_incl(M) and H_excl(M) the means of -log density over M nested terms:
/// H(z | c) = H_incl(1) <= H_incl(M) <= H <= H_excl(M).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RelaxedDensity {
    /// A mean over nested terms with the sample's own: a lower bound of the entropy.
    ///
    /// log (1/M) sum_j N(z; c_j.mu, c_j.sigma) over c_0 and M - 1 fresh c_j for every sample (Yin and
    /// Zhou 2018). The bound is too small by about chi^2 / (2 M), with
    /// chi^2 = E_c int p(z | c)^2 / p(z) dz - 1, and never by more than the mutual information of z
    /// and c.
    NestedIncludingOwn(NestedSpec),
    /// A mean over nested terms without the sample's own: an upper bound of the entropy.
    ///
    /// The same over M fresh c_j without c_0. The bound is too large by about chi^2 / (2 M) for large
    /// M, and without limit where the fresh ones miss z's mode.
    NestedExcludingOwn(NestedSpec),
    /// A mean over the whole batch: a lower bound of the entropy.
    ///
    /// [`Self::NestedIncludingOwn`] over the c of the batch, M = n: it needs no further noise but n^2
    /// pairs, and the rows' log densities depend on each other.
    BatchIncludingOwn,
    /// The mixture's own density: an upper bound of the entropy.
    ///
    /// log sum_k alpha_k N(z; mu_k, sigma_k) on relaxed samples: E\[-log\] = H + KL(relaxed || mixture),
    /// a cross entropy.
    ExactMixture,
    /// The joint density of point and weights: a joint entropy, not that of the points.
    ///
    /// log p(c_0) + log N(z; c_0.mu, c_0.sigma), p(c) by Lebesgue measure on the simplex. In this
    /// measure the logits have a gradient (1 - K alpha_k) / temperature towards equal weights.
    Joint,
}

impl RelaxedDensity {
    /// Nested terms of each sample, where a step draws `batch` samples.
    pub(super) fn terms(&self, batch: usize) -> usize {
        match self {
            Self::NestedIncludingOwn(n) | Self::NestedExcludingOwn(n) => n.inner,
            Self::BatchIncludingOwn => batch,
            Self::ExactMixture | Self::Joint => 1,
        }
    }
}

impl Default for RelaxedDensity {
    fn default() -> Self {
        Self::NestedIncludingOwn(NestedSpec::default())
    }
}

/// `density.nested_including_own = { inner = 32 }`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NestedSpec {
    /// M, the number of terms that are averaged, the own one among them where it is included.
    pub inner: usize,
}

impl Default for NestedSpec {
    fn default() -> Self {
        Self { inner: 32 }
    }
}

/// What the mean of -log_prob over draws estimates, as an entropy of the sampled points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntropyBound {
    /// The entropy itself.
    Exact,
    /// At most the entropy: E log (1/M) sum_j p(z | c_j) with z's own c among the c_j is, by symmetry,
    /// the mean of int p' log p' over p' = (1/M) sum_j p(. | c_j), and t log t is convex. Maximising
    /// it raises the entropy.
    Below,
    /// At least the entropy, by the inequality of this name: Jensen's (fresh c_j) or Gibbs' (the
    /// mixture's density on relaxed samples). It must not be maximised: as the standard deviations go
    /// to 0 the entropy falls without limit, but the share of samples between the modes stays of the
    /// order of the temperature and their -log density grows like distance^2 / sigma^2, so the bound
    /// rises without limit and training diverges.
    Above(&'static str),
    /// A joint entropy of points and relaxed weights, which depends on the measure chosen for the
    /// weights.
    Joint,
}

impl MixtureDraws {
    /// The strategy's name in an experiment file.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Stratified => "stratified",
            Self::GumbelSoftmax(_) => "gumbel_softmax",
            Self::StraightThrough(_) => "straight_through",
            Self::Score => "score",
            Self::Implicit => "implicit",
        }
    }

    /// One of each strategy with its default settings.
    pub fn examples() -> Vec<Self> {
        vec![
            Self::Stratified,
            Self::GumbelSoftmax(GumbelSoftmaxSpec::default()),
            Self::StraightThrough(StraightThroughSpec::default()),
            Self::Score,
            Self::Implicit,
        ]
    }

    /// How the mean of -log_prob over these draws compares to the entropy of what they sample.
    pub fn entropy_bound(&self) -> EntropyBound {
        match self {
            Self::GumbelSoftmax(s) => match s.density {
                RelaxedDensity::NestedIncludingOwn(_) | RelaxedDensity::BatchIncludingOwn => {
                    EntropyBound::Below
                }
                RelaxedDensity::NestedExcludingOwn(_) => EntropyBound::Above("Jensen's inequality"),
                RelaxedDensity::ExactMixture => EntropyBound::Above("Gibbs' inequality"),
                RelaxedDensity::Joint => EntropyBound::Joint,
            },
            Self::Stratified | Self::StraightThrough(_) | Self::Score | Self::Implicit => {
                EntropyBound::Exact
            }
        }
    }

    /// What is wrong with the settings, if anything.
    pub fn check(&self) -> Result<(), BadValue> {
        match self {
            Self::GumbelSoftmax(s) => s.check().map_err(|e| e.below("gumbel_softmax")),
            Self::StraightThrough(s) => {
                check_temperatures(s.temperature, s.anneal_from, s.anneal_over)
                    .map_err(|e| e.below("straight_through"))
            }
            Self::Stratified | Self::Score | Self::Implicit => Ok(()),
        }
    }
}

impl GumbelSoftmaxSpec {
    /// The temperature when the share `progress` of training is done.
    pub fn temperature_at(&self, progress: f64) -> f64 {
        annealed(
            self.anneal_from,
            self.temperature,
            self.anneal_over,
            progress,
        )
    }

    /// Whether draws are stratified and exact by then.
    pub fn is_exact_at(&self, progress: f64) -> bool {
        self.exact_from.is_some_and(|from| progress >= from)
    }

    fn check(&self) -> Result<(), BadValue> {
        check_temperatures(self.temperature, self.anneal_from, self.anneal_over)?;
        if let Some(from) = self.exact_from {
            BadValue::unless(
                from > 0.0 && from < 1.0,
                "exact_from",
                "0 < `exact_from` < 1 (for exact draws throughout try `draws = \"stratified\"`)",
                from,
            )?;
            BadValue::unless(
                self.anneal_from.is_none() || from >= self.anneal_over,
                "exact_from",
                "`exact_from` >= `anneal_over`, so that the temperature reaches its end",
                from,
            )?;
        }
        let (key, inner) = match &self.density {
            RelaxedDensity::NestedIncludingOwn(s) => ("nested_including_own", s.inner),
            RelaxedDensity::NestedExcludingOwn(s) => ("nested_excluding_own", s.inner),
            _ => return Ok(()),
        };
        BadValue::within(&format!("density.{key}.inner"), inner, 1, 100_000)
    }
}

impl StraightThroughSpec {
    /// The temperature when the share `progress` of training is done.
    pub fn temperature_at(&self, progress: f64) -> f64 {
        annealed(
            self.anneal_from,
            self.temperature,
            self.anneal_over,
            progress,
        )
    }
}

/// from (to / from)^min(progress / over, 1).
fn annealed(from: Option<f64>, to: f64, over: f64, progress: f64) -> f64 {
    let done = (progress / over).clamp(0.0, 1.0);
    match from {
        Some(from) if done != 1.0 => from * (to / from).powf(done),
        _ => to,
    }
}

fn check_temperatures(to: f64, from: Option<f64>, over: f64) -> Result<(), BadValue> {
    // Below 1e-4 perturbed logits over the temperature lose all digits in single precision.
    let expected = "1e-4 <= `temperature` <= 1000";
    BadValue::unless((1e-4..=1e3).contains(&to), "temperature", expected, to)?;
    if let Some(from) = from {
        let expected = "`temperature` <= `anneal_from` <= 1000";
        BadValue::unless((to..=1e3).contains(&from), "anneal_from", expected, from)?;
    }
    let expected = "0 < `anneal_over` <= 1";
    BadValue::unless(over > 0.0 && over <= 1.0, "anneal_over", expected, over)
}

#[cfg(test)]
mod tests;
