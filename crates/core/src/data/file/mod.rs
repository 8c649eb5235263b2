//! Points from a file, such as measurements: their law is unknown.

mod columns;
mod findings;
pub mod npy;
mod reference;
mod set;
mod table;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::de::{self, Deserializer, Unexpected, Visitor};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::BadValue;

pub use columns::FilePoints;
pub use reference::Reference;
use set::FileData;
pub use set::FileRecord;
use table::{Format, Table};

/// `file = { path = "penguins.csv", columns = ["bill_length_mm", "bill_depth_mm"], label = "species" }`
///
/// A finite set of points: delimited text (`.csv`, `.tsv`, `.txt`, with a header or not) or a
/// NumPy array with two axes (`.npy`; floats, integers or booleans, either byte order, C or Fortran
/// order). Its law is unknown, so metrics that need one do not apply. The NLL does, in the units of the
/// data: models that standardise by the training points count that scale in their log-densities.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileSpec {
    /// Where it is. In an experiment file, relative to that file's folder.
    pub path: PathBuf,
    /// SHA-256 of the file in hexadecimal; a file with another one is refused. The record of a run has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Whether the first row names the columns (text only). If absent, a first row without any number
    /// or with the name of a requested column is a header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<bool>,
    /// What separates the cells (text only). If absent, a tab in `.tsv` files, and in others
    /// whichever of `,`, `;`, tab and `|` is most frequent in the first line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<char>,
    /// The coordinates of a point, by name or by number from 0; all columns but `label` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Vec<Column>>,
    /// A column of classes, text or numbers. No model sees it; metrics compare with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Column>,
    /// What to do with rows that are not points.
    #[serde(default)]
    pub on_bad_rows: OnBadRows,
    /// How the points are split.
    #[serde(default)]
    pub split: SplitSpec,
}

/// The name of a column, or its number from 0.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Column {
    /// By the name in the header.
    Name(String),
    /// By its number, from 0.
    Number(usize),
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "`{name}`"),
            Self::Number(number) => write!(f, "column {number}"),
        }
    }
}

// By hand: the errors of serde's own `untagged` name neither the value nor its place.
impl<'de> Deserialize<'de> for Column {
    fn deserialize<T: Deserializer<'de>>(from: T) -> Result<Self, T::Error> {
        struct NameOrNumber;

        impl Visitor<'_> for NameOrNumber {
            type Value = Column;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a column, or its number from 0")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Column, E> {
                Ok(Column::Name(name.to_owned()))
            }

            fn visit_i64<E: de::Error>(self, v: i64) -> Result<Column, E> {
                let number = usize::try_from(v).map(Column::Number);
                number.map_err(|_| E::invalid_value(Unexpected::Signed(v), &self))
            }

            fn visit_u64<E: de::Error>(self, v: u64) -> Result<Column, E> {
                let number = usize::try_from(v).map(Column::Number);
                number.map_err(|_| E::invalid_value(Unexpected::Unsigned(v), &self))
            }
        }

        from.deserialize_any(NameOrNumber)
    }
}

/// What to do with rows with NaN, infinity, text or the wrong number of cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnBadRows {
    /// The file is refused.
    #[default]
    Refuse,
    /// They are left out, with a warning, and counted in the run's record.
    Skip,
}

/// `split = { train = 0.7, validation = 0.15, test = 0.15, seed = 0 }`
///
/// The rows are shuffled by `seed` and cut. This seed is not the run's: all models and seeds of an
/// experiment use the same split, so that an interval over seeds shows the spread of training and not
/// that of the data.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SplitSpec {
    /// Share of the points that parameters are fitted to.
    pub train: f64,
    /// Share by which weights are chosen.
    pub validation: f64,
    /// Share that metrics are computed on.
    pub test: f64,
    /// Of the shuffle.
    pub seed: u64,
}

impl Default for SplitSpec {
    fn default() -> Self {
        Self {
            train: 0.7,
            validation: 0.15,
            test: 0.15,
            seed: 0,
        }
    }
}

