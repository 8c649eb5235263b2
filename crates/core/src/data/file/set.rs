//! The points of a file, shared out.

use candle_core::{Device, Tensor};
use serde::Serialize;

use super::findings::{columns_without, Findings};
use super::table::{file_name, some_of, Table, SHOWN};
use super::{Column, FileSpec};
use crate::data::law::hull;
use crate::data::{DataSet, LabelledPoints, Split, Truth};
use crate::error::BadValue;
use crate::rng::Rng;
use crate::Result;

/// A split with fewer points has no spread.
const FEWEST: usize = 2;

/// What was found in a file: the file `data.toml` of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FileRecord {
    /// The file's name, without its folder.
    pub file: String,
    /// SHA-256 of its content.
    pub sha256: String,
    /// Points in it.
    pub rows: usize,
    /// Rows that were left out, as asked for by `on_bad_rows = "skip"`.
    pub bad_rows: usize,
    /// The first few of them, each with what is wrong.
    pub first_bad_rows: Vec<String>,
    /// Points that are equal to an earlier one.
    pub duplicates: usize,
    /// Columns with an outlier.
    pub outliers: Vec<String>,
    /// Points to train on.
    pub train: usize,
    /// Points to choose weights by.
    pub validation: usize,
    /// Points to measure on.
    pub test: usize,
    /// The coordinates.
    pub columns: Vec<Column>,
    /// Names of the classes: a label is a place in this list.
    pub classes: Vec<String>,
    /// Points of each class.
    pub class_sizes: Vec<usize>,
    /// What is likely a mistake, one line each. In a run's file also what its model makes of the points.
    pub warnings: Vec<String>,
}

impl FileRecord {
    /// What is likely a mistake, one line each.
    fn all_warnings(&self, others: &[String]) -> Vec<String> {
        let mut all = Vec::new();
        if self.bad_rows > 0 {
            all.push(format!(
                "{} of {} rows of {} are left out ({})",
                self.bad_rows,
                self.bad_rows + self.rows,
                self.file,
                some_of(&self.first_bad_rows, self.bad_rows)
            ));
        }
        if self.duplicates > 0 {
            all.push(format!(
                "{} of {} points of {} are equal to an earlier one: a density can grow without bound \
                 at such points, and they may be in both the training and the test points",
                self.duplicates, self.rows, self.file
            ));
        }
        for column in self.outliers.iter().take(SHOWN) {
            all.push(format!(
                "{}: {column}; models divide by the standard deviation, which leaves the other \
                 points close together (if it is an error, remove its row)",
                self.file
            ));
        }
        if self.outliers.len() > SHOWN {
            let more = self.outliers.len() - SHOWN;
            all.push(format!("{}: {more} more columns with outliers", self.file));
        }
        all.extend(others.iter().map(|line| format!("{}: {line}", self.file)));
        all
    }
}

impl std::fmt::Display for FileRecord {
    /// One line.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let columns: Vec<_> = self.columns.iter().map(Column::to_string).collect();
        write!(f, "{} points of {}", self.rows, columns.join(", "))?;
        if !self.classes.is_empty() {
            let classes = self.classes.iter().zip(&self.class_sizes);
            let classes: Vec<_> = classes.map(|(name, n)| format!("{name} {n}")).collect();
            write!(f, "; {} classes ({})", classes.len(), classes.join(", "))?;
        }
        write!(
            f,
            "; {} to train on, {} to choose by, {} to measure on; {} bad rows left out",
            self.train, self.validation, self.test, self.bad_rows
        )
    }
}

/// A finite set of points.
#[derive(Debug)]
pub(in crate::data) struct FileData {
    table: Table,
    /// The rows of the train, validation and test points, in the order of the shuffle.
    splits: [Vec<usize>; 3],
    pub(super) record: FileRecord,
}

