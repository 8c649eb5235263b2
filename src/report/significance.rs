//! Tests of "no difference" on values that are paired by seed, and Holm's correction for many of them.

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::interval::Spread;

/// A corrected p-value below this is called a difference.
pub const LEVEL: f64 = 0.05;

/// Up to this many pairs all 2^n signs are tried.
const MAX_FLIPS: usize = 16;

/// Two-sided tests of "no difference" between two models on values that are paired by seed.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Test {
    /// Paired t test of the differences; `None` with fewer than 2 pairs, or where all differences are equal
    /// and not 0.
    pub p: Option<f64>,
    /// Paired t test of the log ratios, where there is a [`Contrast::ratio`]. It decides then; `p` otherwise.
    pub p_log: Option<f64>,
    /// Exact sign-flip permutation test of 2 to 16 differences; at least 2 / 2^n.
    pub p_flip: Option<f64>,
    /// Seeds on which the first model has the lower value, and the higher value.
    pub signs: (usize, usize),
    /// The p-value that decides, after Holm's correction over the family.
    pub p_holm: Option<f64>,
    /// Number of tests in the family.
    pub family: usize,
}

/// Two models on the seeds that both finished, by one metric.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Contrast {
    /// The first minus the second.
    pub diff: Option<Spread>,
    /// Log of the first over the second, of a metric on a ratio scale whose values are all above 0.
    pub ratio: Option<Spread>,
    pub test: Test,
}

impl Contrast {
    /// Of pairs of values. `has_ratio`: 0 is the best value of the metric, and twice as much is twice as bad.
    /// `points` is the standard error of the mean difference by the held-out points that all seeds share, with
    /// its degrees of freedom.
    pub fn of(pairs: &[(f64, f64)], has_ratio: bool, points: Option<(f64, f64)>) -> Self {
        let differences: Vec<f64> = pairs.iter().map(|(a, b)| a - b).collect();
        let positive = pairs.iter().all(|(a, b)| *a > 0.0 && *b > 0.0);
        let logs: Vec<f64> = match has_ratio && positive {
            true => pairs.iter().map(|(a, b)| (a / b).ln()).collect(),
            false => Vec::new(),
        };
        let signs = |is: fn(&f64) -> bool| differences.iter().filter(|d| is(d)).count();
        let (diff, ratio) = (Spread::of(&differences), Spread::of(&logs));
        let diff = diff.map(|d| d.with_error(points));
        Self {
            diff,
            ratio,
            test: Test {
                p: paired_t(diff),
                p_log: paired_t(ratio),
                p_flip: sign_flip(&differences),
                signs: (signs(|d| *d < 0.0), signs(|d| *d > 0.0)),
                ..Test::default()
            },
        }
    }
}

impl Test {
    /// The p-value that decides.
    fn deciding(&self) -> Option<f64> {
        self.p_log.or(self.p)
    }

    /// Whether there is a difference after correction.
    pub fn is_significant(&self) -> bool {
        self.p_holm.is_some_and(|p| p < LEVEL)
    }
}

/// P(|T| >= |t|), t = mean / standard error, T of Student's law with the degrees of freedom of the error.
fn paired_t(differences: Option<Spread>) -> Option<f64> {
    let spread = differences?;
    let (std_err, freedom) = spread.error?;
    if std_err == 0.0 {
        return (spread.mean == 0.0).then_some(1.0);
    }
    let t = spread.mean / std_err;
    let law = StudentsT::new(0.0, 1.0, freedom).ok()?;
    Some((2.0 * law.cdf(-t.abs())).min(1.0))
}

/// The share of the 2^n signs of the differences under which |sum| is at least that observed.
fn sign_flip(differences: &[f64]) -> Option<f64> {
    let n = differences.len();
    if !(2..=MAX_FLIPS).contains(&n) || differences.iter().any(|d| !d.is_finite()) {
        return None;
    }
    let observed = differences.iter().sum::<f64>().abs();
    // Equal sums in another order differ by rounding.
    let slack = 1e-12 * differences.iter().map(|d| d.abs()).sum::<f64>();
    let as_far = |signs: &u32| {
        let flipped = |(i, d): (usize, &f64)| if signs >> i & 1 == 1 { -d } else { *d };
        let sum: f64 = differences.iter().enumerate().map(flipped).sum();
        sum.abs() >= observed - slack
    };
    let all = 1u32 << n;
    Some((0..all).filter(as_far).count() as f64 / f64::from(all))
}

