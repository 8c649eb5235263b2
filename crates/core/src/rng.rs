//! Seeded randomness, drawn on the host and forked by label, so that the same run gives the
//! same numbers on every device and a new draw in one place changes no other.

use candle_core::{DType, Device, Tensor};
use rand::{Rng as _, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{ChiSquared, Distribution as _, StandardNormal};

use crate::Result;

/// A ChaCha8 stream with a key of its own. Forks depend on the key and the label alone, never
/// on how many numbers were drawn before.
#[derive(Clone, Debug)]
pub struct Rng {
    key: [u8; 32],
    stream: ChaCha8Rng,
}

impl Rng {
    /// The root stream of `seed`.
    pub fn new(seed: u64) -> Self {
        Self::from_key(ChaCha8Rng::seed_from_u64(seed).get_seed())
    }

    fn from_key(key: [u8; 32]) -> Self {
        Self {
            key,
            stream: ChaCha8Rng::from_seed(key),
        }
    }

    /// An independent stream named `label`.
    pub fn fork(&self, label: &str) -> Self {
        // FNV-1a: the label picks one of 2^64 nonces of this key, whose first block is the new key.
        let nonce = label.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| {
            (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        let mut source = ChaCha8Rng::from_seed(self.key);
        source.set_stream(nonce);
        let mut key = [0; 32];
        source.fill_bytes(&mut key);
        Self::from_key(key)
    }

    /// The independent stream number `index` of `label`: a function of (seed, label, index), so a
    /// run that starts at step 500 draws what it would have drawn there.
    pub fn fork_at(&self, label: &str, index: u64) -> Self {
        self.fork(&format!("{label}#{index}"))
    }

    /// Uniform in the open interval (0, 1): (k + 1/2) 2^-52 for 52 random bits.
    pub fn uniform(&mut self) -> f64 {
        ((self.stream.next_u64() >> 12) as f64 + 0.5) * 2f64.powi(-52)
    }

    /// Standard normal.
    pub fn normal(&mut self) -> f64 {
        self.stream.sample(StandardNormal)
    }

    /// Student t with these degrees of freedom; NaN unless they are positive.
    pub fn student_t(&mut self, degrees: f64) -> f64 {
        match ChiSquared::new(degrees) {
            Ok(squares) => self.normal() / (squares.sample(&mut self.stream) / degrees).sqrt(),
            Err(_) => f64::NAN,
        }
    }

    /// Uniform in `0..n`.
    ///
    /// # Panics
    /// If `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        self.stream.random_range(0..n as u64) as usize
    }

    /// Index `k` with probability `weights[k]`; the weights sum to one.
    pub fn categorical(&mut self, weights: &[f64]) -> usize {
        let mut u = self.uniform();
        // Without an early exit: a mispredicted branch costs more than the rest of a short list.
        let mut k = 0;
        for w in weights {
            u -= w;
            k += usize::from(!(u < 0.0));
        }
        if k < weights.len() {
            return k;
        }
        // Because of rounding the weights may sum to slightly less than one.
        weights.iter().rposition(|w| *w > 0.0).unwrap_or(0)
    }

    /// `0..n` in random order.
    pub fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        for i in (1..n).rev() {
            order.swap(i, self.below(i + 1));
        }
        order
    }

    /// Standard normal tensor of this shape, drawn in f64.
    pub fn normal_tensor(
        &mut self,
        shape: impl Into<candle_core::Shape>,
        dtype: DType,
        device: &Device,
    ) -> Result<Tensor> {
        let shape = shape.into();
        let draws = (0..shape.elem_count()).map(|_| self.normal());
        let drawn = match dtype {
            DType::F32 => {
                let values: Vec<f32> = draws.map(|v| v as f32).collect();
                Tensor::from_vec(values, shape, &Device::Cpu)?
            }
            _ => Tensor::from_vec(draws.collect::<Vec<f64>>(), shape, &Device::Cpu)?,
        };
        Ok(drawn.to_dtype(dtype)?.to_device(device)?)
    }
}

#[cfg(test)]
mod tests {
    use super::Rng;

    #[test]
    fn forks_ignore_what_was_drawn_before() {
        let mut a = Rng::new(7);
        let b = a.fork("data").normal();
        for _ in 0..10 {
            a.normal();
        }
        assert_eq!(a.fork("data").normal(), b);
        assert_ne!(a.fork("batch").normal(), b);
        assert_ne!(Rng::new(8).fork("data").normal(), b);
        assert_ne!(
            a.fork_at("batch", 1).normal(),
            a.fork_at("batch", 2).normal()
        );
    }

    #[test]
    fn the_first_draws_never_change() {
        // Pinned: a change here changes every published result.
        let mut rng = Rng::new(0).fork("data");
        let got = [rng.uniform(), rng.uniform(), rng.normal()];
        let pinned = [
            0.508_870_307_686_486_3,
            0.441_635_162_265_069_94,
            -0.127_572_415_077_273_38,
        ];
        assert_eq!(got, pinned);
    }

    #[test]
    fn moments_and_ranges() {
        let mut rng = Rng::new(3);
        let n = 100_000;
        let (mut sum, mut squares) = (0.0, 0.0);
        for _ in 0..n {
            let v = rng.normal();
            sum += v;
            squares += v * v;
            let u = rng.uniform();
            assert!(u > 0.0 && u < 1.0);
        }
        assert!((sum / f64::from(n)).abs() < 0.02);
        assert!((squares / f64::from(n) - 1.0).abs() < 0.02);
        let mut seen = rng.permutation(50);
        seen.sort_unstable();
        assert_eq!(seen, (0..50).collect::<Vec<_>>());
        let hits = (0..n)
            .filter(|_| rng.categorical(&[0.25, 0.0, 0.75]) == 0)
            .count();
        assert!((hits as f64 / f64::from(n) - 0.25).abs() < 0.01);
    }
}
