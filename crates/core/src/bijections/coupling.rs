//! Coupling layers: one half of the coordinates is kept and decides how the other is transformed.

use std::ops::Range;

use candle_core::Tensor;

use super::affine::Affine;
use super::chain::Chain;
use super::linear::Linear;
use super::spline::Spline;
use super::{pull_back, AffineCouplingSpec, Bijection, Built, Mixing, SplineCouplingSpec};
use crate::nn::mlp::{Activation, LastLayer, Mlp};
use crate::nn::Params;
use crate::{num, Result};

/// A monotone map of every coordinate on its own, given its parameters for every point.
pub trait Transformer: Send + Sync {
    /// The raw parameters of `dim` coordinates at which the map is the identity; their number is
    /// what a conditioner must put out.
    fn start(&self, dim: usize) -> Vec<f64>;
    /// Which of `dim` coordinates, counted from 0, raw parameter number `output` belongs to.
    fn owner(&self, output: usize, dim: usize) -> usize;
    /// z (n, dim), theta (n, outputs) -> x and log|det dx/dz| (n,).
    fn forward_and_log_det(&self, z: &Tensor, theta: &Tensor) -> Result<(Tensor, Tensor)>;
    /// x (n, dim), theta (n, outputs) -> z and log|det dz/dx| (n,).
    fn inverse_and_log_det(&self, x: &Tensor, theta: &Tensor) -> Result<(Tensor, Tensor)>;
    /// The same in the fused kernels.
    fn kernel(&self) -> mdn_kernels::Transformer;
}

/// Which coordinates coupling number `layer` keeps and which it transforms: two halves that take
/// turns, the first `dim / 2` coordinates being kept by the even layers.
///
/// With `dim = 1` every layer transforms the one coordinate and keeps none: the conditioner has no
/// input and its outputs are free parameters, so an affine coupling is a scale and a shift, and a
/// spline coupling is one spline.
pub fn halves(dim: usize, layer: usize) -> (Range<usize>, Range<usize>) {
    let cut = dim / 2;
    if layer.is_multiple_of(2) || dim == 1 {
        (0..cut, cut..dim)
    } else {
        (cut..dim, 0..cut)
    }
}

/// The two halves, kept and transformed, put back in the order of the coordinates.
pub fn join(kept: &Tensor, transformed: &Tensor, kept_range: &Range<usize>) -> Result<Tensor> {
    if kept_range.is_empty() {
        return Ok(transformed.clone());
    }
    Ok(if kept_range.start == 0 {
        Tensor::cat(&[kept, transformed], 1)?
    } else {
        Tensor::cat(&[transformed, kept], 1)?
    })
}

/// A coupling with kept coordinates a and transformed coordinates b: x_a = z_a, x_b = t(z_b; m(z_a))
/// for a transformer t and a conditioner m.
///
/// - forward: x = (z_a, t(z_b; m(z_a)))
/// - its log-det: that of t at z_b
/// - inverse: z = (x_a, t^-1(x_b; m(x_a)))
/// - its log-det: that of t^-1 at x_b
pub struct Coupling<T> {
    transformer: T,
    conditioner: Mlp,
    kept: Range<usize>,
    transformed: Range<usize>,
}

impl Coupling<Affine> {
    /// Real NVP's coupling number `layer` of a stack; the identity at the start.
    pub fn affine(
        params: &Params,
        dim: usize,
        layer: usize,
        spec: &AffineCouplingSpec,
    ) -> Result<Self> {
        let transformer = Affine {
            bound: spec.log_scale_bound,
        };
        Self::new(
            params,
            dim,
            layer,
            transformer,
            &spec.hidden,
            spec.activation,
        )
    }
}

impl Coupling<Spline> {
    /// A rational-quadratic spline coupling, number `layer` of a stack; the identity at the start.
    pub fn spline(
        params: &Params,
        dim: usize,
        layer: usize,
        spec: &SplineCouplingSpec,
    ) -> Result<Self> {
        let transformer = Spline {
            bins: spec.bins,
            bound: spec.tail_bound,
        };
        Self::new(
            params,
            dim,
            layer,
            transformer,
            &spec.hidden,
            spec.activation,
        )
    }
}

impl<T: Transformer> Coupling<T> {
    fn new(
        params: &Params,
        dim: usize,
        layer: usize,
        transformer: T,
        hidden: &[usize],
        activation: Activation,
    ) -> Result<Self> {
        let (kept, transformed) = halves(dim, layer);
        let last = LastLayer {
            std: 0.0,
            bias: transformer.start(transformed.len()),
        };
        let conditioner = Mlp::new(params, kept.len(), hidden, activation, last)?;
        Ok(Self {
            transformer,
            conditioner,
            kept,
            transformed,
        })
    }

    fn apply(
        &self,
        v: &Tensor,
        transform: impl Fn(&T, &Tensor, &Tensor) -> Result<(Tensor, Tensor)>,
    ) -> Result<(Tensor, Tensor)> {
        num::expect_points("coupling", v, self.dim())?;
        let kept = v
            .narrow(1, self.kept.start, self.kept.len())?
            .contiguous()?;
        let moved = v
            .narrow(1, self.transformed.start, self.transformed.len())?
            .contiguous()?;
        let theta = self.conditioner.forward(&kept)?;
        let (moved, log_det) = transform(&self.transformer, &moved, &theta)?;
        Ok((join(&kept, &moved, &self.kept)?, log_det))
    }
}

impl<T: Transformer> Bijection for Coupling<T> {
    fn dim(&self) -> usize {
        self.kept.len() + self.transformed.len()
    }

    fn forward_and_log_det(&self, z: &Tensor) -> Result<(Tensor, Tensor)> {
        self.apply(z, T::forward_and_log_det)
    }

    fn inverse_and_log_det(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        self.apply(x, T::inverse_and_log_det)
    }

    fn kernel(&self) -> Option<Vec<mdn_kernels::Layer<Tensor>>> {
        Some(vec![mdn_kernels::Layer::Coupling {
            transformer: self.transformer.kernel(),
            kept: self.kept.clone(),
            moved: self.transformed.clone(),
            conditioner: self.conditioner.kernel()?,
        }])
    }
}

/// `layers` couplings that take turns in which half they keep, with `mixing` between them. Built
/// from the data side, so that `points` arrive at the base.
pub fn stack(
    params: &Params,
    dim: usize,
    mut points: Option<Tensor>,
    layers: usize,
    mixing: Mixing,
    mut coupling: impl FnMut(&Params, usize) -> Result<Box<dyn Bijection>>,
) -> Result<Built> {
    let mut members: Vec<Box<dyn Bijection>> = Vec::new();
    for layer in (0..layers).rev() {
        let params = params.at(layer);
        let mut here = vec![coupling(&params, layer)?];
        if layer > 0 {
            let mix = params.at("mixing");
            match mixing {
                Mixing::None => {}
                Mixing::Linear => here.push(Box::new(Linear::new(&mix, dim)?)),
            }
        }
        for member in here {
            points = pull_back(member.as_ref(), points)?;
            members.push(member);
        }
    }
    members.reverse();
    Ok((Box::new(Chain::new(members, dim)), points))
}
