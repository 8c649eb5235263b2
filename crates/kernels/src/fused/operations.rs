//! A fused stack as operations of Candle's graph.

use std::sync::{Arc, OnceLock};

use candle_core::{bail, CpuStorage, CustomOp2, Device, Layout, Result, Shape, Tensor};

use super::{differentiate, numbers};
use crate::engine;
use crate::stack::Stack;
use crate::tiles::{Outputs, Upstream, Weights};

/// By the flat parameters and by x.
type ByInputs = (Option<Tensor>, Option<Tensor>);

/// What a [`PerPoint`] operation computes for every point.
#[derive(Clone, Copy)]
pub(super) enum Output {
    /// log q of x: (n,)
    LogProb,
    /// z and log q of x side by side: (n, dim + 1)
    ToBase,
    /// x and log|det dx/dz| of z side by side: (n, dim + 1)
    ToDataAndLogDet,
}

/// An operation on the flat parameters and points (n, dim).
pub(super) struct PerPoint(pub(super) Arc<Stack>, pub(super) Output);

impl CustomOp2 for PerPoint {
    fn name(&self) -> &'static str {
        "fused-per-point"
    }

    fn cpu_fwd(
        &self,
        flat: &CpuStorage,
        flat_layout: &Layout,
        points: &CpuStorage,
        points_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let stack = &self.0;
        let (n, dim) = points_layout.shape().dims2()?;
        let points = numbers(points, points_layout)?;
        let prepared = stack.prepared(numbers(flat, flat_layout)?);
        let evaluate = |log_q: &mut [f32], z: &mut [f32]| {
            let parts = &mut [];
            let outputs = Outputs { log_q, z, parts };
            engine::evaluate(stack, &prepared, points, outputs);
        };
        let mut last = vec![0.0; n];
        match self.1 {
            Output::LogProb => {
                evaluate(&mut last, &mut []);
                Ok((CpuStorage::F32(last), Shape::from(n)))
            }
            Output::ToBase => {
                let mut z = vec![0.0; n * dim];
                evaluate(&mut last, &mut z);
                Ok(join(&z, &last, dim))
            }
            Output::ToDataAndLogDet => {
                let mut x = vec![0.0; n * dim];
                engine::sample(stack, &prepared, points, &[], &mut x, &mut last);
                Ok(join(&x, &last, dim))
            }
        }
    }

    /// Repeats the forward pass and keeps its intermediate values: nothing is held between the two
    /// passes, so an evaluation without gradients costs nothing extra.
    fn bwd(
        &self,
        flat: &Tensor,
        points: &Tensor,
        _result: &Tensor,
        by_result: &Tensor,
    ) -> Result<ByInputs> {
        let (by_points, mut weights) = match self.1 {
            Output::LogProb => (Vec::new(), by_result.to_vec1()?),
            Output::ToBase | Output::ToDataAndLogDet => part(by_result)?,
        };
        let upstream = match self.1 {
            Output::LogProb | Output::ToBase => {
                Upstream::Points(Weights::Each(&weights), &by_points)
            }
            Output::ToDataAndLogDet => {
                // The kernels count the log-determinant towards the base.
                weights.iter_mut().for_each(|v| *v = -*v);
                Upstream::Samples(&weights, &by_points)
            }
        };
        let (_, by_flat, by_points) =
            differentiate(&self.0, &flat.to_vec1()?, &all(points)?, upstream);
        Ok((
            Some(Tensor::from_vec(by_flat, flat.shape(), &Device::Cpu)?),
            Some(Tensor::from_vec(by_points, points.shape(), &Device::Cpu)?),
        ))
    }
}

fn all(points: &Tensor) -> Result<Vec<f32>> {
    points.flatten_all()?.to_vec1()
}

/// Points (n, dim) and a number of each side by side: (n, dim + 1).
fn join(points: &[f32], numbers: &[f32], dim: usize) -> (CpuStorage, Shape) {
    let mut both = Vec::with_capacity(points.len() + numbers.len());
    for (point, number) in points.chunks_exact(dim).zip(numbers) {
        both.extend_from_slice(point);
        both.push(*number);
    }
    (CpuStorage::F32(both), Shape::from((numbers.len(), dim + 1)))
}

/// The inverse of [`join`].
fn part(both: &Tensor) -> Result<(Vec<f32>, Vec<f32>)> {
    let (n, width) = both.dims2()?;
    let (mut points, mut numbers) = (Vec::with_capacity(n * (width - 1)), Vec::with_capacity(n));
    for row in all(both)?.chunks_exact(width) {
        points.extend_from_slice(&row[..width - 1]);
        numbers.push(row[width - 1]);
    }
    Ok((points, numbers))
}

/// The mean of log q, a scalar; its gradients come with the value.
pub(super) struct MeanLogProb {
    pub(super) stack: Arc<Stack>,
    /// By the flat parameters and by x.
    pub(super) gradients: OnceLock<(Vec<f32>, Vec<f32>)>,
}

impl CustomOp2 for MeanLogProb {
    fn name(&self) -> &'static str {
        "fused-mean-log-prob"
    }

    fn cpu_fwd(
        &self,
        flat: &CpuStorage,
        flat_layout: &Layout,
        x: &CpuStorage,
        x_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (n, _) = x_layout.shape().dims2()?;
        let upstream = Upstream::Points(Weights::Same(1.0 / n as f32), &[]);
        let (flat, x) = (numbers(flat, flat_layout)?, numbers(x, x_layout)?);
        let (sum, by_flat, by_x) = differentiate(&self.stack, flat, x, upstream);
        self.gradients.get_or_init(|| (by_flat, by_x));
        Ok((
            CpuStorage::F32(vec![(sum / n as f64) as f32]),
            Shape::from(()),
        ))
    }

    fn bwd(&self, flat: &Tensor, x: &Tensor, _mean: &Tensor, by_mean: &Tensor) -> Result<ByInputs> {
        let Some((by_flat, by_x)) = self.gradients.get() else {
            bail!("fused kernels: expected gradients of the forward pass")
        };
        let by_flat = Tensor::from_slice(by_flat, flat.shape(), &Device::Cpu)?;
        let by_x = Tensor::from_slice(by_x, x.shape(), &Device::Cpu)?;
        Ok((
            Some(by_flat.broadcast_mul(by_mean)?),
            Some(by_x.broadcast_mul(by_mean)?),
        ))
    }
}
