//! The table for a terminal: one for each data set, as many metrics as fit.

use comfy_table::{presets, CellAlignment, ContentArrangement, Table};

use super::digits;
use super::pairs::{Pair, Tally};
use super::ranks::Ranks;
use super::results::Results;
use super::summary::Row;
use mdn_core::metrics::Better;

/// Characters across.
const WIDTH: usize = 120;

/// The metrics that tables show on data sets, in this order, where they were measured. All others are
/// in `summary.csv`: a table of forty says nothing.
const ON_DATA: [&str; 13] = [
    "kl",
    "nll",
    "bridge_mass",
    "mode_tv",
    "reverse_kl",
    "tv",
    "modes_covered",
    "forward_ess",
    "ess",
    "nmi",
    "accuracy",
    "sliced_w2",
    "seconds",
];

/// The same on problems without data.
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

/// The keys of the metrics that are shown for a data set, given its rows, and how many were measured
/// besides.
pub fn shown(headline: Option<&str>, rows: &[&Row]) -> (Vec<&'static str>, usize) {
    let order: &[&'static str] = match headline {
        Some("reverse_kl" | "constraint_error") => &ON_PROBLEMS,
        _ => &ON_DATA,
    };
    let has_value = |metric: &str| {
        let mut of = rows.iter().filter(|r| r.metric == metric);
        of.any(|r| r.value.is_some())
    };
    let shown: Vec<&str> = order.iter().copied().filter(|m| has_value(m)).collect();
    let mut others: Vec<&str> = rows
        .iter()
        .map(|r| r.metric.as_str())
        .filter(|m| !shown.contains(m) && *m != "parameters" && has_value(m))
        .collect();
    others.sort_unstable();
    others.dedup();
    (shown, others.len())
}

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

/// Tables, the ranks where there are several data sets, and a line on what the numbers are.
pub fn terminal(
    results: &Results<'_>,
    rows: &[Row],
    pairs: &[Pair],
    ranks: Option<&Ranks>,
) -> String {
    let mut out = String::new();
    for data in results.what.data {
        let rows: Vec<&Row> = rows.iter().filter(|r| r.data == *data).collect();
        out.push_str(&one(results, data, &rows));
        out.push('\n');
    }
    if let Some(ranks) = ranks.filter(|r| r.data.len() > 1) {
        out.push_str(&overall(pairs, ranks));
        out.push('\n');
    }
    out.push_str(&over(results));
    out
}

/// Mean ranks, the best first, with wins, ties and losses.
fn overall(pairs: &[Pair], ranks: &Ranks) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(["model", "mean rank", "wins", "ties", "losses"]);
    for model in &ranks.models {
        let tally = Tally::of(pairs, &model.model, None, None);
        table.add_row([
            model.model.clone(),
            digits::spread(Some(&model.mean)),
            tally.wins.to_string(),
            tally.ties.to_string(),
            tally.losses.to_string(),
        ]);
    }
    for (i, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if i > 0 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    format!(
        "over {} data sets\n\n{}\n",
        ranks.data.len(),
        table.trim_fmt()
    )
}

fn one(results: &Results<'_>, data: &str, rows: &[&Row]) -> String {
    let (shown, hidden) = fitting(columns(results, data, rows));
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
    let (_, others) = self::shown(results.headline(data), rows);
    let mut also = Vec::new();
    if !hidden.is_empty() {
        also.push(format!("also in summary.md: {}", hidden.join(", ")));
    }
    if others > 0 {
        also.push(format!("{others} more in summary.csv"));
    }
    if !also.is_empty() {
        text.push_str(&format!("{}\n", also.join("; ")));
    }
    text
}

fn columns(results: &Results<'_>, data: &str, rows: &[&Row]) -> Vec<Column> {
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
    for metric in shown(headline, rows).0 {
        let rows = of(metric);
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
    out
}

/// The paired difference, with a star where it is significant after correction.
pub fn starred(row: &Row) -> String {
    let star = row.test.is_significant();
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
             with its own start\nand, of data that are not a file, its own points.",
            seeds.len()
        ),
    };
    text.push_str("\n↓ lower, ↑ higher is better; – does not apply.");
    if let Some(reference) = what.reference.filter(|_| what.models.len() > 1) {
        text.push_str(&format!(
            "\nDifferences are to `{reference}`, paired by seed; * p < 0.05 (paired t test, Holm's correction \
             over the metric's\nwhole table)."
        ));
    }
    text
}
