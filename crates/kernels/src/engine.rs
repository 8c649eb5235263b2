//! Whole batches, cut into chunks that do not depend on the number of threads.

use rayon::prelude::*;

use crate::flat::{Adam, AddUp, Buffer, Squares, BETA1, BETA2};
use crate::product::TILE;
use crate::simd::Isa;
use crate::stack::Stack;
use crate::tiles::{Differentiate, Evaluate, ToData, ToDataAndLogDet, Upstream, Weights};

/// Points of a chunk in evaluation.
const CHUNK: usize = 8 * TILE;
/// Smallest number of points of a chunk with its own gradient.
const GRADIENT_CHUNK: usize = 2 * TILE;
/// Pieces with gradients of their own, at most, and numbers in all of them together.
const MAX_CHUNKS: usize = 32;
const MAX_GRADIENT_NUMBERS: usize = 1 << 24;

/// Parameters and the numbers derived from them.
pub(crate) struct Prepared {
    pub params: Buffer,
    pub derived: Buffer,
}

impl Prepared {
    pub(crate) fn new(stack: &Stack) -> Self {
        Self {
            params: Buffer::new(stack.len),
            derived: stack.derived_buffer(),
        }
    }

    /// Must be called after the parameters have changed.
    pub(crate) fn derive(&mut self, stack: &Stack) {
        stack.derive(&self.params, &mut self.derived);
    }
}

/// Points of a gradient's chunk: a function of the stack and of the batch size n alone.
fn chunk(stack: &Stack, n: usize) -> usize {
    let most = (MAX_GRADIENT_NUMBERS / stack.len.max(1)).clamp(1, MAX_CHUNKS);
    let chunks = n.div_ceil(GRADIENT_CHUNK).clamp(1, most);
    n.div_ceil(chunks).next_multiple_of(TILE)
}

/// Outputs of [`evaluate`]; an empty slice is not computed.
pub(crate) struct Outputs<'a> {
    pub log_q: &'a mut [f32],
    pub z: &'a mut [f32],
    pub parts: &'a mut [u8],
}

/// Takes points (n, dim) from data to base.
pub(crate) fn evaluate(
    isa: Isa,
    stack: &Stack,
    prepared: &Prepared,
    x: &[f32],
    outputs: Outputs<'_>,
) {
    let (dim, folds) = (stack.dim, stack.folds());
    let go = |x: &[f32], log_q: &mut [f32], z: &mut [f32], parts: &mut [u8]| {
        isa.dispatch(Evaluate {
            stack,
            params: &prepared.params,
            derived: &prepared.derived,
            x,
            log_q,
            z,
            parts,
        });
    };
    if rayon::current_num_threads() == 1 {
        return go(x, outputs.log_q, outputs.z, outputs.parts);
    }
    let count = (x.len() / dim).div_ceil(CHUNK);
    let chunks = x
        .par_chunks(CHUNK * dim)
        .zip(split(outputs.log_q, CHUNK, count))
        .zip(split(outputs.z, CHUNK * dim, count))
        .zip(split(outputs.parts, CHUNK * folds, count));
    chunks.for_each(|(((x, log_q), z), parts)| go(x, log_q, z, parts));
}

/// `count` chunks, all of them empty if `all` is.
fn split<T>(all: &mut [T], size: usize, count: usize) -> Vec<&mut [T]> {
    if all.is_empty() {
        return (0..count).map(|_| Default::default()).collect();
    }
    all.chunks_mut(size).collect()
}

