//! A whole flow on one tile.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use crate::base::{Base, Gradient, LogProb};
use crate::conditioner::Slot;
use crate::flat::Buffer;
use crate::layer::{BackwardPass, Layer, Pass};
use crate::product::TILE;
use crate::simd::Simd;

mod samples;

/// Layers from data to base, and the base, with their parameters' places in one flat vector.
pub(crate) struct Stack {
    pub dim: usize,
    layers: Vec<Placed>,
    base: Base<Slot>,
    /// Every parameter's place, in the order of the layers.
    pub slots: Vec<Slot>,
    /// Length of the flat vector of parameters, each of which begins at a cache line.
    pub len: usize,
    /// Length of the vector of derived numbers.
    derived: usize,
    /// Parameters whose gradients every tile adds to; for all others the first tile replaces the gradient.
    added: Vec<Slot>,
    works: Mutex<Vec<Work>>,
}

/// A layer and its ranges among the derived and the saved numbers of all layers.
struct Placed {
    layer: Layer<Slot>,
    derived: Range<usize>,
    saved: Range<usize>,
}

/// The gradients that a backward pass writes; with `fresh` it replaces old numbers instead of adding.
struct Gradients<'g> {
    params: &'g mut [f32],
    derived: &'g mut [f32],
    fresh: bool,
}

/// Buffers of one thread for one tile.
pub(super) struct Work {
    pub values: Buffer,
    saved: Buffer,
    pub log_q: Buffer,
    pub weight: Buffer,
    /// The part of the gradient by z that does not come from the base.
    pub by_z: Buffer,
    pub gradient: Buffer,
    scratch: Buffer,
    joint: Buffer,
    pub parts: Buffer,
}

