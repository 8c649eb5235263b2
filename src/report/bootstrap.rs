//! The bootstrap interval of a mean: bias-corrected and accelerated (Efron 1987).

use std::collections::BTreeMap;

use statrs::distribution::{ContinuousCDF, Normal};

use mdn_core::rng::Rng;

/// Of up to this many values all resamples are counted: C(2n - 1, n) different ones.
const EXACT: usize = 8;
/// Resamples of more values.
const RESAMPLES: usize = 10_000;

/// The resamples of n values: how often each value is in one, and its probability. Those of up to 8
/// values are all there are, so that the interval has no Monte Carlo error; of more values there are
/// 10,000 from a fixed stream, the same ones for all sets of n values.
type Resamples = Vec<(Vec<f64>, f64)>;

/// 95 % intervals of means, BCa (Efron 1987; Efron and Tibshirani 1993, 14.3).
///
/// With theta* the means of the resamples and theta the mean of the values, the ends are the
/// quantiles of theta* at Phi(z0 + (z0 + z) / (1 - a (z0 + z))) for z = -1.96 and 1.96, where
/// z0 = Phi^-1(P(theta* < theta) + P(theta* = theta) / 2) corrects the bias and the acceleration
/// a = sum d^3 / (6 (sum d^2)^(3/2)), d the deviations from the mean, the skewness.
#[derive(Default)]
pub struct Bootstrap(BTreeMap<usize, Resamples>);

impl Bootstrap {
    /// The interval of the mean of `values`; `None` with fewer than 2 or where one is not finite.
    pub fn interval(&mut self, values: &[f64]) -> Option<(f64, f64)> {
        let n = values.len();
        if n < 2 || values.iter().any(|v| !v.is_finite()) {
            return None;
        }
        let resamples = self.0.entry(n).or_insert_with(|| resamples(n));
        bca(values, resamples)
    }
}

fn bca(values: &[f64], resamples: &Resamples) -> Option<(f64, f64)> {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    // Around the mean, so that the means of equal resamples differ by rounding only.
    let deviations: Vec<f64> = values.iter().map(|v| v - mean).collect();
    let largest = deviations.iter().fold(0.0, |m: f64, d| m.max(d.abs()));
    if largest <= 1e-12 * mean.abs() {
        return Some((mean, mean));
    }
    let mean_of = |(counts, p): &(Vec<f64>, f64)| {
        let sum: f64 = counts.iter().zip(&deviations).map(|(c, d)| c * d).sum();
        (sum / n, *p)
    };
    let mut means: Vec<(f64, f64)> = resamples.iter().map(mean_of).collect();
    means.sort_by(|a, b| a.0.total_cmp(&b.0));
    let same = 1e-12 * largest;
    let share = |below: &dyn Fn(f64) -> bool| -> f64 {
        let part = means.iter().filter(|m| below(m.0));
        part.map(|m| m.1).sum()
    };
    let below = 0.5 * (share(&|m| m < -same) + share(&|m| m <= same));
    let normal = Normal::standard();
    let z0 = normal.inverse_cdf(below);
    let power = |k: i32| deviations.iter().map(|d| d.powi(k)).sum::<f64>();
    let a = power(3) / (6.0 * power(2).powf(1.5));
    let end = |p: f64| {
        let z = z0 + normal.inverse_cdf(p);
        let at = normal.cdf(z0 + z / (1.0 - a * z));
        let mut sum = 0.0;
        let reached = means.iter().find(|m| {
            sum += m.1;
            // All probabilities add up to 1 within rounding.
            sum >= at - 1e-12
        });
        reached.or(means.last()).map(|m| mean + m.0)
    };
    end(0.025).zip(end(0.975))
}

