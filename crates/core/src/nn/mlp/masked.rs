//! The conditioner of an autoregressive bijection: a perceptron with masked weights.

use candle_core::{Device, Tensor};

use super::{hidden_bias, Activation, LastLayer, Mlp};
use crate::nn::Params;
use crate::Result;

/// A perceptron with masked weights, so that an output depends on some of the inputs only (MADE,
/// Germain, Gregor, Murray and Larochelle 2015): input j has degree j = 1..I, hidden units and
/// outputs have degrees of their own, and a unit depends on units of at most its own degree. An
/// output of degree d is then a function of the first d inputs.
///
/// Only weights that are not masked are parameters: one after the other in a vector, or in a matrix
/// (inputs, outputs) where none is masked, as with a single input.
pub struct MaskedMlp {
    weights: Vec<Weight>,
    biases: Vec<Tensor>,
    activation: Activation,
}

/// The weights of a layer.
struct Weight {
    values: Tensor,
    mask: Option<Mask>,
    inputs: usize,
}

/// Which entries of a layer's matrix are weights.
struct Mask {
    /// The entry of each weight, counted row by row.
    places: Vec<usize>,
    /// (inputs * outputs,): the index of each entry's weight; masked entries have the index after
    /// the last weight, which stands for 0.
    sources: Tensor,
}

/// Degrees of `width` units, in ascending order: those of the layer before in equal numbers, the
/// largest always among them, so that no unit is without outputs or inputs.
fn spread(before: &[usize], width: usize) -> Vec<usize> {
    let mut distinct = before.to_vec();
    distinct.dedup();
    let last = |k: usize| ((k + 1) * distinct.len()).div_ceil(width) - 1;
    (0..width).map(|k| distinct[last(k)]).collect()
}

impl MaskedMlp {
    /// Layers of widths `inputs` (at least one), `hidden`.., `degrees.len()`; the outputs have these
    /// degrees, 1 to `inputs`. Weights and biases start as those of [`Mlp::new`], the fan-in being a
    /// unit's own.
    pub fn new(
        params: &Params,
        inputs: usize,
        hidden: &[usize],
        activation: Activation,
        degrees: &[usize],
        last: LastLayer,
    ) -> Result<Self> {
        let mut before: Vec<usize> = (1..=inputs).collect();
        let (mut weights, mut biases) = (Vec::new(), Vec::new());
        for (i, &width) in hidden.iter().enumerate() {
            let layer = params.at(i);
            let after = spread(&before, width);
            let fan_in = |unit: usize| fan_in(&before, after[unit]) as f64;
            let weight = Weight::new(&layer, &before, &after, |unit| {
                (activation.gain() / fan_in(unit)).sqrt()
            })?;
            weights.push(weight);
            biases.push(hidden_bias(&layer, width, fan_in)?);
            before = after;
        }
        let layer = params.at("out");
        weights.push(Weight::new(&layer, &before, degrees, |_| last.std)?);
        biases.push(layer.values("bias", (1, degrees.len()), last.bias)?);
        Ok(Self {
            weights,
            biases,
            activation,
        })
    }

    /// The network with zeros for masked weights; gradients flow to the weights here.
    pub fn dense(&self) -> Result<Mlp> {
        let layers = self.weights.iter().zip(&self.biases);
        Ok(Mlp {
            layers: layers
                .map(|(weight, bias)| Ok((Some(weight.dense(bias.elem_count())?), bias.clone())))
                .collect::<Result<_>>()?,
            activation: self.activation,
        })
    }

    /// The network as the fused kernels know it, and its masks if weights are masked; `None` with an
    /// activation that they do not have.
    pub fn kernel(
        &self,
    ) -> Option<(
        mdn_kernels::Conditioner<Tensor>,
        Option<Vec<mdn_kernels::LayerMask>>,
    )> {
        let layers = self.weights.iter().zip(&self.biases);
        let net = mdn_kernels::Conditioner {
            layers: layers
                .map(|(weight, bias)| (Some(weight.values.clone()), bias.clone()))
                .collect(),
            activation: self.activation.kernel()?,
        };
        let masks = self.weights.iter().map(|weight| mdn_kernels::LayerMask {
            inputs: weight.inputs,
            places: weight.mask.as_ref().map(|mask| mask.places.clone()),
        });
        let masked = self.weights.iter().any(|weight| weight.mask.is_some());
        let masks = masked.then(|| masks.collect());
        Some((net, masks))
    }
}

/// Units of the layer before that a unit of this degree depends on; `before` ascends.
fn fan_in(before: &[usize], degree: usize) -> usize {
    before.partition_point(|d| *d <= degree)
}

