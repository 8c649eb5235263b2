//! Training on the mean of -log q with Adam, all in flat vectors.

use std::ops::Range;
use std::sync::Arc;

use candle_core::{bail, Device, Result, Tensor, Var};
use rayon::prelude::*;

use super::with_numbers;
use crate::conditioner::Slot;
use crate::engine::{self, each, is_long, Chunk, BLOCK};
use crate::flat::{Adam, Buffer, Squares, BETA1, BETA2};
use crate::stack::{Prepared, Stack};
use crate::tiles::{Upstream, Weights};

/// Steps of Adam on the mean of -log q, in flat vectors; [`FusedTraining::store`] copies them to the
/// model's parameters.
pub struct FusedTraining {
    stack: Arc<Stack>,
    prepared: Prepared,
    trained: Vec<(Var, Slot)>,
    /// Ranges of the trained parameters; adjacent parameters are one range, since the padding between
    /// them is zero and stays zero.
    ranges: Vec<Range<usize>>,
    chunks: Vec<Chunk>,
    m: Buffer,
    v: Buffer,
    /// Sums of squares of the gradient's blocks.
    squares: Vec<f64>,
    step: i32,
    decay: f32,
}

impl FusedTraining {
    /// From the current parameters, of which those in `vars` are trained.
    pub(super) fn new(
        stack: Arc<Stack>,
        prepared: Prepared,
        vars: &[Var],
        weight_decay: f64,
    ) -> Self {
        let mut trained = Vec::new();
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for (tensor, slot) in stack.tensors.iter().zip(&stack.slots) {
            let Some(var) = vars.iter().find(|v| v.as_tensor().id() == tensor.id()) else {
                continue;
            };
            trained.push((var.clone(), *slot));
            let end = slot.start + slot.len;
            match ranges.last_mut() {
                Some(last) if last.end.next_multiple_of(16) == slot.start => last.end = end,
                _ => ranges.push(slot.start..end),
            }
        }
        let len = stack.len;
        Self {
            stack,
            prepared,
            trained,
            ranges,
            chunks: Vec::new(),
            m: Buffer::new(len),
            v: Buffer::new(len),
            squares: vec![0.0; len.div_ceil(BLOCK)],
            step: 0,
            decay: weight_decay as f32,
        }
    }

    /// The mean of -log q over a batch (n, dim) in nats, and the norm of its gradient.
    pub fn loss(&mut self, batch: &Tensor) -> Result<(f64, f64)> {
        let n = batch.dim(0)? as f64;
        let stack = &self.stack;
        stack.derive(&mut self.prepared);
        let (prepared, chunks) = (&self.prepared, &mut self.chunks);
        let upstream = Upstream::Points(Weights::Same(-1.0 / n as f32), &[]);
        let sum = with_numbers(&batch.contiguous()?, |x| {
            engine::differentiate(stack, prepared, x, upstream, chunks, &mut [])
        })?;
        let mut squares = 0.0;
        for range in &self.ranges {
            let sums = &mut self.squares[..range.len().div_ceil(BLOCK)];
            let blocks = chunks[0].gradient[range.clone()].par_chunks(BLOCK);
            let blocks = blocks.zip(sums.par_iter_mut());
            each(is_long(range.len()), blocks, |(block, sum)| {
                *sum = stack.isa.run(Squares(block));
            });
            squares += sums.iter().sum::<f64>();
        }
        Ok((-sum / n, squares.sqrt()))
    }

    /// A step along the gradient of the last loss, multiplied by `scale`.
    pub fn update(&mut self, scale: f64, rate: f64) {
        self.step += 1;
        let correction = (
            (1.0 - BETA1.powi(self.step)) as f32,
            (1.0 - BETA2.powi(self.step)) as f32,
        );
        let (decay, gradient) = (self.decay, &self.chunks[0].gradient);
        let isa = self.stack.isa;
        for range in &self.ranges {
            // With the padding.
            let at = || range.start..range.end.next_multiple_of(16);
            let blocks = self.prepared.params[at()]
                .par_chunks_mut(BLOCK)
                .zip(self.m[at()].par_chunks_mut(BLOCK))
                .zip(self.v[at()].par_chunks_mut(BLOCK))
                .zip(gradient[at()].par_chunks(BLOCK));
            each(
                is_long(range.len()),
                blocks,
                |(((theta, m), v), gradient)| {
                    isa.run(Adam {
                        theta,
                        m,
                        v,
                        gradient,
                        scale: scale as f32,
                        rate: rate as f32,
                        decay,
                        correction,
                    });
                },
            );
        }
    }

    /// Both moments as flat vectors, and the number of steps done.
    pub fn moments(&self) -> ([&[f32]; 2], i32) {
        ([&self.m, &self.v], self.step)
    }

    /// Continues from the moments of an earlier training of the same model.
    ///
    /// # Errors
    /// If their lengths are those of another model.
    pub fn resume(&mut self, [m, v]: [&[f32]; 2], steps: i32) -> Result<()> {
        let len = self.m.len();
        if [m.len(), v.len()] != [len; 2] {
            let got = m.len();
            bail!("expected moments of {len} numbers; got {got}");
        }
        self.m.copy_from_slice(m);
        self.v.copy_from_slice(v);
        self.step = steps;
        Ok(())
    }

    /// Writes the parameters to the model's variables.
    pub fn store(&self) -> Result<()> {
        for (var, slot) in &self.trained {
            let values = slot.of(&self.prepared.params);
            var.set(&Tensor::from_slice(values, var.shape(), &Device::Cpu)?)?;
        }
        Ok(())
    }
}
