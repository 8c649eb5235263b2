//! A whole flow, from data to base, on one tile after the other.

use std::sync::{Mutex, PoisonError};

use super::base::{Base, Gradient, LogProb};
use super::buffer::Buffer;
use super::conditioner::Slot;
use super::layer::{Layer, Pass, PassBack};
use super::product::TILE;
use super::simd::Simd;

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
    /// Places of gradients that every tile adds to; those of the others the first tile replaces.
    added: Vec<Slot>,
    works: Mutex<Vec<Work>>,
}

/// What one thread needs to take a tile through the stack and back.
pub(super) struct Work {
    pub values: Buffer,
    saved: Buffer,
    pub log_q: Buffer,
    pub weight: Buffer,
    /// What the gradient by z has beside that of the base.
    pub by_z: Buffer,
    pub gradient: Buffer,
    scratch: Buffer,
    joint: Buffer,
    pub parts: Buffer,
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
        let added = layers.iter().flat_map(Layer::added).chain(base.slots());
        let added = added.collect();
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

    pub(super) fn take_work(&self) -> Work {
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
                by_z: Buffer::new(self.dim * TILE),
                gradient: Buffer::new(self.dim * TILE),
                scratch: Buffer::new(scratch),
                joint: Buffer::new(self.base.components() * TILE),
                parts: Buffer::new(self.folds() * TILE),
            }
        })
    }

    pub(super) fn return_work(&self, work: Work) {
        let mut works = self.works.lock().unwrap_or_else(PoisonError::into_inner);
        works.push(work);
    }

    /// Takes the tile in the first rows of `work.values` to the base and leaves log q. With `keep`
    /// everything that the way back needs stays; without, the layers share one place, which fits
    /// the nearest cache. Returns which rows of `work.values` hold the tile at the base.
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
            keep,
        });
        here
    }

    /// The last rows of `work.values`, where a tile at the base is.
    pub(super) fn at_base<'w>(&self, work: &'w mut Work) -> &'w mut [f32] {
        let rows = self.dim * TILE;
        &mut work.values[self.layers.len() * rows..]
    }

    /// Takes the tile at [`Stack::at_base`] to the data, in the first rows of `work.values`, and leaves
    /// minus its log-determinant in `work.log_q`; keeps what [`Stack::unwind`] needs.
    pub(super) fn send<S: Simd>(
        &self,
        s: S,
        (params, derived): (&[f32], &[f32]),
        samples: usize,
        work: &mut Work,
    ) {
        let rows = self.dim * TILE;
        work.log_q.fill(0.0);
        let mut at = self.derived - self.base.derived(self.dim);
        let mut saved = work.saved.len();
        for (l, layer) in self.layers.iter().enumerate().rev() {
            let n = layer.derived();
            at -= n;
            let kept = saved - layer.saved()..saved;
            saved = kept.start;
            let (to, from) = work.values[l * rows..(l + 2) * rows].split_at_mut(rows);
            layer.send(
                s,
                Pass {
                    params,
                    derived: &derived[at..at + n],
                    samples,
                    from,
                    to,
                    saved: &mut work.saved[kept],
                    log_det: &mut work.log_q,
                    parts: &mut [],
                },
                &mut work.scratch,
            );
        }
    }

    /// Takes the tile in the first rows of `work.values`, with the uniform numbers in `work.parts`,
    /// to the data; returns where in `work.values` it is.
    pub(super) fn to_data<S: Simd>(
        &self,
        s: S,
        (params, derived): (&[f32], &[f32]),
        samples: usize,
        work: &mut Work,
    ) -> usize {
        let rows = self.dim * TILE;
        let mut at = self.derived - self.base.derived(self.dim);
        let (mut fold, mut here) = (0, 0);
        for layer in self.layers.iter().rev() {
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
                    params,
                    derived: &derived[at..at + n],
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
        here
    }

    /// The way back of what [`Stack::to_base`] kept: gradients of sum weight log q, plus sum by_z z
    /// (0 unless it was set). Those by x are
    /// left in `work.gradient`; those by the parameters are added to `gradient` or, if `fresh`,
    /// replace what is there.
    pub(super) fn back<S: Simd>(
        &self,
        s: S,
        (params, derived): (&[f32], &[f32]),
        samples: usize,
        work: &mut Work,
        gradient: &mut [f32],
        fresh: bool,
    ) {
        let rows = self.dim * TILE;
        let (gradient, derived_gradient) = self.begin(gradient, fresh);
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
        for (to, by_z) in work.gradient.iter_mut().zip(work.by_z.iter()) {
            *to += by_z;
        }
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
                    fresh,
                    derived_gradient: &mut derived_gradient[at..at + n],
                    scratch: &mut work.scratch,
                },
            );
        }
    }
    /// Whether samples have a way back: not through folds, which a part is drawn for, nor through
    /// autoregressive layers, which make one coordinate after the other.
    pub(crate) fn unwinds(&self) -> bool {
        self.layers.iter().all(Layer::unwinds)
    }

    /// The way back of samples that [`Stack::send`] has sent: gradients of what those by x, in `work.gradient`, stand for, plus sum weight log-det (towards the base). Those by z are
    /// left in `work.gradient`; those by the parameters as in [`Stack::back`].
    pub(super) fn unwind<S: Simd>(
        &self,
        s: S,
        (params, derived): (&[f32], &[f32]),
        samples: usize,
        work: &mut Work,
        gradient: &mut [f32],
        fresh: bool,
    ) {
        let rows = self.dim * TILE;
        let (gradient, derived_gradient) = self.begin(gradient, fresh);
        let (mut at, mut saved) = (0, 0);
        for (l, layer) in self.layers.iter().enumerate() {
            let (n, kept) = (layer.derived(), layer.saved());
            layer.unwind(
                s,
                PassBack {
                    params,
                    derived: &derived[at..at + n],
                    samples,
                    x: &work.values[l * rows..(l + 1) * rows],
                    z: &work.values[(l + 1) * rows..(l + 2) * rows],
                    saved: &work.saved[saved..saved + kept],
                    weight: &work.weight,
                    gradient: &mut work.gradient,
                    params_gradient: &mut *gradient,
                    fresh,
                    derived_gradient: &mut derived_gradient[at..at + n],
                    scratch: &mut work.scratch,
                },
            );
            at += n;
            saved += kept;
        }
    }

    /// The gradients of the parameters and of the derived numbers; if `fresh`, zeros where every
    /// tile adds.
    fn begin<'g>(&self, gradient: &'g mut [f32], fresh: bool) -> (&'g mut [f32], &'g mut [f32]) {
        let (gradient, derived_gradient) = gradient.split_at_mut(self.len);
        if fresh {
            derived_gradient.fill(0.0);
            for slot in &self.added {
                slot.of_mut(gradient).fill(0.0);
            }
        }
        (gradient, derived_gradient)
    }
}
