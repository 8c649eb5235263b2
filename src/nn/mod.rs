//! Parameters, the conditioner network and the optimizer.

pub mod mlp;
pub mod optimizer;
pub mod params;

pub use params::Params;
