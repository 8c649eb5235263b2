//! The file `status`: the state's word on the first line, the reason on the second.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use super::{RunDir, State, Status};
use mdn_core::error::shortened;
use mdn_core::{Error, Result};

const FILE: &str = "status";

impl State {
    /// Every state, in the order of a run's life.
    pub const ALL: [Self; 6] = [
        Self::Missing,
        Self::Running,
        Self::Interrupted,
        Self::Done,
        Self::Diverged,
        Self::Failed,
    ];

    /// The word that stands in files.
    pub fn word(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Running => "running",
            Self::Done => "done",
            Self::Diverged => "diverged",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }
}

impl Status {
    /// A state with nothing to say about it.
    pub fn of(state: State) -> Self {
        Self::because(state, "")
    }

    /// A state with the reason, which is brought to one line.
    pub fn because(state: State, reason: &str) -> Self {
        Self {
            state,
            reason: reason.split_whitespace().collect::<Vec<_>>().join(" "),
        }
    }
}

impl RunDir {
    /// Writes where the run stands.
    pub fn write_status(&self, status: &Status) -> Result<PathBuf> {
        let Status { state, reason } = Status::because(status.state, &status.reason);
        self.write(FILE, format!("{}\n{reason}\n", state.word()).as_bytes())
    }

    /// Where the run stands: [`State::Missing`] where there is no folder or no status yet.
    pub fn read_status(&self) -> Result<Status> {
        let path = self.path(FILE);
        let text = match fs::read(&path) {
            // What is not text is no state either.
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Ok(Status::of(State::Missing))
            }
            Err(e) => return Err(Error::io(&path, "could not read")(e)),
        };
        let mut lines = text.lines();
        let word = lines.next().unwrap_or_default().trim();
        let state = State::ALL.into_iter().find(|s| s.word() == word);
        state.map_or_else(
            || {
                Err(Error::request(format!(
                    "{}:1: expected one of {}; got `{}` (`mdn train` with --force makes the \
                     run anew)",
                    path.display(),
                    State::ALL.map(|s| format!("`{}`", s.word())).join(", "),
                    shortened(word, 100),
                )))
            },
            |state| Ok(Status::because(state, lines.next().unwrap_or_default())),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_reads_back_with_its_reason_on_one_line() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunDir::new(dir.path(), "e", "ring", "rad", 3);
        assert_eq!(run.0, dir.path().join("e/ring/rad/seed-3"));
        assert_eq!(run.read_status().unwrap(), Status::of(State::Missing));
        for state in State::ALL {
            let status = Status {
                state,
                reason: "loss\nnot finite".into(),
            };
            run.write_status(&status).unwrap();
            let back = run.read_status().unwrap();
            assert_eq!(back.state, state);
            assert_eq!(back.reason, "loss not finite");
        }
    }

    #[test]
    fn an_unknown_or_empty_status_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunDir(dir.path().to_path_buf());
        for damaged in ["", "finished\n"] {
            run.write(FILE, damaged.as_bytes()).unwrap();
            let text = run.read_status().unwrap_err().to_string();
            assert!(
                text.contains("status:1: expected one of `missing`"),
                "{text}"
            );
        }
    }
}
