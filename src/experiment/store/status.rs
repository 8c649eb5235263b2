//! The file `status`, with the state on the first line and the reason on the second, and the file
//! `environment.toml`: how and where a run was made.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{read_if_there, unusable, RunDir};
use crate::experiment::quoted;
use mdn_core::error::shortened;
use mdn_core::train::Precision;
use mdn_core::{Error, Result};

const FILE: &str = "status";
const ENVIRONMENT: &str = "environment.toml";

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Never started.
    Missing,
    /// Started and not ended, or killed.
    Running,
    /// Ended on request with a checkpoint, from which training continues.
    Interrupted,
    /// Ended with metrics.
    Done,
    /// Ended by a loss or gradient that was not finite.
    Diverged,
    /// Ended by an error.
    Failed,
}

/// The file `status`: a state and the reason for `Diverged` and `Failed`; for `Done` what is wrong with
/// the run, if it learned nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Where the run stands.
    pub state: State,
    /// Why, in one line; empty if there is nothing to say.
    pub reason: String,
}

impl State {
    /// Every state, in the order of a run's life.
    pub const ALL: [Self; 6] = [
        Self::Missing,
        Self::Running,
        Self::Interrupted,
        Self::Done,
        Self::Diverged,
        Self::Failed,
    ];

    /// The word in files.
    pub fn word(self) -> &'static str {
        const WORDS: [&str; 6] = [
            "missing",
            "running",
            "interrupted",
            "done",
            "diverged",
            "failed",
        ];
        WORDS[self as usize]
    }
}

impl Status {
    /// A state without a reason.
    pub fn of(state: State) -> Self {
        Self::because(state, "")
    }

    /// A state with the reason, joined to one line.
    pub fn because(state: State, reason: &str) -> Self {
        Self {
            state,
            reason: reason.split_whitespace().collect::<Vec<_>>().join(" "),
        }
    }

    /// Whether the run is done and worth no more than its start.
    pub fn learned_nothing(&self) -> bool {
        self.state == State::Done && !self.reason.is_empty()
    }

    /// The state in words.
    pub fn words(&self) -> String {
        match self.learned_nothing() {
            true => format!("{}, but learned nothing", self.state.word()),
            false => self.state.word().to_owned(),
        }
    }

    /// The state, and the reason, if there is one, between `before` and `after`.
    pub fn text(&self, before: &str, after: &str) -> String {
        let state = self.words();
        match self.reason.as_str() {
            "" => state,
            reason => format!("{state}{before}{reason}{after}"),
        }
    }
}

impl RunDir {
    /// Writes where the run stands.
    pub fn write_status(&self, status: &Status) -> Result<PathBuf> {
        let Status { state, reason } = Status::because(status.state, &status.reason);
        self.write(FILE, format!("{}\n{reason}\n", state.word()).as_bytes())
    }

    /// Where the run stands: [`State::Missing`] where there is no folder or no status yet.
    pub fn read_status(&self) -> Result<Status> {
        let path = self.path(FILE);
        let Some(bytes) = read_if_there(&path)? else {
            return Ok(Status::of(State::Missing));
        };
        // Bytes that are not text are an unknown state.
        let text = String::from_utf8_lossy(&bytes);
        let mut lines = text.lines();
        let word = lines.next().unwrap_or_default().trim();
        match State::ALL.into_iter().find(|s| s.word() == word) {
            Some(state) => Ok(Status::because(state, lines.next().unwrap_or_default())),
            None => Err(Error::request(format!(
                "{}:1: expected one of {}; got `{}` (`mdn train` with --force repeats the run)",
                path.display(),
                quoted(State::ALL.map(State::word)),
                shortened(word, 100),
            ))),
        }
    }
}

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
            .map_err(|e| Error::failed(format!("{ENVIRONMENT}: could not write TOML: {e}")))?;
        self.write(ENVIRONMENT, text.as_bytes())
    }

    /// Reads `environment.toml`; `None` where it is missing.
    pub fn read_environment(&self) -> Result<Option<Environment>> {
        let path = self.path(ENVIRONMENT);
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
