//! Parameters, the conditioner network and the optimizer; how they are stored.

pub mod extent;
pub mod mlp;
pub mod optimizer;
pub mod params;
pub mod stored;

pub use params::Params;
