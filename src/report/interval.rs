//! Mean, median, standard deviation and the Student-t interval of the mean.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// Statistics of a few values, one a seed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    pub mean: f64,
    /// 95 % Student-t interval of the mean; `None` with fewer than 2 values or where one is not
    /// finite.
    pub interval: Option<(f64, f64)>,
    /// Standard deviation of the values, with n - 1; `None` with fewer than 2 values or where one is
    /// not finite.
    pub std_dev: Option<f64>,
    /// Median; of an even number of values the mean of the middle two.
    pub median: f64,
    pub n: usize,
}

impl Spread {
    /// Of these values; `None` where there are none. Values that are not finite are not left
    /// out: the mean is not finite either.
    pub fn of(values: &[f64]) -> Option<Self> {
        let n = values.len();
        if n == 0 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / n as f64;
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let median = if n % 2 == 1 {
            sorted[n / 2]
        } else {
            0.5 * (sorted[n / 2 - 1] + sorted[n / 2])
        };
        let std_dev = (n > 1 && mean.is_finite()).then(|| {
            let squares = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
            (squares / (n - 1) as f64).sqrt()
        });
        let interval = std_dev.zip(t_quantile(n)).map(|(std_dev, t)| {
            let half = t * std_dev / (n as f64).sqrt();
            (mean - half, mean + half)
        });
        Some(Self {
            mean,
            interval,
            std_dev,
            median,
            n,
        })
    }

    /// Half the width of the interval.
    pub fn half(&self) -> Option<f64> {
        self.interval.map(|(low, high)| 0.5 * (high - low))
    }
}

/// t(0.975) with `n - 1` degrees of freedom.
fn t_quantile(n: usize) -> Option<f64> {
    let freedom = n.checked_sub(1).filter(|f| *f > 0)?;
    StudentsT::new(0.0, 1.0, freedom as f64)
        .ok()
        .map(|t| t.inverse_cdf(0.975))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t_quantiles_are_those_of_the_tables() {
        // scipy 1.17.1: scipy.stats.t.ppf(0.975, n - 1).
        let known = [
            (2, 12.706204736174694),
            (3, 4.302652729749462),
            (5, 2.7764451051977934),
            (10, 2.262157162798205),
            (31, 2.0422724563012378),
        ];
        for (n, t) in known {
            let got = t_quantile(n).unwrap();
            assert!((got - t).abs() < 1e-6, "n = {n}: {got} instead of {t}");
        }
        assert_eq!(t_quantile(1), None);
    }

    #[test]
    fn mean_median_and_interval_of_a_few_values() {
        // By hand: mean 3, variance 2.5, standard error sqrt(0.5), times t = 2.776445.
        let s = Spread::of(&[5.0, 1.0, 2.0, 4.0, 3.0]).unwrap();
        let half = 2.7764451051977934 * 0.5f64.sqrt();
        assert_eq!((s.mean, s.median, s.n), (3.0, 3.0, 5));
        assert!((s.half().unwrap() - half).abs() < 1e-6);
        assert!((s.std_dev.unwrap() - 2.5f64.sqrt()).abs() < 1e-12);
        assert_eq!(Spread::of(&[1.0, 2.0]).unwrap().median, 1.5);
        assert_eq!(Spread::of(&[]), None);
        let one = Spread::of(&[2.0]).unwrap();
        assert_eq!((one.mean, one.interval, one.median), (2.0, None, 2.0));
        assert_eq!(one.std_dev, None);
        let s = Spread::of(&[1.0, f64::INFINITY, 2.0]).unwrap();
        assert_eq!((s.mean, s.interval, s.median), (f64::INFINITY, None, 2.0));
    }
}
