//! Removing the files of a run.

use std::fs;
use std::path::PathBuf;

use super::write::{is_unfinished, remove_if_there};
use super::{Locking, RunDir, State};
use crate::report::figures::files_of_runs;
use mdn_core::{Error, Result};

/// Files that a run leaves, beside its figures. A new run in the same folder removes them first.
const OUTPUTS: [&str; 13] = [
    "data.toml",
    "trained.toml",
    "trials.csv",
    "history.csv",
    "rounds.csv",
    "metrics.csv",
    "modes.csv",
    "levels.csv",
    "bridges.csv",
    "cost.csv",
    "model.safetensors",
    "picture.safetensors",
    "environment.toml",
];

/// Files that record the state of a run, in the order in which they are removed. The last two make
/// the folder that of a run: while they exist, it is found again.
const RECORD: [&str; 3] = ["checkpoint", "config.toml", "status"];

/// The result of removing a run.
#[derive(Debug)]
pub enum Removal {
    /// It was removed with its folder.
    Gone,
    /// Its files were removed. These are not files of a run and were kept.
    Left(Vec<PathBuf>),
    /// This process holds it, since this time. Nothing was removed.
    Held(String),
    /// Runs in this state were not to be removed.
    Kept(State),
}

fn outputs() -> impl Iterator<Item = String> {
    OUTPUTS
        .map(str::to_owned)
        .into_iter()
        .chain(files_of_runs())
}

impl RunDir {
    /// Removes the results of a run, but not the record of its state.
    pub fn remove_outputs(&self) -> Result<()> {
        outputs().try_for_each(|name| remove_if_there(&self.path(&name)))
    }

    /// What is in the folder and not a file of a run; links and folders count, whatever their names.
    pub fn foreign(&self) -> Result<Vec<PathBuf>> {
        let unreadable = |e| Error::io(&self.0, "could not read")(e);
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.0).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let name = entry.file_name();
            let ours = name.to_str().is_some_and(|name| {
                let known = outputs().any(|output| output == name) || RECORD.contains(&name);
                known || name == "lock" || is_unfinished(name)
            });
            if !ours || !entry.file_type().map_err(unreadable)?.is_file() {
                found.push(entry.path());
            }
        }
        found.sort();
        Ok(found)
    }

    /// Removes the files of the run if no process holds it and `wanted` accepts its state, and then the
    /// folder if nothing else is in it. Links are neither followed nor removed.
    pub fn remove(&self, wanted: impl FnOnce(State) -> bool) -> Result<Removal> {
        let foreign = self.foreign()?;
        // Locking would write through a link.
        let lock = self.path("lock");
        if foreign.contains(&lock) {
            return Err(Error::failed(format!(
                "{}: expected a file of `mdn`; got a link or a folder, so nothing was removed",
                lock.display()
            )));
        }
        let held = match self.lock(false)? {
            Locking::Ours(held) => held,
            Locking::Theirs(who) => return Ok(Removal::Held(who)),
        };
        // Under the lock the state cannot change.
        let state = self.read_status().map_or(State::Missing, |s| s.state);
        if !wanted(state) {
            return Ok(Removal::Kept(state));
        }
        super::remove_unfinished(&self.0)?;
        let files = outputs().chain(RECORD.map(str::to_owned));
        let files = files.map(|name| self.path(&name));
        files
            .filter(|path| !foreign.contains(path))
            .try_for_each(|path| remove_if_there(&path))?;
        drop(held);
        if !foreign.is_empty() {
            return Ok(Removal::Left(foreign));
        }
        fs::remove_dir(&self.0).map_err(Error::io(&self.0, "could not remove"))?;
        Ok(Removal::Gone)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use std::path::Path;

    use super::*;

    fn run_in(folder: &Path, state: State) -> RunDir {
        let run = RunDir(folder.join("run"));
        for name in outputs().chain(RECORD.map(str::to_owned)) {
            run.write(&name, b"x").unwrap();
        }
        run.write(".mdn-half", b"x").unwrap();
        run.write_status(&Status::of(state)).unwrap();
        run
    }

    #[test]
    fn a_run_goes_with_its_folder_unless_it_is_held_or_not_wanted() {
        let dir = tempfile::tempdir().unwrap();
        let run = run_in(dir.path(), State::Failed);
        let Locking::Ours(lock) = run.lock(false).unwrap() else {
            panic!("nobody has it");
        };
        assert!(matches!(run.remove(|_| true).unwrap(), Removal::Held(_)));
        drop(lock);
        let kept = run.remove(|s| s == State::Done).unwrap();
        assert!(matches!(kept, Removal::Kept(State::Failed)), "{kept:?}");
        assert_eq!(fs::read_dir(&run.0).unwrap().count(), outputs().count() + 4);
        let gone = run.remove(|s| s == State::Failed).unwrap();
        assert!(matches!(gone, Removal::Gone), "{gone:?}");
        assert!(!run.0.exists() && dir.path().exists());
    }

    #[test]
    fn files_that_are_not_of_a_run_stay_and_links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let outside = dir.path().join("outside");
        fs::write(&outside, b"mine").unwrap();
        let run = run_in(dir.path(), State::Failed);
        let mut kept = vec![
            run.write("notes.md", b"mine").unwrap(),
            run.path("rounds.svg"),
        ];
        fs::remove_file(&kept[1]).unwrap();
        fs::create_dir(&kept[1]).unwrap();
        #[cfg(unix)]
        {
            let model = run.path("model.safetensors");
            fs::remove_file(&model).unwrap();
            std::os::unix::fs::symlink(&outside, &model).unwrap();
            kept.insert(0, model);
        }
        let Removal::Left(left) = run.remove(|_| true).unwrap() else {
            panic!("there is something left");
        };
        assert_eq!(left, kept);
        assert_eq!(fs::read_dir(&run.0).unwrap().count(), kept.len());
        assert_eq!(fs::read(run.path("notes.md")).unwrap(), b"mine");
        assert_eq!(fs::read(outside).unwrap(), b"mine");
    }

    #[cfg(unix)]
    #[test]
    fn a_run_whose_lock_is_a_link_is_not_removed() {
        let dir = tempfile::tempdir().unwrap();
        let outside = dir.path().join("outside");
        fs::write(&outside, b"mine").unwrap();
        let run = RunDir(dir.path().join("other"));
        run.write_status(&Status::of(State::Failed)).unwrap();
        std::os::unix::fs::symlink(&outside, run.path("lock")).unwrap();
        let why = run.remove(|_| true).unwrap_err().to_string();
        assert!(why.contains("lock: expected a file of `mdn`"), "{why}");
        assert!(run.path("status").exists());
        assert_eq!(fs::read(outside).unwrap(), b"mine");
    }
}
