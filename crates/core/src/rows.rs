//! Functions of single rows, computed on the host in f64 and differentiable as tensors.

use std::sync::Arc;

use candle_core::{bail, CpuStorage, CustomOp1, DType, Device, Layout, Shape, Tensor};
use rayon::prelude::*;

use crate::{Error, Result};

/// Smallest number of rows for another thread.
const ROWS_PER_THREAD: usize = 256;

/// f: R^D -> R^k with its derivative, for one point at a time.
pub trait RowFunction: Send + Sync {
    /// k, at least 1.
    fn outputs(&self) -> usize;
    /// Writes f(x) to `out` (k numbers).
    fn value(&self, x: &[f64], out: &mut [f64]);
    /// Writes sum_j cotangent_j df_j/dx to `out` (D numbers).
    fn vjp(&self, x: &[f64], cotangent: &[f64], out: &mut [f64]);
}

/// f of every row of `x`, (n, D) -> (n, k), in the dtype and on the device of `x` and with a
/// gradient for it. The work is done on the host in f64, the rows shared among threads.
pub fn apply(x: &Tensor, function: Arc<dyn RowFunction>) -> Result<Tensor> {
    let outputs = function.outputs();
    match x.dims() {
        [_, d] if *d > 0 && outputs > 0 => {}
        other => {
            return Err(Error::failed(format!(
                "function of rows: expected points of shape (n, dim) and at least one output; \
                 got {other:?} and {outputs} outputs"
            )))
        }
    }
    // To the host first, since not every device has f64.
    let host = x
        .to_device(&Device::Cpu)?
        .to_dtype(DType::F64)?
        .contiguous()?;
    let y = host.apply_op1(Rows(function))?;
    Ok(y.to_dtype(x.dtype())?.to_device(x.device())?)
}

/// Numbers that are computed already, one per row of `x` (n, D): (n,), in its dtype and on its device.
/// `gradients` (n x D) are their derivatives by the rows; none are needed where x has no gradient.
pub fn known(x: &Tensor, values: Vec<f64>, gradients: Vec<f64>) -> Result<Tensor> {
    let host = x.to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
    let y = host.apply_op1(Known { values, gradients })?;
    Ok(y.to_dtype(x.dtype())?.to_device(x.device())?)
}

struct Known {
    values: Vec<f64>,
    gradients: Vec<f64>,
}

impl CustomOp1 for Known {
    fn name(&self) -> &'static str {
        "known-function-of-rows"
    }

    fn cpu_fwd(&self, _: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let (n, _) = layout.shape().dims2()?;
        if self.values.len() != n {
            bail!(
                "function of rows: expected {n} values; got {}",
                self.values.len()
            )
        }
        Ok((CpuStorage::F64(self.values.clone()), Shape::from(n)))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, by_y: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let by_x = Tensor::from_slice(&self.gradients, x.shape(), &Device::Cpu)?;
        by_x.broadcast_mul(&by_y.unsqueeze(1)?).map(Some)
    }
}

struct Rows(Arc<dyn RowFunction>);

