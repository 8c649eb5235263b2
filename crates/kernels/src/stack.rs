//! A whole flow on one tile.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use candle_core::Tensor;

use crate::base::{Base, Gradient, LogProb};
use crate::conditioner::{BackwardPass, Slot};
use crate::flat::Buffer;
use crate::layer::{Compiled, Layer, Pass};
use crate::product::TILE;
use crate::simd::Verified;

/// Layers from data to base, and the base, with their parameters' places in one flat vector.
pub(crate) struct Stack {
    pub isa: Verified,
    pub dim: usize,
    layers: Vec<Placed>,
    base: Base<Slot>,
    /// The parameters in the order of the layers, and their places.
    pub tensors: Vec<Tensor>,
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
    layer: Box<dyn Compiled>,
    derived: Range<usize>,
    saved: Range<usize>,
}

/// Parameters and the numbers derived from them.
pub(crate) struct Prepared {
    pub params: Buffer,
    derived: Buffer,
}

/// Buffers of one thread for one tile.
pub(crate) struct Work {
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
    pub(crate) fn new(
        isa: Verified,
        dim: usize,
        layers: Vec<Layer<Tensor>>,
        base: Base<Tensor>,
    ) -> Self {
        let (mut slots, mut tensors, mut len) = (Vec::new(), Vec::new(), 0);
        let mut place = |tensor: Tensor| {
            let slot = Slot::after(&mut len, tensor.elem_count());
            slots.push(slot);
            tensors.push(tensor);
            slot
        };
        let (mut derived, mut saved, mut added) = (0, 0, Vec::new());
        let placed = layers.into_iter().map(|layer| {
            let layer = layer.compile(&mut place);
            let from = (derived, saved);
            derived += layer.derived();
            saved += layer.saved();
            added.extend(layer.added());
            Placed {
                layer,
                derived: from.0..derived,
                saved: from.1..saved,
            }
        });
        let layers = placed.collect();
        let base = base.map(&mut place);
        added.extend(base.slots());
        Self {
            isa,
            dim,
            layers,
            derived: derived + base.derived(dim),
            base,
            tensors,
            slots,
            len,
            added,
            works: Mutex::new(Vec::new()),
        }
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

    /// Whether samples have gradients: not through folds, which draw a part, nor through
    /// autoregressive layers, which compute one coordinate after the other.
    pub(crate) fn has_to_data_backward(&self) -> bool {
        self.layers.iter().all(|l| l.layer.has_to_data_backward())
    }

    /// From the concatenated parameters.
    pub(crate) fn prepared(&self, mut flat: &[f32]) -> Prepared {
        let mut prepared = Prepared {
            params: Buffer::new(self.len),
            derived: Buffer::new(self.derived),
        };
        for slot in &self.slots {
            let (own, rest) = flat.split_at(slot.len);
            slot.of_mut(&mut prepared.params).copy_from_slice(own);
            flat = rest;
        }
        self.derive(&mut prepared);
        prepared
    }

    /// Room for a gradient by the flat vector, followed by that of the derived numbers.
    pub(crate) fn gradient_buffer(&self) -> Buffer {
        Buffer::new(self.len + self.derived)
    }

    /// Computes the derived numbers; must be called after the parameters have changed.
    pub(crate) fn derive(&self, prepared: &mut Prepared) {
        let Prepared { params, derived } = prepared;
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
    pub(crate) fn finish(&self, prepared: &Prepared, gradient: &mut [f32]) {
        let (gradient, derived) = gradient.split_at_mut(self.len);
        for own in &self.layers {
            let derived = &derived[own.derived.clone()];
            own.layer.finish(&prepared.params, derived, gradient);
        }
    }

    /// Runs `f` with buffers that no other thread uses.
    pub(crate) fn with_work<T>(&self, f: impl FnOnce(&mut Work) -> T) -> T {
        let works = || self.works.lock().unwrap_or_else(PoisonError::into_inner);
        let spare = works().pop();
        let mut work = spare.unwrap_or_else(|| {
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
        });
        let result = f(&mut work);
        works().push(work);
        result
    }

    /// Takes the tile in the first rows of `work.values` to the base and leaves log q in `work.log_q`.
    /// With `keep` all values that the backward pass needs stay; without, the layers share one buffer,
    /// which fits the nearest cache. Returns which rows of `work.values` hold z.
    pub(crate) fn to_base(
        &self,
        prepared: &Prepared,
        samples: usize,
        work: &mut Work,
        keep: bool,
        parts: bool,
    ) -> usize {
        let here = self.run_layers(true, prepared, samples, work, keep, parts);
        let rows = self.dim * TILE;
        self.isa.run(LogProb {
            base: &self.base,
            params: &prepared.params,
            derived: &prepared.derived[self.of_base()],
            samples,
            z: &work.values[here * rows..(here + 1) * rows],
            log_q: &mut work.log_q,
            joint: &mut work.joint,
            keep,
        });
        here
    }

    /// The last rows of `work.values`, from which samples with `keep` start.
    pub(crate) fn at_base<'w>(&self, work: &'w mut Work) -> &'w mut [f32] {
        let rows = self.dim * TILE;
        &mut work.values[self.layers.len() * rows..]
    }

