//! The rows of a file as points and classes.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::path::Path;

use csv::StringRecord;

use super::columns::Selection;
use super::{npy, sha256, Column, FileSpec, OnBadRows};
use crate::error::BadValue;

/// Faults of a kind that a message shows.
pub(super) const SHOWN: usize = 3;

/// More classes than this are measurements.
const MAX_CLASSES: usize = 1000;

/// The squares of larger numbers overflow in single precision.
const LARGEST: f64 = 1e18;

/// The content of a file.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Table {
    /// The columns of the points.
    pub(super) columns: Vec<Column>,
    /// The points, row by row.
    pub(super) values: Vec<f64>,
    /// Names of the classes, in order; empty without a label column.
    pub(super) classes: Vec<String>,
    /// The class of every point; empty without a label column.
    pub(super) labels: Vec<u32>,
    /// Rows that are left out.
    pub(super) bad: BadRows,
    /// Of the whole file, in hexadecimal.
    pub(super) sha256: String,
}

/// Rows that are no points.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct BadRows {
    /// The first few, each with its place and what is wrong.
    pub(super) first: Vec<String>,
    /// All of them.
    pub(super) count: usize,
}

impl BadRows {
    fn add(&mut self, what: impl FnOnce() -> String) {
        if self.first.len() < SHOWN {
            self.first.push(what());
        }
        self.count += 1;
    }
}

/// The first few of `count` things in one line.
pub(super) fn some_of(first: &[String], count: usize) -> String {
    let more = if count > first.len() { "; ..." } else { "" };
    first.join("; ") + more
}

impl Table {
    /// Reads the file that `spec` names.
    pub(super) fn read(spec: &FileSpec) -> Result<Self, BadValue> {
        // A pipe would be empty for the second run, and blocks for ever if nobody writes.
        let about = std::fs::metadata(&spec.path);
        if about.is_ok_and(|about| !about.is_file() && !about.is_dir()) {
            return Err(BadValue::new(
                "path",
                "a file that can be read more than once (write what comes through a pipe to one)",
                format!("`{}`, a pipe or device", spec.path.display()),
            ));
        }
        let bytes = std::fs::read(&spec.path).map_err(|e| {
            let got = format!("`{}` ({e})", spec.path.display());
            BadValue::new("path", "a file that can be read", got)
        })?;
        let sha256 = sha256(&bytes);
        if let Some(known) = spec.sha256.as_ref().filter(|known| **known != sha256) {
            return Err(BadValue::new(
                "sha256",
                format!("the file with SHA-256 {known}"),
                format!("{} with {sha256}: it has changed", spec.path.display()),
            ));
        }
        Self::parse(spec, &bytes, sha256)
    }

    /// Reads the content of a file.
    pub(super) fn parse(spec: &FileSpec, bytes: &[u8], sha256: String) -> Result<Self, BadValue> {
        let table = Self::content(spec, &spec.format()?, bytes, LARGEST)?;
        Ok(Self { sha256, ..table })
    }

    /// Reads rows of this format, of numbers up to `largest`.
    pub(super) fn content(
        spec: &FileSpec,
        format: &Format,
        bytes: &[u8],
        largest: f64,
    ) -> Result<Self, BadValue> {
        let table = match format {
            Format::Npy => matrix(spec, bytes, largest)?,
            Format::Text(delimiter) => Text::open(spec, bytes, *delimiter)?.table(spec, largest)?,
        };
        let file = file_name(&spec.path);
        let (bad, rows) = (&table.bad, table.rows());
        if bad.count > 0 && (spec.on_bad_rows == OnBadRows::Refuse || rows == 0) {
            let instead = match spec.on_bad_rows {
                OnBadRows::Refuse if rows > 0 => "; mend them or set `on_bad_rows = \"skip\"`",
                _ => "",
            };
            let s = if bad.count == 1 { "" } else { "s" };
            let some = some_of(&bad.first, bad.count);
            return Err(BadValue::new(
                "path",
                format!("a number in every column and row of {file}"),
                format!(
                    "{} bad row{s} ({some}) beside {rows} good ones{instead}",
                    bad.count
                ),
            ));
        }
        if rows == 0 {
            let expected = format!("points in {file}");
            return Err(BadValue::new("path", expected, "none"));
        }
        Ok(table)
    }

    /// D.
    pub(super) fn dim(&self) -> usize {
        self.columns.len()
    }

    /// The number of points.
    pub(super) fn rows(&self) -> usize {
        self.values.len() / self.dim()
    }

    /// Point `i`.
    pub(super) fn row(&self, i: usize) -> &[f64] {
        &self.values[i * self.dim()..(i + 1) * self.dim()]
    }