impl SplitSpec {
    fn check(&self) -> Result<(), BadValue> {
        let shares = [
            ("train", self.train),
            ("validation", self.validation),
            ("test", self.test),
        ];
        for (key, share) in shares {
            let expected = format!("0 < `{key}` < 1");
            BadValue::unless(share > 0.0 && share < 1.0, key, &expected, share)?;
        }
        let sum = self.train + self.validation + self.test;
        BadValue::unless(
            (sum - 1.0).abs() < 1e-6,
            "",
            "`train`, `validation` and `test` that sum to 1",
            format_args!("a sum of {sum} (defaults: 0.7, 0.15 and 0.15)"),
        )
    }
}

impl FileSpec {
    /// The file at `path`, with the defaults for all settings.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            ..Self::default()
        }
    }

    /// What is wrong with the settings, without reading the file.
    pub(super) fn check_settings(&self) -> Result<(), BadValue> {
        self.format()?;
        if let Some(delimiter) = self.delimiter {
            BadValue::unless(
                delimiter.is_ascii()
                    && !delimiter.is_alphanumeric()
                    && !"\"\r\n.+-".contains(delimiter),
                "delimiter",
                "a character that neither numbers nor quotes have, as in `delimiter = \";\"`",
                format_args!("{delimiter:?}"),
            )?;
        }
        if let Some(sum) = &self.sha256 {
            let digit = |c: char| matches!(c, '0'..='9' | 'a'..='f');
            BadValue::unless(
                sum.len() == 64 && sum.chars().all(digit),
                "sha256",
                "64 hexadecimal digits in lower case",
                format_args!("{sum:?}"),
            )?;
        }
        let expected = "at least one column";
        let empty = self.columns.as_ref().is_some_and(Vec::is_empty);
        BadValue::unless(!empty, "columns", expected, "none")?;
        self.split.check().map_err(|e| e.below("split"))
    }

    /// D, or what is wrong with the settings; the file is read only where its columns are not named.
    pub(super) fn check(&self) -> Result<usize, BadValue> {
        self.check_settings()?;
        match &self.columns {
            Some(columns) => Ok(columns.len()),
            None => self.build().map(|data| data.record.columns.len()),
        }
    }

    /// Reads the file and splits its points.
    pub(super) fn build(&self) -> Result<FileData, BadValue> {
        self.check_settings()?;
        FileData::new(self, Table::read(self)?)
    }

    /// Reads the file, writes its columns and checksum into the settings, and says what is in it.
    pub fn settle(&mut self) -> Result<FileRecord, BadValue> {
        let record = self.build()?.record;
        self.columns = Some(record.columns.clone());
        self.sha256 = Some(record.sha256.clone());
        Ok(record)
    }

    /// The format, by the ending of the name.
    fn format(&self) -> Result<Format, BadValue> {
        let ending = self.path.extension().unwrap_or_default();
        let ending = ending.to_string_lossy().to_lowercase();
        match ending.as_str() {
            "csv" | "txt" => Ok(Format::Text(None)),
            "tsv" => Ok(Format::Text(Some(b'\t'))),
            "npy" => Ok(Format::Npy),
            other => Err(BadValue::new(
                "path",
                "a file that ends in .csv, .tsv, .txt or .npy",
                match other {
                    "npz" => "an archive of arrays (try `numpy.save` for one of them)".to_owned(),
                    _ => format!("`{}`", self.path.display()),
                },
            )),
        }
    }
}

/// The path relative to `folder`.
pub fn relative_to(folder: &Path, path: &Path) -> PathBuf {
    let place = |path: &Path| {
        // The folder of a plain name is an empty path.
        let path = Path::new(".").join(path);
        // Links are followed: `..` of a linked folder leads elsewhere.
        let real = path.canonicalize();
        real.or_else(|_| std::path::absolute(&path))
    };
    match (place(path), place(folder)) {
        (Ok(path), Ok(folder)) => pathdiff::diff_paths(&path, folder).unwrap_or(path),
        _ => path.to_owned(),
    }
}

/// The checksum of a file, in hexadecimal.
pub(super) fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|b| format!("{b:02x}")).collect()
}
