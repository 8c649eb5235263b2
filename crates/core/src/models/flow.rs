//! A normalizing flow: a base distribution carried to the data by a bijection.

use candle_core::Tensor;

use super::{dispatch, FlowSpec, Model};
use crate::bijections::affine::standardise;
use crate::bijections::chain::Chain;
use crate::bijections::Bijection;
use crate::distributions::{Components, Distribution, Draws, RelaxedSamples};
use crate::nn::Params;
use crate::num;
use crate::rng::Rng;
use crate::Result;
use mdn_kernels::{Base, Fused, Isa};

/// log q(x) = log p_Z(f^-1(x)) + log|det df^-1/dx|.
pub struct Flow {
    bijection: Box<dyn Bijection>,
    base: Box<dyn Distribution>,
    fused: Option<Fused>,
    /// The bijection alone, where the kernels lack the base.
    layers: Option<Fused>,
}

impl Flow {
    /// Built from the data side: points -> standardised -> bijection -> base.
    pub fn build(
        spec: &FlowSpec,
        params: &Params,
        dim: usize,
        points: Option<Tensor>,
    ) -> Result<Self> {
        Self::build_within(spec, params, dim, points, None)
    }

    /// The same of points that are some of `whole`, whose spread stands in where they have none.
    pub(super) fn build_within(
        spec: &FlowSpec,
        params: &Params,
        dim: usize,
        mut points: Option<Tensor>,
        whole: Option<&Tensor>,
    ) -> Result<Self> {
        let mut outer: Option<Box<dyn Bijection>> = None;
        if spec.standardise {
            let layer = standardise(&params.at("standardise"), dim, points.as_ref(), whole)?;
            points = crate::bijections::pull_back(&layer, points)?;
            outer = Some(Box::new(layer));
        }
        let (bijection, points) = spec.bijection.build(&params.at("bijection"), dim, points)?;
        let base = spec.base.build(&params.at("base"), dim, points.as_ref())?;
        let bijection = match outer {
            Some(outer) => Box::new(Chain::new(vec![bijection, outer], dim)),
            None => bijection,
        };
        let fuse = |base| dispatch::fuse(params, dim, bijection.kernel(), Some(base));
        let (fused, layers) = match base.kernel() {
            Some(base) => (fuse(base)?, None),
            None => (None, fuse(Base::Outside)?),
        };
        Ok(Self {
            bijection,
            base,
            fused,
            layers,
        })
    }
}

impl Distribution for Flow {
    fn dim(&self) -> usize {
        self.bijection.dim()
    }

    fn log_prob(&self, x: &Tensor) -> Result<Tensor> {
        num::expect_points("flow", x, self.dim())?;
        if let Some(fused) = &self.fused {
            return Ok(fused.log_prob(x)?);
        }
        let (z, log_det) = self.inverse_and_log_det(x)?;
        Ok((self.base.log_prob(&z)? + log_det)?)
    }

    fn sample(&self, n: usize, rng: &mut Rng) -> Result<Tensor> {
        let z = self.base.sample(n, rng)?;
        if let Some(fused) = self.through() {
            return Ok(fused.to_data(&z, || rng.uniform())?);
        }
        num::in_chunks(&z, num::rows_at_once(z.device()), |z| {
            Ok(self.bijection.forward_and_log_det(z)?.0.detach())
        })
    }

    fn draws(&self, n: usize, progress: f64, rng: &mut Rng) -> Result<Draws> {
        let base = self.base.draws(n, progress, rng)?;
        let (x, log_det) = self.forward_and_log_det(&base.x)?;
        Ok(Draws {
            x,
            log_prob: (base.log_prob - log_det)?,
            log_weight: base.log_weight,
            strata: base.strata,
        })
    }

    fn relaxed_samples(&self, n: usize, rng: &mut Rng) -> Result<Option<RelaxedSamples>> {
        let Some(base) = self.base.relaxed_samples(n, rng)? else {
            return Ok(None);
        };
        let (x, log_det) = self.forward_and_log_det(&base.x)?;
        let log_det = log_det.detach();
        Ok(Some(RelaxedSamples {
            x: x.detach(),
            log_including: (base.log_including - &log_det)?,
            log_excluding: (base.log_excluding - log_det)?,
        }))
    }

    fn part(&self, x: &Tensor) -> Result<Option<Vec<u64>>> {
        self.base.part(&self.land(x)?)
    }

    fn responsibilities(&self, x: &Tensor) -> Result<Option<Tensor>> {
        self.base.responsibilities(&self.land(x)?)
    }

    fn components(&self) -> Result<Option<Components>> {
        self.base.components()
    }
}

impl Flow {
    /// What takes points through the bijection, if the kernels have it.
    fn through(&self) -> Option<&Fused> {
        self.fused.as_ref().or(self.layers.as_ref())
    }

    /// z of every point and the log-det, with gradients.
    fn inverse_and_log_det(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        match &self.layers {
            Some(layers) => Ok(layers.to_base_and_log_prob(x)?),
            None => self.bijection.inverse_and_log_det(x),
        }
    }

    /// x of every z and log|det dx/dz|, with gradients.
    fn forward_and_log_det(&self, z: &Tensor) -> Result<(Tensor, Tensor)> {
        if let Some(fused) = self.through() {
            if let Some(sent) = fused.to_data_and_log_det(z)? {
                return Ok(sent);
            }
        }
        self.bijection.forward_and_log_det(z)
    }

    /// z of every point, without gradients.
    fn land(&self, x: &Tensor) -> Result<Tensor> {
        match self.through() {
            Some(fused) => Ok(fused.to_base(x)?.0),
            None => Ok(self.bijection.inverse_and_log_det(x)?.0.detach()),
        }
    }
}

impl Model for Flow {
    fn training_log_prob(&self, _phase: usize, x: &Tensor, rng: &mut Rng) -> Result<Tensor> {
        if self.fused.is_some() {
            return self.log_prob(x);
        }
        num::expect_points("flow", x, self.dim())?;
        let (z, log_det) = self.inverse_and_log_det(x)?;
        Ok((self.base.estimate_log_prob(&z, rng)? + log_det)?)
    }

    fn base(&self) -> Option<&dyn Distribution> {
        Some(self.base.as_ref())
    }

    fn to_base(&self, x: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(self.bijection.inverse_and_log_det(x)?.0))
    }

    fn round_trip(&self, x: &Tensor) -> Result<Option<Tensor>> {
        let z = self.bijection.inverse_and_log_det(x)?.0.detach();
        Ok(Some(self.bijection.forward_and_log_det(&z)?.0.detach()))
    }

    fn fused(&self) -> Option<&Fused> {
        self.fused.as_ref()
    }

    fn kernels(&self) -> Option<Isa> {
        self.through().map(Fused::isa)
    }

    fn kernels_of_samples(&self) -> Option<Isa> {
        let some = self.through().filter(|fused| fused.has_to_data_backward());
        some.map(Fused::isa)
    }
}
