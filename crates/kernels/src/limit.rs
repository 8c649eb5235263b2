//! How fast this machine can multiply and add at all.

use std::array::from_fn;
use std::hint::black_box;

use super::simd::{Isa, Op, Simd};

const CHAINS: usize = 12;

struct Chains {
    rounds: usize,
}

impl Op for Chains {
    /// Lanes of a vector.
    type Out = usize;

    // Enough independent chains to hide the instruction's latency, in registers alone. They come
    // from memory and go back there: between splats and a sum the compiler takes plain Rust for
    // single numbers and makes no vectors of it.
    #[inline(always)]
    fn call<S: Simd>(self, s: S) -> usize {
        let (a, b) = (black_box([0.999; 16]), black_box([1e-3; 16]));
        let (a, b) = (s.load(&a), s.load(&b));
        let mut memory = black_box([[0.0; 16]; CHAINS]);
        let mut chains: [S::V; CHAINS] = from_fn(|i| s.load(&memory[i]));
        for _ in 0..self.rounds {
            for chain in &mut chains {
                *chain = s.fma(*chain, a, b);
            }
        }
        for (to, chain) in memory.iter_mut().zip(chains) {
            s.store(to, chain);
        }
        black_box(memory);
        S::LANES
    }
}

/// Floating-point operations of `rounds` rounds of nothing but multiply-and-add in registers: what
/// divides their time is the limit of one core (a multiplication and an addition are two).
pub fn multiply_adds(isa: Isa, rounds: usize) -> f64 {
    let lanes = isa.run(Chains { rounds });
    2.0 * (rounds * CHAINS * lanes) as f64
}
