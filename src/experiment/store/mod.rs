//! The results folder: the files of a run, written atomically and read back.
//!
//! `mdn train --help` lists the files of `<out>/<experiment>/<data>/<model>/seed-<n>/`.
//!
//! CSV files have one header line, unknown values are empty cells, and numbers are written with
//! the fewest digits that read back to the same bits, so equal runs leave equal bytes. Every file
//! is written under a temporary name and then moved: a reader sees all of it or none of it.

use std::fs::DirEntry;
use std::path::{Path, PathBuf};

pub use mdn_core::objectives::{Constraint, Round};
pub use mdn_core::train::{HistoryRow, Split};
use mdn_core::{Error, Result};

mod find;
mod lock;
mod picture;
mod removal;
mod rows;
mod status;
mod table;
mod write;

pub use find::{runs_below, some_runs_below, Found};
pub use lock::{Lock, Locking};
pub use picture::{BaseComponents, Landing, Picture, SHARES};
pub use rows::{MetricRow, TrialRow};
pub use status::{Environment, State, Status};
pub use table::{csv_rows, exact, json_rows, read_rows};
pub use write::{
    check_within, read_if_there, remove_if_there, remove_unfinished, unusable, write_atomic,
};

/// The folder of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunDir(pub PathBuf);

impl RunDir {
    /// `<data>/<model>/seed-<n>` below the folder of an experiment. Nothing is created on disk.
    pub fn below(experiment: &Path, data: &str, model: &str, seed: u64) -> Self {
        let runs = experiment.join(data).join(model);
        Self(runs.join(format!("seed-{seed}")))
    }

    /// Where the file `name` of this run lies.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Whether the files of a run that has ended in `state` are all there, and none is empty.
    pub fn is_complete(&self, state: State) -> bool {
        let mut names = vec!["config.toml", "history.csv", "model.safetensors"];
        if state == State::Done {
            names.extend(["metrics.csv", "cost.csv"]);
        }
        let full = |name: &&str| self.path(name).metadata().is_ok_and(|m| m.len() > 0);
        names.iter().all(full)
    }

    /// What is in the folder.
    pub fn entries(&self) -> Result<Vec<DirEntry>> {
        let entries = std::fs::read_dir(&self.0).and_then(Iterator::collect);
        entries.map_err(Error::io(&self.0, "could not read"))
    }

    /// Makes the folder, with those above it.
    pub fn create(&self) -> Result<()> {
        std::fs::create_dir_all(&self.0).map_err(Error::io(&self.0, "could not make the folder"))
    }

    /// Writes the file `name` of this run, atomically, and says where it lies.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf> {
        let path = self.path(name);
        write_atomic(&path, bytes)?;
        Ok(path)
    }
}
