//! Whole batches, cut into pieces that are the same for any number of threads.

use rayon::prelude::*;

use super::buffer::Buffer;
use super::flat::{Adam, AddUp, Squares, BETA1, BETA2};
use super::product::TILE;
use super::simd::Isa;
use super::stack::Stack;
use super::tiles::{Differentiate, Evaluate, ToData, ToDataAndLogDet, Upstream, Weights};

/// Points of a piece that is evaluated at once.
const PIECE: usize = 8 * TILE;
/// Points of a piece that has a gradient of its own.
const GRADIENT_PIECE: usize = 2 * TILE;
/// Pieces with gradients of their own, at most, and numbers in all of them together.
const MAX_PIECES: usize = 32;
const MAX_GRADIENT_NUMBERS: usize = 1 << 24;

/// Parameters with what follows from them, ready to be used.
pub(crate) struct Ready {
    pub params: Buffer,
    pub derived: Buffer,
}

impl Ready {
    pub(crate) fn new(stack: &Stack) -> Self {
        Self {
            params: Buffer::new(stack.len),
            derived: stack.derived_buffer(),
        }
    }

    /// To be called when the parameters have changed.
    pub(crate) fn derive(&mut self, stack: &Stack) {
        stack.derive(&self.params, &mut self.derived);
    }
}

/// Points of a gradient's piece, for a batch of n: a function of the two alone.
fn piece(stack: &Stack, n: usize) -> usize {
    let most = (MAX_GRADIENT_NUMBERS / stack.len.max(1)).clamp(1, MAX_PIECES);
    let pieces = n.div_ceil(GRADIENT_PIECE).clamp(1, most);
    n.div_ceil(pieces).next_multiple_of(TILE)
}

/// What is wanted of the way to the base.
pub(crate) struct Wanted<'a> {
    pub log_q: &'a mut [f32],
    pub z: &'a mut [f32],
    pub parts: &'a mut [u8],
}

/// The way to the base of points (n, dim); what is not wanted is an empty slice.
pub(crate) fn evaluate(isa: Isa, stack: &Stack, ready: &Ready, x: &[f32], wanted: Wanted<'_>) {
    let (dim, folds) = (stack.dim, stack.folds());
    let go = |x: &[f32], log_q: &mut [f32], z: &mut [f32], parts: &mut [u8]| {
        isa.dispatch(Evaluate {
            stack,
            params: &ready.params,
            derived: &ready.derived,
            x,
            log_q,
            z,
            parts,
        });
    };
    if rayon::current_num_threads() == 1 {
        return go(x, wanted.log_q, wanted.z, wanted.parts);
    }
    let count = (x.len() / dim).div_ceil(PIECE);
    let pieces = x
        .par_chunks(PIECE * dim)
        .zip(split(wanted.log_q, PIECE, count))
        .zip(split(wanted.z, PIECE * dim, count))
        .zip(split(wanted.parts, PIECE * folds, count));
    pieces.for_each(|(((x, log_q), z), parts)| go(x, log_q, z, parts));
}

/// `count` pieces, all of them empty if there is nothing.
fn split<T>(all: &mut [T], size: usize, count: usize) -> Vec<&mut [T]> {
    if all.is_empty() {
        return (0..count).map(|_| Default::default()).collect();
    }
    all.chunks_mut(size).collect()
}

/// Points (n, dim) at the base side to the data side.
pub(crate) fn to_data(
    isa: Isa,
    stack: &Stack,
    ready: &Ready,
    z: &[f32],
    uniform: &[f32],
    x: &mut [f32],
) {
    let (dim, folds) = (stack.dim, stack.folds());
    let go = |z: &[f32], uniform: &[f32], x: &mut [f32]| {
        isa.dispatch(ToData {
            stack,
            params: &ready.params,
            derived: &ready.derived,
            z,
            uniform,
            x,
        });
    };
    if rayon::current_num_threads() == 1 {
        return go(z, uniform, x);
    }
    let pieces = z
        .par_chunks(PIECE * dim)
        .zip(x.par_chunks_mut(PIECE * dim))
        .enumerate();
    pieces.for_each(|(i, (z, x))| {
        let first = i * PIECE * folds;
        go(z, &uniform[first..first + z.len() / dim * folds], x);
    });
}

/// Points (n, dim) at the base side to the data side, with log|det dx/dz| (n,).
pub(crate) fn send(
    isa: Isa,
    stack: &Stack,
    ready: &Ready,
    z: &[f32],
    x: &mut [f32],
    log_det: &mut [f32],
) {
    let dim = stack.dim;
    let pieces = z
        .par_chunks(PIECE * dim)
        .zip(x.par_chunks_mut(PIECE * dim))
        .zip(log_det.par_chunks_mut(PIECE));
    each(
        rayon::current_num_threads() > 1,
        pieces,
        |((z, x), log_det)| {
            isa.dispatch(ToDataAndLogDet {
                stack,
                params: &ready.params,
                derived: &ready.derived,
                z,
                x,
                log_det,
            });
        },
    );
}

