//! The files of a run, and how they go.

use std::fs;
use std::path::PathBuf;

use super::atomic::{is_unfinished, remove_if_there};
use super::{Locking, RunDir, State};
use mdn_core::{Error, Result};

/// Files that a run leaves and that a new one of the same place removes first.
const OUTPUTS: [&str; 21] = [
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
    "density.png",
    "density.svg",
    "base.png",
    "base.svg",
    "training.png",
    "training.svg",
    "rounds.png",
    "rounds.svg",
];

/// What says where the run stands, in the order in which it goes. The last two make a folder that of a
/// run: while they are there, it is found again.
const RECORD: [&str; 3] = ["checkpoint", "config.toml", "status"];

/// What came of removing a run.
#[derive(Debug)]
pub enum Removal {
    /// It is gone, folder and all.
    Gone,
    /// Its files are gone. These are not a run's, so they are still there.
    Left(Vec<PathBuf>),
    /// A process holds it: which, since when. Nothing was removed.
    Held(String),
    /// It is in this state, which was not to be removed.
    Kept(State),
}

impl RunDir {
    /// Removes what a run leaves, but for what says where it stands.
    pub fn remove_outputs(&self) -> Result<()> {
        OUTPUTS
            .iter()
            .try_for_each(|name| remove_if_there(&self.path(name)))
    }

    /// What is in the folder and no file of a run: links and folders among them, whatever their names.
    pub fn foreign(&self) -> Result<Vec<PathBuf>> {
        let unreadable = |e| Error::io(&self.0, "could not read")(e);
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.0).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let name = entry.file_name();
            let ours = name.to_str().is_some_and(is_ours);
            if !ours || !entry.file_type().map_err(unreadable)?.is_file() {
                found.push(entry.path());
            }
        }
        found.sort();
        Ok(found)
    }

    /// Removes the run if no process holds it and `wanted` holds of its state: the files that runs
    /// write, and then the folder if nothing else is in it. Links are not followed, nor removed.
    pub fn remove(&self, wanted: impl FnOnce(State) -> bool) -> Result<Removal> {
        let foreign = self.foreign()?;
        // It would be written through.
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
        // Only now it cannot change any more.
        let state = self.read_status().map_or(State::Missing, |s| s.state);
        if !wanted(state) {
            return Ok(Removal::Kept(state));
        }
        super::remove_unfinished(&self.0)?;
        let files = OUTPUTS.iter().chain(&RECORD).map(|name| self.path(name));
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

fn is_ours(name: &str) -> bool {
    OUTPUTS.contains(&name) || RECORD.contains(&name) || name == "lock" || is_unfinished(name)
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use std::path::Path;

    use super::*;

    fn run_in(folder: &Path, state: State) -> RunDir {
        let run = RunDir(folder.join("run"));
        for name in OUTPUTS.iter().chain(&RECORD) {
            run.write(name, b"x").unwrap();
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
        assert_eq!(fs::read_dir(&run.0).unwrap().count(), OUTPUTS.len() + 4);
        let gone = run.remove(|s| s == State::Failed).unwrap();
        assert!(matches!(gone, Removal::Gone), "{gone:?}");
        assert!(!run.0.exists() && dir.path().exists());
    }

    #[test]
    fn what_is_not_a_runs_stays() {
        let dir = tempfile::tempdir().unwrap();
        let run = run_in(dir.path(), State::Failed);
        let notes = run.write("notes.md", b"mine").unwrap();
        let folder = run.path("rounds.svg");
        fs::remove_file(&folder).unwrap();
        fs::create_dir(&folder).unwrap();
        let Removal::Left(left) = run.remove(|_| true).unwrap() else {
            panic!("there is something left");
        };
        assert_eq!(left, [notes.clone(), folder]);
        assert_eq!(fs::read_dir(&run.0).unwrap().count(), 2);
        assert_eq!(fs::read(notes).unwrap(), b"mine");
    }

    #[cfg(unix)]
    #[test]
    fn links_are_neither_followed_nor_removed() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let outside = dir.path().join("outside");
        fs::write(&outside, b"mine").unwrap();
        let run = run_in(dir.path(), State::Failed);
        let model = run.path("model.safetensors");
        fs::remove_file(&model).unwrap();
        symlink(&outside, &model).unwrap();
        let Removal::Left(left) = run.remove(|_| true).unwrap() else {
            panic!("the link is left");
        };
        assert_eq!(left, [model]);
        let run = RunDir(dir.path().join("other"));
        run.write_status(&Status::of(State::Failed)).unwrap();
        symlink(&outside, run.path("lock")).unwrap();
        let why = run.remove(|_| true).unwrap_err().to_string();
        assert!(why.contains("lock: expected a file of `mdn`"), "{why}");
        assert!(run.path("status").exists());
        assert_eq!(fs::read(outside).unwrap(), b"mine");
    }
}
