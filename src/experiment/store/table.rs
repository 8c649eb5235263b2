//! CSV files: a row type is a struct with serde's derives, whose field names are the columns.
//! Errors name the file, the line and the column.

use std::fmt::Display;
use std::fs;
use std::path::Path;

use csv::{DeserializeErrorKind, ErrorKind};
use serde::de::value::Error as Unread;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error as _, Visitor};
use serde::{forward_to_deserialize_any, Serialize};
use serde_json::json;
use toml::{Table, Value};

use mdn_core::{Error, Result};

/// The shortest text that reads back to `value`: `0.1`, `8`, `1e-12`, `NaN`, `inf`.
pub fn exact(value: f64) -> String {
    let text = format!("{value:?}");
    match text.strip_suffix(".0") {
        Some(whole) => whole.to_owned(),
        None => text,
    }
}

/// The names of the fields of `R`, in order.
pub(super) fn columns<'de, R: Deserialize<'de>>() -> &'static [&'static str] {
    struct Names<'a>(&'a mut &'static [&'static str]);

    impl<'de> Deserializer<'de> for Names<'_> {
        type Error = Unread;

        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            visitor: V,
        ) -> Result<V::Value, Unread> {
            *self.0 = fields;
            self.deserialize_any(visitor)
        }

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Unread> {
            Err(Unread::custom("there is nothing to read"))
        }

        forward_to_deserialize_any! {
            bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit
            unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }

    let mut names: &'static [&'static str] = &[];
    // The error is expected: only the names are wanted.
    let _ = R::deserialize(Names(&mut names));
    names
}

/// The cells of a row, in the order of its columns: unknown values are empty, lists are joined.
pub(super) fn cells<'de, R: Serialize + Deserialize<'de>>(row: &R) -> Result<Vec<String>> {
    fn text(value: &Value) -> String {
        match value {
            Value::String(text) => text.clone(),
            Value::Float(number) => exact(*number),
            Value::Boolean(true) => "yes".to_owned(),
            Value::Boolean(false) => "no".to_owned(),
            Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join("; "),
            other => other.to_string(),
        }
    }
    let fields = fields(row)?;
    let cells = columns::<R>().iter().map(|name| fields.get(*name));
    Ok(cells.map(|c| c.map_or_else(String::new, text)).collect())
}

fn fields(row: &impl Serialize) -> Result<Table> {
    Table::try_from(row).map_err(|e| Error::failed(format!("could not write a row: {e}")))
}

/// The bytes of a CSV file with this header and these rows.
pub(super) fn csv_bytes<C: AsRef<[u8]>>(
    header: &[&str],
    rows: impl IntoIterator<Item = impl IntoIterator<Item = C>>,
) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let fault = |e: &dyn Display| Error::failed(format!("could not write CSV: {e}"));
    writer.write_record(header).map_err(|e| fault(&e))?;
    for row in rows {
        writer.write_record(row).map_err(|e| fault(&e))?;
    }
    writer.into_inner().map_err(|e| fault(&e))
}

/// The bytes of a CSV file with these rows.
pub fn csv_rows<'de, R: Serialize + Deserialize<'de>>(rows: &[R]) -> Result<Vec<u8>> {
    let lines = rows.iter().map(cells).collect::<Result<Vec<_>>>()?;
    csv_bytes(columns::<R>(), lines)
}

/// The same rows as a list of objects: an unknown value is null, and a number that is not finite
/// is text, since JSON has no number for it.
pub fn json_rows<'de, R: Serialize + Deserialize<'de>>(rows: &[R]) -> Result<serde_json::Value> {
    let object = |row: &R| {
        let fields = fields(row)?;
        let values = columns::<R>().iter().map(|name| {
            let value = match fields.get(*name) {
                Some(Value::Float(number)) if !number.is_finite() => json!(exact(*number)),
                value => json!(value),
            };
            ((*name).to_owned(), value)
        });
        Ok(serde_json::Value::Object(values.collect()))
    };
    rows.iter().map(object).collect()
}