/// The gradient of one piece of a batch, and its sum of log q.
pub(crate) struct Piece {
    pub gradient: Buffer,
    sum: f64,
}

/// Gradients over points (n, dim), piece by piece, those by the parameters added up in the first of
/// `pieces` (made as needed). Returns the sum of log q.
pub(crate) fn differentiate(
    isa: Isa,
    stack: &Stack,
    ready: &Ready,
    points: &[f32],
    upstream: Upstream<'_>,
    pieces: &mut Vec<Piece>,
    points_gradient: &mut [f32],
) -> f64 {
    let dim = stack.dim;
    let n = points.len() / dim;
    let size = piece(stack, n);
    let count = n.div_ceil(size).max(1);
    while pieces.len() < count {
        pieces.push(Piece {
            gradient: stack.gradient_buffer(),
            sum: 0.0,
        });
    }
    let pieces = &mut pieces[..count];
    let go = |i: usize, piece: &mut Piece, points_gradient: &mut [f32]| {
        let own = i * size..n.min((i + 1) * size);
        piece.sum = isa.dispatch(Differentiate {
            stack,
            params: &ready.params,
            derived: &ready.derived,
            points: &points[own.start * dim..own.end * dim],
            upstream: upstream.of(own, dim),
            gradient: &mut piece.gradient,
            points_gradient,
        });
    };
    if points_gradient.is_empty() {
        let alone = rayon::current_num_threads() == 1 || count == 1;
        let pieces = pieces.par_iter_mut().enumerate();
        each(!alone, pieces, |(i, piece)| go(i, piece, &mut []));
    } else {
        let by = points_gradient.par_chunks_mut(size * dim);
        let pieces = pieces.par_iter_mut().zip(by).enumerate();
        pieces.for_each(|(i, (piece, by))| go(i, piece, by));
    }
    let sum = pieces.iter().map(|piece| piece.sum).sum();
    if let Some((first, rest)) = pieces.split_first_mut() {
        let blocks = first.gradient.par_chunks_mut(BLOCK).enumerate();
        each(is_long(stack.len), blocks, |(i, to)| {
            for piece in rest.iter() {
                let from = &piece.gradient[i * BLOCK..i * BLOCK + to.len()];
                isa.run(AddUp { to, from });
            }
        });
        stack.finish(&ready.params, &mut first.gradient);
    }
    sum
}

/// Numbers of a flat vector that are worked on at once.
const BLOCK: usize = 1 << 11;

/// Whether a flat vector of this length is worth the start of other threads.
fn is_long(len: usize) -> bool {
    len >= 1 << 14
}

/// Works on every item: by all threads, or by this one alone.
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
    pub ready: Ready,
    pieces: Vec<Piece>,
    m: Buffer,
    v: Buffer,
    /// Of the gradient's blocks.
    squares: Vec<f64>,
    /// Places of what is trained.
    trained: Vec<std::ops::Range<usize>>,
    step: i32,
    decay: f32,
}

impl Trainer {
    /// From parameters that are already in place.
    pub(crate) fn new(
        stack: &Stack,
        ready: Ready,
        mut trained: Vec<std::ops::Range<usize>>,
        decay: f64,
    ) -> Self {
        // Neighbours become one; the few zeros between them stay zero.
        trained.sort_by_key(|r| r.start);
        let mut merged: Vec<std::ops::Range<usize>> = Vec::new();
        for range in trained {
            match merged.last_mut() {
                Some(last) if last.end.next_multiple_of(16) == range.start => last.end = range.end,
                _ => merged.push(range),
            }
        }
        Self {
            ready,
            pieces: Vec::new(),
            m: Buffer::new(stack.len),
            v: Buffer::new(stack.len),
            squares: vec![0.0; stack.len.div_ceil(BLOCK)],
            trained: merged,
            step: 0,
            decay: decay as f32,
        }
    }

    /// The mean of -log q over points (n, dim) and the norm of its gradient, which is kept.
    pub(crate) fn loss(&mut self, isa: Isa, stack: &Stack, x: &[f32]) -> (f64, f64) {
        self.ready.derive(stack);
        let n = x.len() / stack.dim;
        let weights = Weights::Same(-1.0 / n as f32);
        let sum = differentiate(
            isa,
            stack,
            &self.ready,
            x,
            Upstream::Landing(weights, &[]),
            &mut self.pieces,
            &mut [],
        );
        let gradient = &self.pieces[0].gradient;
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

    /// Both moments, in the stack's layout, and the steps that they are of.
    pub(crate) fn moments(&self) -> ([&[f32]; 2], i32) {
        ([&self.m, &self.v], self.step)
    }

    /// Goes on from moments that [`Trainer::moments`] gave; false if their length is another.
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
        let (decay, gradient) = (self.decay, &self.pieces[0].gradient);
        for range in &self.trained {
            let at = || range.clone();
            let blocks = self.ready.params[at()]
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
