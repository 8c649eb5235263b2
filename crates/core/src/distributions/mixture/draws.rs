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
    /// through the score of log alpha_k.
    pub(super) fn scored(&self, n: usize, rng: &mut Rng) -> Result<Draws> {
        let n = n.max(2);
        let component: Vec<u32> = self
            .draw_components(n, rng)?
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
        Draws::scored(x, log_prob, &chosen)
    }
}
