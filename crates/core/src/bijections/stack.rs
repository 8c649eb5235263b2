//! Stacks of layers that a transformer and its conditioner make.

use std::sync::Arc;

use candle_core::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::autoregressive::MaskedAutoregressive;
use super::chain::Chain;
use super::coupling::Coupling;
use super::linear::{Linear, LinearSpec};
use super::permutation::{Order, Permutation};
use super::{check_layers, pull_back, Bijection, Built, Settings, Transformer};
use crate::error::BadValue;
use crate::nn::mlp::{check_hidden, Activation};
use crate::nn::{Extent, Params};
use crate::Result;

/// What stands between two couplings of a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mixing {
    /// Nothing: the couplings take turns in which half they keep.
    #[default]
    None,
    /// A learned linear layer.
    Linear,
}

/// Which layers a stack has.
pub(super) enum Kind {
    Couplings(Mixing),
    Autoregressive(Order),
}

/// A stack's settings, whatever its transformer.
pub(super) struct Stack<'a> {
    layers: usize,
    hidden: &'a [usize],
    activation: Activation,
    kind: Kind,
    transformer: Arc<dyn Transformer>,
}

impl<'a> Stack<'a> {
    /// With these widths of the conditioner's hidden layers, and its nonlinearity.
    pub fn new(
        layers: usize,
        hidden: &'a [usize],
        activation: Activation,
        kind: Kind,
        transformer: impl Transformer + 'static,
    ) -> Self {
        Self {
            layers,
            hidden,
            activation,
            kind,
            transformer: Arc::new(transformer),
        }
    }

    /// Coupling number `layer`, the identity at the start.
    pub fn coupling(&self, params: &Params, dim: usize, layer: usize) -> Result<Coupling> {
        let (transformer, hidden) = (Arc::clone(&self.transformer), self.hidden);
        Coupling::new(params, dim, layer, transformer, hidden, self.activation)
    }

    /// The members that make layer number `layer`, from data to base; the identity at the start.
    fn layer(&self, params: &Params, dim: usize, layer: usize) -> Result<Vec<Box<dyn Bijection>>> {
        let (hidden, activation) = (self.hidden, self.activation);
        let (inner, order) = match self.kind {
            Kind::Couplings(mixing) => {
                let coupling = self.coupling(params, dim, layer)?;
                let mut members: Vec<Box<dyn Bijection>> = vec![Box::new(coupling)];
                if layer > 0 && mixing == Mixing::Linear {
                    members.push(Box::new(Linear::new(&params.at("mixing"), dim)?));
                }
                return Ok(members);
            }
            Kind::Autoregressive(order) => {
                let transformer = Arc::clone(&self.transformer);
                let inner =
                    MaskedAutoregressive::new(params, dim, transformer, hidden, activation)?;
                (inner, order)
            }
        };
        if dim == 1 || (order == Order::Reverse && layer.is_multiple_of(2)) {
            return Ok(vec![Box::new(inner)]);
        }
        let order = Permutation::new(params, dim, order)?;
        let back = order.inverse();
        let members: Vec<Box<dyn Bijection>> =
            vec![Box::new(order), Box::new(inner), Box::new(back)];
        Ok(vec![Box::new(Chain::new(members, dim))])
    }
}

impl Settings for Stack<'_> {
    fn check(&self) -> Result<(), BadValue> {
        check_layers(self.layers)?;
        check_hidden(self.hidden)?;
        self.transformer.check()
    }

    fn extent(&self, dim: usize) -> Extent {
        let layers = self.layers as f64;
        let outputs = self.transformer.start(1).len() as f64;
        let (kept, moved) = ((dim / 2) as f64, dim.div_ceil(2) as f64);
        let (inputs, moved, between) = match &self.kind {
            Kind::Couplings(Mixing::None) => (kept, moved, Extent::default()),
            Kind::Couplings(Mixing::Linear) => {
                (kept, moved, LinearSpec {}.extent(dim).times(layers - 1.0))
            }
            Kind::Autoregressive(_) => (dim as f64, dim as f64, Extent::default()),
        };
        let layer = Extent::net(inputs, self.hidden, outputs * moved) + Extent::layer(dim, 0.0);
        layer.times(layers) + between
    }

    /// Built from the data side, so that `points` arrive at the base.
    fn build(&self, params: &Params, dim: usize, mut points: Option<Tensor>) -> Result<Built> {
        let mut members = Vec::new();
        for layer in (0..self.layers).rev() {
            for member in self.layer(&params.at(layer), dim, layer)? {
                points = pull_back(member.as_ref(), points)?;
                members.push(member);
            }
        }
        members.reverse();
        Ok((Box::new(Chain::new(members, dim)), points))
    }
}
