//! Whether points have a spread that a density can be learned from.

use candle_core::{DType, Tensor};

use mdn_core::models::ModelSpec;
use mdn_core::{num, Error, Result};

/// Spreads and offsets, in units of 1 and of the spread, beyond which a model that does not
/// standardise its points is likely to fail for that.
const FAR: f64 = 1e3;

/// The least standard deviation in each precision: below it, inverses in single precision or squares
/// in double precision are no longer numbers of it.
fn least(dtype: DType) -> f64 {
    match dtype {
        DType::F32 => 1e-30,
        _ => 1e-150,
    }
}

/// Refuses points (n, dim) that a model is to start from and that do not vary in one of their
/// coordinates: the likelihood of a constant has no bound.
pub(super) fn check_varies(points: &Tensor) -> Result<()> {
    let (n, dim) = points.dims2()?;
    let rows = num::to_vec(points)?;
    let least = least(points.dtype());
    for (d, (_, std)) in num::moments(&rows, dim).into_iter().enumerate() {
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
    Ok(())
}

/// What to try where a model of `spec` diverged on points like these (n, dim), if their unit is a
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
