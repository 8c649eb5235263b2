//! Flat vectors of parameters and gradients: aligned buffers, sums, and Adam.

use std::ops::{Deref, DerefMut};

use crate::simd::{Op, Simd};

const LINE: usize = 64;

/// A fixed number of f32, initially zero, at an address divisible by 64: a vector that straddles two
/// cache lines costs twice.
pub(crate) struct Buffer {
    data: Vec<f32>,
    start: usize,
    len: usize,
}

impl Buffer {
    pub(crate) fn new(len: usize) -> Self {
        let data = vec![0.0; len + LINE / 4];
        let start = data.as_ptr().align_offset(LINE).min(LINE / 4);
        Self { data, start, len }
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.data[self.start..self.start + self.len]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.data[self.start..self.start + self.len]
    }
}

/// The sum of the squares.
pub(crate) struct Squares<'a>(pub &'a [f32]);

impl Op for Squares<'_> {
    type Out = f64;

    #[inline(always)]
    fn call<S: Simd>(self, s: S) -> f64 {
        let mut total = 0.0;
        // Short sums in single precision, their total in double.
        for block in self.0.chunks(1024) {
            let mut squares = s.splat(0.0);
            let mut vectors = block.chunks_exact(S::LANES);
            for v in vectors.by_ref() {
                let v = s.load(v);
                squares = s.fma(v, v, squares);
            }
            total += f64::from(s.sum(squares));
            let rest = vectors.remainder().iter();
            total += rest.map(|v| f64::from(*v).powi(2)).sum::<f64>();
        }
        total
    }
}

/// One step of Adam (Kingma and Ba 2015) with decoupled weight decay:
/// m <- b1 m + (1 - b1) g, v <- b2 v + (1 - b2) g^2,
/// theta <- theta - rate (m / c1 / (sqrt(v / c2) + eps) + decay theta), with g scaled first.
pub(crate) struct Adam<'a> {
    pub theta: &'a mut [f32],
    pub m: &'a mut [f32],
    pub v: &'a mut [f32],
    pub gradient: &'a [f32],
    pub scale: f32,
    pub rate: f32,
    pub decay: f32,
    /// 1 - b1^t and 1 - b2^t
    pub correction: (f32, f32),
}

/// Adam's decay rate of the first moment.
pub const BETA1: f64 = 0.9;
/// Adam's decay rate of the second moment.
pub const BETA2: f64 = 0.999;
/// Added to Adam's denominator.
pub const EPSILON: f64 = 1e-8;

impl Op for Adam<'_> {
    type Out = ();

    /// The slices' lengths are multiples of 16.
    #[inline(always)]
    fn call<S: Simd>(self, s: S) {
        let (b1, b2) = (s.splat(BETA1 as f32), s.splat(BETA2 as f32));
        let n1 = s.splat((1.0 - BETA1) as f32);
        let n2 = s.splat((1.0 - BETA2) as f32);
        let c1 = s.splat(1.0 / self.correction.0);
        let c2 = s.splat(1.0 / self.correction.1);
        let epsilon = s.splat(EPSILON as f32);
        let (scale, down) = (s.splat(self.scale), s.splat(-self.rate));
        let decay = s.splat(self.decay);
        // Moments of a dead unit decay until they are denormal, and each operation on a denormal
        // number costs a hundred cycles. Numbers this small no longer change a parameter.
        let (tiny, zero) = (s.splat(1e-30), s.splat(0.0));
        let (theta, n) = (self.theta, self.gradient.len());
        let (first, second) = (&mut self.m[..n], &mut self.v[..n]);
        for i in (0..n).step_by(S::LANES) {
            let g = s.mul(s.load(&self.gradient[i..]), scale);
            let m = s.fma(s.load(&first[i..]), b1, s.mul(g, n1));
            let v = s.fma(s.load(&second[i..]), b2, s.mul(s.mul(g, g), n2));
            let m = s.select(s.lt(s.abs(m), tiny), zero, m);
            let v = s.select(s.lt(v, tiny), zero, v);
            let root = s.add(s.sqrt(s.mul(v, c2)), epsilon);
            let before = s.load(&theta[i..]);
            let update = s.fma(before, decay, s.div(s.mul(m, c1), root));
            s.store(&mut theta[i..], s.fma(update, down, before));
            s.store(&mut first[i..], m);
            s.store(&mut second[i..], v);
        }
    }
}
