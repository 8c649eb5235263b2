//! Vectors of `f32`: a small trait, one implementation per instruction set.

// Vector instructions and raw addresses. Only the matrix products use them outside this module.
#![allow(unsafe_code)]

use std::fmt;

/// Methods of [`Simd`] in a few instructions: `name(arguments) -> result = instructions;`
#[allow(unused_macros)] // on processors with the portable version alone
macro_rules! instructions {
    ($($name:ident($($argument:ident: $type:ty),+) -> $out:ty = $value:expr;)*) => {$(
        #[inline(always)]
        fn $name(self, $($argument: $type),+) -> $out {
            // SAFETY: `self` is proof that the machine has the instructions.
            unsafe { $value }
        }
    )*};
}

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;

use portable::Portable;

/// A computation on vectors of any width.
pub(crate) trait Op {
    /// The result.
    type Out;
    /// Must be `#[inline(always)]`, so that it is compiled for the instruction set of the caller.
    fn call<S: Simd>(self, s: S) -> Self::Out;
}

/// Vectors of f32 of one instruction set. A value of the implementing type is proof that the machine
/// has the instructions.
///
/// # Safety
/// `LANES` is the number of f32 in `V`, and [`Simd::load_at`], [`Simd::store_at`] and
/// [`Simd::transpose_at`] touch no more numbers than they say: [`Simd::load`] and [`Simd::store`]
/// check slices against `LANES` alone.
pub(crate) unsafe trait Simd: Copy + Send + Sync + 'static {
    /// The vector.
    type V: Copy;
    /// One truth value per lane.
    type M: Copy;
    /// Numbers in a vector, a divisor of 16.
    const LANES: usize;
    /// Vectors side by side in a block of a matrix product; with six rows of them the
    /// accumulators fit the registers.
    const COLS: usize;

    /// Calls `op` compiled for this instruction set.
    fn run<O: Op>(self, op: O) -> O::Out;

    /// # Safety
    /// `LANES` numbers can be read at `from`.
    unsafe fn load_at(self, from: *const f32) -> Self::V;
    /// # Safety
    /// `LANES` numbers can be written at `to`.
    unsafe fn store_at(self, to: *mut f32, v: Self::V);
    /// Writes the transpose of a LANES x LANES block; addresses are given with the stride of the rows.
    ///
    /// # Safety
    /// Each of the `LANES` rows at both places has `LANES` numbers.
    unsafe fn transpose_at(self, from: (*const f32, usize), to: (*mut f32, usize));

    /// The sum of the lanes of each of the first `LANES` vectors, one per lane.
    fn sums(self, rows: &[Self::V; 16]) -> Self::V;

    /// The same number in every lane.
    fn splat(self, v: f32) -> Self::V;
    /// a + b
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    /// a - b
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    /// a b
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    /// a / b
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    /// a b + c
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// Square root.
    fn sqrt(self, v: Self::V) -> Self::V;
    /// a if a > b, else b: where one is NaN, b.
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    /// a if a < b, else b: where one is NaN, b.
    fn min(self, a: Self::V, b: Self::V) -> Self::V;
    /// |v|
    fn abs(self, v: Self::V) -> Self::V;
    /// a < b
    fn lt(self, a: Self::V, b: Self::V) -> Self::M;
    /// a <= b
    fn le(self, a: Self::V, b: Self::V) -> Self::M;
    /// `a` where `m`, else `b`.
    fn select(self, m: Self::M, a: Self::V, b: Self::V) -> Self::V;
    /// 2^n for integers n in -126..=127.
    fn pow2(self, n: Self::V) -> Self::V;
    /// m in [1, 2) and the integer e of a positive normal v = m 2^e.
    fn split(self, v: Self::V) -> (Self::V, Self::V);

    /// The first `LANES` of `from`.
    #[inline(always)]
    fn load(self, from: &[f32]) -> Self::V {
        assert!(from.len() >= Self::LANES);
        // SAFETY: checked above.
        unsafe { self.load_at(from.as_ptr()) }
    }

    /// Replaces the first `LANES` of `to`.
    #[inline(always)]
    fn store(self, to: &mut [f32], v: Self::V) {
        assert!(to.len() >= Self::LANES);
        // SAFETY: checked above.
        unsafe {
            self.store_at(to.as_mut_ptr(), v);
        }
    }

    /// Adds to the first `LANES` of `to`.
    #[inline(always)]
    fn accumulate(self, to: &mut [f32], v: Self::V) {
        let sum = self.add(self.load(to), v);
        self.store(to, sum);
    }

    /// The sum of all lanes, always in the same order.
    #[inline(always)]
    fn sum(self, v: Self::V) -> f32 {
        let mut lanes = [0.0; 16];
        self.store(&mut lanes, v);
        let mut half = Self::LANES / 2;
        while half > 0 {
            for i in 0..half {
                lanes[i] += lanes[i + half];
            }
            half /= 2;
        }
        lanes[0]
    }
}

/// An instruction set that the kernels are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isa {
    /// 16 lanes (x86-64 with AVX-512 F and DQ).
    Avx512,
    /// 8 lanes (x86-64 with AVX2 and FMA).
    Avx2,
    /// 4 lanes (AArch64).
    Neon,
    /// 4 lanes in plain Rust, for any processor.
    Portable,
}

impl Isa {
    const ALL: [Self; 4] = [Self::Avx512, Self::Avx2, Self::Neon, Self::Portable];

    /// The name in messages and records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Neon => "neon",
            Self::Portable => "portable",
        }
    }

    /// Proof that this machine executes it, if it does.
    fn verified(self) -> Option<Verified> {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => avx512::Avx512::new().map(Verified::Avx512),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => avx2::Avx2::new().map(Verified::Avx2),
            #[cfg(target_arch = "aarch64")]
            Self::Neon => Some(Verified::Neon(neon::Neon)),
            Self::Portable => Some(Verified::Portable(Portable)),
            #[allow(unreachable_patterns)]
            _ => None,
        }
    }

    /// This one, or the portable one where the machine lacks it.
    pub(crate) fn or_portable(self) -> Verified {
        self.verified().unwrap_or(Verified::Portable(Portable))
    }

    /// All that this machine executes, the widest first.
    pub fn available() -> Vec<Self> {
        let all = Self::ALL.into_iter();
        all.filter(|isa| isa.verified().is_some()).collect()
    }

    /// The widest that this machine executes.
    pub fn best() -> Self {
        *Self::available().first().unwrap_or(&Self::Portable)
    }
}

/// An instruction set that this machine is known to have.
#[derive(Clone, Copy)]
pub(crate) enum Verified {
    #[cfg(target_arch = "x86_64")]
    Avx512(avx512::Avx512),
    #[cfg(target_arch = "x86_64")]
    Avx2(avx2::Avx2),
    #[cfg(target_arch = "aarch64")]
    Neon(neon::Neon),
    Portable(Portable),
}

impl Verified {
    /// Calls `op` compiled for this instruction set.
    #[inline(always)]
    pub(crate) fn run<O: Op>(self, op: O) -> O::Out {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(s) => s.run(op),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(s) => s.run(op),
            #[cfg(target_arch = "aarch64")]
            Self::Neon(s) => s.run(op),
            Self::Portable(s) => s.run(op),
        }
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
