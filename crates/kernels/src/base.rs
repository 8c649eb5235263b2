//! The base distribution on a tile.

use crate::conditioner::Slot;
use crate::math;
use crate::product::TILE;
use crate::simd::{Op, Simd};

/// ln(2 pi)
const LN_2PI: f32 = 1.837_877_066_409_345_3_f64 as f32;

/// The distribution at the base side; parameters are tensors or their places.
#[derive(Debug, Clone)]
pub enum Base<P> {
    /// None: log q is the layers' log-determinant; the caller adds the base density.
    Outside,
    /// N(0, I)
    Normal,
    /// A mixture of diagonal Gaussians.
    Mixture {
        /// (1, K)
        logits: P,
        /// (K, D)
        means: P,
        /// (K, D)
        log_stds: P,
    },
}

impl<P> Base<P> {
    pub(crate) fn map<Q>(self, place: &mut impl FnMut(P) -> Q) -> Base<Q> {
        match self {
            Self::Outside => Base::Outside,
            Self::Normal => Base::Normal,
            Self::Mixture {
                logits,
                means,
                log_stds,
            } => Base::Mixture {
                logits: place(logits),
                means: place(means),
                log_stds: place(log_stds),
            },
        }
    }
}

impl Base<Slot> {
    /// Number of components; 0 for a base that is not a mixture.
    pub(crate) fn components(&self) -> usize {
        match self {
            Self::Outside | Self::Normal => 0,
            Self::Mixture { logits, .. } => logits.len,
        }
    }

    /// Places of its parameters.
    pub(crate) fn slots(&self) -> Vec<Slot> {
        match self {
            Self::Outside | Self::Normal => Vec::new(),
            Self::Mixture {
                logits,
                means,
                log_stds,
            } => vec![*logits, *means, *log_stds],
        }
    }

    /// Numbers that [`Base::derive`] writes: log weight and norm, and weight, of every component,
    /// then the inverse standard deviations.
    pub(crate) fn derived(&self, dim: usize) -> usize {
        self.components() * (2 + dim)
    }

    /// Computes the derived numbers.
    pub(crate) fn derive(&self, dim: usize, params: &[f32], to: &mut [f32]) {
        let Self::Mixture {
            logits, log_stds, ..
        } = self
        else {
            return;
        };
        let logits = logits.of(params);
        let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f32 = logits.iter().map(|l| (l - max).exp()).sum();
        let log_stds = log_stds.of(params).chunks_exact(dim);
        let (constants, rest) = to.split_at_mut(logits.len());
        let (weights, inverse) = rest.split_at_mut(logits.len());
        let places = constants.iter_mut().zip(weights);
        let inverse = inverse.chunks_exact_mut(dim);
        for ((place, logit), (log_stds, inverse)) in places.zip(logits).zip(log_stds.zip(inverse)) {
            let log_weight = logit - max - sum.ln();
            let log_norm = log_stds.iter().sum::<f32>() + 0.5 * LN_2PI * dim as f32;
            *place.0 = log_weight - log_norm;
            *place.1 = log_weight.exp();
            for (to, log_std) in inverse.iter_mut().zip(log_stds) {
                *to = (-log_std).exp();
            }
        }
    }
}

/// log p(z), added to `log_q`.
pub(crate) struct LogProb<'a> {
    pub base: &'a Base<Slot>,
    pub params: &'a [f32],
    pub derived: &'a [f32],
    pub samples: usize,
    pub z: &'a [f32],
    pub log_q: &'a mut [f32],
    /// A row per component.
    pub joint: &'a mut [f32],
    /// Whether to leave the responsibilities in `joint` for [`Gradient`].
    pub keep: bool,
}

