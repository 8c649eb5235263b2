//! The experiment file, the runs it describes, and the results folder.

use candle_core::Device;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use mdn_core::error::BadValue;

pub mod budget;
pub mod checkpoint;
pub mod config;
pub mod control;
pub mod memory;
pub mod plan;
pub mod pool;
mod prepared;
pub mod run;
pub mod search;
pub mod store;
mod task;
pub mod trained;
mod trials;
pub mod weights;

pub use config::schema;
pub use task::Task;

/// The first 12 hexadecimal digits of the SHA-256 of settings as TOML, every default filled in: of
/// an experiment ([`config::Config::to_toml`]) or of one run (its `config.toml`). Equal
/// settings, equal hash.
pub fn config_hash(toml: &str) -> String {
    let digest = Sha256::digest(toml.as_bytes());
    digest[..6].iter().map(|b| format!("{b:02x}")).collect()
}

/// "`a`, `b`"
fn quoted<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.into_iter().map(|n| format!("`{n}`")).collect();
    names.join(", ")
}

/// Where and with which kernels a run computes. Results depend on it by rounding alone.
#[derive(Debug, Clone)]
pub struct Compute {
    /// The device of its tensors.
    pub device: Device,
    /// The kernels that evaluate its model.
    pub kernels: mdn_kernels::Choice,
}

/// The table `[evaluation]` of an experiment file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EvaluationSpec {
    /// Held-out points, and as many samples of the model, that the metrics are computed on.
    pub points: usize,
    /// Cells along each side of the grid that densities are integrated and drawn on.
    pub grid: usize,
}

impl Default for EvaluationSpec {
    fn default() -> Self {
        Self {
            points: 100_000,
            grid: 400,
        }
    }
}

impl EvaluationSpec {
    /// What is wrong with the settings, if anything.
    pub fn check(&self) -> Result<(), BadValue> {
        let (points, grid) = (self.points, self.grid);
        let (expected, fits) = ("100 <= `points` <= 10000000", 100..=10_000_000);
        BadValue::unless(fits.contains(&points), "points", expected, points)?;
        let expected = "16 <= `grid` <= 4000";
        BadValue::unless((16..=4000).contains(&grid), "grid", expected, grid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_beginning_of_sha_256() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(config_hash("abc"), "ba7816bf8f01");
    }
}
