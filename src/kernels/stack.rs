//! A whole flow, from data to base, on one tile after the other.

use std::sync::{Mutex, PoisonError};

use super::base::{Base, Gradient, LogProb};
use super::buffer::Buffer;
use super::conditioner::Slot;
use super::layer::{Layer, Pass, PassBack};
use super::product::TILE;
use super::simd::{Dispatch, Simd};

/// Layers from data to base, and the base, with their parameters' places in one flat vector.
pub(crate) struct Stack {
    pub dim: usize,
    layers: Vec<Layer<Slot>>,
    base: Base<Slot>,
    /// Every parameter's place, in the order in which they were met.
    pub slots: Vec<Slot>,
    /// Length of the flat vector: parameters begin at cache lines.
    pub len: usize,
    /// Length of the vector of derived numbers.
    derived: usize,
    works: Mutex<Vec<Work>>,
}

/// What one thread needs to take a tile through the stack and back.
struct Work {
    values: Buffer,
    saved: Buffer,
    log_q: Buffer,
    weight: Buffer,
    gradient: Buffer,
    scratch: Buffer,
    joint: Buffer,
    parts: Buffer,
}

impl Stack {
    /// Also returns what the places in `slots` stand for. `size` tells how many numbers one holds.
    pub(crate) fn new<P>(
        dim: usize,
        layers: Vec<Layer<P>>,
        base: Base<P>,
        size: impl Fn(&P) -> usize,
    ) -> (Self, Vec<P>) {
        let (mut slots, mut owners, mut len) = (Vec::new(), Vec::new(), 0usize);
        let mut place = |owner: P| {
            let slot = Slot {
                start: len,
                len: size(&owner),
            };
            len = (len + slot.len).next_multiple_of(16);
            slots.push(slot);
            owners.push(owner);
            slot
        };
        let layers: Vec<_> = layers.into_iter().map(|l| l.map(&mut place)).collect();
        let base = base.map(&mut place);
        let derived = layers.iter().map(Layer::derived).sum::<usize>() + base.derived(dim);
        let stack = Self {
            dim,
            layers,
            base,
            slots,
            len,
            derived,
            works: Mutex::new(Vec::new()),
        };
        (stack, owners)
    }

    /// Folds of all layers, from data to base.
    pub(crate) fn folds(&self) -> usize {
        self.layers.iter().map(Layer::folds).sum()
    }

    /// Multiplications with a weight for one sample, on one way.
    pub(crate) fn products(&self) -> usize {
        self.layers.iter().map(Layer::products).sum()
    }

    /// Folds of every layer that has some, from base to data.
    pub(crate) fn folds_from_base(&self) -> Vec<usize> {
        let all = self.layers.iter().rev().map(Layer::folds);
        all.filter(|f| *f > 0).collect()
    }

    /// Room for the derived numbers.
    pub(crate) fn derived_buffer(&self) -> Buffer {
        Buffer::new(self.derived)
    }

    /// Room for a gradient: of the flat vector and, behind it, of the derived numbers.
    pub(crate) fn gradient_buffer(&self) -> Buffer {
        Buffer::new(self.len + self.derived)
    }

    /// The derived numbers of these parameters.
    pub(crate) fn derive(&self, params: &[f32], derived: &mut [f32]) {
        let mut at = 0;
        for layer in &self.layers {
            let n = layer.derived();
            layer.derive(params, &mut derived[at..at + n]);
            at += n;
        }
        self.base.derive(self.dim, params, &mut derived[at..]);
    }

    /// Turns the gradients of derived numbers into those of parameters.
    pub(crate) fn finish(&self, params: &[f32], gradient: &mut [f32]) {
        let (gradient, derived) = gradient.split_at_mut(self.len);
        let mut at = 0;
        for layer in &self.layers {
            let n = layer.derived();
            layer.finish(params, &derived[at..at + n], gradient);
            at += n;
        }
    }

