//! Points, tile by tile, through a stack: the work of one thread.

use crate::product::TILE;
use crate::simd::{Dispatch, Simd};
use crate::stack::Stack;

/// Points (n, dim) to a tile's rows. Columns beyond the last sample repeat the first sample, so that
/// they raise no floating-point trouble of their own.
fn load(points: &[f32], dim: usize, rows: &mut [f32]) {
    let samples = points.len() / dim;
    for (d, row) in rows.chunks_exact_mut(TILE).take(dim).enumerate() {
        for (n, v) in row.iter_mut().enumerate() {
            let sample = if n < samples { n } else { 0 };
            *v = points[sample * dim + d];
        }
    }
}

/// [`load`] for gradients: columns beyond the last sample are zero.
fn load_weighted(points: &[f32], dim: usize, rows: &mut [f32]) {
    load(points, dim, rows);
    for row in rows.chunks_exact_mut(TILE) {
        row[points.len() / dim..].fill(0.0);
    }
}

/// A tile's rows to points (n, dim).
fn unload(rows: &[f32], dim: usize, points: &mut [f32]) {
    for (n, point) in points.chunks_exact_mut(dim).enumerate() {
        for (d, v) in point.iter_mut().enumerate() {
            *v = rows[d * TILE + n];
        }
    }
}

/// Data to base: log q of points, z and parts.
pub(crate) struct Evaluate<'a> {
    pub stack: &'a Stack,
    pub params: &'a [f32],
    pub derived: &'a [f32],
    /// (n, dim)
    pub x: &'a [f32],
    /// (n,), or empty
    pub log_q: &'a mut [f32],
    /// (n, dim), or empty
    pub z: &'a mut [f32],
    /// (n, folds), or empty
    pub parts: &'a mut [u8],
}

impl Dispatch for Evaluate<'_> {
    type Out = ();

    fn with<S: Simd>(self, s: S) {
        let dim = self.stack.dim;
        let folds = self.stack.folds();
        let mut work = self.stack.take_work();
        for (t, x) in self.x.chunks(TILE * dim).enumerate() {
            let samples = x.len() / dim;
            load(x, dim, &mut work.values);
            let at = self.stack.to_base(
                s,
                (self.params, self.derived),
                samples,
                &mut work,
                false,
                !self.parts.is_empty(),
            );
            let first = t * TILE;
            if !self.log_q.is_empty() {
                self.log_q[first..first + samples].copy_from_slice(&work.log_q[..samples]);
            }
            if !self.z.is_empty() {
                let z = &mut self.z[first * dim..(first + samples) * dim];
                unload(&work.values[at * dim * TILE..], dim, z);
            }
            if !self.parts.is_empty() {
                let parts = &mut self.parts[first * folds..(first + samples) * folds];
                for (n, parts) in parts.chunks_exact_mut(folds).enumerate() {
                    for (f, part) in parts.iter_mut().enumerate() {
                        *part = work.parts[f * TILE + n] as u8;
                    }
                }
            }
        }
        self.stack.return_work(work);
    }
}

/// The weight of every point's log q in the sum that is differentiated.
#[derive(Clone, Copy)]
pub(crate) enum Weights<'a> {
    Same(f32),
    Each(&'a [f32]),
}

/// The scalar that is differentiated.
#[derive(Clone, Copy)]
pub(crate) enum Upstream<'a> {
    /// Of points: sum weight log q + sum by_z z, with by_z (n, dim) or empty for zeros.
    Points(Weights<'a>, &'a [f32]),
    /// Of samples: a scalar with gradient by_x (n, dim), plus sum weight log|det dz/dx|.
    Samples(&'a [f32], &'a [f32]),
}

impl Upstream<'_> {
    /// The terms of these points.
    pub(crate) fn of(self, points: std::ops::Range<usize>, dim: usize) -> Self {
        let rows = points.start * dim..points.end * dim;
        match self {
            Self::Points(weights, by) => Self::Points(
                match weights {
                    Weights::Same(weight) => Weights::Same(weight),
                    Weights::Each(all) => Weights::Each(&all[points]),
                },
                if by.is_empty() { by } else { &by[rows] },
            ),
            Self::Samples(weights, by) => Self::Samples(&weights[points], &by[rows]),
        }
    }
}

/// Writes the gradient by the parameters to `gradient`; returns the sum of log q, 0 for samples.
/// `points` are x, for samples z.
pub(crate) struct Differentiate<'a> {
    pub stack: &'a Stack,
    pub params: &'a [f32],
    pub derived: &'a [f32],
    /// (n, dim)
    pub points: &'a [f32],
    pub upstream: Upstream<'a>,
    /// A [`Stack::gradient_buffer`].
    pub gradient: &'a mut [f32],
    /// The gradient by x, for samples by z: (n, dim), or empty.
    pub points_gradient: &'a mut [f32],
}

