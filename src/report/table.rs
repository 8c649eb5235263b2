//! The table for a terminal: one for each data set, as many metrics as fit.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use comfy_table::{presets, CellAlignment, ContentArrangement, Table};

use super::digits;
use super::pairs::{Pair, Tally};
use super::ranks::Ranks;
use super::results::Results;
use super::summary::Row;
use mdn_core::metrics::Better;

/// Characters across.
const WIDTH: usize = 120;

/// The metrics that tables show, in this order, where they were measured; all others are in
/// `summary.csv` only. On data sets:
const ON_DATA: &str = "kl nll bridge_mass mode_tv reverse_kl tv modes_covered forward_ess ess nmi \
                       accuracy sliced_w2 seconds";

/// On problems without data:
const ON_PROBLEMS: &str =
    "reverse_kl constraint_error entropy_error ess mode_tv kl multiplier_error seconds";

/// The keys of the metrics that are shown for a data set, given its rows, and how many others were
/// measured.
pub fn shown(headline: Option<&str>, rows: &[&Row]) -> (Vec<&'static str>, usize) {
    let order = match headline {
        Some("reverse_kl" | "constraint_error") => ON_PROBLEMS,
        _ => ON_DATA,
    };
    let measured = rows.iter().filter(|r| r.value.is_some());
    let measured: BTreeSet<&str> = measured.map(|r| r.metric.as_str()).collect();
    let order = order.split_ascii_whitespace();
    let shown: Vec<&str> = order.filter(|m| measured.contains(m)).collect();
    let listed = |m: &&&str| !shown.contains(*m) && **m != "parameters";
    let others = measured.iter().filter(listed).count();
    (shown, others)
}

/// A heading of one or two lines and a cell for every model.
struct Column {
    metric: String,
    heading: String,
    cells: Vec<String>,
}

impl Column {
    fn width(&self) -> usize {
        let texts = self.cells.iter().map(String::as_str);
        let lengths = texts.chain(self.heading.lines()).map(|t| t.chars().count());
        lengths.max().unwrap_or(0)
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
        let table = ranked(pairs, ranks);
        let _ = writeln!(out, "over {} data sets\n\n{table}\n", ranks.data.len());
    }
    out.push_str(&legend(results));
    out
}

/// A table without lines, all columns but the first to the right.
fn plain_table(head: Vec<String>, rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(head).add_rows(rows);
    for (i, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if i > 0 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

/// Mean ranks, the best first, with wins, ties and losses.
fn ranked(pairs: &[Pair], ranks: &Ranks) -> String {
    let head = ["model", "mean rank", "wins", "ties", "losses"].map(str::to_owned);
    let rows = ranks.models.iter().map(|m| {
        let Tally { wins, ties, losses } = Tally::of(pairs, &m.model, None, None);
        let counts = [wins, ties, losses].map(|n| n.to_string());
        let first = [m.model.clone(), digits::spread(Some(&m.mean))];
        first.into_iter().chain(counts).collect()
    });
    plain_table(head.to_vec(), rows)
}

fn one(results: &Results<'_>, data: &str, rows: &[&Row]) -> String {
    let (fitting, hidden) = fitting(columns(results, data, rows));
    let head = fitting.iter().map(|c| c.heading.clone()).collect();
    let row = |i: usize| fitting.iter().map(|c| c.cells[i].clone()).collect();
    let table = plain_table(head, (0..results.what.models.len()).map(row));
    let mut also = Vec::new();
    if !hidden.is_empty() {
        also.push(format!("also in summary.md: {}", hidden.join(", ")));
    }
    let (_, others) = shown(results.headline(data), rows);
    if others > 0 {
        also.push(format!("{others} more in summary.csv"));
    }
    let end = if also.is_empty() { "" } else { "\n" };
    format!("{data}\n\n{table}\n{}{end}", also.join("; "))
}

fn columns(results: &Results<'_>, data: &str, rows: &[&Row]) -> Vec<Column> {
    let models = results.what.models.iter();
    let first = models.map(|m| (m, rows.iter().find(|r| r.model == *m)));
    let first: Vec<_> = first.collect();
    let plain = |heading: &str, cell: &dyn Fn(&Row) -> String| Column {
        metric: String::new(),
        heading: heading.to_owned(),
        cells: first
            .iter()
            .map(|(_, row)| row.map_or_else(digits::dash, |r| cell(r)))
            .collect(),
    };
    let mut out = vec![
        plain("model", &|r| r.model.clone()),
        plain("seeds\ndone", &|r| match r.runs() {
            all if r.done == all => all.to_string(),
            all => format!("{} of {all}", r.done),
        }),
        plain("params", &|r| digits::parameters(r.parameters.as_ref())),
    ];
    let headline = results.headline(data);
    for metric in shown(headline, rows).0 {
        let of = |m: &String| rows.iter().find(|r| r.model == *m && r.metric == metric);
        let of: Vec<&&Row> = first.iter().filter_map(|(m, _)| of(m)).collect();
        let unit = &of[0].unit;
        let values = of.iter().map(|r| digits::spread(r.value.as_ref()));
        out.push(Column {
            metric: metric.to_owned(),
            heading: format!("{metric}{}\n[{unit}]", arrow(of[0].better)),
            cells: values.collect(),
        });
        if headline == Some(metric) && of.iter().any(|r| r.diff.is_some()) {
            let cell = |r: &&&Row| match results.what.reference {
                Some(reference) if reference == r.model => "reference".to_owned(),
                _ => starred(r),
            };
            let metric = format!("difference in {metric}");
            out.push(Column {
                heading: format!("{metric}\n[{unit}]"),
                metric,
                cells: of.iter().map(cell).collect(),
            });
        }
    }
    out
}

/// The paired difference, with a star where it is significant after correction.
pub fn starred(row: &Row) -> String {
    let star = if row.test.is_significant() { " *" } else { "" };
    digits::difference(row.diff.as_ref()) + star
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

/// What the numbers and signs of tables mean.
pub fn legend(results: &Results<'_>) -> String {
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
