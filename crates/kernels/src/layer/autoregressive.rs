//! Masked autoregressive layers as two couplings: one moves the first coordinate, one all others.

use candle_core::Tensor;

use super::coupling::Coupling;
use super::{BackwardPass, Pass};
use crate::conditioner::{self, Conditioner, Slot};
use crate::product::TILE;
use crate::simd::Simd;
use crate::transformer::TransformerPass;

/// The weights that one layer of a masked conditioner has.
#[derive(Debug, Clone)]
pub struct LayerMask {
    /// Its inputs.
    pub inputs: usize,
    /// Where in the matrix (inputs, outputs), row by row, its weights are, in their order; `None`
    /// if there is one at every place.
    pub places: Option<Vec<usize>>,
}

/// The masks of a conditioner, which is expanded to dense matrices with zeros. Dense products do up to
/// twice the needed multiplications, but many small products would cost more.
#[derive(Debug, Clone)]
pub struct Masks {
    layers: Vec<LayerMask>,
    /// The dense conditioner, whose weights are among the layer's derived numbers.
    dense: Conditioner<Slot>,
    len: usize,
}

impl Masks {
    /// `net` holds the weights that the masks `layers` leave.
    pub fn new(net: &Conditioner<Tensor>, layers: Vec<LayerMask>) -> Self {
        let mut len = 0usize;
        let mut place = |numbers: usize| {
            let slot = Slot {
                start: len,
                len: numbers,
            };
            len = (len + numbers).next_multiple_of(16);
            slot
        };
        let sizes = net.layers.iter().zip(&layers).map(|((_, bias), mask)| {
            let outputs = bias.elem_count();
            (Some(place(mask.inputs * outputs)), place(outputs))
        });
        let dense = Conditioner {
            layers: sizes.collect(),
            activation: net.activation,
        };
        Self { layers, dense, len }
    }

    /// Numbers of the dense conditioner.
    pub(super) fn derived(&self) -> usize {
        self.len
    }

    /// Calls `f` (parameters, dense, length) for every run that is contiguous on both sides.
    fn each_run(&self, net: &Conditioner<Slot>, mut f: impl FnMut(usize, usize, usize)) {
        let layers = net.layers.iter().zip(&self.dense.layers).zip(&self.layers);
        for (((weight, bias), (dense_weight, dense_bias)), mask) in layers {
            if let (Some(weight), Some(dense)) = (weight, dense_weight) {
                match &mask.places {
                    None => f(weight.start, dense.start, weight.len),
                    Some(places) => {
                        for (i, place) in places.iter().enumerate() {
                            f(weight.start + i, dense.start + place, 1);
                        }
                    }
                }
            }
            f(bias.start, dense_bias.start, bias.len);
        }
    }

    pub(super) fn derive(&self, net: &Conditioner<Slot>, params: &[f32], to: &mut [f32]) {
        to.fill(0.0);
        self.each_run(net, |from, place, len| {
            to[place..place + len].copy_from_slice(&params[from..from + len]);
        });
    }

    /// Adds the gradients by the dense weights to those by the parameters.
    pub(super) fn finish(&self, net: &Conditioner<Slot>, by_derived: &[f32], gradient: &mut [f32]) {
        self.each_run(net, |to, place, len| {
            let from = &by_derived[place..place + len];
            for (to, from) in gradient[to..to + len].iter_mut().zip(from) {
                *to += from;
            }
        });
    }
}

/// See [`super::Layer::Autoregressive`].
pub(super) struct Autoregressive<'l> {
    /// Keeps nothing and moves coordinate 1.
    pub first: Coupling<'l>,
    /// Keeps coordinates 1 to D - 1 and moves 2 to D; `None` if D = 1.
    pub rest: Option<Coupling<'l>>,
    /// Whether the parameters of `rest` are among the derived numbers.
    pub masked: bool,
}

