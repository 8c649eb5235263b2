//! `mdn` trains normalizing flows on synthetic multimodal densities and compares them:
//! a flow with a mixture-of-Gaussians base, RAD (Dinh et al. 2019, which folds parts of the
//! data space onto one base) and the baselines that make the comparison honest.
//!
//! # Map
//!
//! Three crates: `mdn_kernels` (fused CPU operations, all unsafe code), [`mdn_core`] (the science,
//! with a map of its own) and this one, the application. A module imports modules of lower floors
//! only; modules on one floor do not see each other (the test `floors` reads this table).
//!
//! | floor | modules | what lives there |
//! |---|---|---|
//! | 0 | [`experiment`] | the experiment file, the runs it describes, the results folder |
//! | 1 | [`report`], [`mod@bench`] | tables and figures, computed from the results folder alone; speed |
//! | 2 | [`cli`] | one file per verb |

pub mod bench;
pub mod cli;
pub mod experiment;
pub mod report;

/// Version of the program, with the commit where it was built from a repository.
pub const VERSION: &str = env!("MDN_VERSION");
