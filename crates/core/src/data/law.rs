//! What the synthetic laws share: sampling as a data set, mixtures of pieces, modes and views.

use std::sync::OnceLock;

use candle_core::{Device, Tensor};

use super::truth::{log_densities, normalise};
use super::{DataSet, Entropy, LabelledPoints, Split, Support};
use crate::error::BadValue;
use crate::num::mean_and_std_err;
use crate::rng::Rng;
use crate::Result;

/// Ranges of both coordinates of the plane.
pub(super) type View = [(f64, f64); 2];

/// The formulas of a law. `x` has D coordinates everywhere, all of them finite.
pub(crate) trait Density: Send + Sync {
    /// Writes one point to `x` and returns its mode.
    fn draw(&self, rng: &mut Rng, x: &mut [f64]) -> usize;
    /// [`Truth::log_joint`]
    fn log_joint(&self, x: &[f64], out: &mut [f64]);
    /// [`Truth::gradient`]; `out` is 0 before.
    fn gradient(&self, x: &[f64], out: &mut [f64]);
}

/// The settings of a law.
pub(super) trait Settings {
    /// The law, or what is wrong with the settings.
    fn law(&self) -> std::result::Result<Truth, BadValue>;
}

/// The square \[-half, half\]^2.
pub(super) fn centred(half: f64) -> View {
    [(-half, half); 2]
}

/// The smallest square around a box, with the same centre.
pub(super) fn square([x, y]: View) -> View {
    let half = (x.1 - x.0).max(y.1 - y.0) / 2.0;
    [x, y].map(|(low, high)| {
        let centre = (low + high) / 2.0;
        (centre - half, centre + half)
    })
}

/// The smallest box around some boxes.
pub(super) fn hull(boxes: impl IntoIterator<Item = View>) -> View {
    let empty = [(f64::INFINITY, f64::NEG_INFINITY); 2];
    boxes.into_iter().fold(empty, |all, own| {
        [0, 1].map(|d| (all[d].0.min(own[d].0), all[d].1.max(own[d].1)))
    })
}

/// Draws from which an entropy is estimated: at most [`DRAWS`], fewer where a density is costly.
const DRAWS: usize = 200_000;
const FEWEST_DRAWS: usize = 2_000;
/// Coordinates of all components that are visited for one entropy.
const WORK: usize = 400_000_000;

/// The exact law of a data set, p(x) = sum_j w_j p_j(x) over its modes j. Everything in f64. It is itself
/// a data set, of as many fresh points as are asked for.
pub struct Truth {
    pub(super) dim: usize,
    /// [`DataSet::view`]
    pub(super) view: Option<View>,
    pub(super) weights: Vec<f64>,
    pub(super) support: Support,
    pub(super) entropy: OnceLock<Entropy>,
    pub(super) density: Box<dyn Density>,
}

impl Truth {
    /// A law that is positive everywhere.
    pub(crate) fn new(dim: usize, weights: Vec<f64>, density: impl Density + 'static) -> Self {
        Self {
            dim,
            view: None,
            weights,
            support: Support::Everywhere,
            entropy: OnceLock::new(),
            density: Box::new(density),
        }
    }

    /// The same in the plane, with what a figure should show.
    pub(super) fn plane(view: View, weights: Vec<f64>, density: impl Density + 'static) -> Self {
        let view = Some(view);
        Self {
            view,
            ..Self::new(2, weights, density)
        }
    }

    /// The law whose entropy is `known`, if it is.
    pub(super) fn with_entropy(self, known: Option<Entropy>) -> Self {
        Self {
            entropy: known.map_or(self.entropy, OnceLock::from),
            ..self
        }
    }

    /// w_j > 0, one per mode; they sum to one.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// Writes log(w_j p_j(x)) for every mode j to `out` (nats; -inf outside a mode's support).
    /// `x` has D coordinates and `out` one place per mode. A point with a coordinate that is not
    /// finite gets -inf for every mode, so no NaN comes out.
    pub fn log_joint(&self, x: &[f64], out: &mut [f64]) {
        if x.iter().all(|v| v.is_finite()) {
            self.density.log_joint(x, out);
        } else {
            out.fill(f64::NEG_INFINITY);
        }
    }

    /// Writes d log p(x) / dx to `out`, D places; 0 where log p is not finite or has no derivative.
    pub fn gradient(&self, x: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        if x.iter().all(|v| v.is_finite()) {
            self.density.gradient(x, out);
        }
    }

    /// Where the density is above 0.
    pub fn support(&self) -> Support {
        self.support
    }

    /// Differential entropy. Where it has no closed form it is estimated at the first call and
    /// kept; the benchmarks know theirs.
    pub fn entropy(&self) -> Entropy {
        *self.entropy.get_or_init(|| self.estimate_entropy())
    }

