//! Bias and noise of the estimators of a mixture base, on a one-dimensional mixture with known truth:
//! entropies of the relaxed mixture by each density, and gradients of an expectation by each strategy.
//! Estimates use [`crate::distributions::mixture::Mixture`] in double precision, as training does; the
//! truth comes from separate code, by quadrature and in closed form.

use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::distributions::mixture::Mixture;
use crate::distributions::{MixtureDraws, MixtureInit, MixtureSpec, RelaxedDensity};
use crate::em::Count;
use crate::nn::Params;
use crate::num;
use crate::Result;

mod entropy;
mod gradients;
mod relaxed;
mod spec;
#[cfg(test)]
mod tests;

pub use entropy::entropies;
pub use gradients::gradients;
pub use relaxed::RelaxedLaw;
pub use spec::{EntropySpec, GradientSpec, StudyMixture, StudySpec};

/// A deviation of at most this many standard errors counts as chance.
pub const CHANCE: f64 = 3.5;

/// Receives a few words about what is being computed.
pub type Watch<'a> = &'a (dyn Fn(&str) + Sync);

/// The relaxed mixture at one temperature, by quadrature. z = c.mu + w (c.sigma) with relaxed weights
/// c and standard normal w; entropies and divergences in nats.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct RelaxedRow {
    /// Temperature of the relaxed weights.
    pub temperature: f64,
    /// H(z).
    pub entropy: f64,
    /// E\[-log of the mixture's own density\] over relaxed samples.
    pub exact_mixture: f64,
    /// KL(relaxed || mixture) = `exact_mixture` - `entropy`.
    pub kl_to_mixture: f64,
    /// KL(mixture || relaxed).
    pub kl_from_mixture: f64,
    /// Total variation between relaxed and mixture, 0 to 1.
    pub total_variation: f64,
    /// E z.
    pub mean: f64,
    /// Var z.
    pub variance: f64,
    /// H(z, c), c by Lebesgue measure on the simplex.
    pub joint_entropy: f64,
    /// H(c | z) in the same measure.
    pub conditional_entropy: f64,
    /// int E_c\[p(z | c)^2\] / p(z) dz - 1: nested densities over M terms are off by about chi2 / (2 M).
    pub chi2: f64,
}

/// Members of [`RelaxedDensity`], which replace the density of a sample, and the midpoint of two.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Density {
    #[default]
    NestedIncludingOwn,
    NestedExcludingOwn,
    /// The mean of both, sample by sample.
    Midpoint,
    /// Over batches of M samples.
    BatchIncludingOwn,
    ExactMixture,
    Joint,
}

impl Density {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::NestedIncludingOwn,
        Self::NestedExcludingOwn,
        Self::Midpoint,
        Self::BatchIncludingOwn,
        Self::ExactMixture,
        Self::Joint,
    ];

    fn of(density: &RelaxedDensity) -> Self {
        match density {
            RelaxedDensity::NestedIncludingOwn(_) => Self::NestedIncludingOwn,
            RelaxedDensity::NestedExcludingOwn(_) => Self::NestedExcludingOwn,
            RelaxedDensity::BatchIncludingOwn => Self::BatchIncludingOwn,
            RelaxedDensity::ExactMixture => Self::ExactMixture,
            RelaxedDensity::Joint => Self::Joint,
        }
    }
}

/// An estimate of the entropy of the relaxed mixture, in nats.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct EntropyRow {
    /// Temperature of the relaxed weights.
    pub temperature: f64,
    /// What replaced the density of a sample.
    pub density: Density,
    /// M, where the density is a mean over M terms.
    pub inner: Option<usize>,
    /// Samples of the estimate.
    pub samples: usize,
    /// Mean of -log density.
    pub mean: f64,
    /// Standard error of `mean`.
    pub std_err: f64,
    /// H(z) by quadrature.
    pub truth: f64,
    /// Mean of log p(z) - log density, with p by quadrature at every sample: `mean` - `truth` without
    /// the sampling error that both share.
    pub bias: f64,
    /// Standard error of `bias`.
    pub bias_std_err: f64,
    /// Theoretical value of `bias`: -+ chi2 / (2 M) for nested densities, exact for those without M.
    pub predicted: f64,
}

/// The parameters of the mixture that a gradient is taken with respect to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parameter {
    /// The mixture weights before their softmax.
    #[default]
    Logits,
    /// mu.
    Means,
    /// log sigma.
    LogStdDevs,
}

impl Parameter {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Logits, Self::Means, Self::LogStdDevs];

    /// Its name in a sentence.
    pub fn words(self) -> &'static str {
        match self {
            Self::Logits => "logits",
            Self::Means => "means",
            Self::LogStdDevs => "log standard deviations",
        }
    }
}

/// Estimates of a gradient, relative to the length of the true gradient.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct GradientRow {
    /// Name of the strategy.
    pub strategy: String,
    /// Its temperature, where it has one.
    pub temperature: Option<f64>,
    /// The parameters of the gradient.
    pub parameter: Parameter,
    /// Samples, and so evaluations of the function, of one estimate.
    pub evaluations: usize,
    /// Estimates.
    pub estimates: usize,
    /// |mean of the estimates - truth| / |truth|.
    pub relative_bias: f64,
    /// Root mean square of `relative_bias` for an unbiased estimator.
    pub bias_std_err: f64,
    /// sqrt(total variance of an estimate times its evaluations) / |truth|: noise per evaluation.
    pub sd: f64,
    /// Standard error of `sd`.
    pub sd_std_err: f64,
    /// Cosine of the angle between the mean of the estimates and the truth.
    pub cosine: f64,
}

impl GradientRow {
    /// Whether the bias is at most [`CHANCE`] of its standard errors.
    pub fn looks_unbiased(&self) -> bool {
        self.relative_bias <= CHANCE * self.bias_std_err
    }
}

/// A [`Mixture`] with the parameters of `study` that draws by `draws`.
fn build(study: &StudyMixture, draws: MixtureDraws) -> Result<(Params, Mixture)> {
    let k = study.weights.len();
    let logs = |values: &[f64]| -> Vec<f64> { values.iter().map(|v| v.ln()).collect() };
    let tensor = |name: &str, values: &[f64], dim| -> Result<(String, Tensor)> {
        let tensor = num::from_rows(values, dim, DType::F64, &Device::Cpu)?;
        Ok((name.to_owned(), tensor))
    };
    let tensors = [
        tensor("logits", &logs(&study.weights), k)?,
        tensor("means", &study.means, 1)?,
        tensor("log_stds", &logs(&study.std_devs), 1)?,
    ];
    let params = Params::from_tensors(tensors.into(), DType::F64, &Device::Cpu);
    let spec = MixtureSpec {
        components: Count::Given(k),
        max_components: k,
        init: MixtureInit::Random,
        spread: 1.0,
        std: 1.0,
        frozen: Vec::new(),
        draws,
    };
    let mixture = Mixture::new(&params, 1, &spec, None)?;
    Ok((params, mixture))
}
