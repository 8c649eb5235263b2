//! The rows of a file as points and classes.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::{npy, Column, FileSpec, OnBadRows};
use crate::error::{did_you_mean, BadValue};

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
        let digest = Sha256::digest(&bytes);
        let sha256: String = digest.iter().map(|b| format!("{b:02x}")).collect();
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
        let mut table = match spec.format()? {
            Format::Npy => matrix(spec, bytes)?,
            Format::Text(delimiter) => text(spec, bytes, delimiter)?,
        };
        table.sha256 = sha256;
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

/// The requested fields.
struct Selection {
    columns: Vec<usize>,
    label: Option<usize>,
}

impl Selection {
    fn new(spec: &FileSpec, names: Option<&[String]>, fields: usize) -> Result<Self, BadValue> {
        let find = |key: &str, column: &Column| match (column, names) {
            (Column::Number(i), _) => {
                let expected = format!("columns 0 to {}", fields.saturating_sub(1));
                BadValue::unless(*i < fields, key, &expected, i).map(|()| *i)
            }
            (Column::Name(name), None) => Err(BadValue::new(
                key,
                "a file with a header, or columns by number, from 0 (with `header = true` the \
                 first row is the header)",
                format!("\"{name}\" in a file without a header"),
            )),
            (Column::Name(name), Some(names)) => {
                let mut places = (0..names.len()).filter(|i| names[*i] == *name);
                match (places.next(), places.next()) {
                    (Some(i), None) => Ok(i),
                    (Some(i), Some(j)) => Err(BadValue::new(
                        key,
                        "a name that one column has, or its number",
                        format!("\"{name}\", which columns {i} and {j} have"),
                    )),
                    _ => {
                        let known: Vec<_> = names.iter().map(|n| format!("`{n}`")).collect();
                        let close = did_you_mean(name, names.iter().map(String::as_str));
                        let expected = format!("columns out of {}", known.join(", "));
                        Err(BadValue::new(key, expected, format!("\"{name}\"{close}")))
                    }
                }
            }
        };
        let label = spec.label.as_ref().map(|c| find("label", c)).transpose()?;
        let columns = match &spec.columns {
            Some(columns) => {
                let found = columns.iter().map(|c| find("columns", c));
                found.collect::<Result<Vec<_>, _>>()?
            }
            None => (0..fields).filter(|i| Some(*i) != label).collect(),
        };
        let mut seen = BTreeSet::new();
        for i in &columns {
            let fine = seen.insert(*i) && Some(*i) != label;
            let expected = "every column once, and none of them the label";
            BadValue::unless(fine, "columns", expected, format!("column {i} again"))?;
        }
        let expected = "at least one column of numbers";
        BadValue::unless(!columns.is_empty(), "columns", expected, "none")?;
        Ok(Self { columns, label })
    }

    /// The columns as an experiment file would name them.
    fn named(&self, names: Option<&[String]>) -> Vec<Column> {
        let name = |i: usize| {
            let name = names.and_then(|names| names.get(i))?;
            let once = names?.iter().filter(|n| *n == name).count() == 1;
            once.then(|| Column::Name(name.clone()))
        };
        let named = |&i: &usize| name(i).unwrap_or(Column::Number(i));
        self.columns.iter().map(named).collect()
    }
}

/// What is wrong with a coordinate, if anything.
fn fault(value: f64) -> Option<&'static str> {
    match value {
        v if v.is_nan() => Some("is not a number"),
        v if v.is_infinite() => Some("is infinite"),
        v if v.abs() > LARGEST => Some("is beyond 1e18"),
        _ => None,
    }
}

/// Delimited text: CSV and its relatives. Blank lines are skipped.
fn text(spec: &FileSpec, bytes: &[u8], delimiter: Option<u8>) -> Result<Table, BadValue> {
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
    let fields = first.len();
    let header = spec.header.unwrap_or_else(|| {
        let mut wanted = spec.columns.iter().flatten().chain(&spec.label);
        wanted.any(|c| matches!(c, Column::Name(name) if first.iter().any(|cell| cell == name)))
            || first.iter().all(|cell| cell.parse::<f64>().is_err())
    });
    let names: Option<Vec<String>> = header.then(|| first.iter().map(str::to_owned).collect());
    let selection = Selection::new(spec, names.as_deref(), fields)?;
    let columns = selection.named(names.as_deref());
    let mut table = Table {
        columns,
        ..Table::default()
    };
    let mut classes = Vec::new();
    // How often each column had no number: a column that never has one is text.
    let mut without = vec![0; table.dim()];
    let mut count = 0;
    for row in Some(first).filter(|_| !header).into_iter().chain(rows) {
        count += 1;
        match point(&row, fields, &selection, &table.columns) {
            Ok(point) => {
                table.values.extend(point);
                classes.extend(selection.label.map(|i| row[i].to_owned()));
            }
            Err((column, why)) => {
                column.into_iter().for_each(|c: usize| without[c] += 1);
                table
                    .bad
                    .add(|| format!("line {}: {why}", line(text, &row)));
            }
        }
    }
    if let Some(text) = without.iter().position(|n| *n == count && count > 1) {
        return Err(BadValue::new(
            "columns",
            "columns of numbers (name them with `columns = [...]`, a column of classes with `label`)",
            format!("{} without a number in any row of {file}", table.columns[text]),
        ));
    }
    table.classify(spec, classes)?;
    Ok(table)
}

/// The most frequent of the candidates in a line outside of quotes, the first of several.
fn separator(line: &str) -> u8 {
    let outside: Vec<u8> = line.split('"').step_by(2).flat_map(str::bytes).collect();
    let count = |separator: &u8| outside.iter().filter(|b| *b == separator).count();
    let candidates = [b'|', b'\t', b';', b','];
    candidates.into_iter().max_by_key(count).unwrap_or(b',')
}

/// The line of `text` on which a row begins, from 1; the reader's position is before blank lines.
fn line(text: &str, row: &csv::StringRecord) -> usize {
    let start = row.position().map_or(0, |p| p.byte() as usize);
    let rest = &text[start..];
    let first = start + rest.len() - rest.trim_start_matches(['\r', '\n']).len();
    1 + text[..first].matches('\n').count()
}

type Point = Result<Vec<f64>, (Option<usize>, String)>;

/// The point of a row, or what is wrong, with the column if that has no number.
fn point(
    row: &csv::StringRecord,
    fields: usize,
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
            Ok(v) => fault(v).map_or(Ok(v), |why| Err((None, format!("{wrong} {why}")))),
            Err(_) => Err((Some(c), wrong)),
        }
    };
    selection.columns.iter().enumerate().map(number).collect()
}

fn matrix(spec: &FileSpec, bytes: &[u8]) -> Result<Table, BadValue> {
    let file = file_name(&spec.path);
    for (key, given) in [
        ("header", spec.header.is_some()),
        ("delimiter", spec.delimiter.is_some()),
    ] {
        let expected = format!("`{key}` with a file of text alone");
        BadValue::unless(!given, key, &expected, &file)?;
    }
    let found = npy::parse(bytes)
        .map_err(|(expected, got)| BadValue::new("path", expected, format!("{got} in {file}")))?;
    let selection = Selection::new(spec, None, found.fields)?;
    let mut table = Table {
        columns: selection.named(None),
        ..Table::default()
    };
    let mut classes = Vec::new();
    // A file of no columns has been refused.
    for (row, values) in found.values.chunks_exact(found.fields).enumerate() {
        let wanted = selection.columns.iter().chain(&selection.label);
        let first = wanted.copied().find_map(|i| Some((i, fault(values[i])?)));
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
