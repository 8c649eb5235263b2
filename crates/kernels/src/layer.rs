//! The layers of a stack, and how a tile passes through one.

use std::ops::Range;

use super::conditioner::{Conditioner, Slot};
use super::product::TILE;
use super::simd::Simd;

mod autoregressive;
mod coupling;
mod elementwise;
mod linear;
mod permutation;

use autoregressive::Autoregressive;
use coupling::Coupling;
use elementwise::Elementwise;
use linear::Linear;

pub use autoregressive::{LayerMask, Masks};

/// What moves the coordinates of a coupling.
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
    /// One half of the coordinates decides how the other is moved.
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
    /// Every coordinate is moved as those before it decide.
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
        /// (D, D), of which what is below the diagonal counts
        lower: P,
        /// (D, D), of which what is above the diagonal counts
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

/// A tile on its way through a layer.
pub(crate) struct Pass<'a> {
    pub params: &'a [f32],
    /// The layer's derived numbers.
    pub derived: &'a [f32],
    pub samples: usize,
    /// Coordinates before and after, a row each.
    pub from: &'a [f32],
    pub to: &'a mut [f32],
    /// What the way back needs: the conditioner's hidden values and its outputs.
    pub saved: &'a mut [f32],
    pub log_det: &'a mut [f32],
    /// As in [`super::transformer::Way::parts`].
    pub parts: &'a mut [f32],
}

/// A tile on its way back through a layer, as it went to the base or (unwinding) as it came from there.
pub(crate) struct PassBack<'a> {
    pub params: &'a [f32],
    pub derived: &'a [f32],
    pub samples: usize,
    pub x: &'a [f32],
    pub z: &'a [f32],
    pub saved: &'a [f32],
    pub weight: &'a [f32],
    /// By z, to be replaced by that by x; unwinding, the other way round.
    pub gradient: &'a mut [f32],
    pub params_gradient: &'a mut [f32],
    /// Whether a conditioner's gradients replace what is in `params_gradient`.
    pub fresh: bool,
    /// By the layer's derived numbers.
    pub derived_gradient: &'a mut [f32],
    pub scratch: &'a mut [f32],
}

