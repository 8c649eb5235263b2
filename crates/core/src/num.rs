//! Small numerical functions on tensors that stay finite where the naive formula does not.

use candle_core::{DType, Device, Tensor, D};

use crate::{Error, Result};

#[cfg(test)]
pub mod testing;

/// ln(2 pi)
pub const LN_2PI: f64 = 1.837_877_066_409_345_3;

/// Rows that plain tensors are evaluated on at once: few enough for a CPU's cache, enough to keep a
/// GPU busy. All intermediate tensors of these rows are in memory together.
pub fn rows_at_once(device: &Device) -> usize {
    if device.is_cpu() {
        1 << 11
    } else {
        1 << 17
    }
}

/// log sum_i exp(x_i) over `dim`, which is dropped. A slice of nothing but -inf gives -inf
/// (`Tensor::log_sum_exp` gives NaN there); its gradient is not defined.
pub fn log_sum_exp(x: &Tensor, dim: usize) -> Result<Tensor> {
    let max = x.max_keepdim(dim)?.detach();
    let max = max.maximum(f64::from(f32::MIN))?;
    let sum = x.broadcast_sub(&max)?.exp()?.sum_keepdim(dim)?;
    Ok((sum.log()? + max)?.squeeze(dim)?)
}

/// ln(1 + e^x) without overflow.
pub fn softplus(x: &Tensor) -> Result<Tensor> {
    let tail = (x.abs()?.neg()?.exp()? + 1.0)?.log()?;
    Ok((x.relu()? + tail)?)
}

/// c tanh(x / c): the identity near 0, within (-c, c) everywhere.
pub fn bounded(x: &Tensor, c: f64) -> Result<Tensor> {
    Ok(((x * (1.0 / c))?.tanh()? * c)?)
}

/// log softmax over the last dimension.
pub fn log_softmax(x: &Tensor) -> Result<Tensor> {
    Ok(candle_nn::ops::log_softmax(x, D::Minus1)?)
}

/// Sum over the last dimension of a (n, d) tensor: (n,).
pub fn row_sum(x: &Tensor) -> Result<Tensor> {
    let (_, d) = x.dims2()?;
    if d == 1 {
        return Ok(x.squeeze(1)?);
    }
    Ok(x.sum(1)?)
}

/// The values of a tensor on the host, row by row, in f64.
pub fn to_vec(x: &Tensor) -> Result<Vec<f64>> {
    Ok(x.flatten_all()?
        .to_device(&Device::Cpu)?
        .to_dtype(DType::F64)?
        .to_vec1()?)
}

/// Rows as a (n, dim) tensor.
pub fn from_rows(rows: &[f64], dim: usize, dtype: DType, device: &Device) -> Result<Tensor> {
    Ok(
        Tensor::from_slice(rows, (rows.len() / dim.max(1), dim), &Device::Cpu)?
            .to_dtype(dtype)?
            .to_device(device)?,
    )
}

/// `(n, dim)` or a message that names `what`.
pub fn expect_points(what: &str, x: &Tensor, dim: usize) -> Result<usize> {
    match x.dims() {
        [n, d] if *d == dim => Ok(*n),
        other => Err(Error::failed(format!(
            "{what}: expected points of shape (n, {dim}); got {other:?}"
        ))),
    }
}

/// Consecutive chunks of at most `rows` rows.
pub fn chunks(x: &Tensor, rows: usize) -> Result<Vec<Tensor>> {
    let n = x.dim(0)?;
    let starts = (0..n).step_by(rows);
    starts
        .map(|start| Ok(x.narrow(0, start, rows.min(n - start))?))
        .collect()
}

/// `f` on consecutive chunks of at most `rows` rows, the results joined along the first axis.
pub fn in_chunks(
    x: &Tensor,
    rows: usize,
    mut f: impl FnMut(&Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    if x.dim(0)? <= rows {
        return f(x);
    }
    let parts: Result<Vec<_>> = chunks(x, rows)?.iter().map(f).collect();
    Ok(Tensor::cat(&parts?, 0)?)
}

/// Values that are not finite.
pub fn non_finite(x: &Tensor) -> Result<usize> {
    Ok(to_vec(x)?.iter().filter(|v| !v.is_finite()).count())
}

/// Mean of two numbers or more, and its standard error.
pub fn mean_and_std_err(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let n = values.clone().count() as f64;
    let mean = values.clone().sum::<f64>() / n;
    let variance = values.map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, (variance / n).sqrt())
}

