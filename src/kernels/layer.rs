//! The layers of a stack, and how a tile passes through one.

use std::ops::Range;

use super::conditioner::{self, Conditioner, Slot};
use super::product::TILE;
use super::simd::{Op, Simd};
use super::transformer::{Affine, Back, Backward, Fold, Spline, ToBase, ToData, Way};

/// What moves the coordinates of a coupling.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Transformer {
    /// Real NVP's scale and shift, |log scale| < bound.
    Affine {
        /// c in s = c tanh(r / c)
        bound: f64,
    },
    /// A rational-quadratic spline from data to base.
    Spline {
        /// Number of bins.
        bins: usize,
        /// The spline acts on [-bound, bound].
        bound: f64,
    },
    /// RAD's fold, with gates at its edges or flat ones.
    Fold {
        /// Whether the gates have logits of their own.
        gates: bool,
    },
}

/// A layer; its parameters are tensors, or (compiled into a stack) their places.
#[derive(Debug, Clone)]
pub enum Layer<P> {
    /// One half of the coordinates decides how the other is moved.
    Coupling {
        /// How.
        transformer: Transformer,
        /// Coordinates that stay, which the conditioner sees.
        kept: Range<usize>,
        /// Coordinates that are moved.
        moved: Range<usize>,
        /// From the kept coordinates to the transformer's parameters.
        conditioner: Conditioner<P>,
    },
    /// x = z e^s + t
    Elementwise {
        /// s, (1, D)
        log_scale: P,
        /// t, (1, D)
        shift: P,
    },
    /// z = x W^T with W = L U
    Linear {
        /// (D, D), of which what is below the diagonal counts
        lower: P,
        /// (D, D), of which what is above the diagonal counts
        upper: P,
        /// Logs of U's diagonal, (1, D)
        log_diagonal: P,
    },
    /// z_d = x_{order\[d\]}
    Permutation {
        /// Each of 0..D once.
        order: Vec<usize>,
    },
}

impl<P> Layer<P> {
    pub(crate) fn map<Q>(self, place: &mut impl FnMut(P) -> Q) -> Layer<Q> {
        match self {
            Self::Coupling {
                transformer,
                kept,
                moved,
                conditioner,
            } => Layer::Coupling {
                transformer,
                kept,
                moved,
                conditioner: conditioner.map(place),
            },
            Self::Elementwise { log_scale, shift } => Layer::Elementwise {
                log_scale: place(log_scale),
                shift: place(shift),
            },
            Self::Linear {
                lower,
                upper,
                log_diagonal,
            } => Layer::Linear {
                lower: place(lower),
                upper: place(upper),
                log_diagonal: place(log_diagonal),
            },
            Self::Permutation { order } => Layer::Permutation { order },
        }
    }
}

/// A tile on its way through a layer.
pub(crate) struct Pass<'a> {
    pub params: &'a [f32],
    /// The layer's derived numbers.
    pub derived: &'a [f32],
    pub samples: usize,
    /// Coordinates before and after, a row each.
    pub from: &'a [f32],
    pub to: &'a mut [f32],
    /// What the way back needs: the conditioner's hidden values and its outputs.
    pub saved: &'a mut [f32],
    pub log_det: &'a mut [f32],
    /// As in [`Way::parts`].
    pub parts: &'a mut [f32],
}

/// A tile on its way back through a layer.
pub(crate) struct PassBack<'a> {
    pub params: &'a [f32],
    pub derived: &'a [f32],
    pub samples: usize,
    pub x: &'a [f32],
    pub z: &'a [f32],
    pub saved: &'a [f32],
    pub weight: &'a [f32],
    /// By z, to be replaced by that by x.
    pub gradient: &'a mut [f32],
    pub params_gradient: &'a mut [f32],
    /// By the layer's derived numbers.
    pub derived_gradient: &'a mut [f32],
    pub scratch: &'a mut [f32],
}

impl Layer<Slot> {
    /// Numbers that [`Layer::derive`] writes.
    pub(crate) fn derived(&self) -> usize {
        match self {
            Self::Coupling { .. } | Self::Permutation { .. } => 0,
            // e^s, e^-s, and the log-determinant towards the base.
            Self::Elementwise { shift, .. } => 2 * shift.len + 1,
            // W, and the log-determinant towards the base.
            Self::Linear { lower, .. } => lower.len + 1,
        }
    }

    /// Numbers per tile that the way back needs.
    pub(crate) fn saved(&self) -> usize {
        match self {
            Self::Coupling { conditioner, .. } => {
                (conditioner.hidden() + conditioner.outputs()) * TILE
            }
            _ => 0,
        }
    }

