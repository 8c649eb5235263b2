//! What a run's folder says about itself, for the verbs that look at runs.

use std::path::Path;

use serde_json::{json, Value};

use crate::experiment::plan::RunSpec;
use crate::experiment::store::{MetricRow, RunDir, State, Status};
use mdn_core::{Error, Result};

/// What a run is and where it stands.
pub(super) struct Facts {
    pub place: RunDir,
    pub spec: RunSpec,
    pub status: Status,
    /// The process that holds the run now.
    pub holder: Option<String>,
}

/// The run that a user named.
pub(super) fn named(folder: &Path) -> Result<RunDir> {
    let run = RunDir(folder.to_path_buf());
    let got = match () {
        () if !folder.is_dir() => "there is no such folder",
        () if !run.is_run() => "this one has not both files `status` and `config.toml`",
        () => return Ok(run),
    };
    Err(Error::request(format!(
        "{}: expected the folder of a run, as in results/<experiment>/<data>/<model>/seed-<n>; {got} \
         (`mdn ls` lists runs)",
        folder.display()
    )))
}

impl Facts {
    /// Of a folder that is a run's.
    pub(super) fn read(place: RunDir) -> Result<Self> {
        Ok(Self {
            spec: RunSpec::read(&place.path("config.toml"))?,
            status: place.read_status()?,
            holder: place.holder()?,
            place,
        })
    }

    /// The folder as typed.
    pub(super) fn folder(&self) -> String {
        self.place.0.display().to_string()
    }

    /// Where the run stands, and whether a process is at it.
    pub(super) fn state(&self) -> String {
        let held = if self.holder.is_some() { " (held)" } else { "" };
        format!("{}{held}", self.status.state.word())
    }

    /// Of a run that is not over: steps that it is known to have made and steps it may make; of a search
    /// those of the trial that is under way. What was done since the last checkpoint is not known.
    pub(super) fn progress(&self) -> Result<Option<(usize, usize)>> {
        let goes_on = matches!(
            self.status.state,
            State::Running | State::Interrupted | State::Failed
        );
        if !goes_on || !self.place.path("history.csv").exists() {
            return Ok(None);
        }
        let last = self.place.read_history()?.last().map(|row| row.step);
        Ok(last.map(|step| (step, self.spec.train.steps)))
    }

    /// What was measured: nothing unless the run is done.
    pub(super) fn metrics(&self) -> Result<Vec<MetricRow>> {
        match self.status.state {
            State::Done => self.place.read_metrics(),
            _ => Ok(Vec::new()),
        }
    }

    /// What every list of runs says of each.
    pub(super) fn json(&self) -> Value {
        json!({
            "folder": self.folder(),
            "state": self.status.state.word(),
            "reason": self.status.reason,
            "held_by": self.holder,
            "experiment": self.spec.experiment,
            "data": self.spec.data_name,
            "model": self.spec.model_name,
            "seed": self.spec.seed,
        })
    }
}

/// The settings of a run, or those at a dotted key, as JSON; `null` where there are none.
pub(super) fn settings(spec: &RunSpec, key: &str) -> Result<Value> {
    let all = serde_json::to_value(spec)
        .map_err(|e| Error::failed(format!("could not write the settings as JSON: {e}")))?;
    let mut names = key.split('.').filter(|name| !name.is_empty());
    let found = names.try_fold(&all, |at, name| at.get(name));
    Ok(found.cloned().unwrap_or_default())
}
