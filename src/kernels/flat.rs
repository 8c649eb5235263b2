//! Whole vectors of parameters and gradients.

use super::simd::{Dispatch, Op, Simd};

/// `to` += `from`, element by element, and the sum of the squares of what comes out, within each of
/// the ranges that count.
pub(crate) struct AddUp<'a> {
    pub to: &'a mut [f32],
    pub from: &'a [&'a [f32]],
}

impl Op for AddUp<'_> {
    type Out = f64;

    #[inline(always)]
    fn call<S: Simd>(self, s: S) -> f64 {
        let Self { to, from } = self;
        let whole = to.len() / S::LANES * S::LANES;
        let mut total = 0.0;
        // Short sums in single precision, their total in double.
        for start in (0..whole).step_by(1024) {
            let mut squares = s.splat(0.0);
            for i in (start..whole.min(start + 1024)).step_by(S::LANES) {
                let mut sum = s.load(&to[i..]);
                for from in from {
                    sum = s.add(sum, s.load(&from[i..]));
                }
                s.store(&mut to[i..], sum);
                squares = s.fma(sum, sum, squares);
            }
            total += f64::from(s.sum(squares));
        }
        for i in whole..to.len() {
            for from in from {
                to[i] += from[i];
            }
            total += f64::from(to[i]).powi(2);
        }
        total
    }
}

impl Dispatch for AddUp<'_> {
    type Out = f64;
    fn with<S: Simd>(self, s: S) -> f64 {
        s.run(self)
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

pub(crate) const BETA1: f64 = 0.9;
pub(crate) const BETA2: f64 = 0.999;
const EPSILON: f32 = 1e-8;

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
        let (b1, b2) = (s.splat(BETA1 as f32), s.splat(BETA2 as f32));
        let (n1, n2) = (s.splat(1.0 - BETA1 as f32), s.splat((1.0 - BETA2) as f32));
        let (c1, c2) = (s.splat(1.0 / correction.0), s.splat(1.0 / correction.1));
        let (epsilon, scale) = (s.splat(EPSILON), s.splat(scale));
        let (down, decay) = (s.splat(-rate), s.splat(decay));
        let mut i = 0;
        while i < theta.len() {
            // The last vector goes through a copy.
            let mut rest = [[0.0f32; 16]; 4];
            let short = theta.len() - i < S::LANES;
            if short {
                for (r, from) in
                    rest.iter_mut()
                        .zip([&theta[i..], &m[i..], &v[i..], &gradient[i..]])
                {
                    r[..from.len()].copy_from_slice(from);
                }
            }
            let (t, a, b, g) = if short {
                (
                    s.load(&rest[0]),
                    s.load(&rest[1]),
                    s.load(&rest[2]),
                    s.load(&rest[3]),
                )
            } else {
                (
                    s.load(&theta[i..]),
                    s.load(&m[i..]),
                    s.load(&v[i..]),
                    s.load(&gradient[i..]),
                )
            };
            let g = s.mul(g, scale);
            let a = s.fma(a, b1, s.mul(g, n1));
            let b = s.fma(b, b2, s.mul(s.mul(g, g), n2));
            let root = s.add(s.sqrt(s.mul(b, c2)), epsilon);
            let update = s.div(s.mul(a, c1), root);
            let update = s.fma(t, decay, update);
            let t = s.fma(update, down, t);
            if short {
                for (r, value) in rest.iter_mut().zip([t, a, b]) {
                    s.store(r, value);
                }
                for (to, r) in [&mut theta[i..], &mut m[i..], &mut v[i..]]
                    .into_iter()
                    .zip(&rest)
                {
                    let n = to.len();
                    to.copy_from_slice(&r[..n]);
                }
            } else {
                s.store(&mut theta[i..], t);
                s.store(&mut m[i..], a);
                s.store(&mut v[i..], b);
            }
            i += S::LANES;
        }
    }
}

impl Dispatch for Adam<'_> {
    type Out = ();
    fn with<S: Simd>(self, s: S) {
        s.run(self);
    }
}