    /// Scratch of the way back.
    pub(crate) fn scratch(&self) -> usize {
        match self {
            Self::Coupling { conditioner, .. } => conditioner::scratch(conditioner),
            Self::Linear { log_diagonal, .. } => log_diagonal.len * TILE,
            _ => 0,
        }
    }

    /// Folds: rows of codes.
    pub(crate) fn folds(&self) -> usize {
        match self {
            Self::Coupling {
                transformer: Transformer::Fold { .. },
                moved,
                ..
            } => moved.len(),
            _ => 0,
        }
    }

    /// Multiplications of one sample with weights.
    pub(crate) fn products(&self) -> usize {
        match self {
            Self::Coupling { conditioner, .. } => conditioner.products(),
            _ => 0,
        }
    }

    /// What follows from the parameters alone.
    pub(crate) fn derive(&self, params: &[f32], to: &mut [f32]) {
        match self {
            Self::Coupling { .. } | Self::Permutation { .. } => {}
            Self::Elementwise { log_scale, .. } => {
                let log_scale = log_scale.of(params);
                let dim = log_scale.len();
                for (d, s) in log_scale.iter().enumerate() {
                    to[d] = s.exp();
                    to[dim + d] = (-s).exp();
                }
                to[2 * dim] = -log_scale.iter().sum::<f32>();
            }
            Self::Linear { log_diagonal, .. } => {
                let dim = log_diagonal.len;
                for i in 0..dim {
                    for j in 0..dim {
                        let terms = (0..=i.min(j))
                            .map(|k| self.lower(params, i, k) * self.upper(params, k, j));
                        to[i * dim + j] = terms.sum();
                    }
                }
                to[dim * dim] = log_diagonal.of(params).iter().sum();
            }
        }
    }

    /// The gradients of the parameters from those of the derived numbers.
    pub(crate) fn finish(&self, params: &[f32], derived_gradient: &[f32], gradient: &mut [f32]) {
        let Self::Linear {
            lower,
            upper,
            log_diagonal,
        } = self
        else {
            return;
        };
        let dim = log_diagonal.len;
        for i in 0..dim {
            for j in 0..dim {
                let by_w = derived_gradient[i * dim + j];
                for k in 0..=i.min(j) {
                    if k < i {
                        lower.of_mut(gradient)[i * dim + k] += by_w * self.upper(params, k, j);
                    }
                    let by_upper = by_w * self.lower(params, i, k);
                    if k < j {
                        upper.of_mut(gradient)[k * dim + j] += by_upper;
                    } else {
                        log_diagonal.of_mut(gradient)[k] += by_upper * self.upper(params, k, k);
                    }
                }
            }
            log_diagonal.of_mut(gradient)[i] += derived_gradient[dim * dim];
        }
    }

    // Entry (i, j) of L, j <= i.
    fn lower(&self, params: &[f32], i: usize, j: usize) -> f32 {
        match self {
            Self::Linear {
                lower,
                log_diagonal,
                ..
            } if j < i => lower.of(params)[i * log_diagonal.len + j],
            _ => 1.0,
        }
    }

    // Entry (i, j) of U, i <= j.
    fn upper(&self, params: &[f32], i: usize, j: usize) -> f32 {
        match self {
            Self::Linear {
                upper,
                log_diagonal,
                ..
            } => {
                if i < j {
                    upper.of(params)[i * log_diagonal.len + j]
                } else {
                    log_diagonal.of(params)[i].exp()
                }
            }
            _ => 1.0,
        }
    }

    /// From data to base.
    pub(crate) fn to_base<S: Simd>(&self, s: S, pass: Pass<'_>) {
        match self {
            Self::Coupling {
                transformer,
                kept,
                moved,
                conditioner,
            } => {
                let way = couple(s, conditioner, kept, moved, pass);
                match *transformer {
                    Transformer::Affine { bound } => s.run(ToBase(affine(bound), way)),
                    Transformer::Spline { bins, bound } => s.run(ToBase(spline(bins, bound), way)),
                    Transformer::Fold { gates } => s.run(ToBase(Fold { gates }, way)),
                }
            }
            Self::Elementwise { shift, .. } => {
                let dim = shift.len;
                s.run(Scale {
                    samples: pass.samples,
                    from: pass.from,
                    before: Some(shift.of(pass.params)),
                    scale: &pass.derived[dim..2 * dim],
                    after: None,
                    to: pass.to,
                });
                add_constant(pass.log_det, pass.derived[2 * dim]);
            }
            Self::Linear { log_diagonal, .. } => {
                let dim = log_diagonal.len;
                s.run(Multiply {
                    samples: pass.samples,
                    matrix: &pass.derived[..dim * dim],
                    transposed: false,
                    from: pass.from,
                    to: pass.to,
                });
                add_constant(pass.log_det, pass.derived[dim * dim]);
            }
            Self::Permutation { order } => {
                for (to, &d) in pass.to.chunks_exact_mut(TILE).zip(order) {
                    to.copy_from_slice(&pass.from[d * TILE..(d + 1) * TILE]);
                }
            }
        }
    }

