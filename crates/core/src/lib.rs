//! The science of `mdn`: densities, models, their training and metrics. It knows no run folder, no
//! report and no terminal.
//!
//! # Map
//!
//! A module imports modules of lower floors only; modules on one floor do not see each other, those
//! of floor 0 apart (the test `floors` of the package `mdn` reads this table).
//!
//! | floor | modules | what lives there |
//! |---|---|---|
//! | 0 | [`error`], [`rng`], [`num`], [`rows`], [`device`], [`expression`], [`kmeans`], [`em`], `tree` | what everything else needs; clusters of points |
//! | 1 | [`nn`], [`statistics`] | named parameters, the conditioner network, the optimizer; T(x) |
//! | 2 | [`bijections`], [`distributions`] | maps with log-determinants; densities with samplers |
//! | 3 | [`models`], [`data`] | what is trained; what it is trained on, with exact truth |
//! | 4 | [`objectives`], [`metrics`] | what is minimised; what is measured |
//! | 5 | [`train`], [`study`] | the loop; what the estimators of a mixture base are worth |
//!
//! The fused kernels are the crate `mdn_kernels`.
//!
//! # Conventions
//!
//! `z` is the base side, `x` the data side, and `forward` maps z to x. Densities are natural
//! logarithms (nats). Points are rows: `(n, dim)`; log-densities are `(n,)`.

pub mod bijections;
pub mod data;
pub mod device;
pub mod distributions;
pub mod em;
pub mod error;
pub mod expression;
pub mod kmeans;
pub mod metrics;
pub mod models;
pub mod nn;
pub mod num;
pub mod objectives;
pub mod rng;
pub mod rows;
pub mod statistics;
pub mod study;
pub mod train;
mod tree;

pub use error::{Error, Result};
