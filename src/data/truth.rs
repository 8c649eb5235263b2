//! Densities, labels and responsibilities from a [`Truth`], for one point or a tensor of points.

use candle_core::{DType, Device, Tensor};

use super::{DataSet, Truth};
use crate::rng::Rng;
use crate::{Error, Result};

/// log sum_j exp(v_j): -inf for no values and for all -inf, where subtracting the maximum alone
/// would give NaN.
pub(super) fn log_sum_exp(values: &[f64]) -> f64 {
    let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if max == f64::NEG_INFINITY {
        return max;
    }
    max + values.iter().map(|v| (v - max).exp()).sum::<f64>().ln()
}

/// Replaces log(w_j p_j(x)) by the probability of mode j given x; all zero where p(x) = 0.
fn normalise(joint: &mut [f64]) {
    let max = joint.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if max == f64::NEG_INFINITY {
        joint.fill(0.0);
        return;
    }
    // Not through log p(x): far out it is too large a number to hold the log of the sum.
    joint.iter_mut().for_each(|v| *v = (*v - max).exp());
    let sum: f64 = joint.iter().sum();
    joint.iter_mut().for_each(|v| *v /= sum);
}

/// Index of the largest value, the first of equals; their number if all are -inf.
fn largest(joint: &[f64]) -> u32 {
    let mut best = (joint.len(), f64::NEG_INFINITY);
    for (j, &v) in joint.iter().enumerate() {
        if v > best.1 {
            best = (j, v);
        }
    }
    best.0 as u32
}

/// log p(x) in nats; -inf outside every mode's support and at points that are not finite.
pub fn log_density(truth: &dyn Truth, x: &[f64]) -> f64 {
    let mut joint = vec![0.0; truth.weights().len()];
    truth.log_joint(x, &mut joint);
    log_sum_exp(&joint)
}

/// The mode to which `x` most likely belongs, argmax_j w_j p_j(x), the first of equals.
///
/// Outside every mode's support, and at points that are not finite, it is the number of modes:
/// one past the last label, "none of them".
pub fn mode_of(truth: &dyn Truth, x: &[f64]) -> u32 {
    let mut joint = vec![0.0; truth.weights().len()];
    truth.log_joint(x, &mut joint);
    largest(&joint)
}

/// P(mode j | x) = w_j p_j(x) / p(x), one per mode. They sum to one, or are all 0 where p(x) = 0.
pub fn responsibilities(truth: &dyn Truth, x: &[f64]) -> Vec<f64> {
    let mut joint = vec![0.0; truth.weights().len()];
    truth.log_joint(x, &mut joint);
    normalise(&mut joint);
    joint
}

/// [`log_density`] of every row: `points` is `(n, dim)` of any float type, on any device.
pub fn log_densities(truth: &dyn Truth, points: &Tensor) -> Result<Vec<f64>> {
    each_joint(truth, points, |joint, out| out.push(log_sum_exp(joint)))
}

/// [`mode_of`] of every row of `points`, `(n, dim)`.
pub fn modes_of(truth: &dyn Truth, points: &Tensor) -> Result<Vec<u32>> {
    each_joint(truth, points, |joint, out| out.push(largest(joint)))
}

/// [`responsibilities`] of every row of `points`, `(n, dim)`: row-major `(n, modes)`.
pub fn responsibilities_of(truth: &dyn Truth, points: &Tensor) -> Result<Vec<f64>> {
    each_joint(truth, points, |joint, out| {
        normalise(joint);
        out.extend_from_slice(joint);
    })
}

fn each_joint<T>(
    truth: &dyn Truth,
    points: &Tensor,
    mut each: impl FnMut(&mut [f64], &mut Vec<T>),
) -> Result<Vec<T>> {
    let (n, dim) = points.dims2()?;
    let values = points
        .to_dtype(DType::F64)?
        .to_device(&Device::Cpu)?
        .flatten_all()?
        .to_vec1::<f64>()?;
    let mut joint = vec![0.0; truth.weights().len()];
    let mut out = Vec::with_capacity(n);
    for x in values.chunks_exact(dim.max(1)) {
        truth.log_joint(x, &mut joint);
        each(&mut joint, &mut out);
    }
    Ok(out)
}

/// The log of the density level lambda with P(p(X) < lambda) = `share` under the data's own law
/// (nats): points with a lower density than that are met in the data with probability `share`.
///
/// It is the order statistic of log p on `n` fresh samples below which floor(`share` n) of them
/// lie, so its share is right to about sqrt(share (1 - share) / n). A uniform law has the same
/// density everywhere, and then nothing lies below the level for any share.
pub fn low_density_level(data: &dyn DataSet, share: f64, n: usize, rng: &mut Rng) -> Result<f64> {
    let Some(truth) = data.truth() else {
        return Err(Error::failed(
            "low density level: expected data with a known density; got a data set without one",
        ));
    };
    if !(0.0..=1.0).contains(&share) || n == 0 {
        return Err(Error::failed(format!(
            "low density level: expected a share in [0, 1] of at least one sample; \
             got {share} of {n}"
        )));
    }
    let mut levels = log_densities(truth, &data.sample(n, rng)?)?;
    let rank = ((share * n as f64) as usize).min(n - 1);
    Ok(*levels.select_nth_unstable_by(rank, f64::total_cmp).1)
}

#[cfg(test)]
mod tests {
    use super::{largest, log_sum_exp, normalise};

    #[test]
    fn sums_of_nothing_are_not_nan() {
        let none = f64::NEG_INFINITY;
        assert_eq!(log_sum_exp(&[]), none);
        assert_eq!(log_sum_exp(&[none, none]), none);
        assert_eq!(log_sum_exp(&[none, -1000.0]), -1000.0);
        assert!((log_sum_exp(&[1000.0, 1000.0]) - 1000.0 - 2f64.ln()).abs() < 1e-12);
        let mut joint = [none, none];
        assert_eq!(largest(&joint), 2);
        normalise(&mut joint);
        assert_eq!(joint, [0.0, 0.0]);
        assert_eq!(largest(&[-3.0, -1.0, -1.0]), 1);
    }
}
