//! A stack as Candle operations, and its training with Adam without Candle.

use std::sync::{Arc, Mutex};

use candle_core::{bail, CpuStorage, DType, Device, Layout, Result, Storage, Tensor, Var};

use crate::base::Base;
use crate::engine::{self, Outputs, Prepared, Trainer};
use crate::flat::Buffer;
use crate::layer::Layer;
use crate::simd::Isa;
use crate::stack::Stack;
use crate::tiles::Upstream;

mod operations;
use operations::{MeanLogProb, Output, PerPoint};

/// A flow or RAD of f32 tensors on the CPU, fused from data to base: log q, its gradients,
/// samples, those of a flow with gradients, and training in one pass over tiles of points.
#[derive(Clone)]
pub struct Fused(Arc<Core>);

struct Core {
    stack: Stack,
    tensors: Vec<Tensor>,
    isa: Isa,
}

impl Fused {
    /// From `layers` in the order from data to base, and the base.
    pub fn new(dim: usize, layers: Vec<Layer<Tensor>>, base: Base<Tensor>, isa: Isa) -> Self {
        let (stack, tensors) = Stack::new(dim, layers, base, Tensor::elem_count);
        Self(Arc::new(Core {
            stack,
            tensors,
            isa,
        }))
    }

    /// The instruction set.
    pub fn isa(&self) -> Isa {
        self.0.isa
    }

    /// Multiplications by weights for one point in one direction: nearly half of its floating-point
    /// operations.
    pub fn products(&self) -> usize {
        self.0.stack.products()
    }

    /// Whether it has [`Fused::to_data_and_log_det`].
    pub fn has_to_data_backward(&self) -> bool {
        self.0.stack.has_to_data_backward()
    }

    /// All parameters in one tensor, with gradients.
    fn flat(&self) -> Result<Tensor> {
        let all = self.0.tensors.iter().map(Tensor::flatten_all);
        let all: Vec<Tensor> = all.collect::<Result<_>>()?;
        if all.is_empty() {
            return Tensor::zeros(0, DType::F32, &Device::Cpu);
        }
        Tensor::cat(&all, 0)
    }

    /// The current parameters.
    fn prepared(&self) -> Result<Prepared> {
        let core = &self.0;
        let mut prepared = Prepared::new(&core.stack);
        for (tensor, slot) in core.tensors.iter().zip(&core.stack.slots) {
            with_numbers(tensor, |from| {
                slot.of_mut(&mut prepared.params).copy_from_slice(from);
            })?;
        }
        prepared.derive(&core.stack);
        Ok(prepared)
    }

    /// x (n, dim) -> log q (n,) in nats, with gradients by the parameters and by x.
    pub fn log_prob(&self, x: &Tensor) -> Result<Tensor> {
        let op = PerPoint(Arc::clone(&self.0), Output::LogProb);
        self.flat()?.apply_op2(&x.contiguous()?, op)
    }

    /// x (n, dim) -> z (n, dim) and log q (n,), with gradients by the parameters and by x. Without a
    /// base log q is the log-determinant of the layers.
    pub fn to_base_and_log_prob(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let dim = x.dim(1)?;
        let op = PerPoint(Arc::clone(&self.0), Output::ToBase);
        part(&self.flat()?.apply_op2(&x.contiguous()?, op)?, dim)
    }

    /// x (n, dim) -> the mean of log q, a scalar with gradients, which are computed in the same
    /// pass: cheaper than those of [`Fused::log_prob`] where nothing but the mean is outputs.
    pub fn mean_log_prob(&self, x: &Tensor) -> Result<Tensor> {
        let op = MeanLogProb {
            core: Arc::clone(&self.0),
            gradients: Mutex::new(None),
        };
        self.flat()?.apply_op2(&x.contiguous()?, op)
    }

    /// x (n, dim) -> z (n, dim), without gradients, and the part of every fold (n, folds), from data
    /// to base: 0 left, 1 middle, 2 right.
    pub fn to_base(&self, x: &Tensor) -> Result<(Tensor, Vec<u8>)> {
        let (n, dim) = x.dims2()?;
        let stack = &self.0.stack;
        let prepared = self.prepared()?;
        let mut z = vec![0.0; n * dim];
        let mut parts = vec![0; n * stack.folds()];
        with_numbers(&x.contiguous()?, |x| {
            let outputs = Outputs {
                log_q: &mut [],
                z: &mut z,
                parts: &mut parts,
            };
            engine::evaluate(self.0.isa, stack, &prepared, x, outputs);
        })?;
        Ok((Tensor::from_vec(z, (n, dim), &Device::Cpu)?, parts))
    }

