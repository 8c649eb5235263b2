//! Which columns of a file are the coordinates of a point.

use std::collections::BTreeSet;
use std::path::Path;

use super::table::{self, some_of, Format, Table, SHOWN};
use super::{sha256, Column, FileSpec, OnBadRows};
use crate::error::{did_you_mean, BadValue};

/// The requested fields.
pub(super) struct Selection {
    pub(super) columns: Vec<usize>,
    pub(super) label: Option<usize>,
}

impl Selection {
    pub(super) fn new(
        spec: &FileSpec,
        names: Option<&[String]>,
        fields: usize,
    ) -> Result<Self, BadValue> {
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
    pub(super) fn named(&self, names: Option<&[String]>) -> Vec<Column> {
        let name = |i: usize| {
            let name = names.and_then(|names| names.get(i))?;
            let once = names?.iter().filter(|n| *n == name).count() == 1;
            once.then(|| Column::Name(name.clone()))
        };
        let named = |&i: &usize| name(i).unwrap_or(Column::Number(i));
        self.columns.iter().map(named).collect()
    }
}

/// Points for a trained model.
#[derive(Debug, Clone, PartialEq)]
pub struct FilePoints {
    /// Row by row; the coordinates have the model's order.
    pub values: Vec<f64>,
    /// Columns that are no coordinates, in words.
    pub ignored: Option<String>,
    /// Rows that are left out as in training, in words.
    pub left_out: Option<String>,
}

impl FileSpec {
    /// How points are read for a model of `dim` coordinates that was trained on no file: the
    /// coordinates are called `x1`, `x2`, ...
    pub fn numbered(dim: usize) -> Self {
        let names = (1..=dim).map(|d| Column::Name(format!("x{d}")));
        Self {
            columns: Some(names.collect()),
            ..Self::default()
        }
    }

    /// The names of the coordinates of settings that name their columns: those of the columns, and
    /// `x1`, `x2`, ... by place for columns without a name.
    pub fn names(&self) -> Vec<String> {
        let columns = self.columns.as_deref().unwrap_or_default();
        let taken = |name: &String| {
            columns
                .iter()
                .any(|c| matches!(c, Column::Name(n) if n == name))
        };
        let name = |(d, column): (usize, &Column)| match column {
            Column::Name(name) => name.clone(),
            Column::Number(_) => {
                let mut name = format!("x{}", d + 1);
                while taken(&name) {
                    name.push('_');
                }
                name
            }
        };
        columns.iter().enumerate().map(name).collect()
    }

    /// Reads points for a model that was trained on the file of these settings. Columns are matched
    /// by name, in any order, and by place in a file without a header; other columns are ignored. What
    /// separates the cells and what is done with bad rows is as in training.
    ///
    /// # Errors
    /// If a coordinate has no column, or a row is bad and the training file was to have none.
    pub fn points(&self, path: &Path, bytes: &[u8]) -> Result<FilePoints, BadValue> {
        let alike = |delimiter| Self {
            path: path.to_owned(),
            delimiter,
            columns: Some(self.names().into_iter().map(Column::Name).collect()),
            on_bad_rows: OnBadRows::Skip,
            ..Self::default()
        };
        // The training file may have a separator that samples do not have.
        let own = self
            .delimiter
            .map(|d| self.points_as(&alike(Some(d)), bytes));
        match own {
            Some(Ok(points)) => Ok(points),
            _ => self.points_as(&alike(None), bytes),
        }
    }

