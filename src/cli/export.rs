//! `mdn export`

use std::path::{Path, PathBuf};

use clap::Args;

use super::facts::Facts;
use super::output::written;
use super::Exit;
use crate::experiment::store::{some_runs_below, write_atomic};
use crate::report::tensorboard;
use mdn_core::{Error, Result};

/// Write runs in the format of another program
///
/// For TensorBoard, a folder per run, <data>/<model>/seed-<n> (behind the experiment's name where the
/// runs are of several), with losses and gradient norm by step, rounds of maximum entropy, and the
/// metrics with their standard errors at the last step. Event times are the run's start, so the same
/// run gives the same bytes; without a record of it they are 0. Prints the files that were written.
#[derive(Debug, Clone, Args)]
pub(super) struct ExportArgs {
    /// Folders of runs, or above several
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<PathBuf>,
    /// Write TensorBoard event files below this folder
    #[arg(long, value_name = "DIR")]
    tensorboard: PathBuf,
    /// Print an object {"file": ...} per file
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &ExportArgs) -> Result<Exit> {
    let mut all: Vec<Facts> = Vec::new();
    for folder in &args.runs {
        for place in some_runs_below(folder)? {
            if all.iter().all(|f| f.place != place) {
                all.push(Facts::read(place)?);
            }
        }
    }
    let files = destinations(&args.tensorboard, &all)?;
    for (file, facts) in files.iter().zip(&all) {
        write_atomic(file, &tensorboard::event_file(&facts.place)?)?;
    }
    written(&files, args.json)?;
    Ok(Exit::FINE)
}

/// Where the file of each run goes: all different.
fn destinations(to: &Path, all: &[Facts]) -> Result<Vec<PathBuf>> {
    let experiment = |f: &Facts| f.spec.experiment.clone();
    let several = all.iter().any(|f| experiment(f) != experiment(&all[0]));
    let mut files: Vec<PathBuf> = Vec::new();
    for facts in all {
        let folder = match several {
            true => to.join(experiment(facts)),
            false => to.to_path_buf(),
        };
        let file = folder.join(facts.spec.label()).join(tensorboard::FILE);
        if let Some(i) = files.iter().position(|f| *f == file) {
            return Err(Error::request(format!(
                "{} and {}: expected runs of different names; got `{}` twice (export them into two \
                 folders)",
                all[i].folder(),
                facts.folder(),
                facts.spec.label()
            )));
        }
        files.push(file);
    }
    Ok(files)
}
