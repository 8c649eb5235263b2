//! Whether a density can be learned from the points in the precision of training.

use candle_core::{DType, Tensor};

use mdn_core::data::{log_densities, lost_in_single, DataSet};
use mdn_core::models::ModelSpec;
use mdn_core::{num, Error, Result};
use statrs::function::erf::erfc;

/// Nats a point by which rounding to single precision may change a log density in the mean: beyond
/// it, a model would fit the rounding.
const LOST: f64 = 0.01;

/// Refuses data that single precision cannot hold: rounding the points changes the truth's
/// log-density by 0.01 nats or more in the mean.
pub(super) fn check_single(data: &dyn DataSet, points: &Tensor) -> Result<()> {
    let exact = num::to_vec(points)?;
    let rounded: Vec<f64> = exact.iter().map(|v| f64::from(*v as f32)).collect();
    let Some(truth) = data.truth() else {
        return check_single_columns(&exact, &rounded, data.dim());
    };
    let log_p = log_densities(truth, &exact, data.dim());
    let log_r = log_densities(truth, &rounded, data.dim());
    let off = log_p.iter().zip(&log_r).map(|(p, r)| (p - r).abs());
    let off = off.sum::<f64>() / log_p.len() as f64;
    if off < LOST {
        return Ok(());
    }
    Err(Error::failed(format!(
        "expected data that single precision can hold; got modes so narrow for their place that \
         rounding changes log p by {off:.2e} nats a point (try train.precision=f64)"
    )))
}

/// The same where no truth is known: rounding must be small next to the spread of each coordinate, and
/// next to that in every direction across them.
fn check_single_columns(exact: &[f64], rounded: &[f64], dim: usize) -> Result<()> {
    let n = (exact.len() / dim) as f64;
    for d in 0..dim {
        let column = || exact.iter().skip(d).step_by(dim);
        let mean = column().sum::<f64>() / n;
        let spread = (column().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
        let off = column().zip(rounded.iter().skip(d).step_by(dim));
        let off = num::largest(off.map(|(v, r)| (v - r).abs()));
        if !(off <= 1e-3 * spread) {
            return Err(Error::failed(format!(
                "expected data that single precision can hold; got a coordinate ({d}, from 0) of \
                 mean {mean:.3e} and standard deviation {spread:.3e} that rounding moves by \
                 {off:.1e} (try train.precision=f64)"
            )));
        }
    }
    let lost = lost_in_single(exact, dim);
    if lost < LOST {
        return Ok(());
    }
    Err(Error::failed(format!(
        "expected data that single precision can hold; got coordinates so close to a linear dependence \
         that rounding changes a Gaussian's log density by {lost:.2} nats a point (try \
         train.precision=f64)"
    )))
}

/// What is likely a mistake in training points (n, dim) for a model of `spec`, one line each. `names`
/// are those of the coordinates.
pub(in crate::experiment) fn warnings(
    spec: &ModelSpec,
    points: &Tensor,
    names: &[String],
) -> Result<Vec<String>> {
    let (n, dim) = points.dims2()?;
    let mut all = Vec::new();
    if n <= dim {
        all.push(format!(
            "{n} training points of {dim} coordinates: all of them lie in a plane of fewer dimensions, \
             along which a density can grow without bound (use more points or fewer coordinates)"
        ));
    }
    let Some(bound) = spec.tail_bound() else {
        return Ok(all);
    };
    let rows = num::to_vec(points)?;
    let standardises = spec.standardises();
    // Twice as many as a normal law has, and one in a thousand.
    let usual = n as f64 * (2.0 * erfc(bound / std::f64::consts::SQRT_2) + 1e-3);
    let mut beyond = Vec::new();
    for (d, (mean, std)) in num::moments(&rows, dim).into_iter().enumerate() {
        let (mean, std) = if standardises {
            (mean, std)
        } else {
            (0.0, 1.0)
        };
        let column = rows.iter().skip(d).step_by(dim);
        let count = column.filter(|v| (*v - mean).abs() > bound * std).count();
        if count as f64 > usual {
            beyond.push(format!("{count} in `{}`", names[d]));
        }
    }
    if !beyond.is_empty() {
        let unit = match standardises {
            true => " standard deviations",
            false => "",
        };
        all.push(format!(
            "of {n} training points, some are more than `tail_bound` = {bound}{unit} out, where splines \
             change nothing: {} (raise `tail_bound`, or transform these columns, as by a logarithm)",
            beyond.join(", ")
        ));
    }
    Ok(all)
}

/// A model that does not standardise its points is likely to fail where a standard deviation is
/// beyond this factor of 1, or a mean beyond this factor of the standard deviation.
const FAR: f64 = 1e3;

/// Mean and standard deviation of every coordinate of the training points (n, dim). Refuses points that
/// do not vary in one of their coordinates: the likelihood of a constant has no bound.
pub(super) fn check_varies(points: &Tensor) -> Result<Vec<(f64, f64)>> {
    let (n, dim) = points.dims2()?;
    let rows = num::to_vec(points)?;
    // Below it, inverses overflow in single precision and squares underflow in double precision.
    let least = match points.dtype() {
        DType::F32 => 1e-30,
        _ => 1e-150,
    };
    let moments = num::moments(&rows, dim);
    for (d, (_, std)) in moments.iter().copied().enumerate() {
        if std >= least && std.is_finite() {
            continue;
        }
        let column = rows.iter().skip(d).step_by(dim);
        let (low, high) = column.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| {
            (a.min(*v), b.max(*v))
        });
        let got = match n {
            1 => "a single one (see train.points)".to_owned(),
            _ if low == high => format!(
                "a coordinate ({d}, from 0) that is {low:e} in all {n} of them (see train.points)"
            ),
            _ => format!(
                "a coordinate ({d}, from 0) between {low:e} and {high:e}, whose standard deviation is \
                 below {least:e} (try another unit)"
            ),
        };
        return Err(Error::failed(format!(
            "expected training points that vary in every coordinate, since a density on a constant \
             is infinite; got {got}"
        )));
    }
    Ok(moments)
}

