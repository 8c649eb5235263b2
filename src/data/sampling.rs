//! What the samplers share: choosing a mode, filling a tensor, framing a figure.

use candle_core::{Device, Tensor};

use super::DataSet;
use crate::rng::Rng;
use crate::Result;

/// A data set that draws a point together with the mode it comes from.
pub(super) trait Labelled: DataSet {
    /// Writes one point to `x` (D coordinates) and returns its mode.
    fn draw(&self, rng: &mut Rng, x: &mut [f64]) -> usize;
}

/// `n` draws as an `(n, dim)` tensor.
pub(super) fn sample_rows(data: &dyn Labelled, n: usize, rng: &mut Rng) -> Result<Tensor> {
    let dim = data.dim();
    let mut values = vec![0.0; n * dim];
    for row in values.chunks_exact_mut(dim) {
        data.draw(rng, row);
    }
    Ok(Tensor::from_vec(values, (n, dim), &Device::Cpu)?)
}

/// The mode weights and their running sums: a draw costs log K steps rather than K.
#[derive(Debug)]
pub(super) struct Modes {
    pub(super) weights: Vec<f64>,
    cumulative: Vec<f64>,
}

impl Modes {
    /// From weights that sum to one up to rounding.
    pub(super) fn new(typed: &[f64]) -> Self {
        let total: f64 = typed.iter().sum();
        let weights: Vec<f64> = typed.iter().map(|w| w / total).collect();
        let cumulative = weights
            .iter()
            .scan(0.0, |sum, w| {
                *sum += w;
                Some(*sum)
            })
            .collect();
        Self {
            weights,
            cumulative,
        }
    }

    /// `weights` if there are any, else `n` equal ones.
    pub(super) fn or_equal(weights: Option<&[f64]>, n: usize) -> Self {
        weights.map_or_else(|| Self::new(&vec![1.0; n]), Self::new)
    }

    /// Mode j with probability `weights[j]`.
    pub(super) fn draw(&self, rng: &mut Rng) -> usize {
        self.at(rng.uniform())
    }

    /// The mode at `u` when the weights lie side by side on [0, 1].
    pub(super) fn at(&self, u: f64) -> usize {
        // Rounding can leave a sliver above the last sum.
        self.cumulative
            .partition_point(|c| *c <= u)
            .min(self.weights.len() - 1)
    }
}

/// The smallest square around a box, with the same centre.
pub(super) fn square_view([x, y]: [(f64, f64); 2]) -> [(f64, f64); 2] {
    let half = (x.1 - x.0).max(y.1 - y.0) / 2.0;
    [x, y].map(|(low, high)| {
        let centre = (low + high) / 2.0;
        (centre - half, centre + half)
    })
}