/// A layer as the code that knows it.
enum Known<'l> {
    Coupling(Coupling<'l>),
    Autoregressive(Autoregressive<'l>),
    Elementwise(Elementwise),
    Linear(Linear),
    Permutation(&'l [usize]),
}

impl Layer<Slot> {
    fn known(&self) -> Known<'_> {
        match self {
            Self::Coupling {
                transformer,
                kept,
                moved,
                conditioner,
            } => Known::Coupling(Coupling {
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
            } => Known::Autoregressive(Autoregressive::new(
                *transformer,
                *dim,
                first,
                rest.as_ref(),
            )),
            Self::Elementwise { log_scale, shift } => Known::Elementwise(Elementwise {
                log_scale: *log_scale,
                shift: *shift,
            }),
            Self::Linear {
                lower,
                upper,
                log_diagonal,
            } => Known::Linear(Linear {
                lower: *lower,
                upper: *upper,
                log_diagonal: *log_diagonal,
            }),
            Self::Permutation { order } => Known::Permutation(order),
        }
    }

    /// The conditioner with weights left out, and its masks.
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
        match self.known() {
            Known::Coupling(_) | Known::Permutation(_) => 0,
            Known::Autoregressive(_) => self.masked().map_or(0, |(_, masks)| masks.derived()),
            Known::Elementwise(l) => l.derived(),
            Known::Linear(l) => l.derived(),
        }
    }

    /// What follows from the parameters alone.
    pub(crate) fn derive(&self, params: &[f32], to: &mut [f32]) {
        match self.known() {
            Known::Coupling(_) | Known::Permutation(_) => {}
            Known::Autoregressive(_) => {
                if let Some((net, masks)) = self.masked() {
                    masks.derive(net, params, to);
                }
            }
            Known::Elementwise(l) => l.derive(params, to),
            Known::Linear(l) => l.derive(params, to),
        }
    }

    /// The gradients of the parameters from those of the derived numbers.
    pub(crate) fn finish(&self, params: &[f32], by_derived: &[f32], gradient: &mut [f32]) {
        if let Known::Linear(l) = self.known() {
            l.finish(params, by_derived, gradient);
        } else if let Some((net, masks)) = self.masked() {
            masks.finish(net, by_derived, gradient);
        }
    }

    /// Numbers per tile that the way back needs.
    pub(crate) fn saved(&self) -> usize {
        match self.known() {
            Known::Coupling(l) => l.saved(),
            Known::Autoregressive(l) => l.saved(),
            _ => 0,
        }
    }

    /// Places of gradients that the way back always adds to, also where it begins afresh.
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

    /// Scratch of the way back.
    pub(crate) fn scratch(&self) -> usize {
        match self.known() {
            Known::Coupling(l) => l.scratch(),
            Known::Autoregressive(l) => l.scratch(),
            Known::Linear(l) => l.log_diagonal.len * TILE,
            Known::Permutation(order) => order.len() * TILE,
            Known::Elementwise(_) => 0,
        }
    }

    /// Folds: rows of codes.
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

    /// Multiplications of one sample with weights.
    pub(crate) fn products(&self) -> usize {
        match self {
            Self::Coupling { conditioner, .. } => conditioner.products(),
            Self::Autoregressive { rest, .. } => rest.as_ref().map_or(0, |(net, _)| net.products()),
            _ => 0,
        }
    }

    /// From data to base.
    pub(crate) fn to_base<S: Simd>(&self, s: S, pass: Pass<'_>) {
        match self.known() {
            Known::Coupling(l) => l.to_base(s, pass),
            Known::Autoregressive(l) => l.to_base(s, pass),
            Known::Elementwise(l) => l.to_base(s, pass),
            Known::Linear(l) => l.to_base(s, pass),
            Known::Permutation(order) => permutation::to_base(order, pass.from, pass.to),
        }
    }

    /// From base to data; no log-determinant.
    pub(crate) fn to_data<S: Simd>(&self, s: S, pass: Pass<'_>) {
        match self.known() {
            Known::Coupling(l) => l.to_data(s, pass),
            Known::Autoregressive(l) => l.to_data(s, pass),
            Known::Elementwise(l) => l.to_data(s, pass),
            Known::Linear(l) => l.to_data(pass),
            Known::Permutation(order) => permutation::to_data(order, pass.from, pass.to),
        }
    }

    /// Gradients of the way to the base.
    pub(crate) fn back<S: Simd>(&self, s: S, pass: PassBack<'_>) {
        match self.known() {
            Known::Coupling(l) => l.back(s, pass),
            Known::Autoregressive(l) => l.back(s, pass),
            Known::Elementwise(l) => l.back(pass),
            Known::Linear(l) => l.back(s, pass),
            Known::Permutation(order) => permutation::back(pass.gradient, order),
        }
    }

    /// Whether it has [`Layer::unwind`].
    pub(crate) fn unwinds(&self) -> bool {
        self.folds() == 0 && !matches!(self, Self::Autoregressive { .. })
    }

    /// From base to data with minus the log-determinant, keeping what [`Layer::unwind`] needs.
    pub(crate) fn send<S: Simd>(&self, s: S, pass: Pass<'_>, scratch: &mut [f32]) {
        match self.known() {
            Known::Coupling(l) => l.send(s, pass, scratch),
            Known::Autoregressive(_) => unreachable!("checked by Stack::unwinds"),
            Known::Elementwise(_) | Known::Linear(_) => {
                // The last of their derived numbers is their log-determinant.
                let log_det = pass.derived[pass.derived.len() - 1];
                add_constant(pass.log_det, log_det);
                self.to_data(s, pass);
            }
            Known::Permutation(_) => self.to_data(s, pass),
        }
    }

    /// Gradients of the way to the data, whose log-determinant is minus that to the base.
    pub(crate) fn unwind<S: Simd>(&self, s: S, pass: PassBack<'_>) {
        match self.known() {
            Known::Coupling(l) => l.unwind(s, pass),
            Known::Autoregressive(_) => unreachable!("checked by Stack::unwinds"),
            Known::Elementwise(l) => l.unwind(pass),
            Known::Linear(l) => l.unwind(s, pass),
            Known::Permutation(order) => {
                let by_x = &mut pass.scratch[..pass.gradient.len()];
                by_x.copy_from_slice(pass.gradient);
                permutation::to_base(order, by_x, pass.gradient);
            }
        }
    }
}

fn add_constant(to: &mut [f32], constant: f32) {
    to.iter_mut().for_each(|v| *v += constant);
}
