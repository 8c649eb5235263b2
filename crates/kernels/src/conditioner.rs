//! The conditioner network on a tile: forward and backward.

use std::ops::Range;

use crate::math;
use crate::product::{fits_tile, Add, AddDense, Dots, Product, Sink, Transpose, TILE};
use crate::simd::{Simd, Verified};

/// Inputs and outputs of a layer's backward pass on one tile: from data to base or, for samples,
/// from base to data.
pub(crate) struct BackwardPass<'a> {
    pub params: &'a [f32],
    pub derived: &'a [f32],
    pub samples: usize,
    pub x: &'a [f32],
    pub z: &'a [f32],
    pub saved: &'a [f32],
    pub weight: &'a [f32],
    /// In place: the gradient by z becomes that by x; for samples, that by x becomes that by z.
    pub gradient: &'a mut [f32],
    pub params_gradient: &'a mut [f32],
    /// Whether a conditioner's gradients replace the numbers in `params_gradient`; else they are added.
    pub fresh: bool,
    /// The gradient by the layer's derived numbers.
    pub derived_gradient: &'a mut [f32],
    pub scratch: &'a mut [f32],
}

/// Nonlinearity between two layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// max(0, v)
    Relu,
    /// tanh v
    Tanh,
}

/// A place in the flat vector of parameters.
#[derive(Clone, Copy)]
pub(crate) struct Slot {
    pub start: usize,
    pub len: usize,
}

impl Slot {
    /// The next `len` numbers of a vector whose length is `end`, from a cache line on.
    pub(crate) fn after(end: &mut usize, len: usize) -> Self {
        let start = *end;
        *end = (start + len).next_multiple_of(16);
        Self { start, len }
    }

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
pub(crate) fn forward(
    isa: Verified,
    net: &Conditioner<Slot>,
    params: &[f32],
    samples: usize,
    kept: &[f32],
    mut hidden: &mut [f32],
    theta: &mut [f32],
) {
    let last = net.layers.len() - 1;
    let mut theta = Some(theta);
    let mut input = kept;
    for (l, (weight, bias)) in net.layers.iter().enumerate() {
        let out = bias.len;
        let to = match theta.take_if(|_| l == last) {
            Some(theta) => &mut theta[..out * TILE],
            None => hidden.split_off_mut(..out * TILE).expect("room for all"),
        };
        match weight {
            None => {
                for (row, bias) in to.chunks_exact_mut(TILE).zip(bias.of(params)) {
                    row.fill(*bias);
                }
            }
            Some(weight) => isa.run(Product {
                rows: out,
                cols: samples,
                depth: weight.len / out,
                a: weight.of(params),
                a_stride: out,
                a_by_columns: true,
                b: input,
                b_stride: TILE,
                sink: BiasAndActivation {
                    bias: bias.of(params),
                    activation: (l < last).then_some(net.activation),
                    to: &mut *to,
                },
            }),
        }
        input = to;
    }
}

/// Numbers in a matrix of the widest layer.
fn widest(net: &Conditioner<Slot>) -> usize {
    let width = net.layers.iter().map(|(_, b)| b.len).max();
    width.unwrap_or(0).next_multiple_of(16) * TILE
}

/// Scratch numbers of [`backward`]: two matrices of the widest layer.
pub(crate) fn scratch(net: &Conditioner<Slot>) -> usize {
    2 * widest(net)
}

/// From the gradient by theta, in the first rows of the pass's scratch: writes the gradient by the
/// parameters and adds that by the input coordinates, which are the rows `kept`.
pub(crate) fn backward(
    isa: Verified,
    net: &Conditioner<Slot>,
    pass: BackwardPass<'_>,
    kept: Range<usize>,
    hidden: &[f32],
) {
    let (samples, fresh) = (pass.samples, pass.fresh);
    // Transposes the output gradient in the buffer that will hold the input's.
    let (mut output_gradient, mut input_gradient) = pass.scratch.split_at_mut(widest(net));
    let mut end = hidden.len();
    for (l, (weight, bias)) in net.layers.iter().enumerate().rev() {
        let out = bias.len;
        let depth = weight.map_or(0, |weight| weight.len / out);
        let input = if l == 0 {
            &pass.x[kept.clone()]
        } else {
            end -= depth * TILE;
            &hidden[end..end + depth * TILE]
        };
        let wide = out.next_multiple_of(16);
        // A product sums over the samples if they run along its depth, which needs a transpose. That
        // costs about as much as five rows; a single dot product costs about ten operations.
        let transposed = wide / 16 * (320 + 32 * depth) < 10 * (depth + 1) * out;
        if transposed {
            isa.run(Transpose {
                from: output_gradient,
                rows: out,
                samples,
                to: &mut *input_gradient,
                stride: wide,
            });
        }
        let ones = &[1.0; TILE][..];
        for (a, rows, slot) in [(input, depth, *weight), (ones, 1, Some(*bias))] {
            let Some(slot) = slot else { continue };
            let to = slot.of_mut(pass.params_gradient);
            if transposed {
                isa.run(Product {
                    rows,
                    cols: out,
                    depth: samples,
                    a,
                    a_stride: TILE,
                    a_by_columns: false,
                    b: input_gradient,
                    b_stride: wide,
                    sink: AddDense {
                        to,
                        cols: out,
                        fresh,
                    },
                });
            } else {
                isa.run(Dots {
                    a,
                    a_rows: rows,
                    b: output_gradient,
                    b_rows: out,
                    samples,
                    to,
                    fresh,
                });
            }
        }
        let Some(weight) = weight else { continue };
        let weight = weight.of(pass.params);
        if l == 0 {
            let sink = Add(&mut pass.gradient[kept.clone()]);
            times_weights(isa, weight, depth, samples, output_gradient, sink);
        } else {
            let sink = ActivationBackward {
                value: input,
                activation: net.activation,
                to: &mut *input_gradient,
            };
            times_weights(isa, weight, depth, samples, output_gradient, sink);
            std::mem::swap(&mut output_gradient, &mut input_gradient);
        }
    }
}

/// Weights (depth, out) times a layer's output gradient: its input gradient.
fn times_weights<K: Sink>(
    isa: Verified,
    weight: &[f32],
    depth: usize,
    samples: usize,
    output_gradient: &[f32],
    sink: K,
) {
    let out = weight.len() / depth;
    isa.run(Product {
        rows: depth,
        cols: samples,
        depth: out,
        a: weight,
        a_stride: out,
        a_by_columns: false,
        b: output_gradient,
        b_stride: TILE,
        sink,
    });
}
