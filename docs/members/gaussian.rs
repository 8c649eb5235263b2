//! One Gaussian with its axes along the coordinates.

use candle_core::Tensor;

use crate::bijections::affine::Elementwise;
use crate::bijections::Bijection;
use crate::distributions::normal::Normal;
use crate::distributions::{Distribution, Draws};
use crate::models::Model;
use crate::nn::Params;
use crate::rng::Rng;
use crate::Result;

/// N(0, I) carried by a scale and a shift for every coordinate.
pub struct Gaussian {
    scale: Elementwise,
    base: Normal,
}

impl Gaussian {
    /// From the mean and the spread of `points`, where there are some.
    pub fn build(params: &Params, dim: usize, points: Option<Tensor>) -> Result<Self> {
        let at = params.at("scale");
        let scale = match points {
            Some(points) if !params.is_loading() => {
                Elementwise::from_points(&at, &points, None, true)?
            }
            _ => Elementwise::identity(&at, dim)?,
        };
        let base = Normal::new(dim, params.dtype(), &params.device());
        Ok(Self { scale, base })
    }
}

impl Distribution for Gaussian {
    fn dim(&self) -> usize {
        self.scale.dim()
    }

    fn log_prob(&self, x: &Tensor) -> Result<Tensor> {
        let (z, log_det) = self.scale.inverse_and_log_det(x)?;
        Ok((self.base.log_prob(&z)? + log_det)?)
    }

    fn sample(&self, n: usize, rng: &mut Rng) -> Result<Tensor> {
        Ok(self.draws(n, 1.0, rng)?.x.detach())
    }

    fn draws(&self, n: usize, progress: f64, rng: &mut Rng) -> Result<Draws> {
        let base = self.base.draws(n, progress, rng)?;
        let (x, log_det) = self.scale.forward_and_log_det(&base.x)?;
        let log_prob = (&base.log_prob - log_det)?;
        Ok(Draws {
            x,
            log_prob,
            ..base
        })
    }
}

impl Model for Gaussian {
    fn to_base(&self, x: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(self.scale.inverse_and_log_det(x)?.0))
    }

    fn base(&self) -> Option<&dyn Distribution> {
        Some(&self.base)
    }

    fn round_trip(&self, x: &Tensor) -> Result<Option<Tensor>> {
        let z = self.scale.inverse_and_log_det(&x.detach())?.0;
        Ok(Some(self.scale.forward_and_log_det(&z)?.0.detach()))
    }
}
