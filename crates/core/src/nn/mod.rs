//! Parameters, the conditioner network and the optimizer; how they are stored and how large they are.

use std::ops::Add;

use serde::de::DeserializeOwned;

pub mod mlp;
pub mod optimizer;
pub mod params;
pub mod stored;

pub use params::Params;

/// How many numbers a model holds, from its settings alone: a model that no machine has room for is
/// refused before anything is allocated. Floats, since no setting makes them overflow.
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

    /// A layer that scales and shifts, with this many parameters. It keeps input, output, scale and
    /// shift of a point, four numbers per coordinate.
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

/// The examples of a kind of settings, one per line: a name for tests, a colon, and the settings as an
/// experiment file has them.
///
/// # Panics
/// If a line cannot be read. Examples are in the sources, and tests read all of them.
pub fn examples<T: DeserializeOwned>(lines: &'static str) -> Vec<(&'static str, T)> {
    let named = lines.lines().filter_map(|line| line.split_once(": "));
    named
        .map(|(name, text)| match toml::from_str(text) {
            Ok(settings) => (name, settings),
            Err(e) => panic!("example {name}: {e}"),
        })
        .collect()
}