/// Reads every row of the CSV file at `path`, whose header must be the columns of `R`.
pub fn read_rows<R: DeserializeOwned>(path: &Path) -> Result<Vec<R>> {
    read_csv(path, columns::<R>(), 0)
}

/// Reads every row of the CSV file at `path`, whose header must be `columns`, with or without the last
/// `added` of them: older versions did not write those.
pub(super) fn read_csv<R: DeserializeOwned>(
    path: &Path,
    columns: &[&str],
    added: usize,
) -> Result<Vec<R>> {
    let bytes = fs::read(path).map_err(Error::io(path, "could not read"))?;
    let wrong =
        |line: u64, what: String| Error::request(format!("{}:{line}: {what}", path.display()));
    if bytes.last().is_some_and(|b| *b != b'\n') {
        let lines = bytes.split(|b| *b == b'\n').count() as u64;
        let what = "the last line does not end: the file is cut off";
        return Err(wrong(lines, what.to_owned()));
    }
    let at = |position: Option<&csv::Position>| position.map_or(1, csv::Position::line);
    let unreadable = |e: csv::Error| wrong(at(e.position()), format!("not readable as CSV: {e}"));
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .from_reader(bytes.as_slice());
    let header = reader.headers().map_err(unreadable)?;
    let older = &columns[..columns.len() - added];
    if ![columns, older]
        .iter()
        .any(|names| header.iter().eq(names.iter().copied()))
    {
        let got = match header.is_empty() {
            true => "an empty file".to_owned(),
            false => format!("`{}`", header.iter().collect::<Vec<_>>().join(",")),
        };
        let expected = columns.join(",");
        return Err(wrong(
            1,
            format!("expected the columns `{expected}`; got {got}"),
        ));
    }
    let width = header.len();
    let mut rows = Vec::new();
    for record in reader.records() {
        let cells = record.map_err(unreadable)?;
        let line = at(cells.position());
        if cells.len() != width {
            let what = format!("expected {width} cells; got {}", cells.len());
            return Err(wrong(line, what));
        }
        match cells.deserialize(None) {
            Ok(row) => rows.push(row),
            Err(e) => return Err(wrong(line, bad_cell(&e, columns, &cells))),
        }
    }
    Ok(rows)
}

fn bad_cell(error: &csv::Error, columns: &[&str], cells: &csv::StringRecord) -> String {
    let ErrorKind::Deserialize { err, .. } = error.kind() else {
        return error.to_string();
    };
    let said = err.kind().to_string();
    // An unknown word comes without its column: the first cell that holds it is meant.
    let unknown = said.split('`').nth(1);
    let holds = |word: &str| cells.iter().position(|cell| cell == word);
    let field = err.field().map(|field| field as usize);
    let at = field.or_else(|| holds(unknown?)).unwrap_or_default();
    let expected = match err.kind() {
        DeserializeErrorKind::ParseInt(_) => "a whole number",
        DeserializeErrorKind::ParseFloat(_) => "a number",
        // "unknown variant `c`, expected `a` or `b`"
        _ => said.rsplit_once("expected ").map_or(said.as_str(), |e| e.1),
    };
    let column = columns.get(at).copied().unwrap_or_default();
    let got = cells.get(at).unwrap_or_default();
    format!("`{column}`: expected {expected}; got `{got}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_short_and_reads_back_to_the_same_bits() {
        let cases = [
            (0.1, "0.1"),
            (8.0, "8"),
            (-0.0, "-0"),
            (1e-12, "1e-12"),
            (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
            (0.1 + 0.2, "0.30000000000000004"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "NaN"),
        ];
        for (value, text) in cases {
            assert_eq!(exact(value), text);
            let back: f64 = text.parse().unwrap();
            assert!(
                back.to_bits() == value.to_bits() || value.is_nan(),
                "{text}"
            );
        }
    }

    #[test]
    fn a_number_that_is_not_finite_is_text_in_json() {
        #[derive(Serialize, serde::Deserialize)]
        struct Row {
            bias: f64,
        }
        let bias = f64::NEG_INFINITY;
        assert_eq!(
            json_rows(&[Row { bias }]).unwrap(),
            json!([{ "bias": "-inf" }])
        );
    }
}
