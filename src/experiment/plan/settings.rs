//! Single settings of a run, and the differences between two runs.

use toml::{Table, Value};

use super::RunSpec;
use crate::experiment::budget::Budget;
use crate::experiment::config::Config;
use crate::experiment::search::Search;
use crate::experiment::{EvaluationSpec, Task};
use mdn_core::data::DataSpec;
use mdn_core::train::TrainSpec;

/// A setting that differs between two runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Its path, such as `train.steps`.
    pub key: String,
    /// Its value in the first run.
    pub was: String,
    /// Its value in the second run.
    pub now: String,
}

impl RunSpec {
    /// A setting by its dotted key, such as `train.steps`, as TOML; `None` if the run's file has no such
    /// key.
    pub fn setting(&self, key: &str) -> Option<String> {
        let root = Value::Table(self.table()?);
        let found = key.split('.').try_fold(&root, |at, name| at.get(name))?;
        Some(found.to_string())
    }

    /// The settings that differ between the runs, in the order of the file; a table that only one run has
    /// is one key. Data files are equal if their content is, whatever their paths.
    pub fn differences(&self, now: &Self) -> Vec<Difference> {
        let (mut was, mut now) = (self.clone(), now.clone());
        if let (Task::Data(DataSpec::File(was)), Task::Data(DataSpec::File(now))) =
            (&mut was.task, &mut now.task)
        {
            if was.sha256.is_some() && now.sha256.is_some() {
                was.path.clone_from(&now.path);
            }
        }
        let mut found = Vec::new();
        // Every run was read from TOML, so it can be written as TOML.
        if let (Some(was), Some(now)) = (was.table(), now.table()) {
            in_tables("", &was, &now, &mut found);
        }
        found
    }

    fn table(&self) -> Option<Table> {
        Table::try_from(Config::from(self.clone())).ok()
    }

    /// The first of the [`RunSpec::differences`].
    pub fn first_difference(&self, now: &Self) -> Option<Difference> {
        self.differences(now).into_iter().next()
    }

    /// The run with the default `[train]`, `[budget]`, `[search]` and `[evaluation]`.
    pub fn unchanged(&self) -> Self {
        Self {
            train: TrainSpec::default(),
            budget: Budget::default(),
            search: Search::default(),
            evaluation: EvaluationSpec::default(),
            ..self.clone()
        }
    }

    /// The settings in these tables that differ from their defaults.
    pub fn changed(&self) -> Vec<Difference> {
        self.unchanged().differences(self)
    }
}

fn in_tables(place: &str, was: &Table, now: &Table, found: &mut Vec<Difference>) {
    let added = now.keys().filter(|k| !was.contains_key(*k));
    for key in was.keys().chain(added) {
        let dot = if place.is_empty() { "" } else { "." };
        let place = format!("{place}{dot}{key}");
        match (was.get(key), now.get(key)) {
            (Some(Value::Table(a)), Some(Value::Table(b))) => in_tables(&place, a, b, found),
            (a, b) if a == b => {}
            (a, b) => found.push(Difference {
                key: place,
                was: shown(a),
                now: shown(b),
            }),
        }
    }
}

fn shown(value: Option<&Value>) -> String {
    match value {
        None => "absent".to_owned(),
        Some(Value::Table(_)) => "given".to_owned(),
        Some(value) => value.to_string(),
    }
}
