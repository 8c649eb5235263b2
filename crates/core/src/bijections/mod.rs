//! Invertible maps x = f(z) with their log-determinants, and how an experiment file chooses one.

use candle_core::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::BadValue;
use crate::nn::{examples, Extent, Params};
use crate::{num, Result};

pub mod affine;
mod autoregressive;
pub mod chain;
pub mod coupling;
pub mod linear;
pub mod permutation;
pub mod planar;
pub mod radial;
mod soft_tails;
pub mod spline;
mod stack;
pub mod support;

#[cfg(test)]
mod golden;
#[cfg(test)]
mod laws;

pub use affine::{AffineCouplingSpec, ElementwiseInit, ElementwiseSpec, MaskedAutoregressiveSpec};
pub use linear::LinearSpec;
pub use permutation::{Order, PermutationSpec};
pub use planar::PlanarSpec;
pub use radial::RadialSpec;
pub use soft_tails::SoftTailsSpec;
pub use spline::{MaskedAutoregressiveSplineSpec, SplineCouplingSpec};
pub use stack::Mixing;
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

/// A monotone map of every coordinate on its own, whose parameters a conditioner gives for every
/// point: what couplings and autoregressive layers are made of.
pub trait Transformer: Send + Sync {
    /// The raw parameters of `dim` coordinates at which the map is the identity; their number is
    /// that of the conditioner's outputs.
    fn start(&self, dim: usize) -> Vec<f64>;
    /// The coordinate, of `dim` counted from 0, that raw parameter number `output` belongs to.
    fn owner(&self, output: usize, dim: usize) -> usize;
    /// z (n, dim), theta (n, outputs) -> x and log|det dx/dz| (n,).
    fn forward_and_log_det(&self, z: &Tensor, theta: &Tensor) -> Result<(Tensor, Tensor)>;
    /// x (n, dim), theta (n, outputs) -> z and log|det dz/dx| (n,).
    fn inverse_and_log_det(&self, x: &Tensor, theta: &Tensor) -> Result<(Tensor, Tensor)>;
    /// The same in the fused kernels.
    fn kernel(&self) -> mdn_kernels::Transformer;
    /// What is wrong with the settings, if anything.
    fn check(&self) -> Result<(), BadValue>;
}

/// Which bijection, with its settings. `forward` maps base to data; a chain's first member is
/// nearest the base.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum BijectionSpec {
    /// A stack of affine couplings (Real NVP, Dinh et al. 2017).
    AffineCoupling(AffineCouplingSpec),
    /// A stack of rational-quadratic spline couplings (Durkan et al. 2019).
    SplineCoupling(SplineCouplingSpec),
    /// A stack of masked autoregressive layers (MAF, Papamakarios et al. 2017).
    MaskedAutoregressive(MaskedAutoregressiveSpec),
    /// The same with rational-quadratic splines (Durkan et al. 2019).
    MaskedAutoregressiveSpline(MaskedAutoregressiveSplineSpec),
    /// A scale and a shift for every coordinate.
    Elementwise(ElementwiseSpec),
    /// A learned invertible matrix.
    Linear(LinearSpec),
    /// A fixed reordering of the coordinates.
    Permutation(PermutationSpec),
    /// A stack of planar layers (Rezende and Mohamed 2015), its inverse iterative.
    Planar(PlanarSpec),
    /// A stack of radial layers (Rezende and Mohamed 2015).
    Radial(RadialSpec),
    /// Logarithmic tails beyond a threshold, without parameters: at the data side, for heavy tails.
    SoftTails(SoftTailsSpec),
    /// An array of bijections, the first nearest the base.
    Chain(Vec<BijectionSpec>),
}

/// See [`BijectionSpec::examples`].
const EXAMPLES: &str = "
affine_coupling: affine_coupling = { layers = 3, hidden = [5], activation = 'tanh' }
affine_coupling (linear mixing): affine_coupling = { layers = 3, hidden = [5], activation = 'tanh', mixing = 'linear' }
spline_coupling: spline_coupling = { layers = 2, hidden = [5], activation = 'tanh', bins = 4, tail_bound = 3 }
masked_autoregressive (reverse): masked_autoregressive = { layers = 3, hidden = [5, 3], activation = 'tanh' }
masked_autoregressive (shuffle): masked_autoregressive = { layers = 3, hidden = [5, 3], activation = 'tanh', order = 'shuffle' }
masked_autoregressive_spline: masked_autoregressive_spline = { layers = 2, hidden = [5], activation = 'tanh', bins = 4, tail_bound = 3 }
elementwise: elementwise = {}
linear: linear = {}
permutation (reverse): permutation = {}
permutation (shuffle): permutation = { order = 'shuffle' }
planar: planar = { layers = 3 }
radial: radial = { layers = 3 }
soft_tails: soft_tails = { threshold = 0.7 }
chain: chain = [{ elementwise = {} }, { spline_coupling = { layers = 2, hidden = [5], activation = 'tanh', bins = 4, tail_bound = 3 } }, { linear = {} }, { affine_coupling = { layers = 3, hidden = [5], activation = 'tanh' } }]
";