/// Holm's step-down correction (Holm 1979) of the tests among `all` that have a p-value: of m
/// tests, the i-th smallest p (from 0) becomes the largest of (m - j) p_j over j <= i, at most 1.
/// Below 5 %, the chance of one false difference or more among all of them is below 5 %.
pub fn correct(all: &mut [&mut Test]) {
    let p = |test: &Test| test.deciding().unwrap_or(1.0);
    let tested = all.iter_mut().filter(|t| t.deciding().is_some());
    let mut ordered: Vec<&mut &mut Test> = tested.collect();
    ordered.sort_by(|a, b| p(a).total_cmp(&p(b)));
    let (m, mut least) = (ordered.len(), 0.0);
    for (i, test) in ordered.into_iter().enumerate() {
        least = f64::max(least, (m - i) as f64 * p(test)).min(1.0);
        test.p_holm = Some(least);
        test.family = m;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(got: Option<f64>, expected: f64) {
        let fits = got.is_some_and(|p| (p - expected).abs() < 1e-9 * expected.max(1e-3));
        assert!(fits, "{got:?} instead of {expected}");
    }

    #[test]
    fn p_values_are_those_of_scipy() {
        // scipy 1.17.1: stats.ttest_1samp(d, 0) and stats.permutation_test((d,), np.mean,
        // permutation_type="samples", n_resamples=np.inf).
        let cases: [(&[f64], f64, f64); 3] = [
            (&[0.3, -0.1, 0.25, 0.4, 0.05], 0.11693430104240451, 0.1875),
            (
                &[0.3, -0.1, 0.25, 0.4, 0.05, -0.2, 0.11],
                0.20856470329259844,
                0.21875,
            ),
            // Sums that are equal to the one observed count.
            (&[1.0, 1.0, 2.0, 2.0, -2.0], 0.3375018565403645, 0.4375),
        ];
        for (d, t, flip) in cases {
            let pairs: Vec<(f64, f64)> = d.iter().map(|d| (*d, 0.0)).collect();
            let test = Contrast::of(&pairs, false, None).test;
            close(test.p, t);
            close(test.p_flip, flip);
        }
    }

    #[test]
    fn what_cannot_be_tested_has_no_p_value() {
        let of = |differences: &[f64]| {
            let pairs: Vec<(f64, f64)> = differences.iter().map(|d| (*d, 0.0)).collect();
            Contrast::of(&pairs, true, None).test
        };
        assert_eq!(of(&[]), Test::default());
        assert_eq!((of(&[1.0]).p, of(&[1.0]).p_flip), (None, None));
        let equal = of(&[1.0; 5]);
        assert_eq!((equal.p, equal.p_flip), (None, Some(0.0625)));
        let none = of(&[0.0; 5]);
        assert_eq!((none.p, none.p_flip), (Some(1.0), Some(1.0)));
        let infinite = of(&[1.0, f64::INFINITY]);
        assert_eq!((infinite.p, infinite.p_flip), (None, None));
        assert_eq!(of(&[0.1; 17]).p_flip, None);
        assert_eq!(equal.p_log, None, "of ratios to 0");
    }

    /// scipy 1.17.1: stats.ttest_rel(a, b) and of their logarithms. The factor is nearly constant, the
    /// difference is not.
    #[test]
    fn the_test_of_ratios_decides_where_there_are_any() {
        let a = [0.020, 0.041, 0.011, 0.083, 0.022];
        let b = [0.060, 0.130, 0.030, 0.250, 0.070];
        let pairs: Vec<(f64, f64)> = a.into_iter().zip(b).collect();
        let contrast = Contrast::of(&pairs, true, None);
        close(contrast.test.p, 0.050_240_381_764_761_68);
        close(contrast.test.p_log, 2.429_372_868_653_842_3e-6);
        let ratio = contrast.ratio.map(|r| r.mean.exp());
        close(ratio, 0.331_810_924_767_122_1);
        assert_eq!(contrast.test.signs, (5, 0));
        let mut test = contrast.test;
        correct(&mut [&mut test]);
        assert_eq!(test.p_holm, test.p_log);
        let difference = Contrast::of(&pairs, false, None);
        assert_eq!((difference.ratio, difference.test.p_log), (None, None));
    }

    #[test]
    fn corrected_p_values_are_those_of_statsmodels() {
        // statsmodels 0.15.0: multipletests(p, method="holm").
        let cases: [(&[f64], &[f64]); 2] = [
            (&[0.01, 0.04, 0.03, 0.005], &[0.03, 0.06, 0.06, 0.02]),
            (
                &[0.0001, 0.9, 0.02, 0.02, 0.6],
                &[0.0005, 1.0, 0.08, 0.08, 1.0],
            ),
        ];
        for (raw, corrected) in cases {
            // Tests without a p-value are not counted.
            let all = raw.iter().map(|p| Some(*p)).chain([None]);
            let test = |p| Test {
                p,
                ..Test::default()
            };
            let mut tests: Vec<Test> = all.map(test).collect();
            correct(&mut tests.iter_mut().collect::<Vec<_>>());
            for (test, expected) in tests.iter().zip(corrected) {
                close(test.p_holm, *expected);
                assert_eq!(test.family, raw.len());
            }
            assert_eq!(tests.last(), Some(&Test::default()));
        }
    }
}