impl FileData {
    pub(super) fn new(spec: &FileSpec, table: Table) -> std::result::Result<Self, BadValue> {
        let n = table.rows();
        let share = |share: f64| (share * n as f64).round() as usize;
        let train = share(spec.split.train).min(n);
        let validation = share(spec.split.validation).min(n - train);
        let sizes = [train, validation, n - train - validation];
        BadValue::unless(
            sizes.iter().all(|size| *size >= FEWEST),
            "split",
            &format!("at least {FEWEST} points in each split"),
            format_args!(
                "{} to train on, {} to choose by and {} to measure on, of {n} in {}",
                sizes[0],
                sizes[1],
                sizes[2],
                file_name(&spec.path)
            ),
        )?;
        let mut order = Rng::new(spec.split.seed).fork("split").permutation(n);
        let test = order.split_off(train + validation);
        let validation = order.split_off(train);
        check_varies(&table, &order)?;
        let mut class_sizes = vec![0; table.classes.len()];
        for label in &table.labels {
            class_sizes[*label as usize] += 1;
        }
        let found = Findings::of(&table);
        let mut record = FileRecord {
            file: file_name(&spec.path),
            sha256: table.sha256.clone(),
            rows: n,
            bad_rows: table.bad.count,
            first_bad_rows: table.bad.first.clone(),
            duplicates: table.duplicates(),
            outliers: found.outliers,
            train: sizes[0],
            validation: sizes[1],
            test: sizes[2],
            columns: table.columns.clone(),
            classes: table.classes.clone(),
            class_sizes,
            warnings: Vec::new(),
        };
        record.warnings = record.all_warnings(&found.others);
        Ok(Self {
            splits: [order, validation, test],
            record,
            table,
        })
    }
}

/// A coordinate that does not vary has a density of infinity.
fn check_varies(table: &Table, training: &[usize]) -> std::result::Result<(), BadValue> {
    let value = |d: usize| {
        let mut values = training.iter().map(|&i| table.row(i)[d]);
        let first = values.next().unwrap_or_default();
        values.all(|v| v == first).then_some(first)
    };
    let constant: Vec<_> = (0..table.dim()).filter(|d| value(*d).is_some()).collect();
    let each = constant.iter().map(|d| {
        let first = value(*d).unwrap_or_default();
        format!(
            "{}, which is {first} in every training point",
            table.columns[*d]
        )
    });
    let got = each.collect::<Vec<_>>().join("; ");
    let instead = match constant.len() == table.dim() {
        true => String::new(),
        false => {
            let kept = columns_without(&table.columns, &constant);
            format!("; {kept} leaves them out")
        }
    };
    let expected = format!("columns that vary (a density on a constant is infinite{instead})");
    BadValue::unless(constant.is_empty(), "columns", &expected, got)
}

impl DataSet for FileData {
    fn dim(&self) -> usize {
        self.table.dim()
    }

    /// At most `n` points: for training in a random order, else the first of the split, which are the
    /// same for every run.
    fn points(&self, split: Split, n: usize, rng: &mut Rng) -> Result<LabelledPoints> {
        let rows = &self.splits[split as usize];
        let mut order = match split {
            Split::Train => rng.permutation(rows.len()),
            Split::Validation | Split::Test => (0..rows.len()).collect(),
        };
        order.truncate(n);
        let rows = || order.iter().map(|&i| rows[i]);
        let values: Vec<f64> = rows().flat_map(|i| self.table.row(i)).copied().collect();
        let labels = &self.table.labels;
        Ok(LabelledPoints {
            x: Tensor::from_vec(values, (order.len(), self.dim()), &Device::Cpu)?,
            labels: (!labels.is_empty()).then(|| rows().map(|i| labels[i]).collect()),
        })
    }

    fn record(&self) -> Option<&FileRecord> {
        Some(&self.record)
    }

    fn truth(&self) -> Option<&Truth> {
        None
    }

    fn view(&self) -> Option<[(f64, f64); 2]> {
        (self.dim() == 2).then(|| around(&self.table.values))
    }
}

/// The box around points in the plane with a margin. Axes may have different units, so it is no square.
pub(super) fn around(rows: &[f64]) -> [(f64, f64); 2] {
    let points = rows.chunks_exact(2);
    let around = hull(points.map(|x| [(x[0], x[0]), (x[1], x[1])]));
    around.map(|(low, high)| {
        let margin = 0.15 * (high - low);
        (low - margin, high + margin)
    })
}