/// A bijection that was built, and the points it was built from pulled back to its base side.
pub type Built = (Box<dyn Bijection>, Option<Tensor>);

/// What the settings of a bijection must offer.
trait Settings {
    /// What is wrong with the settings, if anything.
    fn check(&self) -> Result<(), BadValue> {
        Ok(())
    }
    /// See [`BijectionSpec::extent`].
    fn extent(&self, dim: usize) -> Extent;
    /// See [`BijectionSpec::build`].
    fn build(&self, params: &Params, dim: usize, points: Option<Tensor>) -> Result<Built>;
}

impl BijectionSpec {
    /// The key in an experiment file, and the settings.
    fn member(&self) -> (&'static str, Box<dyn Settings + '_>) {
        match self {
            Self::AffineCoupling(s) => ("affine_coupling", Box::new(s.stack())),
            Self::SplineCoupling(s) => ("spline_coupling", Box::new(s.stack())),
            Self::MaskedAutoregressive(s) => ("masked_autoregressive", Box::new(s.stack())),
            Self::MaskedAutoregressiveSpline(s) => {
                ("masked_autoregressive_spline", Box::new(s.stack()))
            }
            Self::Elementwise(s) => ("elementwise", Box::new(*s)),
            Self::Linear(s) => ("linear", Box::new(*s)),
            Self::Permutation(s) => ("permutation", Box::new(*s)),
            Self::Planar(s) => ("planar", Box::new(*s)),
            Self::Radial(s) => ("radial", Box::new(*s)),
            Self::SoftTails(s) => ("soft_tails", Box::new(*s)),
            Self::Chain(members) => ("chain", Box::new(chain::Members(members))),
        }
    }

    /// One or more of each kind, with the name under which tests show it.
    pub fn examples() -> Vec<(&'static str, Self)> {
        examples(EXAMPLES)
    }

    /// What is wrong with the settings, if anything.
    pub fn check(&self) -> Result<(), BadValue> {
        let (key, settings) = self.member();
        settings.check().map_err(|e| e.below(key))
    }

    /// The least number beyond which its splines are the identity; `None` without splines.
    pub fn tail_bound(&self) -> Option<f64> {
        match self {
            Self::SplineCoupling(s) => Some(s.tail_bound),
            Self::MaskedAutoregressiveSpline(s) => Some(s.tail_bound),
            Self::Chain(members) => {
                let bounds = members.iter().filter_map(Self::tail_bound);
                bounds.min_by(f64::total_cmp)
            }
            _ => None,
        }
    }

    /// Its size over `dim` coordinates, at most a few percent too small.
    pub fn extent(&self, dim: usize) -> Extent {
        self.member().1.extent(dim)
    }

    /// Makes the bijection for `dim` coordinates with parameters from `params`. `points` (n, dim)
    /// are training points at its data side, for members that start from the data; they are not
    /// needed when parameters are loaded.
    pub fn build(&self, params: &Params, dim: usize, points: Option<Tensor>) -> Result<Built> {
        self.member().1.build(params, dim, points)
    }
}

fn built(bijection: impl Bijection + 'static, points: Option<Tensor>) -> Result<Built> {
    let points = pull_back(&bijection, points)?;
    Ok((Box::new(bijection), points))
}

fn check_layers(layers: usize) -> Result<(), BadValue> {
    BadValue::within("layers", layers, 1, 1000)
}

/// `sign` times the sum of the logs (1, dim), the same for all n points: (n,).
fn constant_log_det(logs: &Tensor, n: usize, sign: f64) -> Result<Tensor> {
    let ones = Tensor::ones((n, 1), logs.dtype(), logs.device())?;
    Ok((ones.matmul(&logs.sum_keepdim(1)?)?.squeeze(1)? * sign)?)
}

/// `points` at the base side of `bijection`, detached from the parameters.
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
