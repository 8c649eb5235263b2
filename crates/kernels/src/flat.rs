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

/// `to` += `from`, element by element.
pub(crate) struct AddUp<'a> {
    pub to: &'a mut [f32],
    pub from: &'a [f32],
}

impl Op for AddUp<'_> {
    type Out = ();

    #[inline(always)]
    fn call<S: Simd>(self, s: S) {
        let mut to = self.to.chunks_exact_mut(S::LANES);
        let mut from = self.from.chunks_exact(S::LANES);
        for (to, from) in to.by_ref().zip(from.by_ref()) {
            s.accumulate(to, s.load(from));
        }
        for (to, from) in to.into_remainder().iter_mut().zip(from.remainder()) {
            *to += from;
        }
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

    #[inline(always)]
    fn call<S: Simd>(self, s: S) {
        let Self {
            theta,
            m,
            v,
            gradient,
            scale,
            rate,
            decay,
            correction,
        } = self;
        let whole = theta.len() / S::LANES * S::LANES;
        let (theta, theta_rest) = theta.split_at_mut(whole);
        let (m, m_rest) = m.split_at_mut(whole);
        let (v, v_rest) = v.split_at_mut(whole);
        let (gradient, gradient_rest) = gradient.split_at(whole);
        let factors = Factors {
            b1: s.splat(BETA1 as f32),
            b2: s.splat(BETA2 as f32),
            n1: s.splat((1.0 - BETA1) as f32),
            n2: s.splat((1.0 - BETA2) as f32),
            c1: s.splat(1.0 / correction.0),
            c2: s.splat(1.0 / correction.1),
            epsilon: s.splat(EPSILON as f32),
            scale: s.splat(scale),
            down: s.splat(-rate),
            decay: s.splat(decay),
        };
        for i in (0..whole).step_by(S::LANES) {
            let at = (s.load(&theta[i..]), s.load(&m[i..]), s.load(&v[i..]));
            let (a, b, c) = moved(s, &factors, at, s.load(&gradient[i..]));
            s.store(&mut theta[i..], a);
            s.store(&mut m[i..], b);
            s.store(&mut v[i..], c);
        }
        // The remainder goes through padded copies.
        let n = theta_rest.len();
        let mut copies = [[0.0f32; 16]; 4];
        copies[0][..n].copy_from_slice(theta_rest);
        copies[1][..n].copy_from_slice(m_rest);
        copies[2][..n].copy_from_slice(v_rest);
        copies[3][..n].copy_from_slice(gradient_rest);
        let [t, m, v, g] = &mut copies;
        let at = (s.load(&*t), s.load(&*m), s.load(&*v));
        let (a, b, c) = moved(s, &factors, at, s.load(&*g));
        s.store(t, a);
        s.store(m, b);
        s.store(v, c);
        theta_rest.copy_from_slice(&t[..n]);
        m_rest.copy_from_slice(&m[..n]);
        v_rest.copy_from_slice(&v[..n]);
    }
}

struct Factors<V> {
    b1: V,
    b2: V,
    n1: V,
    n2: V,
    c1: V,
    c2: V,
    epsilon: V,
    scale: V,
    down: V,
    decay: V,
}

/// The new theta, m and v.
#[inline(always)]
fn moved<S: Simd>(
    s: S,
    f: &Factors<S::V>,
    (theta, m, v): (S::V, S::V, S::V),
    gradient: S::V,
) -> (S::V, S::V, S::V) {
    let g = s.mul(gradient, f.scale);
    let m = s.fma(m, f.b1, s.mul(g, f.n1));
    let v = s.fma(v, f.b2, s.mul(s.mul(g, g), f.n2));
    // Moments of a dead unit decay until they are denormal, and each operation on a denormal number
    // costs a hundred cycles. Numbers this small no longer change a parameter.
    let tiny = s.splat(1e-30);
    let m = s.select(s.lt(s.abs(m), tiny), s.splat(0.0), m);
    let v = s.select(s.lt(v, tiny), s.splat(0.0), v);
    let root = s.add(s.sqrt(s.mul(v, f.c2)), f.epsilon);
    let update = s.div(s.mul(m, f.c1), root);
    let update = s.fma(theta, f.decay, update);
    (s.fma(update, f.down, theta), m, v)
}
