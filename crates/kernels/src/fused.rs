//! A stack as Candle operations, and its training with Adam without Candle.

use std::sync::{Arc, OnceLock};

use candle_core::{bail, CpuStorage, DType, Device, Layout, Result, Storage, Tensor, Var};

use crate::base::Base;
use crate::engine;
use crate::layer::Layer;
use crate::simd::Isa;
use crate::stack::{Prepared, Stack};
use crate::tiles::{Outputs, Upstream};

mod operations;
mod training;

use operations::{MeanLogProb, Output, PerPoint};
pub use training::FusedTraining;

/// A flow or RAD of f32 tensors on the CPU, fused from data to base: log q, its gradients,
/// samples, those of a flow with gradients, and training in one pass over tiles of points.
#[derive(Clone)]
pub struct Fused {
    stack: Arc<Stack>,
    isa: Isa,
}

impl Fused {
    /// From `layers` in the order from data to base, and the base.
    pub fn new(dim: usize, layers: Vec<Layer<Tensor>>, base: Base<Tensor>, isa: Isa) -> Self {
        let stack = Arc::new(Stack::new(isa.or_portable(), dim, layers, base));
        Self { stack, isa }
    }

    /// The instruction set.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Multiplications by weights for one point in one direction: nearly half of its floating-point
    /// operations.
    pub fn products(&self) -> usize {
        self.stack.products()
    }

    /// Whether it has [`Fused::to_data_and_log_det`].
    pub fn has_to_data_backward(&self) -> bool {
        self.stack.has_to_data_backward()
    }

    /// All parameters in one tensor, with gradients.
    fn flat(&self) -> Result<Tensor> {
        let all = self.stack.tensors.iter().map(Tensor::flatten_all);
        let all: Vec<Tensor> = all.collect::<Result<_>>()?;
        if all.is_empty() {
            return Tensor::zeros(0, DType::F32, &Device::Cpu);
        }
        Tensor::cat(&all, 0)
    }

    /// The current parameters.
    fn prepared(&self) -> Result<Prepared> {
        Ok(self.stack.prepared(&self.flat()?.to_vec1()?))
    }

    /// x (n, dim) -> log q (n,) in nats, with gradients by the parameters and by x.
    pub fn log_prob(&self, x: &Tensor) -> Result<Tensor> {
        let op = PerPoint(Arc::clone(&self.stack), Output::LogProb);
        self.flat()?.apply_op2(&x.contiguous()?, op)
    }

    /// x (n, dim) -> z (n, dim) and log q (n,), with gradients by the parameters and by x. Without a
    /// base log q is the log-determinant of the layers.
    pub fn to_base_and_log_prob(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let dim = x.dim(1)?;
        let op = PerPoint(Arc::clone(&self.stack), Output::ToBase);
        part(&self.flat()?.apply_op2(&x.contiguous()?, op)?, dim)
    }

    /// x (n, dim) -> the mean of log q, a scalar with gradients, which are computed in the same
    /// pass: cheaper than those of [`Fused::log_prob`] where only the mean is needed.
    pub fn mean_log_prob(&self, x: &Tensor) -> Result<Tensor> {
        let op = MeanLogProb {
            stack: Arc::clone(&self.stack),
            gradients: OnceLock::new(),
        };
        self.flat()?.apply_op2(&x.contiguous()?, op)
    }

    /// x (n, dim) -> z (n, dim), without gradients, and the part of every fold (n, folds), from data
    /// to base: 0 left, 1 middle, 2 right.
    pub fn to_base(&self, x: &Tensor) -> Result<(Tensor, Vec<u8>)> {
        let (n, dim) = x.dims2()?;
        let stack = &self.stack;
        let prepared = self.prepared()?;
        let mut z = vec![0.0; n * dim];
        let mut parts = vec![0; n * stack.folds()];
        with_numbers(&x.contiguous()?, |x| {
            let outputs = Outputs {
                log_q: &mut [],
                z: &mut z,
                parts: &mut parts,
            };
            engine::evaluate(stack, &prepared, x, outputs);
        })?;
        Ok((Tensor::from_vec(z, (n, dim), &Device::Cpu)?, parts))
    }

    /// z (n, dim) -> x (n, dim), without gradients. `uniform` returns numbers uniform in (0, 1), with
    /// which the part of every fold is drawn from its gate.
    pub fn to_data(&self, z: &Tensor, mut uniform: impl FnMut() -> f64) -> Result<Tensor> {
        let (n, dim) = z.dims2()?;
        let stack = &self.stack;
        let prepared = self.prepared()?;
        let folds = stack.folds();
        // In the order in which the plain layers draw them.
        let mut drawn = vec![0.0; n * folds];
        let mut first = 0;
        for count in stack.folds_from_base() {
            for row in drawn.chunks_exact_mut(folds) {
                for u in &mut row[first..first + count] {
                    *u = uniform() as f32;
                }
            }
            first += count;
        }
        let mut x = vec![0.0; n * dim];
        with_numbers(&z.contiguous()?, |z| {
            engine::sample(stack, &prepared, z, &drawn, &mut x, &mut []);
        })?;
        Tensor::from_vec(x, (n, dim), &Device::Cpu)
    }

    /// z (n, dim) -> x (n, dim) and log|det dx/dz| (n,), with gradients by the parameters and by z;
    /// `None` if samples have no gradients through some layer (folds, autoregressive layers).
    pub fn to_data_and_log_det(&self, z: &Tensor) -> Result<Option<(Tensor, Tensor)>> {
        if !self.has_to_data_backward() {
            return Ok(None);
        }
        let dim = z.dim(1)?;
        let op = PerPoint(Arc::clone(&self.stack), Output::ToDataAndLogDet);
        let both = self.flat()?.apply_op2(&z.contiguous()?, op)?;
        part(&both, dim).map(Some)
    }

    /// Training on the mean of -log q, of those of `vars` that are parameters here.
    pub fn training(&self, vars: &[Var], weight_decay: f64) -> Result<FusedTraining> {
        let (stack, prepared) = (Arc::clone(&self.stack), self.prepared()?);
        Ok(FusedTraining::new(stack, prepared, vars, weight_decay))
    }
}

/// Splits (n, dim + 1) into points (n, dim) and the last column (n,).
fn part(both: &Tensor, dim: usize) -> Result<(Tensor, Tensor)> {
    let numbers = both.narrow(1, dim, 1)?.squeeze(1)?;
    Ok((both.narrow(1, 0, dim)?.contiguous()?, numbers))
}

/// `f` of a contiguous CPU tensor's numbers.
fn with_numbers<T>(tensor: &Tensor, f: impl FnOnce(&[f32]) -> T) -> Result<T> {
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => Ok(f(numbers(storage, layout)?)),
        _ => bail!("fused kernels: expected a tensor on the CPU"),
    }
}

fn numbers<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<f32>()?[start..end]),
        None => bail!("fused kernels: expected a contiguous tensor"),
    }
}

/// The sum of log q and the gradients by the flat parameters and by x (of samples by z).
fn differentiate(
    stack: &Stack,
    flat: &[f32],
    points: &[f32],
    upstream: Upstream<'_>,
) -> (f64, Vec<f32>, Vec<f32>) {
    let (prepared, mut chunks) = (stack.prepared(flat), Vec::new());
    let mut by_points = vec![0.0; points.len()];
    let by = &mut by_points;
    let sum = engine::differentiate(stack, &prepared, points, upstream, &mut chunks, by);
    let slots = stack.slots.iter();
    let by_flat = slots.flat_map(|slot| slot.of(&chunks[0].gradient));
    (sum, by_flat.copied().collect(), by_points)
}
