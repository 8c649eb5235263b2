//! The first key in which two experiment files differ.

use toml::{Table, Value};

use super::Config;
use crate::experiment::plan::Difference;

/// In the order of the file; `None` if they say the same.
pub(in crate::experiment) fn first_difference(was: &Config, now: &Config) -> Option<Difference> {
    // A file that cannot be written as TOML cannot have been read from it.
    let (was, now) = (Table::try_from(was).ok()?, Table::try_from(now).ok()?);
    in_tables("", &was, &now)
}

/// What a file says at a dotted key, as TOML; `None` where it says nothing.
pub(in crate::experiment) fn setting(config: &Config, key: &str) -> Option<String> {
    let root = Value::Table(Table::try_from(config).ok()?);
    let found = key.split('.').try_fold(&root, |at, name| at.get(name))?;
    Some(found.to_string())
}

fn in_tables(place: &str, was: &Table, now: &Table) -> Option<Difference> {
    let added = now.keys().filter(|k| !was.contains_key(*k));
    was.keys().chain(added).find_map(|key| {
        let place = if place.is_empty() {
            key.clone()
        } else {
            format!("{place}.{key}")
        };
        match (was.get(key), now.get(key)) {
            (Some(Value::Table(a)), Some(Value::Table(b))) => in_tables(&place, a, b),
            (a, b) if a == b => None,
            (a, b) => Some(Difference {
                key: place,
                was: shown(a),
                now: shown(b),
            }),
        }
    })
}

fn shown(value: Option<&Value>) -> String {
    match value {
        None => "absent".to_owned(),
        Some(Value::Table(_)) => "given".to_owned(),
        Some(value) => value.to_string(),
    }
}
