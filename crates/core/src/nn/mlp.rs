//! The conditioner: a multilayer perceptron.

use candle_core::{DType, Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Params;
use crate::error::BadValue;
use crate::Result;

mod masked;

pub use masked::MaskedMlp;

/// Nonlinearity between two layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// max(0, v)
    #[default]
    Relu,
    /// tanh v
    Tanh,
    /// v sigmoid(v)
    Silu,
    /// v Phi(v)
    Gelu,
}

impl Activation {
    fn apply(self, v: &Tensor) -> Result<Tensor> {
        Ok(match self {
            // `relu` turns NaN into 0 on a CPU, which would hide a broken weight.
            Self::Relu => v.maximum(&v.zeros_like()?)?,
            Self::Tanh => v.tanh()?,
            Self::Silu => v.silu()?,
            Self::Gelu => v.gelu_erf()?,
        })
    }

    /// As the fused kernels know it, if they do.
    fn kernel(self) -> Option<mdn_kernels::Activation> {
        match self {
            Self::Relu => Some(mdn_kernels::Activation::Relu),
            Self::Tanh => Some(mdn_kernels::Activation::Tanh),
            Self::Silu | Self::Gelu => None,
        }
    }

    // Keeps the variance of the signal: 2/inputs after a rectifier (He et al. 2015), 1/inputs after
    // tanh (LeCun et al. 1998).
    fn gain(self) -> f64 {
        match self {
            Self::Tanh => 1.0,
            Self::Relu | Self::Silu | Self::Gelu => 2.0,
        }
    }
}

/// Hidden widths between 1 and 65,536, at most 16 of them.
pub fn check_hidden(hidden: &[usize]) -> Result<(), BadValue> {
    BadValue::unless(
        hidden.len() <= 16 && hidden.iter().all(|w| (1..=65_536).contains(w)),
        "hidden",
        "at most 16 widths, each between 1 and 65536",
        format!("{hidden:?}"),
    )
}

/// y = W_L s(... s(x W_1 + b_1) ...) + b_L. With no inputs at all, y = b_L: free parameters that
/// are the same for every point.
pub struct Mlp {
    layers: Vec<(Option<Tensor>, Tensor)>,
    activation: Activation,
}

/// How the last layer of a [`Mlp`] starts.
pub struct LastLayer {
    /// Standard deviation of its weights; 0 makes the network constant at the start.
    pub std: f64,
    /// Its biases, one per output.
    pub bias: Vec<f64>,
}

impl LastLayer {
    /// A network that gives zeros at the start.
    pub fn zero(outputs: usize) -> Self {
        Self {
            std: 0.0,
            bias: vec![0.0; outputs],
        }
    }
}

/// From U(-1, 1) / sqrt(fan_in), the fan-in being a unit's own.
fn hidden_bias(layer: &Params, width: usize, fan_in: impl Fn(usize) -> f64) -> Result<Tensor> {
    layer.param("bias", (1, width), true, |rng| {
        let draws = (0..width).map(|unit| (2.0 * rng.uniform() - 1.0) / fan_in(unit).sqrt());
        Ok(Tensor::from_vec(
            draws.collect::<Vec<_>>(),
            (1, width),
            &Device::Cpu,
        )?)
    })
}

impl Mlp {
    /// Layers of widths `inputs`, `hidden`.., `last.bias.len()`. Hidden weights start from
    /// N(0, g / fan_in), hidden biases from U(-1, 1) / sqrt(fan_in): with one input, biases of 0
    /// would put every kink at the same place.
    pub fn new(
        params: &Params,
        inputs: usize,
        hidden: &[usize],
        activation: Activation,
        last: LastLayer,
    ) -> Result<Self> {
        let outputs = last.bias.len();
        let mut layers = Vec::new();
        let mut width = inputs;
        if inputs > 0 {
            for (i, &next) in hidden.iter().enumerate() {
                let layer = params.at(i);
                let fan_in = width as f64;
                let weight =
                    layer.normal("weight", (width, next), (activation.gain() / fan_in).sqrt())?;
                let bias = hidden_bias(&layer, next, |_| fan_in)?;
                layers.push((Some(weight), bias));
                width = next;
            }
        }
        let layer = params.at("out");
        let weight = match width {
            0 => None,
            _ => Some(layer.normal("weight", (width, outputs), last.std)?),
        };
        layers.push((weight, layer.values("bias", (1, outputs), last.bias)?));
        Ok(Self { layers, activation })
    }

