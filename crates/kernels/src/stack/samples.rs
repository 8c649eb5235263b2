//! Samples with gradients: base to data, and the backward pass.

use super::{Stack, Work};
use crate::layer::Pass;
use crate::product::TILE;
use crate::simd::Simd;

impl Stack {
    /// Whether samples have gradients: not through folds, which draw a part, nor through
    /// autoregressive layers, which compute one coordinate after the other.
    pub(crate) fn has_to_data_backward(&self) -> bool {
        self.layers.iter().all(|l| l.layer.has_to_data_backward())
    }

    /// The last rows of `work.values`, which hold z.
    pub(crate) fn at_base<'w>(&self, work: &'w mut Work) -> &'w mut [f32] {
        let rows = self.dim * TILE;
        &mut work.values[self.layers.len() * rows..]
    }

    /// Takes the tile at [`Stack::at_base`] to the data, in the first rows of `work.values`, and leaves
    /// log|det dz/dx| in `work.log_q`; keeps what [`Stack::to_data_backward`] needs.
    pub(crate) fn to_data_and_log_det<S: Simd>(
        &self,
        s: S,
        (params, derived): (&[f32], &[f32]),
        samples: usize,
        work: &mut Work,
    ) {
        let rows = self.dim * TILE;
        work.log_q.fill(0.0);
        for (l, own) in self.layers.iter().enumerate().rev() {
            let (to, from) = work.values[l * rows..(l + 2) * rows].split_at_mut(rows);
            own.layer.to_data_and_log_det(
                s,
                Pass {
                    params,
                    derived: &derived[own.derived.clone()],
                    samples,
                    from,
                    to,
                    saved: &mut work.saved[own.saved.clone()],
                    log_det: &mut work.log_q,
                    parts: &mut [],
                },
                &mut work.scratch,
            );
        }
    }

    /// The backward pass of [`Stack::to_data_and_log_det`]: `work.gradient` holds the gradient by x of
    /// some scalar, to which sum weight log|det dz/dx| is added. Leaves the gradient by z in
    /// `work.gradient`; that by the parameters as in [`Stack::backward`].
    pub(crate) fn to_data_backward<S: Simd>(
        &self,
        s: S,
        numbers: (&[f32], &[f32]),
        samples: usize,
        work: &mut Work,
        gradient: &mut [f32],
        fresh: bool,
    ) {
        let mut to = self.begin(gradient, fresh);
        for (l, own) in self.layers.iter().enumerate() {
            let pass = self.backward_pass(l, numbers, samples, work, &mut to);
            own.layer.to_data_backward(s, pass);
        }
    }
}
