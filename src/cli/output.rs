//! Prints text, tables and JSON to stdout and messages to stderr. A closed pipe does not panic.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use comfy_table::{presets, Table};
use serde::Serialize;
use serde_json::{json, Value};

use super::Context;
use crate::experiment::store::write_atomic;
use mdn_core::{Error, Result};

const STDOUT: &str = "<stdout>";

/// Whether the reader of stdout closed the pipe, as `head` does. This is not reported.
pub fn is_closed_pipe(e: &Error) -> bool {
    matches!(e, Error::Io { path, source, .. }
        if path == Path::new(STDOUT) && source.kind() == ErrorKind::BrokenPipe)
}

/// Writes results to stdout.
pub(super) fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(Error::io(Path::new(STDOUT), "could not write"))
}

/// Writes a result to a file and says so, or to stdout if there is no file.
pub(super) fn print_or_write(text: &str, to: Option<&Path>, context: &Context) -> Result<()> {
    let Some(path) = to else {
        return print(text);
    };
    write_atomic(path, text.as_bytes())?;
    context.note(&format!("wrote {}", path.display()));
    Ok(())
}

/// Prints JSON values, one a line.
pub(super) fn print_json(values: impl IntoIterator<Item = impl Serialize>) -> Result<()> {
    let mut text = String::new();
    for value in values {
        let line = serde_json::to_string(&value);
        text += &line.map_err(|e| Error::failed(format!("could not write JSON: {e}")))?;
        text.push('\n');
    }
    print(&text)
}

/// Prints rows, each given as cells and as JSON: a table, or one JSON object per row.
pub(super) fn print_rows(
    header: &[&str],
    rows: Vec<(Vec<String>, Value)>,
    json: bool,
) -> Result<()> {
    let (cells, values): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
    match json {
        true => print_json(values),
        false => print(&columns(header, cells)),
    }
}

/// Prints the files that were written: a path, or an object {"file": ...}, per line.
pub(super) fn print_files(files: &[PathBuf], json: bool) -> Result<()> {
    let row = |file: &PathBuf| {
        let path = file.display().to_string();
        (vec![path.clone()], json!({ "file": path }))
    };
    print_rows(&[], files.iter().map(row).collect(), json)
}

/// Writes one message to stderr. Nobody can be told if this fails.
pub(super) fn to_stderr(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Writes a warning: something that the reader of the results must know.
pub(super) fn warn(text: &str) {
    to_stderr(&format!("warning: {text}"));
}

/// A table without lines, its columns two spaces apart; no header if `header` is empty.
pub(super) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).add_rows(rows);
    if !header.is_empty() {
        table.set_header(header.iter().copied());
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

/// The text of [`table`]; empty without rows and header.
pub(super) fn columns(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let lines = table(header, rows);
    lines
        .lines()
        .map(|line| line.trim_end().to_owned() + "\n")
        .collect()
}

/// A duration to two digits or more: `12ms`, `1s 300ms`, `2m 5s`, `2h 30m`.
pub(super) fn duration(seconds: f64) -> String {
    let step = match seconds {
        s if s < 1e-2 => 1e-6,
        s if s < 1.0 => 1e-3,
        s if s < 10.0 => 0.1,
        s if s < 3600.0 => 1.0,
        _ => 60.0,
    };
    let rounded = Duration::try_from_secs_f64((seconds / step).round() * step);
    humantime::format_duration(rounded.unwrap_or(Duration::MAX)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_in_the_unit_that_fits() {
        for (seconds, text) in [
            (0.000_8, "800us"),
            (0.0123, "12ms"),
            (1.32, "1s 300ms"),
            (42.4, "42s"),
            (125.0, "2m 5s"),
            (9010.0, "2h 30m"),
            (1e6, "11days 13h 47m"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }
}
