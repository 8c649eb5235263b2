//! Fused f32 kernels for the CPU: flows and RAD from data to base and back.
//!
//! For small networks plain tensors spend most of a training step on overhead. These kernels compute
//! log q and its gradients for tiles of 64 points that stay in the nearest caches. A tile is a matrix
//! with a row per coordinate (or hidden unit) and a column per point, so every formula that is
//! elementwise in the points is a loop over vectors, widths need no padding, and the three matrix
//! products of a conditioner's layer are one blocked loop (`product`). Parameters and gradients are
//! flat vectors.
//!
//! - `simd`: vectors of one instruction set. Loops over vectors are compiled for every instruction set
//!   and chosen at run time; all other code is compiled once
//! - `math`, `product`, `conditioner`, `transformer`, `base`, `layer`: the parts of a flow on one tile
//! - `stack`, `tiles`: a whole flow, tile by tile
//! - `engine`: whole batches on the threads of rayon's current pool. Chunks depend on the size of the
//!   batch alone and sums have a fixed order, so any number of threads gives the same bytes
//! - [`Fused`]: Candle operations with gradients, and training with Adam
//!
//! Every formula has a plain version in `bijections`, `distributions` or `models` of the crate
//! `mdn-core`; tests there compare the two.

mod base;
mod conditioner;
mod engine;
mod flat;
mod fused;
mod layer;
pub mod limit;
mod math;
mod product;
mod simd;
mod stack;
mod tiles;
mod transformer;

pub use base::Base;
pub use conditioner::{Activation, Conditioner};
pub use flat::{BETA1, BETA2, EPSILON};
pub use fused::{Fused, FusedTraining};
pub use layer::{Layer, LayerMask};
pub use simd::Isa;
pub use transformer::{fold, Transformer, SPLINE_MIN};

/// Which kernels a model is built with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Choice {
    /// Fused where they exist: f32 on the CPU, layers that they know.
    #[default]
    Auto,
    /// Fused, or an error that says why not.
    Fused(Option<Isa>),
    /// Plain tensors.
    Plain,
}

impl Choice {
    /// Reads what the user typed.
    ///
    /// # Errors
    /// On other words, and on an instruction set that this machine lacks.
    pub fn parse(typed: &str) -> Result<Self, String> {
        let isas = Isa::available();
        let named = typed
            .strip_prefix("fused:")
            .and_then(|name| isas.iter().find(|isa| isa.name() == name));
        match (typed, named) {
            ("auto", _) => Ok(Self::Auto),
            ("fused", _) => Ok(Self::Fused(None)),
            ("plain", _) => Ok(Self::Plain),
            (_, Some(isa)) => Ok(Self::Fused(Some(*isa))),
            _ => {
                let names: Vec<_> = isas.iter().map(|isa| format!("`fused:{isa}`")).collect();
                Err(format!(
                    "expected `auto`, `fused`, `plain` or, on this machine, {}",
                    names.join(", ")
                ))
            }
        }
    }
}
