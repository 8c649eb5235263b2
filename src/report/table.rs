//! The table for a terminal: one for each data set, as many metrics as fit.

use comfy_table::{presets, CellAlignment, ContentArrangement, Table};

use super::digits;
use super::results::Results;
use super::summary::Row;
use crate::metrics::Better;

/// Characters across.
const WIDTH: usize = 120;

/// The metrics worth a column, first things first, where there is data. All others are on the page and
/// in `summary.csv`.
const ON_DATA: [&str; 10] = [
    "kl",
    "nll",
    "bridge_mass",
    "mode_tv",
    "modes_covered",
    "forward_ess",
    "nmi",
    "seconds",
    "mass",
    "reverse_kl",
];

/// The same for problems without data.
const ON_PROBLEMS: [&str; 8] = [
    "reverse_kl",
    "constraint_error",
    "entropy_error",
    "ess",
    "mode_tv",
    "kl",
    "multiplier_error",
    "seconds",
];

/// A heading of one or two lines and a cell for every model.
struct Column {
    metric: String,
    heading: String,
    cells: Vec<String>,
}

impl Column {
    fn width(&self) -> usize {
        let texts = self
            .heading
            .lines()
            .chain(self.cells.iter().map(String::as_str));
        texts.map(|t| t.chars().count()).max().unwrap_or(0)
    }
}

/// Tables and a line on what the numbers are.
pub fn terminal(results: &Results<'_>, rows: &[Row]) -> String {
    let mut out = String::new();
    for data in results.what.data {
        let rows: Vec<&Row> = rows.iter().filter(|r| r.data == *data).collect();
        out.push_str(&one(results, data, &rows));
        out.push('\n');
    }
    out.push_str(&over(results));
    out
}

fn one(results: &Results<'_>, data: &str, rows: &[&Row]) -> String {
    let (columns, others) = columns(results, data, rows);
    let (shown, hidden) = fitting(columns);
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(shown.iter().map(|c| c.heading.as_str()));
    for i in 0..results.what.models.len() {
        table.add_row(shown.iter().map(|c| c.cells[i].as_str()));
    }
    for (i, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if i > 0 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let mut text = format!("{data}\n\n{}\n", table.trim_fmt());
    let also = match (hidden.join(", "), others) {
        (hidden, 0) => hidden,
        (hidden, others) if hidden.is_empty() => format!("{others} more"),
        (hidden, others) => format!("{hidden} and {others} more"),
    };
    if !also.is_empty() {
        text.push_str(&format!("also in summary.md: {also}\n"));
    }
    text
}

/// Columns, and the number of further metrics that have a value.
fn columns(results: &Results<'_>, data: &str, rows: &[&Row]) -> (Vec<Column>, usize) {
    let models = results.what.models;
    let of = |metric: &str| -> Vec<&Row> {
        models
            .iter()
            .filter_map(|m| {
                rows.iter()
                    .find(|r| r.model == *m && r.metric == metric)
                    .copied()
            })
            .collect()
    };
    let plain = |heading: &str, cell: &dyn Fn(&Row) -> String| Column {
        metric: String::new(),
        heading: heading.to_owned(),
        cells: models
            .iter()
            .map(|m| {
                rows.iter()
                    .find(|r| r.model == *m)
                    .map_or_else(digits::dash, |r| cell(r))
            })
            .collect(),
    };
    let mut out = vec![
        plain("model", &|r| r.model.clone()),
        plain("seeds\ndone", &|r| {
            let all = r.done + r.failed + r.missing;
            if r.done == all {
                all.to_string()
            } else {
                format!("{} of {all}", r.done)
            }
        }),
        plain("params", &|r| digits::parameters(r.parameters.as_ref())),
    ];
    let headline = results.headline(data);
    let names: &[&str] = match headline {
        Some("reverse_kl" | "constraint_error") => &ON_PROBLEMS,
        _ => &ON_DATA,
    };
    let measured = rows.iter().filter(|r| r.value.is_some());
    let others = measured
        .map(|r| r.metric.as_str())
        .filter(|m| !names.contains(m) && *m != "parameters")
        .collect::<std::collections::BTreeSet<_>>()
        .len();
    for &metric in names {
        let rows = of(metric);
        if rows.iter().all(|r| r.value.is_none()) {
            continue;
        }
        let unit = &rows[0].unit;
        out.push(Column {
            metric: metric.to_owned(),
            heading: format!("{metric}{}\n[{unit}]", arrow(rows[0].better)),
            cells: rows
                .iter()
                .map(|r| digits::spread(r.value.as_ref()))
                .collect(),
        });
        let compared = rows.iter().any(|r| r.diff.is_some());
        if headline == Some(metric) && compared {
            let of_reference = |r: &Row| results.what.reference == Some(r.model.as_str());
            let cell = |r: &&Row| {
                if of_reference(r) {
                    "reference".to_owned()
                } else {
                    starred(r)
                }
            };
            out.push(Column {
                metric: format!("difference in {metric}"),
                heading: format!("difference in {metric}\n[{unit}]"),
                cells: rows.iter().map(cell).collect(),
            });
        }
    }
    (out, others)
}

/// The paired difference, with a star where its interval leaves out 0.
pub fn starred(row: &Row) -> String {
    let star = row.diff.is_some_and(|d| d.excludes_zero());
    let text = digits::difference(row.diff.as_ref());
    format!("{text}{}", if star { " *" } else { "" })
}

/// Which way is better, as a sign after the name.
pub fn arrow(better: Better) -> String {
    match better {
        Better::Lower => " ↓".to_owned(),
        Better::Higher => " ↑".to_owned(),
        Better::Near(v) => format!(" → {v}"),
        Better::Neither => String::new(),
    }
}

/// Splits the columns into those that fit and the names of those that do not.
fn fitting(columns: Vec<Column>) -> (Vec<Column>, Vec<String>) {
    let (mut shown, mut hidden, mut used) = (Vec::new(), Vec::new(), 0);
    for column in columns {
        used += column.width() + 2;
        if used <= WIDTH + 2 || column.metric.is_empty() {
            shown.push(column);
        } else {
            used -= column.width() + 2;
            hidden.push(column.metric);
        }
    }
    (shown, hidden)
}

/// What the intervals are over.
pub fn over(results: &Results<'_>) -> String {
    let what = results.what;
    let mut text = match what.seeds {
        [] | [_] => "One seed: no interval.".to_owned(),
        seeds => format!(
            "± half the 95 % Student-t interval of the mean over the seeds that are done (of {}), each \
             with its own points and start.",
            seeds.len()
        ),
    };
    text.push_str("\n↓ lower, ↑ higher is better; – does not apply.");
    if let Some(reference) = what.reference.filter(|_| what.models.len() > 1) {
        text.push_str(&format!(
            "\nDifferences are to `{reference}`, paired by seed; * its 95 % interval leaves out 0."
        ));
    }
    text
}
