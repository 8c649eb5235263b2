//! Removing the files of a run.

use std::fs;
use std::path::PathBuf;

use super::write::{is_unfinished, remove_if_there};
use super::{Locking, RunDir, State};
use mdn_core::{Error, Result};

/// Files that a run leaves, beside its figures. A new run in the same folder removes them first.
const OUTPUTS: [&str; 15] = [
    "data.toml",
    "trained.toml",
    "trials.csv",
    "k.csv",
    "history.csv",
    "rounds.csv",
    "metrics.csv",
    "held_out.csv",
    "modes.csv",
    "levels.csv",
    "bridges.csv",
    "cost.csv",
    "model.safetensors",
    "picture.safetensors",
    "environment.toml",
];

/// Files that record the state of a run, in the order in which they are removed. The last two make
/// the folder a run: while they exist, it is found again.
const RECORD: [&str; 3] = ["checkpoint", "config.toml", "status"];

/// The names of all files that a run leaves; `figures` are those of its figures.
fn outputs(figures: &[String]) -> impl Iterator<Item = &str> {
    OUTPUTS
        .into_iter()
        .chain(figures.iter().map(String::as_str))
}

impl RunDir {
    /// Removes the results of a run and these files of figures, but not the record of its state.
    pub fn remove_outputs(&self, figures: &[String]) -> Result<()> {
        outputs(figures).try_for_each(|name| remove_if_there(&self.path(name)))
    }

    /// Everything in the folder that is not a file of a run, with all links and folders.
    fn foreign(&self, figures: &[String]) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for entry in self.entries()? {
            let name = entry.file_name();
            let ours = name.to_str().is_some_and(|name| {
                let known = RECORD.contains(&name) || outputs(figures).any(|output| output == name);
                known || name == "lock" || is_unfinished(name)
            });
            if !ours || !entry.file_type().is_ok_and(|t| t.is_file()) {
                found.push(entry.path());
            }
        }
        found.sort();
        Ok(found)
    }

    /// Fails where [`RunDir::remove`] would leave the run or other files in its folder.
    pub fn check_removable(&self, figures: &[String]) -> Result<()> {
        match self.holder()? {
            Some(who) => Err(self.held(&who)),
            None => self.check_foreign(&self.foreign(figures)?),
        }
    }

    /// Removes the files of the run, `figures` among them, if no process holds it and `wanted` accepts its state, and then the
    /// folder. Links are neither followed nor removed.
    /// Fails if the run stays, or files that are not of a run do.
    pub fn remove(&self, figures: &[String], wanted: impl FnOnce(State) -> bool) -> Result<()> {
        let foreign = self.foreign(figures)?;
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
            Locking::Theirs(who) => return Err(self.held(&who)),
        };
        // Under the lock the state cannot change.
        let state = self.read_status().map_or(State::Missing, |s| s.state);
        if !wanted(state) {
            let folder = self.0.display();
            let why = format!("{folder}: left, it is {} by now", state.word());
            return Err(Error::failed(why));
        }
        super::remove_unfinished(&self.0)?;
        let files = outputs(figures).chain(RECORD).map(|name| self.path(name));
        files
            .filter(|path| !foreign.contains(path))
            .try_for_each(|path| remove_if_there(&path))?;
        drop(held);
        self.check_foreign(&foreign)?;
        fs::remove_dir(&self.0).map_err(Error::io(&self.0, "could not remove"))
    }

    fn held(&self, who: &str) -> Error {
        let folder = self.0.display();
        Error::failed(format!("{folder}: left, a process holds it: {who}"))
    }

    fn check_foreign(&self, foreign: &[PathBuf]) -> Result<()> {
        if foreign.is_empty() {
            return Ok(());
        }
        let files: Vec<_> = foreign.iter().map(|f| f.display().to_string()).collect();
        let (folder, files) = (self.0.display(), files.join(", "));
        let why = format!("{folder}: not `mdn`'s, so left: {files}");
        Err(Error::failed(why))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn files_that_are_not_of_a_run_stay_and_links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let outside = dir.path().join("outside");
        fs::write(&outside, b"mine").unwrap();
        let run = RunDir(dir.path().join("run"));
        let figures = ["rounds.svg", "density.png"].map(str::to_owned);
        for name in outputs(&figures).chain(RECORD).chain([".mdn-half"]) {
            run.write(name, b"x").unwrap();
        }
        run.write_status(&Status::of(State::Failed)).unwrap();
        let mut foreign = vec![
            run.write("notes.md", b"mine").unwrap(),
            run.path("rounds.svg"),
        ];
        fs::remove_file(&foreign[1]).unwrap();
        fs::create_dir(&foreign[1]).unwrap();
        #[cfg(unix)]
        {
            let model = run.path("model.safetensors");
            fs::remove_file(&model).unwrap();
            std::os::unix::fs::symlink(&outside, &model).unwrap();
            foreign.insert(0, model);
        }
        let why = run
            .remove(&figures, |s| s == State::Done)
            .unwrap_err()
            .to_string();
        assert!(why.contains("left, it is failed by now"), "{why}");
        let why = run.remove(&figures, |_| true).unwrap_err().to_string();
        let listed = why.split_once("so left: ").map(|(_, files)| files);
        let expected: Vec<_> = foreign.iter().map(|f| f.display().to_string()).collect();
        assert_eq!(listed, Some(&*expected.join(", ")));
        assert_eq!(fs::read_dir(&run.0).unwrap().count(), foreign.len());
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
        let why = run.remove(&[], |_| true).unwrap_err().to_string();
        assert!(why.contains("lock: expected a file of `mdn`"), "{why}");
        assert!(run.path("status").exists());
        assert_eq!(fs::read(outside).unwrap(), b"mine");
    }
}