impl Weight {
    /// From the degrees before, which ascend, to those after; `std` is that of a unit's weights.
    fn new(
        params: &Params,
        before: &[usize],
        after: &[usize],
        std: impl Fn(usize) -> f64,
    ) -> Result<Self> {
        let (inputs, outputs) = (before.len(), after.len());
        let count: usize = after.iter().map(|d| fan_in(before, *d)).sum();
        let shape = match inputs * outputs {
            all if all == count => vec![inputs, outputs],
            _ => vec![count],
        };
        let places = || {
            let all = 0..inputs * outputs;
            all.filter(|at| before[at / outputs] <= after[at % outputs])
        };
        let values = params.param("weight", shape.clone(), true, |rng| {
            let draws = places().map(|at| std(at % outputs) * rng.normal());
            Ok(Tensor::from_vec(
                draws.collect::<Vec<_>>(),
                shape,
                &Device::Cpu,
            )?)
        })?;
        let mask = if count == inputs * outputs {
            None
        } else {
            let places: Vec<usize> = places().collect();
            let mut sources = vec![count as u32; inputs * outputs];
            for (weight, &at) in places.iter().enumerate() {
                sources[at] = weight as u32;
            }
            let sources = Tensor::from_vec(sources, inputs * outputs, values.device())?;
            Some(Mask { places, sources })
        };
        Ok(Self {
            values,
            mask,
            inputs,
        })
    }

    fn dense(&self, outputs: usize) -> Result<Tensor> {
        let Some(mask) = &self.mask else {
            return Ok(self.values.clone());
        };
        let zero = Tensor::zeros(1, self.values.dtype(), self.values.device())?;
        let all = Tensor::cat(&[&self.values, &zero], 0)?;
        let dense = all.index_select(&mask.sources, 0)?;
        Ok(dense.reshape((self.inputs, outputs))?)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Var};

    use super::*;
    use crate::num::testing::gradient;
    use crate::rng::Rng;

    #[test]
    fn degrees_are_spread_evenly() {
        assert_eq!(spread(&[1, 2, 3], 7), [1, 1, 2, 2, 3, 3, 3]);
        assert_eq!(spread(&[1, 2, 3, 4], 2), [2, 4]);
        // After a narrow layer only the degrees that are left.
        assert_eq!(spread(&[2, 2, 4], 5), [2, 2, 4, 4, 4]);
        assert_eq!(spread(&[1, 2, 3], 1), [3]);
        assert_eq!(spread(&[1], 3), [1, 1, 1]);
    }

    fn net(inputs: usize, hidden: &[usize], degrees: &[usize]) -> (Params, MaskedMlp) {
        let params = Params::seeded(Rng::new(3), DType::F64, &Device::Cpu);
        let last = LastLayer {
            std: 1.0,
            bias: vec![0.5; degrees.len()],
        };
        let net = MaskedMlp::new(&params, inputs, hidden, Activation::Tanh, degrees, last).unwrap();
        (params, net)
    }

    /// An output moves with the inputs up to its degree, where the narrowest layer lets them
    /// through, and with no other: by derivatives.
    #[test]
    fn outputs_see_the_inputs_up_to_their_degree() {
        let degrees = [3, 1, 4, 2];
        for (hidden, seen) in [
            (vec![8, 5], [3, 1, 4, 2]),
            (vec![], [3, 1, 4, 2]),
            // Units of degree 2 and 4 alone.
            (vec![6, 2], [2, 0, 4, 2]),
            (vec![2, 6], [2, 0, 4, 2]),
        ] {
            let (_, net) = net(4, &hidden, &degrees);
            let x = Var::ones((1, 4), DType::F64, &Device::Cpu).unwrap();
            let y = net.dense().unwrap().forward(x.as_tensor()).unwrap();
            for (output, seen) in seen.into_iter().enumerate() {
                let slopes = gradient(&y.narrow(1, output, 1).unwrap(), &x);
                let moved: Vec<bool> = slopes.iter().map(|s| *s != 0.0).collect();
                let expected: Vec<bool> = (0..4).map(|input| input < seen).collect();
                assert_eq!(moved, expected, "{hidden:?}, output {output}");
            }
        }
    }

    /// 3 inputs, 4 hidden units of degrees 1, 2, 3, 3 (3 and 4 give 1 + 2 + 3 + 3 weights), outputs
    /// of degrees 1 to 3, which see 1, 2 and 4 units.
    #[test]
    fn masked_weights_are_not_counted() {
        let (params, _) = net(3, &[4], &[1, 2, 3]);
        assert_eq!(params.count(), (1 + 2 + 3 + 3) + 4 + (1 + 2 + 4) + 3);
        let weights = (1 + 2 + 3 + 3) + (1 + 2 + 4);
        assert_eq!(params.multiply_adds(), Some(weights));
        let (params, _) = net(1, &[8, 8], &[1, 1]);
        assert_eq!(params.count(), 8 + 8 + 64 + 8 + 16 + 2);
        assert_eq!(params.snapshot().unwrap()["1.weight"].dims(), [8, 8]);
    }
}
