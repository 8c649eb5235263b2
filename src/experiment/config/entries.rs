//! Every key of a TOML document with the places of its name and of its value.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

/// A key, or an element of an array.
#[derive(Debug)]
pub(super) struct Entry<'t, 'i> {
    /// Keys from the root; an array's element is written `hidden[1]`.
    pub path: Vec<String>,
    /// Span of the name; an element's is empty.
    pub key: Range<usize>,
    /// Span of the value. For a table with a header it is the header; for one that dotted keys
    /// imply it is the key.
    pub span: Range<usize>,
    /// The value.
    pub value: &'t DeValue<'i>,
}

impl Entry<'_, '_> {
    /// The last key.
    pub(super) fn name(&self) -> &str {
        self.path.last().map_or("", String::as_str)
    }

    /// Path of the table that the key stands in.
    pub(super) fn table(&self) -> &[String] {
        &self.path[..self.path.len().saturating_sub(1)]
    }
}

/// All entries, each table before its content.
pub(super) fn entries<'t, 'i>(root: &'t DeTable<'i>) -> Vec<Entry<'t, 'i>> {
    let mut all = Vec::new();
    walk(root, &mut Vec::new(), &mut all);
    all
}

fn walk<'t, 'i>(table: &'t DeTable<'i>, path: &mut Vec<String>, all: &mut Vec<Entry<'t, 'i>>) {
    for (key, value) in table {
        path.push(key.get_ref().to_string());
        add(key.span(), value.span(), value.get_ref(), path, all);
        path.pop();
    }
}

fn add<'t, 'i>(
    key: Range<usize>,
    span: Range<usize>,
    value: &'t DeValue<'i>,
    path: &mut Vec<String>,
    all: &mut Vec<Entry<'t, 'i>>,
) {
    all.push(Entry {
        path: path.clone(),
        key,
        span,
        value,
    });
    match value {
        DeValue::Table(inner) => walk(inner, path, all),
        DeValue::Array(items) => {
            let name = path.pop().unwrap_or_default();
            for (i, item) in items.iter().enumerate() {
                path.push(format!("{name}[{i}]"));
                add(0..0, item.span(), item.get_ref(), path, all);
                path.pop();
            }
            path.push(name);
        }
        _ => {}
    }
}

/// The entry at `key` (dotted, from the root), or the nearest one above it that is written down.
pub(super) fn nearest<'t, 'i>(root: &'t DeTable<'i>, key: &str) -> Option<Entry<'t, 'i>> {
    let reaches = |e: &Entry<'_, '_>| {
        key.strip_prefix(&e.path.join("."))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    entries(root)
        .into_iter()
        .filter(reaches)
        .max_by_key(|e| e.path.len())
}
