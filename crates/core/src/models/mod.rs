//! What is trained: a flow, RAD, a flow per cluster; and what is fitted in one go beside them: a
//! mixture of Gaussians, a kernel density estimate.

use candle_core::Tensor;

use crate::distributions::Distribution;
use crate::rng::Rng;
use crate::{num, Result};
use mdn_kernels::{Fused, Isa};

pub mod clusters;
mod dispatch;
mod extent;
pub mod flow;
pub mod fold;
pub mod gaussian_mixture;
pub mod kernel_density;
pub mod rad;
pub mod registered;
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
mod rad_boundary;
#[cfg(test)]
mod rad_proofs;

pub use gaussian_mixture::{Covariance, GaussianMixtureSpec};
pub use kernel_density::{Bandwidth, KernelDensitySpec};
pub use size::Sized;
pub use spec::{ClustersSpec, FlowSpec, Gates, Interleave, ModelSpec, RadSpec};

/// log q of every row.
pub fn log_q(model: &dyn Model, x: &Tensor) -> Result<Vec<f64>> {
    // Fused kernels cut what they get themselves.
    let rows = match model.kernels() {
        Some(_) => 1 << 16,
        None => num::rows_at_once(x.device()),
    };
    num::to_vec(&num::in_chunks(x, rows, |c| {
        Ok(model.log_prob(c)?.detach())
    })?)
}

/// A distribution that can be trained.
pub trait Model: Distribution {
    /// Shares of the training steps, in order, that sum to one. Early stopping ends a phase, and
    /// the next begins from the best weights so far. None for a model that was fitted when it was
    /// built and takes no steps.
    fn phases(&self) -> Vec<f64> {
        vec![1.0]
    }

    /// Free numbers of the model, of which training moves `trained`; `None` for one that keeps its
    /// training points and has no number of its own.
    fn parameters(&self, trained: usize) -> Option<usize> {
        Some(trained)
    }

    /// What maximum likelihood maximises in `phase`: log q(x), a lower bound of it or an estimate
    /// that draws from `rng`, one value per point, in any order. (n, dim) -> (n,)
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

    /// Where points (n, dim) land at the base, each through the piece of the map that it lies in:
    /// (n, dim), by plain tensors, with gradients by the points. `None` for a model without a base.
    fn to_base(&self, x: &Tensor) -> Result<Option<Tensor>> {
        let _ = x;
        Ok(None)
    }

    /// The base, where one bijection carries it to all of the data; `None` for a model without a base
    /// and for one whose parts have maps of their own.
    fn base(&self) -> Option<&dyn Distribution> {
        None
    }

    /// Points (n, dim) carried to the base and back through the same piece, by plain tensors, without
    /// gradients: the points themselves but for rounding. `None` for a model without a base.
    fn round_trip(&self, x: &Tensor) -> Result<Option<Tensor>> {
        let _ = x;
        Ok(None)
    }

    /// The whole model in fused kernels, where it has them and its training is that of log q.
    fn fused(&self) -> Option<&Fused> {
        None
    }

    /// The instruction set of the fused kernels that the model uses; `None` for plain tensors.
    fn kernels(&self) -> Option<Isa> {
        self.fused().map(Fused::isa)
    }

    /// The same of samples with gradients, on which a model is trained where there are no data.
    fn kernels_of_samples(&self) -> Option<Isa> {
        None
    }
}
