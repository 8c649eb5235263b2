//! The conditioner network on a tile: forward and backward.

use crate::math;
use crate::product::{fits_tile, Add, AddDense, Dots, Product, Sink, Transpose, TILE};
use crate::simd::Simd;

/// Nonlinearity between two layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// max(0, v)
    Relu,
    /// tanh v
    Tanh,
}

/// A place in the flat vector of parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    pub(crate) start: usize,
    pub(crate) len: usize,
}

impl Slot {
    #[inline(always)]
    pub(crate) fn of(self, all: &[f32]) -> &[f32] {
        &all[self.start..self.start + self.len]
    }
    #[inline(always)]
    pub(crate) fn of_mut(self, all: &mut [f32]) -> &mut [f32] {
        &mut all[self.start..self.start + self.len]
    }
}

/// A multilayer perceptron: weights (inputs, outputs) and biases (1, outputs) of every layer. A layer
/// without inputs has no weights.
#[derive(Debug, Clone)]
pub struct Conditioner<P> {
    /// From the input to the output.
    pub layers: Vec<(Option<P>, P)>,
    /// Applied between two layers.
    pub activation: Activation,
}

impl<P> Conditioner<P> {
    pub(crate) fn map<Q>(self, place: &mut impl FnMut(P) -> Q) -> Conditioner<Q> {
        let layers = self.layers.into_iter();
        Conditioner {
            layers: layers
                .map(|(w, b)| (w.map(&mut *place), place(b)))
                .collect(),
            activation: self.activation,
        }
    }
}

impl Conditioner<Slot> {
    /// Places of all weights and biases.
    pub(crate) fn slots(&self) -> impl Iterator<Item = Slot> + '_ {
        self.layers
            .iter()
            .flat_map(|(w, b)| w.iter().chain([b]).copied())
    }

    /// Outputs of all hidden layers together.
    pub(crate) fn hidden(&self) -> usize {
        let hidden = self.layers.len().saturating_sub(1);
        self.layers[..hidden].iter().map(|(_, b)| b.len).sum()
    }

    /// Outputs.
    pub(crate) fn outputs(&self) -> usize {
        self.layers.last().map_or(0, |(_, b)| b.len)
    }

    /// The widest layer.
    pub(crate) fn widest(&self) -> usize {
        self.layers.iter().map(|(_, b)| b.len).max().unwrap_or(0)
    }

    /// Multiplications with a weight for one sample.
    pub(crate) fn products(&self) -> usize {
        let weights = self.layers.iter().filter_map(|(w, _)| w.as_ref());
        weights.map(|w| w.len).sum()
    }
}

/// Writes activation(bias + sum).
struct BiasAndActivation<'a> {
    bias: &'a [f32],
    activation: Option<Activation>,
    to: &'a mut [f32],
}

#[allow(unsafe_code)]
impl Sink for BiasAndActivation<'_> {
    #[inline(always)]
    fn fits(&self, rows: usize, _cols: usize, width: usize) -> bool {
        rows <= self.bias.len() && fits_tile(self.to, rows, width)
    }
    #[inline(always)]
    unsafe fn start<S: Simd>(&self, s: S, row: usize) -> S::V {
        // SAFETY: the caller's promise.
        s.splat(unsafe { *self.bias.as_ptr().add(row) })
    }
    #[inline(always)]
    unsafe fn take<S: Simd>(&mut self, s: S, row: usize, col: usize, sums: S::V) {
        let value = match self.activation {
            // This order of arguments keeps NaN.
            Some(Activation::Relu) => s.max(s.splat(0.0), sums),
            Some(Activation::Tanh) => math::tanh(s, sums),
            None => sums,
        };
        // SAFETY: the caller's promise.
        unsafe { s.store_at(self.to.as_mut_ptr().add(row * TILE + col), value) };
    }
}

/// Multiplies the sums by the slope of the activation, which follows from its value.
struct ActivationBackward<'a> {
    value: &'a [f32],
    activation: Activation,
    to: &'a mut [f32],
}

#[allow(unsafe_code)]
impl Sink for ActivationBackward<'_> {
    #[inline(always)]
    fn fits(&self, rows: usize, _cols: usize, width: usize) -> bool {
        fits_tile(self.value, rows, width) && fits_tile(self.to, rows, width)
    }
    #[inline(always)]
    unsafe fn take<S: Simd>(&mut self, s: S, row: usize, col: usize, sums: S::V) {
        let at = row * TILE + col;
        // SAFETY: the caller's promise.
        let y = unsafe { s.load_at(self.value.as_ptr().add(at)) };
        let gradient = match self.activation {
            Activation::Relu => {
                let on = s.lt(s.splat(0.0), y);
                s.select(on, sums, s.splat(0.0))
            }
            Activation::Tanh => {
                let slope = s.fma(math::neg(s, y), y, s.splat(1.0));
                s.mul(sums, slope)
            }
        };
        // SAFETY: the caller's promise.
        unsafe { s.store_at(self.to.as_mut_ptr().add(at), gradient) };
    }
}