impl<'l> Autoregressive<'l> {
    pub(super) fn new(
        transformer: super::Transformer,
        dim: usize,
        first: &'l Conditioner<Slot>,
        rest: Option<&'l (Conditioner<Slot>, Option<Masks>)>,
    ) -> Self {
        Self {
            first: Coupling {
                transformer,
                kept: 0..0,
                moved: 0..1,
                conditioner: first,
            },
            rest: rest.map(|(net, masks)| Coupling {
                transformer,
                kept: 0..dim - 1,
                moved: 1..dim,
                conditioner: masks.as_ref().map_or(net, |masks| &masks.dense),
            }),
            masked: rest.is_some_and(|(_, masks)| masks.is_some()),
        }
    }

    pub(super) fn saved(&self) -> usize {
        self.first.saved() + self.rest.as_ref().map_or(0, Coupling::saved)
    }

    pub(super) fn scratch(&self) -> usize {
        let rest = self.rest.as_ref().map_or(0, Coupling::scratch);
        self.first.scratch().max(rest)
    }

    pub(super) fn to_base<S: Simd>(&self, s: S, pass: Pass<'_>) {
        let (saved, rest_saved) = pass.saved.split_at_mut(self.first.saved());
        if let Some(rest) = &self.rest {
            rest.to_base(
                s,
                Pass {
                    params: if self.masked {
                        pass.derived
                    } else {
                        pass.params
                    },
                    derived: &[],
                    samples: pass.samples,
                    from: pass.from,
                    to: &mut *pass.to,
                    saved: rest_saved,
                    log_det: &mut *pass.log_det,
                    parts: &mut [],
                },
            );
        }
        self.first.to_base(s, Pass { saved, ..pass });
    }

    /// One coordinate after the other.
    pub(super) fn to_data<S: Simd>(&self, s: S, pass: Pass<'_>) {
        let (saved, rest_saved) = pass.saved.split_at_mut(self.first.saved());
        let params = if self.masked {
            pass.derived
        } else {
            pass.params
        };
        self.first.to_data(
            s,
            Pass {
                params: pass.params,
                derived: &[],
                samples: pass.samples,
                from: pass.from,
                to: &mut *pass.to,
                saved,
                log_det: &mut *pass.log_det,
                parts: &mut [],
            },
        );
        let Some(rest) = &self.rest else { return };
        let (hidden, theta) = rest_saved.split_at_mut(rest.conditioner.hidden() * TILE);
        for known in 1..rest.moved.end {
            // The mask hides coordinates that have not been sampled yet, but 0 * NaN is NaN.
            pass.to[known * TILE..].fill(0.0);
            conditioner::forward(
                s,
                rest.conditioner,
                params,
                pass.samples,
                &pass.to[..rest.kept.end * TILE],
                hidden,
                theta,
            );
            rest.transformer.to_data(
                s,
                TransformerPass {
                    samples: pass.samples,
                    theta: &mut *theta,
                    from: &pass.from[TILE..],
                    to: &mut pass.to[TILE..],
                    log_det: &mut *pass.log_det,
                    parts: &mut [],
                },
            );
        }
    }

    pub(super) fn backward<S: Simd>(&self, s: S, pass: BackwardPass<'_>) {
        let (saved, rest_saved) = pass.saved.split_at(self.first.saved());
        self.first.backward(
            s,
            BackwardPass {
                params: pass.params,
                derived: &[],
                samples: pass.samples,
                x: pass.x,
                z: pass.z,
                saved,
                weight: pass.weight,
                gradient: &mut *pass.gradient,
                params_gradient: &mut *pass.params_gradient,
                fresh: pass.fresh,
                derived_gradient: &mut [],
                scratch: &mut *pass.scratch,
            },
        );
        let Some(rest) = &self.rest else { return };
        let (params, params_gradient) = if self.masked {
            (pass.derived, pass.derived_gradient)
        } else {
            (pass.params, pass.params_gradient)
        };
        rest.backward(
            s,
            BackwardPass {
                params,
                params_gradient,
                derived: &[],
                derived_gradient: &mut [],
                saved: rest_saved,
                ..pass
            },
        );
    }
}
