//! Which kernels a model is evaluated with: the one place where that is decided.

use candle_core::{DType, Tensor};

use crate::nn::Params;
use crate::{Error, Result};
use mdn_kernels::{Base, Choice, Fused, Isa, Layer};

/// Fused kernels of a model with these layers, from data to base, and this base; `None` where plain
/// tensors are to be used: by choice, on another device, in another precision, or because the
/// kernels lack a part of the model.
///
/// # Errors
/// If fused kernels were asked for and there are none.
pub(super) fn fuse(
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
    let fused = match (layers, base) {
        _ if params.dtype() != DType::F32 => {
            Err("train.precision=f32; got f64 (try --kernels plain)")
        }
        _ if !params.device().is_cpu() => Err("--device cpu; got another one"),
        (Some(layers), Some(base)) => {
            let isa = isa.unwrap_or_else(Isa::best);
            Ok(Fused::new(dim, layers, base, isa))
        }
        _ => Err(
            "layers that they have; got another (they lack planar and radial layers, RAD's `net` \
             gates, resampled bases below RAD and the activations `silu` and `gelu`; try --kernels plain)",
        ),
    };
    match fused {
        Ok(fused) => Ok(Some(fused)),
        Err(_) if !asked => Ok(None),
        Err(why) => Err(Error::request(format!("fused kernels: expected {why}"))),
    }
}
