//! A fused stack as operations of Candle's graph.

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{bail, CpuStorage, CustomOp2, Device, Layout, Result, Shape, Tensor};

use super::{numbers, Core};
use crate::engine::{self, Outputs};
use crate::tiles::{Upstream, Weights};

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
pub(super) struct PerPoint(pub(super) Arc<Core>, pub(super) Output);

impl CustomOp2 for PerPoint {
    fn name(&self) -> &'static str {
        match self.1 {
            Output::LogProb => "fused-log-prob",
            Output::ToBase => "fused-to-base",
            Output::ToDataAndLogDet => "fused-to-data",
        }
    }

    fn cpu_fwd(
        &self,
        flat: &CpuStorage,
        flat_layout: &Layout,
        points: &CpuStorage,
        points_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let core = &self.0;
        let (n, dim) = points_layout.shape().dims2()?;
        let points = numbers(points, points_layout)?;
        let prepared = core.prepared(numbers(flat, flat_layout)?);
        let evaluate = |log_q: &mut [f32], z: &mut [f32]| {
            let parts = &mut [];
            let outputs = Outputs { log_q, z, parts };
            engine::evaluate(core.isa, &core.stack, &prepared, points, outputs);
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
                let to = (&mut x[..], &mut last[..]);
                engine::to_data_and_log_det(core.isa, &core.stack, &prepared, points, to.0, to.1);
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
        let prepared = self.0.prepared(&flat.to_vec1::<f32>()?);
        let (_, by_flat, by_points) = self.0.differentiate(&prepared, &all(points)?, upstream);
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

pub(super) type Gradients = (Vec<f32>, Vec<f32>);

/// The mean of log q, a scalar; its gradients come with the value.
pub(super) struct MeanLogProb {
    pub(super) core: Arc<Core>,
    pub(super) gradients: Mutex<Option<Gradients>>,
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
        let prepared = self.core.prepared(numbers(flat, flat_layout)?);
        let upstream = Upstream::Points(Weights::Same(1.0 / n as f32), &[]);
        let (sum, by_flat, by_x) =
            self.core
                .differentiate(&prepared, numbers(x, x_layout)?, upstream);
        let mut gradients = self
            .gradients
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *gradients = Some((by_flat, by_x));
        Ok((
            CpuStorage::F32(vec![(sum / n as f64) as f32]),
            Shape::from(()),
        ))
    }

    fn bwd(&self, flat: &Tensor, x: &Tensor, _mean: &Tensor, by_mean: &Tensor) -> Result<ByInputs> {
        let gradients = self
            .gradients
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let Some((by_flat, by_x)) = gradients else {
            bail!("fused kernels: expected gradients of the forward pass")
        };
        let by_flat = Tensor::from_vec(by_flat, flat.shape(), &Device::Cpu)?;
        let by_x = Tensor::from_vec(by_x, x.shape(), &Device::Cpu)?;
        Ok((
            Some(by_flat.broadcast_mul(by_mean)?),
            Some(by_x.broadcast_mul(by_mean)?),
        ))
    }
}