    fn take_work(&self) -> Work {
        let mut works = self.works.lock().unwrap_or_else(PoisonError::into_inner);
        let spare = works.pop();
        drop(works);
        spare.unwrap_or_else(|| {
            let saved = self.layers.iter().map(Layer::saved).sum();
            let scratch = self.layers.iter().map(Layer::scratch).max().unwrap_or(0);
            Work {
                values: Buffer::new((self.layers.len() + 1) * self.dim * TILE),
                saved: Buffer::new(saved),
                log_q: Buffer::new(TILE),
                weight: Buffer::new(TILE),
                gradient: Buffer::new(self.dim * TILE),
                scratch: Buffer::new(scratch),
                joint: Buffer::new(self.base.components() * TILE),
                parts: Buffer::new(self.folds() * TILE),
            }
        })
    }

    fn return_work(&self, work: Work) {
        let mut works = self.works.lock().unwrap_or_else(PoisonError::into_inner);
        works.push(work);
    }

    /// Takes the tile in the first rows of `work.values` to the base and leaves log q. With `keep`
    /// everything that the way back needs stays; without, the layers share one place, which fits
    /// the nearest cache.
    fn to_base<S: Simd>(
        &self,
        s: S,
        (params, derived): (&[f32], &[f32]),
        samples: usize,
        work: &mut Work,
        keep: bool,
        parts: bool,
    ) -> usize {
        let rows = self.dim * TILE;
        work.log_q.fill(0.0);
        let (mut at, mut saved, mut fold, mut here) = (0, 0, 0, 0);
        for layer in &self.layers {
            let n = layer.derived();
            let folds = if parts { layer.folds() * TILE } else { 0 };
            let (from, to, next) = if keep || here == 0 {
                let (before, after) = work.values.split_at_mut((here + 1) * rows);
                (&before[here * rows..], &mut after[..rows], here + 1)
            } else {
                let (before, after) = work.values.split_at_mut(rows);
                (&after[..rows], &mut before[..rows], 0)
            };
            layer.to_base(
                s,
                Pass {
                    params,
                    derived: &derived[at..at + n],
                    samples,
                    from,
                    to,
                    saved: &mut work.saved[saved..saved + layer.saved()],
                    log_det: &mut work.log_q,
                    parts: &mut work.parts[fold..fold + folds],
                },
            );
            at += n;
            fold += folds;
            here = next;
            if keep {
                saved += layer.saved();
            }
        }
        s.run(LogProb {
            base: &self.base,
            params,
            derived: &derived[at..],
            samples,
            z: &work.values[here * rows..(here + 1) * rows],
            log_q: &mut work.log_q,
            joint: &mut work.joint,
        });
        here
    }

    /// The way back of what [`Stack::to_base`] kept: gradients of sum weight log q. Those by x are
    /// left in `work.gradient`.
    fn back<S: Simd>(
        &self,
        s: S,
        (params, derived): (&[f32], &[f32]),
        samples: usize,
        work: &mut Work,
        gradient: &mut [f32],
    ) {
        let rows = self.dim * TILE;
        let (gradient, derived_gradient) = gradient.split_at_mut(self.len);
        let mut at = self.derived - self.base.derived(self.dim);
        let count = self.layers.len();
        s.run(Gradient {
            base: &self.base,
            params,
            derived: &derived[at..],
            samples,
            z: &work.values[count * rows..],
            joint: &work.joint,
            weight: &work.weight,
            gradient: &mut work.gradient,
            params_gradient: &mut *gradient,
        });
        let mut saved = work.saved.len();
        for (l, layer) in self.layers.iter().enumerate().rev() {
            let n = layer.derived();
            at -= n;
            saved -= layer.saved();
            layer.back(
                s,
                PassBack {
                    params,
                    derived: &derived[at..at + n],
                    samples,
                    x: &work.values[l * rows..(l + 1) * rows],
                    z: &work.values[(l + 1) * rows..(l + 2) * rows],
                    saved: &work.saved[saved..saved + layer.saved()],
                    weight: &work.weight,
                    gradient: &mut work.gradient,
                    params_gradient: &mut *gradient,
                    derived_gradient: &mut derived_gradient[at..at + n],
                    scratch: &mut work.scratch,
                },
            );
        }
    }
}

