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

/// a b + c; without the instruction `mul_add` is a call into the maths library.
#[inline(always)]
fn multiply_add(a: f32, b: f32, c: f32) -> f32 {
    if cfg!(any(target_feature = "fma", target_arch = "aarch64")) {
        a.mul_add(b, c)
    } else {
        a * b + c
    }
}

/// Methods of [`Simd`] that do the same to every lane: `name(arguments) = number;`
macro_rules! by_lane {
    ($($name:ident($($argument:ident),+) = $number:expr;)*) => {$(
        #[inline(always)]
        fn $name(self, $($argument: V),+) -> V {
            V(from_fn(|i| {
                $(let $argument = $argument.0[i];)+
                $number
            }))
        }
    )*};
}

// SAFETY: V holds LANES numbers, and the accesses are those of the trait.
unsafe impl Simd for Portable {
    type V = V;
    type M = [bool; N];
    const LANES: usize = N;
    const COLS: usize = 2;

    // As in the other instruction sets, a function of its own.
    #[inline(never)]
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
    unsafe fn transpose_at(self, from: (*const f32, usize), to: (*mut f32, usize)) {
        let ((from, from_stride), (to, to_stride)) = (from, to);
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
    by_lane! {
        add(a, b) = a + b;
        sub(a, b) = a - b;
        mul(a, b) = a * b;
        div(a, b) = a / b;
        fma(a, b, c) = multiply_add(a, b, c);
        sqrt(v) = v.sqrt();
        max(a, b) = if a > b { a } else { b };
        min(a, b) = if a < b { a } else { b };
        abs(v) = v.abs();
        pow2(n) = f32::from_bits(((n + MAGIC).to_bits() << 23).wrapping_add(127 << 23));
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
    fn split(self, v: V) -> (V, V) {
        (
            V(from_fn(|i| {
                f32::from_bits((v.0[i].to_bits() & 0x007f_ffff) | 0x3f80_0000)
            })),
            V(from_fn(|i| (v.0[i].to_bits() >> 23) as i32 as f32 - 127.0)),
        )
    }
}
