//! Targets that another program computes. It is started by whoever calls: this crate starts none.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::file::sha256;
use super::LogDensity;
use crate::error::BadValue;
use crate::{Error, Result};

/// `program = { command = ["python3", "target.py"], dim = 10 }`
///
/// A long-lived child process computes log p~ and its gradient. It reads arrays of points, (n, D) in
/// float64 as `.npy`, from its stdin, one after another until the end of file, and answers each on its
/// stdout with a `.npy` array of n rows: log p~ and the D numbers of its gradient, or log p~ alone.
/// Everything else goes to its stderr. It must be deterministic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProgramSpec {
    /// The program and its arguments, without a shell.
    pub command: Vec<String>,
    /// D.
    pub dim: usize,
    /// Seconds that an answer may take.
    #[serde(default = "minute")]
    pub timeout: f64,
    /// The folder in which it runs, relative to that of the experiment file, which is the default.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub folder: PathBuf,
    /// SHA-256 of the files that `command` names; a file with another one is refused. The record of a run
    /// has it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
}

fn minute() -> f64 {
    60.0
}

fn is_empty(path: &PathBuf) -> bool {
    path.as_os_str().is_empty()
}

/// The most coordinates of a point.
const LARGEST: usize = 1000;

impl ProgramSpec {
    /// D, or what is wrong with the settings.
    pub(super) fn check(&self) -> Result<usize, BadValue> {
        let named = self.command.first().is_some_and(|first| !first.is_empty());
        let expected = "a program and its arguments, as in `[\"python3\", \"target.py\"]`";
        let got = format!("{:?}", self.command);
        BadValue::unless(named, "command", expected, got)?;
        BadValue::within("dim", self.dim, 1, LARGEST)?;
        BadValue::within("timeout", self.timeout, 0.01, 1e6)?;
        Ok(self.dim)
    }

    /// Writes the checksums of the files that the command names into the settings.
    pub(super) fn settle(&mut self) -> Result<(), BadValue> {
        let known = std::mem::take(&mut self.files);
        for word in &self.command {
            let path = self.folder.join(word);
            // Other words are options, or programs that are found by their name.
            let Some(bytes) = path.is_file().then(|| std::fs::read(&path)) else {
                continue;
            };
            let sum = bytes.map(|bytes| sha256(&bytes)).map_err(|e| {
                BadValue::new("command", "files that can be read", format!("`{word}` ({e})"))
            })?;
            if let Some(known) = known.get(word).filter(|known| **known != sum) {
                let got = format!("one with {sum}: it has changed");
                let expected = format!("`{word}` with SHA-256 {known}");
                return Err(BadValue::new("files", expected, got));
            }
            self.files.insert(word.clone(), sum);
        }
        Ok(())
    }

    /// The command in one line.
    pub fn shown(&self) -> String {
        self.command.join(" ")
    }
}

/// Starts the programs of targets.
pub trait Programs: Debug + Send + Sync {
    /// The density that a program computes, which ends when it is dropped.
    ///
    /// # Errors
    /// If the program cannot be started, or must not be.
    fn start(&self, spec: &ProgramSpec) -> Result<Box<dyn LogDensity>>;
}

/// Refuses to start any.
#[derive(Debug, Clone, Copy)]
pub struct NoPrograms;

impl Programs for NoPrograms {
    fn start(&self, spec: &ProgramSpec) -> Result<Box<dyn LogDensity>> {
        Err(Error::request(format!(
            "the program `{}`: only training runs it, with --run-programs (`mdn train`, `mdn compare`)",
            spec.shown()
        )))
    }
}