    /// Takes the tile in the first rows of `work.values`, with the uniform numbers in `work.parts`,
    /// to the data. With `keep` takes the tile at [`Stack::at_base`], keeps what the backward pass
    /// needs and leaves log|det dz/dx| in `work.log_q`. Returns which rows of `work.values` hold x.
    pub(crate) fn to_data(
        &self,
        prepared: &Prepared,
        samples: usize,
        work: &mut Work,
        keep: bool,
    ) -> usize {
        self.run_layers(false, prepared, samples, work, keep, true)
    }

    /// The layers of [`Stack::to_base`] or [`Stack::to_data`].
    fn run_layers(
        &self,
        to_base: bool,
        prepared: &Prepared,
        samples: usize,
        work: &mut Work,
        keep: bool,
        parts: bool,
    ) -> usize {
        let n = self.layers.len();
        let rows = |at: usize| at * self.dim * TILE..(at + 1) * self.dim * TILE;
        work.log_q.fill(0.0);
        let (mut fold, mut here) = (0, if keep && !to_base { n } else { 0 });
        for step in 0..n {
            let own = &self.layers[if to_base { step } else { n - 1 - step }];
            let (next, saved) = match (keep, to_base) {
                (false, _) => (1 - here, 0..own.saved.len()),
                (true, true) => (here + 1, own.saved.clone()),
                (true, false) => (here - 1, own.saved.clone()),
            };
            let folds = if parts { own.layer.folds() * TILE } else { 0 };
            let values = work.values.get_disjoint_mut([rows(here), rows(next)]);
            let [from, to] = values.expect("two places");
            let pass = Pass {
                params: &prepared.params,
                derived: &prepared.derived[own.derived.clone()],
                samples,
                from,
                to,
                saved: &mut work.saved[saved],
                log_det: &mut work.log_q,
                parts: &mut work.parts[fold..fold + folds],
            };
            match (to_base, keep) {
                (true, _) => own.layer.to_base(self.isa, pass),
                (false, false) => own.layer.to_data(self.isa, pass),
                (false, true) => {
                    let scratch = &mut work.scratch;
                    own.layer.to_data_and_log_det(self.isa, pass, scratch);
                }
            }
            fold += folds;
            here = next;
        }
        here
    }

    /// The backward pass of [`Stack::to_base`] with `keep`: gradients of sum weight log q + sum by_z z
    /// (`work.by_z` is 0 unless it was set), that by x in `work.gradient`. Adds the gradient by the
    /// parameters to `gradient` or, with `fresh`, replaces it.
    ///
    /// Unless `to_base`, that of [`Stack::to_data`] with `keep`: `work.gradient` holds the gradient by
    /// x of some scalar, to which sum weight log|det dz/dx| is added, and then the gradient by z.
    pub(crate) fn backward(
        &self,
        to_base: bool,
        prepared: &Prepared,
        samples: usize,
        work: &mut Work,
        gradient: &mut [f32],
        fresh: bool,
    ) {
        let (n, rows) = (self.layers.len(), self.dim * TILE);
        let (by_params, by_derived) = gradient.split_at_mut(self.len);
        if fresh {
            by_derived.fill(0.0);
            for slot in &self.added {
                slot.of_mut(by_params).fill(0.0);
            }
        }
        if to_base {
            self.isa.run(Gradient {
                base: &self.base,
                params: &prepared.params,
                derived: &prepared.derived[self.of_base()],
                samples,
                z: &work.values[n * rows..],
                joint: &work.joint,
                weight: &work.weight,
                gradient: &mut work.gradient,
                params_gradient: by_params,
            });
            for (to, by_z) in work.gradient.iter_mut().zip(work.by_z.iter()) {
                *to += by_z;
            }
        }
        for step in 0..n {
            let l = if to_base { n - 1 - step } else { step };
            let own = &self.layers[l];
            let (x, z) = work.values[l * rows..(l + 2) * rows].split_at(rows);
            let pass = BackwardPass {
                params: &prepared.params,
                derived: &prepared.derived[own.derived.clone()],
                samples,
                x,
                z,
                saved: &work.saved[own.saved.clone()],
                weight: &work.weight,
                gradient: &mut work.gradient,
                params_gradient: by_params,
                fresh,
                derived_gradient: &mut by_derived[own.derived.clone()],
                scratch: &mut work.scratch,
            };
            match to_base {
                true => own.layer.backward(self.isa, pass),
                false => own.layer.to_data_backward(self.isa, pass),
            }
        }
    }
}
