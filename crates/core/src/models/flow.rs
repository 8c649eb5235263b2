//! A normalizing flow: a bijection maps a base distribution to the data.

use candle_core::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{fuse, Model, ModelSpec, Settings, Start};
use crate::bijections::affine::standardise;
use crate::bijections::chain::Chain;
use crate::bijections::{pull_back, AffineCouplingSpec, Bijection, BijectionSpec};
use crate::distributions::{
    BaseSpec, Components, Distribution, Draws, EntropyBound, RelaxedSamples,
};
use crate::error::BadValue;
use crate::nn::{Extent, Params};
use crate::num;
use crate::rng::Rng;
use crate::Result;
use mdn_kernels::{Base, Fused, Isa};

/// `[models.NAME.flow]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FlowSpec {
    /// The map from base to data.
    pub bijection: BijectionSpec,
    /// The distribution at its base side.
    pub base: BaseSpec,
    /// Shift and scale the training points to mean 0 and variance 1 first (a fixed layer whose
    /// log-determinant is counted, so densities stay those of the data).
    pub standardise: bool,
}

impl Default for FlowSpec {
    fn default() -> Self {
        Self {
            bijection: BijectionSpec::AffineCoupling(AffineCouplingSpec::default()),
            base: BaseSpec::default(),
            standardise: true,
        }
    }
}

impl Settings for FlowSpec {
    fn name(&self) -> &'static str {
        "flow"
    }

    fn build(&self, params: &Params, dim: usize, points: Option<Tensor>) -> Result<Box<dyn Model>> {
        Ok(Box::new(Flow::build(self, params, dim, points, None)?))
    }

    fn check(&self) -> std::result::Result<(), BadValue> {
        self.bijection.check().map_err(|e| e.below("bijection"))?;
        self.base.check().map_err(|e| e.below("base"))
    }

    fn extent(&self, dim: usize, drawn: Option<usize>) -> Extent {
        self.bijection.extent(dim) + self.base.extent(dim, drawn)
    }

    fn start(&self) -> Option<Start> {
        Start::of_base(self.name(), &self.base)
    }

    fn standardises(&self) -> bool {
        self.standardise
    }

    fn tail_bound(&self) -> Option<f64> {
        self.bijection.tail_bound()
    }

    fn is_sized_by_points(&self) -> bool {
        self.base.is_sized_by_points()
    }

    fn settle(&self, params: &Params, points: &Tensor) -> Result<Option<ModelSpec>> {
        if !self.is_sized_by_points() {
            return Ok(None);
        }
        let (_, dim) = points.dims2()?;
        let flow = Flow::build(self, &params.again()?, dim, Some(points.clone()), None)?;
        Ok(Some(ModelSpec::Flow(Self {
            base: self.base.settled(&flow)?,
            ..self.clone()
        })))
    }

    fn entropy_bound(&self) -> EntropyBound {
        self.base.entropy_bound()
    }
}

/// log q(x) = log p_Z(f^-1(x)) + log|det df^-1/dx|.
pub struct Flow {
    bijection: Box<dyn Bijection>,
    base: Box<dyn Distribution>,
    fused: Option<Fused>,
    /// The bijection alone, if the kernels lack the base.
    layers: Option<Fused>,
}

impl Flow {
    /// Built from the data side: points -> standardised -> bijection -> base. Where `points` are
    /// some of `whole` and have no spread of their own, they are scaled by the spread of `whole`.
    pub fn build(
        spec: &FlowSpec,
        params: &Params,
        dim: usize,
        mut points: Option<Tensor>,
        whole: Option<&Tensor>,
    ) -> Result<Self> {
        let mut outer: Option<Box<dyn Bijection>> = None;
        if spec.standardise {
            let layer = standardise(&params.at("standardise"), dim, points.as_ref(), whole)?;
            points = pull_back(&layer, points)?;
            outer = Some(Box::new(layer));
        }
        let (bijection, points) = spec.bijection.build(&params.at("bijection"), dim, points)?;
        let base = spec.base.build(&params.at("base"), dim, points.as_ref())?;
        let bijection = match outer {
            Some(outer) => Box::new(Chain::new(vec![bijection, outer], dim)),
            None => bijection,
        };
        let with = |base| fuse(params, dim, bijection.kernel(), Some(base));
        let (fused, layers) = match base.kernel() {
            Some(base) => (with(base)?, None),
            None => (None, with(Base::Outside)?),
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
        if let Some(fused) = self.kernel() {
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
            ..base
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
        self.base.part(&self.to_z(x)?)
    }

    fn responsibilities(&self, x: &Tensor) -> Result<Option<Tensor>> {
        self.base.responsibilities(&self.to_z(x)?)
    }

    fn components(&self) -> Result<Option<Components>> {
        self.base.components()
    }

    fn set_components(&self, components: &Components) -> Result<()> {
        self.base.set_components(components)
    }
}

impl Flow {
    /// The fused bijection, if the kernels have it.
    fn kernel(&self) -> Option<&Fused> {
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
        if let Some(fused) = self.kernel() {
            if let Some(sent) = fused.to_data_and_log_det(z)? {
                return Ok(sent);
            }
        }
        self.bijection.forward_and_log_det(z)
    }

    /// z of every point, without gradients.
    fn to_z(&self, x: &Tensor) -> Result<Tensor> {
        match self.kernel() {
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

    fn to_data(&self, z: &Tensor) -> Result<Option<(Tensor, Tensor)>> {
        self.forward_and_log_det(z).map(Some)
    }

    fn round_trip(&self, x: &Tensor) -> Result<Option<Tensor>> {
        let z = self.bijection.inverse_and_log_det(x)?.0.detach();
        Ok(Some(self.bijection.forward_and_log_det(&z)?.0.detach()))
    }

    fn fused(&self) -> Option<&Fused> {
        self.fused.as_ref()
    }

    fn kernels(&self) -> Option<Isa> {
        self.kernel().map(Fused::isa)
    }

    fn kernels_of_samples(&self) -> Option<Isa> {
        let some = self.kernel().filter(|fused| fused.has_to_data_backward());
        some.map(Fused::isa)
    }
}
