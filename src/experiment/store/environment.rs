//! The file `environment.toml`: how and where a run was made.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{read_if_there, unusable, RunDir};
use mdn_core::train::Precision;
use mdn_core::{Error, Result};

const FILE: &str = "environment.toml";

/// How and where a run was made. Results depend on it only by rounding and by bugs of a version.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Environment {
    /// What the user typed.
    pub command: String,
    /// Version of the program, with its commit.
    pub version: String,
    /// The device of its tensors.
    pub device: String,
    /// Kernels that evaluated the model, such as `fused (avx512)`; empty if the run failed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kernels: String,
    /// Threads of this run.
    pub threads: usize,
    /// Floating-point format.
    pub precision: Precision,
    /// Time of its start, RFC 3339.
    pub started: String,
    /// Time of its end.
    pub ended: String,
    /// Why the run cannot be repeated byte for byte, if it cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl RunDir {
    /// Writes `environment.toml`.
    pub fn write_environment(&self, environment: &Environment) -> Result<PathBuf> {
        let text = toml::to_string(environment)
            .map_err(|e| Error::failed(format!("{FILE}: could not write TOML: {e}")))?;
        self.write(FILE, text.as_bytes())
    }

    /// Reads `environment.toml`; `None` where it is missing.
    pub fn read_environment(&self) -> Result<Option<Environment>> {
        let path = self.path(FILE);
        let Some(bytes) = read_if_there(&path)? else {
            return Ok(None);
        };
        let fault = |e: toml::de::Error| {
            let why = e.message().lines().collect::<Vec<_>>().join(" ");
            let force = "`mdn train` with --force repeats the run";
            let why = format!("expected what made a run; got {why} ({force})");
            unusable(&path, why)
        };
        toml::from_slice(&bytes).map(Some).map_err(fault)
    }
}
