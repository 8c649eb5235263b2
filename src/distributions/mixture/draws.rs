//! Samples of one component each: stratified, or with the score of the component.

use candle_core::{Device, Tensor};

use super::Mixture;
use crate::distributions::{Distribution, Draws};
use crate::num;
use crate::rng::Rng;
use crate::Result;

impl Mixture {
    /// A fixed number n_k of samples from every component, near n alpha_k and at least two, each
    /// weighted alpha_k / n_k. Unbiased for weights, means and standard deviations, with little
    /// variance for weights and means.
    pub(super) fn stratified(&self, n: usize, rng: &mut Rng) -> Result<Draws> {
        let log_weights = self.log_weights()?;
        let counts: Vec<usize> = num::to_vec(&log_weights)?
            .into_iter()
            .map(|w| ((w.exp() * n as f64).ceil() as usize).max(2))
            .collect();
        let component: Vec<u32> = counts
            .iter()
            .enumerate()
            .flat_map(|(k, &count)| std::iter::repeat_n(k as u32, count))
            .collect();
        let total = component.len();
        let shares: Vec<f64> = component
            .iter()
            .map(|&k| -(counts[k as usize] as f64).ln())
            .collect();
        let component = Tensor::from_vec(component, total, self.means.device())?;
        let shares = Tensor::from_vec(shares, total, &Device::Cpu)?
            .to_dtype(self.means.dtype())?
            .to_device(self.means.device())?;
        let noise = self.noise(total, rng)?;
        let x = self.place(&component, &noise)?;
        let log_prob = self.log_prob(&x)?;
        let log_weight = (log_weights.squeeze(0)?.index_select(&component, 0)? + shares)?;
        Ok(Draws {
            x,
            log_prob,
            log_weight,
            strata: Some(counts),
        })
    }

    /// Components drawn by their weights; means and standard deviations act through x, the weights
    /// through the score s_i = log alpha_(k_i) - stop(log alpha_(k_i)) against the mean score, which
    /// subtracts from every h(x_i) the mean of the others:
    /// log w_i = n / (n - 1) (s_i - mean s) - ln n. Unbiased; that baseline ties the rows together.
    pub(super) fn scored(&self, n: usize, rng: &mut Rng) -> Result<Draws> {
        let n = n.max(2);
        let component: Vec<u32> = self
            .components(n, rng)?
            .into_iter()
            .map(|k| k as u32)
            .collect();
        let component = Tensor::from_vec(component, n, self.means.device())?;
        let noise = self.noise(n, rng)?;
        let x = self.place(&component, &noise)?;
        let log_prob = self.log_prob(&x)?;
        let chosen = self
            .log_weights()?
            .squeeze(0)?
            .index_select(&component, 0)?;
        let score = (&chosen - chosen.detach())?;
        let centred = score.broadcast_sub(&score.mean_keepdim(0)?)?;
        let n = n as f64;
        Ok(Draws {
            x,
            log_prob,
            log_weight: centred.affine(n / (n - 1.0), -n.ln())?,
            strata: None,
        })
    }

    /// Draws of equal weight, independent of each other.
    pub(super) fn alike(x: Tensor, log_prob: Tensor) -> Result<Draws> {
        let n = x.dim(0)?;
        let log_weight = log_prob.detach().zeros_like()?;
        Ok(Draws {
            x,
            log_prob,
            log_weight: (log_weight - (n as f64).ln())?,
            strata: Some(vec![n]),
        })
    }
}
