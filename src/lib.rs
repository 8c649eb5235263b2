//! `mdn` trains normalizing flows on synthetic multimodal densities and compares them:
//! a flow with a mixture-of-Gaussians base, RAD (Dinh et al. 2019, which folds parts of the
//! data space onto one base) and the baselines that make the comparison honest.
//!
//! # Map
//!
//! Floors from ground to roof. A file imports from lower floors only, and folders on one
//! floor do not see each other (the test `imports_go_down_the_floors` holds this).
//!
//! | floor | modules | what lives there |
//! |---|---|---|
//! | 0 | [`error`], [`rng`], [`num`], [`device`] | what everything else needs |
//! | 1 | [`nn`], [`kmeans`] | named parameters, the conditioner network, the optimizer; clusters of points |
//! | 2 | [`bijections`], [`distributions`] | maps with log-determinants; densities with samplers |
//! | 3 | [`models`], [`data`] | what is trained; what it is trained on, with exact truth |
//! | 4 | [`objectives`], [`metrics`] | what is minimised; what is measured |
//! | 5 | [`train`] | the loop |
//! | 6 | [`experiment`] | the experiment file, the runs it describes, the results folder |
//! | 7 | [`report`] | tables and figures, computed from the results folder alone |
//! | 8 | [`cli`] | one file per verb |
//!
//! # Conventions
//!
//! `z` is the base side, `x` the data side, and `forward` maps z to x. Densities are natural
//! logarithms (nats). Points are rows: `(n, dim)`; log-densities are `(n,)`.

pub mod cli;
pub mod data;
pub mod device;
pub mod error;
pub mod experiment;
pub mod kmeans;
pub mod metrics;
pub mod models;
pub mod nn;
pub mod num;
pub mod objectives;
pub mod report;
pub mod rng;
pub mod train;

pub mod bijections;
pub mod distributions;

pub use error::{Error, Result};