    /// The mean of -log p over draws of a fixed seed, and its standard error.
    fn estimate_entropy(&self) -> Entropy {
        let per_point = self.weights.len() * self.dim;
        let n = (WORK / per_point).clamp(FEWEST_DRAWS, DRAWS);
        let mut rows = vec![0.0; n * self.dim];
        let mut rng = Rng::new(0).fork("entropy");
        for row in rows.chunks_exact_mut(self.dim) {
            self.density.draw(&mut rng, row);
        }
        let log_p = log_densities(self, &rows, self.dim);
        let (value, error) = mean_and_std_err(log_p.iter().map(|l| -l));
        Entropy { value, error }
    }
}

impl DataSet for Truth {
    fn dim(&self) -> usize {
        self.dim
    }

    fn points(&self, _split: Split, n: usize, rng: &mut Rng) -> Result<LabelledPoints> {
        let mut values = vec![0.0; n * self.dim];
        let rows = values.chunks_exact_mut(self.dim);
        let labels = rows.map(|row| self.density.draw(rng, row) as u32).collect();
        Ok(LabelledPoints {
            x: Tensor::from_vec(values, (n, self.dim), &Device::Cpu)?,
            labels: Some(labels),
        })
    }

    fn truth(&self) -> Option<&Truth> {
        Some(self)
    }

    fn view(&self) -> Option<View> {
        self.view
    }
}

/// A mode of a [`Mixture`]; `x` is finite everywhere.
pub(super) trait Piece: Send + Sync {
    /// The log of its density, up to the factor that the mixture has for it; -inf outside it.
    fn log_height(&self, x: &[f64]) -> f64;
    /// Adds `share` times d log_height(x) / dx to `out`; called where log_height(x) > -inf.
    fn add_gradient(&self, x: &[f64], share: f64, out: &mut [f64]);
    /// Writes one point to `x`.
    fn draw(&self, rng: &mut Rng, x: &mut [f64]);
}

/// p(x) = sum_j exp(log_factors_j + log_height_j(x)) over its pieces j.
pub(super) struct Mixture<P> {
    pub(super) modes: Modes,
    pub(super) pieces: Vec<P>,
    /// log(w_j / the integral of exp(log_height_j)).
    pub(super) log_factors: Vec<f64>,
}

impl<P: Piece + 'static> Mixture<P> {
    /// Of pieces that are densities.
    pub(super) fn new(modes: Modes, pieces: Vec<P>) -> Self {
        Self {
            log_factors: modes.weights.iter().map(|w| w.ln()).collect(),
            modes,
            pieces,
        }
    }

    /// As a law in the plane that is positive everywhere.
    pub(super) fn in_plane(self, view: View) -> Truth {
        Truth::plane(view, self.modes.weights.clone(), self)
    }
}

impl<P: Piece> Density for Mixture<P> {
    fn draw(&self, rng: &mut Rng, x: &mut [f64]) -> usize {
        let j = self.modes.draw(rng);
        self.pieces[j].draw(rng, x);
        j
    }

    fn log_joint(&self, x: &[f64], out: &mut [f64]) {
        for ((out, piece), factor) in out.iter_mut().zip(&self.pieces).zip(&self.log_factors) {
            *out = factor + piece.log_height(x);
        }
    }

    /// sum_j P(j | x) d log p_j(x) / dx
    fn gradient(&self, x: &[f64], out: &mut [f64]) {
        let mut shares = vec![0.0; self.pieces.len()];
        self.log_joint(x, &mut shares);
        normalise(&mut shares);
        for (piece, share) in self.pieces.iter().zip(shares) {
            if share > 0.0 {
                piece.add_gradient(x, share, out);
            }
        }
    }
}

/// The weights of the modes, and how one is drawn.
#[derive(Debug)]
pub(super) struct Modes {
    /// They sum to 1.
    pub(super) weights: Vec<f64>,
    /// Their running sums, with which a draw costs log K steps; `None` to draw an integer below K.
    cumulative: Option<Vec<f64>>,
}

impl Modes {
    /// From weights that sum to one up to rounding.
    pub(super) fn new(typed: &[f64]) -> Self {
        let total: f64 = typed.iter().sum();
        let weights: Vec<f64> = typed.iter().map(|w| w / total).collect();
        let sums = weights.iter().scan(0.0, |sum, w| {
            *sum += w;
            Some(*sum)
        });
        Self {
            cumulative: Some(sums.collect()),
            weights,
        }
    }

    /// `weights` if there are any, else `n` equal ones.
    pub(super) fn or_equal(weights: Option<&[f64]>, n: usize) -> Self {
        weights.map_or_else(|| Self::new(&vec![1.0; n]), Self::new)
    }

    /// `n` equal weights of a law that draws its modes as integers below `n`.
    pub(super) fn integers(n: usize) -> Self {
        Self {
            weights: vec![1.0 / n as f64; n],
            cumulative: None,
        }
    }

    /// Mode j with probability `weights[j]`.
    pub(super) fn draw(&self, rng: &mut Rng) -> usize {
        match &self.cumulative {
            None => rng.below(self.weights.len()),
            Some(sums) => {
                let u = rng.uniform();
                // Rounding can leave a sliver above the last sum.
                sums.partition_point(|c| *c <= u).min(sums.len() - 1)
            }
        }
    }
}
