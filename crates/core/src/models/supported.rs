//! A model on R^D mapped onto a support: a box, the positive numbers, the simplex.

use candle_core::Tensor;

use super::Model;
use crate::bijections::{Bijection, Support, SupportSpec};
use crate::distributions::{Components, Distribution, Draws, RelaxedSamples};
use crate::num;
use crate::rng::Rng;
use crate::Result;
use mdn_kernels::Isa;

/// q(x) = q_0(f^-1(x)) |det df^-1/dx| on the support, 0 outside, for a model q_0 on R^D and a map f
/// onto the support. Phases, parts, weights and kernels are the model's own.
pub struct Supported {
    model: Box<dyn Model>,
    support: Support,
}

impl Supported {
    /// `model` must have been started from training points as [`SupportSpec::pull_back`] gives them.
    ///
    /// # Errors
    /// If the support does not fit the model's number of coordinates.
    pub fn new(model: Box<dyn Model>, support: &SupportSpec) -> Result<Self> {
        let support = support.build(model.dim())?;
        Ok(Self { model, support })
    }

    /// Which points (n, dim) are outside (n,), and the inverse map with its log-det (n,). Points
    /// outside are replaced by one inside first, so that no gradient is NaN.
    fn inverse(&self, x: &Tensor) -> Result<(Tensor, Tensor, Tensor)> {
        num::expect_points("supported model", x, self.dim())?;
        let outside = self.support.outside(x)?;
        let origin = Tensor::zeros((1, self.dim()), x.dtype(), x.device())?;
        let (stand_in, _) = self.support.forward_and_log_det(&origin)?;
        let inside = outside
            .unsqueeze(1)?
            .broadcast_as(x.shape())?
            .contiguous()?
            .where_cond(&stand_in.broadcast_as(x.shape())?.contiguous()?, x)?;
        let (z, log_det) = self.support.inverse_and_log_det(&inside)?;
        Ok((outside, z, log_det))
    }
}

/// log q, and -inf outside: (n,).
fn nothing_outside(outside: &Tensor, log_q: &Tensor) -> Result<Tensor> {
    let nothing = Tensor::full(f64::NEG_INFINITY, log_q.shape(), log_q.device())?;
    Ok(outside.where_cond(&nothing.to_dtype(log_q.dtype())?, log_q)?)
}

impl Distribution for Supported {
    fn dim(&self) -> usize {
        self.model.dim()
    }

    fn log_prob(&self, x: &Tensor) -> Result<Tensor> {
        let (outside, z, log_det) = self.inverse(x)?;
        nothing_outside(&outside, &(self.model.log_prob(&z)? + log_det)?)
    }

    fn sample(&self, n: usize, rng: &mut Rng) -> Result<Tensor> {
        let z = self.model.sample(n, rng)?;
        Ok(self.support.forward_and_log_det(&z)?.0.detach())
    }

    fn draws(&self, n: usize, progress: f64, rng: &mut Rng) -> Result<Draws> {
        let inner = self.model.draws(n, progress, rng)?;
        let (x, log_det) = self.support.forward_and_log_det(&inner.x)?;
        Ok(Draws {
            x,
            log_prob: (inner.log_prob - log_det)?,
            ..inner
        })
    }

    fn relaxed_samples(&self, n: usize, rng: &mut Rng) -> Result<Option<RelaxedSamples>> {
        let Some(inner) = self.model.relaxed_samples(n, rng)? else {
            return Ok(None);
        };
        let (x, log_det) = self.support.forward_and_log_det(&inner.x)?;
        Ok(Some(RelaxedSamples {
            x,
            log_including: (inner.log_including - &log_det)?,
            log_excluding: (inner.log_excluding - log_det)?,
        }))
    }

    /// Points outside have the part of the support's centre.
    fn part(&self, x: &Tensor) -> Result<Option<Vec<u64>>> {
        self.model.part(&self.inverse(x)?.1)
    }

    fn responsibilities(&self, x: &Tensor) -> Result<Option<Tensor>> {
        self.model.responsibilities(&self.inverse(x)?.1)
    }

    fn components(&self) -> Result<Option<Components>> {
        self.model.components()
    }

    fn set_components(&self, components: &Components) -> Result<()> {
        self.model.set_components(components)
    }
}

impl Model for Supported {
    fn base(&self) -> Option<&dyn Distribution> {
        self.model.base()
    }

    fn to_base(&self, x: &Tensor) -> Result<Option<Tensor>> {
        self.model.to_base(&self.inverse(x)?.1)
    }

    fn to_data(&self, z: &Tensor) -> Result<Option<(Tensor, Tensor)>> {
        let Some((inner, log_det)) = self.model.to_data(z)? else {
            return Ok(None);
        };
        let (x, more) = self.support.forward_and_log_det(&inner)?;
        Ok(Some((x, (log_det + more)?)))
    }

    fn round_trip(&self, x: &Tensor) -> Result<Option<Tensor>> {
        let back = self.model.round_trip(&self.inverse(x)?.1)?;
        back.map(|z| Ok(self.support.forward_and_log_det(&z)?.0.detach()))
            .transpose()
    }

    fn phases(&self) -> Vec<f64> {
        self.model.phases()
    }

    fn parameters(&self, trained: usize) -> Option<usize> {
        self.model.parameters(trained)
    }

    fn training_log_prob(&self, phase: usize, x: &Tensor, rng: &mut Rng) -> Result<Tensor> {
        let (outside, z, log_det) = self.inverse(x)?;
        // The model's values may be in another order than the points, but only their mean is used.
        let bound = (self.model.training_log_prob(phase, &z, rng)? + log_det)?;
        nothing_outside(&outside, &bound)
    }

    fn mean_training_log_prob(&self, phase: usize, x: &Tensor, rng: &mut Rng) -> Result<Tensor> {
        let (outside, z, log_det) = self.inverse(x)?;
        let log_det = nothing_outside(&outside, &log_det)?.mean_all()?;
        Ok((self.model.mean_training_log_prob(phase, &z, rng)? + log_det)?)
    }

    fn kernels(&self) -> Option<Isa> {
        self.model.kernels()
    }

    fn kernels_of_samples(&self) -> Option<Isa> {
        self.model.kernels_of_samples()
    }
}