    /// Weights and biases, layer by layer.
    pub fn parameters(&self) -> Vec<&Tensor> {
        let each = self.layers.iter();
        each.flat_map(|(weight, bias)| weight.iter().chain([bias]))
            .collect()
    }

    /// The network as the fused kernels know it; `None` with an activation that they do not have.
    pub fn kernel(&self) -> Option<mdn_kernels::Conditioner<Tensor>> {
        Some(mdn_kernels::Conditioner {
            layers: self.layers.clone(),
            activation: self.activation.kernel()?,
        })
    }

    /// `x`: (n, inputs), also with no inputs; returns (n, outputs).
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let n = x.dim(0)?;
        let dtype = self.layers.first().map_or(DType::F32, |(_, b)| b.dtype());
        // The bias as a product with ones: its gradient is then a matrix product, not a strided sum.
        let ones = Tensor::ones((n, 1), dtype, x.device())?;
        let mut v = x.clone();
        for (i, (weight, bias)) in self.layers.iter().enumerate() {
            let shift = ones.matmul(bias)?;
            v = match weight {
                Some(weight) => (v.matmul(weight)? + shift)?,
                None => shift,
            };
            if i + 1 < self.layers.len() {
                v = self.activation.apply(&v)?;
            }
        }
        Ok(v)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::num::testing::{values, Faults};
    use crate::rng::Rng;

    const ALL: [Activation; 4] = [
        Activation::Relu,
        Activation::Tanh,
        Activation::Silu,
        Activation::Gelu,
    ];

    #[test]
    fn a_broken_weight_shows_with_every_activation() {
        for activation in ALL {
            let params = Params::seeded(Rng::new(1), DType::F64, &Device::Cpu);
            let last = LastLayer {
                std: 1.0,
                bias: vec![0.0; 2],
            };
            let mlp = Mlp::new(&params, 3, &[4], activation, last).unwrap();
            let x = Tensor::ones((5, 3), DType::F64, &Device::Cpu).unwrap();
            let clean = values(&mlp.forward(&x).unwrap());
            assert!(clean.iter().all(|v| v.is_finite()), "{activation:?}");
            let (_, weight) = &params.trainable()[1];
            weight
                .set(&(weight.as_tensor() * f64::NAN).unwrap())
                .unwrap();
            let broken = values(&mlp.forward(&x).unwrap());
            assert!(broken.iter().all(|v| v.is_nan()), "{activation:?}");
        }
    }

    /// One hidden unit of each kind by hand: y = 3 s(2 x + 1) - 1 at x = -2 and 1.
    #[test]
    fn values_by_hand() {
        let tensor = |v: f64| Tensor::full(v, (1, 1), &Device::Cpu).unwrap();
        let given = [
            ("0.weight", 2.0),
            ("0.bias", 1.0),
            ("out.weight", 3.0),
            ("out.bias", -1.0),
        ];
        let by_hand = |activation, v: f64| match activation {
            Activation::Relu => v.max(0.0),
            Activation::Tanh => v.tanh(),
            Activation::Silu => v / (1.0 + (-v).exp()),
            Activation::Gelu => 0.5 * v * (1.0 + libm::erf(v / std::f64::consts::SQRT_2)),
        };
        let mut faults = Faults::default();
        for activation in ALL {
            let params = Params::holding(given.map(|(name, v)| (name, tensor(v))));
            let mlp = Mlp::new(&params, 1, &[1], activation, LastLayer::zero(1)).unwrap();
            let x = Tensor::new(&[[-2.0], [1.0]], &Device::Cpu).unwrap();
            let got = values(&mlp.forward(&x).unwrap());
            let expected = [-2.0, 1.0].map(|x| 3.0 * by_hand(activation, 2.0 * x + 1.0) - 1.0);
            faults.near(&format!("{activation:?}"), &got, &expected, |_| 1e-6);
        }
        faults.none();
    }
}
