//! Masked autoregressive layers: the coordinates before each one decide how it is transformed.

use std::sync::Arc;

use candle_core::Tensor;

use super::{Bijection, Transformer};
use crate::nn::mlp::{Activation, LastLayer, MaskedMlp, Mlp};
use crate::nn::Params;
use crate::{num, Result};

/// Masked autoregressive flow (Papamakarios, Pavlakou and Murray 2017) with a transformer t and
/// conditioners m_d: free parameters for the first coordinate, one masked network (MADE, Germain et
/// al. 2015) for all others. Density is one pass; sampling takes one coordinate after the other.
///
/// - forward: x_d = t(z_d; m_d(x_1, ..., x_{d-1})) for d = 1, ..., D
/// - its log-det: sum_d that of t at z_d
/// - inverse: z_d = t^-1(x_d; m_d(x_1, ..., x_{d-1})), all d at once
/// - its log-det: sum_d that of t^-1 at x_d
pub(super) struct MaskedAutoregressive {
    transformer: Arc<dyn Transformer>,
    first: Mlp,
    rest: Option<Rest>,
    dim: usize,
}

/// Coordinates 2 to D.
struct Rest {
    conditioner: MaskedMlp,
    /// The indices of each one's parameters among the conditioner's outputs.
    outputs: Vec<Tensor>,
}

impl MaskedAutoregressive {
    /// In the order of the coordinates; the identity at the start.
    pub fn new(
        params: &Params,
        dim: usize,
        transformer: Arc<dyn Transformer>,
        hidden: &[usize],
        activation: Activation,
    ) -> Result<Self> {
        let last = |coordinates| LastLayer {
            std: 0.0,
            bias: transformer.start(coordinates),
        };
        let first = Mlp::new(&params.at("first"), 0, &[], activation, last(1))?;
        let rest = match dim - 1 {
            0 => None,
            moved => {
                let last = last(moved);
                let owners: Vec<usize> = (0..last.bias.len())
                    .map(|output| transformer.owner(output, moved))
                    .collect();
                let degrees: Vec<usize> = owners.iter().map(|owner| owner + 1).collect();
                let params = params.at("rest");
                let conditioner =
                    MaskedMlp::new(&params, moved, hidden, activation, &degrees, last)?;
                let outputs = (0..moved).map(|coordinate| {
                    let own = (0..owners.len()).filter(|o| owners[*o] == coordinate);
                    let own: Vec<u32> = own.map(|o| o as u32).collect();
                    Ok(Tensor::new(own, &params.device())?)
                });
                Some(Rest {
                    outputs: outputs.collect::<Result<_>>()?,
                    conditioner,
                })
            }
        };
        Ok(Self {
            transformer,
            first,
            rest,
            dim,
        })
    }
}

impl Bijection for MaskedAutoregressive {
    fn dim(&self) -> usize {
        self.dim
    }

    fn forward_and_log_det(&self, z: &Tensor) -> Result<(Tensor, Tensor)> {
        let n = num::expect_points("masked autoregressive", z, self.dim)?;
        let of = |d: usize| -> Result<Tensor> { Ok(z.narrow(1, d, 1)?.contiguous()?) };
        let theta = self.first.forward(&of(0)?)?;
        let (mut x, mut log_det) = self.transformer.forward_and_log_det(&of(0)?, &theta)?;
        let Some(rest) = &self.rest else {
            return Ok((x, log_det));
        };
        let net = rest.conditioner.dense()?;
        for (before, outputs) in rest.outputs.iter().enumerate() {
            let d = before + 1;
            // The mask hides coordinates that have not been sampled yet.
            let seen = match self.dim - 1 - d {
                0 => x.clone(),
                missing => {
                    let zeros = Tensor::zeros((n, missing), z.dtype(), z.device())?;
                    Tensor::cat(&[&x, &zeros], 1)?
                }
            };
            let theta = net.forward(&seen)?.index_select(outputs, 1)?;
            let (next, more) = self.transformer.forward_and_log_det(&of(d)?, &theta)?;
            x = Tensor::cat(&[&x, &next], 1)?;
            log_det = (log_det + more)?;
        }
        Ok((x, log_det))
    }

    fn inverse_and_log_det(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        num::expect_points("masked autoregressive", x, self.dim)?;
        let part = |from: usize, len: usize| -> Result<Tensor> {
            Ok(x.narrow(1, from, len)?.contiguous()?)
        };
        let theta = self.first.forward(&part(0, 1)?)?;
        let (z, log_det) = self.transformer.inverse_and_log_det(&part(0, 1)?, &theta)?;
        let Some(rest) = &self.rest else {
            return Ok((z, log_det));
        };
        let moved = self.dim - 1;
        let theta = rest.conditioner.dense()?.forward(&part(0, moved)?)?;
        let (others, more) = self
            .transformer
            .inverse_and_log_det(&part(1, moved)?, &theta)?;
        Ok((Tensor::cat(&[&z, &others], 1)?, (log_det + more)?))
    }

    fn kernel(&self) -> Option<Vec<mdn_kernels::Layer<Tensor>>> {
        let rest = match &self.rest {
            Some(rest) => Some(rest.conditioner.kernel()?),
            None => None,
        };
        Some(vec![mdn_kernels::Layer::Autoregressive {
            transformer: self.transformer.kernel(),
            dim: self.dim,
            first: self.first.kernel()?,
            rest,
        }])
    }
}
