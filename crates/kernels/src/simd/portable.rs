//! Four lanes in plain Rust.

use std::array::from_fn;

use super::{Op, Simd};

const N: usize = 4;

/// Plain Rust, which the compiler vectorises as it can.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

#[derive(Clone, Copy)]
#[repr(align(16))]
pub(crate) struct V([f32; N]);

// 1.5 * 2^23: added to a small whole number, it leaves that number in the lowest bits.
const MAGIC: f32 = 12_582_912.0;

// SAFETY: V holds LANES numbers, and the accesses are those of the trait.
unsafe impl Simd for Portable {
    type V = V;
    type M = [bool; N];
    const LANES: usize = N;
    const COLS: usize = 2;

    #[inline(always)]
    fn run<O: Op>(self, op: O) -> O::Out {
        op.call(self)
    }
    #[inline(always)]
    unsafe fn load_at(self, from: *const f32) -> V {
        // SAFETY: the caller's promise.
        V(unsafe { from.cast::<[f32; N]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store_at(self, to: *mut f32, v: V) {
        // SAFETY: the caller's promise.
        unsafe { to.cast::<[f32; N]>().write_unaligned(v.0) }
    }
    #[inline(always)]
    unsafe fn transpose_at(
        self,
        from: *const f32,
        from_stride: usize,
        to: *mut f32,
        to_stride: usize,
    ) {
        for r in 0..N {
            for c in 0..N {
                // SAFETY: the caller's promise.
                unsafe { *to.add(c * to_stride + r) = *from.add(r * from_stride + c) };
            }
        }
    }
    #[inline(always)]
    fn sums(self, rows: &[V; 16]) -> V {
        V(from_fn(|r| {
            let row = rows[r].0;
            (row[0] + row[1]) + (row[2] + row[3])
        }))
    }
    #[inline(always)]
    fn splat(self, v: f32) -> V {
        V([v; N])
    }
    #[inline(always)]
    fn add(self, a: V, b: V) -> V {
        V(from_fn(|i| a.0[i] + b.0[i]))
    }
    #[inline(always)]
    fn sub(self, a: V, b: V) -> V {
        V(from_fn(|i| a.0[i] - b.0[i]))
    }
    #[inline(always)]
    fn mul(self, a: V, b: V) -> V {
        V(from_fn(|i| a.0[i] * b.0[i]))
    }
    #[inline(always)]
    fn div(self, a: V, b: V) -> V {
        V(from_fn(|i| a.0[i] / b.0[i]))
    }
    #[inline(always)]
    fn fma(self, a: V, b: V, c: V) -> V {
        // Without the instruction `mul_add` is a call into the maths library.
        if cfg!(any(target_feature = "fma", target_arch = "aarch64")) {
            V(from_fn(|i| a.0[i].mul_add(b.0[i], c.0[i])))
        } else {
            V(from_fn(|i| a.0[i] * b.0[i] + c.0[i]))
        }
    }
    #[inline(always)]
    fn sqrt(self, v: V) -> V {
        V(from_fn(|i| v.0[i].sqrt()))
    }
    #[inline(always)]
    fn max(self, a: V, b: V) -> V {
        V(from_fn(|i| if a.0[i] > b.0[i] { a.0[i] } else { b.0[i] }))
    }
    #[inline(always)]
    fn min(self, a: V, b: V) -> V {
        V(from_fn(|i| if a.0[i] < b.0[i] { a.0[i] } else { b.0[i] }))
    }
    #[inline(always)]
    fn abs(self, v: V) -> V {
        V(from_fn(|i| v.0[i].abs()))
    }
    #[inline(always)]
    fn lt(self, a: V, b: V) -> [bool; N] {
        from_fn(|i| a.0[i] < b.0[i])
    }
    #[inline(always)]
    fn le(self, a: V, b: V) -> [bool; N] {
        from_fn(|i| a.0[i] <= b.0[i])
    }
    #[inline(always)]
    fn select(self, m: [bool; N], a: V, b: V) -> V {
        V(from_fn(|i| if m[i] { a.0[i] } else { b.0[i] }))
    }
    #[inline(always)]
    fn pow2(self, n: V) -> V {
        V(from_fn(|i| {
            f32::from_bits(((n.0[i] + MAGIC).to_bits() << 23).wrapping_add(127 << 23))
        }))
    }
    #[inline(always)]
    fn split(self, v: V) -> (V, V) {
        (
            V(from_fn(|i| {
                f32::from_bits((v.0[i].to_bits() & 0x007f_ffff) | 0x3f80_0000)
            })),
            V(from_fn(|i| (v.0[i].to_bits() >> 23) as i32 as f32 - 127.0)),
        )
    }
}
