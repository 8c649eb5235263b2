//! Eight lanes with AVX2 and FMA.

use std::arch::x86_64::*;

use super::{Op, Simd};

type V = __m256;
type M = __m256;

/// Proof that the machine has AVX2 and FMA.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(());

impl Avx2 {
    pub(crate) fn new() -> Option<Self> {
        let all = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        all.then_some(Self(()))
    }
}

#[target_feature(enable = "avx2,fma")]
unsafe fn compiled<O: Op>(s: Avx2, op: O) -> O::Out {
    op.call(s)
}

// SAFETY: V holds LANES numbers, and the accesses are those of the trait. Of all blocks below:
// `self` is proof that the instructions are there, and addresses are the callers' promise.
unsafe impl Simd for Avx2 {
    type V = V;
    type M = M;
    const LANES: usize = 8;
    const COLS: usize = 2;

    #[inline(always)]
    fn run<O: Op>(self, op: O) -> O::Out {
        unsafe { compiled(self, op) }
    }
    #[inline(always)]
    unsafe fn load_at(self, from: *const f32) -> V {
        unsafe { _mm256_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn store_at(self, to: *mut f32, v: V) {
        unsafe { _mm256_storeu_ps(to, v) }
    }
    #[inline(always)]
    unsafe fn transpose_at(self, from: (*const f32, usize), to: (*mut f32, usize)) {
        let ((from, from_stride), (to, to_stride)) = (from, to);
        unsafe {
            // Puts halves of two rows side by side; the rest is a transpose within each half.
            for q in 0..2 {
                let row = |i: usize| {
                    let low = _mm_loadu_ps(from.add(i * from_stride + 4 * q));
                    let high = _mm_loadu_ps(from.add((4 + i) * from_stride + 4 * q));
                    _mm256_insertf128_ps::<1>(_mm256_castps128_ps256(low), high)
                };
                let (a, b, c, d) = (row(0), row(1), row(2), row(3));
                let ab = _mm256_unpacklo_ps(a, b);
                let cd = _mm256_unpacklo_ps(c, d);
                let ab_high = _mm256_unpackhi_ps(a, b);
                let cd_high = _mm256_unpackhi_ps(c, d);
                let columns = [
                    _mm256_shuffle_ps::<0x44>(ab, cd),
                    _mm256_shuffle_ps::<0xee>(ab, cd),
                    _mm256_shuffle_ps::<0x44>(ab_high, cd_high),
                    _mm256_shuffle_ps::<0xee>(ab_high, cd_high),
                ];
                for (i, column) in columns.into_iter().enumerate() {
                    _mm256_storeu_ps(to.add((4 * q + i) * to_stride), column);
                }
            }
        }
    }
    #[inline(always)]
    fn sums(self, r: &[V; 16]) -> V {
        unsafe {
            // Sums of halves of four rows, then of whole rows.
            let low = _mm256_hadd_ps(_mm256_hadd_ps(r[0], r[1]), _mm256_hadd_ps(r[2], r[3]));
            let high = _mm256_hadd_ps(_mm256_hadd_ps(r[4], r[5]), _mm256_hadd_ps(r[6], r[7]));
            _mm256_add_ps(
                _mm256_permute2f128_ps::<0x20>(low, high),
                _mm256_permute2f128_ps::<0x31>(low, high),
            )
        }
    }
    instructions! {
        splat(v: f32) -> V = _mm256_set1_ps(v);
        add(a: V, b: V) -> V = _mm256_add_ps(a, b);
        sub(a: V, b: V) -> V = _mm256_sub_ps(a, b);
        mul(a: V, b: V) -> V = _mm256_mul_ps(a, b);
        div(a: V, b: V) -> V = _mm256_div_ps(a, b);
        fma(a: V, b: V, c: V) -> V = _mm256_fmadd_ps(a, b, c);
        sqrt(v: V) -> V = _mm256_sqrt_ps(v);
        max(a: V, b: V) -> V = _mm256_max_ps(a, b);
        min(a: V, b: V) -> V = _mm256_min_ps(a, b);
        abs(v: V) -> V = _mm256_andnot_ps(_mm256_set1_ps(-0.0), v);
        lt(a: V, b: V) -> M = _mm256_cmp_ps::<_CMP_LT_OQ>(a, b);
        le(a: V, b: V) -> M = _mm256_cmp_ps::<_CMP_LE_OQ>(a, b);
        select(m: M, a: V, b: V) -> V = _mm256_blendv_ps(b, a, m);
    }
    #[inline(always)]
    fn pow2(self, n: V) -> V {
        unsafe {
            let bits = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
            _mm256_castsi256_ps(_mm256_slli_epi32::<23>(bits))
        }
    }
    #[inline(always)]
    fn split(self, v: V) -> (V, V) {
        unsafe {
            let bits = _mm256_castps_si256(v);
            let mantissa = _mm256_and_si256(bits, _mm256_set1_epi32(0x007f_ffff));
            let mantissa = _mm256_or_si256(mantissa, _mm256_set1_epi32(0x3f80_0000));
            let exponent = _mm256_cvtepi32_ps(_mm256_srli_epi32::<23>(bits));
            (
                _mm256_castsi256_ps(mantissa),
                _mm256_sub_ps(exponent, _mm256_set1_ps(127.0)),
            )
        }
    }
}
