//! Trained models (a flow, RAD, a flow per cluster) and models fitted in one go (a mixture of
//! Gaussians, a kernel density estimate).

use candle_core::{DType, Tensor};

use crate::distributions::{BaseSpec, Distribution, EntropyBound, MixtureInit};
use crate::error::BadValue;
use crate::nn::{Extent, Params};
use crate::rng::Rng;
use crate::{num, Error, Result};
use mdn_kernels::{Base, Choice, Fused, Isa, Layer};

pub mod clusters;
pub mod flow;
pub mod fold;
pub mod gaussian_mixture;
pub mod kernel_density;
pub mod rad;
mod size;
mod spec;
pub mod supported;

#[cfg(test)]
mod fused_laws;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod precision_laws;
#[cfg(test)]
mod rad_proofs;
#[cfg(test)]
pub(crate) mod testing;

pub use clusters::ClustersSpec;
pub use flow::FlowSpec;
pub use gaussian_mixture::GaussianMixtureSpec;
pub use kernel_density::{Bandwidth, KernelDensitySpec};
pub use rad::{Gates, Interleave, RadSpec};
pub use size::Sized;
pub use spec::ModelSpec;

/// What a model's settings say before the model is made. A new model implements this for its
/// settings and [`Model`] for itself; a [`ModelSpec`] dereferences to it.
pub trait Settings {
    /// The key below `[models.NAME]`.
    fn name(&self) -> &'static str;

    /// Makes the model for points of `dim` coordinates with parameters from `params`. `points`
    /// (n, dim) are the training points; loaded parameters do not need them.
    fn build(&self, params: &Params, dim: usize, points: Option<Tensor>) -> Result<Box<dyn Model>>;

    /// What is wrong with the settings, if anything; keys are relative to the model's own table.
    fn check(&self) -> std::result::Result<(), BadValue>;

    /// The size over `dim` coordinates. `drawn` is the number of samples per step of an objective
    /// that trains on samples. For a fitted model a step is the whole fit, on all points; where it
    /// chooses its number of parts, the largest number counts.
    fn extent(&self, dim: usize, drawn: Option<usize>) -> Extent;

    /// The training points that the model cannot start without.
    fn start(&self) -> Option<Start> {
        None
    }

    /// Whether the model is the same in every unit of the data: points are shifted and scaled first.
    fn standardises(&self) -> bool {
        true
    }

    /// See [`crate::bijections::BijectionSpec::tail_bound`]; `None` also for models whose splines do
    /// not act on the points as a whole.
    fn tail_bound(&self) -> Option<f64> {
        None
    }

    /// Whether the model is fitted at once, to all points, and takes no training steps.
    fn is_fitted(&self) -> bool {
        false
    }

    /// Whether the number of parameters depends on the training points.
    fn is_sized_by_points(&self) -> bool {
        self.is_fitted()
    }

    /// The same model with its size as `points` (n, dim) decide it with these parameters; `None`
    /// where they decide nothing.
    fn settle(&self, params: &Params, points: &Tensor) -> Result<Option<ModelSpec>> {
        let _ = (params, points);
        Ok(None)
    }

    /// How the density of the draws that train the model without data bounds the entropy.
    fn entropy_bound(&self) -> EntropyBound {
        EntropyBound::Exact
    }
}

/// Training points that a model cannot start without. Keys are relative to `[models.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// The setting that says how many points are needed.
    pub key: String,
    /// How many.
    pub points: usize,
    /// The setting that asks for a start from the data.
    pub cause: String,
    /// What to use where there are no points.
    pub instead: &'static str,
}

impl Start {
    /// Of a model that always starts from points: at least `points` of them, by its setting `key`.
    fn always(model: &str, key: &str, points: usize) -> Option<Self> {
        Some(Self {
            key: format!("{model}{key}"),
            points,
            cause: model.to_owned(),
            instead: "another model",
        })
    }

    /// Of a model with this base.
    fn of_base(model: &str, base: &BaseSpec) -> Option<Self> {
        match base {
            BaseSpec::Mixture(s) if s.init == MixtureInit::Data => Some(Self {
                key: format!("{model}.base.mixture.components"),
                points: s.components.given().unwrap_or(1),
                cause: format!("{model}.base.mixture.init"),
                instead: "`init = \"random\"`",
            }),
            _ => None,
        }
    }
}

