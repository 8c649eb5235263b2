//! `mdn rm`

use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::BinaryBytes;
use serde_json::json;

use super::common::RESULTS;
use super::facts;
use super::ls::size;
use super::output::{print, warn};
use super::{Context, Exit};
use crate::experiment::store::{runs_below, Removal, RunDir, State};
use mdn_core::{Error, Result};

/// Remove run folders
///
/// Only files that `mdn` itself writes are removed, and then the folder if it is empty: any other file
/// stays and is named, and the exit code is then 1. A run that a process holds is never removed, links
/// are never followed. Prints the folders that are gone.
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
    /// Whether runs are searched for, in place of being named.
    fn searches(&self) -> bool {
        self.failed || self.interrupted
    }

    /// Whether a run in this state goes.
    fn takes(&self, state: State) -> bool {
        match state {
            State::Failed | State::Diverged => self.failed || !self.searches(),
            State::Interrupted => self.interrupted || !self.searches(),
            State::Done | State::Running | State::Missing => self.force,
        }
    }
}

pub(super) fn run(args: &RmArgs, context: &Context) -> Result<Exit> {
    let (runs, mut left) = if args.searches() {
        search(args)?
    } else {
        (name(args)?, 0)
    };
    let (mut lines, mut gone, mut bytes) = (Vec::new(), 0, 0);
    for place in &runs {
        let size = size(place).unwrap_or_default();
        let removed = if args.dry_run {
            would_remove(place)
        } else {
            place.remove(|state| args.takes(state))
        };
        match removed {
            Ok(Removal::Gone) => {
                gone += 1;
                bytes += size;
                lines.push(match args.json {
                    true => object(place, size, None),
                    false => format!("{}\n", place.0.display()),
                });
            }
            other => {
                left += 1;
                let why = why_left(place, other);
                warn(&why);
                if args.json {
                    lines.push(object(place, size, Some(&why)));
                }
            }
        }
    }
    let would = if args.dry_run { "would be " } else { "" };
    // At the end, so that a reader who goes away leaves no work undone.
    print(&lines.concat())?;
    context.note(&format!(
        "{gone} runs {would}removed, {}",
        BinaryBytes(bytes)
    ));
    Ok(match left {
        0 => Exit::FINE,
        n => Exit {
            code: 1,
            error: Some(format!("{n} folders {would}left")),
        },
    })
}

fn object(place: &RunDir, bytes: u64, why_not: Option<&str>) -> String {
    let object = json!({
        "folder": place.0.display().to_string(),
        "removed": why_not.is_none(),
        "bytes": bytes,
        "why_not": why_not,
    });
    format!("{object}\n")
}

/// The runs below the folders that are in the states wanted, and how many folders could not be read.
fn search(args: &RmArgs) -> Result<(Vec<RunDir>, usize)> {
    let default = [PathBuf::from(RESULTS)];
    let folders = match args.dirs.as_slice() {
        [] => &default,
        some => some,
    };
    let (mut runs, mut left) = (Vec::new(), 0);
    for folder in folders {
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

/// The runs that were named, if all of them can go: otherwise nothing is begun.
fn name(args: &RmArgs) -> Result<Vec<RunDir>> {
    let mut runs = Vec::new();
    for folder in &args.dirs {
        // Without a slash at the end, which would lead through a link.
        let folder: PathBuf = folder.components().collect();
        refuse_link(&folder)?;
        let place = facts::named(&folder)?;
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

fn refuse_link(folder: &Path) -> Result<()> {
    let is_link = folder.symlink_metadata().is_ok_and(|m| m.is_symlink());
    if !is_link {
        return Ok(());
    }
    Err(Error::request(format!(
        "{}: expected the folder of a run; got a link, which is not followed (try the folder that it \
         leads to)",
        folder.display()
    )))
}

fn would_remove(place: &RunDir) -> Result<Removal> {
    if let Some(who) = place.holder()? {
        return Ok(Removal::Held(who));
    }
    let foreign = place.foreign()?;
    Ok(match foreign.is_empty() {
        true => Removal::Gone,
        false => Removal::Left(foreign),
    })
}

fn why_left(place: &RunDir, what: Result<Removal>) -> String {
    let folder = place.0.display();
    match what {
        Ok(Removal::Left(files)) => {
            let files: Vec<_> = files.iter().map(|f| f.display().to_string()).collect();
            format!("{folder}: not `mdn`'s, so left: {}", files.join(", "))
        }
        Ok(Removal::Held(who)) => format!("{folder}: left, a process holds it: {who}"),
        Ok(Removal::Kept(state)) => format!("{folder}: left, it is {} by now", state.word()),
        Ok(Removal::Gone) => String::new(),
        Err(e) => e.to_string(),
    }
}
