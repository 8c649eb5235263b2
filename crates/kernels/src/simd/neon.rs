//! Four lanes with NEON, which every AArch64 processor has.

use std::arch::aarch64::*;

use super::{Op, Simd};

type V = float32x4_t;
type M = uint32x4_t;

/// Needs no proof.
#[derive(Clone, Copy)]
pub(crate) struct Neon;

// SAFETY: V holds LANES numbers, and the accesses are those of the trait. Of all blocks below:
// the instructions are always there, and addresses are the callers' promise.
unsafe impl Simd for Neon {
    type V = V;
    type M = M;
    const LANES: usize = 4;
    const COLS: usize = 4;

    #[inline(always)]
    fn run<O: Op>(self, op: O) -> O::Out {
        op.call(self)
    }
    #[inline(always)]
    unsafe fn load_at(self, from: *const f32) -> V {
        unsafe { vld1q_f32(from) }
    }
    #[inline(always)]
    unsafe fn store_at(self, to: *mut f32, v: V) {
        unsafe { vst1q_f32(to, v) }
    }
    #[inline(always)]
    unsafe fn transpose_at(self, from: (*const f32, usize), to: (*mut f32, usize)) {
        let ((from, from_stride), (to, to_stride)) = (from, to);
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
    instructions! {
        sums(r: &[V; 16]) -> V = vpaddq_f32(vpaddq_f32(r[0], r[1]), vpaddq_f32(r[2], r[3]));
        splat(v: f32) -> V = vdupq_n_f32(v);
        add(a: V, b: V) -> V = vaddq_f32(a, b);
        sub(a: V, b: V) -> V = vsubq_f32(a, b);
        mul(a: V, b: V) -> V = vmulq_f32(a, b);
        div(a: V, b: V) -> V = vdivq_f32(a, b);
        fma(a: V, b: V, c: V) -> V = vfmaq_f32(c, a, b);
        sqrt(v: V) -> V = vsqrtq_f32(v);
        max(a: V, b: V) -> V = vbslq_f32(vcgtq_f32(a, b), a, b);
        min(a: V, b: V) -> V = vbslq_f32(vcltq_f32(a, b), a, b);
        abs(v: V) -> V = vabsq_f32(v);
        lt(a: V, b: V) -> M = vcltq_f32(a, b);
        le(a: V, b: V) -> M = vcleq_f32(a, b);
        select(m: M, a: V, b: V) -> V = vbslq_f32(m, a, b);
    }
    #[inline(always)]
    fn pow2(self, n: V) -> V {
        unsafe {
            let bits = vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127));
            vreinterpretq_f32_s32(vshlq_n_s32::<23>(bits))
        }
    }
    #[inline(always)]
    fn split(self, v: V) -> (V, V) {
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
