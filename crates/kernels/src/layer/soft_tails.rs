//! Logarithmic tails.

use super::{BackwardPass, Compiled, Pass};
use crate::math;
use crate::product::TILE;
use crate::simd::{Op, Simd, Verified};
use crate::transformer::places;

/// From data to base: z = sign(x) (t + ln(1 + |x| - t)) where |x| > t, else z = x.
pub(super) struct SoftTails {
    /// t
    pub threshold: f32,
}

impl Compiled for SoftTails {
    fn to_base(&self, isa: Verified, pass: Pass<'_>) {
        isa.run(ToBase(self.threshold, pass));
    }

    fn to_data(&self, isa: Verified, pass: Pass<'_>) {
        isa.run(ToData(self.threshold, pass, false));
    }

    fn to_data_and_log_det(&self, isa: Verified, pass: Pass<'_>, _scratch: &mut [f32]) {
        isa.run(ToData(self.threshold, pass, true));
    }

    fn backward(&self, isa: Verified, pass: BackwardPass<'_>) {
        isa.run(Backward(self.threshold, pass, true));
    }

    fn to_data_backward(&self, isa: Verified, pass: BackwardPass<'_>) {
        isa.run(Backward(self.threshold, pass, false));
    }
}

/// How far |v| is above t, 0 below, and the sign of v. NaN stays NaN.
#[inline(always)]
fn beyond<S: Simd>(s: S, v: S::V, t: f32) -> (S::V, S::V) {
    let above = s.max(s.splat(0.0), s.sub(s.abs(v), s.splat(t)));
    let sign = s.select(s.lt(v, s.splat(0.0)), s.splat(-1.0), s.splat(1.0));
    (above, sign)
}

/// `v` where |v| <= t, else sign (t + `tail`).
#[inline(always)]
fn joined<S: Simd>(s: S, v: S::V, t: f32, sign: S::V, tail: S::V) -> S::V {
    let inside = s.le(s.abs(v), s.splat(t));
    s.select(inside, v, s.mul(sign, s.add(s.splat(t), tail)))
}

struct ToBase<'a>(f32, Pass<'a>);

impl Op for ToBase<'_> {
    type Out = ();
    #[inline(always)]
    fn call<S: Simd>(self, s: S) {
        let Self(t, pass) = self;
        for (row, i) in places(pass.from.len() / TILE, pass.samples, S::LANES) {
            let at = row * TILE + i;
            let x = s.load(&pass.from[at..]);
            let (above, sign) = beyond(s, x, t);
            let tail = math::ln(s, s.add(s.splat(1.0), above));
            s.store(&mut pass.to[at..], joined(s, x, t, sign, tail));
            let log_det = s.sub(s.load(&pass.log_det[i..]), tail);
            s.store(&mut pass.log_det[i..], log_det);
        }
    }
}

/// With log|det dz/dx|, if the flag says so.
struct ToData<'a>(f32, Pass<'a>, bool);

impl Op for ToData<'_> {
    type Out = ();
    #[inline(always)]
    fn call<S: Simd>(self, s: S) {
        let Self(t, pass, with_log_det) = self;
        for (row, i) in places(pass.from.len() / TILE, pass.samples, S::LANES) {
            let at = row * TILE + i;
            let z = s.load(&pass.from[at..]);
            let (above, sign) = beyond(s, z, t);
            let tail = s.sub(math::exp(s, above), s.splat(1.0));
            s.store(&mut pass.to[at..], joined(s, z, t, sign, tail));
            if with_log_det {
                s.accumulate(&mut pass.log_det[i..], math::neg(s, above));
            }
        }
    }
}

/// Of the way to the base, if the flag says so, else of that to the data.
struct Backward<'a>(f32, BackwardPass<'a>, bool);

impl Op for Backward<'_> {
    type Out = ();
    #[inline(always)]
    fn call<S: Simd>(self, s: S) {
        let Self(t, pass, to_base) = self;
        let (zero, one) = (s.splat(0.0), s.splat(1.0));
        for (row, i) in places(pass.gradient.len() / TILE, pass.samples, S::LANES) {
            let at = row * TILE + i;
            let from = s.load(if to_base {
                &pass.x[at..]
            } else {
                &pass.z[at..]
            });
            let (above, sign) = beyond(s, from, t);
            // The derivative of the map, and that of its log-determinant.
            let (slope, by_log_det) = if to_base {
                let slope = s.div(one, s.add(one, above));
                (slope, math::neg(s, s.mul(sign, slope)))
            } else {
                (math::exp(s, above), math::neg(s, sign))
            };
            let by_log_det = s.select(s.lt(zero, above), by_log_det, zero);
            let weight = s.load(&pass.weight[i..]);
            let gradient = s.mul(s.load(&pass.gradient[at..]), slope);
            s.store(
                &mut pass.gradient[at..],
                s.fma(weight, by_log_det, gradient),
            );
        }
    }
}
