//! The runs below a folder.

use std::fs::{self, DirEntry};
use std::path::Path;

use super::{unusable, RunDir};
use mdn_core::{Error, Result};

/// The runs below a folder.
#[derive(Debug, Default)]
pub struct Found {
    /// The runs by path, seeds in numeric order.
    pub runs: Vec<RunDir>,
    /// Errors of folders that could not be read.
    pub unreadable: Vec<Error>,
}

impl RunDir {
    /// Whether the folder has the two files that every run has: `status` and `config.toml`.
    pub fn is_run(&self) -> bool {
        ["status", "config.toml"].iter().all(|name| {
            // A link would be another folder's file.
            fs::symlink_metadata(self.path(name)).is_ok_and(|m| m.is_file())
        })
    }
}

/// All runs at and below `folder`. Links below it are not followed.
/// Fails if `folder` is not a folder.
pub fn runs_below(folder: &Path) -> Result<Found> {
    if !folder.is_dir() {
        let why = "expected a folder with runs; there is no such folder";
        return Err(unusable(folder, why));
    }
    let mut found = Found::default();
    collect(folder, &mut found);
    let by_seed = |run: &RunDir| {
        let name = run.0.file_name().unwrap_or_default().to_string_lossy();
        let seed = name.rsplit('-').next().and_then(|n| n.parse::<u64>().ok());
        (run.0.parent().map(Path::to_path_buf), seed, run.0.clone())
    };
    found.runs.sort_by_cached_key(by_seed);
    Ok(found)
}

/// All runs at and below `folder`, at least one.
/// Fails if there is none, or a folder could not be read.
pub fn some_runs_below(folder: &Path) -> Result<Vec<RunDir>> {
    let found = runs_below(folder)?;
    if let Some(unreadable) = found.unreadable.into_iter().next() {
        return Err(unreadable);
    }
    if found.runs.is_empty() {
        let why = "expected the folder of a run, or one above several; found none";
        return Err(unusable(folder, why));
    }
    Ok(found.runs)
}

fn collect(folder: &Path, found: &mut Found) {
    let run = RunDir(folder.to_path_buf());
    if run.is_run() {
        return found.runs.push(run);
    }
    match run.entries() {
        Ok(entries) => {
            // For a link this is the type of the link itself.
            let is_folder = |e: &&DirEntry| e.file_type().is_ok_and(|t| t.is_dir());
            let folders = entries.iter().filter(is_folder);
            folders.for_each(|folder| collect(&folder.path(), found));
        }
        Err(e) => found.unreadable.push(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_in_numeric_order_and_nothing_is_looked_for_inside_a_run() {
        let dir = tempfile::tempdir().unwrap();
        let names = ["a/seed-2", "a/seed-10", "a/seed-2/below"];
        let runs = names.map(|name| RunDir(dir.path().join(name)));
        for run in &runs {
            run.write("status", b"").unwrap();
            run.write("config.toml", b"").unwrap();
        }
        assert_eq!(runs_below(dir.path()).unwrap().runs, runs[..2]);
    }
}
