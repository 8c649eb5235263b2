//! Samples with gradients: from base to data, and back.

use super::super::layer::Pass;
use super::super::product::TILE;
use super::super::simd::Simd;
use super::{Stack, Work};

impl Stack {
    /// Whether samples have a way back: not through folds, which a part is drawn for, nor through
    /// autoregressive layers, which make one coordinate after the other.
    pub(crate) fn unwinds(&self) -> bool {
        self.layers.iter().all(|l| l.layer.unwinds())
    }

    /// The last rows of `work.values`, where a tile at the base is.
    pub(crate) fn at_base<'w>(&self, work: &'w mut Work) -> &'w mut [f32] {
        let rows = self.dim * TILE;
        &mut work.values[self.layers.len() * rows..]
    }

    /// Takes the tile at [`Stack::at_base`] to the data, in the first rows of `work.values`, and leaves
    /// minus its log-determinant in `work.log_q`; keeps what [`Stack::unwind`] needs.
    pub(crate) fn send<S: Simd>(
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
            own.layer.send(
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

    /// The way back of samples that [`Stack::send`] has sent: gradients of what those by x, in
    /// `work.gradient`, stand for, plus sum weight log-det (towards the base). Those by z are left in
    /// `work.gradient`; those by the parameters as in [`Stack::back`].
    pub(crate) fn unwind<S: Simd>(
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
            let pass = self.pass_back(l, numbers, samples, work, &mut to);
            own.layer.unwind(s, pass);
        }
    }
}
