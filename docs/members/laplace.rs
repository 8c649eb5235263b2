//! Independent Laplace coordinates.

use candle_core::Tensor;

use crate::distributions::{Distribution, Draws};
use crate::nn::Params;
use crate::rng::Rng;
use crate::{num, Result};

/// prod_d exp(-|z_d| / b_d) / (2 b_d), ln b (1, D) trainable.
pub struct Laplace {
    log_scale: Tensor,
}

impl Laplace {
    /// Every b_d starts at `scale`.
    pub fn new(params: &Params, dim: usize, scale: f64) -> Result<Self> {
        let log_scale = params.values("log_scale", (1, dim), vec![scale.ln(); dim])?;
        Ok(Self { log_scale })
    }
}

impl Distribution for Laplace {
    fn dim(&self) -> usize {
        self.log_scale.elem_count()
    }

    fn log_prob(&self, z: &Tensor) -> Result<Tensor> {
        num::expect_points("laplace", z, self.dim())?;
        let steps = z.abs()?.broadcast_mul(&self.log_scale.neg()?.exp()?)?;
        let cost = steps.broadcast_add(&(&self.log_scale + std::f64::consts::LN_2)?)?;
        Ok(num::row_sum(&cost)?.neg()?)
    }

    fn sample(&self, n: usize, rng: &mut Rng) -> Result<Tensor> {
        Ok(self.draws(n, 0.0, rng)?.x.detach())
    }

    fn draws(&self, n: usize, _progress: f64, rng: &mut Rng) -> Result<Draws> {
        let (dim, like) = (self.dim(), &self.log_scale);
        // The difference of two exponential numbers.
        let noise: Vec<f64> = (0..n * dim)
            .map(|_| rng.uniform().ln() - rng.uniform().ln())
            .collect();
        let noise = num::from_rows(&noise, dim, like.dtype(), like.device())?;
        let x = noise.broadcast_mul(&like.exp()?)?;
        let log_prob = self.log_prob(&x)?;
        Draws::alike(x, log_prob)
    }
}
