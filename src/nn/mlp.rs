//! The conditioner: a multilayer perceptron.

use serde::{Deserialize, Serialize};

use crate::error::BadValue;

/// Nonlinearity between two layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
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

/// Hidden widths between 1 and 65,536, at most 16 of them.
pub fn check_hidden(hidden: &[usize]) -> std::result::Result<(), BadValue> {
    BadValue::unless(
        hidden.len() <= 16 && hidden.iter().all(|w| (1..=65_536).contains(w)),
        "hidden",
        "at most 16 widths, each between 1 and 65536",
        format!("{hidden:?}"),
    )
}