    /// z (n, dim) -> x (n, dim), without gradients. `uniform` returns numbers uniform in (0, 1), with
    /// which the part of every fold is drawn from its gate.
    pub fn to_data(&self, z: &Tensor, mut uniform: impl FnMut() -> f64) -> Result<Tensor> {
        let (n, dim) = z.dims2()?;
        let stack = &self.0.stack;
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
            engine::to_data(self.0.isa, stack, &prepared, z, &drawn, &mut x);
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
        let op = PerPoint(Arc::clone(&self.0), Output::ToDataAndLogDet);
        let both = self.flat()?.apply_op2(&z.contiguous()?, op)?;
        part(&both, dim).map(Some)
    }

    /// Training on the mean of -log q, of those of `vars` that are parameters here.
    pub fn training(&self, vars: &[Var], weight_decay: f64) -> Result<FusedTraining> {
        let core = &self.0;
        let places = core.tensors.iter().zip(&core.stack.slots);
        let mut trained = Vec::new();
        for (tensor, slot) in places {
            if let Some(var) = vars.iter().find(|v| v.as_tensor().id() == tensor.id()) {
                trained.push((var.clone(), *slot));
            }
        }
        let ranges = trained.iter().map(|(_, s)| s.start..s.start + s.len);
        let ranges = ranges.collect();
        let trainer = Trainer::new(&core.stack, self.prepared()?, ranges, weight_decay);
        Ok(FusedTraining {
            core: Arc::clone(core),
            trainer,
            trained,
        })
    }
}

/// Steps of Adam on the mean of -log q, in flat vectors; [`FusedTraining::store`] copies them to the
/// model's parameters.
pub struct FusedTraining {
    core: Arc<Core>,
    trainer: Trainer,
    trained: Vec<(Var, super::Slot)>,
}

impl FusedTraining {
    /// The mean of -log q over a batch (n, dim) in nats, and the norm of its gradient.
    pub fn loss(&mut self, batch: &Tensor) -> Result<(f64, f64)> {
        let core = &self.core;
        with_numbers(&batch.contiguous()?, |x| {
            self.trainer.loss(core.isa, &core.stack, x)
        })
    }

    /// A step along the gradient of the last loss, multiplied by `scale`.
    pub fn update(&mut self, scale: f64, rate: f64) {
        self.trainer.update(self.core.isa, scale, rate);
    }

    /// Both moments as flat vectors, and the number of steps done.
    pub fn moments(&self) -> ([&[f32]; 2], i32) {
        self.trainer.moments()
    }

    /// Continues from the moments of an earlier training of the same model.
    ///
    /// # Errors
    /// If their lengths are those of another model.
    pub fn resume(&mut self, moments: [&[f32]; 2], steps: i32) -> Result<()> {
        if self.trainer.resume(moments, steps) {
            return Ok(());
        }
        bail!(
            "expected moments of {} numbers; got {}",
            self.trainer.moments().0[0].len(),
            moments[0].len()
        )
    }

    /// Writes the parameters to the model's variables.
    pub fn store(&self) -> Result<()> {
        for (var, slot) in &self.trained {
            let values = slot.of(&self.trainer.prepared.params);
            var.set(&Tensor::from_slice(values, var.shape(), &Device::Cpu)?)?;
        }
        Ok(())
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

impl Core {
    /// From the concatenated parameters.
    fn prepared(&self, flat: &[f32]) -> Prepared {
        let mut prepared = Prepared::new(&self.stack);
        let mut at = 0;
        for slot in &self.stack.slots {
            let to = slot.of_mut(&mut prepared.params);
            to.copy_from_slice(&flat[at..at + slot.len]);
            at += slot.len;
        }
        prepared.derive(&self.stack);
        prepared
    }

    /// The gradients of all parameters, concatenated.
    fn dense(&self, gradient: &Buffer) -> Vec<f32> {
        let slots = self.stack.slots.iter();
        slots.flat_map(|slot| slot.of(gradient)).copied().collect()
    }

    /// The sum of log q and the gradients by the flat parameters and by x (of samples by z).
    fn differentiate(
        &self,
        prepared: &Prepared,
        points: &[f32],
        upstream: Upstream<'_>,
    ) -> (f64, Vec<f32>, Vec<f32>) {
        let mut chunks = Vec::new();
        let mut by_points = vec![0.0; points.len()];
        let sum = engine::differentiate(
            self.isa,
            &self.stack,
            prepared,
            points,
            upstream,
            &mut chunks,
            &mut by_points,
        );
        (sum, self.dense(&chunks[0].gradient), by_points)
    }
}
