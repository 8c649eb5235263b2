//! Sixteen lanes with AVX-512.

use std::arch::x86_64::*;

use super::{Op, Simd};

type V = __m512;
type M = __mmask16;

/// Proof that the machine has AVX-512 F and DQ.
#[derive(Clone, Copy)]
pub(crate) struct Avx512(());

impl Avx512 {
    pub(crate) fn new() -> Option<Self> {
        let all = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma");
        all.then_some(Self(()))
    }
}

#[target_feature(enable = "avx512f,avx512dq,avx2,fma")]
unsafe fn compiled<O: Op>(s: Avx512, op: O) -> O::Out {
    op.call(s)
}

/// In every quarter: the sums of the quarters of a, b, c and d.
#[inline(always)]
unsafe fn add_four(a: __m512, b: __m512, c: __m512, d: __m512) -> __m512 {
    unsafe {
        let ab = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
        let cd = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
        _mm512_add_ps(
            _mm512_shuffle_ps::<0x44>(ab, cd),
            _mm512_shuffle_ps::<0xee>(ab, cd),
        )
    }
}

/// Sums of neighbouring quarters, first those of a, then those of b.
#[inline(always)]
unsafe fn add_quarters(a: __m512, b: __m512) -> __m512 {
    unsafe {
        _mm512_add_ps(
            _mm512_shuffle_f32x4::<0x88>(a, b),
            _mm512_shuffle_f32x4::<0xdd>(a, b),
        )
    }
}

// SAFETY: V holds LANES numbers, and the accesses are those of the trait. Of all blocks below:
// `self` is proof that the instructions are there, and addresses are the callers' promise.
unsafe impl Simd for Avx512 {
    type V = V;
    type M = M;
    const LANES: usize = 16;
    const COLS: usize = 4;

    #[inline(always)]
    fn run<O: Op>(self, op: O) -> O::Out {
        unsafe { compiled(self, op) }
    }
    #[inline(always)]
    unsafe fn load_at(self, from: *const f32) -> V {
        unsafe { _mm512_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn store_at(self, to: *mut f32, v: V) {
        unsafe { _mm512_storeu_ps(to, v) }
    }
    #[inline(always)]
    unsafe fn transpose_at(self, from: (*const f32, usize), to: (*mut f32, usize)) {
        let ((from, from_stride), (to, to_stride)) = (from, to);
        unsafe {
            let mut r = [_mm512_setzero_ps(); 16];
            // Puts quarters of four rows side by side; the rest is a transpose within each quarter.
            for q in 0..4 {
                for i in 0..4 {
                    let at = |j: usize| _mm_loadu_ps(from.add((4 * j + i) * from_stride + 4 * q));
                    let v = _mm512_castps128_ps512(at(0));
                    let v = _mm512_insertf32x4::<1>(v, at(1));
                    let v = _mm512_insertf32x4::<2>(v, at(2));
                    r[4 * q + i] = _mm512_insertf32x4::<3>(v, at(3));
                }
            }
            for q in 0..4 {
                let (a, b, c, d) = (r[4 * q], r[4 * q + 1], r[4 * q + 2], r[4 * q + 3]);
                let ab = _mm512_unpacklo_ps(a, b);
                let cd = _mm512_unpacklo_ps(c, d);
                let ab_high = _mm512_unpackhi_ps(a, b);
                let cd_high = _mm512_unpackhi_ps(c, d);
                let columns = [
                    _mm512_shuffle_ps::<0x44>(ab, cd),
                    _mm512_shuffle_ps::<0xee>(ab, cd),
                    _mm512_shuffle_ps::<0x44>(ab_high, cd_high),
                    _mm512_shuffle_ps::<0xee>(ab_high, cd_high),
                ];
                for (i, column) in columns.into_iter().enumerate() {
                    _mm512_storeu_ps(to.add((4 * q + i) * to_stride), column);
                }
            }
        }
    }
    #[inline(always)]
    fn sums(self, r: &[V; 16]) -> V {
        unsafe {
            // Sums of quarters of four rows, then of whole rows.
            let quarters = [
                add_four(r[0], r[1], r[2], r[3]),
                add_four(r[4], r[5], r[6], r[7]),
                add_four(r[8], r[9], r[10], r[11]),
                add_four(r[12], r[13], r[14], r[15]),
            ];
            let low = add_quarters(quarters[0], quarters[1]);
            let high = add_quarters(quarters[2], quarters[3]);
            add_quarters(low, high)
        }
    }
    instructions! {
        splat(v: f32) -> V = _mm512_set1_ps(v);
        add(a: V, b: V) -> V = _mm512_add_ps(a, b);
        sub(a: V, b: V) -> V = _mm512_sub_ps(a, b);
        mul(a: V, b: V) -> V = _mm512_mul_ps(a, b);
        div(a: V, b: V) -> V = _mm512_div_ps(a, b);
        fma(a: V, b: V, c: V) -> V = _mm512_fmadd_ps(a, b, c);
        sqrt(v: V) -> V = _mm512_sqrt_ps(v);
        max(a: V, b: V) -> V = _mm512_max_ps(a, b);
        min(a: V, b: V) -> V = _mm512_min_ps(a, b);
        abs(v: V) -> V = _mm512_abs_ps(v);
        lt(a: V, b: V) -> M = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, b);
        le(a: V, b: V) -> M = _mm512_cmp_ps_mask::<_CMP_LE_OQ>(a, b);
        select(m: M, a: V, b: V) -> V = _mm512_mask_blend_ps(m, b, a);
    }
    #[inline(always)]
    fn pow2(self, n: V) -> V {
        unsafe {
            let bits = _mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127));
            _mm512_castsi512_ps(_mm512_slli_epi32::<23>(bits))
        }
    }
    #[inline(always)]
    fn split(self, v: V) -> (V, V) {
        unsafe {
            let bits = _mm512_castps_si512(v);
            let mantissa = _mm512_and_si512(bits, _mm512_set1_epi32(0x007f_ffff));
            let mantissa = _mm512_or_si512(mantissa, _mm512_set1_epi32(0x3f80_0000));
            let exponent = _mm512_cvtepi32_ps(_mm512_srli_epi32::<23>(bits));
            (
                _mm512_castsi512_ps(mantissa),
                _mm512_sub_ps(exponent, _mm512_set1_ps(127.0)),
            )
        }
    }
}
