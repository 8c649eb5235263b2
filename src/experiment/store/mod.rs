//! The results folder: what a run leaves behind, written atomically and read back.
//!
//! `<out>/<experiment>/<data>/<model>/seed-<n>/` holds
//!
//! | file | what |
//! |---|---|
//! | `config.toml` | the run as an experiment file of its own, every default filled in |
//! | `data.toml` | what is in the file, for data from a file: points, bad rows, classes, splits |
//! | `trained.toml` | where widths or settings were chosen in training: the same with the choice |
//! | `trials.csv` | [`TrialRow`]s, of a run that searched |
//! | `history.csv` | [`HistoryRow`]s |
//! | `rounds.csv` | [`Round`]s, of an objective that has rounds |
//! | `metrics.csv` | [`MetricRow`]s |
//! | `modes.csv` | weight of every mode of the truth, and its share of the model's samples |
//! | `bridges.csv` | by pair of modes, what lies between them of the truth and of the model |
//! | `levels.csv` | for density levels of the truth its own share below and the model's mass there |
//! | `cost.csv` | [`MetricRow`]s that depend on the machine: seconds, steps per second |
//! | `model.safetensors` | the best weights, with metadata |
//! | `picture.safetensors` | a [`Picture`]: what the figures are drawn from |
//! | `environment.toml` | [`Environment`] |
//! | `checkpoint` | where training was, of a run that is not over |
//! | `lock` | which process works on the run, while one does |
//! | `status` | a [`Status`]: its word, then the reason |
//!
//! CSV files have one header line, unknown values are empty cells, and numbers are written with
//! the fewest digits that read back to the same bits, so equal runs leave equal bytes. Every file
//! is written beside its place and then moved there: a reader sees all of it or none of it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use mdn_core::objectives::{Constraint, Round};
pub use mdn_core::train::{HistoryRow, Split};
use mdn_core::{Error, Result};

mod atomic;
mod environment;
mod find;
mod lock;
mod number;
mod picture;
mod removal;
mod rows;
mod status;
mod study;
mod table;
mod trials;
mod within;

pub use atomic::{remove_if_there, remove_unfinished, write_atomic};
pub use environment::Environment;
pub use find::{runs_below, some_runs_below, Found};
pub use lock::{Lock, Locking};
pub use number::{exact, exact_or_empty};
pub use removal::Removal;
pub use study::{Study, StudyDir};
pub use table::csv_bytes;
pub use within::check_within;

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Never started.
    Missing,
    /// Started and not ended (or killed).
    Running,
    /// Ended with metrics.
    Done,
    /// Ended by a loss or gradient that was not finite.
    Diverged,
    /// Ended by an error.
    Failed,
    /// Ended on request, with a checkpoint: training goes on from there.
    Interrupted,
}

/// The file `status`: a state and, for `Diverged` and `Failed`, the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Where the run stands.
    pub state: State,
    /// Why, in one line; empty if there is nothing to say.
    pub reason: String,
}

/// A line of `metrics.csv` or `cost.csv`.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricRow {
    /// Key, such as `kl`.
    pub metric: String,
    /// Unit, such as `nats`.
    pub unit: String,
    /// `lower`, `higher`, `neither` or `near V`.
    pub better: String,
    /// Empty where the metric does not apply: `note` says why.
    pub value: Option<f64>,
    /// Standard error of `value`, empty where there is none.
    pub std_err: Option<f64>,
    /// Number of points it was computed on.
    pub n: usize,
    /// Points left out because their value was not finite.
    pub non_finite: usize,
    /// Why there is no value, or a remark.
    pub note: String,
}

/// A line of `trials.csv`: settings that were tried, and how they did on the validation set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrialRow {
    /// As overrides of the experiment file: `train.learning_rate=0.001`.
    pub settings: Vec<String>,
    /// Loss of the best weights on the validation set, nats.
    pub validation_loss: Option<f64>,
    /// Trainable numbers of the model.
    pub parameters: usize,
    /// The step that the best weights are of.
    pub best_step: usize,
    /// Steps until training ended.
    pub steps: usize,
    /// Why training could not go on, if it diverged.
    pub diverged: Option<String>,
    /// Whether it is the one that was measured.
    pub chosen: bool,
}

/// What the figures of a two-dimensional run are drawn from, so that they can be drawn again
/// without the model. Grids are row by row, `side * side` cell centres, y from low to high and x
/// from low to high within a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// `[(x_min, x_max), (y_min, y_max)]`.
    pub view: [(f64, f64); 2],
    /// Cells along each side.
    pub side: usize,
    /// log p, where the truth is known.
    pub log_p: Option<Vec<f32>>,
    /// log q of the model.
    pub log_q: Vec<f32>,
    /// Which component, branch code or cluster a point belongs to; equal numbers, equal part.
    pub part: Option<Vec<u32>>,
    /// Samples of the model.
    pub samples: Vec<[f32; 2]>,
    /// Held-out points.
    pub points: Vec<[f32; 2]>,
    /// Where they land at the base; `None` for a model without one.
    pub landing: Option<Landing>,
}

/// Where the held-out points of a [`Picture`] land at the model's base, each through its own piece.
#[derive(Debug, Clone, PartialEq)]
pub struct Landing {
    /// z of every point.
    pub z: Vec<[f32; 2]>,
    /// The part of every point, numbered as in [`Picture::part`].
    pub part: Option<Vec<u32>>,
    /// The largest responsibility for every point, of a model with responsibilities.
    pub share: Option<Vec<f32>>,
    /// The mode or class that every point was drawn from, where that is known.
    pub label: Option<Vec<u32>>,
    /// Components of a base that is a mixture of Gaussians.
    pub components: Option<BaseComponents>,
}

/// Components of a base of two dimensions.
#[derive(Debug, Clone, PartialEq)]
pub struct BaseComponents {
    /// alpha_k.
    pub weights: Vec<f32>,
    /// mu_k.
    pub means: Vec<[f32; 2]>,
    /// sigma_k along each axis.
    pub std_devs: Vec<[f32; 2]>,
}

/// One run's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunDir(pub PathBuf);

impl RunDir {
    /// `<out>/<experiment>/<data>/<model>/seed-<n>`. Nothing is made on disk.
    pub fn new(out: &Path, experiment: &str, data: &str, model: &str, seed: u64) -> Self {
        Self::below(&out.join(experiment), data, model, seed)
    }

    /// The same below an experiment's own folder.
    pub fn below(experiment: &Path, data: &str, model: &str, seed: u64) -> Self {
        Self(
            experiment
                .join(data)
                .join(model)
                .join(format!("seed-{seed}")),
        )
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
