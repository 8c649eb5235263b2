//! Mean, median, standard deviation and the Student-t interval of the mean.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// Statistics of a few values, one a seed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    pub mean: f64,
    /// Standard error of the mean and its degrees of freedom, of 2 or more finite values.
    pub error: Option<(f64, f64)>,
    /// 95 % Student-t interval of the mean.
    pub interval: Option<(f64, f64)>,
    /// Standard deviation with n - 1, of 2 or more finite values.
    pub std_dev: Option<f64>,
    /// Median; of an even number of values the mean of the middle two.
    pub median: f64,
    /// Lower and upper quartile, by linear interpolation.
    pub quartiles: (f64, f64),
    /// Whether a value rules the mean: of 4 or more values, one lies more than three times the distance of
    /// the quartiles beyond them (Tukey's outer fences), and the mean is off the median by more than half
    /// of it.
    pub has_outlier: bool,
    pub n: usize,
}

impl Spread {
    /// `None` without values. The mean of values that are not all finite is not finite.
    pub fn of(values: &[f64]) -> Option<Self> {
        let n = values.len();
        if n == 0 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / n as f64;
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let quantile = |share: f64| {
            let at = share * (n - 1) as f64;
            let (low, high) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
            match at.fract() {
                0.0 => low,
                part => low + part * (high - low),
            }
        };
        let [low, median, high] = [0.25, 0.5, 0.75].map(quantile);
        let fence = 3.0 * (high - low);
        let outside = sorted[0] < low - fence || sorted[n - 1] > high + fence;
        let std_dev = (n > 1 && mean.is_finite()).then(|| {
            let squares = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
            (squares / (n - 1) as f64).sqrt()
        });
        let error = std_dev.map(|s| (s / (n as f64).sqrt(), (n - 1) as f64));
        Some(Self {
            mean,
            error,
            interval: std_dev.and_then(|s| interval(mean, s, n as f64, (n - 1) as f64)),
            std_dev,
            median,
            quartiles: (low, high),
            has_outlier: n > 3 && outside && (mean - median).abs() > 0.5 * median.abs(),
            n,
        })
    }

    /// With a second, independent error of the mean, a standard error with its degrees of freedom. Variances
    /// add up, and the degrees of freedom are those of Welch (1947) and Satterthwaite (1946).
    pub fn with_error(self, other: Option<(f64, f64)>) -> Self {
        let both = self.error.zip(other).filter(|(_, (b, _))| *b > 0.0);
        let Some(((a, of_a), (b, of_b))) = both else {
            return self;
        };
        let (a, b) = (a * a, b * b);
        let freedom = (a + b).powi(2) / (a * a / of_a + b * b / of_b);
        let std_err = (a + b).sqrt();
        Self {
            error: Some((std_err, freedom)),
            interval: interval(self.mean, std_err, 1.0, freedom),
            ..self
        }
    }

    /// Half the width of the interval.
    pub fn half(&self) -> Option<f64> {
        self.interval.map(|(low, high)| 0.5 * (high - low))
    }
}

/// 95 % Student-t interval of the mean of `n` values.
fn interval(mean: f64, std_dev: f64, n: f64, freedom: f64) -> Option<(f64, f64)> {
    let t = StudentsT::new(0.0, 1.0, freedom).ok()?.inverse_cdf(0.975);
    let half = t * std_dev / n.sqrt();
    Some((mean - half, mean + half))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The half-widths by scipy 1.17.1: scipy.stats.t.ppf(0.975, n - 1).
    #[test]
    fn mean_median_and_interval_of_a_few_values() {
        for (n, t) in [
            (2, 12.706204736174694),
            (5, 2.7764451051977934),
            (31, 2.0422724563012378),
        ] {
            // 1 to n in another order: variance n (n + 1) / 12.
            let values = Vec::from_iter((0..n).map(|i| f64::from((i + 1) % n + 1)));
            let s = Spread::of(&values).unwrap();
            let (middle, n) = (0.5 * f64::from(n + 1), f64::from(n));
            let std_dev = (n * (n + 1.0) / 12.0).sqrt();
            assert_eq!((s.mean, s.median, s.n), (middle, middle, values.len()));
            // numpy 2.3: np.quantile(values, [0.25, 0.75]).
            let quartiles = (0.25 * n + 0.75, 0.75 * n + 0.25);
            assert_eq!((s.quartiles, s.has_outlier), (quartiles, false));
            assert!((s.half().unwrap() - t * std_dev / n.sqrt()).abs() < 1e-6);
            assert!((s.std_dev.unwrap() - std_dev).abs() < 1e-12);
        }
        assert_eq!(Spread::of(&[]), None);
        let one_far = [0.2, 0.3, 0.25, 86.0, 0.22];
        assert!(Spread::of(&one_far).unwrap().has_outlier);
        let one = Spread::of(&[2.0]).unwrap();
        assert_eq!((one.mean, one.interval, one.median), (2.0, None, 2.0));
        assert_eq!(one.std_dev, None);
        let s = Spread::of(&[1.0, f64::INFINITY, 2.0]).unwrap();
        assert_eq!((s.mean, s.interval, s.median), (f64::INFINITY, None, 2.0));
    }

    /// Welch's test of two samples is such a sum. scipy 1.17.1: r = stats.ttest_ind(a, b, equal_var=False),
    /// r.df and r.confidence_interval().
    #[test]
    fn a_second_error_is_added_as_in_the_test_of_welch() {
        let a = Spread::of(&[1.0, 2.0, 4.0, 3.0]).unwrap();
        let b = Spread::of(&[0.5, 2.5, 9.0]).unwrap();
        let both = a.with_error(b.error);
        let (a2, b2) = (5.0 / 12.0, 6.583_333_333_333_333);
        assert!((both.error.unwrap().0 - f64::sqrt(a2 + b2)).abs() < 1e-12);
        assert!((both.error.unwrap().1 - 2.255_153_678_154_797).abs() < 1e-9);
        assert!((both.half().unwrap() - 10.234_346_282_026_925).abs() < 1e-6);
        assert_eq!((both.mean, both.std_dev), (a.mean, a.std_dev));
        // Seeds that agree leave the error of the points alone.
        let equal = Spread::of(&[2.0; 5]).unwrap();
        let half = equal.with_error(Some((0.045, 749.0))).half().unwrap();
        assert!((half - 0.045 * 1.963_136).abs() < 1e-6);
        assert_eq!(equal.with_error(None), equal);
        let one = Spread::of(&[2.0]).unwrap();
        assert_eq!(one.with_error(b.error), one);
    }
}
