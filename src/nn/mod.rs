//! Parameters, the conditioner network and the optimizer.

pub mod mlp;
