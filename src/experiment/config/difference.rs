//! The keys in which two experiment files differ.

use toml::{Table, Value};

use super::Config;

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

/// All of them, in the order of the file; a table that only one has is one key.
pub(in crate::experiment) fn differences(was: &Config, now: &Config) -> Vec<Difference> {
    let mut found = Vec::new();
    // Every file was read from TOML, so it can be written as TOML.
    if let (Ok(was), Ok(now)) = (Table::try_from(was), Table::try_from(now)) {
        in_tables("", &was, &now, &mut found);
    }
    found
}

/// The value at a dotted key as TOML; `None` where the file has none.
pub(in crate::experiment) fn setting(config: &Config, key: &str) -> Option<String> {
    let root = Value::Table(Table::try_from(config).ok()?);
    let found = key.split('.').try_fold(&root, |at, name| at.get(name))?;
    Some(found.to_string())
}

fn in_tables(place: &str, was: &Table, now: &Table, found: &mut Vec<Difference>) {
    let added = now.keys().filter(|k| !was.contains_key(*k));
    for key in was.keys().chain(added) {
        let place = if place.is_empty() {
            key.clone()
        } else {
            format!("{place}.{key}")
        };
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
