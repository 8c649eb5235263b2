//! How fast this machine can multiply and add at all.

use super::simd::{Dispatch, Isa, Op, Simd};

const CHAINS: usize = 12;

struct Chains {
    rounds: usize,
}

impl Op for Chains {
    type Out = f32;

    // Enough independent chains to hide the instruction's latency, in registers alone.
    #[inline(always)]
    fn call<S: Simd>(self, s: S) -> f32 {
        let mut sums = [s.splat(0.0); CHAINS];
        let (a, b) = (
            s.splat(std::hint::black_box(0.999)),
            s.splat(std::hint::black_box(1e-3)),
        );
        for _ in 0..self.rounds {
            for sum in &mut sums {
                *sum = s.fma(*sum, a, b);
            }
        }
        sums.into_iter().map(|v| s.sum(v)).sum()
    }
}

impl Dispatch for Chains {
    type Out = (f32, usize);

    fn with<S: Simd>(self, s: S) -> (f32, usize) {
        (s.run(self), S::LANES)
    }
}

/// Floating-point operations of `rounds` rounds of nothing but multiply-and-add in registers: what
/// divides their time is the limit of one core (a multiplication and an addition are two).
pub fn multiply_adds(isa: Isa, rounds: usize) -> f64 {
    let (sum, lanes) = isa.dispatch(Chains { rounds });
    std::hint::black_box(sum);
    2.0 * (rounds * CHAINS * lanes) as f64
}
