//! CSV files with a fixed header, read back with errors that name the file, the line and the column.

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};

use mdn_core::{Error, Result};

/// The bytes of a CSV file with this header and these rows.
pub fn csv_bytes<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let fault = |e: &dyn Display| Error::failed(format!("could not write CSV: {e}"));
    writer.write_record(header).map_err(|e| fault(&e))?;
    for row in rows {
        writer.write_record(row).map_err(|e| fault(&e))?;
    }
    writer.into_inner().map_err(|e| fault(&e))
}

/// A line of a CSV file and where it stands.
pub(super) struct Line<'a> {
    path: &'a Path,
    number: u64,
    header: &'a [&'a str],
    cells: csv::StringRecord,
}

impl Line<'_> {
    /// The cell under `column`.
    pub fn text(&self, column: &str) -> &str {
        let at = self.header.iter().position(|c| *c == column);
        at.and_then(|i| self.cells.get(i)).unwrap_or_default()
    }

    /// The cell under `column`, which may not be empty and must be `expected`.
    pub fn parse<T: std::str::FromStr>(&self, column: &str, expected: &str) -> Result<T> {
        let text = self.text(column);
        text.parse().map_err(|_| self.fault(column, expected, text))
    }

    /// As [`Line::parse`], with `None` for an empty cell.
    pub fn parse_or_empty(&self, column: &str) -> Result<Option<f64>> {
        match self.text(column) {
            "" => Ok(None),
            _ => self.parse(column, "a number or nothing").map(Some),
        }
    }

    /// What is wrong with the cell under `column`.
    pub fn fault(&self, column: &str, expected: &str, got: &str) -> Error {
        let (path, number) = (self.path.display(), self.number);
        Error::request(format!(
            "{path}:{number}: `{column}`: expected {expected}; got `{got}`"
        ))
    }
}

/// Reads every line of the CSV file at `path`, whose header must be `header`.
pub(super) fn read_csv<T>(
    path: &PathBuf,
    header: &[&str],
    mut row: impl FnMut(&Line<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let bytes = fs::read(path).map_err(Error::io(path, "could not read"))?;
    let name = path.display();
    if bytes.last().is_some_and(|b| *b != b'\n') {
        let lines = bytes.split(|b| *b == b'\n').count();
        return Err(Error::request(format!(
            "{name}:{lines}: the last line does not end: the file is cut off"
        )));
    }
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(bytes.as_slice());
    let mut rows = Vec::new();
    for (i, record) in reader.records().enumerate() {
        let cells = record.map_err(|e| {
            let line = e.position().map_or(i as u64 + 1, csv::Position::line);
            Error::request(format!("{name}:{line}: not readable as CSV: {e}"))
        })?;
        let number = cells.position().map_or(i as u64 + 1, csv::Position::line);
        if i == 0 {
            if cells.iter().ne(header.iter().copied()) {
                return Err(Error::request(format!(
                    "{name}:1: expected the columns `{}`; got `{}`",
                    header.join(","),
                    cells.iter().collect::<Vec<_>>().join(","),
                )));
            }
            continue;
        }
        if cells.len() != header.len() {
            return Err(Error::request(format!(
                "{name}:{number}: expected {} cells; got {}",
                header.len(),
                cells.len(),
            )));
        }
        rows.push(row(&Line {
            path,
            number,
            header,
            cells,
        })?);
    }
    if bytes.is_empty() {
        return Err(Error::request(format!(
            "{name}:1: expected the columns `{}`; got an empty file",
            header.join(",")
        )));
    }
    Ok(rows)
}
