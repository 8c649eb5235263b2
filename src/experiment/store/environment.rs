//! The file `environment.toml`: what made a run.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::RunDir;
use mdn_core::train::Precision;
use mdn_core::{Error, Result};

const FILE: &str = "environment.toml";

/// What made a run. Its results depend on none of it, rounding and faults of a version apart.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Environment {
    /// What the user typed.
    pub command: String,
    /// Version of the program, with its commit.
    pub version: String,
    /// Where its tensors were.
    pub device: String,
    /// What evaluated the model, such as `fused (avx512)`; nothing where a run failed.
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
    /// What keeps the run from being repeated byte for byte, where something does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl RunDir {
    /// Writes what made the run.
    pub fn write_environment(&self, environment: &Environment) -> Result<PathBuf> {
        let text = toml::to_string(environment)
            .map_err(|e| Error::failed(format!("{FILE}: could not write TOML: {e}")))?;
        self.write(FILE, text.as_bytes())
    }

    /// What made the run; `None` where the file is missing.
    pub fn read_environment(&self) -> Result<Option<Environment>> {
        let path = self.path(FILE);
        if !path.exists() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(&path).map_err(Error::io(&path, "could not read"))?;
        let fault = |e: toml::de::Error| {
            let why = e.message().lines().collect::<Vec<_>>().join(" ");
            Error::request(format!(
                "{}: expected what made a run; got {why} (`mdn train` with --force makes the run anew)",
                path.display()
            ))
        };
        toml::from_str(&text).map(Some).map_err(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_reads_back_and_damage_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunDir(dir.path().to_path_buf());
        assert_eq!(run.read_environment().unwrap(), None);
        let environment = Environment {
            command: "mdn train \"my ring.toml\"".into(),
            version: "0.1.0 (0123456789)".into(),
            device: "cpu".into(),
            kernels: "fused (avx2)".into(),
            threads: 2,
            precision: Precision::F32,
            started: "2026-01-01T00:00:00Z".into(),
            ended: "2026-01-01T00:00:09Z".into(),
            note: None,
        };
        run.write_environment(&environment).unwrap();
        assert_eq!(run.read_environment().unwrap(), Some(environment));
        std::fs::write(run.path(FILE), "version = 1\n").unwrap();
        let said = run.read_environment().unwrap_err().to_string();
        assert!(
            said.contains("environment.toml: expected what made a run; got"),
            "{said}"
        );
    }
}
