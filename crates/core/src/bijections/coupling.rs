//! Coupling layers: one half of the coordinates is kept and decides how the other is transformed.

use std::ops::Range;
use std::sync::Arc;

use candle_core::Tensor;

use super::{Bijection, Transformer};
use crate::nn::mlp::{Activation, LastLayer, Mlp};
use crate::nn::Params;
use crate::{num, Result};

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
pub struct Coupling {
    transformer: Arc<dyn Transformer>,
    conditioner: Mlp,
    kept: Range<usize>,
    transformed: Range<usize>,
}

impl Coupling {
    /// Coupling number `layer` of a stack; the identity at the start.
    pub(super) fn new(
        params: &Params,
        dim: usize,
        layer: usize,
        transformer: Arc<dyn Transformer>,
        hidden: &[usize],
        activation: Activation,
    ) -> Result<Self> {
        let (kept, transformed) = halves(dim, layer);
        let last = LastLayer {
            std: 0.0,
            bias: transformer.start(transformed.len()),
        };
        Ok(Self {
            conditioner: Mlp::new(params, kept.len(), hidden, activation, last)?,
            transformer,
            kept,
            transformed,
        })
    }

    /// The two halves of `v`, and the transformer's parameters for the second.
    fn split(&self, v: &Tensor) -> Result<[Tensor; 3]> {
        num::expect_points("coupling", v, self.dim())?;
        let half = |r: &Range<usize>| v.narrow(1, r.start, r.len())?.contiguous();
        let (kept, moved) = (half(&self.kept)?, half(&self.transformed)?);
        let theta = self.conditioner.forward(&kept)?;
        Ok([kept, moved, theta])
    }
}

impl Bijection for Coupling {
    fn dim(&self) -> usize {
        self.kept.len() + self.transformed.len()
    }

    fn forward_and_log_det(&self, z: &Tensor) -> Result<(Tensor, Tensor)> {
        let [kept, moved, theta] = self.split(z)?;
        let (moved, log_det) = self.transformer.forward_and_log_det(&moved, &theta)?;
        Ok((join(&kept, &moved, &self.kept)?, log_det))
    }

    fn inverse_and_log_det(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let [kept, moved, theta] = self.split(x)?;
        let (moved, log_det) = self.transformer.inverse_and_log_det(&moved, &theta)?;
        Ok((join(&kept, &moved, &self.kept)?, log_det))
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
