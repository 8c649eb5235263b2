//! Samples of components mixed by relaxed weights, and the densities that replace theirs.

use candle_core::Tensor;

use super::Mixture;
use crate::distributions::relaxed::{gumbels, log_density_of_noise, log_sample, straight_through};
use crate::distributions::{Distribution, Draws, RelaxedDensity, RelaxedSamples};
use crate::num::{self, LN_2PI};
use crate::rng::Rng;
use crate::Result;

/// Numbers in the largest tensor of a chunk in [`Mixture::between_bounds`].
const AT_ONCE: usize = 1 << 21;

/// N(mean, diag std^2), one per row: (N, D) both.
struct Gaussians {
    mean: Tensor,
    std: Tensor,
}

/// Relaxed samples z = c.mu + w (c.sigma).
pub(super) struct Relaxed {
    /// (n, K)
    pub log_c: Tensor,
    /// (n, D)
    pub z: Tensor,
    /// log N(z; c.mu, c.sigma), (n,).
    pub log_conditional: Tensor,
    gaussians: Gaussians,
}

/// log (1/M) sum_j exp(terms_j): (n, M) -> (n,).
pub(super) fn log_mean_exp(terms: &Tensor) -> Result<Tensor> {
    let m = terms.dim(1)? as f64;
    Ok((num::log_sum_exp(terms, 1)? - m.ln())?)
}

impl Relaxed {
    /// Log of the mean of nested terms (n, M - 1) and the sample's own.
    pub(super) fn including(&self, others: Option<&Tensor>) -> Result<Tensor> {
        let Some(others) = others else {
            return Ok(self.log_conditional.clone());
        };
        let own = self.log_conditional.unsqueeze(1)?;
        log_mean_exp(&Tensor::cat(&[&own, others], 1)?)
    }
}

impl Mixture {
    /// c.mu and c.sigma of weights (n, K).
    fn mixed(&self, c: &Tensor) -> Result<Gaussians> {
        Ok(Gaussians {
            mean: c.matmul(&self.means)?,
            std: c.matmul(&self.log_stds.exp()?)?,
        })
    }

    /// From Gumbel numbers, n K of them, and standard normal ones (n, D).
    pub(super) fn relaxed(&self, tau: f64, gumbels: &[f64], noise: &Tensor) -> Result<Relaxed> {
        let log_c = log_sample(&self.log_weights()?, tau, gumbels)?;
        let gaussians = self.mixed(&log_c.exp()?)?;
        let z = (&gaussians.mean + (&gaussians.std * noise)?)?;
        let log_norm = num::row_sum(&gaussians.std.log()?)?;
        let squares = num::row_sum(&noise.sqr()?)?;
        let constant = -0.5 * LN_2PI * self.dim as f64;
        Ok(Relaxed {
            log_c,
            z,
            log_conditional: (squares.affine(-0.5, constant)? - log_norm)?,
            gaussians,
        })
    }

    /// log N(z_i; m_ij, s_ij), (n, M), for n M Gaussians, those of one z after the other, or with
    /// `shared` for M that are the same for every z.
    fn log_normals(&self, z: &Tensor, of: &Gaussians, shared: bool) -> Result<Tensor> {
        let rows = if shared { 1 } else { z.dim(0)?.max(1) };
        let inner = of.mean.dim(0)? / rows;
        // Coordinate by coordinate: sums over a last axis as short as D would take most of the time.
        let apart = |x: &Tensor| -> Result<Tensor> {
            Ok(x.t()?.contiguous()?.reshape((self.dim, rows, inner))?)
        };
        let (means, stds) = (apart(&of.mean)?, apart(&of.std)?);
        let (scales, log_stds) = (stds.recip()?, stds.log()?);
        let term = |d: usize| -> Result<Tensor> {
            let shift = z.narrow(1, d, 1)?.broadcast_sub(&means.get(d)?)?;
            let square = shift.broadcast_mul(&scales.get(d)?)?.sqr()?;
            let log_std = (log_stds.get(d)? + 0.5 * LN_2PI)?;
            Ok((square * -0.5)?.broadcast_sub(&log_std)?)
        };
        let mut total = term(0)?;
        for d in 1..self.dim {
            total = (total + term(d)?)?;
        }
        Ok(total)
    }

    /// log N(z_i; c_ij.mu, c_ij.sigma), (n, M), for relaxed weights of these n M K Gumbel numbers.
    pub(super) fn nested(&self, tau: f64, gumbels: &[f64], z: &Tensor) -> Result<Tensor> {
        let log_c = log_sample(&self.log_weights()?, tau, gumbels)?;
        let fresh = self.mixed(&log_c.exp()?)?;
        self.log_normals(z, &fresh, false)
    }

