//! The experiment file, the runs it describes, and the results folder.

use candle_core::Device;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use mdn_core::error::BadValue;

pub mod budget;
pub mod checkpoint;
pub mod config;
pub mod guard;
mod hash;
mod landing;
pub mod memory;
pub mod plan;
pub mod pool;
pub mod run;
pub mod schema;
pub mod search;
pub mod store;
mod task;
pub mod trained;
mod trials;
pub mod weights;

pub use hash::config_hash;
pub use task::Task;

/// Where and with what a run computes: nothing that its results depend on, rounding apart.
#[derive(Debug, Clone)]
pub struct Compute {
    /// Where its tensors are.
    pub device: Device,
    /// What evaluates its model.
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
        BadValue::unless(
            (100..=10_000_000).contains(&self.points),
            "points",
            "100 <= `points` <= 10000000",
            self.points,
        )?;
        BadValue::unless(
            (16..=4000).contains(&self.grid),
            "grid",
            "16 <= `grid` <= 4000",
            self.grid,
        )
    }
}
