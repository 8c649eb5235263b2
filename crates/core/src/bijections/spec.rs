//! How a bijection is chosen in an experiment file, and how it is built from that.

use candle_core::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    affine, autoregressive, chain, coupling, linear, permutation, planar, pull_back, radial,
    Bijection, MaskedAutoregressiveSpec, MaskedAutoregressiveSplineSpec,
};
use crate::error::BadValue;
use crate::nn::mlp::{check_hidden, Activation};
use crate::nn::Params;
use crate::{Error, Result};

/// Which bijection, with its settings. `forward` maps base to data; a chain's first member is
/// nearest the base.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum BijectionSpec {
    /// A stack of affine couplings (Real NVP).
    AffineCoupling(AffineCouplingSpec),
    /// A stack of rational-quadratic spline couplings.
    SplineCoupling(SplineCouplingSpec),
    /// A stack of affine masked autoregressive layers (MAF).
    MaskedAutoregressive(MaskedAutoregressiveSpec),
    /// A stack of masked autoregressive layers with rational-quadratic splines.
    MaskedAutoregressiveSpline(MaskedAutoregressiveSplineSpec),
    /// A scale and a shift for every coordinate.
    Elementwise(ElementwiseSpec),
    /// A learned invertible matrix.
    Linear(LinearSpec),
    /// A fixed reordering of the coordinates.
    Permutation(PermutationSpec),
    /// A stack of planar layers.
    Planar(PlanarSpec),
    /// A stack of radial layers.
    Radial(RadialSpec),
    /// Several, applied one after the other from base to data.
    Chain(Vec<BijectionSpec>),
}

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

/// `affine_coupling = { layers = 8, hidden = [64, 64] }`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AffineCouplingSpec {
    /// Number of couplings.
    pub layers: usize,
    /// Widths of the conditioner's hidden layers.
    pub hidden: Vec<usize>,
    /// Nonlinearity of the conditioner.
    pub activation: Activation,
    /// Bound on |log scale| of one coupling (nats per coordinate).
    pub log_scale_bound: f64,
    /// What stands between two couplings.
    pub mixing: Mixing,
}

impl Default for AffineCouplingSpec {
    fn default() -> Self {
        Self {
            layers: 8,
            hidden: vec![64, 64],
            activation: Activation::default(),
            log_scale_bound: 3.0,
            mixing: Mixing::default(),
        }
    }
}

/// `spline_coupling = { layers = 4, bins = 8 }`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SplineCouplingSpec {
    /// Number of couplings.
    pub layers: usize,
    /// Widths of the conditioner's hidden layers.
    pub hidden: Vec<usize>,
    /// Nonlinearity of the conditioner.
    pub activation: Activation,
    /// Number of spline bins.
    pub bins: usize,
    /// B: the spline acts on [-B, B] and is the identity outside.
    pub tail_bound: f64,
    /// What stands between two couplings.
    pub mixing: Mixing,
}

impl Default for SplineCouplingSpec {
    fn default() -> Self {
        Self {
            layers: 4,
            hidden: vec![64, 64],
            activation: Activation::default(),
            bins: 8,
            tail_bound: 5.0,
            mixing: Mixing::default(),
        }
    }
}

/// How an elementwise layer starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ElementwiseInit {
    /// Scale 1, shift 0.
    #[default]
    Identity,
    /// Scale and shift that give the training points mean 0 and variance 1 on the base side
    /// (actnorm, Kingma and Dhariwal 2018).
    Data,
}

/// `elementwise = { init = "data" }`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ElementwiseSpec {
    /// How it starts.
    pub init: ElementwiseInit,
}

/// `linear = {}`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LinearSpec {}

/// `permutation = { order = "reverse" }`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PermutationSpec {
    /// Which order.
    pub order: Order,
}

/// The order of a fixed permutation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Last coordinate first.
    #[default]
    Reverse,
    /// Drawn once from the run's seed.
    Shuffle,
}

/// `planar = { layers = 32 }`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PlanarSpec {
    /// Number of layers.
    pub layers: usize,
}

