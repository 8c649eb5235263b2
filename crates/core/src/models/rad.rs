//! RAD (Dinh, Sohl-Dickstein, Larochelle, Pascanu 2019): stacked folds over one base.

use candle_core::{Device, Tensor, D};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fold::{Fold, PARTS};
use super::{fuse, Model, ModelSpec, Settings, Start};
use crate::bijections::affine::standardise;
use crate::bijections::linear::Linear;
use crate::bijections::{pull_back, AffineCouplingSpec, Bijection, BijectionSpec, LinearSpec};
use crate::distributions::{BaseSpec, Components, Distribution, Draws, MixtureDraws};
use crate::error::BadValue;
use crate::nn::mlp::{check_hidden, Activation};
use crate::nn::{Extent, Params};
use crate::num;
use crate::rng::Rng;
use crate::Result;
use mdn_kernels::Fused;

/// How RAD's probability of each branch is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Gates {
    /// By the slopes alone.
    Flat,
    /// Two logits per fold from the layer's conditioner.
    #[default]
    Edge,
    /// A network of the kept coordinates and the place along the fold.
    Net,
}

/// What may stand between two folded layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Interleave {
    /// Two affine couplings with the layers' conditioner widths, one on each half: a neighbouring
    /// fold could do the work of a single one.
    AffineCoupling,
    /// A learned linear layer.
    Linear,
}

/// `[models.NAME.rad]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RadSpec {
    /// Number of folded layers.
    pub layers: usize,
    /// Widths of the conditioners' hidden layers.
    pub hidden: Vec<usize>,
    /// Nonlinearity of the conditioners.
    pub activation: Activation,
    /// How the branch probabilities are given.
    pub gates: Gates,
    /// Half the width of a fold's middle part at the start, in standard
    /// deviations of the training points (in the data's own unit with `standardise = false`).
    pub fold_width: f64,
    /// Standard deviation of the folds' starting positions, in standard
    /// deviations of the training points (in the data's own unit with `standardise = false`).
    pub fold_spread: f64,
    /// Ordinary bijections after every folded layer but the last, towards the base.
    pub interleave: Vec<Interleave>,
    /// The distribution at the base.
    pub base: BaseSpec,
    /// As for a flow.
    pub standardise: bool,
}

impl Default for RadSpec {
    fn default() -> Self {
        Self {
            layers: 6,
            hidden: vec![64, 64],
            activation: Activation::default(),
            gates: Gates::default(),
            fold_width: 0.5,
            fold_spread: 0.5,
            interleave: Vec::new(),
            base: BaseSpec::default(),
            standardise: true,
        }
    }
}

impl RadSpec {
    /// The couplings of [`Interleave::AffineCoupling`], one for each half.
    fn couplings(&self) -> AffineCouplingSpec {
        AffineCouplingSpec {
            layers: 2,
            hidden: self.hidden.clone(),
            activation: self.activation,
            // Saved models depend on it, and no file states it.
            log_scale_bound: 3.0,
            ..AffineCouplingSpec::default()
        }
    }
}

impl Settings for RadSpec {
    fn name(&self) -> &'static str {
        "rad"
    }

    fn build(&self, params: &Params, dim: usize, points: Option<Tensor>) -> Result<Box<dyn Model>> {
        Ok(Box::new(Rad::build(self, params, dim, points)?))
    }

    fn check(&self) -> std::result::Result<(), BadValue> {
        BadValue::within("layers", self.layers, 1, 1000)?;
        check_hidden(&self.hidden)?;
        BadValue::within("fold_width", self.fold_width, 0.02, 50.0)?;
        BadValue::unless(
            self.fold_spread >= 0.0 && self.fold_spread.is_finite(),
            "fold_spread",
            "`fold_spread` >= 0",
            self.fold_spread,
        )?;
        if let BaseSpec::Mixture(base) = &self.base {
            // RAD's draws carry the score of the whole path and do not use the base's.
            BadValue::unless(
                base.draws == MixtureDraws::Stratified,
                "base.mixture.draws",
                "no `draws` below `rad`, which has its own (other ways need a `flow`)",
                base.draws.name(),
            )?;
        }
        self.base.check().map_err(|e| e.below("base"))
    }

    fn extent(&self, dim: usize, drawn: Option<usize>) -> Extent {
        let (kept, folds) = ((dim as f64 / 2.0).floor(), (dim as f64 / 2.0).ceil());
        let state = Extent {
            parameters: 0.0,
            per_point: 6.0 * dim as f64,
        };
        let gates = match self.gates {
            Gates::Flat | Gates::Edge => Extent::default(),
            Gates::Net => Extent::net(kept + 1.0, &self.hidden, 2.0).times(folds),
        };
        let layer = Extent::net(kept, &self.hidden, 8.0 * folds) + gates + state;
        let between = self.interleave.iter().map(|member| match member {
            Interleave::AffineCoupling => {
                BijectionSpec::AffineCoupling(self.couplings()).extent(dim)
            }
            Interleave::Linear => BijectionSpec::Linear(LinearSpec {}).extent(dim),
        });
        let between = between.fold(Extent::default(), |a, b| a + b);
        let layers = self.layers as f64;
        layer.times(layers) + between.times(layers - 1.0) + self.base.extent(dim, drawn)
    }

    fn start(&self) -> Option<Start> {
        Start::of_base(self.name(), &self.base)
    }

    fn standardises(&self) -> bool {
        self.standardise
    }

    fn is_sized_by_points(&self) -> bool {
        self.base.is_sized_by_points()
    }

    fn settle(&self, params: &Params, points: &Tensor) -> Result<Option<ModelSpec>> {
        if !self.is_sized_by_points() {
            return Ok(None);
        }
        let (_, dim) = points.dims2()?;
        let rad = Rad::build(self, &params.again()?, dim, Some(points.clone()))?;
        Ok(Some(ModelSpec::Rad(Self {
            base: self.base.settled(&rad)?,
            ..self.clone()
        })))
    }
}