/// Points (n, dim) to a tile's rows. What is beyond the last sample repeats the first one, so that
/// it does nothing that a sample does not.
fn load(points: &[f32], dim: usize, rows: &mut [f32]) {
    let samples = points.len() / dim;
    for (d, row) in rows.chunks_exact_mut(TILE).take(dim).enumerate() {
        for (n, v) in row.iter_mut().enumerate() {
            let sample = if n < samples { n } else { 0 };
            *v = points[sample * dim + d];
        }
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

/// log q of points, and what else is wanted of the way to the base.
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

/// The weight of every point's log q in the sum whose gradient is wanted.
#[derive(Clone, Copy)]
pub(crate) enum Weights<'a> {
    Same(f32),
    Each(&'a [f32]),
}

/// Adds the gradient of sum weight log q to `gradient`; returns the sum of log q.
pub(crate) struct Differentiate<'a> {
    pub stack: &'a Stack,
    pub params: &'a [f32],
    pub derived: &'a [f32],
    /// (n, dim)
    pub x: &'a [f32],
    pub weights: Weights<'a>,
    /// As [`Stack::gradient_buffer`].
    pub gradient: &'a mut [f32],
    /// (n, dim), or empty
    pub x_gradient: &'a mut [f32],
}

impl Dispatch for Differentiate<'_> {
    type Out = f64;

    fn with<S: Simd>(self, s: S) -> f64 {
        let dim = self.stack.dim;
        let mut work = self.stack.take_work();
        let mut sum = 0.0;
        for (t, x) in self.x.chunks(TILE * dim).enumerate() {
            let samples = x.len() / dim;
            let first = t * TILE;
            load(x, dim, &mut work.values);
            work.weight.fill(0.0);
            match self.weights {
                Weights::Same(weight) => work.weight[..samples].fill(weight),
                Weights::Each(all) => {
                    work.weight[..samples].copy_from_slice(&all[first..first + samples]);
                }
            }
            let numbers = (self.params, self.derived);
            self.stack
                .to_base(s, numbers, samples, &mut work, true, false);
            sum += work.log_q[..samples]
                .iter()
                .map(|v| f64::from(*v))
                .sum::<f64>();
            self.stack
                .back(s, numbers, samples, &mut work, self.gradient);
            if !self.x_gradient.is_empty() {
                let to = &mut self.x_gradient[first * dim..(first + samples) * dim];
                unload(&work.gradient, dim, to);
            }
        }
        self.stack.return_work(work);
        sum
    }
}

/// Points at the base side to the data side.
pub(crate) struct ToData<'a> {
    pub stack: &'a Stack,
    pub params: &'a [f32],
    pub derived: &'a [f32],
    /// (n, dim)
    pub z: &'a [f32],
    /// Uniform numbers that pick the parts, (n, folds) in the folds' order from base to data.
    pub uniform: &'a [f32],
    /// (n, dim)
    pub x: &'a mut [f32],
}

impl Dispatch for ToData<'_> {
    type Out = ();

    fn with<S: Simd>(self, s: S) {
        let stack = self.stack;
        let (dim, folds) = (stack.dim, stack.folds());
        let rows = dim * TILE;
        let mut work = stack.take_work();
        for (t, z) in self.z.chunks(TILE * dim).enumerate() {
            let samples = z.len() / dim;
            let first = t * TILE;
            load(z, dim, &mut work.values);
            if folds > 0 {
                let uniform = &self.uniform[first * folds..(first + samples) * folds];
                load(uniform, folds, &mut work.parts);
            }
            let mut at = stack.derived - stack.base.derived(dim);
            let (mut fold, mut here) = (0, 0);
            for layer in stack.layers.iter().rev() {
                let n = layer.derived();
                at -= n;
                let (first, second) = work.values.split_at_mut(rows);
                let (from, to) = if here == 0 {
                    (&*first, &mut second[..rows])
                } else {
                    (&second[..rows], first)
                };
                let parts = fold..fold + layer.folds() * TILE;
                fold = parts.end;
                layer.to_data(
                    s,
                    Pass {
                        params: self.params,
                        derived: &self.derived[at..at + n],
                        samples,
                        from,
                        to,
                        saved: &mut work.saved[..layer.saved()],
                        log_det: &mut work.log_q,
                        parts: &mut work.parts[parts],
                    },
                );
                here = 1 - here;
            }
            let x = &mut self.x[first * dim..(first + samples) * dim];
            unload(&work.values[here * rows..], dim, x);
        }
        stack.return_work(work);
    }
}