/// Takes points (n, dim) from base to data.
pub(crate) fn to_data(
    isa: Isa,
    stack: &Stack,
    prepared: &Prepared,
    z: &[f32],
    uniform: &[f32],
    x: &mut [f32],
) {
    let (dim, folds) = (stack.dim, stack.folds());
    let go = |z: &[f32], uniform: &[f32], x: &mut [f32]| {
        isa.dispatch(ToData {
            stack,
            params: &prepared.params,
            derived: &prepared.derived,
            z,
            uniform,
            x,
        });
    };
    if rayon::current_num_threads() == 1 {
        return go(z, uniform, x);
    }
    let chunks = z
        .par_chunks(CHUNK * dim)
        .zip(x.par_chunks_mut(CHUNK * dim))
        .enumerate();
    chunks.for_each(|(i, (z, x))| {
        let first = i * CHUNK * folds;
        go(z, &uniform[first..first + z.len() / dim * folds], x);
    });
}

/// Takes points (n, dim) from base to data, with log|det dx/dz| (n,).
pub(crate) fn to_data_and_log_det(
    isa: Isa,
    stack: &Stack,
    prepared: &Prepared,
    z: &[f32],
    x: &mut [f32],
    log_det: &mut [f32],
) {
    let dim = stack.dim;
    let chunks = z
        .par_chunks(CHUNK * dim)
        .zip(x.par_chunks_mut(CHUNK * dim))
        .zip(log_det.par_chunks_mut(CHUNK));
    each(
        rayon::current_num_threads() > 1,
        chunks,
        |((z, x), log_det)| {
            isa.dispatch(ToDataAndLogDet {
                stack,
                params: &prepared.params,
                derived: &prepared.derived,
                z,
                x,
                log_det,
            });
        },
    );
}

/// The gradient of one chunk of a batch, and its sum of log q.
pub(crate) struct Chunk {
    pub gradient: Buffer,
    sum: f64,
}

/// Gradients over points (n, dim). The gradient by the parameters is summed into the first of `chunks`,
/// which are allocated as needed. Returns the sum of log q.
pub(crate) fn differentiate(
    isa: Isa,
    stack: &Stack,
    prepared: &Prepared,
    points: &[f32],
    upstream: Upstream<'_>,
    chunks: &mut Vec<Chunk>,
    points_gradient: &mut [f32],
) -> f64 {
    let dim = stack.dim;
    let n = points.len() / dim;
    let size = chunk(stack, n);
    let count = n.div_ceil(size).max(1);
    while chunks.len() < count {
        chunks.push(Chunk {
            gradient: stack.gradient_buffer(),
            sum: 0.0,
        });
    }
    let chunks = &mut chunks[..count];
    let go = |i: usize, chunk: &mut Chunk, points_gradient: &mut [f32]| {
        let own = i * size..n.min((i + 1) * size);
        chunk.sum = isa.dispatch(Differentiate {
            stack,
            params: &prepared.params,
            derived: &prepared.derived,
            points: &points[own.start * dim..own.end * dim],
            upstream: upstream.of(own, dim),
            gradient: &mut chunk.gradient,
            points_gradient,
        });
    };
    if points_gradient.is_empty() {
        let alone = rayon::current_num_threads() == 1 || count == 1;
        let chunks = chunks.par_iter_mut().enumerate();
        each(!alone, chunks, |(i, chunk)| go(i, chunk, &mut []));
    } else {
        let by = points_gradient.par_chunks_mut(size * dim);
        let chunks = chunks.par_iter_mut().zip(by).enumerate();
        chunks.for_each(|(i, (chunk, by))| go(i, chunk, by));
    }
    let sum = chunks.iter().map(|chunk| chunk.sum).sum();
    if let Some((first, rest)) = chunks.split_first_mut() {
        let blocks = first.gradient.par_chunks_mut(BLOCK).enumerate();
        each(is_long(stack.len), blocks, |(i, to)| {
            for chunk in rest.iter() {
                let from = &chunk.gradient[i * BLOCK..i * BLOCK + to.len()];
                isa.run(AddUp { to, from });
            }
        });
        stack.finish(&prepared.params, &mut first.gradient);
    }
    sum
}

/// Numbers of a flat vector that one task handles.
const BLOCK: usize = 1 << 11;

/// Whether a flat vector of this length is worth other threads.
fn is_long(len: usize) -> bool {
    len >= 1 << 14
}

