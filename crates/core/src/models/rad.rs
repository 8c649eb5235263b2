//! RAD (Dinh, Sohl-Dickstein, Larochelle, Pascanu 2019): stacked folds over one base.

use candle_core::{Device, Tensor, D};

use super::fold::{Fold, PARTS};
use super::{dispatch, Interleave, Model, RadSpec};
use crate::bijections::affine::standardise;
use crate::bijections::linear::Linear;
use crate::bijections::{pull_back, AffineCouplingSpec, Bijection};
use crate::distributions::{Components, Distribution, Draws};
use crate::nn::Params;
use crate::num;
use crate::rng::Rng;
use crate::Result;
use mdn_kernels::Fused;

/// log q(x) = log p_Z(z) + sum_l \[log|det J_l| + log p_l(parts | z_l)\]: from data to base every
/// layer is a function, from base to data each fold picks one of its pre-images by its gate. Up
/// to three parts per fold, at the cost of one pass.
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

/// Part of every fold, (n, folds of all layers) u8, in the order from data to base.
pub type Codes = Tensor;

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
                let members: Vec<Box<dyn Bijection>> = match kind {
                    Interleave::Linear => vec![Box::new(Linear::new(&params, dim)?)],
                    Interleave::AffineCoupling => {
                        let coupling = AffineCouplingSpec {
                            hidden: spec.hidden.clone(),
                            activation: spec.activation,
                            ..AffineCouplingSpec::default()
                        };
                        // First the half that this fold kept, so that neither its own scale and
                        // shift nor the next fold's can take the couplings over.
                        [l + 1, l]
                            .into_iter()
                            .map(|turn| {
                                let params = params.at(turn);
                                let made = coupling.coupling(&params, dim, turn)?;
                                Ok(Box::new(made) as Box<dyn Bijection>)
                            })
                            .collect::<Result<_>>()?
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
        let fused = dispatch::fuse(params, dim, kernel, base.kernel())?;
        Ok(Self {
            layers,
            base,
            dim,
            fused,
        })
    }

    /// x (n, dim) -> z, the sum of all log-dets and gate log-probabilities (n,), and the code.
    pub fn fold(&self, x: &Tensor) -> Result<(Tensor, Tensor, Codes)> {
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
    /// point that folds to something else.
    pub fn unfold(&self, z: &Tensor, codes: &Codes) -> Result<Tensor> {
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

    /// x without a path to the parameters, and the whole gradient as the score of log q in the
    /// weight. Unbiased, since log q is continuous in x and the parameters.
    ///
    /// A path through the sampled branches is not: where z leaves the overlap of a fold, two
    /// branches end and the third takes all (its gate's probability jumps to 1), so
    /// E\[h(x) | z\] jumps at a place that moves with the parameters, and neither the path nor the
    /// score of the branches sees that motion.
    fn draws(&self, n: usize, _progress: f64, rng: &mut Rng) -> Result<Draws> {
        let n = n.max(2);
        let x = self.sample(n, rng)?;
        let log_prob = self.log_prob(&x)?;
        let chance = log_prob.clone();
        Draws::scored(x, log_prob, &chance)
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
        // Number of the code word in base 3; beyond 40 folds it wraps, which mixes words only by
        // rare accident.
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