/// A kurtosis that points of finite fourth moment rarely have: 3 is that of a Gaussian, 9 that of a
/// Student t with 5 degrees of freedom.
const HEAVY: f64 = 10.0;

/// What to try when training failed on points like these (n, dim), if heavy tails are a likely reason.
pub(super) fn heavy_tails(points: &Tensor) -> Result<Option<String>> {
    let (n, dim) = points.dims2()?;
    let rows = num::to_vec(points)?;
    let moments = num::moments(&rows, dim).into_iter().enumerate();
    let kurtosis = moments.map(|(d, (mean, std))| {
        let column = rows.iter().skip(d).step_by(dim);
        let fourth = column.map(|v| ((v - mean) / std).powi(4)).sum::<f64>();
        (d, fourth / n as f64)
    });
    let heavy = kurtosis.max_by(|a, b| a.1.total_cmp(&b.1));
    let heavy = heavy.filter(|(_, kurtosis)| *kurtosis > HEAVY);
    Ok(heavy.map(|(d, kurtosis)| {
        format!(
            "; column {d} (from 0) has heavy tails, a kurtosis of {kurtosis:.0} where a Gaussian has 3 (try \
             `soft_tails` at the end of a `bijection.chain`, `base.student_t = {{}}` or fewer layers)"
        )
    }))
}

/// What to try when a model of `spec` diverged on points like these (n, dim), if their unit is a
/// likely reason.
pub(super) fn hint(spec: &ModelSpec, points: &Tensor) -> Result<Option<String>> {
    if spec.standardises() {
        return Ok(None);
    }
    let (_, dim) = points.dims2()?;
    let moments = num::moments(&num::to_vec(points)?, dim);
    let far = moments
        .iter()
        .enumerate()
        .find(|(_, (mean, std))| !(1.0 / FAR..=FAR).contains(std) || mean.abs() > FAR * std);
    Ok(far.map(|(d, (mean, std))| {
        format!(
            "; coordinate {d} (from 0) of the points has mean {mean:.3e} and standard deviation \
             {std:.3e}, and `standardise` is false (try `standardise = true`)"
        )
    }))
}