/// Runs `work` on every item, on all threads or on this one.
fn each<T: Send>(
    by_all: bool,
    items: impl IndexedParallelIterator<Item = T>,
    work: impl Fn(T) + Sync + Send,
) {
    if by_all {
        items.for_each(work);
    } else {
        items.with_min_len(usize::MAX).for_each(work);
    }
}

/// Training on the mean of -log q with Adam, all in flat vectors.
pub(crate) struct Trainer {
    pub prepared: Prepared,
    chunks: Vec<Chunk>,
    m: Buffer,
    v: Buffer,
    /// Sums of squares of the gradient's blocks.
    squares: Vec<f64>,
    /// Ranges of the trained parameters.
    trained: Vec<std::ops::Range<usize>>,
    step: i32,
    decay: f32,
}

impl Trainer {
    /// From parameters that are already in place.
    pub(crate) fn new(
        stack: &Stack,
        prepared: Prepared,
        mut trained: Vec<std::ops::Range<usize>>,
        decay: f64,
    ) -> Self {
        // Adjacent ranges are merged; the padding between them is zero and stays zero.
        trained.sort_by_key(|r| r.start);
        let mut merged: Vec<std::ops::Range<usize>> = Vec::new();
        for range in trained {
            match merged.last_mut() {
                Some(last) if last.end.next_multiple_of(16) == range.start => last.end = range.end,
                _ => merged.push(range),
            }
        }
        Self {
            prepared,
            chunks: Vec::new(),
            m: Buffer::new(stack.len),
            v: Buffer::new(stack.len),
            squares: vec![0.0; stack.len.div_ceil(BLOCK)],
            trained: merged,
            step: 0,
            decay: decay as f32,
        }
    }

    /// The mean of -log q over points (n, dim) and the norm of its gradient, which [`Trainer::update`] uses.
    pub(crate) fn loss(&mut self, isa: Isa, stack: &Stack, x: &[f32]) -> (f64, f64) {
        self.prepared.derive(stack);
        let n = x.len() / stack.dim;
        let weights = Weights::Same(-1.0 / n as f32);
        let sum = differentiate(
            isa,
            stack,
            &self.prepared,
            x,
            Upstream::Points(weights, &[]),
            &mut self.chunks,
            &mut [],
        );
        let gradient = &self.chunks[0].gradient;
        let mut squares = 0.0;
        for range in &self.trained {
            let sums = &mut self.squares[..range.len().div_ceil(BLOCK)];
            let blocks = gradient[range.clone()].par_chunks(BLOCK);
            let blocks = blocks.zip(sums.par_iter_mut());
            each(is_long(range.len()), blocks, |(block, sum)| {
                *sum = isa.run(Squares(block));
            });
            squares += sums.iter().sum::<f64>();
        }
        (-sum / n as f64, squares.sqrt())
    }

    /// Both moments in the stack's layout, and the number of steps done.
    pub(crate) fn moments(&self) -> ([&[f32]; 2], i32) {
        ([&self.m, &self.v], self.step)
    }

    /// Continues from the result of [`Trainer::moments`]; false if the lengths differ.
    pub(crate) fn resume(&mut self, [m, v]: [&[f32]; 2], step: i32) -> bool {
        let fits = [m.len(), v.len()] == [self.m.len(); 2];
        if fits {
            self.m.copy_from_slice(m);
            self.v.copy_from_slice(v);
            self.step = step;
        }
        fits
    }

    /// One step of Adam along the gradient of the last loss, multiplied by `scale`.
    pub(crate) fn update(&mut self, isa: Isa, scale: f64, rate: f64) {
        self.step += 1;
        let correction = (
            (1.0 - BETA1.powi(self.step)) as f32,
            (1.0 - BETA2.powi(self.step)) as f32,
        );
        let (decay, gradient) = (self.decay, &self.chunks[0].gradient);
        for range in &self.trained {
            let at = || range.clone();
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
}
