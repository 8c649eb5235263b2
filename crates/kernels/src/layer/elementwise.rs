//! A scale and a shift of every coordinate.

use super::{add_constant, BackwardPass, Pass};
use crate::conditioner::Slot;
use crate::product::TILE;
use crate::simd::{Op, Simd};

/// x = z e^s + t
#[derive(Clone, Copy)]
pub(super) struct Elementwise {
    pub log_scale: Slot,
    pub shift: Slot,
}

impl Elementwise {
    /// e^s, e^-s, and the log-determinant towards the base.
    pub(super) fn derived(self) -> usize {
        2 * self.shift.len + 1
    }

    pub(super) fn derive(self, params: &[f32], to: &mut [f32]) {
        let log_scale = self.log_scale.of(params);
        let dim = log_scale.len();
        for (d, s) in log_scale.iter().enumerate() {
            to[d] = s.exp();
            to[dim + d] = (-s).exp();
        }
        to[2 * dim] = -log_scale.iter().sum::<f32>();
    }

    pub(super) fn to_base<S: Simd>(self, s: S, pass: Pass<'_>) {
        let dim = self.shift.len;
        s.run(Scale {
            samples: pass.samples,
            from: pass.from,
            before: Some(self.shift.of(pass.params)),
            scale: &pass.derived[dim..2 * dim],
            after: None,
            to: pass.to,
        });
        add_constant(pass.log_det, pass.derived[2 * dim]);
    }

    pub(super) fn to_data<S: Simd>(self, s: S, pass: Pass<'_>) {
        s.run(Scale {
            samples: pass.samples,
            from: pass.from,
            before: None,
            scale: &pass.derived[..self.shift.len],
            after: Some(self.shift.of(pass.params)),
            to: pass.to,
        });
    }

    pub(super) fn backward(self, pass: BackwardPass<'_>) {
        let dim = self.shift.len;
        let total: f32 = pass.weight[..pass.samples].iter().sum();
        for d in 0..dim {
            let scale = pass.derived[dim + d];
            let row = d * TILE..d * TILE + pass.samples;
            let (mut by_scale, mut by_shift) = (0.0, 0.0);
            for (g, z) in pass.gradient[row.clone()].iter_mut().zip(&pass.z[row]) {
                by_scale += *g * z;
                *g *= scale;
                by_shift += *g;
            }
            self.log_scale.of_mut(pass.params_gradient)[d] -= by_scale + total;
            self.shift.of_mut(pass.params_gradient)[d] -= by_shift;
        }
    }

    pub(super) fn to_data_backward(self, pass: BackwardPass<'_>) {
        let total: f32 = pass.weight[..pass.samples].iter().sum();
        for d in 0..self.shift.len {
            let scale = pass.derived[d];
            let row = d * TILE..d * TILE + pass.samples;
            let (mut by_scale, mut by_shift) = (0.0, 0.0);
            for (g, z) in pass.gradient[row.clone()].iter_mut().zip(&pass.z[row]) {
                by_shift += *g;
                *g *= scale;
                by_scale += *g * z;
            }
            self.log_scale.of_mut(pass.params_gradient)[d] += by_scale - total;
            self.shift.of_mut(pass.params_gradient)[d] += by_shift;
        }
    }
}

/// (from - before) * scale + after, row by row.
struct Scale<'a> {
    samples: usize,
    from: &'a [f32],
    before: Option<&'a [f32]>,
    scale: &'a [f32],
    after: Option<&'a [f32]>,
    to: &'a mut [f32],
}

impl Op for Scale<'_> {
    type Out = ();
    #[inline(always)]
    fn call<S: Simd>(self, s: S) {
        for (d, scale) in self.scale.iter().enumerate() {
            let scale = s.splat(*scale);
            let before = s.splat(self.before.map_or(0.0, |b| b[d]));
            let after = s.splat(self.after.map_or(0.0, |a| a[d]));
            for i in (0..self.samples).step_by(S::LANES) {
                let at = d * TILE + i;
                let v = s.sub(s.load(&self.from[at..]), before);
                s.store(&mut self.to[at..], s.fma(v, scale, after));
            }
        }
    }
}