fn resamples(n: usize) -> Resamples {
    if n <= EXACT {
        let (first, mut all) = ((n as f64).powi(n as i32).recip(), Vec::new());
        every(n, n, first, &mut Vec::new(), &mut all);
        return all;
    }
    let mut rng = Rng::new(0).fork_at("bootstrap", n as u64);
    let one = |_| {
        let mut counts = vec![0.0; n];
        for _ in 0..n {
            counts[rng.below(n)] += 1.0;
        }
        (counts, 1.0 / RESAMPLES as f64)
    };
    (0..RESAMPLES).map(one).collect()
}

/// Every resample of `n` values that begins with `counts` and has `left` more values: n! / prod counts! of
/// the n^n ordered resamples are the same.
fn every(n: usize, left: usize, p: f64, counts: &mut Vec<f64>, out: &mut Resamples) {
    if counts.len() + 1 == n {
        counts.push(left as f64);
        out.push((counts.clone(), p));
        counts.pop();
        return;
    }
    let mut ways = p;
    for count in 0..=left {
        counts.push(count as f64);
        every(n, left - count, ways, counts, out);
        counts.pop();
        // From C(left, count) to C(left, count + 1).
        ways *= (left - count) as f64 / (count + 1) as f64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_resamples_are_counted_with_their_probabilities() {
        for n in 2..=EXACT {
            let all = resamples(n);
            let ways: usize = (0..n).fold(1, |c, i| c * (2 * n - 1 - i) / (i + 1));
            assert_eq!(all.len(), ways, "C({}, {n})", 2 * n - 1);
            let sum: f64 = all.iter().map(|r| r.1).sum();
            assert!((sum - 1.0).abs() < 1e-12, "{sum}");
            assert!(all.iter().all(|r| r.0.iter().sum::<f64>() == n as f64));
        }
        // Of 3^3 resamples, 6 have each value once and 1 has the first three times.
        let three = resamples(3);
        let p = |counts: &[f64]| three.iter().find(|r| r.0 == counts).unwrap().1 * 27.0;
        assert!((p(&[1.0, 1.0, 1.0]) - 6.0).abs() < 1e-12);
        assert!((p(&[3.0, 0.0, 0.0]) - 1.0).abs() < 1e-12);
        assert!((p(&[0.0, 2.0, 1.0]) - 3.0).abs() < 1e-12);
    }

    #[test]
    fn intervals_are_those_of_other_programs() {
        let mut bootstrap = Bootstrap::default();
        // All 3125 resamples in whole thousandths (Python, scipy 1.17.1 for the normal law).
        // stats.bootstrap((x,), np.mean, n_resamples=200_000, method="BCa") gives (0.0206, 0.048), the
        // next possible mean, since rounding separates equal means there.
        let five = [0.021, 0.034, 0.019, 0.020, 0.055];
        let (low, high) = bootstrap.interval(&five).unwrap();
        assert!(
            (low - 0.0204).abs() < 1e-9 && (high - 0.0478).abs() < 1e-9,
            "{low} {high}"
        );
        // scipy 1.17.1 as above: (20.9, 61.5), here within the error of 10,000 resamples.
        let ten: Vec<f64> = (1..=10).map(|i| f64::from(i * i)).collect();
        let (low, high) = bootstrap.interval(&ten).unwrap();
        assert!(
            (low - 20.9).abs() < 1.0 && (high - 61.5).abs() < 1.0,
            "{low} {high}"
        );
        assert_eq!(bootstrap.interval(&ten), Some((low, high)));
    }

    #[test]
    fn few_equal_and_infinite_values_have_an_interval_or_none() {
        let mut bootstrap = Bootstrap::default();
        assert_eq!(bootstrap.interval(&[1.0]), None);
        assert_eq!(bootstrap.interval(&[1.0, f64::INFINITY]), None);
        assert_eq!(bootstrap.interval(&[8.0; 5]), Some((8.0, 8.0)));
        let (low, high) = bootstrap.interval(&[1.0, 3.0]).unwrap();
        assert_eq!((low, high), (1.0, 3.0));
    }
}
