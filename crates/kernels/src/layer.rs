//! The layers of a stack, applied to one tile.

use std::ops::Range;

use crate::conditioner::{BackwardPass, Conditioner, Slot};
use crate::simd::Verified;
use crate::transformer::Transformer;

mod autoregressive;
mod coupling;
mod elementwise;
mod linear;
mod soft_tails;

use autoregressive::Autoregressive;
use coupling::Coupling;
use elementwise::Elementwise;
use linear::{Linear, Permutation};
use soft_tails::SoftTails;

pub use autoregressive::LayerMask;

/// A layer with its parameters.
#[derive(Debug, Clone)]
pub enum Layer<P> {
    /// Some coordinates are kept and decide how others are moved.
    Coupling {
        /// How they are moved.
        transformer: Transformer,
        /// Coordinates that stay, which the conditioner sees.
        kept: Range<usize>,
        /// Coordinates that are moved.
        moved: Range<usize>,
        /// From the kept coordinates to the transformer's parameters.
        conditioner: Conditioner<P>,
    },
    /// Every coordinate is moved by parameters that depend on the coordinates before it.
    Autoregressive {
        /// How they are moved.
        transformer: Transformer,
        /// D
        dim: usize,
        /// The transformer's parameters of the first coordinate: a conditioner without inputs.
        first: Conditioner<P>,
        /// From coordinates 1 to D - 1 to the parameters of 2 to D, if D > 1; without masks (one per
        /// layer of the conditioner, which then holds the weights they leave) every output sees every
        /// input.
        rest: Option<(Conditioner<P>, Option<Vec<LayerMask>>)>,
    },
    /// x = z e^s + t
    Elementwise {
        /// s, (1, D)
        log_scale: P,
        /// t, (1, D)
        shift: P,
    },
    /// z = x W^T with W = L U
    Linear {
        /// (D, D), only the part below the diagonal is used
        lower: P,
        /// (D, D), only the part above the diagonal is used
        upper: P,
        /// Logs of U's diagonal, (1, D)
        log_diagonal: P,
    },
    /// z_d = x_{order\[d\]}
    Permutation {
        /// Each of 0..D once.
        order: Vec<usize>,
    },
    /// z = sign(x) (t + ln(1 + |x| - t)) where |x| > t, else z = x
    SoftTails {
        /// t
        threshold: f64,
    },
}

impl<P> Layer<P> {
    /// The layer with its parameters where `place` puts them.
    pub(crate) fn compile(self, place: &mut impl FnMut(P) -> Slot) -> Box<dyn Compiled> {
        match self {
            Self::Coupling {
                transformer,
                kept,
                moved,
                conditioner,
            } => Box::new(Coupling {
                transformer,
                kept,
                moved,
                conditioner: conditioner.map(place),
            }),
            Self::Autoregressive {
                transformer,
                dim,
                first,
                rest,
            } => {
                let first = first.map(place);
                let rest = rest.map(|(net, masks)| (net.map(place), masks));
                Box::new(Autoregressive::new(transformer, dim, first, rest))
            }
            Self::Elementwise { log_scale, shift } => Box::new(Elementwise {
                log_scale: place(log_scale),
                shift: place(shift),
            }),
            Self::Linear {
                lower,
                upper,
                log_diagonal,
            } => Box::new(Linear {
                lower: place(lower),
                upper: place(upper),
                log_diagonal: place(log_diagonal),
            }),
            Self::Permutation { order } => Box::new(Permutation(order)),
            Self::SoftTails { threshold } => Box::new(SoftTails {
                threshold: threshold as f32,
            }),
        }
    }
}

/// Inputs and outputs of a layer on one tile, in either direction.
pub(crate) struct Pass<'a> {
    pub params: &'a [f32],
    /// The layer's derived numbers.
    pub derived: &'a [f32],
    pub samples: usize,
    /// Coordinates before and after, a row each.
    pub from: &'a [f32],
    pub to: &'a mut [f32],
    /// Kept for the backward pass: the conditioner's hidden values and outputs.
    pub saved: &'a mut [f32],
    pub log_det: &'a mut [f32],
    /// See [`super::transformer::TransformerPass::parts`].
    pub parts: &'a mut [f32],
}

impl Pass<'_> {
    /// The same pass for a part of the layer.
    fn reborrow(&mut self) -> Pass<'_> {
        Pass {
            to: &mut *self.to,
            saved: &mut *self.saved,
            log_det: &mut *self.log_det,
            parts: &mut *self.parts,
            ..*self
        }
    }
}

impl BackwardPass<'_> {
    /// The same pass for a part of the layer.
    fn reborrow(&mut self) -> BackwardPass<'_> {
        BackwardPass {
            gradient: &mut *self.gradient,
            params_gradient: &mut *self.params_gradient,
            derived_gradient: &mut *self.derived_gradient,
            scratch: &mut *self.scratch,
            ..*self
        }
    }
}

/// A layer whose parameters have places in the flat vector.
pub(crate) trait Compiled: Send + Sync {
    /// Numbers that [`Compiled::derive`] writes.
    fn derived(&self) -> usize {
        0
    }

    /// Computes the derived numbers, which depend on the parameters alone.
    fn derive(&self, _params: &[f32], _to: &mut [f32]) {}

    /// The gradients of the parameters from those of the derived numbers.
    fn finish(&self, _params: &[f32], _by_derived: &[f32], _gradient: &mut [f32]) {}

    /// Numbers per tile that are kept for the backward pass.
    fn saved(&self) -> usize {
        0
    }

    /// Parameters whose gradients every backward pass adds to, also with `fresh`: they must be zeroed.
    fn added(&self) -> Vec<Slot> {
        Vec::new()
    }

    /// Scratch numbers of the backward pass.
    fn scratch(&self) -> usize {
        0
    }

    /// Number of folds.
    fn folds(&self) -> usize {
        0
    }

    /// Multiplications by weights for one sample.
    fn products(&self) -> usize {
        0
    }

    /// From data to base.
    fn to_base(&self, isa: Verified, pass: Pass<'_>);

    /// From base to data, without the log-determinant.
    fn to_data(&self, isa: Verified, pass: Pass<'_>);

    /// The backward pass of [`Compiled::to_base`].
    fn backward(&self, isa: Verified, pass: BackwardPass<'_>);

    /// Whether [`Compiled::to_data_backward`] exists.
    fn has_to_data_backward(&self) -> bool {
        true
    }

    /// From base to data; adds log|det dz/dx| (unless overridden, the last derived number) and keeps
    /// what [`Compiled::to_data_backward`] needs.
    fn to_data_and_log_det(&self, isa: Verified, pass: Pass<'_>, _scratch: &mut [f32]) {
        if let Some(log_det) = pass.derived.last() {
            add_constant(pass.log_det, *log_det);
        }
        self.to_data(isa, pass);
    }

    /// The backward pass of [`Compiled::to_data_and_log_det`].
    fn to_data_backward(&self, isa: Verified, pass: BackwardPass<'_>);
}

fn add_constant(to: &mut [f32], constant: f32) {
    to.iter_mut().for_each(|v| *v += constant);
}
