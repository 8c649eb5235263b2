//! Faults of a TOML file: where, what was expected and what was found.

use std::ops::Range;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use mdn_core::error::{shortened, BadValue};
use mdn_core::Error;

/// Characters of a line that a message shows around the fault.
const SHOWN: usize = 120;

/// One fault of an experiment file or of an override.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fault {
    /// Where in the text, if anywhere.
    span: Option<Range<usize>>,
    /// Path of the table that the message is about; empty for the file's root.
    table: String,
    /// One line.
    pub(super) message: String,
    /// The text is not TOML: the message shows the line and the column.
    syntax: bool,
    /// The table that names several members of an enum at once, where that is the fault.
    pub(super) ambiguous: Option<Vec<String>>,
}

/// The error of a value that was found to be wrong after the file at `path` was read.
pub(super) fn in_file_of(path: &Path, bad: &BadValue) -> Error {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    Error::Request(match DeTable::parse(&text) {
        Ok(root) => Fault::value(root.get_ref(), bad).in_file(path, &text),
        Err(_) => format!("{}: {bad}", path.display()),
    })
}

/// The place of `key` (dotted, from the root), or of the nearest one above it that the file has, with
/// the table that `key` stands in.
fn find<'k>(root: &DeTable<'_>, key: &'k str) -> (Option<Range<usize>>, &'k str) {
    let (mut table, mut rest, mut found) = (root, key, None);
    let above = key.rsplit_once('.').map_or("", |(above, _)| above);
    loop {
        let named = table.iter().find_map(|(name, value)| {
            let rest = rest.strip_prefix(name.get_ref().as_ref())?;
            let ends = rest.is_empty() || rest.starts_with(['.', '[']);
            ends.then_some((name.span(), value, rest))
        });
        let Some((span, mut value, mut after)) = named else {
            return (found, above);
        };
        found = Some(span);
        while let (Some((index, behind)), DeValue::Array(items)) = (index(after), value.get_ref()) {
            let Some(item) = items.get(index) else {
                return (found, above);
            };
            (value, after, found) = (item, behind, Some(item.span()));
        }
        if after.is_empty() {
            // A name may have dots of its own.
            return (found, key[..key.len() - rest.len()].trim_end_matches('.'));
        }
        match (after.strip_prefix('.'), value.get_ref()) {
            (Some(below), DeValue::Table(inner)) => (table, rest) = (inner, below),
            _ => return (found, above),
        }
    }
}

/// `[3].rest` as 3 and `.rest`.
fn index(text: &str) -> Option<(usize, &str)> {
    let (number, rest) = text.strip_prefix('[')?.split_once(']')?;
    Some((number.parse().ok()?, rest))
}

impl Fault {
    /// "file:line: table: message", with the line itself below where that helps.
    pub(super) fn in_file(&self, path: &Path, text: &str) -> String {
        let path = path.display();
        let Some(span) = &self.span else {
            return format!("{path}: {self}");
        };
        let before = &text.as_bytes()[..span.start.min(text.len())];
        let lines: Vec<&[u8]> = before.split(|b| *b == b'\n').collect();
        let line = lines.len();
        if !self.syntax {
            return format!("{path}:{line}: {self}");
        }
        let column = String::from_utf8_lossy(lines[line - 1]).chars().count();
        let whole = text.lines().nth(line - 1).unwrap_or_default();
        let skipped = column.saturating_sub(SHOWN / 2);
        let visible = |c: char| if c.is_control() { ' ' } else { c };
        let shown = whole.chars().skip(skipped).take(SHOWN);
        let shown: String = shown.map(visible).collect();
        let (shown, space) = (shown.trim_end(), " ".repeat(column - skipped));
        let column = column + 1;
        format!("{path}:{line}:{column}: {self}\n  {shown}\n  {space}^")
    }

    pub(super) fn new(span: Option<Range<usize>>, table: &[String], message: String) -> Self {
        Self {
            span,
            table: shortened(&table.join("."), 200).into_owned(),
            message: shortened(&message, 2000).into_owned(),
            syntax: false,
            ambiguous: None,
        }
    }

    pub(super) fn syntax(text: &str, e: &toml::de::Error) -> Self {
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

    pub(super) fn value(root: &DeTable<'_>, bad: &BadValue) -> Self {
        let (span, table) = find(root, &bad.key);
        let message = format!("expected {}; got {}", bad.expected, bad.got);
        Self::new(span, &[table.to_owned()], message)
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
