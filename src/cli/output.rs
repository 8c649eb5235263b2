//! Writing to stdout and stderr so that a closed pipe is no panic.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::experiment::store::write_atomic;
use mdn_core::{Error, Result};

const STDOUT: &str = "<stdout>";

/// Whether the reader of stdout went away, as `head` does: no fault.
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

/// Writes a result to a file, or to stdout if there is none.
pub(super) fn print_or_write(text: &str, to: Option<&Path>) -> Result<()> {
    match to {
        Some(path) => write_atomic(path, text.as_bytes()),
        None => print(text),
    }
}

/// Files that were written, one a line, as objects for programs.
pub(super) fn written(files: &[PathBuf], json: bool) -> Result<()> {
    let line = |file: &PathBuf| match json {
        true => format!(
            "{}\n",
            serde_json::json!({ "file": file.display().to_string() })
        ),
        false => format!("{}\n", file.display()),
    };
    print(&files.iter().map(line).collect::<String>())
}

/// One message. There is nobody to tell if this fails.
pub(super) fn to_stderr(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Something that the reader of the results must know.
pub(super) fn warn(text: &str) {
    to_stderr(&format!("warning: {text}"));
}

/// Rows with columns of equal width, two spaces apart.
pub(super) fn columns(rows: &[Vec<String>]) -> String {
    let mut widths = Vec::new();
    for row in rows {
        for (i, cell) in row.iter().enumerate() {
            let wide = cell.chars().count();
            match widths.get_mut(i) {
                Some(width) => *width = wide.max(*width),
                None => widths.push(wide),
            }
        }
    }
    let mut text = String::new();
    for row in rows {
        let cells: Vec<_> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}
