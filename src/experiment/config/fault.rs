//! From a fault in TOML text to a message that says where, what was expected and what came.

use std::ops::Range;
use std::path::Path;

use toml::de::{DeTable, DeValue, Deserializer};

use super::entries::{entries, nearest, Entry};
use super::words::{self, quoted};
use super::Typed;
use mdn_core::error::{did_you_mean, shortened, BadValue};
use mdn_core::Error;

/// Characters of a line that a message shows, around the fault.
const SHOWN: usize = 120;

/// One fault of an experiment file or of an override.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fault {
    /// Where in the text, if anywhere.
    span: Option<Range<usize>>,
    /// Path of the table that the message is about; empty for the file's root.
    table: String,
    /// One line.
    message: String,
    /// The text is no TOML: a column helps, and a table is not known.
    syntax: bool,
    /// The table that names several members of an enum at once, where that is the fault.
    pub(super) ambiguous: Option<Vec<String>>,
}

/// Reads and checks a whole file.
pub(super) fn parse<T: Typed>(text: &str) -> Result<T, Fault> {
    let table = DeTable::parse(text).map_err(|e| Fault::syntax(text, &e))?;
    let config = T::deserialize(Deserializer::from(table.clone())).map_err(|e| {
        let mut fault = Fault::shape::<T>(table.get_ref(), &e);
        let others = table.get_ref().keys().map(|key| key.get_ref().as_ref());
        if let Some(hint) = T::other_kind(&others.collect::<Vec<&str>>()) {
            fault.message = format!("{} ({hint})", fault.message);
        }
        fault
    })?;
    if let Some(bad) = T::array_for_table(table.get_ref()) {
        return Err(Fault::value(table.get_ref(), &bad));
    }
    config
        .check()
        .map_err(|bad| Fault::value(table.get_ref(), &bad))?;
    Ok(config)
}

/// The error of a value that turned out to be wrong once the whole file at `path` was read.
pub(super) fn in_file_of(path: &Path, bad: &BadValue) -> Error {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    Error::Request(match DeTable::parse(&text) {
        Ok(root) => Fault::value(root.get_ref(), bad).in_file(path, &text),
        Err(_) => format!("{}: {bad}", path.display()),
    })
}

/// Keys and values of a table; none of anything else.
fn inside<'t>(value: &'t DeValue<'_>) -> Vec<(&'t str, &'t DeValue<'t>)> {
    match value {
        DeValue::Table(table) => table
            .iter()
            .map(|(key, value)| (key.get_ref().as_ref(), value.get_ref()))
            .collect(),
        _ => Vec::new(),
    }
}

