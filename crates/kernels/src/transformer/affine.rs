//! Scale and shift.

use super::{places, CoordinateMap, TransformerBackward, TransformerPass};
use crate::math;
use crate::product::TILE;
use crate::simd::Simd;

/// z = (x - t) e^-s with s = c tanh(r / c); theta holds r, then t, of every coordinate.
#[derive(Clone, Copy)]
pub(super) struct Affine {
    /// c where r > 0.
    pub grow: f32,
    /// c where r < 0.
    pub shrink: f32,
}

impl Affine {
    /// (c, 1 / c) by the sign of r, which is that of s.
    #[inline(always)]
    fn bound<S: Simd>(self, s: S, r: S::V) -> (S::V, S::V) {
        let shrinks = s.lt(r, s.splat(0.0));
        let choose = |shrink, grow| s.select(shrinks, s.splat(shrink), s.splat(grow));
        (
            choose(self.shrink, self.grow),
            choose(1.0 / self.shrink, 1.0 / self.grow),
        )
    }

    #[inline(always)]
    fn log_scale<S: Simd>(self, s: S, r: S::V) -> S::V {
        let (c, inverse) = self.bound(s, r);
        s.mul(math::tanh(s, s.mul(r, inverse)), c)
    }

    /// ds/dr = 1 - (s / c)^2
    #[inline(always)]
    fn slope<S: Simd>(self, s: S, log_scale: S::V) -> S::V {
        let t = s.mul(log_scale, self.bound(s, log_scale).1);
        s.fma(math::neg(s, t), t, s.splat(1.0))
    }
}

impl CoordinateMap for Affine {
    #[inline(always)]
    fn to_base<S: Simd>(self, s: S, pass: TransformerPass<'_>) {
        let rows = pass.from.len() / TILE;
        for (row, i) in places(rows, pass.samples, S::LANES) {
            let at = row * TILE + i;
            let log_scale = self.log_scale(s, s.load(&pass.theta[at..]));
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
            let log_scale = self.log_scale(s, s.load(&pass.theta[at..]));
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
            let slope = self.slope(s, log_scale);
            let by_raw = math::neg(s, s.mul(by_scale, slope));
            s.store(&mut back.theta_gradient[at..], by_raw);
            let by_shift = math::neg(s, by_x);
            s.store(&mut back.theta_gradient[at + rows * TILE..], by_shift);
        }
    }
}
