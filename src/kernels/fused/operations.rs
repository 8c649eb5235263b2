//! The operations by which Candle's graph has a fused stack as a node.

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{CpuStorage, CustomOp2, Device, Layout, Shape, Tensor};

use super::super::engine::{self, Wanted};
use super::super::tiles::Weights;
use super::{numbers, Core};

/// By the flat parameters and by x.
type ByInputs = (Option<Tensor>, Option<Tensor>);

impl Core {
    /// log q (n,) of x and, where `z` has room for it, where they land (n, dim).
    fn evaluate(&self, flat: &[f32], x: &[f32], log_q: &mut [f32], z: &mut [f32]) {
        let parts = &mut [];
        let wanted = Wanted { log_q, z, parts };
        engine::evaluate(self.isa, &self.stack, &self.ready(flat), x, wanted);
    }

    /// The gradients of sum weight log q + sum by_z z. The forward pass again, this time with
    /// everything kept: nothing is held between the two, and evaluations that need no gradient never
    /// pay for one.
    fn back(
        &self,
        flat: &Tensor,
        x: &Tensor,
        weights: &[f32],
        by_z: &[f32],
    ) -> candle_core::Result<ByInputs> {
        let ready = self.ready(&flat.to_vec1::<f32>()?);
        let points = x.flatten_all()?.to_vec1::<f32>()?;
        let weights = (Weights::Each(weights), by_z);
        let (_, by_flat, by_x) = self.differentiate(&ready, &points, weights);
        Ok((
            Some(Tensor::from_vec(by_flat, flat.shape(), &Device::Cpu)?),
            Some(Tensor::from_vec(by_x, x.shape(), &Device::Cpu)?),
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
        self.0.back(flat, x, &by_log_q.to_vec1::<f32>()?, &[])
    }
}

/// z and log q side by side: (n, dim + 1).
pub(super) struct Landed(pub(super) Arc<Core>);

impl CustomOp2 for Landed {
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
        let mut both = Vec::with_capacity(n * (dim + 1));
        for (z, log_q) in z.chunks_exact(dim).zip(log_q) {
            both.extend_from_slice(z);
            both.push(log_q);
        }
        Ok((CpuStorage::F32(both), Shape::from((n, dim + 1))))
    }

    fn bwd(
        &self,
        flat: &Tensor,
        x: &Tensor,
        _both: &Tensor,
        by_both: &Tensor,
    ) -> candle_core::Result<ByInputs> {
        let (n, dim) = x.dims2()?;
        let (mut by_z, mut weights) = (Vec::with_capacity(n * dim), Vec::with_capacity(n));
        for row in by_both
            .flatten_all()?
            .to_vec1::<f32>()?
            .chunks_exact(dim + 1)
        {
            by_z.extend_from_slice(&row[..dim]);
            weights.push(row[dim]);
        }
        self.0.back(flat, x, &weights, &by_z)
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
        let ready = self.core.ready(numbers(flat, flat_layout)?);
        let weights = (Weights::Same(1.0 / n as f32), &[][..]);
        let (sum, by_flat, by_x) = self
            .core
            .differentiate(&ready, numbers(x, x_layout)?, weights);
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