/// Everything below `key` of a table.
fn below<'t>(
    key: &'t str,
    path: &[&'t str],
    table: &'t DeValue<'_>,
    places: &mut Vec<(Vec<&'t str>, &'t DeValue<'t>)>,
) {
    for (name, value) in inside(table).into_iter().filter(|(n, _)| *n == key) {
        let path = [path, &[name]].concat();
        for (next, _) in inside(value) {
            below(next, &path, value, places);
        }
        places.push((path, value));
    }
}

/// The first array where settings by name belong: read by position, `ring = [3]` would pass.
pub(super) fn array_for_table(root: &DeTable<'_>) -> Option<BadValue> {
    let mut places: Vec<(Vec<&str>, &DeValue<'_>)> = Vec::new();
    for (top, value) in root {
        let top = top.get_ref().as_ref();
        if ["train", "evaluation", "budget", "search"].contains(&top) {
            places.push((vec![top], value.get_ref()));
        }
        if !["data", "models", "problems"].contains(&top) {
            continue;
        }
        for (name, value) in inside(value.get_ref()) {
            for (kind, value) in inside(value) {
                places.push((vec![top, name, kind], value));
                for (part, value) in inside(value) {
                    if part == "split" {
                        places.push((vec![top, name, kind, part], value));
                    }
                    let chosen = ["bijection", "base"].contains(&part);
                    for (member, value) in inside(value) {
                        if chosen && member != "chain" {
                            let path = vec![top, name, kind, part, member];
                            below("draws", &path, value, &mut places);
                            places.push((path, value));
                        }
                    }
                }
            }
        }
    }
    let (path, _) = places
        .into_iter()
        .find(|(_, value)| matches!(value, DeValue::Array(_)))?;
    let key = path.last().copied().unwrap_or_default();
    Some(BadValue::new(
        path.join("."),
        format!("`{key}` to be a table of settings by name, as in `{{}}`"),
        "an array",
    ))
}

impl Fault {
    /// "file:line: table: message", with the line itself below where that helps.
    pub(super) fn in_file(&self, path: &Path, text: &str) -> String {
        let path = path.display();
        let Some(span) = &self.span else {
            return format!("{path}: {self}");
        };
        let before = &text.as_bytes()[..span.start.min(text.len())];
        let line = before.iter().filter(|b| **b == b'\n').count() + 1;
        if !self.syntax {
            return format!("{path}:{line}: {self}");
        }
        let line_start = before
            .iter()
            .rposition(|b| *b == b'\n')
            .map_or(0, |i| i + 1);
        let column = String::from_utf8_lossy(&before[line_start..])
            .chars()
            .count();
        let whole = text.lines().nth(line - 1).unwrap_or_default();
        let skipped = column.saturating_sub(SHOWN / 2);
        let visible = |c: char| if c.is_control() { ' ' } else { c };
        let shown: String = whole
            .chars()
            .skip(skipped)
            .take(SHOWN)
            .map(visible)
            .collect();
        let space = " ".repeat(column - skipped);
        format!(
            "{path}:{line}:{}: {self}\n  {}\n  {space}^",
            column + 1,
            shown.trim_end(),
        )
    }

    fn new(span: Option<Range<usize>>, table: &[String], message: String) -> Self {
        Self {
            span,
            table: shortened(&table.join("."), 200).into_owned(),
            message: shortened(&message, 2000).into_owned(),
            syntax: false,
            ambiguous: None,
        }
    }

    fn syntax(text: &str, e: &toml::de::Error) -> Self {
        let source = e.span().and_then(|s| text.get(s)).unwrap_or_default();
        let message = if e.message().starts_with("duplicate key") {
            format!("`{}` is given twice; keep one", source.trim())
        } else {
            format!("not valid TOML: {}", e.message())
        };
        Self {
            syntax: true,
            ..Self::new(Some(e.span().unwrap_or(0..0)), &[], message)
        }
    }

    fn value(root: &DeTable<'_>, bad: &BadValue) -> Self {
        let at = nearest(root, &bad.key);
        let table = match &at {
            Some(at) if at.path.join(".") == bad.key => at.table().join("."),
            _ => bad.key.rsplit_once('.').map_or("", |t| t.0).to_owned(),
        };
        Self::new(
            // An element of an array has no name.
            at.map(|at| if at.key.is_empty() { at.span } else { at.key }),
            &[table],
            format!("expected {}; got {}", bad.expected, bad.got),
        )
    }

    /// What serde found: an unknown key, a missing one, a value of the wrong kind.
    fn shape<T: Typed>(root: &DeTable<'_>, e: &toml::de::Error) -> Self {
        let (span, said) = (e.span(), e.message());
        let all = entries(root);
        if let Some(unknown) = words::unknown(said) {
            // A key that only leads to others has the span of its value too: the key is meant.
            let at = all.iter().find(|e| Some(&e.key) == span.as_ref());
            let at = at.or_else(|| all.iter().find(|e| Some(&e.span) == span.as_ref()));
            let known = unknown.known.iter().map(String::as_str);
            let message = format!(
                "unknown {} `{}`{}; {}",
                unknown.kind,
                unknown.name,
                did_you_mean(&unknown.name, known),
                unknown.expected,
            );
            return Self::new(span, at.map_or(&[][..], Entry::table), message);
        }
        let Some(at) = all.iter().find(|e| Some(&e.span) == span.as_ref()) else {
            let line = span.filter(|s| !s.is_empty());
            return Self::new(line, &[], words::plain(said));
        };
        if said.starts_with("missing field ") {
            return Self::new(span, &at.path, words::plain(said));
        }
        if said.starts_with("wanted exactly 1") || said == "wanted string or table" {
            return Self::choice::<T>(root, at);
        }
        let message = match at.value.as_str() {
            Some(name) if said.contains("unit variant, expected") => format!(
                "expected `{0}` to be a table, as in `{0}.{name} = {{}}`; got \"{name}\"",
                at.name()
            ),
            _ => words::mismatch(at.name(), said),
        };
        Self::new(span, at.table(), message)
    }

    /// A table that should name one member of an enum, and names none or several.
    fn choice<T: Typed>(root: &DeTable<'_>, at: &Entry<'_, '_>) -> Self {
        let got = match at.value {
            DeValue::Table(t) if t.is_empty() => "none".to_owned(),
            DeValue::Table(t) => quoted(t.keys().map(|k| k.get_ref().as_ref())),
            other => format!("a value of type {}", other.type_str()),
        };
        let expected =
            choices::<T>(root, at).unwrap_or_else(|| "the kinds `mdn list` shows".into());
        let message = format!("expected exactly one of {expected}; got {got}");
        let several = at.value.as_table().is_some_and(|t| t.len() > 1);
        Self {
            ambiguous: several.then(|| at.path.clone()),
            ..Self::new(Some(at.span.clone()), &at.path, message)
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.table.is_empty() {
            write!(f, "{}: ", self.table)?;
        }
        f.write_str(&self.message)
    }
}

/// The members that may stand at `at`: serde lists them when it meets one that it does not know.
fn choices<T: Typed>(root: &DeTable<'_>, at: &Entry<'_, '_>) -> Option<String> {
    let mut probe = root.clone();
    let (last, above) = at.path.split_last()?;
    let mut table = &mut probe;
    for key in above {
        let DeValue::Table(next) = table.get_mut(key.as_str())?.get_mut() else {
            return None;
        };
        table = next;
    }
    *table.get_mut(last.as_str())?.get_mut() = DeValue::String("?".into());
    let span = at.span.clone();
    let said = T::deserialize(Deserializer::from(toml::Spanned::new(span, probe))).err()?;
    let unknown = words::unknown(said.message()).filter(|u| u.name == "?")?;
    Some(quoted(unknown.known.iter().map(String::as_str)))
}
