//! The experiment file, the runs it describes, and the results folder.

use candle_core::Device;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use mdn_core::error::{did_you_mean, BadValue};
use mdn_core::models::ModelSpec;

pub mod checkpoint;
pub mod config;
pub mod control;
pub mod plan;
pub mod pool;
mod prepared;
mod program;
pub mod run;
pub mod search;
pub mod store;
mod task;
pub mod trained;
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

/// "`rda` (did you mean `rad`?); expected one of `plain`, `rad`"
fn not_among(name: &str, known: &[&str]) -> String {
    let hint = did_you_mean(name, known.iter().copied());
    let known = quoted(known.iter().copied());
    format!("`{name}`{hint}; expected one of {known}")
}

/// Where and with which kernels a run computes. Results depend on it by rounding alone.
#[derive(Debug, Clone)]
pub struct Compute {
    /// The device of its tensors.
    pub device: Device,
    /// The kernels that evaluate its model.
    pub kernels: mdn_kernels::Choice,
}

impl Compute {
    /// The number of parallel runs: as asked for, else from the environment, else one per core; only what
    /// is asked for, else one, where the device is not the CPU.
    pub fn threads(&self, asked: Option<usize>, environment: Option<usize>) -> usize {
        match self.device.is_cpu() {
            true => pool::threads(asked, environment),
            false => asked.unwrap_or(1),
        }
    }
}

/// The table `[budget]` of an experiment file.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Budget {
    /// Trainable numbers of every model, within 3 %: all its widths (the lists `hidden`) are
    /// multiplied by a common factor. Models without widths stay as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<usize>,
    /// Wall time of every training, validations included, in seconds: it ends there, or after
    /// `train.steps` if that is sooner. Learning-rate schedules follow the clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
}

impl Budget {
    /// Whether there is no limit.
    pub fn is_empty(&self) -> bool {
        self.parameters.is_none() && self.seconds.is_none()
    }

    /// What is wrong with the settings, if anything.
    pub fn check(&self) -> Result<(), BadValue> {
        if let Some(n) = self.parameters {
            BadValue::within("parameters", n, 1, 10_000_000)?;
        }
        if let Some(s) = self.seconds {
            let expected = "0.01 <= `seconds` <= 1e7";
            BadValue::unless((0.01..=1e7).contains(&s), "seconds", expected, s)?;
        }
        Ok(())
    }

    /// The model as it is trained over `dim` coordinates, with its trainable numbers where they are
    /// known before there are points.
    pub fn apply(
        &self,
        model: &ModelSpec,
        dim: usize,
    ) -> Result<(ModelSpec, Option<usize>), BadValue> {
        let cannot = |e| BadValue::new("hidden", "a model that can be built", e);
        if let Some(n) = self.parameters {
            if let Some(sized) = model.sized(dim, n).map_err(cannot)?? {
                return Ok((sized.model, Some(sized.parameters)));
            }
        }
        // A model that needs points before it can be counted is counted when it is trained.
        let parameters = model.parameters(dim).ok().flatten();
        Ok((model.clone(), parameters))
    }
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
        BadValue::within("points", self.points, 100, 10_000_000)?;
        BadValue::within("grid", self.grid, 16, 4000)
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