    /// Points that are equal to an earlier one.
    pub(super) fn duplicates(&self) -> usize {
        let mut rows: Vec<&[f64]> = self.values.chunks_exact(self.dim()).collect();
        // The values are finite, so that every pair has an order.
        rows.sort_unstable_by(|a, b| a.partial_cmp(b).unwrap_or(Ordering::Equal));
        rows.windows(2).filter(|pair| pair[0] == pair[1]).count()
    }
}

/// The format of a file.
pub(super) enum Format {
    /// Delimited text, with the delimiter where the name tells it.
    Text(Option<u8>),
    /// NumPy's array.
    Npy,
}

/// The last part of a path: messages name the whole path once at most.
pub(super) fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// What is wrong with a coordinate, if anything.
fn fault(value: f64, largest: f64) -> Option<&'static str> {
    match value {
        v if v.is_nan() => Some("is not a number"),
        v if v.is_infinite() => Some("is infinite"),
        v if v.abs() > largest => Some("is beyond 1e18"),
        _ => None,
    }
}

/// Delimited text: CSV and its relatives.
struct Text<'a> {
    text: &'a str,
    /// The first row that is not blank.
    first: StringRecord,
    /// The names in it, if it is a header.
    names: Option<Vec<String>>,
    /// The rows after it that are not blank.
    rows: Box<dyn Iterator<Item = StringRecord> + 'a>,
}

impl<'a> Text<'a> {
    fn open(spec: &FileSpec, bytes: &'a [u8], delimiter: Option<u8>) -> Result<Self, BadValue> {
        let file = file_name(&spec.path);
        let text = std::str::from_utf8(bytes).map_err(|e| {
            let before = &bytes[..e.valid_up_to()];
            let line = 1 + before.iter().filter(|b| **b == b'\n').count();
            let expected = format!("text in UTF-8 in {file}");
            BadValue::new("path", expected, format!("other bytes on line {line}"))
        })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let first_line = text.lines().find(|l| !l.trim().is_empty());
        let delimiter = spec.delimiter.map(|c| c as u8).or(delimiter);
        let reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .trim(csv::Trim::All)
            .delimiter(delimiter.unwrap_or_else(|| separator(first_line.unwrap_or_default())))
            .from_reader(text.as_bytes());
        // Reading from memory into rows of any length cannot fail.
        let rows = reader.into_records().map_while(Result::ok);
        let mut rows = rows.filter(|row| row.len() > 1 || !row[0].is_empty());
        let Some(first) = rows.next() else {
            let expected = format!("points in {file}");
            return Err(BadValue::new("path", expected, "an empty file"));
        };
        let header = spec.header.unwrap_or_else(|| {
            let mut wanted = spec.columns.iter().flatten().chain(&spec.label);
            wanted.any(|c| matches!(c, Column::Name(name) if first.iter().any(|cell| cell == name)))
                || first.iter().all(|cell| cell.parse::<f64>().is_err())
        });
        Ok(Self {
            text,
            names: header.then(|| first.iter().map(str::to_owned).collect()),
            first,
            rows: Box::new(rows),
        })
    }

    fn table(self, spec: &FileSpec, largest: f64) -> Result<Table, BadValue> {
        let (names, fields) = (self.names.as_deref(), self.first.len());
        let selection = Selection::new(spec, names, fields)?;
        let mut table = Table {
            columns: selection.named(names),
            ..Table::default()
        };
        let mut classes = Vec::new();
        // How often each column had no number: a column that never has one is text.
        let mut without = vec![0; table.dim()];
        let mut count = 0;
        let first = Some(self.first).filter(|_| names.is_none());
        for row in first.into_iter().chain(self.rows) {
            count += 1;
            match point(&row, (fields, largest), &selection, &table.columns) {
                Ok(point) => {
                    table.values.extend(point);
                    classes.extend(selection.label.map(|i| row[i].to_owned()));
                }
                Err((column, why)) => {
                    column.into_iter().for_each(|c: usize| without[c] += 1);
                    let line = || line(self.text, &row);
                    table.bad.add(|| format!("line {}: {why}", line()));
                }
            }
        }
        if let Some(text) = without.iter().position(|n| *n == count && count > 1) {
            return Err(BadValue::new(
                "columns",
                "columns of numbers (name them with `columns = [...]`, a column of classes with `label`)",
                format!(
                    "{} without a number in any row of {}",
                    table.columns[text],
                    file_name(&spec.path)
                ),
            ));
        }
        table.classify(spec, classes)?;
        Ok(table)
    }
}

/// The names in the header of a file, if it has one, and the number of its columns.
pub(super) fn header(
    spec: &FileSpec,
    format: &Format,
    bytes: &[u8],
) -> Result<(Option<Vec<String>>, usize), BadValue> {
    match format {
        Format::Npy => Ok((None, array(spec, bytes)?.fields)),
        Format::Text(delimiter) => {
            let text = Text::open(spec, bytes, *delimiter)?;
            Ok((text.names, text.first.len()))
        }
    }
}

