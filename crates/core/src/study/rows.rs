//! What a study finds, row by row.

use serde::{Deserialize, Serialize};

/// The relaxed mixture at one temperature, by quadrature. z = c.mu + w (c.sigma) with relaxed weights
/// c and standard normal w; logarithms are natural.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RelaxedRow {
    /// Of the relaxed weights.
    pub temperature: f64,
    /// H(z), nats.
    pub entropy: f64,
    /// E\[-log of the mixture's own density\] over relaxed samples, nats.
    pub exact_mixture: f64,
    /// KL(relaxed || mixture), nats: what that is too large by.
    pub kl_to_mixture: f64,
    /// KL(mixture || relaxed), nats.
    pub kl_from_mixture: f64,
    /// Total variation between relaxed and mixture, 0 to 1.
    pub total_variation: f64,
    /// E z.
    pub mean: f64,
    /// Var z.
    pub variance: f64,
    /// H(z, c), nats, c by Lebesgue measure on the simplex.
    pub joint_entropy: f64,
    /// H(c | z) in that measure, nats.
    pub conditional_entropy: f64,
    /// int E_c\[p(z | c)^2\] / p(z) dz - 1: nested densities over M terms are off by about half of
    /// this over M.
    pub chi2: f64,
}

/// What stands for the density of a relaxed sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Density {
    /// [`crate::distributions::RelaxedDensity::NestedIncludingOwn`].
    NestedIncludingOwn,
    /// [`crate::distributions::RelaxedDensity::NestedExcludingOwn`].
    NestedExcludingOwn,
    /// The mean of both, sample by sample.
    Midpoint,
    /// [`crate::distributions::RelaxedDensity::BatchIncludingOwn`] over batches of M samples.
    BatchIncludingOwn,
    /// [`crate::distributions::RelaxedDensity::ExactMixture`].
    ExactMixture,
    /// [`crate::distributions::RelaxedDensity::Joint`].
    Joint,
}

impl Density {
    /// All of them, those over M terms first.
    pub const ALL: [Self; 6] = [
        Self::NestedIncludingOwn,
        Self::NestedExcludingOwn,
        Self::Midpoint,
        Self::BatchIncludingOwn,
        Self::ExactMixture,
        Self::Joint,
    ];

    /// The word that stands in files.
    pub fn word(self) -> &'static str {
        match self {
            Self::NestedIncludingOwn => "nested_including_own",
            Self::NestedExcludingOwn => "nested_excluding_own",
            Self::Midpoint => "midpoint",
            Self::BatchIncludingOwn => "batch_including_own",
            Self::ExactMixture => "exact_mixture",
            Self::Joint => "joint",
        }
    }
}

/// An estimate of the entropy of the relaxed mixture.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EntropyRow {
    /// Of the relaxed weights.
    pub temperature: f64,
    /// What stood for the density of a sample.
    pub density: Density,
    /// M, where the density is a mean over as many terms.
    pub inner: Option<usize>,
    /// Samples of the estimate.
    pub samples: usize,
    /// Mean of -log density, nats.
    pub mean: f64,
    /// Standard error of `mean`.
    pub std_err: f64,
    /// H(z) by quadrature, nats.
    pub truth: f64,
    /// Mean of log p(z) - log density, with p by quadrature at every sample, nats: `mean` - `truth`
    /// up to the error that both share, and so much better known.
    pub bias: f64,
    /// Standard error of `bias`.
    pub bias_std_err: f64,
    /// What theory says of `bias`: -+ chi2 / (2 M) for nested densities, the exact value for those
    /// without M, nats.
    pub predicted: f64,
}

/// Which parameters of the mixture a gradient is by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parameter {
    /// The mixture weights before their softmax.
    Logits,
    /// mu.
    Means,
    /// log sigma.
    LogStdDevs,
}

impl Parameter {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Logits, Self::Means, Self::LogStdDevs];

    /// The word that stands in files.
    pub fn word(self) -> &'static str {
        match self {
            Self::Logits => "logits",
            Self::Means => "means",
            Self::LogStdDevs => "log_std_devs",
        }
    }
}

/// Estimates of the gradient of an expectation by some of the parameters. Everything is relative to
/// the length of the true gradient.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GradientRow {
    /// Name of the way to draw.
    pub strategy: String,
    /// Its temperature, where it has one.
    pub temperature: Option<f64>,
    /// What the gradient is by.
    pub parameter: Parameter,
    /// Samples, and so evaluations of the function, of one estimate.
    pub evaluations: usize,
    /// Estimates.
    pub estimates: usize,
    /// |mean of the estimates - truth| / |truth|.
    pub relative_bias: f64,
    /// What `relative_bias` would be by chance, in the root of the mean square, if there were none.
    pub bias_std_err: f64,
    /// sqrt(total variance of an estimate times its evaluations) / |truth|: the noise of one
    /// evaluation, whatever the batch.
    pub sd: f64,
    /// Standard error of `sd`.
    pub sd_std_err: f64,
    /// Cosine of the angle between the mean of the estimates and the truth.
    pub cosine: f64,
}

impl GradientRow {
    /// Whether the bias is within 3.5 of its standard errors of none.
    pub fn looks_unbiased(&self) -> bool {
        self.relative_bias <= 3.5 * self.bias_std_err
    }
}
