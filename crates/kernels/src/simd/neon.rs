//! Four lanes with NEON, which every AArch64 processor has.

use std::arch::aarch64::*;

use super::{Op, Simd};

/// NEON is part of the architecture.
#[derive(Clone, Copy)]
pub(crate) struct Neon(());

impl Neon {
    pub(crate) fn new() -> Self {
        Self(())
    }
}

// SAFETY: V holds LANES numbers, and the accesses are those of the trait. Of all blocks below: the instructions are always there, and addresses are the callers'
// promise.
unsafe impl Simd for Neon {
    type V = float32x4_t;
    type M = uint32x4_t;
    const LANES: usize = 4;
    const COLS: usize = 4;

    #[inline(always)]
    fn run<O: Op>(self, op: O) -> O::Out {
        op.call(self)
    }
    #[inline(always)]
    unsafe fn load_at(self, from: *const f32) -> float32x4_t {
        unsafe { vld1q_f32(from) }
    }
    #[inline(always)]
    unsafe fn store_at(self, to: *mut f32, v: float32x4_t) {
        unsafe { vst1q_f32(to, v) }
    }
    #[inline(always)]
    unsafe fn transpose_at(
        self,
        from: *const f32,
        from_stride: usize,
        to: *mut f32,
        to_stride: usize,
    ) {
        unsafe {
            let row = |i: usize| vld1q_f32(from.add(i * from_stride));
            let (a, b, c, d) = (row(0), row(1), row(2), row(3));
            let (ab, ab_odd) = (vtrn1q_f32(a, b), vtrn2q_f32(a, b));
            let (cd, cd_odd) = (vtrn1q_f32(c, d), vtrn2q_f32(c, d));
            let low = |a, b| vcombine_f32(vget_low_f32(a), vget_low_f32(b));
            let high = |a, b| vcombine_f32(vget_high_f32(a), vget_high_f32(b));
            vst1q_f32(to, low(ab, cd));
            vst1q_f32(to.add(to_stride), low(ab_odd, cd_odd));
            vst1q_f32(to.add(2 * to_stride), high(ab, cd));
            vst1q_f32(to.add(3 * to_stride), high(ab_odd, cd_odd));
        }
    }
    #[inline(always)]
    fn sums(self, r: &[float32x4_t; 16]) -> float32x4_t {
        unsafe { vpaddq_f32(vpaddq_f32(r[0], r[1]), vpaddq_f32(r[2], r[3])) }
    }
    #[inline(always)]
    fn splat(self, v: f32) -> float32x4_t {
        unsafe { vdupq_n_f32(v) }
    }
    one_instruction! {
        add(a, b) = vaddq_f32;
        sub(a, b) = vsubq_f32;
        mul(a, b) = vmulq_f32;
        div(a, b) = vdivq_f32;
        sqrt(v) = vsqrtq_f32;
    }
    #[inline(always)]
    fn fma(self, a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        unsafe { vfmaq_f32(c, a, b) }
    }
    #[inline(always)]
    fn max(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vbslq_f32(vcgtq_f32(a, b), a, b) }
    }
    #[inline(always)]
    fn min(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vbslq_f32(vcltq_f32(a, b), a, b) }
    }
    #[inline(always)]
    fn abs(self, v: float32x4_t) -> float32x4_t {
        unsafe { vabsq_f32(v) }
    }
    #[inline(always)]
    fn lt(self, a: float32x4_t, b: float32x4_t) -> uint32x4_t {
        unsafe { vcltq_f32(a, b) }
    }
    #[inline(always)]
    fn le(self, a: float32x4_t, b: float32x4_t) -> uint32x4_t {
        unsafe { vcleq_f32(a, b) }
    }
    #[inline(always)]
    fn select(self, m: uint32x4_t, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vbslq_f32(m, a, b) }
    }
    #[inline(always)]
    fn pow2(self, n: float32x4_t) -> float32x4_t {
        unsafe {
            let bits = vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127));
            vreinterpretq_f32_s32(vshlq_n_s32::<23>(bits))
        }
    }
    #[inline(always)]
    fn split(self, v: float32x4_t) -> (float32x4_t, float32x4_t) {
        unsafe {
            let bits = vreinterpretq_u32_f32(v);
            let mantissa = vandq_u32(bits, vdupq_n_u32(0x007f_ffff));
            let mantissa = vorrq_u32(mantissa, vdupq_n_u32(0x3f80_0000));
            let exponent = vcvtq_f32_u32(vshrq_n_u32::<23>(bits));
            (
                vreinterpretq_f32_u32(mantissa),
                vsubq_f32(exponent, vdupq_n_f32(127.0)),
            )
        }
    }
}
