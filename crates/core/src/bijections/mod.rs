//! Invertible maps x = f(z) with their log-determinants.

use candle_core::Tensor;

use crate::num;
use crate::Result;

pub mod affine;
pub mod autoregressive;
pub mod chain;
pub mod coupling;
mod extent;
pub mod linear;
pub mod permutation;
pub mod planar;
pub mod radial;
mod spec;
pub mod spline;
pub mod support;

#[cfg(test)]
mod golden;
#[cfg(test)]
mod laws;

pub use autoregressive::{MaskedAutoregressiveSpec, MaskedAutoregressiveSplineSpec};
pub use spec::{
    AffineCouplingSpec, BijectionSpec, Built, ElementwiseInit, ElementwiseSpec, LinearSpec, Mixing,
    Order, PermutationSpec, PlanarSpec, RadialSpec, SplineCouplingSpec,
};
pub use support::{BoxSpec, PerCoordinate, Support, SupportSpec};

/// x = f(z). `z`, `x`: (n, dim); log-dets: (n,), each of the map its method names.
pub trait Bijection: Send + Sync {
    /// D, the number of coordinates.
    fn dim(&self) -> usize;
    /// (n, dim) -> x = f(z) and log|det df/dz|.
    fn forward_and_log_det(&self, z: &Tensor) -> Result<(Tensor, Tensor)>;
    /// (n, dim) -> z = f^-1(x) and log|det df^-1/dx|.
    fn inverse_and_log_det(&self, x: &Tensor) -> Result<(Tensor, Tensor)>;
    /// The map as layers of the fused kernels, from data to base; `None` if they lack it.
    fn kernel(&self) -> Option<Vec<mdn_kernels::Layer<Tensor>>> {
        None
    }
}

/// `sign` times the sum of the logs (1, dim), the same for all n points: (n,).
fn constant_log_det(logs: &Tensor, n: usize, sign: f64) -> Result<Tensor> {
    let ones = Tensor::ones((n, 1), logs.dtype(), logs.device())?;
    Ok((ones.matmul(&logs.sum_keepdim(1)?)?.squeeze(1)? * sign)?)
}

/// The base side of `points` under `bijection`, cut off from the parameters.
pub(crate) fn pull_back(
    bijection: &dyn Bijection,
    points: Option<Tensor>,
) -> Result<Option<Tensor>> {
    points
        .map(|points| {
            num::in_chunks(&points, num::rows_at_once(points.device()), |p| {
                Ok(bijection.inverse_and_log_det(p)?.0.detach())
            })
        })
        .transpose()
}