/// log q of every row.
pub fn log_q(model: &dyn Model, x: &Tensor) -> Result<Vec<f64>> {
    // Fused kernels cut large batches themselves.
    let rows = match model.kernels() {
        Some(_) => 1 << 16,
        None => num::rows_at_once(x.device()),
    };
    num::to_vec(&num::in_chunks(x, rows, |c| {
        Ok(model.log_prob(c)?.detach())
    })?)
}

/// Fused kernels of a model with these layers, from data to base, and this base; `None` for plain
/// tensors: by choice, on another device, in another precision, or because the kernels lack a part
/// of the model.
///
/// # Errors
/// If fused kernels are asked for and there are none.
fn fuse(
    params: &Params,
    dim: usize,
    layers: Option<Vec<Layer<Tensor>>>,
    base: Option<Base<Tensor>>,
) -> Result<Option<Fused>> {
    let (asked, isa) = match params.kernels() {
        Choice::Plain => return Ok(None),
        Choice::Auto => (false, None),
        Choice::Fused(isa) => (true, isa),
    };
    let why = match (layers, base) {
        _ if params.dtype() != DType::F32 => "train.precision=f32; got f64 (try --kernels plain)",
        _ if !params.device().is_cpu() => "--device cpu; got another one",
        (Some(layers), Some(base)) => {
            let isa = isa.unwrap_or_else(Isa::best);
            return Ok(Some(Fused::new(dim, layers, base, isa)));
        }
        _ => {
            "layers that they have; got another (they lack planar and radial layers, RAD's `net` \
             gates, resampled and Student t bases below RAD and the activations `silu` and `gelu`; try --kernels plain)"
        }
    };
    match asked {
        true => Err(Error::request(format!("fused kernels: expected {why}"))),
        false => Ok(None),
    }
}

/// A distribution that can be trained.
pub trait Model: Distribution {
    /// Shares of the training steps, in order; they sum to one. Early stopping ends a phase, and
    /// the next begins from the best weights so far. Empty for a model that is fitted when it is
    /// built and takes no steps.
    fn phases(&self) -> Vec<f64> {
        vec![1.0]
    }

    /// Free parameters of the model, given the number that training moves; `None` for a model that
    /// keeps its training points and has no parameters.
    fn parameters(&self, trained: usize) -> Option<usize> {
        Some(trained)
    }

    /// What maximum likelihood maximises in `phase`: log q(x), a lower bound of it, or an estimate
    /// that draws from `rng`; one value per point, in any order. (n, dim) -> (n,)
    fn training_log_prob(&self, phase: usize, x: &Tensor, rng: &mut Rng) -> Result<Tensor> {
        let _ = (phase, rng);
        self.log_prob(x)
    }

    /// The mean of [`Model::training_log_prob`]: a scalar.
    fn mean_training_log_prob(&self, phase: usize, x: &Tensor, rng: &mut Rng) -> Result<Tensor> {
        match self.fused() {
            Some(fused) => Ok(fused.mean_log_prob(x)?),
            None => Ok(self.training_log_prob(phase, x, rng)?.mean_all()?),
        }
    }

    /// Points (n, dim) mapped to the base, each by its own piece of the map: (n, dim), by plain
    /// tensors, with gradients by the points. `None` for a model without a base.
    fn to_base(&self, x: &Tensor) -> Result<Option<Tensor>> {
        let _ = x;
        Ok(None)
    }

    /// Points (n, dim) of the base mapped to the data, and log|det dx/dz| (n,), with gradients by the
    /// points and the map's parameters. `None` for a model that is not one map of one base.
    fn to_data(&self, z: &Tensor) -> Result<Option<(Tensor, Tensor)>> {
        let _ = z;
        Ok(None)
    }

    /// The base, where one bijection maps it to all of the data; `None` for a model without a base
    /// and for one whose parts have maps of their own.
    fn base(&self) -> Option<&dyn Distribution> {
        None
    }

    /// Points (n, dim) mapped to the base and back by the same piece, by plain tensors, without
    /// gradients: the points themselves up to rounding. `None` for a model without a base.
    fn round_trip(&self, x: &Tensor) -> Result<Option<Tensor>> {
        let _ = x;
        Ok(None)
    }

    /// The whole model in fused kernels, if it has them and its training maximises log q.
    fn fused(&self) -> Option<&Fused> {
        None
    }

    /// The instruction set of the fused kernels that the model uses; `None` for plain tensors.
    fn kernels(&self) -> Option<Isa> {
        self.fused().map(Fused::isa)
    }

    /// The instruction set of the fused kernels for samples with gradients, which train the model
    /// without data; `None` for plain tensors.
    fn kernels_of_samples(&self) -> Option<Isa> {
        None
    }
}