    /// From base to data; no log-determinant.
    pub(crate) fn to_data<S: Simd>(&self, s: S, pass: Pass<'_>) {
        match self {
            Self::Coupling {
                transformer,
                kept,
                moved,
                conditioner,
            } => {
                let way = couple(s, conditioner, kept, moved, pass);
                match *transformer {
                    Transformer::Affine { bound } => s.run(ToData(affine(bound), way)),
                    Transformer::Spline { bins, bound } => s.run(ToData(spline(bins, bound), way)),
                    Transformer::Fold { gates } => s.run(ToData(Fold { gates }, way)),
                }
            }
            Self::Elementwise { shift, .. } => s.run(Scale {
                samples: pass.samples,
                from: pass.from,
                before: None,
                scale: &pass.derived[..shift.len],
                after: Some(shift.of(pass.params)),
                to: pass.to,
            }),
            Self::Linear { log_diagonal, .. } => {
                pass.to.copy_from_slice(pass.from);
                let dim = log_diagonal.len;
                for i in 0..dim {
                    for j in 0..i {
                        subtract(pass.to, i, j, self.lower(pass.params, i, j));
                    }
                }
                for i in (0..dim).rev() {
                    for j in i + 1..dim {
                        subtract(pass.to, i, j, self.upper(pass.params, i, j));
                    }
                    let pivot = self.upper(pass.params, i, i);
                    let row = &mut pass.to[i * TILE..(i + 1) * TILE];
                    row.iter_mut().for_each(|v| *v /= pivot);
                }
            }
            Self::Permutation { order } => {
                for (from, &d) in pass.from.chunks_exact(TILE).zip(order) {
                    pass.to[d * TILE..(d + 1) * TILE].copy_from_slice(from);
                }
            }
        }
    }

    /// Gradients of the way to the base.
    pub(crate) fn back<S: Simd>(&self, s: S, pass: PassBack<'_>) {
        match self {
            Self::Coupling {
                transformer,
                kept,
                moved,
                conditioner,
            } => {
                let (hidden, theta) = pass.saved.split_at(conditioner.hidden() * TILE);
                let rows = moved.start * TILE..moved.end * TILE;
                let outputs = conditioner.outputs() * TILE;
                let back = Back {
                    samples: pass.samples,
                    theta,
                    x: &pass.x[rows.clone()],
                    z: &pass.z[rows.clone()],
                    weight: pass.weight,
                    gradient: &mut pass.gradient[rows],
                    theta_gradient: &mut pass.scratch[..outputs],
                };
                match *transformer {
                    Transformer::Affine { bound } => s.run(Backward(affine(bound), back)),
                    Transformer::Spline { bins, bound } => {
                        s.run(Backward(spline(bins, bound), back));
                    }
                    Transformer::Fold { gates } => s.run(Backward(Fold { gates }, back)),
                }
                let rows = kept.start * TILE..kept.end * TILE;
                conditioner::backward(
                    s,
                    conditioner,
                    pass.params,
                    pass.samples,
                    &pass.x[rows.clone()],
                    hidden,
                    &mut pass.gradient[rows],
                    pass.params_gradient,
                    pass.scratch,
                );
            }
            Self::Elementwise { log_scale, shift } => {
                let dim = shift.len;
                let total: f32 = pass.weight[..pass.samples].iter().sum();
                for d in 0..dim {
                    let scale = pass.derived[dim + d];
                    let row = d * TILE..d * TILE + pass.samples;
                    let (mut by_scale, mut by_shift) = (0.0, 0.0);
                    for (g, z) in pass.gradient[row.clone()].iter_mut().zip(&pass.z[row]) {
                        by_scale += *g * z;
                        *g *= scale;
                        by_shift += *g;
                    }
                    log_scale.of_mut(pass.params_gradient)[d] -= by_scale + total;
                    shift.of_mut(pass.params_gradient)[d] -= by_shift;
                }
            }
            Self::Linear { log_diagonal, .. } => {
                let dim = log_diagonal.len;
                let (by_w, by_log_det) = pass.derived_gradient.split_at_mut(dim * dim);
                by_log_det[0] += pass.weight[..pass.samples].iter().sum::<f32>();
                s.run(super::product::Dots {
                    a: pass.gradient,
                    a_rows: dim,
                    b: pass.x,
                    b_rows: dim,
                    samples: pass.samples,
                    to: by_w,
                });
                let by_z = &mut pass.scratch[..dim * TILE];
                by_z.copy_from_slice(pass.gradient);
                s.run(Multiply {
                    samples: pass.samples,
                    matrix: &pass.derived[..dim * dim],
                    transposed: true,
                    from: by_z,
                    to: pass.gradient,
                });
            }
            Self::Permutation { order } => {
                permute_rows(pass.gradient, order);
            }
        }
    }
}

