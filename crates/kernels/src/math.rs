//! Elementary functions on vectors, to a few units in the last place.

// Coefficients have the digits in which they were published.
#![allow(clippy::excessive_precision)]

use crate::simd::Simd;

/// a0 + v (a1 + v (a2 + ...)), the coefficients from the highest power down.
#[inline(always)]
fn polynomial<S: Simd, const N: usize>(s: S, v: S::V, coefficients: [f32; N]) -> S::V {
    let mut sum = s.splat(coefficients[0]);
    let mut i = 1;
    while i < N {
        sum = s.fma(sum, v, s.splat(coefficients[i]));
        i += 1;
    }
    sum
}

/// -v
#[inline(always)]
pub(crate) fn neg<S: Simd>(s: S, v: S::V) -> S::V {
    s.sub(s.splat(0.0), v)
}

/// v clamped to [low, high]; NaN stays NaN.
#[inline(always)]
pub(crate) fn clamp<S: Simd>(s: S, v: S::V, low: f32, high: f32) -> S::V {
    s.min(s.splat(high), s.max(s.splat(low), v))
}

/// e^v (Cephes); infinite above 88.37 and 0 below -87.3, where f32 ends.
#[inline(always)]
pub(crate) fn exp<S: Simd>(s: S, v: S::V) -> S::V {
    const MAGIC: f32 = 12_582_912.0;
    let x = clamp(s, v, -87.3, 88.37);
    let n = s.fma(x, s.splat(std::f32::consts::LOG2_E), s.splat(MAGIC));
    let n = s.sub(n, s.splat(MAGIC));
    let r = s.fma(n, s.splat(-0.693_359_375), x);
    let r = s.fma(n, s.splat(2.121_944_4e-4), r);
    const P: [f32; 6] = [
        1.987_569_150_0e-4,
        1.398_199_950_7e-3,
        8.333_451_907_3e-3,
        4.166_579_589_4e-2,
        1.666_666_545_9e-1,
        5.000_000_120_1e-1,
    ];
    let p = polynomial(s, r, P);
    let y = s.add(s.fma(p, s.mul(r, r), r), s.splat(1.0));
    let y = s.mul(y, s.pow2(n));
    let y = s.select(s.lt(s.splat(88.37), v), s.splat(f32::INFINITY), y);
    s.select(s.lt(v, s.splat(-87.3)), s.splat(0.0), y)
}

/// ln v (Cephes) of normal numbers; -inf at 0, NaN below.
#[inline(always)]
pub(crate) fn ln<S: Simd>(s: S, v: S::V) -> S::V {
    let (m, e) = s.split(v);
    // m in [sqrt(1/2), sqrt(2))
    let high = s.lt(s.splat(std::f32::consts::SQRT_2), m);
    let m = s.select(high, s.mul(m, s.splat(0.5)), m);
    let e = s.select(high, s.add(e, s.splat(1.0)), e);
    let x = s.sub(m, s.splat(1.0));
    let z = s.mul(x, x);
    const P: [f32; 9] = [
        7.037_683_629_2e-2,
        -1.151_461_031_0e-1,
        1.167_699_874_0e-1,
        -1.242_014_084_6e-1,
        1.424_932_278_7e-1,
        -1.666_805_766_5e-1,
        2.000_071_476_5e-1,
        -2.499_999_399_3e-1,
        3.333_333_117_4e-1,
    ];
    let p = polynomial(s, x, P);
    let y = s.mul(s.mul(x, z), p);
    let y = s.fma(e, s.splat(-2.121_944_4e-4), y);
    let y = s.fma(z, s.splat(-0.5), y);
    let y = s.fma(e, s.splat(0.693_359_375), s.add(x, y));
    let infinite = s.le(s.splat(f32::INFINITY), v);
    let y = s.select(infinite, v, y);
    let positive = s.lt(s.splat(0.0), v);
    let zero = s.le(s.abs(v), s.splat(0.0));
    let rest = s.select(zero, s.splat(f32::NEG_INFINITY), s.splat(f32::NAN));
    s.select(positive, y, rest)
}

