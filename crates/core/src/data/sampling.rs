//! What the samplers share: being a data set, choosing a mode, framing a figure.

use candle_core::{Device, Tensor};

use super::{DataSet, LabelledPoints, Split, Truth};
use crate::rng::Rng;
use crate::Result;

/// Where the points of a data set are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    /// D.
    pub(super) dim: usize,
    /// [`DataSet::view`]
    pub(super) view: Option<[(f64, f64); 2]>,
}

impl Frame {
    /// Two dimensions.
    pub(super) fn plane(view: [(f64, f64); 2]) -> Self {
        Self {
            dim: 2,
            view: Some(view),
        }
    }
}

/// A law that draws a point together with the mode it comes from: a data set of as many fresh
/// points as are asked for.
pub(super) trait Sampler: Truth {
    /// Where the points are.
    fn frame(&self) -> Frame;
    /// Writes one point to `x` (D coordinates) and returns its mode.
    fn draw(&self, rng: &mut Rng, x: &mut [f64]) -> usize;
}

impl<T: Sampler> DataSet for T {
    fn dim(&self) -> usize {
        self.frame().dim
    }

    fn points(&self, _split: Split, n: usize, rng: &mut Rng) -> Result<LabelledPoints> {
        let dim = self.dim();
        let mut values = vec![0.0; n * dim];
        let labels = values.chunks_exact_mut(dim);
        let labels = labels.map(|row| self.draw(rng, row) as u32).collect();
        Ok(LabelledPoints {
            x: Tensor::from_vec(values, (n, dim), &Device::Cpu)?,
            labels: Some(labels),
        })
    }

    fn truth(&self) -> Option<&dyn Truth> {
        Some(self)
    }

    fn view(&self) -> Option<[(f64, f64); 2]> {
        self.frame().view
    }
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