    fn points_as(&self, spec: &Self, bytes: &[u8]) -> Result<FilePoints, BadValue> {
        let format = spec.format().unwrap_or(Format::Text(None));
        let (header, fields) = table::header(spec, &format, bytes)?;
        let is_own = self
            .sha256
            .as_ref()
            .is_some_and(|sum| *sum == sha256(bytes));
        let names = header.as_deref().unwrap_or_default();
        let columns = self.matched(names, fields, is_own)?;
        let is_text = matches!(format, Format::Text(_));
        let chosen = Self {
            header: is_text.then_some(header.is_some()),
            columns: Some(columns),
            ..spec.clone()
        };
        let used = Selection::new(&chosen, header.as_deref(), fields)?.columns;
        let found = Table::content(&chosen, &format, bytes, f64::MAX)?;
        let (bad, rows) = (&found.bad, found.rows());
        let s = if bad.count == 1 { "" } else { "s" };
        let bad_rows = format!(
            "{} bad row{s} ({})",
            bad.count,
            some_of(&bad.first, bad.count)
        );
        if bad.count > 0 && self.on_bad_rows == OnBadRows::Refuse {
            let expected = "a number in every column and row";
            return Err(BadValue::new("", expected, bad_rows));
        }
        let other = (0..fields).filter(|i| !used.contains(i));
        let other: Vec<_> = match header {
            Some(names) => other.map(|i| format!("`{}`", names[i])).collect(),
            None => other.map(|i| format!("column {i}")).collect(),
        };
        let first = &other[..other.len().min(SHOWN)];
        Ok(FilePoints {
            values: found.values,
            ignored: (!other.is_empty()).then(|| some_of(first, other.len())),
            left_out: (bad.count > 0).then(|| format!("{bad_rows} beside {rows} good ones")),
        })
    }

    /// The columns of a file with these names (none without a header) and this number of columns
    /// that are the coordinates; `is_own` says that it is the training file.
    fn matched(
        &self,
        header: &[String],
        fields: usize,
        is_own: bool,
    ) -> Result<Vec<Column>, BadValue> {
        let columns = self.columns.as_deref().unwrap_or_default();
        let (names, dim) = (self.names(), columns.len());
        let list = |names: &[String]| format!("`{}`", names.join("`, `"));
        let times = |name: &String| header.iter().filter(|n| *n == name).count();
        let numbers = columns.iter().map(|c| match c {
            Column::Number(i) => Some(*i),
            Column::Name(_) => None,
        });
        let numbers: Option<Vec<usize>> = numbers.collect();
        if header.is_empty() || (numbers.is_some() && names.iter().all(|name| times(name) != 1)) {
            let in_order: Vec<usize> = (0..dim).collect();
            let of_training = numbers.filter(|all| all.iter().all(|i| *i < fields));
            let chosen = match of_training {
                Some(all) if is_own || fields > dim || all == in_order => all,
                // The order of the training file and that of the coordinates differ.
                Some(_) => {
                    let got = "none (both the order of the training file and that of `columns` are possible)";
                    return Err(BadValue::new(
                        "",
                        format!("a header of {}", list(&names)),
                        got,
                    ));
                }
                None if fields == dim => in_order,
                None => {
                    let expected = format!("{dim} values, one for each of {}", list(&names));
                    return Err(BadValue::new(
                        "",
                        expected,
                        format!("{fields} without these names"),
                    ));
                }
            };
            return Ok(chosen.into_iter().map(Column::Number).collect());
        }
        let mut missing = Vec::new();
        let mut chosen = Vec::new();
        for (name, column) in names.iter().zip(columns) {
            match column {
                Column::Name(_) if times(name) > 0 => chosen.push(column.clone()),
                Column::Number(_) if times(name) == 1 => chosen.push(Column::Name(name.clone())),
                // The training file has a name twice, so its columns have numbers.
                Column::Number(i) if header.get(*i).is_some_and(|n| times(n) > 1) => {
                    chosen.push(column.clone());
                }
                _ => missing.push(name.clone()),
            }
        }
        let Some(first) = missing.first() else {
            return Ok(chosen);
        };
        let close = did_you_mean(first, header.iter().map(String::as_str));
        Err(BadValue::new(
            "",
            format!(
                "columns {} (a file without a header has them in this order)",
                list(&names)
            ),
            format!("{} without {}{close}", list(header), list(&missing)),
        ))
    }
}
