//! Masked autoregressive layers as two couplings: one moves the first coordinate, one all others.

use super::coupling::Coupling;
use super::{BackwardPass, Compiled, Pass};
use crate::conditioner::{self, Conditioner, Slot};
use crate::product::TILE;
use crate::simd::Verified;
use crate::transformer::{Direction, Transformer, TransformerPass};

/// The weights that one layer of a masked conditioner has.
#[derive(Debug, Clone)]
pub struct LayerMask {
    /// Its inputs.
    pub inputs: usize,
    /// Where in the matrix (inputs, outputs), row by row, its weights are, in their order; `None`
    /// if there is one at every place.
    pub places: Option<Vec<usize>>,
}

/// A masked conditioner, which is expanded to dense matrices with zeros among the layer's derived
/// numbers. Dense products do up to twice the needed multiplications, but many small products would
/// cost more.
struct Masked {
    /// The weights that the masks leave.
    net: Conditioner<Slot>,
    layers: Vec<LayerMask>,
    /// Numbers of the dense conditioner.
    len: usize,
}

impl Masked {
    /// Also returns the dense conditioner.
    fn new(net: Conditioner<Slot>, layers: Vec<LayerMask>) -> (Self, Conditioner<Slot>) {
        let mut len = 0;
        let mut place = |numbers| Slot::after(&mut len, numbers);
        let sizes = net.layers.iter().zip(&layers);
        let dense = Conditioner {
            layers: sizes
                .map(|((_, bias), mask)| (Some(place(mask.inputs * bias.len)), place(bias.len)))
                .collect(),
            activation: net.activation,
        };
        (Self { net, layers, len }, dense)
    }

    /// Calls `f` (parameters, dense, length) for every run that is contiguous on both sides.
    fn each_run(&self, dense: &Conditioner<Slot>, mut f: impl FnMut(usize, usize, usize)) {
        let layers = self.net.layers.iter().zip(&dense.layers).zip(&self.layers);
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
}

/// See [`super::Layer::Autoregressive`].
pub(super) struct Autoregressive {
    /// Keeps nothing and moves coordinate 1.
    first: Coupling,
    /// Keeps coordinates 1 to D - 1 and moves 2 to D; `None` if D = 1.
    rest: Option<Coupling>,
    /// Where the parameters of `rest` come from if they are among the derived numbers.
    masked: Option<Masked>,
}

impl Autoregressive {
    pub(super) fn new(
        transformer: Transformer,
        dim: usize,
        first: Conditioner<Slot>,
        rest: Option<(Conditioner<Slot>, Option<Vec<LayerMask>>)>,
    ) -> Self {
        let mut masked = None;
        let rest = rest.map(|(net, masks)| Coupling {
            transformer,
            kept: 0..dim - 1,
            moved: 1..dim,
            conditioner: match masks {
                Some(masks) => {
                    let (mask, dense) = Masked::new(net, masks);
                    masked = Some(mask);
                    dense
                }
                None => net,
            },
        });
        let first = Coupling {
            transformer,
            kept: 0..0,
            moved: 0..1,
            conditioner: first,
        };
        Self {
            first,
            rest,
            masked,
        }
    }
}

impl Compiled for Autoregressive {
    fn derived(&self) -> usize {
        self.masked.as_ref().map_or(0, |masked| masked.len)
    }

    fn derive(&self, params: &[f32], to: &mut [f32]) {
        if let (Some(masked), Some(rest)) = (&self.masked, &self.rest) {
            to.fill(0.0);
            masked.each_run(&rest.conditioner, |from, place, len| {
                to[place..place + len].copy_from_slice(&params[from..from + len]);
            });
        }
    }

    /// Adds the gradients by the dense weights to those by the parameters.
    fn finish(&self, _params: &[f32], by_derived: &[f32], gradient: &mut [f32]) {
        if let (Some(masked), Some(rest)) = (&self.masked, &self.rest) {
            masked.each_run(&rest.conditioner, |to, place, len| {
                let from = &by_derived[place..place + len];
                for (to, from) in gradient[to..to + len].iter_mut().zip(from) {
                    *to += from;
                }
            });
        }
    }

    fn saved(&self) -> usize {
        self.first.saved() + self.rest.as_ref().map_or(0, Coupling::saved)
    }

    fn added(&self) -> Vec<Slot> {
        let masked = self.masked.iter();
        masked.flat_map(|masked| masked.net.slots()).collect()
    }

    fn scratch(&self) -> usize {
        let rest = self.rest.as_ref().map_or(0, Coupling::scratch);
        self.first.scratch().max(rest)
    }

    fn products(&self) -> usize {
        match (&self.masked, &self.rest) {
            (Some(masked), _) => masked.net.products(),
            (None, rest) => rest.as_ref().map_or(0, Coupling::products),
        }
    }

    fn to_base(&self, isa: Verified, mut pass: Pass<'_>) {
        let saved = std::mem::take(&mut pass.saved);
        let (saved, rest_saved) = saved.split_at_mut(self.first.saved());
        if let Some(rest) = &self.rest {
            let mut pass = pass.reborrow();
            if self.masked.is_some() {
                pass.params = pass.derived;
            }
            pass.saved = rest_saved;
            rest.to_base(isa, pass);
        }
        self.first.to_base(isa, Pass { saved, ..pass });
    }

    /// One coordinate after the other.
    fn to_data(&self, isa: Verified, mut pass: Pass<'_>) {
        let saved = std::mem::take(&mut pass.saved);
        let (saved, rest_saved) = saved.split_at_mut(self.first.saved());
        let mut first = pass.reborrow();
        first.saved = saved;
        self.first.to_data(isa, first);
        let Some(rest) = &self.rest else { return };
        let params = match self.masked {
            Some(_) => pass.derived,
            None => pass.params,
        };
        let net = &rest.conditioner;
        let (hidden, theta) = rest_saved.split_at_mut(net.hidden() * TILE);
        for known in 1..rest.moved.end {
            // The mask hides coordinates that have not been sampled yet, but 0 * NaN is NaN.
            pass.to[known * TILE..].fill(0.0);
            let kept = &pass.to[..rest.kept.end * TILE];
            conditioner::forward(isa, net, params, pass.samples, kept, hidden, theta);
            let moved = TransformerPass {
                samples: pass.samples,
                theta: &mut *theta,
                from: &pass.from[TILE..],
                to: &mut pass.to[TILE..],
                log_det: &mut [],
                parts: &mut [],
            };
            rest.transformer.run(isa, Direction::ToData(moved));
        }
    }

    fn backward(&self, isa: Verified, mut pass: BackwardPass<'_>) {
        let (saved, rest_saved) = pass.saved.split_at(self.first.saved());
        let mut first = pass.reborrow();
        first.saved = saved;
        self.first.backward(isa, first);
        let Some(rest) = &self.rest else { return };
        if self.masked.is_some() {
            pass.params = pass.derived;
            pass.params_gradient = pass.derived_gradient;
            pass.derived_gradient = &mut [];
        }
        pass.saved = rest_saved;
        rest.backward(isa, pass);
    }

    fn has_to_data_backward(&self) -> bool {
        false
    }

    fn to_data_backward(&self, _isa: Verified, _pass: BackwardPass<'_>) {
        unreachable!("checked by Stack::has_to_data_backward");
    }
}
