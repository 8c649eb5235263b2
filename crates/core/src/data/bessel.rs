//! The exponentially scaled modified Bessel function of order zero, and its slope.

/// Chebyshev coefficients of exp(-x) I0(x) on [0, 8] in the variable x/2 - 2.
const SMALL: [f64; 30] = [
    -4.4153416464793395e-18,
    3.3307945188222384e-17,
    -2.431279846547955e-16,
    1.715391285555133e-15,
    -1.1685332877993451e-14,
    7.676185498604936e-14,
    -4.856446783111929e-13,
    2.95505266312964e-12,
    -1.726826291441556e-11,
    9.675809035373237e-11,
    -5.189795601635263e-10,
    2.6598237246823866e-09,
    -1.300025009986248e-08,
    6.046995022541919e-08,
    -2.670793853940612e-07,
    1.1173875391201037e-06,
    -4.4167383584587505e-06,
    1.6448448070728896e-05,
    -5.754195010082104e-05,
    0.00018850288509584165,
    -0.0005763755745385824,
    0.0016394756169413357,
    -0.004324309995050576,
    0.010546460394594998,
    -0.02373741480589947,
    0.04930528423967071,
    -0.09490109704804764,
    0.17162090152220877,
    -0.3046826723431984,
    0.6767952744094761,
];

/// Chebyshev coefficients of sqrt(x) exp(-x) I0(x) on [8, inf) in the variable 32/x - 2.
const LARGE: [f64; 25] = [
    -7.233180487874754e-18,
    -4.830504485944182e-18,
    4.46562142029676e-17,
    3.461222867697461e-17,
    -2.8276239805165836e-16,
    -3.425485619677219e-16,
    1.7725601330565263e-15,
    3.8116806693526224e-15,
    -9.554846698828307e-15,
    -4.150569347287222e-14,
    1.54008621752141e-14,
    3.8527783827421426e-13,
    7.180124451383666e-13,
    -1.7941785315068062e-12,
    -1.3215811840447713e-11,
    -3.1499165279632416e-11,
    1.1889147107846439e-11,
    4.94060238822497e-10,
    3.3962320257083865e-09,
    2.266668990498178e-08,
    2.0489185894690638e-07,
    2.8913705208347567e-06,
    6.889758346916825e-05,
    0.0033691164782556943,
    0.8044904110141088,
];

/// exp(-x) I0(x) for x >= 0, to a few units in the last place (Moshier, Cephes library, i0.c,
/// `i0e`). It falls as 1/sqrt(2 pi x), so its logarithm is finite for every finite x.
pub(super) fn i0e(x: f64) -> f64 {
    if x <= 8.0 {
        chebyshev(x / 2.0 - 2.0, &SMALL)
    } else {
        chebyshev(32.0 / x - 2.0, &LARGE) / x.sqrt()
    }
}

/// d/dx log(exp(-x) I0(x)) = I1(x) / I0(x) - 1, from -1 at 0 up to 0.
pub(super) fn log_i0e_slope(x: f64) -> f64 {
    if x <= 8.0 {
        let y = x / 2.0 - 2.0;
        0.5 * chebyshev_slope(y, &SMALL) / chebyshev(y, &SMALL)
    } else {
        let y = 32.0 / x - 2.0;
        let inner = chebyshev_slope(y, &LARGE) / chebyshev(y, &LARGE);
        -(0.5 + inner * (32.0 / x)) / x
    }
}

/// Clenshaw's recurrence for sum_i c_i T_i(y/2), highest order first, the last one halved.
fn chebyshev(y: f64, coefficients: &[f64]) -> f64 {
    let (mut b0, mut b1, mut b2) = (0.0, 0.0, 0.0);
    for c in coefficients {
        b2 = b1;
        b1 = b0;
        b0 = y * b1 - b2 + c;
    }
    0.5 * (b0 - b2)
}

/// The derivative of [`chebyshev`] with respect to y.
fn chebyshev_slope(y: f64, coefficients: &[f64]) -> f64 {
    let (mut b0, mut b1) = (0.0, 0.0);
    let (mut d0, mut d1, mut d2) = (0.0, 0.0, 0.0);
    for c in coefficients {
        let b2 = b1;
        b1 = b0;
        b0 = y * b1 - b2 + c;
        d2 = d1;
        d1 = d0;
        d0 = b1 + y * d1 - d2;
    }
    0.5 * (d0 - d2)
}

#[cfg(test)]
mod tests {
    use super::{i0e, log_i0e_slope};

    #[test]
    fn the_slope_agrees_with_the_continued_fraction() {
        // I1(x) / I0(x) = 1 / (2/x + 1 / (4/x + 1 / (6/x + ...))) (Abramowitz and Stegun 9.1.73
        // for imaginary arguments).
        for i in 1..=400 {
            let x = f64::from(i * i) * 0.01;
            let ratio = (1..6000)
                .rev()
                .fold(0.0, |tail, k| 1.0 / (2.0 * f64::from(k) / x + tail));
            let (got, want) = (log_i0e_slope(x), ratio - 1.0);
            assert!((got - want).abs() < 2e-14, "x = {x}: {got}, not {want}");
        }
        // Where 1 - I1 / I0 = 1/(2x) + 1/(8x^2) + 1/(8x^3) + ... is small, to the same digits.
        for x in [1e3, 1e5, 1e9, 1e200] {
            let want = -(0.5 + (0.125 + 0.125 / x) / x) / x;
            assert!((log_i0e_slope(x) / want - 1.0).abs() < 1e-9, "x = {x}");
        }
        assert_eq!(log_i0e_slope(0.0), -1.0);
        assert_eq!(log_i0e_slope(f64::INFINITY), 0.0);
    }

    #[test]
    fn agrees_with_the_power_series() {
        // I0(x) = sum_k (x^2/4)^k / (k!)^2, all terms positive (Abramowitz and Stegun 9.6.12).
        for i in 0..=400 {
            let x = f64::from(i) * 0.1;
            let (mut term, mut sum) = (1.0, 1.0);
            for k in 1..200 {
                term *= x * x / 4.0 / f64::from(k * k);
                sum += term;
            }
            let want = sum * (-x).exp();
            assert!((i0e(x) / want - 1.0).abs() < 5e-15, "x = {x}");
        }
    }

    #[test]
    fn agrees_with_the_asymptotic_series() {
        // Abramowitz and Stegun 9.7.1: sqrt(2 pi x) exp(-x) I0(x) = 1 + 1/(8x) + 9/(2 (8x)^2) + ..
        for x in [1e3, 1e4, 1e8, 1e100, 1e300] {
            let y = 1.0 / (8.0 * x);
            let series = 1.0 + y * (1.0 + y * (4.5 + y * (37.5 + y * 459.375)));
            let got = i0e(x) * (std::f64::consts::TAU * x).sqrt();
            assert!((got / series - 1.0).abs() < 1e-14, "x = {x}");
        }
        assert_eq!(i0e(f64::INFINITY), 0.0);
        assert_eq!(i0e(0.0), 1.0);
    }
}
