//! `dotted.key=value` on top of a file.

use serde::Deserialize;
use toml::de::ValueDeserializer;
use toml::{Table, Value};

use super::fault::Fault;
use super::shape::parse;
use super::Typed;
use crate::experiment::not_among;
use mdn_core::{Error, Result};

/// Applies `overrides` to the file `text`, which is valid alone, and checks after each.
pub(super) fn apply<T: Typed>(text: &str, overrides: &[String]) -> Result<T> {
    let failed =
        |e: &dyn std::fmt::Display| Error::failed(format!("could not apply overrides: {e}"));
    let mut table: Table = toml::from_str(text).map_err(|e| failed(&e))?;
    let mut config: T = parse(text).map_err(|e| failed(&e))?;
    for typed in overrides {
        let refused = |why: &dyn std::fmt::Display| {
            Error::request(format!("override `{}`: {why}", typed.escape_debug()))
        };
        let (path, value) = split(typed).map_err(|why| refused(&why))?;
        set(&mut table, &path, value).map_err(|why| refused(&why))?;
        config = settle(&mut table, &path).map_err(|fault| refused(&fault))?;
    }
    Ok(config)
}

/// `a.b=1` as its keys and its value; text that is not a TOML value is a string.
fn split(typed: &str) -> Result<(Vec<&str>, Value), String> {
    let (key, value) = typed
        .split_once('=')
        .ok_or("expected `dotted.key=value`, as in `train.steps=200`")?;
    let path: Vec<_> = key.trim().split('.').map(str::trim).collect();
    if path.iter().any(|k| k.is_empty()) {
        return Err(format!(
            "expected a dotted key before `=`, as in `train.steps`; got `{}`",
            key.escape_debug()
        ));
    }
    let parsed = ValueDeserializer::parse(value.trim()).and_then(Value::deserialize);
    let value = parsed.unwrap_or_else(|_| Value::String(value.trim().to_owned()));
    Ok((path, value))
}

/// Sets the value. Missing tables are created, except data sets and models: a typo in a name must
/// not add one.
fn set(table: &mut Table, path: &[&str], value: Value) -> Result<(), String> {
    let (last, above) = path.split_last().ok_or("expected a key")?;
    let mut inner = table;
    for (depth, key) in path.iter().enumerate() {
        let kind = match path[0] {
            "data" => "data set",
            "problems" => "problem",
            "models" => "model",
            _ => "",
        };
        if depth == 1 && !kind.is_empty() && !inner.contains_key(*key) {
            let known: Vec<_> = inner.keys().map(String::as_str).collect();
            return Err(format!("the file has no {kind} {}", not_among(key, &known)));
        }
        if depth == above.len() {
            break;
        }
        inner = enter(inner, key)
            .ok_or_else(|| format!("`{}` is no table: it has no keys", path[..=depth].join(".")))?;
    }
    inner.insert((*last).to_owned(), value);
    Ok(())
}

/// The table at `key`, made where it is missing; `None` where there is another value. A string is a
/// choice without settings and becomes one with settings.
pub(in crate::experiment) fn enter<'t>(table: &'t mut Table, key: &str) -> Option<&'t mut Table> {
    let new = || Value::Table(Table::new());
    let inner = table.entry(key).or_insert_with(new);
    if inner.is_str() {
        *inner = new();
    }
    inner.as_table_mut()
}

/// Checks the table as a file. If the override chose another member of an enum, the previous choice
/// is removed.
fn settle<T: Typed>(table: &mut Table, path: &[&str]) -> Result<T, Fault> {
    loop {
        let text = table.to_string();
        let fault = match parse(&text) {
            Ok(config) => return Ok(config),
            Err(fault) => fault,
        };
        let Some(place) = fault
            .ambiguous
            .as_ref()
            .filter(|p| p.len() < path.len() && p.iter().zip(path).all(|(a, b)| a == b))
        else {
            return Err(fault);
        };
        let chosen = path[place.len()];
        let mut place = place.iter();
        let inner = place.try_fold(&mut *table, |inner, key| inner.get_mut(key)?.as_table_mut());
        match inner {
            Some(inner) => inner.retain(|key, _| key == chosen),
            None => return Err(fault),
        }
    }
}
