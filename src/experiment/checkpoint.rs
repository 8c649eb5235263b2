//! The file `checkpoint`: the state of a run between two steps.
//!
//! A line that names the format, the SHA-256 of the rest, then [`Saved`] in the format of
//! [postcard](https://postcard.jamesmunns.com). A new file replaces the old one only when it is
//! complete, so there is always a good checkpoint.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::store::{read_if_there, remove_if_there, remove_unfinished, unusable, RunDir, TrialRow};
use mdn_core::nn::params::Snapshot;
use mdn_core::nn::stored;
use mdn_core::train::{Checkpoint, Curves};
use mdn_core::{Error, Result};

const FILE: &str = "checkpoint";
const FORMAT: &str = "mdn checkpoint 2\n";
const SUM: usize = 32;

/// The state of a run between two steps.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Saved {
    /// SHA-256 of the run's `config.toml`.
    pub settings: Vec<u8>,
    /// The finished trials.
    pub trials: Vec<TrialRow>,
    /// Wall time of their training.
    pub seconds: f64,
    /// The best of them.
    pub kept: Option<Kept>,
    /// The trial in progress; `None` between two trials.
    pub current: Option<Checkpoint>,
}

/// The best finished trial.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Kept {
    /// Its number, from 0.
    pub number: usize,
    /// Its validation loss; infinite where it diverged.
    pub loss: f64,
    /// Its weights.
    #[serde(with = "stored::map")]
    pub weights: Snapshot,
    /// How its training went.
    pub trained: Curves,
}

impl RunDir {
    /// Where the checkpoint lies.
    pub fn checkpoint(&self) -> PathBuf {
        self.path(FILE)
    }

    /// Writes the checkpoint.
    pub fn write_checkpoint(&self, saved: &Saved) -> Result<PathBuf> {
        let body = postcard::to_stdvec(saved)
            .map_err(|e| Error::failed(format!("{FILE}: could not be encoded: {e}")))?;
        let mut bytes = FORMAT.as_bytes().to_vec();
        bytes.extend_from_slice(&Sha256::digest(&body));
        bytes.extend_from_slice(&body);
        self.write(FILE, &bytes)
    }

    /// The checkpoint; `None` where there is none.
    /// Fails if the file is damaged, has another format, or is of a run with other `settings`.
    pub fn read_checkpoint(&self, settings: &str) -> Result<Option<Saved>> {
        let path = self.checkpoint();
        let Some(bytes) = read_if_there(&path)? else {
            return Ok(None);
        };
        let refused = |expected: &str, got: &str| {
            let force = "`mdn train` with --force trains the run from its start";
            unusable(&path, format!("expected {expected}; got {got} ({force})"))
        };
        let Some(rest) = bytes.strip_prefix(FORMAT.as_bytes()) else {
            let expected = format!("a file that begins with `{}`", FORMAT.trim());
            return Err(refused(&expected, "another"));
        };
        let body = match rest.split_at_checked(SUM) {
            Some((sum, body)) if Sha256::digest(body).as_slice() == sum => body,
            _ => return Err(refused("a whole file", "one whose checksum is another")),
        };
        let saved: Saved = postcard::from_bytes(body)
            .map_err(|e| refused("the checkpoint of a run", &format!("something else ({e})")))?;
        if saved.settings != digest(settings) {
            let got = "that of a run with other settings";
            return Err(refused("the checkpoint of this run", got));
        }
        Ok(Some(saved))
    }

    /// Removes the checkpoint and temporary files. The caller must hold the lock.
    pub fn remove_leftovers(&self) -> Result<()> {
        remove_unfinished(&self.0)?;
        self.remove_checkpoint()
    }

    /// Removes the checkpoint, if there is one.
    pub fn remove_checkpoint(&self) -> Result<()> {
        remove_if_there(&self.checkpoint())
    }
}

/// The digest of a `config.toml` for [`Saved::settings`].
pub fn digest(settings: &str) -> Vec<u8> {
    Sha256::digest(settings.as_bytes()).to_vec()
}