impl Dispatch for Differentiate<'_> {
    type Out = f64;

    fn with<S: Simd>(self, s: S) -> f64 {
        let dim = self.stack.dim;
        let mut work = self.stack.take_work();
        let mut sum = 0.0;
        work.by_z.fill(0.0);
        if self.points.is_empty() {
            self.gradient.fill(0.0);
        }
        for (t, points) in self.points.chunks(TILE * dim).enumerate() {
            let samples = points.len() / dim;
            let first = t * TILE;
            work.weight.fill(0.0);
            let numbers = (self.params, self.derived);
            match self.upstream.of(first..first + samples, dim) {
                Upstream::Points(weights, by_z) => {
                    load(points, dim, &mut work.values);
                    let to = &mut work.weight[..samples];
                    match weights {
                        Weights::Same(weight) => to.fill(weight),
                        Weights::Each(all) => to.copy_from_slice(all),
                    }
                    if !by_z.is_empty() {
                        load_weighted(by_z, dim, &mut work.by_z);
                    }
                    self.stack
                        .to_base(s, numbers, samples, &mut work, true, false);
                    let log_q = work.log_q[..samples].iter();
                    sum += log_q.map(|v| f64::from(*v)).sum::<f64>();
                    self.stack
                        .backward(s, numbers, samples, &mut work, self.gradient, t == 0);
                }
                Upstream::Samples(weights, by_x) => {
                    load(points, dim, self.stack.at_base(&mut work));
                    work.weight[..samples].copy_from_slice(weights);
                    self.stack
                        .to_data_and_log_det(s, numbers, samples, &mut work);
                    load_weighted(by_x, dim, &mut work.gradient);
                    self.stack.to_data_backward(
                        s,
                        numbers,
                        samples,
                        &mut work,
                        self.gradient,
                        t == 0,
                    );
                }
            }
            if !self.points_gradient.is_empty() {
                let to = &mut self.points_gradient[first * dim..(first + samples) * dim];
                unload(&work.gradient, dim, to);
            }
        }
        self.stack.return_work(work);
        sum
    }
}

/// Base to data with log|det dx/dz|.
pub(crate) struct ToDataAndLogDet<'a> {
    pub stack: &'a Stack,
    pub params: &'a [f32],
    pub derived: &'a [f32],
    /// (n, dim)
    pub z: &'a [f32],
    /// (n, dim)
    pub x: &'a mut [f32],
    /// (n,)
    pub log_det: &'a mut [f32],
}

impl Dispatch for ToDataAndLogDet<'_> {
    type Out = ();

    fn with<S: Simd>(self, s: S) {
        let stack = self.stack;
        let dim = stack.dim;
        let mut work = stack.take_work();
        let points = self.z.chunks(TILE * dim).zip(self.x.chunks_mut(TILE * dim));
        for ((z, x), log_det) in points.zip(self.log_det.chunks_mut(TILE)) {
            load(z, dim, stack.at_base(&mut work));
            stack.to_data_and_log_det(s, (self.params, self.derived), log_det.len(), &mut work);
            unload(&work.values, dim, x);
            for (to, log_det) in log_det.iter_mut().zip(work.log_q.iter()) {
                *to = -log_det;
            }
        }
        stack.return_work(work);
    }
}

/// Base to data.
pub(crate) struct ToData<'a> {
    pub stack: &'a Stack,
    pub params: &'a [f32],
    pub derived: &'a [f32],
    /// (n, dim)
    pub z: &'a [f32],
    /// Uniform numbers that choose the parts, (n, folds), folds in order from base to data.
    pub uniform: &'a [f32],
    /// (n, dim)
    pub x: &'a mut [f32],
}

impl Dispatch for ToData<'_> {
    type Out = ();

    fn with<S: Simd>(self, s: S) {
        let stack = self.stack;
        let (dim, folds) = (stack.dim, stack.folds());
        let mut work = stack.take_work();
        for (t, z) in self.z.chunks(TILE * dim).enumerate() {
            let samples = z.len() / dim;
            let first = t * TILE;
            load(z, dim, &mut work.values);
            if folds > 0 {
                let uniform = &self.uniform[first * folds..(first + samples) * folds];
                load(uniform, folds, &mut work.parts);
            }
            let here = stack.to_data(s, (self.params, self.derived), samples, &mut work);
            let x = &mut self.x[first * dim..(first + samples) * dim];
            unload(&work.values[here * dim * TILE..], dim, x);
        }
        stack.return_work(work);
    }
}
