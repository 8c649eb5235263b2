//! The layers of a stack, applied to one tile.

use std::ops::Range;

use crate::conditioner::{Conditioner, Slot};
use crate::product::TILE;
use crate::simd::Simd;

mod autoregressive;
mod coupling;
mod elementwise;
mod linear;

use autoregressive::Autoregressive;
use coupling::Coupling;
use elementwise::Elementwise;
use linear::{Linear, Permutation};

pub use autoregressive::{LayerMask, Masks};

/// The transformer of a layer: it moves a coordinate, given parameters from the conditioner.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Transformer {
    /// Real NVP's scale and shift, |log scale| < bound.
    Affine {
        /// c in s = c tanh(r / c)
        bound: f64,
    },
    /// A rational-quadratic spline from data to base.
    Spline {
        /// Number of bins.
        bins: usize,
        /// The spline acts on [-bound, bound].
        bound: f64,
    },
    /// RAD's fold, with gates at its edges or flat ones.
    Fold {
        /// Whether the gates have logits of their own.
        gates: bool,
    },
}

/// A layer; its parameters are tensors, or (compiled into a stack) their places.
#[derive(Debug, Clone)]
pub enum Layer<P> {
    /// Some coordinates are kept and decide how others are moved.
    Coupling {
        /// How.
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
        /// How.
        transformer: Transformer,
        /// D
        dim: usize,
        /// The transformer's parameters of the first coordinate: a conditioner without inputs.
        first: Conditioner<P>,
        /// From coordinates 1 to D - 1 to the parameters of 2 to D, if D > 1; without masks every
        /// output sees every input.
        rest: Option<(Conditioner<P>, Option<Masks>)>,
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
}

impl<P> Layer<P> {
    pub(crate) fn map<Q>(self, place: &mut impl FnMut(P) -> Q) -> Layer<Q> {
        match self {
            Self::Coupling {
                transformer,
                kept,
                moved,
                conditioner,
            } => Layer::Coupling {
                transformer,
                kept,
                moved,
                conditioner: conditioner.map(place),
            },
            Self::Autoregressive {
                transformer,
                dim,
                first,
                rest,
            } => Layer::Autoregressive {
                transformer,
                dim,
                first: first.map(place),
                rest: rest.map(|(net, masks)| (net.map(place), masks)),
            },
            Self::Elementwise { log_scale, shift } => Layer::Elementwise {
                log_scale: place(log_scale),
                shift: place(shift),
            },
            Self::Linear {
                lower,
                upper,
                log_diagonal,
            } => Layer::Linear {
                lower: place(lower),
                upper: place(upper),
                log_diagonal: place(log_diagonal),
            },
            Self::Permutation { order } => Layer::Permutation { order },
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

/// Inputs and outputs of a layer's backward pass on one tile: that of [`Layer::to_base`] or that of
/// [`Layer::to_data_and_log_det`].
pub(crate) struct BackwardPass<'a> {
    pub params: &'a [f32],
    pub derived: &'a [f32],
    pub samples: usize,
    pub x: &'a [f32],
    pub z: &'a [f32],
    pub saved: &'a [f32],
    pub weight: &'a [f32],
    /// In place: the gradient by z becomes that by x; for samples, that by x becomes that by z.
    pub gradient: &'a mut [f32],
    pub params_gradient: &'a mut [f32],
    /// Whether a conditioner's gradients replace the numbers in `params_gradient`; else they are added.
    pub fresh: bool,
    /// The gradient by the layer's derived numbers.
    pub derived_gradient: &'a mut [f32],
    pub scratch: &'a mut [f32],
}

/// A layer as the type that implements it.
enum Kind<'l> {
    Coupling(Coupling<'l>),
    Autoregressive(Autoregressive<'l>),
    Elementwise(Elementwise),
    Linear(Linear),
    Permutation(Permutation<'l>),
}

impl Layer<Slot> {
    fn kind(&self) -> Kind<'_> {
        match self {
            Self::Coupling {
                transformer,
                kept,
                moved,
                conditioner,
            } => Kind::Coupling(Coupling {
                transformer: *transformer,
                kept: kept.clone(),
                moved: moved.clone(),
                conditioner,
            }),
            Self::Autoregressive {
                transformer,
                dim,
                first,
                rest,
            } => Kind::Autoregressive(Autoregressive::new(
                *transformer,
                *dim,
                first,
                rest.as_ref(),
            )),
            Self::Elementwise { log_scale, shift } => Kind::Elementwise(Elementwise {
                log_scale: *log_scale,
                shift: *shift,
            }),
            Self::Linear {
                lower,
                upper,
                log_diagonal,
            } => Kind::Linear(Linear {
                lower: *lower,
                upper: *upper,
                log_diagonal: *log_diagonal,
            }),
            Self::Permutation { order } => Kind::Permutation(Permutation(order)),
        }
    }

    /// The masked conditioner and its masks.
    fn masked(&self) -> Option<(&Conditioner<Slot>, &Masks)> {
        match self {
            Self::Autoregressive {
                rest: Some((net, Some(masks))),
                ..
            } => Some((net, masks)),
            _ => None,
        }
    }

    /// Numbers that [`Layer::derive`] writes.
    pub(crate) fn derived(&self) -> usize {
        match self.kind() {
            Kind::Coupling(_) | Kind::Permutation(_) => 0,
            Kind::Autoregressive(_) => self.masked().map_or(0, |(_, masks)| masks.derived()),
            Kind::Elementwise(l) => l.derived(),
            Kind::Linear(l) => l.derived(),
        }
    }

    /// Computes the derived numbers, which depend on the parameters alone.
    pub(crate) fn derive(&self, params: &[f32], to: &mut [f32]) {
        match self.kind() {
            Kind::Coupling(_) | Kind::Permutation(_) => {}
            Kind::Autoregressive(_) => {
                if let Some((net, masks)) = self.masked() {
                    masks.derive(net, params, to);
                }
            }
            Kind::Elementwise(l) => l.derive(params, to),
            Kind::Linear(l) => l.derive(params, to),
        }
    }

    /// The gradients of the parameters from those of the derived numbers.
    pub(crate) fn finish(&self, params: &[f32], by_derived: &[f32], gradient: &mut [f32]) {
        if let Kind::Linear(l) = self.kind() {
            l.finish(params, by_derived, gradient);
        } else if let Some((net, masks)) = self.masked() {
            masks.finish(net, by_derived, gradient);
        }
    }

    /// Numbers per tile that are kept for the backward pass.
    pub(crate) fn saved(&self) -> usize {
        match self.kind() {
            Kind::Coupling(l) => l.saved(),
            Kind::Autoregressive(l) => l.saved(),
            _ => 0,
        }
    }

    /// Parameters whose gradients every backward pass adds to, also with `fresh`: they must be zeroed.
    pub(crate) fn added(&self) -> Vec<Slot> {
        match self {
            Self::Coupling { .. } | Self::Permutation { .. } => Vec::new(),
            Self::Autoregressive { .. } => match self.masked() {
                Some((net, _)) => net.slots().collect(),
                None => Vec::new(),
            },
            Self::Elementwise { log_scale, shift } => vec![*log_scale, *shift],
            Self::Linear {
                lower,
                upper,
                log_diagonal,
            } => vec![*lower, *upper, *log_diagonal],
        }
    }

    /// Scratch numbers of the backward pass.
    pub(crate) fn scratch(&self) -> usize {
        match self.kind() {
            Kind::Coupling(l) => l.scratch(),
            Kind::Autoregressive(l) => l.scratch(),
            Kind::Linear(l) => l.log_diagonal.len * TILE,
            Kind::Permutation(l) => l.0.len() * TILE,
            Kind::Elementwise(_) => 0,
        }
    }

    /// Number of folds.
    pub(crate) fn folds(&self) -> usize {
        match self {
            Self::Coupling {
                transformer: Transformer::Fold { .. },
                moved,
                ..
            } => moved.len(),
            _ => 0,
        }
    }

    /// Multiplications by weights for one sample.
    pub(crate) fn products(&self) -> usize {
        match self {
            Self::Coupling { conditioner, .. } => conditioner.products(),
            Self::Autoregressive { rest, .. } => rest.as_ref().map_or(0, |(net, _)| net.products()),
            _ => 0,
        }
    }

    /// From data to base.
    pub(crate) fn to_base<S: Simd>(&self, s: S, pass: Pass<'_>) {
        match self.kind() {
            Kind::Coupling(l) => l.to_base(s, pass),
            Kind::Autoregressive(l) => l.to_base(s, pass),
            Kind::Elementwise(l) => l.to_base(s, pass),
            Kind::Linear(l) => l.to_base(s, pass),
            Kind::Permutation(l) => l.to_base(pass.from, pass.to),
        }
    }

    /// From base to data, without the log-determinant.
    pub(crate) fn to_data<S: Simd>(&self, s: S, pass: Pass<'_>) {
        match self.kind() {
            Kind::Coupling(l) => l.to_data(s, pass),
            Kind::Autoregressive(l) => l.to_data(s, pass),
            Kind::Elementwise(l) => l.to_data(s, pass),
            Kind::Linear(l) => l.to_data(pass),
            Kind::Permutation(l) => l.to_data(pass.from, pass.to),
        }
    }

    /// The backward pass of [`Layer::to_base`].
    pub(crate) fn backward<S: Simd>(&self, s: S, pass: BackwardPass<'_>) {
        match self.kind() {
            Kind::Coupling(l) => l.backward(s, pass),
            Kind::Autoregressive(l) => l.backward(s, pass),
            Kind::Elementwise(l) => l.backward(pass),
            Kind::Linear(l) => l.backward(s, pass),
            Kind::Permutation(l) => {
                let by_z = &mut pass.scratch[..pass.gradient.len()];
                by_z.copy_from_slice(pass.gradient);
                l.to_data(by_z, pass.gradient);
            }
        }
    }

    /// Whether [`Layer::to_data_backward`] exists.
    pub(crate) fn has_to_data_backward(&self) -> bool {
        self.folds() == 0 && !matches!(self, Self::Autoregressive { .. })
    }

    /// From base to data; adds log|det dz/dx| and keeps what [`Layer::to_data_backward`] needs.
    pub(crate) fn to_data_and_log_det<S: Simd>(&self, s: S, pass: Pass<'_>, scratch: &mut [f32]) {
        match self.kind() {
            Kind::Coupling(l) => l.to_data_and_log_det(s, pass, scratch),
            Kind::Autoregressive(_) => unreachable!("checked by Stack::has_to_data_backward"),
            Kind::Elementwise(_) | Kind::Linear(_) => {
                // Their last derived number is their log-determinant towards the base.
                let log_det = pass.derived[pass.derived.len() - 1];
                add_constant(pass.log_det, log_det);
                self.to_data(s, pass);
            }
            Kind::Permutation(_) => self.to_data(s, pass),
        }
    }

    /// The backward pass of [`Layer::to_data_and_log_det`].
    pub(crate) fn to_data_backward<S: Simd>(&self, s: S, pass: BackwardPass<'_>) {
        match self.kind() {
            Kind::Coupling(l) => l.to_data_backward(s, pass),
            Kind::Autoregressive(_) => unreachable!("checked by Stack::has_to_data_backward"),
            Kind::Elementwise(l) => l.to_data_backward(pass),
            Kind::Linear(l) => l.to_data_backward(s, pass),
            Kind::Permutation(l) => {
                let by_x = &mut pass.scratch[..pass.gradient.len()];
                by_x.copy_from_slice(pass.gradient);
                l.to_base(by_x, pass.gradient);
            }
        }
    }
}

fn add_constant(to: &mut [f32], constant: f32) {
    to.iter_mut().for_each(|v| *v += constant);
}