/// log q(x) = log p_Z(z) + sum_l \[log|det J_l| + log p_l(parts | z_l)\]: from data to base every
/// layer is a function; from base to data each fold picks one of its pre-images by its gate.
pub struct Rad {
    // From data to base.
    layers: Vec<Layer>,
    base: Box<dyn Distribution>,
    dim: usize,
    fused: Option<Fused>,
}

enum Layer {
    Fold(Fold),
    Bijection(Box<dyn Bijection>),
}

impl Layer {
    fn kernel(&self) -> Option<Vec<mdn_kernels::Layer<Tensor>>> {
        match self {
            Self::Fold(fold) => Some(vec![fold.kernel()?]),
            Self::Bijection(bijection) => bijection.kernel(),
        }
    }
}

impl Rad {
    /// Built from the data side: points -> standardised -> fold, \[bijections\], fold ... -> base.
    pub fn build(
        spec: &RadSpec,
        params: &Params,
        dim: usize,
        mut points: Option<Tensor>,
    ) -> Result<Self> {
        let mut layers = Vec::new();
        if spec.standardise {
            let layer = standardise(&params.at("standardise"), dim, points.as_ref(), None)?;
            points = pull_back(&layer, points)?;
            layers.push(Layer::Bijection(Box::new(layer)));
        }
        for l in 0..spec.layers {
            let params = params.at(l);
            let fold = Fold::new(&params.at("fold"), dim, l, spec)?;
            points = points
                .map(|p| Ok::<_, crate::Error>(fold.fold(&p)?.0.detach()))
                .transpose()?;
            layers.push(Layer::Fold(fold));
            if l + 1 == spec.layers {
                break;
            }
            for (i, kind) in spec.interleave.iter().enumerate() {
                let params = params.at("between").at(i);
                let coupling = |turn| spec.couplings().coupling(&params.at(turn), dim, turn);
                let members: Vec<Box<dyn Bijection>> = match kind {
                    Interleave::Linear => vec![Box::new(Linear::new(&params, dim)?)],
                    // First the half that this fold kept: otherwise the scale and shift of this fold
                    // or the next could do the couplings' work.
                    Interleave::AffineCoupling => {
                        vec![Box::new(coupling(l + 1)?), Box::new(coupling(l)?)]
                    }
                };
                for bijection in members {
                    points = pull_back(bijection.as_ref(), points)?;
                    layers.push(Layer::Bijection(bijection));
                }
            }
        }
        let base = spec.base.build(&params.at("base"), dim, points.as_ref())?;
        let kernel: Option<Vec<_>> = layers.iter().map(Layer::kernel).collect();
        let kernel = kernel.map(|layers| layers.concat());
        let fused = fuse(params, dim, kernel, base.kernel())?;
        Ok(Self {
            layers,
            base,
            dim,
            fused,
        })
    }

