//! Points, tile by tile, through a stack: the work of one thread.

use crate::product::TILE;
use crate::stack::{Prepared, Stack};

/// Points (n, dim) to a tile's rows. Columns beyond the last sample repeat the first sample, which
/// keeps them finite and normal where the samples are.
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

/// What [`Stack::evaluate`] writes; an empty slice is not computed.
pub(crate) struct Outputs<'a> {
    /// (n,)
    pub log_q: &'a mut [f32],
    /// (n, dim)
    pub z: &'a mut [f32],
    /// (n, folds)
    pub parts: &'a mut [u8],
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

impl Stack {
    /// Takes points (n, dim) from data to base.
    pub(crate) fn evaluate(&self, prepared: &Prepared, x: &[f32], outputs: Outputs<'_>) {
        let (dim, folds) = (self.dim, self.folds());
        let Outputs { log_q, z, parts } = outputs;
        self.with_work(|work| {
            for (t, x) in x.chunks(TILE * dim).enumerate() {
                let samples = x.len() / dim;
                load(x, dim, &mut work.values);
                let at = self.to_base(prepared, samples, work, false, !parts.is_empty());
                let first = t * TILE;
                if !log_q.is_empty() {
                    log_q[first..first + samples].copy_from_slice(&work.log_q[..samples]);
                }
                if !z.is_empty() {
                    let z = &mut z[first * dim..(first + samples) * dim];
                    unload(&work.values[at * dim * TILE..], dim, z);
                }
                if !parts.is_empty() {
                    let parts = &mut parts[first * folds..(first + samples) * folds];
                    for (n, parts) in parts.chunks_exact_mut(folds).enumerate() {
                        for (f, part) in parts.iter_mut().enumerate() {
                            *part = work.parts[f * TILE + n] as u8;
                        }
                    }
                }
            }
        });
    }

    /// Writes the gradient by the parameters to `gradient`, a [`Stack::gradient_buffer`], and that by
    /// the points to `points_gradient` (n, dim), unless it is empty; returns the sum of log q, 0 for
    /// samples. `points` (n, dim) are x, for samples z.
    pub(crate) fn differentiate(
        &self,
        prepared: &Prepared,
        points: &[f32],
        upstream: Upstream<'_>,
        gradient: &mut [f32],
        points_gradient: &mut [f32],
    ) -> f64 {
        let dim = self.dim;
        if points.is_empty() {
            gradient.fill(0.0);
        }
        self.with_work(|work| {
            let mut sum = 0.0;
            work.by_z.fill(0.0);
            for (t, points) in points.chunks(TILE * dim).enumerate() {
                let samples = points.len() / dim;
                let first = t * TILE;
                work.weight.fill(0.0);
                match upstream.of(first..first + samples, dim) {
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
                        self.to_base(prepared, samples, work, true, false);
                        let log_q = work.log_q[..samples].iter();
                        sum += log_q.map(|v| f64::from(*v)).sum::<f64>();
                        self.backward(true, prepared, samples, work, gradient, t == 0);
                    }
                    Upstream::Samples(weights, by_x) => {
                        load(points, dim, self.at_base(work));
                        work.weight[..samples].copy_from_slice(weights);
                        self.to_data(prepared, samples, work, true);
                        load_weighted(by_x, dim, &mut work.gradient);
                        self.backward(false, prepared, samples, work, gradient, t == 0);
                    }
                }
                if !points_gradient.is_empty() {
                    let to = &mut points_gradient[first * dim..(first + samples) * dim];
                    unload(&work.gradient, dim, to);
                }
            }
            sum
        })
    }

    /// Takes points (n, dim) from base to data, with log|det dx/dz| (n,) unless it is empty. `uniform`
    /// (n, folds) chooses the parts, folds in order from base to data.
    pub(crate) fn sample(
        &self,
        prepared: &Prepared,
        z: &[f32],
        uniform: &[f32],
        x: &mut [f32],
        log_det: &mut [f32],
    ) {
        let (dim, folds, keep) = (self.dim, self.folds(), !log_det.is_empty());
        self.with_work(|work| {
            let points = z.chunks(TILE * dim).zip(x.chunks_mut(TILE * dim));
            for (t, (z, x)) in points.enumerate() {
                let first = t * TILE;
                let end = first + z.len() / dim;
                let at = if keep {
                    self.at_base(work)
                } else {
                    &mut work.values[..]
                };
                load(z, dim, at);
                if folds > 0 {
                    load(&uniform[first * folds..end * folds], folds, &mut work.parts);
                }
                let here = self.to_data(prepared, end - first, work, keep);
                unload(&work.values[here * dim * TILE..], dim, x);
                if keep {
                    let log_det = &mut log_det[first..end];
                    for (to, log_det) in log_det.iter_mut().zip(work.log_q.iter()) {
                        *to = -log_det;
                    }
                }
            }
        });
    }
}
