//! The peak rate of multiply-adds of one core.

use std::array::from_fn;
use std::hint::black_box;

use crate::simd::{Isa, Op, Simd};

const CHAINS: usize = 12;

struct Chains {
    rounds: usize,
}

impl Op for Chains {
    /// Lanes of a vector.
    type Out = usize;

    // Enough independent chains to hide the instruction's latency, all in registers. They are loaded
    // from memory and stored to it, since otherwise the compiler does not vectorise the portable
    // version.
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

/// Runs `rounds` rounds of multiply-adds in registers and returns their number of floating-point
/// operations (a multiply-add is two): divided by the elapsed time it is the limit of one core.
pub fn multiply_adds(isa: Isa, rounds: usize) -> f64 {
    let lanes = isa.or_portable().run(Chains { rounds });
    2.0 * (rounds * CHAINS * lanes) as f64
}
