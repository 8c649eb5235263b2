//! Whether single precision can hold the data.

use candle_core::Tensor;

use mdn_core::data::{log_densities, DataSet};
use mdn_core::{num, Error, Result};

/// Refuses data that single precision cannot hold: where the truth's log-density at the rounded
/// points is another than at the points themselves (by a hundredth of a nat in the mean), the model
/// would fit the rounding, and every metric with it.
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
    if off < 0.01 {
        return Ok(());
    }
    Err(Error::failed(format!(
        "expected data that single precision can hold; got modes so narrow for their place that \
         rounding changes log p by {off:.2e} nats a point (try train.precision=f64)"
    )))
}

/// The same where no truth is known: rounding must be small beside the spread of each coordinate.
fn check_single_columns(exact: &[f64], rounded: &[f64], dim: usize) -> Result<()> {
    let n = (exact.len() / dim) as f64;
    for d in 0..dim {
        let column = || exact.iter().skip(d).step_by(dim);
        let mean = column().sum::<f64>() / n;
        let spread = (column().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
        let off = column().zip(rounded.iter().skip(d).step_by(dim));
        let off = off.map(|(v, r)| (v - r).abs()).fold(0.0, f64::max);
        if !(off <= 1e-3 * spread) {
            return Err(Error::failed(format!(
                "expected data that single precision can hold; got a coordinate ({d}, from 0) of \
                 mean {mean:.3e} and standard deviation {spread:.3e} that rounding moves by \
                 {off:.1e} (try train.precision=f64)"
            )));
        }
    }
    Ok(())
}
