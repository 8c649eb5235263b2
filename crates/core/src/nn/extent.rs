//! How large something will be, from its settings alone: a size that no machine has room for must
//! be refused before anything is allocated.

use std::ops::Add;

/// Counts of numbers, as floats: no setting is so large that they overflow.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Extent {
    /// Trainable numbers, to within a few percent.
    pub parameters: f64,
    /// Numbers per point that a training step holds until the backward pass.
    pub per_point: f64,
}

impl Extent {
    /// A conditioner: its weights and biases, and for every point the values of each layer before
    /// and after the nonlinearity.
    pub fn net(inputs: f64, hidden: &[usize], outputs: f64) -> Self {
        let mut extent = Self::default();
        let mut before = inputs;
        for width in hidden.iter().map(|w| *w as f64).chain([outputs]) {
            extent.parameters += (before + 1.0) * width;
            extent.per_point += 2.0 * width;
            before = width;
        }
        extent
    }

    /// A layer of so many parameters that scales and shifts: of a point it keeps input, output,
    /// scale and shift, four numbers a coordinate.
    pub fn layer(dim: usize, parameters: f64) -> Self {
        Self {
            parameters,
            per_point: 4.0 * dim as f64,
        }
    }

    /// `n` of them, one after the other.
    pub fn times(self, n: f64) -> Self {
        Self {
            parameters: n * self.parameters,
            per_point: n * self.per_point,
        }
    }
}

impl Add for Extent {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            parameters: self.parameters + other.parameters,
            per_point: self.per_point + other.per_point,
        }
    }
}