/// Mean and standard deviation (the root of the mean square) of every coordinate of points given as
/// rows. A coordinate that is the same in all of them has exactly that mean and deviation 0: a
/// deviation of rounding errors would be dangerous to divide by.
pub fn moments(rows: &[f64], dim: usize) -> Vec<(f64, f64)> {
    let n = (rows.len() / dim.max(1)) as f64;
    let of = |d: usize| {
        let column = || rows.iter().skip(d).step_by(dim);
        let first = column().next().copied().unwrap_or(0.0);
        if column().all(|v| *v == first) {
            return (first, 0.0);
        }
        let mean = column().sum::<f64>() / n;
        let square = column().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
        (mean, square.sqrt())
    };
    (0..dim).map(of).collect()
}

/// The largest of the values: -inf if there are none, NaN if one of them is NaN (`f64::max` drops
/// NaN, so a fold with it would hide the one value that matters).
pub fn largest(values: impl IntoIterator<Item = f64>) -> f64 {
    let larger = |a: f64, b: f64| if b > a || b.is_nan() { b } else { a };
    values.into_iter().fold(f64::NEG_INFINITY, larger)
}

/// log sum_i exp(v_i) of plain numbers; -inf for none or nothing but -inf.
pub fn log_sum_exp_slice(values: &[f64]) -> f64 {
    let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if max == f64::NEG_INFINITY {
        return max;
    }
    max + values.iter().map(|v| (v - max).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn f64s(v: &[f64]) -> Tensor {
        Tensor::new(v, &Device::Cpu).unwrap()
    }

    #[test]
    fn log_sum_exp_survives_the_extremes() {
        let inf = f64::INFINITY;
        let x = Tensor::new(
            &[[-inf, -inf], [-inf, 3.0], [1000.0, 1000.0], [-1e9, -1e9]],
            &Device::Cpu,
        )
        .unwrap();
        let got = to_vec(&log_sum_exp(&x, 1).unwrap()).unwrap();
        let ln2 = std::f64::consts::LN_2;
        assert_eq!(got[0], -inf);
        assert_eq!(got[1], 3.0);
        assert!((got[2] - 1000.0 - ln2).abs() < 1e-12);
        assert!((got[3] + 1e9 - ln2).abs() < 1e-6);
        assert_eq!(log_sum_exp_slice(&[-inf, -inf]), -inf);
        assert!((log_sum_exp_slice(&[0.0, 0.0]) - ln2).abs() < 1e-15);
    }

    #[test]
    fn softplus_and_bounded_stay_finite() {
        let got = to_vec(&softplus(&f64s(&[-800.0, 0.0, 800.0])).unwrap()).unwrap();
        assert!(got[0] >= 0.0 && got[0] < 1e-300);
        assert!((got[1] - std::f64::consts::LN_2).abs() < 1e-15);
        assert_eq!(got[2], 800.0);
        let got = to_vec(&bounded(&f64s(&[1e-9, 1e9]), 2.0).unwrap()).unwrap();
        assert!((got[0] - 1e-9).abs() < 1e-18);
        assert_eq!(got[1], 2.0);
    }

    #[test]
    fn moments_of_a_constant_are_exact() {
        // Three times 0.1 are not 0.3 in floating point.
        let rows = [0.1, 1.0, 0.1, 2.0, 0.1, 6.0];
        assert_eq!(
            moments(&rows, 2),
            [(0.1, 0.0), (3.0, (14.0f64 / 3.0).sqrt())]
        );
        assert_eq!(moments(&[], 1), [(0.0, 0.0)]);
    }

    #[test]
    fn the_largest_value_keeps_nan_wherever_it_stands() {
        for at in 0..3 {
            let mut values = [1.0, 3.0, 2.0];
            assert_eq!(largest(values), 3.0);
            values[at] = f64::NAN;
            assert!(largest(values).is_nan(), "{at}");
        }
        assert_eq!(largest([]), f64::NEG_INFINITY);
    }

    #[test]
    fn chunks_join_to_the_whole() {
        let x = Tensor::arange(0.0, 7.0, &Device::Cpu).unwrap();
        let got = in_chunks(&x, 3, |c| Ok((c * 2.0)?)).unwrap();
        assert_eq!(to_vec(&got).unwrap(), [0., 2., 4., 6., 8., 10., 12.]);
    }
}