/// tanh v (the rational approximation of Eigen).
#[inline(always)]
pub(crate) fn tanh<S: Simd>(s: S, v: S::V) -> S::V {
    let x = clamp(s, v, -7.905_311_107_635_498, 7.905_311_107_635_498);
    let z = s.mul(x, x);
    const TOP: [f32; 7] = [
        -2.760_768_477_423_55e-16,
        2.000_187_904_824_77e-13,
        -8.604_671_522_137_35e-11,
        5.122_297_090_371_14e-8,
        1.485_722_357_179_79e-5,
        6.372_619_288_754_36e-4,
        4.893_524_558_917_86e-3,
    ];
    let top = polynomial(s, z, TOP);
    const BOTTOM: [f32; 4] = [
        1.198_258_394_667_02e-6,
        1.185_347_056_866_54e-4,
        2.268_434_632_439_00e-3,
        4.893_525_185_543_85e-3,
    ];
    let bottom = polynomial(s, z, BOTTOM);
    s.div(s.mul(x, top), bottom)
}

/// 1 / (1 + e^-v)
#[inline(always)]
pub(crate) fn sigmoid<S: Simd>(s: S, v: S::V) -> S::V {
    let one = s.splat(1.0);
    s.div(one, s.add(one, exp(s, neg(s, v))))
}

/// ln(1 + e^v)
#[inline(always)]
pub(crate) fn softplus<S: Simd>(s: S, v: S::V) -> S::V {
    let tail = exp(s, neg(s, s.abs(v)));
    let tail = ln(s, s.add(s.splat(1.0), tail));
    s.add(s.max(s.splat(0.0), v), tail)
}

/// c tanh(v / c)
#[inline(always)]
pub(crate) fn bounded<S: Simd>(s: S, v: S::V, c: f32) -> S::V {
    s.mul(tanh(s, s.mul(v, s.splat(1.0 / c))), s.splat(c))
}

/// The derivative of [`bounded`] where its value is `y`: 1 - (y / c)^2.
#[inline(always)]
pub(crate) fn bounded_slope<S: Simd>(s: S, y: S::V, c: f32) -> S::V {
    let t = s.mul(y, s.splat(1.0 / c));
    s.fma(neg(s, t), t, s.splat(1.0))
}

#[cfg(test)]
mod tests {
    use super::super::simd::{Isa, Op};
    use super::*;

    struct Map<'a>(&'a mut [f32], usize);

    impl Op for Map<'_> {
        type Out = ();
        #[inline(always)]
        fn call<S: Simd>(self, s: S) {
            for i in (0..self.0.len()).step_by(S::LANES) {
                let v = s.load(&self.0[i..]);
                let y = match self.1 {
                    0 => exp(s, v),
                    1 => ln(s, v),
                    2 => tanh(s, v),
                    3 => sigmoid(s, v),
                    4 => softplus(s, v),
                    _ => bounded(s, v, 3.0),
                };
                s.store(&mut self.0[i..], y);
            }
        }
    }

    type Case = (&'static str, fn(f64) -> f64, f64, f64);

    #[test]
    fn functions_agree_with_double_precision_on_every_instruction_set() {
        let cases: [Case; 6] = [
            ("exp", f64::exp, -80.0, 88.0),
            ("ln", f64::ln, 1e-30, 50.0),
            ("tanh", f64::tanh, -12.0, 12.0),
            ("sigmoid", |v| 1.0 / (1.0 + (-v).exp()), -40.0, 40.0),
            (
                "softplus",
                |v| v.max(0.0) + (-v.abs()).exp().ln_1p(),
                -15.0,
                80.0,
            ),
            ("bounded", |v| 3.0 * (v / 3.0).tanh(), -30.0, 30.0),
        ];
        let mut faults = Vec::new();
        for isa in Isa::available() {
            for (i, (name, exact, low, high)) in cases.into_iter().enumerate() {
                let n = 16 * 4095;
                let at = |i: usize| (low + (high - low) * i as f64 / n as f64) as f32;
                let mut x: Vec<f32> = (0..n).map(at).collect();
                let special = [f32::NAN, 0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, -1.0];
                x.extend(special.iter().cycle().take(16));
                let mut y = x.clone();
                isa.or_portable().run(Map(&mut y, i));
                for (x, y) in x.iter().zip(&y) {
                    let (e, y) = (exact(f64::from(*x)), f64::from(*y));
                    // softplus adds 1 before its logarithm.
                    let scale = if name == "softplus" { 1.0 } else { 1e-7 };
                    let near = (y - e).abs() <= 6e-7 * e.abs().max(scale);
                    if !(near || y == e || (y.is_nan() && e.is_nan())) {
                        faults.push(format!("{isa} {name}({x}) = {y}, not {e}"));
                        break;
                    }
                }
            }
        }
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
}
