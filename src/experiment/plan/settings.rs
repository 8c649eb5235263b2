//! Single settings of a run, and the differences between two runs.

use toml::{Table, Value};

use super::RunSpec;
use crate::experiment::config::Config;

/// A setting that differs between two runs; `None` where a run does not have it.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Its path, such as `train.steps`.
    pub key: String,
    /// Its value in the first run.
    pub was: Option<Value>,
    /// Its value in the second run.
    pub now: Option<Value>,
}

impl Difference {
    /// Both values, each in one line: `absent` for a missing setting, `given` for a table.
    pub fn shown(&self) -> [String; 2] {
        [&self.was, &self.now].map(|value| match value {
            None => "absent".to_owned(),
            Some(Value::Table(_)) => "given".to_owned(),
            Some(value) => value.to_string(),
        })
    }
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
    /// is one key. Files are equal if their content is, whatever their paths.
    pub fn differences(&self, now: &Self) -> Vec<Difference> {
        let mut was = self.clone();
        was.task.take_paths(&now.task);
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

    /// The settings in `[train]`, `[budget]`, `[search]` and `[evaluation]` that differ from their
    /// defaults.
    pub fn changed(&self) -> Vec<Difference> {
        let unchanged = Self {
            train: Default::default(),
            budget: Default::default(),
            search: Default::default(),
            evaluation: Default::default(),
            ..self.clone()
        };
        unchanged.differences(self)
    }
}

fn in_tables(place: &str, was: &Table, now: &Table, found: &mut Vec<Difference>) {
    let added = now.keys().filter(|k| !was.contains_key(*k));
    for key in was.keys().chain(added) {
        let dot = if place.is_empty() { "" } else { "." };
        let key_path = format!("{place}{dot}{key}");
        match (was.get(key), now.get(key)) {
            (Some(Value::Table(a)), Some(Value::Table(b))) => in_tables(&key_path, a, b, found),
            (a, b) if a == b => {}
            (a, b) => found.push(Difference {
                key: key_path,
                was: a.cloned(),
                now: b.cloned(),
            }),
        }
    }
}
