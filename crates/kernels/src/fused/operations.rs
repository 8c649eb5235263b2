//! A fused stack as operations of Candle's graph.

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{CpuStorage, CustomOp2, Device, Layout, Shape, Tensor};

use super::{numbers, Core};
use crate::engine::{self, Outputs};
use crate::tiles::{Upstream, Weights};

/// By the flat parameters and by x.
type ByInputs = (Option<Tensor>, Option<Tensor>);

impl Core {
    /// log q (n,) of x and, if `z` is not empty, z (n, dim).
    fn evaluate(&self, flat: &[f32], x: &[f32], log_q: &mut [f32], z: &mut [f32]) {
        let parts = &mut [];
        let outputs = Outputs { log_q, z, parts };
        engine::evaluate(self.isa, &self.stack, &self.prepared(flat), x, outputs);
    }

    /// The gradients of `upstream` at points or samples (n, dim). It repeats the forward pass and
    /// keeps its intermediate values: nothing is held between the two passes, so an evaluation
    /// without gradients costs nothing extra.
    fn backward(
        &self,
        flat: &Tensor,
        points: &[f32],
        upstream: Upstream<'_>,
    ) -> candle_core::Result<ByInputs> {
        let prepared = self.prepared(&flat.to_vec1::<f32>()?);
        let (_, by_flat, by_points) = self.differentiate(&prepared, points, upstream);
        let shape = (points.len() / self.stack.dim, self.stack.dim);
        Ok((
            Some(Tensor::from_vec(by_flat, flat.shape(), &Device::Cpu)?),
            Some(Tensor::from_vec(by_points, shape, &Device::Cpu)?),
        ))
    }
}

/// log q, (n,).
pub(super) struct LogProb(pub(super) Arc<Core>);

impl CustomOp2 for LogProb {
    fn name(&self) -> &'static str {
        "fused-log-prob"
    }

    fn cpu_fwd(
        &self,
        flat: &CpuStorage,
        flat_layout: &Layout,
        x: &CpuStorage,
        x_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (n, _) = x_layout.shape().dims2()?;
        let mut log_q = vec![0.0; n];
        let (flat, x) = (numbers(flat, flat_layout)?, numbers(x, x_layout)?);
        self.0.evaluate(flat, x, &mut log_q, &mut []);
        Ok((CpuStorage::F32(log_q), Shape::from(n)))
    }

    fn bwd(
        &self,
        flat: &Tensor,
        x: &Tensor,
        _log_q: &Tensor,
        by_log_q: &Tensor,
    ) -> candle_core::Result<ByInputs> {
        let weights = by_log_q.to_vec1::<f32>()?;
        let upstream = Upstream::Points(Weights::Each(&weights), &[]);
        self.0.backward(flat, &all(x)?, upstream)
    }
}

fn all(points: &Tensor) -> candle_core::Result<Vec<f32>> {
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
fn part(both: &Tensor) -> candle_core::Result<(Vec<f32>, Vec<f32>)> {
    let (n, width) = both.dims2()?;
    let (mut points, mut numbers) = (Vec::with_capacity(n * (width - 1)), Vec::with_capacity(n));
    for row in all(both)?.chunks_exact(width) {
        points.extend_from_slice(&row[..width - 1]);
        numbers.push(row[width - 1]);
    }
    Ok((points, numbers))
}

/// z and log q side by side: (n, dim + 1).
pub(super) struct ToBase(pub(super) Arc<Core>);

impl CustomOp2 for ToBase {
    fn name(&self) -> &'static str {
        "fused-to-base"
    }

    fn cpu_fwd(
        &self,
        flat: &CpuStorage,
        flat_layout: &Layout,
        x: &CpuStorage,
        x_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (n, dim) = x_layout.shape().dims2()?;
        let (mut z, mut log_q) = (vec![0.0; n * dim], vec![0.0; n]);
        let (flat, x) = (numbers(flat, flat_layout)?, numbers(x, x_layout)?);
        self.0.evaluate(flat, x, &mut log_q, &mut z);
        Ok(join(&z, &log_q, dim))
    }

    fn bwd(
        &self,
        flat: &Tensor,
        x: &Tensor,
        _both: &Tensor,
        by_both: &Tensor,
    ) -> candle_core::Result<ByInputs> {
        let (by_z, weights) = part(by_both)?;
        let upstream = Upstream::Points(Weights::Each(&weights), &by_z);
        self.0.backward(flat, &all(x)?, upstream)
    }
}

/// x and log|det dx/dz| of z side by side: (n, dim + 1).
pub(super) struct ToDataAndLogDet(pub(super) Arc<Core>);

impl CustomOp2 for ToDataAndLogDet {
    fn name(&self) -> &'static str {
        "fused-to-data"
    }

    fn cpu_fwd(
        &self,
        flat: &CpuStorage,
        flat_layout: &Layout,
        z: &CpuStorage,
        z_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (n, dim) = z_layout.shape().dims2()?;
        let core = &self.0;
        let prepared = core.prepared(numbers(flat, flat_layout)?);
        let (mut x, mut log_det) = (vec![0.0; n * dim], vec![0.0; n]);
        let z = numbers(z, z_layout)?;
        engine::to_data_and_log_det(core.isa, &core.stack, &prepared, z, &mut x, &mut log_det);
        Ok(join(&x, &log_det, dim))
    }

    fn bwd(
        &self,
        flat: &Tensor,
        z: &Tensor,
        _both: &Tensor,
        by_both: &Tensor,
    ) -> candle_core::Result<ByInputs> {
        let (by_x, mut weights) = part(by_both)?;
        weights.iter_mut().for_each(|v| *v = -*v);
        let upstream = Upstream::Samples(&weights, &by_x);
        self.0.backward(flat, &all(z)?, upstream)
    }
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
    ) -> candle_core::Result<(CpuStorage, Shape)> {
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

    fn bwd(
        &self,
        flat: &Tensor,
        x: &Tensor,
        _mean: &Tensor,
        by_mean: &Tensor,
    ) -> candle_core::Result<ByInputs> {
        let gradients = self
            .gradients
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let Some((by_flat, by_x)) = gradients else {
            candle_core::bail!("fused kernels: expected gradients of the forward pass")
        };
        let by_flat = Tensor::from_vec(by_flat, flat.shape(), &Device::Cpu)?;
        let by_x = Tensor::from_vec(by_x, x.shape(), &Device::Cpu)?;
        Ok((
            Some(by_flat.broadcast_mul(by_mean)?),
            Some(by_x.broadcast_mul(by_mean)?),
        ))
    }
}
