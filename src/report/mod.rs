//! Tables and figures, computed from the results folder alone.

use std::path::{Path, PathBuf};

use crate::experiment::store::RunDir;
use crate::Result;

/// Which runs a comparison is over, and how to name it.
#[derive(Debug, Clone)]
pub struct Comparison<'a> {
    /// Name of the experiment.
    pub experiment: &'a str,
    /// `<out>/<experiment>`: the runs lie below it, and the report is written into it.
    pub dir: &'a Path,
    /// Data sets, in the order of the file.
    pub data: &'a [String],
    /// Models, in the order of the file.
    pub models: &'a [String],
    /// Seeds.
    pub seeds: &'a [u64],
    /// The model that the others are compared with, pairwise by seed.
    pub reference: Option<&'a str>,
    /// What the user typed: every figure says it.
    pub command: &'a str,
}

/// What [`compare`] found and wrote.
#[derive(Debug, Clone)]
pub struct Report {
    /// The table for a terminal, with a line on what each interval is over.
    pub table: String,
    /// The same rows as written to `summary.csv`, as JSON.
    pub json: serde_json::Value,
    /// What the reader must know: diverged or missing runs, fewer than 3 seeds.
    pub warnings: Vec<String>,
    /// Files written.
    pub files: Vec<PathBuf>,
}

/// Reads the runs, writes `runs.csv`, `summary.csv`, `summary.md` and `figures/`.
pub fn compare(what: &Comparison<'_>) -> Result<Report> {
    let _ = what;
    Err(crate::Error::failed("replaced soon"))
}

/// Draws `density.png` (two-dimensional runs) and `training.png` into the run's folder.
pub fn draw_run(place: &RunDir, command: &str) -> Result<Vec<PathBuf>> {
    let _ = (place, command);
    Err(crate::Error::failed("replaced soon"))
}
