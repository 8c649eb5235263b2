//! Couplings: a conditioner and a transformer.

use std::ops::Range;

use super::super::conditioner::{self, Conditioner, Slot};
use super::super::product::TILE;
use super::super::simd::Simd;
use super::super::transformer::{Affine, Back, Backward, Fold, Spline, ToBase, ToData, Way};
use super::{Pass, PassBack, Transformer};

/// Some of the coordinates decide how others are moved.
pub(super) struct Coupling<'l> {
    pub transformer: Transformer,
    pub kept: Range<usize>,
    pub moved: Range<usize>,
    pub conditioner: &'l Conditioner<Slot>,
}

impl Transformer {
    fn to_base<S: Simd>(self, s: S, way: Way<'_>) {
        match self {
            Self::Affine { bound } => s.run(ToBase(affine(bound), way)),
            Self::Spline { bins, bound } => s.run(ToBase(spline(bins, bound), way)),
            Self::Fold { gates } => s.run(ToBase(Fold { gates }, way)),
        }
    }

    pub(super) fn to_data<S: Simd>(self, s: S, way: Way<'_>) {
        match self {
            Self::Affine { bound } => s.run(ToData(affine(bound), way)),
            Self::Spline { bins, bound } => s.run(ToData(spline(bins, bound), way)),
            Self::Fold { gates } => s.run(ToData(Fold { gates }, way)),
        }
    }

    fn back<S: Simd>(self, s: S, back: Back<'_>) {
        match self {
            Self::Affine { bound } => s.run(Backward(affine(bound), back)),
            Self::Spline { bins, bound } => s.run(Backward(spline(bins, bound), back)),
            Self::Fold { gates } => s.run(Backward(Fold { gates }, back)),
        }
    }
}

impl Coupling<'_> {
    /// Numbers per tile that the way back needs.
    pub(super) fn saved(&self) -> usize {
        (self.conditioner.hidden() + self.conditioner.outputs()) * TILE
    }

    /// Scratch of the way back.
    pub(super) fn scratch(&self) -> usize {
        conditioner::scratch(self.conditioner)
    }

    pub(super) fn to_base<S: Simd>(&self, s: S, pass: Pass<'_>) {
        let way = self.way(s, pass);
        self.transformer.to_base(s, way);
    }

    pub(super) fn to_data<S: Simd>(&self, s: S, pass: Pass<'_>) {
        let way = self.way(s, pass);
        self.transformer.to_data(s, way);
    }

    pub(super) fn back<S: Simd>(&self, s: S, pass: PassBack<'_>) {
        let net = self.conditioner;
        let (hidden, theta) = pass.saved.split_at(net.hidden() * TILE);
        let rows = rows(&self.moved);
        let back = Back {
            samples: pass.samples,
            theta,
            x: &pass.x[rows.clone()],
            z: &pass.z[rows.clone()],
            weight: pass.weight,
            gradient: &mut pass.gradient[rows],
            theta_gradient: &mut pass.scratch[..net.outputs() * TILE],
        };
        self.transformer.back(s, back);
        let rows = self::rows(&self.kept);
        conditioner::backward(
            s,
            net,
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

    /// Copies what is kept, runs the conditioner, and leaves the rest to a transformer.
    fn way<'a, S: Simd>(&self, s: S, pass: Pass<'a>) -> Way<'a> {
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
        Way {
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
