//! A scale and a shift of every coordinate.

use super::{add_constant, BackwardPass, Compiled, Pass};
use crate::conditioner::Slot;
use crate::product::TILE;
use crate::simd::{Op, Simd, Verified};

/// x = z e^s + t
pub(super) struct Elementwise {
    pub log_scale: Slot,
    pub shift: Slot,
}

impl Compiled for Elementwise {
    /// e^s, e^-s, and the log-determinant towards the base.
    fn derived(&self) -> usize {
        2 * self.shift.len + 1
    }

    fn derive(&self, params: &[f32], to: &mut [f32]) {
        let log_scale = self.log_scale.of(params);
        let dim = log_scale.len();
        for (d, s) in log_scale.iter().enumerate() {
            to[d] = s.exp();
            to[dim + d] = (-s).exp();
        }
        to[2 * dim] = -log_scale.iter().sum::<f32>();
    }

    fn added(&self) -> Vec<Slot> {
        vec![self.log_scale, self.shift]
    }

    fn to_base(&self, isa: Verified, pass: Pass<'_>) {
        let dim = self.shift.len;
        isa.run(Scale {
            samples: pass.samples,
            from: pass.from,
            before: Some(self.shift.of(pass.params)),
            scale: &pass.derived[dim..2 * dim],
            after: None,
            to: pass.to,
        });
        add_constant(pass.log_det, pass.derived[2 * dim]);
    }

    fn to_data(&self, isa: Verified, pass: Pass<'_>) {
        isa.run(Scale {
            samples: pass.samples,
            from: pass.from,
            before: None,
            scale: &pass.derived[..self.shift.len],
            after: Some(self.shift.of(pass.params)),
            to: pass.to,
        });
    }

    fn backward(&self, _isa: Verified, pass: BackwardPass<'_>) {
        self.backward_of(pass, true);
    }

    fn to_data_backward(&self, _isa: Verified, pass: BackwardPass<'_>) {
        self.backward_of(pass, false);
    }
}

impl Elementwise {
    /// The backward pass of either direction.
    fn backward_of(&self, pass: BackwardPass<'_>, to_base: bool) {
        let dim = self.shift.len;
        let total: f32 = pass.weight[..pass.samples].iter().sum();
        let (scales, sign) = if to_base {
            (&pass.derived[dim..], -1.0)
        } else {
            (pass.derived, 1.0)
        };
        for (d, scale) in scales[..dim].iter().enumerate() {
            let row = d * TILE..d * TILE + pass.samples;
            let (mut by_scale, mut by_shift) = (0.0, 0.0);
            for (g, z) in pass.gradient[row.clone()].iter_mut().zip(&pass.z[row]) {
                let before = *g;
                *g *= scale;
                let (by_x, by_z) = if to_base { (*g, before) } else { (before, *g) };
                by_scale += by_z * z;
                by_shift += by_x;
            }
            self.log_scale.of_mut(pass.params_gradient)[d] += sign * by_scale - total;
            self.shift.of_mut(pass.params_gradient)[d] += sign * by_shift;
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