/// The most frequent of the candidates in a line outside of quotes, the first of several.
fn separator(line: &str) -> u8 {
    let outside: Vec<u8> = line.split('"').step_by(2).flat_map(str::bytes).collect();
    let count = |separator: &u8| outside.iter().filter(|b| *b == separator).count();
    let candidates = [b'|', b'\t', b';', b','];
    candidates.into_iter().max_by_key(count).unwrap_or(b',')
}

/// The line of `text` on which a row begins, from 1; the reader's position is before blank lines.
fn line(text: &str, row: &StringRecord) -> usize {
    let start = row.position().map_or(0, |p| p.byte() as usize);
    let rest = &text[start..];
    let first = start + rest.len() - rest.trim_start_matches(['\r', '\n']).len();
    1 + text[..first].matches('\n').count()
}

type Point = Result<Vec<f64>, (Option<usize>, String)>;

/// The point of a row, or what is wrong, with the column if that has no number.
fn point(
    row: &StringRecord,
    (fields, largest): (usize, f64),
    selection: &Selection,
    columns: &[Column],
) -> Point {
    if row.len() != fields {
        let s = if fields == 1 { "" } else { "s" };
        return Err((None, format!("{} values for {fields} column{s}", row.len())));
    }
    if selection.label.is_some_and(|i| row[i].is_empty()) {
        return Err((None, "no label".to_owned()));
    }
    let number = |(c, &i): (usize, &usize)| {
        let short: String = row[i].chars().take(30).collect();
        let wrong = format!("`{short}` in {}", columns[c]);
        match row[i].parse::<f64>() {
            Ok(v) => fault(v, largest).map_or(Ok(v), |why| Err((None, format!("{wrong} {why}")))),
            Err(_) => Err((Some(c), wrong)),
        }
    };
    selection.columns.iter().enumerate().map(number).collect()
}

fn array(spec: &FileSpec, bytes: &[u8]) -> Result<npy::Matrix, BadValue> {
    let file = file_name(&spec.path);
    for (key, given) in [
        ("header", spec.header.is_some()),
        ("delimiter", spec.delimiter.is_some()),
    ] {
        let expected = format!("`{key}` with a file of text alone");
        BadValue::unless(!given, key, &expected, &file)?;
    }
    npy::parse(bytes)
        .map_err(|(expected, got)| BadValue::new("path", expected, format!("{got} in {file}")))
}

fn matrix(spec: &FileSpec, bytes: &[u8], largest: f64) -> Result<Table, BadValue> {
    let found = array(spec, bytes)?;
    let selection = Selection::new(spec, None, found.fields)?;
    let mut table = Table {
        columns: selection.named(None),
        ..Table::default()
    };
    let mut classes = Vec::new();
    // A file of no columns has been refused.
    for (row, values) in found.values.chunks_exact(found.fields).enumerate() {
        let wanted = selection.columns.iter().chain(&selection.label);
        let first = wanted
            .copied()
            .find_map(|i| Some((i, fault(values[i], largest)?)));
        if let Some((i, why)) = first {
            table.bad.add(|| format!("row {row}: column {i} {why}"));
            continue;
        }
        table
            .values
            .extend(selection.columns.iter().map(|&i| values[i]));
        classes.extend(selection.label.map(|i| values[i].to_string()));
    }
    table.classify(spec, classes)?;
    Ok(table)
}

impl Table {
    /// Numbers the classes: by value where all are numbers, else by name.
    fn classify(&mut self, spec: &FileSpec, of_rows: Vec<String>) -> Result<(), BadValue> {
        let Some(label) = &spec.label else {
            return Ok(());
        };
        let mut names: Vec<String> = BTreeSet::from_iter(&of_rows).into_iter().cloned().collect();
        if names.iter().all(|n| n.parse::<f64>().is_ok()) {
            let value = |n: &String| n.parse::<f64>().unwrap_or(f64::NAN);
            names.sort_by(|a, b| value(a).total_cmp(&value(b)));
        }
        let (n, rows) = (names.len(), of_rows.len());
        if n > MAX_CLASSES || (n > 2 && 2 * n > rows) {
            return Err(BadValue::new(
                "label",
                "a column of classes that come up again and again",
                format!("{n} different values in {rows} rows of {label}"),
            ));
        }
        let number = names.iter().zip(0u32..);
        let number: std::collections::HashMap<_, _> = number.collect();
        self.labels = of_rows.iter().map(|name| number[name]).collect();
        self.classes = names;
        Ok(())
    }
}