    /// x (n, dim) -> z, the sum of all log-dets and gate log-probabilities (n,), and the code: the
    /// part of every fold, (n, folds of all layers) u8, in the order from data to base.
    pub fn fold(&self, x: &Tensor) -> Result<(Tensor, Tensor, Tensor)> {
        let n = num::expect_points("rad", x, self.dim)?;
        let mut z = x.clone();
        let mut total = Tensor::zeros(n, x.dtype(), x.device())?;
        let mut codes = Vec::new();
        for layer in &self.layers {
            let (next, lambda) = match layer {
                Layer::Bijection(b) => b.inverse_and_log_det(&z)?,
                Layer::Fold(f) => {
                    let (next, lambda, part) = f.fold(&z)?;
                    codes.push(part);
                    (next, lambda)
                }
            };
            z = next;
            total = (total + lambda)?;
        }
        Ok((z, total, Tensor::cat(&codes, 1)?))
    }

    /// z (n, dim) and a code (n, folds) -> the pre-image with that code; where there is none, a
    /// point that folds to another z.
    pub fn unfold(&self, z: &Tensor, codes: &Tensor) -> Result<Tensor> {
        let mut x = z.clone();
        let mut end = codes.dim(1)?;
        for layer in self.layers.iter().rev() {
            x = match layer {
                Layer::Bijection(b) => b.forward_and_log_det(&x)?.0,
                Layer::Fold(f) => {
                    end -= f.folds();
                    f.unfold(&x, &codes.narrow(1, end, f.folds())?.contiguous()?)?
                }
            };
        }
        Ok(x)
    }
}

impl Distribution for Rad {
    fn dim(&self) -> usize {
        self.dim
    }

    fn log_prob(&self, x: &Tensor) -> Result<Tensor> {
        if let Some(fused) = &self.fused {
            num::expect_points("rad", x, self.dim)?;
            return Ok(fused.log_prob(x)?);
        }
        let (z, total, _) = self.fold(x)?;
        Ok((self.base.log_prob(&z)? + total)?)
    }

    fn sample(&self, n: usize, rng: &mut Rng) -> Result<Tensor> {
        let mut x = self.base.sample(n, rng)?;
        if let Some(fused) = &self.fused {
            return Ok(fused.to_data(&x, || rng.uniform())?);
        }
        for layer in self.layers.iter().rev() {
            x = match layer {
                Layer::Bijection(b) => b.forward_and_log_det(&x)?.0,
                Layer::Fold(f) => f.sample(&x, rng)?,
            }
            .detach();
        }
        Ok(x)
    }

    /// Samples without gradients; the weights carry the score of log q. Unbiased, since log q is
    /// continuous in x and the parameters.
    ///
    /// Gradients along the sampled branches would be biased: where z leaves the overlap of a fold, two
    /// branches end and the third gate's probability jumps to 1, so E\[h(x) | z\] jumps at a place
    /// that moves with the parameters. Neither the path nor the branches' score includes that motion.
    fn draws(&self, n: usize, _progress: f64, rng: &mut Rng) -> Result<Draws> {
        let n = n.max(2);
        let x = self.sample(n, rng)?;
        let log_prob = self.log_prob(&x)?;
        Draws::scored(x, log_prob.clone(), &log_prob)
    }

    fn components(&self) -> Result<Option<Components>> {
        self.base.components()
    }

    fn part(&self, x: &Tensor) -> Result<Option<Vec<u64>>> {
        let codes = match &self.fused {
            Some(fused) => {
                let (n, parts) = (x.dim(0)?, fused.to_base(x)?.1);
                let folds = parts.len() / n.max(1);
                Tensor::from_vec(parts, (n, folds), &Device::Cpu)?
            }
            None => self.fold(x)?.2,
        };
        // The code word as a number in base 3. Beyond 40 folds it wraps, and two words rarely agree.
        let folds = codes.dim(D::Minus1)?;
        let digits = codes.flatten_all()?.to_vec1::<u8>()?;
        let number = |word: &[u8]| {
            word.iter().fold(0u64, |n, &d| {
                n.wrapping_mul(u64::from(PARTS)).wrapping_add(u64::from(d))
            })
        };
        Ok(Some(digits.chunks(folds).map(number).collect()))
    }
}

impl Model for Rad {
    fn training_log_prob(&self, _phase: usize, x: &Tensor, rng: &mut Rng) -> Result<Tensor> {
        if self.fused.is_some() {
            return self.log_prob(x);
        }
        let (z, total, _) = self.fold(x)?;
        Ok((self.base.estimate_log_prob(&z, rng)? + total)?)
    }

    fn to_base(&self, x: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(self.fold(x)?.0))
    }

    fn round_trip(&self, x: &Tensor) -> Result<Option<Tensor>> {
        let (z, _, codes) = self.fold(x)?;
        Ok(Some(self.unfold(&z.detach(), &codes)?.detach()))
    }

    fn fused(&self) -> Option<&Fused> {
        self.fused.as_ref()
    }
}
