//! `mdn rm`

use std::path::PathBuf;

use clap::Args;
use indicatif::BinaryBytes;
use serde_json::json;

use super::common::{named, RESULTS};
use super::ls::size;
use super::output::{print_rows, warn};
use super::{Context, Exit};
use crate::experiment::store::{runs_below, RunDir, State};
use crate::report::figures::files_of_runs;
use mdn_core::{Error, Result};

/// Remove run folders
///
/// Removes only files that `mdn` itself writes, and then the folder if it is empty: any other file stays
/// and is named, and the exit code is then 1. Finished runs need --force; runs held by a process are
/// never removed; links are never followed. Prints the folders that are gone.
#[derive(Debug, Clone, Args)]
pub(super) struct RmArgs {
    /// Folders of runs; with --failed or --interrupted folders to search for them [default: results]
    #[arg(value_name = "DIR", required_unless_present_any = ["failed", "interrupted"])]
    dirs: Vec<PathBuf>,
    /// All failed and diverged runs below DIR
    #[arg(long)]
    failed: bool,
    /// All interrupted runs below DIR
    #[arg(long)]
    interrupted: bool,
    /// Say what would be removed, and remove nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Remove named runs that are done too, those whose status is `running` though no process of this
    /// machine holds them, and those whose status cannot be read
    #[arg(long, conflicts_with_all = ["failed", "interrupted"])]
    force: bool,
    /// Print an object {"folder": ..., "removed": ..., "bytes": ..., "why_not": ...} per folder; with
    /// --dry-run `removed` says what would be
    #[arg(long)]
    json: bool,
}

impl RmArgs {
    /// Whether runs are searched for instead of named.
    fn searches(&self) -> bool {
        self.failed || self.interrupted
    }

    /// Whether a run in this state is removed.
    fn takes(&self, state: State) -> bool {
        match state {
            State::Failed | State::Diverged => self.failed || !self.searches(),
            State::Interrupted => self.interrupted || !self.searches(),
            State::Done | State::Running | State::Missing => self.force,
        }
    }
}

pub(super) fn run(args: &RmArgs, context: &Context) -> Result<Exit> {
    let (runs, mut left) = match args.searches() {
        true => search_runs(args)?,
        false => (named_runs(args)?, 0),
    };
    let figures = files_of_runs();
    let (mut rows, mut gone, mut gone_bytes) = (Vec::new(), 0, 0);
    for place in &runs {
        let bytes = size(place).unwrap_or_default();
        let removed = match args.dry_run {
            true => place.check_removable(&figures),
            false => place.remove(&figures, |state| args.takes(state)),
        };
        let why_not = removed.err().map(|why| why.to_string());
        match &why_not {
            None => {
                gone += 1;
                gone_bytes += bytes;
            }
            Some(why) => {
                left += 1;
                warn(why);
            }
        }
        let folder = place.0.display().to_string();
        let removed = why_not.is_none();
        let object =
            json!({ "folder": folder, "removed": removed, "bytes": bytes, "why_not": why_not });
        if removed || args.json {
            rows.push((vec![folder], object));
        }
    }
    let would = if args.dry_run { "would be " } else { "" };
    // At the end, so that a reader who closes the pipe leaves no work undone.
    print_rows(&[], rows, args.json)?;
    let bytes = BinaryBytes(gone_bytes);
    context.note(&format!("{gone} runs {would}removed, {bytes}"));
    Ok(match left {
        0 => Exit::FINE,
        n => Exit::failed(1, format!("{n} folders {would}left")),
    })
}

/// The runs below the folders that are in the states wanted, and how many folders could not be read.
fn search_runs(args: &RmArgs) -> Result<(Vec<RunDir>, usize)> {
    let mut folders = args.dirs.clone();
    if folders.is_empty() {
        folders.push(PathBuf::from(RESULTS));
    }
    let (mut runs, mut left) = (Vec::new(), 0);
    for folder in &folders {
        let found = runs_below(folder)?;
        left += found.unreadable.len();
        found.unreadable.iter().for_each(|e| warn(&e.to_string()));
        for place in found.runs {
            match place.read_status() {
                // One may be below two of the folders.
                Ok(status) if args.takes(status.state) && !runs.contains(&place) => {
                    runs.push(place);
                }
                Ok(_) => {}
                Err(e) => {
                    left += 1;
                    warn(&e.to_string());
                }
            }
        }
    }
    Ok((runs, left))
}

/// The named runs. Fails if one of them must stay, before any is removed.
fn named_runs(args: &RmArgs) -> Result<Vec<RunDir>> {
    let mut runs = Vec::new();
    for folder in &args.dirs {
        // A slash at the end would follow a link.
        let folder: PathBuf = folder.components().collect();
        if folder.is_symlink() {
            return Err(Error::request(format!(
                "{}: expected the folder of a run; got a link, which is not followed (try the folder \
                 that it leads to)",
                folder.display()
            )));
        }
        let place = named(&folder)?;
        let state = match place.read_status() {
            Ok(status) => status.state,
            Err(_) if args.force => State::Missing,
            Err(e) => return Err(e),
        };
        if !args.takes(state) {
            return Err(Error::request(format!(
                "{}: expected a run that failed, diverged or was interrupted; this one is {} (try \
                 --force)",
                folder.display(),
                state.word()
            )));
        }
        if !runs.contains(&place) {
            runs.push(place);
        }
    }
    Ok(runs)
}
