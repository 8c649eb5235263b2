//! Couplings: a conditioner and a transformer.

use std::ops::Range;

use super::{BackwardPass, Compiled, Pass};
use crate::conditioner::{self, Conditioner, Slot};
use crate::product::TILE;
use crate::simd::Verified;
use crate::transformer::{Direction, Transformer, TransformerBackward, TransformerPass};

/// See [`super::Layer::Coupling`].
pub(super) struct Coupling {
    pub transformer: Transformer,
    pub kept: Range<usize>,
    pub moved: Range<usize>,
    pub conditioner: Conditioner<Slot>,
}

impl Compiled for Coupling {
    /// The conditioner's hidden values and outputs.
    fn saved(&self) -> usize {
        (self.conditioner.hidden() + self.conditioner.outputs()) * TILE
    }

    /// The conditioner's, and those of [`Compiled::to_data_backward`].
    fn scratch(&self) -> usize {
        conditioner::scratch(&self.conditioner) + (2 * self.moved.len() + 1) * TILE
    }

    fn folds(&self) -> usize {
        match self.transformer {
            Transformer::Fold { .. } => self.moved.len(),
            _ => 0,
        }
    }

    fn products(&self) -> usize {
        self.conditioner.products()
    }

    fn to_base(&self, isa: Verified, pass: Pass<'_>) {
        let pass = self.condition(isa, pass);
        self.transformer.run(isa, Direction::ToBase(pass));
    }

    fn to_data(&self, isa: Verified, pass: Pass<'_>) {
        let pass = self.condition(isa, pass);
        self.transformer.run(isa, Direction::ToData(pass));
    }

    fn backward(&self, isa: Verified, pass: BackwardPass<'_>) {
        let net = &self.conditioner;
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
        self.transformer.run(isa, Direction::Backward(back));
        conditioner::backward(isa, net, pass, self::rows(&self.kept), hidden);
    }

    fn has_to_data_backward(&self) -> bool {
        self.folds() == 0
    }

    /// Base to data; then data to base again, for the log-determinant and the values that the backward
    /// pass needs.
    fn to_data_and_log_det(&self, isa: Verified, pass: Pass<'_>, scratch: &mut [f32]) {
        let (theta, rest) = scratch.split_at_mut(conditioner::scratch(&self.conditioner));
        let inverse = self.condition(isa, pass);
        let theta = &mut theta[..inverse.theta.len()];
        theta.copy_from_slice(inverse.theta);
        let forward = TransformerPass {
            samples: inverse.samples,
            theta,
            from: inverse.from,
            to: &mut *inverse.to,
            log_det: &mut [],
            parts: &mut [],
        };
        self.transformer.run(isa, Direction::ToData(forward));
        let inverse = TransformerPass {
            from: inverse.to,
            to: &mut rest[..inverse.from.len()],
            ..inverse
        };
        self.transformer.run(isa, Direction::ToBase(inverse));
    }

    /// Every moved x solves f(x) = z. With the slope f' and d = d log f' / dx, the gradient by z is
    /// (by_x + weight d) / f', and the gradient by theta is that of f for minus this gradient by z.
    /// Three backward passes of f give f', weight d and the gradient by theta.
    fn to_data_backward(&self, isa: Verified, pass: BackwardPass<'_>) {
        let net = &self.conditioner;
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
            self.transformer.run(isa, Direction::Backward(back));
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
        conditioner::backward(isa, net, pass, self::rows(&self.kept), hidden);
    }
}

impl Coupling {
    /// Copies the kept coordinates and runs the conditioner; the result is the transformer's input.
    fn condition<'a>(&self, isa: Verified, pass: Pass<'a>) -> TransformerPass<'a> {
        let net = &self.conditioner;
        let kept = rows(&self.kept);
        pass.to[kept.clone()].copy_from_slice(&pass.from[kept.clone()]);
        let (hidden, theta) = pass.saved.split_at_mut(net.hidden() * TILE);
        let kept = &pass.from[kept];
        conditioner::forward(isa, net, pass.params, pass.samples, kept, hidden, theta);
        let moved = rows(&self.moved);
        TransformerPass {
            samples: pass.samples,
            theta,
            from: &pass.from[moved.clone()],
            to: &mut pass.to[moved],
            log_det: pass.log_det,
            parts: pass.parts,
        }
    }
}

fn rows(coordinates: &Range<usize>) -> Range<usize> {
    coordinates.start * TILE..coordinates.end * TILE
}