/// theta = m(kept), (outputs, TILE). `hidden` keeps the hidden layers' values for the backward pass.
pub(crate) fn forward<S: Simd>(
    s: S,
    net: &Conditioner<Slot>,
    params: &[f32],
    samples: usize,
    kept: &[f32],
    mut hidden: &mut [f32],
    mut theta: &mut [f32],
) {
    let last = net.layers.len() - 1;
    let mut input = kept;
    for (l, (weight, bias)) in net.layers.iter().enumerate() {
        let out = bias.len;
        let (to, rest) = if l == last {
            (&mut std::mem::take(&mut theta)[..out * TILE], &mut [][..])
        } else {
            hidden.split_at_mut(out * TILE)
        };
        match weight {
            None => {
                for (row, bias) in to.chunks_exact_mut(TILE).zip(bias.of(params)) {
                    row.fill(*bias);
                }
            }
            Some(weight) => s.run(Product {
                rows: out,
                cols: samples,
                depth: weight.len / out,
                a: weight.of(params),
                a_row: 1,
                a_depth: out,
                b: input,
                b_depth: TILE,
                sink: BiasAndActivation {
                    bias: bias.of(params),
                    activation: (l < last).then_some(net.activation),
                    to: &mut *to,
                },
            }),
        }
        input = to;
        hidden = rest;
    }
}

/// Scratch numbers of [`backward`]: two matrices of the widest layer.
pub(crate) fn scratch(net: &Conditioner<Slot>) -> usize {
    let width = net.widest().next_multiple_of(16);
    2 * width * TILE
}

/// From the gradient by theta, in the first rows of `scratch`: adds the gradient by the parameters to
/// `gradient` (with `fresh` replaces it) and that by `kept` to `kept_gradient`.
#[allow(clippy::too_many_arguments)]
pub(crate) fn backward<S: Simd>(
    s: S,
    net: &Conditioner<Slot>,
    params: &[f32],
    samples: usize,
    kept: &[f32],
    hidden: &[f32],
    kept_gradient: &mut [f32],
    gradient: &mut [f32],
    fresh: bool,
    scratch: &mut [f32],
) {
    let width = net.widest().next_multiple_of(16) * TILE;
    // Transposes the output gradient in the buffer that will hold the input's.
    let (mut output_gradient, mut input_gradient) = scratch.split_at_mut(width);
    let mut end = hidden.len();
    for (l, (weight, bias)) in net.layers.iter().enumerate().rev() {
        let out = bias.len;
        let Some(weight) = weight else {
            add_bias_gradient(
                s,
                output_gradient,
                out,
                samples,
                bias.of_mut(gradient),
                fresh,
            );
            continue;
        };
        let depth = weight.len / out;
        let input = if l == 0 {
            kept
        } else {
            end -= depth * TILE;
            &hidden[end..end + depth * TILE]
        };
        let wide = out.next_multiple_of(16);
        // A product sums over the samples if they run along its depth, which needs a transpose. That
        // costs about as much as five rows; a single dot product costs about ten operations.
        if wide / 16 * (320 + 32 * depth) < 10 * (depth + 1) * out {
            s.run(Transpose {
                from: output_gradient,
                rows: out,
                samples,
                to: &mut *input_gradient,
                stride: wide,
            });
            for (a, rows, slot) in [(input, depth, weight), (&[1.0; TILE][..], 1, bias)] {
                s.run(Product {
                    rows,
                    cols: out,
                    depth: samples,
                    a,
                    a_row: TILE,
                    a_depth: 1,
                    b: input_gradient,
                    b_depth: wide,
                    sink: AddDense {
                        to: slot.of_mut(gradient),
                        cols: out,
                        fresh,
                    },
                });
            }
        } else {
            s.run(Dots {
                a: input,
                a_rows: depth,
                b: output_gradient,
                b_rows: out,
                samples,
                to: weight.of_mut(gradient),
                fresh,
            });
            add_bias_gradient(
                s,
                output_gradient,
                out,
                samples,
                bias.of_mut(gradient),
                fresh,
            );
        }
        let weight = weight.of(params);
        if l == 0 {
            times_weights(
                s,
                weight,
                depth,
                samples,
                output_gradient,
                Add(kept_gradient),
            );
        } else {
            let sink = ActivationBackward {
                value: input,
                activation: net.activation,
                to: &mut *input_gradient,
            };
            times_weights(s, weight, depth, samples, output_gradient, sink);
            std::mem::swap(&mut output_gradient, &mut input_gradient);
        }
    }
}

/// The gradient by biases: sums over the samples of the first `out` rows of `output_gradient`.
fn add_bias_gradient<S: Simd>(
    s: S,
    output_gradient: &[f32],
    out: usize,
    samples: usize,
    to: &mut [f32],
    fresh: bool,
) {
    s.run(Dots {
        a: &[1.0; TILE],
        a_rows: 1,
        b: output_gradient,
        b_rows: out,
        samples,
        to,
        fresh,
    });
}

/// Weights (depth, out) times a layer's output gradient: its input gradient.
fn times_weights<S: Simd, K: Sink>(
    s: S,
    weight: &[f32],
    depth: usize,
    samples: usize,
    output_gradient: &[f32],
    sink: K,
) {
    let out = weight.len() / depth;
    s.run(Product {
        rows: depth,
        cols: samples,
        depth: out,
        a: weight,
        a_row: out,
        a_depth: 1,
        b: output_gradient,
        b_depth: TILE,
        sink,
    });
}