impl Op for LogProb<'_> {
    type Out = ();

    #[inline(always)]
    fn call<S: Simd>(self, s: S) {
        let dim = self.z.len() / TILE;
        if let Base::Outside = self.base {
            return;
        }
        let Base::Mixture { means, .. } = self.base else {
            let constant = s.splat(-0.5 * LN_2PI * dim as f32);
            for i in (0..self.samples).step_by(S::LANES) {
                let mut sum = s.splat(0.0);
                for d in 0..dim {
                    let z = s.load(&self.z[d * TILE + i..]);
                    sum = s.fma(z, z, sum);
                }
                s.accumulate(&mut self.log_q[i..], s.fma(sum, s.splat(-0.5), constant));
            }
            return;
        };
        let k = self.base.components();
        let means = means.of(self.params);
        let (constants, inverse) = (&self.derived[..k], &self.derived[2 * k..]);
        for i in (0..self.samples).step_by(S::LANES) {
            let mut max = s.splat(f32::MIN);
            for c in 0..k {
                let mut sum = s.splat(0.0);
                for d in 0..dim {
                    let shift = s.sub(s.load(&self.z[d * TILE + i..]), s.splat(means[c * dim + d]));
                    let u = s.mul(shift, s.splat(inverse[c * dim + d]));
                    sum = s.fma(u, u, sum);
                }
                let joint = s.fma(sum, s.splat(-0.5), s.splat(constants[c]));
                s.store(&mut self.joint[c * TILE + i..], joint);
                // NaN does not become the maximum; it stays in its own term.
                max = s.max(joint, max);
            }
            let mut sum = s.splat(0.0);
            for c in 0..k {
                let joint = s.load(&self.joint[c * TILE + i..]);
                sum = s.add(sum, math::exp(s, s.sub(joint, max)));
            }
            let log_p = s.add(math::ln(s, sum), max);
            s.accumulate(&mut self.log_q[i..], log_p);
            if !self.keep {
                continue;
            }
            for c in 0..k {
                let at = &mut self.joint[c * TILE + i..];
                let share = math::exp(s, s.sub(s.load(at), log_p));
                // Products with smaller shares would be denormal, and slow.
                let none = s.lt(share, s.splat(1e-30));
                s.store(at, s.select(none, s.splat(0.0), share));
            }
        }
    }
}

/// Gradients of sum weight log p(z): by z, and added to those by the parameters.
pub(crate) struct Gradient<'a> {
    pub base: &'a Base<Slot>,
    pub params: &'a [f32],
    pub derived: &'a [f32],
    pub samples: usize,
    pub z: &'a [f32],
    /// Responsibilities from [`LogProb`].
    pub joint: &'a [f32],
    pub weight: &'a [f32],
    pub gradient: &'a mut [f32],
    pub params_gradient: &'a mut [f32],
}

impl Op for Gradient<'_> {
    type Out = ();

    #[inline(always)]
    fn call<S: Simd>(self, s: S) {
        let dim = self.z.len() / TILE;
        if let Base::Outside = self.base {
            return self.gradient[..dim * TILE].fill(0.0);
        }
        let Base::Mixture {
            logits,
            means,
            log_stds,
        } = self.base
        else {
            for d in 0..dim {
                for i in (0..self.samples).step_by(S::LANES) {
                    let z = s.load(&self.z[d * TILE + i..]);
                    let by_z = math::neg(s, s.mul(z, s.load(&self.weight[i..])));
                    s.store(&mut self.gradient[d * TILE + i..], by_z);
                }
            }
            return;
        };
        let k = self.base.components();
        let mean = means.of(self.params);
        let (weights, inverse) = (&self.derived[k..2 * k], &self.derived[2 * k..]);
        let mut total = s.splat(0.0);
        for i in (0..self.samples).step_by(S::LANES) {
            total = s.add(total, s.load(&self.weight[i..]));
        }
        let total = s.sum(total);
        self.gradient[..dim * TILE].fill(0.0);
        for (c, alpha) in weights.iter().enumerate() {
            let mut share = s.splat(0.0);
            for i in (0..self.samples).step_by(S::LANES) {
                let r = s.load(&self.joint[c * TILE + i..]);
                share = s.fma(r, s.load(&self.weight[i..]), share);
            }
            logits.of_mut(self.params_gradient)[c] += s.sum(share) - alpha * total;
            for d in 0..dim {
                let at = c * dim + d;
                let (m, inv) = (s.splat(mean[at]), s.splat(inverse[at]));
                let (mut by_mean, mut by_std) = (s.splat(0.0), s.splat(0.0));
                for i in (0..self.samples).step_by(S::LANES) {
                    let r = s.load(&self.joint[c * TILE + i..]);
                    let r = s.mul(r, s.load(&self.weight[i..]));
                    let u = s.mul(s.sub(s.load(&self.z[d * TILE + i..]), m), inv);
                    let pull = s.mul(s.mul(r, u), inv);
                    by_mean = s.add(by_mean, pull);
                    by_std = s.fma(r, s.fma(u, u, s.splat(-1.0)), by_std);
                    let to = &mut self.gradient[d * TILE + i..];
                    let by_z = s.sub(s.load(to), pull);
                    s.store(to, by_z);
                }
                means.of_mut(self.params_gradient)[at] += s.sum(by_mean);
                log_stds.of_mut(self.params_gradient)[at] += s.sum(by_std);
            }
        }
    }
}