impl Default for PlanarSpec {
    fn default() -> Self {
        Self { layers: 32 }
    }
}

/// `radial = { layers = 16 }`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RadialSpec {
    /// Number of layers.
    pub layers: usize,
}

impl Default for RadialSpec {
    fn default() -> Self {
        Self { layers: 16 }
    }
}

/// A bijection that was built, and the points it was built from pulled back to its base side.
pub type Built = (Box<dyn Bijection>, Option<Tensor>);

impl BijectionSpec {
    /// Makes the bijection for `dim` coordinates with parameters from `params`. `points` (n, dim)
    /// are training points at its data side, for members that start from the data; they are not
    /// needed when parameters are loaded.
    pub fn build(&self, params: &Params, dim: usize, points: Option<Tensor>) -> Result<Built> {
        let bijection: Box<dyn Bijection> = match self {
            Self::AffineCoupling(s) => {
                return coupling::stack(params, dim, points, s.layers, s.mixing, |p, layer| {
                    Ok(Box::new(coupling::Coupling::affine(p, dim, layer, s)?))
                })
            }
            Self::SplineCoupling(s) => {
                return coupling::stack(params, dim, points, s.layers, s.mixing, |p, layer| {
                    Ok(Box::new(coupling::Coupling::spline(p, dim, layer, s)?))
                })
            }
            Self::MaskedAutoregressive(s) => {
                let layer = |p: &Params, layer| autoregressive::affine(p, dim, layer, s);
                return coupling::stack(params, dim, points, s.layers, Mixing::None, layer);
            }
            Self::MaskedAutoregressiveSpline(s) => {
                let layer = |p: &Params, layer| autoregressive::spline(p, dim, layer, s);
                return coupling::stack(params, dim, points, s.layers, Mixing::None, layer);
            }
            Self::Chain(members) => return chain::build(members, params, dim, points),
            Self::Elementwise(s) => match (s.init, &points) {
                (ElementwiseInit::Data, Some(points)) => Box::new(
                    affine::Elementwise::from_points(params, points, None, true)?,
                ),
                (ElementwiseInit::Data, None) if !params.is_loading() => {
                    return Err(Error::request(
                        "elementwise: expected training points for `init = \"data\"`; got none",
                    ))
                }
                _ => Box::new(affine::Elementwise::identity(params, dim)?),
            },
            Self::Linear(_) => Box::new(linear::Linear::new(params, dim)?),
            Self::Permutation(s) => Box::new(permutation::Permutation::new(params, dim, s.order)?),
            Self::Planar(s) => Box::new(planar::Planar::new(params, dim, s.layers)?),
            Self::Radial(s) => Box::new(radial::Radial::new(params, dim, s.layers)?),
        };
        let points = pull_back(bijection.as_ref(), points)?;
        Ok((bijection, points))
    }