fn affine(bound: f64) -> Affine {
    Affine {
        bound: bound as f32,
    }
}

fn spline(bins: usize, bound: f64) -> Spline {
    Spline {
        bins,
        bound: bound as f32,
    }
}

/// Copies what is kept, runs the conditioner, and leaves the rest to a transformer.
fn couple<'a, S: Simd>(
    s: S,
    net: &Conditioner<Slot>,
    kept: &Range<usize>,
    moved: &Range<usize>,
    pass: Pass<'a>,
) -> Way<'a> {
    let rows = kept.start * TILE..kept.end * TILE;
    pass.to[rows.clone()].copy_from_slice(&pass.from[rows.clone()]);
    let (hidden, theta) = pass.saved.split_at_mut(net.hidden() * TILE);
    conditioner::forward(
        s,
        net,
        pass.params,
        pass.samples,
        &pass.from[rows],
        hidden,
        theta,
    );
    let rows = moved.start * TILE..moved.end * TILE;
    Way {
        samples: pass.samples,
        theta,
        from: &pass.from[rows.clone()],
        to: &mut pass.to[rows],
        log_det: pass.log_det,
        parts: pass.parts,
    }
}

fn add_constant(to: &mut [f32], constant: f32) {
    to.iter_mut().for_each(|v| *v += constant);
}

/// Row i -= factor * row j.
fn subtract(rows: &mut [f32], i: usize, j: usize, factor: f32) {
    for n in 0..TILE {
        rows[i * TILE + n] -= factor * rows[j * TILE + n];
    }
}

/// Row d goes to row order[d].
fn permute_rows(rows: &mut [f32], order: &[usize]) {
    for n in 0..TILE {
        // Follow each cycle once, from its smallest member.
        for start in 0..order.len() {
            let mut at = order[start];
            while at > start {
                at = order[at];
            }
            if at < start {
                continue;
            }
            let mut carried = rows[start * TILE + n];
            let mut at = order[start];
            while at != start {
                std::mem::swap(&mut carried, &mut rows[at * TILE + n]);
                at = order[at];
            }
            rows[start * TILE + n] = carried;
        }
    }
}

/// (from - before) * scale + after, row by row.
struct Scale<'a> {
    samples: usize,
    from: &'a [f32],
    before: Option<&'a [f32]>,
    scale: &'a [f32],
    after: Option<&'a [f32]>,
    to: &'a mut [f32],
}

impl Op for Scale<'_> {
    type Out = ();
    #[inline(always)]
    fn call<S: Simd>(self, s: S) {
        for (d, scale) in self.scale.iter().enumerate() {
            let scale = s.splat(*scale);
            let before = s.splat(self.before.map_or(0.0, |b| b[d]));
            let after = s.splat(self.after.map_or(0.0, |a| a[d]));
            for i in (0..self.samples).step_by(S::LANES) {
                let at = d * TILE + i;
                let v = s.sub(s.load(&self.from[at..]), before);
                s.store(&mut self.to[at..], s.fma(v, scale, after));
            }
        }
    }
}

/// A small square matrix times the rows.
struct Multiply<'a> {
    samples: usize,
    matrix: &'a [f32],
    transposed: bool,
    from: &'a [f32],
    to: &'a mut [f32],
}

impl Op for Multiply<'_> {
    type Out = ();
    #[inline(always)]
    fn call<S: Simd>(self, s: S) {
        let dim = self.from.len() / TILE;
        for r in 0..dim {
            for i in (0..self.samples).step_by(S::LANES) {
                let mut sum = s.splat(0.0);
                for c in 0..dim {
                    let at = if self.transposed {
                        c * dim + r
                    } else {
                        r * dim + c
                    };
                    sum = s.fma(
                        s.splat(self.matrix[at]),
                        s.load(&self.from[c * TILE + i..]),
                        sum,
                    );
                }
                s.store(&mut self.to[r * TILE + i..], sum);
            }
        }
    }
}
