//! Whole batches, cut into chunks that do not depend on the number of threads.

use rayon::prelude::*;

use crate::flat::Buffer;
use crate::product::TILE;
use crate::stack::{Prepared, Stack};
use crate::tiles::{Outputs, Upstream};

/// Points of a chunk in evaluation.
const CHUNK: usize = 8 * TILE;
/// Smallest number of points of a chunk with its own gradient.
const GRADIENT_CHUNK: usize = 2 * TILE;
/// Pieces with gradients of their own, at most, and numbers in all of them together.
const MAX_CHUNKS: usize = 32;
const MAX_GRADIENT_NUMBERS: usize = 1 << 24;

/// Points of a gradient's chunk: a function of the stack and of the batch size n alone.
fn chunk(stack: &Stack, n: usize) -> usize {
    let most = (MAX_GRADIENT_NUMBERS / stack.len.max(1)).clamp(1, MAX_CHUNKS);
    let chunks = n.div_ceil(GRADIENT_CHUNK).clamp(1, most);
    n.div_ceil(chunks).next_multiple_of(TILE)
}

fn threads() -> usize {
    rayon::current_num_threads()
}

/// Runs `work` on every item, on all threads or on this one.
pub(crate) fn each<T: Send>(
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

/// `count` chunks, all of them empty if `all` is.
fn split<T>(all: &mut [T], size: usize, count: usize) -> Vec<&mut [T]> {
    if all.is_empty() {
        return (0..count).map(|_| Default::default()).collect();
    }
    all.chunks_mut(size).collect()
}

/// Takes points (n, dim) from data to base.
pub(crate) fn evaluate(stack: &Stack, prepared: &Prepared, x: &[f32], outputs: Outputs<'_>) {
    let (dim, folds) = (stack.dim, stack.folds());
    let count = (x.len() / dim).div_ceil(CHUNK);
    let chunks = x
        .par_chunks(CHUNK * dim)
        .zip(split(outputs.log_q, CHUNK, count))
        .zip(split(outputs.z, CHUNK * dim, count))
        .zip(split(outputs.parts, CHUNK * folds, count));
    each(threads() > 1, chunks, |(((x, log_q), z), parts)| {
        stack.evaluate(prepared, x, Outputs { log_q, z, parts });
    });
}

/// Takes points (n, dim) from base to data, with log|det dx/dz| (n,) unless it is empty.
pub(crate) fn sample(
    stack: &Stack,
    prepared: &Prepared,
    z: &[f32],
    uniform: &[f32],
    x: &mut [f32],
    log_det: &mut [f32],
) {
    let (dim, folds) = (stack.dim, stack.folds());
    let count = (z.len() / dim).div_ceil(CHUNK);
    let chunks = z
        .par_chunks(CHUNK * dim)
        .zip(x.par_chunks_mut(CHUNK * dim))
        .zip(split(log_det, CHUNK, count))
        .enumerate();
    each(threads() > 1, chunks, |(i, ((z, x), log_det))| {
        let first = i * CHUNK * folds;
        let uniform = &uniform[first..first + z.len() / dim * folds];
        stack.sample(prepared, z, uniform, x, log_det);
    });
}

/// The gradient of one chunk of a batch, and its sum of log q.
pub(crate) struct Chunk {
    pub gradient: Buffer,
    sum: f64,
}

/// Gradients over points (n, dim). The gradient by the parameters is summed into the first of `chunks`,
/// which are allocated as needed. Returns the sum of log q.
pub(crate) fn differentiate(
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
    let parts = chunks
        .par_iter_mut()
        .zip(split(points_gradient, size * dim, count))
        .enumerate();
    each(threads() > 1 && count > 1, parts, |(i, (chunk, by))| {
        let own = i * size..n.min((i + 1) * size);
        let points = &points[own.start * dim..own.end * dim];
        let upstream = upstream.of(own, dim);
        chunk.sum = stack.differentiate(prepared, points, upstream, &mut chunk.gradient, by);
    });
    let sum = chunks.iter().map(|chunk| chunk.sum).sum();
    if let Some((first, rest)) = chunks.split_first_mut() {
        let blocks = first.gradient.par_chunks_mut(BLOCK).enumerate();
        each(is_long(stack.len), blocks, |(i, to)| {
            for chunk in rest.iter() {
                let from = &chunk.gradient[i * BLOCK..];
                to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
            }
        });
        stack.finish(prepared, &mut first.gradient);
    }
    sum
}

/// Numbers of a flat vector that one task handles.
pub(crate) const BLOCK: usize = 1 << 11;

/// Whether a flat vector of this length is worth other threads.
pub(crate) fn is_long(len: usize) -> bool {
    len >= 1 << 14
}