    /// One of each kind, with the name under which tests and `mdn list` show it.
    pub fn examples() -> Vec<(&'static str, Self)> {
        let hidden = vec![5];
        let affine = AffineCouplingSpec {
            layers: 3,
            hidden: hidden.clone(),
            activation: Activation::Tanh,
            ..AffineCouplingSpec::default()
        };
        let spline = SplineCouplingSpec {
            layers: 2,
            hidden: hidden.clone(),
            activation: Activation::Tanh,
            bins: 4,
            tail_bound: 3.0,
            mixing: Mixing::None,
        };
        let mixed = |mixing| AffineCouplingSpec {
            mixing,
            ..affine.clone()
        };
        let autoregressive = |order| MaskedAutoregressiveSpec {
            layers: 3,
            hidden: vec![5, 3],
            activation: Activation::Tanh,
            order,
            ..MaskedAutoregressiveSpec::default()
        };
        let autoregressive_spline = MaskedAutoregressiveSplineSpec {
            layers: 2,
            hidden,
            activation: Activation::Tanh,
            bins: 4,
            tail_bound: 3.0,
            order: Order::Reverse,
        };
        vec![
            ("affine_coupling", Self::AffineCoupling(affine.clone())),
            (
                "affine_coupling (linear mixing)",
                Self::AffineCoupling(mixed(Mixing::Linear)),
            ),
            ("spline_coupling", Self::SplineCoupling(spline.clone())),
            (
                "masked_autoregressive (reverse)",
                Self::MaskedAutoregressive(autoregressive(Order::Reverse)),
            ),
            (
                "masked_autoregressive (shuffle)",
                Self::MaskedAutoregressive(autoregressive(Order::Shuffle)),
            ),
            (
                "masked_autoregressive_spline",
                Self::MaskedAutoregressiveSpline(autoregressive_spline),
            ),
            ("elementwise", Self::Elementwise(ElementwiseSpec::default())),
            ("linear", Self::Linear(LinearSpec {})),
            (
                "permutation (reverse)",
                Self::Permutation(PermutationSpec::default()),
            ),
            (
                "permutation (shuffle)",
                Self::Permutation(PermutationSpec {
                    order: Order::Shuffle,
                }),
            ),
            ("planar", Self::Planar(PlanarSpec { layers: 3 })),
            ("radial", Self::Radial(RadialSpec { layers: 3 })),
            (
                "chain",
                Self::Chain(vec![
                    Self::Elementwise(ElementwiseSpec::default()),
                    Self::SplineCoupling(spline),
                    Self::Linear(LinearSpec {}),
                    Self::AffineCoupling(affine.clone()),
                ]),
            ),
        ]
    }

    /// What is wrong with the settings, if anything.
    pub fn check(&self) -> std::result::Result<(), BadValue> {
        match self {
            Self::AffineCoupling(s) => check_stack(s.layers, &s.hidden)
                .and_then(|()| check_log_scale_bound(s.log_scale_bound))
                .map_err(|e| e.below("affine_coupling")),
            Self::SplineCoupling(s) => check_stack(s.layers, &s.hidden)
                .and_then(|()| check_spline(s.bins, s.tail_bound))
                .map_err(|e| e.below("spline_coupling")),
            Self::MaskedAutoregressive(s) => check_stack(s.layers, &s.hidden)
                .and_then(|()| check_log_scale_bound(s.log_scale_bound))
                .map_err(|e| e.below("masked_autoregressive")),
            Self::MaskedAutoregressiveSpline(s) => check_stack(s.layers, &s.hidden)
                .and_then(|()| check_spline(s.bins, s.tail_bound))
                .map_err(|e| e.below("masked_autoregressive_spline")),
            Self::Elementwise(_) | Self::Linear(_) | Self::Permutation(_) => Ok(()),
            Self::Planar(s) => check_layers(s.layers).map_err(|e| e.below("planar")),
            Self::Radial(s) => check_layers(s.layers).map_err(|e| e.below("radial")),
            Self::Chain(members) => {
                BadValue::unless(!members.is_empty(), "chain", "at least one member", "[]")?;
                members
                    .iter()
                    .try_for_each(Self::check)
                    .map_err(|e| e.below("chain"))
            }
        }
    }
}

fn check_layers(layers: usize) -> std::result::Result<(), BadValue> {
    BadValue::unless(
        (1..=1000).contains(&layers),
        "layers",
        "1 <= `layers` <= 1000",
        layers,
    )
}

fn check_stack(layers: usize, hidden: &[usize]) -> std::result::Result<(), BadValue> {
    check_layers(layers)?;
    check_hidden(hidden)
}

fn check_log_scale_bound(bound: f64) -> std::result::Result<(), BadValue> {
    BadValue::unless(
        bound > 0.0 && bound <= 20.0,
        "log_scale_bound",
        "0 < `log_scale_bound` <= 20",
        bound,
    )
}

fn check_spline(bins: usize, tail_bound: f64) -> std::result::Result<(), BadValue> {
    BadValue::unless(
        (1..=128).contains(&bins),
        "bins",
        "1 <= `bins` <= 128",
        bins,
    )?;
    BadValue::unless(
        (1e-6..=1e6).contains(&tail_bound),
        "tail_bound",
        "1e-6 <= `tail_bound` <= 1e6",
        tail_bound,
    )
}
