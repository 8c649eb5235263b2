//! Couplings: a conditioner and a transformer.

use std::ops::Range;

use super::{BackwardPass, Pass, Transformer};
use crate::conditioner::{self, Conditioner, Slot};
use crate::product::TILE;
use crate::simd::Simd;
use crate::transformer::{
    Affine, Backward, Fold, Spline, ToBase, ToData, TransformerBackward, TransformerPass,
};

/// See [`super::Layer::Coupling`].
pub(super) struct Coupling<'l> {
    pub transformer: Transformer,
    pub kept: Range<usize>,
    pub moved: Range<usize>,
    pub conditioner: &'l Conditioner<Slot>,
}

impl Transformer {
    fn to_base<S: Simd>(self, s: S, way: TransformerPass<'_>) {
        match self {
            Self::Affine { bound } => s.run(ToBase(affine(bound), way)),
            Self::Spline { bins, bound } => s.run(ToBase(spline(bins, bound), way)),
            Self::Fold { gates } => s.run(ToBase(Fold { gates }, way)),
        }
    }

    pub(super) fn to_data<S: Simd>(self, s: S, way: TransformerPass<'_>) {
        match self {
            Self::Affine { bound } => s.run(ToData(affine(bound), way)),
            Self::Spline { bins, bound } => s.run(ToData(spline(bins, bound), way)),
            Self::Fold { gates } => s.run(ToData(Fold { gates }, way)),
        }
    }

    fn backward<S: Simd>(self, s: S, back: TransformerBackward<'_>) {
        match self {
            Self::Affine { bound } => s.run(Backward(affine(bound), back)),
            Self::Spline { bins, bound } => s.run(Backward(spline(bins, bound), back)),
            Self::Fold { gates } => s.run(Backward(Fold { gates }, back)),
        }
    }
}

impl Coupling<'_> {
    /// Numbers per tile that are kept for the backward pass.
    pub(super) fn saved(&self) -> usize {
        (self.conditioner.hidden() + self.conditioner.outputs()) * TILE
    }

    /// Scratch numbers: the conditioner's, and those of [`Coupling::to_data_backward`].
    pub(super) fn scratch(&self) -> usize {
        conditioner::scratch(self.conditioner) + (2 * self.moved.len() + 1) * TILE
    }

    pub(super) fn to_base<S: Simd>(&self, s: S, pass: Pass<'_>) {
        let way = self.way(s, pass);
        self.transformer.to_base(s, way);
    }

    pub(super) fn to_data<S: Simd>(&self, s: S, pass: Pass<'_>) {
        let way = self.way(s, pass);
        self.transformer.to_data(s, way);
    }

    pub(super) fn backward<S: Simd>(&self, s: S, pass: BackwardPass<'_>) {
        let net = self.conditioner;
        let (hidden, theta) = pass.saved.split_at(net.hidden() * TILE);
        let rows = rows(&self.moved);
        let back = TransformerBackward {
            samples: pass.samples,
            theta,
            x: &pass.x[rows.clone()],
            z: &pass.z[rows.clone()],
            weight: pass.weight,
            gradient: &mut pass.gradient[rows],
            theta_gradient: &mut pass.scratch[..net.outputs() * TILE],
        };
        self.transformer.backward(s, back);
        self.conditioner_backward(s, pass, hidden);
    }

    /// From the gradient by theta, in the first rows of the scratch.
    fn conditioner_backward<S: Simd>(&self, s: S, pass: BackwardPass<'_>, hidden: &[f32]) {
        let rows = rows(&self.kept);
        conditioner::backward(
            s,
            self.conditioner,
            pass.params,
            pass.samples,
            &pass.x[rows.clone()],
            hidden,
            &mut pass.gradient[rows],
            pass.params_gradient,
            pass.fresh,
            pass.scratch,
        );
    }

    /// Base to data; then data to base again, for the log-determinant and the values that the backward
    /// pass needs.
    pub(super) fn to_data_and_log_det<S: Simd>(&self, s: S, pass: Pass<'_>, scratch: &mut [f32]) {
        let (theta, rest) = scratch.split_at_mut(conditioner::scratch(self.conditioner));
        let way = self.way(s, pass);
        let theta = &mut theta[..way.theta.len()];
        theta.copy_from_slice(way.theta);
        let there = TransformerPass {
            samples: way.samples,
            theta,
            from: way.from,
            to: &mut *way.to,
            log_det: &mut [],
            parts: &mut [],
        };
        self.transformer.to_data(s, there);
        let back = TransformerPass {
            from: way.to,
            to: &mut rest[..way.from.len()],
            ..way
        };
        self.transformer.to_base(s, back);
    }

    /// Every moved x solves f(x) = z. With the slope f' and d = d log f' / dx, the gradient by z is
    /// (by_x + weight d) / f', and the gradient by theta is that of f for minus this gradient by z.
    /// Three backward passes of f give f', weight d and the gradient by theta.
    pub(super) fn to_data_backward<S: Simd>(&self, s: S, pass: BackwardPass<'_>) {
        let net = self.conditioner;
        let (hidden, theta) = pass.saved.split_at(net.hidden() * TILE);
        let rows = rows(&self.moved);
        let (scratch, own) = pass.scratch.split_at_mut(conditioner::scratch(net));
        let (slope, own) = own.split_at_mut(rows.len());
        let (other, own) = own.split_at_mut(rows.len());
        let none = &mut own[..TILE];
        let mut back = |weight: &[f32], gradient: &mut [f32]| {
            let back = TransformerBackward {
                samples: pass.samples,
                theta,
                x: &pass.x[rows.clone()],
                z: &pass.z[rows.clone()],
                weight,
                gradient,
                theta_gradient: &mut scratch[..net.outputs() * TILE],
            };
            self.transformer.backward(s, back);
        };
        none.fill(0.0);
        slope.fill(1.0);
        back(none, slope);
        other.fill(0.0);
        back(pass.weight, other);
        let by = &mut pass.gradient[rows.clone()];
        for ((by, other), slope) in by.iter_mut().zip(other.iter_mut()).zip(slope) {
            *by = (*by + *other) / *slope;
            *other = -*by;
        }
        back(pass.weight, other);
        self.conditioner_backward(s, pass, hidden);
    }

    /// Copies the kept coordinates and runs the conditioner; the result is the transformer's input.
    fn way<'a, S: Simd>(&self, s: S, pass: Pass<'a>) -> TransformerPass<'a> {
        let net = self.conditioner;
        let rows = rows(&self.kept);
        pass.to[rows.clone()].copy_from_slice(&pass.from[rows.clone()]);
        let (hidden, theta) = pass.saved.split_at_mut(net.hidden() * TILE);
        conditioner::forward(
            s,
            net,
            pass.params,
            pass.samples,
            &pass.from[rows],
            hidden,
            theta,
        );
        let rows = self::rows(&self.moved);
        TransformerPass {
            samples: pass.samples,
            theta,
            from: &pass.from[rows.clone()],
            to: &mut pass.to[rows],
            log_det: pass.log_det,
            parts: pass.parts,
        }
    }
}

fn rows(coordinates: &Range<usize>) -> Range<usize> {
    coordinates.start * TILE..coordinates.end * TILE
}

fn affine(bound: f64) -> Affine {
    Affine {
        bound: bound as f32,
    }
}

fn spline(bins: usize, bound: f64) -> Spline {
    Spline {
        bins,
        bound: bound as f32,
    }
}