    /// log p(c) + log N(z; c.mu, c.sigma), c by Lebesgue measure on the simplex, (n,), of samples with
    /// these Gumbel numbers.
    pub(super) fn joint_density(&self, tau: f64, gumbels: &[f64], of: &Relaxed) -> Result<Tensor> {
        let log_ratio = log_density_of_noise(self.components, tau, gumbels);
        let (dtype, device) = (self.means.dtype(), self.means.device());
        let log_ratio = num::from_rows(&log_ratio, 1, dtype, device)?.squeeze(1)?;
        Ok((log_ratio - of.log_c.sum(1)? + &of.log_conditional)?)
    }

    /// Means and standard deviations mixed by c; the density is the one asked for.
    pub(super) fn gumbel_softmax(
        &self,
        density: &RelaxedDensity,
        tau: f64,
        n: usize,
        rng: &mut Rng,
    ) -> Result<Draws> {
        let n = n.max(1);
        let own_gumbels = gumbels(n * self.components, rng);
        let own = self.relaxed(tau, &own_gumbels, &self.noise(n, rng)?)?;
        let mut fresh =
            |inner: usize| self.nested(tau, &gumbels(n * inner * self.components, rng), &own.z);
        let log_prob = match density {
            RelaxedDensity::NestedIncludingOwn(s) if s.inner <= 1 => own.including(None)?,
            RelaxedDensity::NestedIncludingOwn(s) => own.including(Some(&fresh(s.inner - 1)?))?,
            RelaxedDensity::NestedExcludingOwn(s) => log_mean_exp(&fresh(s.inner.max(1))?)?,
            RelaxedDensity::BatchIncludingOwn => {
                log_mean_exp(&self.log_normals(&own.z, &own.gaussians, true)?)?
            }
            RelaxedDensity::ExactMixture => self.log_prob(&own.z)?,
            RelaxedDensity::Joint => self.joint_density(tau, &own_gumbels, &own)?,
        };
        Draws::alike(own.z, log_prob)
    }

    /// z = mu_k + sigma_k w of one component, whose one-hot c has the gradient of the relaxed one.
    pub(super) fn straight_through(&self, tau: f64, n: usize, rng: &mut Rng) -> Result<Draws> {
        let n = n.max(1);
        let log_c = log_sample(
            &self.log_weights()?,
            tau,
            &gumbels(n * self.components, rng),
        )?;
        let chosen = self.mixed(&straight_through(&log_c)?)?;
        let x = (chosen.mean + (chosen.std * self.noise(n, rng)?)?)?;
        let log_prob = self.log_prob(&x)?;
        Draws::alike(x, log_prob)
    }

    /// `n` relaxed samples with both nested densities over `inner` terms, chunk by chunk. They share
    /// all terms but one, so that the midpoint of their means is the entropy up to 1 / inner^2.
    pub(super) fn between_bounds(
        &self,
        tau: f64,
        inner: usize,
        n: usize,
        rng: &mut Rng,
    ) -> Result<RelaxedSamples> {
        let still = Self {
            logits: self.logits.detach(),
            means: self.means.detach(),
            log_stds: self.log_stds.detach(),
            components: self.components,
            dim: self.dim,
            frozen: self.frozen.clone(),
            draws: self.draws.clone(),
        };
        let width = inner * self.components.max(self.dim);
        let rows = (AT_ONCE / width.max(1)).max(1);
        let (mut x, mut including, mut excluding) = (Vec::new(), Vec::new(), Vec::new());
        for start in (0..n.max(1)).step_by(rows) {
            let count = rows.min(n.max(1) - start);
            let own = gumbels(count * self.components, rng);
            let own = still.relaxed(tau, &own, &still.noise(count, rng)?)?;
            let fresh = gumbels(count * inner * self.components, rng);
            let fresh = still.nested(tau, &fresh, &own.z)?;
            excluding.push(log_mean_exp(&fresh)?);
            let others = match inner {
                0 | 1 => None,
                _ => Some(fresh.narrow(1, 0, inner - 1)?),
            };
            including.push(own.including(others.as_ref())?);
            x.push(own.z);
        }
        Ok(RelaxedSamples {
            x: Tensor::cat(&x, 0)?,
            log_including: Tensor::cat(&including, 0)?,
            log_excluding: Tensor::cat(&excluding, 0)?,
        })
    }
}
