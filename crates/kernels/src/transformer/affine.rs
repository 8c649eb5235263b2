//! Scale and shift.

use super::{places, CoordinateMap, TransformerBackward, TransformerPass};
use crate::math;
use crate::product::TILE;
use crate::simd::Simd;

/// z = (x - t) e^-s with s = c tanh(r / c); theta holds r, then t, of every coordinate.
#[derive(Clone, Copy)]
pub(super) struct Affine {
    /// c
    pub bound: f32,
}

impl CoordinateMap for Affine {
    #[inline(always)]
    fn to_base<S: Simd>(self, s: S, pass: TransformerPass<'_>) {
        let rows = pass.from.len() / TILE;
        for (row, i) in places(rows, pass.samples, S::LANES) {
            let at = row * TILE + i;
            let log_scale = math::bounded(s, s.load(&pass.theta[at..]), self.bound);
            s.store(&mut pass.theta[at..], log_scale);
            let shift = s.load(&pass.theta[at + rows * TILE..]);
            let scale = math::exp(s, math::neg(s, log_scale));
            let z = s.mul(s.sub(s.load(&pass.from[at..]), shift), scale);
            s.store(&mut pass.to[at..], z);
            let log_det = s.sub(s.load(&pass.log_det[i..]), log_scale);
            s.store(&mut pass.log_det[i..], log_det);
        }
    }

    #[inline(always)]
    fn to_data<S: Simd>(self, s: S, pass: TransformerPass<'_>) {
        let rows = pass.from.len() / TILE;
        for (row, i) in places(rows, pass.samples, S::LANES) {
            let at = row * TILE + i;
            let log_scale = math::bounded(s, s.load(&pass.theta[at..]), self.bound);
            let shift = s.load(&pass.theta[at + rows * TILE..]);
            let x = s.fma(s.load(&pass.from[at..]), math::exp(s, log_scale), shift);
            s.store(&mut pass.to[at..], x);
        }
    }

    #[inline(always)]
    fn backward<S: Simd>(self, s: S, back: TransformerBackward<'_>) {
        let rows = back.x.len() / TILE;
        for (row, i) in places(rows, back.samples, S::LANES) {
            let at = row * TILE + i;
            let log_scale = s.load(&back.theta[at..]);
            let z = s.load(&back.z[at..]);
            let by_z = s.load(&back.gradient[at..]);
            let scale = math::exp(s, math::neg(s, log_scale));
            let by_x = s.mul(by_z, scale);
            s.store(&mut back.gradient[at..], by_x);
            let by_scale = s.fma(by_z, z, s.load(&back.weight[i..]));
            let slope = math::bounded_slope(s, log_scale, self.bound);
            let by_raw = math::neg(s, s.mul(by_scale, slope));
            s.store(&mut back.theta_gradient[at..], by_raw);
            let by_shift = math::neg(s, by_x);
            s.store(&mut back.theta_gradient[at + rows * TILE..], by_shift);
        }
    }
}