impl Stack {
    /// Also returns the parameters in the order of `slots`. `size` is the count of numbers of one.
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
        let added = layers.iter().flat_map(Layer::added).chain(base.slots());
        let added = added.collect();
        let (mut derived, mut saved) = (0, 0);
        let placed = layers.into_iter().map(|layer| {
            let from = (derived, saved);
            derived += layer.derived();
            saved += layer.saved();
            Placed {
                layer,
                derived: from.0..derived,
                saved: from.1..saved,
            }
        });
        let layers = placed.collect();
        derived += base.derived(dim);
        let stack = Self {
            dim,
            layers,
            base,
            slots,
            len,
            derived,
            added,
            works: Mutex::new(Vec::new()),
        };
        (stack, owners)
    }

    /// Folds of all layers, from data to base.
    pub(crate) fn folds(&self) -> usize {
        self.layers.iter().map(|l| l.layer.folds()).sum()
    }

    /// Multiplications by weights for one sample in one direction.
    pub(crate) fn products(&self) -> usize {
        self.layers.iter().map(|l| l.layer.products()).sum()
    }

    /// Folds of every layer that has some, from base to data.
    pub(crate) fn folds_from_base(&self) -> Vec<usize> {
        let all = self.layers.iter().rev().map(|l| l.layer.folds());
        all.filter(|f| *f > 0).collect()
    }

    /// Room for the derived numbers.
    pub(crate) fn derived_buffer(&self) -> Buffer {
        Buffer::new(self.derived)
    }

    /// Room for a gradient by the flat vector, followed by that of the derived numbers.
    pub(crate) fn gradient_buffer(&self) -> Buffer {
        Buffer::new(self.len + self.derived)
    }

    /// Computes the derived numbers.
    pub(crate) fn derive(&self, params: &[f32], derived: &mut [f32]) {
        for own in &self.layers {
            own.layer.derive(params, &mut derived[own.derived.clone()]);
        }
        let base = &mut derived[self.of_base()];
        self.base.derive(self.dim, params, base);
    }

    /// The base's range of the derived numbers: the last.
    fn of_base(&self) -> Range<usize> {
        self.derived - self.base.derived(self.dim)..self.derived
    }

    /// Adds the gradients by derived numbers to those by the parameters (chain rule).
    pub(crate) fn finish(&self, params: &[f32], gradient: &mut [f32]) {
        let (gradient, derived) = gradient.split_at_mut(self.len);
        for own in &self.layers {
            own.layer
                .finish(params, &derived[own.derived.clone()], gradient);
        }
    }

    pub(super) fn take_work(&self) -> Work {
        let mut works = self.works.lock().unwrap_or_else(PoisonError::into_inner);
        let spare = works.pop();
        drop(works);
        spare.unwrap_or_else(|| {
            let saved = self.layers.last().map_or(0, |l| l.saved.end);
            let scratch = self.layers.iter().map(|l| l.layer.scratch()).max();
            Work {
                values: Buffer::new((self.layers.len() + 1) * self.dim * TILE),
                saved: Buffer::new(saved),
                log_q: Buffer::new(TILE),
                weight: Buffer::new(TILE),
                by_z: Buffer::new(self.dim * TILE),
                gradient: Buffer::new(self.dim * TILE),
                scratch: Buffer::new(scratch.unwrap_or(0)),
                joint: Buffer::new(self.base.components() * TILE),
                parts: Buffer::new(self.folds() * TILE),
            }
        })
    }

    pub(super) fn return_work(&self, work: Work) {
        let mut works = self.works.lock().unwrap_or_else(PoisonError::into_inner);
        works.push(work);
    }

    /// Takes the tile in the first rows of `work.values` to the base and leaves log q in `work.log_q`.
    /// With `keep` all values that the backward pass needs stay; without, the layers share one buffer,
    /// which fits the nearest cache. Returns which rows of `work.values` hold z.
    pub(super) fn to_base<S: Simd>(
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
        let (mut fold, mut here) = (0, 0);
        for own in &self.layers {
            let layer = &own.layer;
            let saved = match keep {
                true => own.saved.clone(),
                false => 0..own.saved.len(),
            };
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
                    derived: &derived[own.derived.clone()],
                    samples,
                    from,
                    to,
                    saved: &mut work.saved[saved],
                    log_det: &mut work.log_q,
                    parts: &mut work.parts[fold..fold + folds],
                },
            );
            fold += folds;
            here = next;
        }
        s.run(LogProb {
            base: &self.base,
            params,
            derived: &derived[self.of_base()],
            samples,
            z: &work.values[here * rows..(here + 1) * rows],
            log_q: &mut work.log_q,
            joint: &mut work.joint,
            keep,
        });
        here
    }

    /// Takes the tile in the first rows of `work.values`, with the uniform numbers in `work.parts`,
    /// to the data. Returns which rows of `work.values` hold x.
    pub(super) fn to_data<S: Simd>(
        &self,
        s: S,
        (params, derived): (&[f32], &[f32]),
        samples: usize,
        work: &mut Work,
    ) -> usize {
        let rows = self.dim * TILE;
        let (mut fold, mut here) = (0, 0);
        for own in self.layers.iter().rev() {
            let layer = &own.layer;
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
                    params,
                    derived: &derived[own.derived.clone()],
                    samples,
                    from,
                    to,
                    saved: &mut work.saved[..own.saved.len()],
                    log_det: &mut work.log_q,
                    parts: &mut work.parts[parts],
                },
            );
            here = 1 - here;
        }
        here
    }

    /// The backward pass of [`Stack::to_base`] with `keep`: gradients of sum weight log q + sum by_z z
    /// (`work.by_z` is 0 unless it was set). Leaves the gradient by x in `work.gradient`; adds that by
    /// the parameters to `gradient` or, with `fresh`, replaces it.
    pub(super) fn backward<S: Simd>(
        &self,
        s: S,
        numbers: (&[f32], &[f32]),
        samples: usize,
        work: &mut Work,
        gradient: &mut [f32],
        fresh: bool,
    ) {
        let rows = self.dim * TILE;
        let mut to = self.begin(gradient, fresh);
        s.run(Gradient {
            base: &self.base,
            params: numbers.0,
            derived: &numbers.1[self.of_base()],
            samples,
            z: &work.values[self.layers.len() * rows..],
            joint: &work.joint,
            weight: &work.weight,
            gradient: &mut work.gradient,
            params_gradient: &mut *to.params,
        });
        for (to, by_z) in work.gradient.iter_mut().zip(work.by_z.iter()) {
            *to += by_z;
        }
        for (l, own) in self.layers.iter().enumerate().rev() {
            let pass = self.backward_pass(l, numbers, samples, work, &mut to);
            own.layer.backward(s, pass);
        }
    }

    /// The arguments of layer `l` for either backward pass.
    fn backward_pass<'p>(
        &self,
        l: usize,
        (params, derived): (&'p [f32], &'p [f32]),
        samples: usize,
        work: &'p mut Work,
        to: &'p mut Gradients<'_>,
    ) -> BackwardPass<'p> {
        let rows = self.dim * TILE;
        let own = &self.layers[l];
        let (x, z) = work.values[l * rows..(l + 2) * rows].split_at(rows);
        BackwardPass {
            params,
            derived: &derived[own.derived.clone()],
            samples,
            x,
            z,
            saved: &work.saved[own.saved.clone()],
            weight: &work.weight,
            gradient: &mut work.gradient,
            params_gradient: &mut *to.params,
            fresh: to.fresh,
            derived_gradient: &mut to.derived[own.derived.clone()],
            scratch: &mut work.scratch,
        }
    }

    /// Splits the gradient into that by the parameters and that by the derived numbers; with `fresh`
    /// zeroes the parts that every tile adds to.
    fn begin<'g>(&self, gradient: &'g mut [f32], fresh: bool) -> Gradients<'g> {
        let (params, derived) = gradient.split_at_mut(self.len);
        if fresh {
            derived.fill(0.0);
            for slot in &self.added {
                slot.of_mut(params).fill(0.0);
            }
        }
        Gradients {
            params,
            derived,
            fresh,
        }
    }
}