impl CustomOp1 for Rows {
    fn name(&self) -> &'static str {
        "function-of-rows"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let (n, dim) = layout.shape().dims2()?;
        let Some((start, end)) = layout.contiguous_offsets() else {
            bail!("function of rows: expected contiguous rows")
        };
        let k = self.0.outputs();
        let mut y = vec![0.0; n * k];
        x.as_slice::<f64>()?[start..end]
            .par_chunks_exact(dim)
            .zip(y.par_chunks_exact_mut(k))
            .with_min_len(ROWS_PER_THREAD)
            .for_each(|(x, y)| self.0.value(x, y));
        Ok((CpuStorage::F64(y), Shape::from((n, k))))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, by_y: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let (_, dim) = x.dims2()?;
        let points = x.flatten_all()?.to_vec1::<f64>()?;
        let cotangents = by_y.flatten_all()?.to_vec1::<f64>()?;
        let mut by_x = vec![0.0; points.len()];
        points
            .par_chunks_exact(dim)
            .zip(cotangents.par_chunks_exact(self.0.outputs()))
            .zip(by_x.par_chunks_exact_mut(dim))
            .with_min_len(ROWS_PER_THREAD)
            .for_each(|((x, cotangent), by_x)| self.0.vjp(x, cotangent, by_x));
        Ok(Some(Tensor::from_vec(by_x, x.shape(), &Device::Cpu)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::num::testing::{gradient, tensor, values, var};
    use candle_core::Var;

    /// (a, b, c) -> (a b, sin a + c^2)
    struct Example;

    impl RowFunction for Example {
        fn outputs(&self) -> usize {
            2
        }
        fn value(&self, x: &[f64], out: &mut [f64]) {
            out[0] = x[0] * x[1];
            out[1] = x[0].sin() + x[2] * x[2];
        }
        fn vjp(&self, x: &[f64], cotangent: &[f64], out: &mut [f64]) {
            out[0] = cotangent[0] * x[1] + cotangent[1] * x[0].cos();
            out[1] = cotangent[0] * x[0];
            out[2] = cotangent[1] * 2.0 * x[2];
        }
    }

    /// sum_ij y_ij^2 / (1 + i + j), a different cotangent for every entry.
    fn loss(x: &Tensor) -> Tensor {
        let y = apply(x, Arc::new(Example)).unwrap();
        let (n, k) = y.dims2().unwrap();
        let weights: Vec<f64> = (0..n * k)
            .map(|i| 1.0 / (1.0 + (i / k + i % k) as f64))
            .collect();
        let weights = Tensor::from_vec(weights, (n, k), &Device::Cpu).unwrap();
        let weights = weights.to_dtype(x.dtype()).unwrap();
        (y.sqr().unwrap() * weights).unwrap().sum_all().unwrap()
    }

    #[test]
    fn the_gradient_is_that_of_finite_differences_in_f64_and_f32() {
        // More rows than one thread gets.
        let n = 3 * ROWS_PER_THREAD;
        let rows: Vec<f64> = (0..3 * n).map(|i| (i as f64 * 0.7).sin()).collect();
        for (dtype, tolerance) in [(DType::F64, 1e-8), (DType::F32, 1e-5)] {
            let x = Var::from_tensor(&tensor(&rows, 3).to_dtype(dtype).unwrap()).unwrap();
            let got = gradient(&loss(x.as_tensor()), &x);
            for i in [0, 1, 2, 500, 1001, 3 * n - 2, 3 * n - 1] {
                let moved = |by: f64| {
                    let mut rows = rows.clone();
                    rows[i] += by;
                    loss(&tensor(&rows, 3)).to_scalar::<f64>().unwrap()
                };
                let want = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                assert!(
                    (got[i] - want).abs() < tolerance,
                    "{dtype:?} {i}: {} {want}",
                    got[i]
                );
            }
        }
    }

    #[test]
    fn gradients_flow_through_it_and_strides_do_not_matter() {
        // The points are a transposed view of 2 w.
        let w = var(&[0.3, -0.4, 1.2, 0.5, -0.7, 2.0], 2);
        let x = (w.as_tensor() * 2.0).unwrap().t().unwrap();
        let plain = Var::from_tensor(&x.contiguous().unwrap()).unwrap();
        let want = tensor(&gradient(&loss(plain.as_tensor()), &plain), 3);
        let want = values(&(want.t().unwrap() * 2.0).unwrap());
        assert_eq!(gradient(&loss(&x), &w), want);
    }

    #[test]
    fn no_rows_give_an_empty_result_and_a_wrong_shape_an_error() {
        let none = Tensor::zeros((0, 3), DType::F32, &Device::Cpu).unwrap();
        let y = apply(&none, Arc::new(Example)).unwrap();
        assert_eq!((y.dims(), y.dtype()), (&[0, 2][..], DType::F32));
        let flat = Tensor::zeros(3, DType::F64, &Device::Cpu).unwrap();
        let said = apply(&flat, Arc::new(Example)).unwrap_err().to_string();
        assert!(
            said.contains("shape (n, dim)") && said.contains("[3]"),
            "{said}"
        );
    }
}
