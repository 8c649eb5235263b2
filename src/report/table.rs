//! The table for a terminal: one for each data set, as many metrics as fit.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use comfy_table::{presets, CellAlignment, ContentArrangement, Table};

use super::digits;
use super::pairs::{Pair, Tally};
use super::ranks::Ranks;
use super::results::Results;
use super::summary::Row;
use crate::experiment::store::MetricRow;
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

/// On problems whose target has no exact law:
const ON_TARGETS: &str = "kl reverse_kl elbo eubo log_z_error ess nll sliced_w2 seconds";

/// The keys of the metrics that tables show, given the rows of a data set, and the number of others.
pub fn shown(headline: Option<&str>, rows: &[&Row]) -> (Vec<&'static str>, usize) {
    let measured = rows.iter().filter(|r| r.value.is_some());
    let measured: BTreeSet<&str> = measured.map(|r| r.metric.as_str()).collect();
    let order = match headline {
        Some("reverse_kl" | "constraint_error") => ON_PROBLEMS,
        _ if measured.contains("elbo") => ON_TARGETS,
        _ => ON_DATA,
    };
    let order = order.split_ascii_whitespace();
    let shown: Vec<&str> = order.filter(|m| measured.contains(m)).collect();
    let listed = |m: &&&str| !shown.contains(*m) && **m != "parameters";
    let others = measured.iter().filter(listed).count();
    (shown, others)
}

/// Whether some table shows a metric.
pub fn is_shown(metric: &str) -> bool {
    let all = [ON_DATA, ON_PROBLEMS, ON_TARGETS].map(str::split_ascii_whitespace);
    all.into_iter().flatten().any(|name| name == metric)
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
        let _ = writeln!(out, "over {} data sets\n\n{table}", ranks.data.len());
        if let Some(cd) = ranks.critical_difference {
            let _ = writeln!(
                out,
                "mean ranks nearer than {cd:.2} do not differ (Nemenyi, 5 %)"
            );
        }
        out.push('\n');
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
        let first = [m.model.clone(), ranks.mean(m)];
        first.into_iter().chain(counts).collect()
    });
    plain_table(head.to_vec(), rows)
}

/// The table of a data set, and the names of the metrics that do not fit.
fn one(results: &Results<'_>, data: &str, rows: &[&Row]) -> String {
    let models = results.what.models;
    let headline = results.headline(data);
    let (metrics, others) = shown(headline, rows);
    // What a column is called where it is left out, its heading and its cells.
    let mut columns: Vec<(String, String, Vec<String>)> = Vec::new();
    let mut add = |name: &str, heading: String, cells: &dyn Fn(&Row) -> String| {
        let is_of = |r: &&&Row| name.is_empty() || name.split(' ').next_back() == Some(&r.metric);
        let of = |m: &String| rows.iter().filter(is_of).find(|r| r.model == *m);
        let cells = models
            .iter()
            .map(|m| of(m).map_or_else(digits::dash, |r| cells(r)));
        columns.push((name.to_owned(), heading, cells.collect()));
    };
    add("", "model".to_owned(), &|r| r.model.clone());
    add("", "seeds\ndone".to_owned(), &|r| match r.runs() {
        all if r.done == all => all.to_string() + &idle(results, r),
        all => format!("{} of {all}", r.done) + &idle(results, r),
    });
    add("", "params".to_owned(), &|r| {
        digits::parameters(r.parameters.as_ref())
    });
    for metric in metrics {
        let of = || rows.iter().filter(|r| r.metric == metric);
        let Some(Row { unit, better, .. }) = of().next() else {
            continue;
        };
        let heading = format!("{metric}{}\n[{unit}]", arrow(*better));
        add(metric, heading, &mean);
        let against = |cell: fn(&Row) -> String| {
            move |r: &Row| match results.what.reference {
                Some(reference) if reference == r.model => "reference".to_owned(),
                _ => cell(r),
            }
        };
        if headline == Some(metric) && of().any(|r| r.contrast.ratio.is_some()) {
            let name = format!("ratio of {metric}");
            add(&name, format!("{name}\n[1]"), &against(ratio));
        }
        // Differences take the place of ratios where a model has none.
        let without = |r: &Row| r.contrast.diff.is_some() && r.contrast.ratio.is_none();
        if headline == Some(metric) && of().copied().any(without) {
            let name = format!("difference in {metric}");
            let heading = format!("{name}\n[{unit}]");
            add(&name, heading, &against(difference));
        }
    }
    let (mut used, mut hidden) = (0, Vec::new());
    columns.retain(|(name, heading, cells)| {
        let texts = cells.iter().map(String::as_str).chain(heading.lines());
        let width = texts.map(|t| t.chars().count() + 2).max().unwrap_or(0);
        let fits = name.is_empty() || used + width <= WIDTH + 2;
        if fits {
            used += width;
        } else {
            hidden.push(name.clone());
        }
        fits
    });
    let head = columns.iter().map(|c| c.1.clone()).collect();
    let row = |i: usize| columns.iter().map(|c| c.2[i].clone()).collect();
    let table = plain_table(head, (0..models.len()).map(row));
    let mut also = Vec::new();
    if !hidden.is_empty() {
        also.push(format!("also in summary.md: {}", hidden.join(", ")));
    }
    if others > 0 {
        also.push(format!("{others} more in summary.csv"));
    }
    let end = if also.is_empty() { "" } else { "\n" };
    format!("{data}\n\n{table}\n{}{end}", also.join("; "))
}

/// The mean; of the effective sample sizes, which have no standard error, with the largest Pareto k of the
/// seeds; marked where the value of a seed rests on too few points.
pub fn mean(row: &Row) -> String {
    let mut text = digits::spread(row.value.as_ref());
    if let ("ess" | "forward_ess", Some(k)) = (row.metric.as_str(), row.pareto_k) {
        let _ = write!(text, " (k {k:.2})");
    }
    if row.fragile > 0 {
        text.push_str(" !");
    }
    text
}

/// How many of the runs that are done learned nothing, in words; empty if none did.
pub fn idle(results: &Results<'_>, row: &Row) -> String {
    match results.learned_nothing(&row.data, &row.model) {
        0 => String::new(),
        n => format!(" ({n} learned nothing)"),
    }
}

/// The ratio to the reference, with a star where it is significant after correction.
pub fn ratio(row: &Row) -> String {
    let text = row.contrast.ratio.as_ref().map(digits::ratio);
    text.map_or_else(digits::dash, |text| text + star(row))
}

/// The difference from the reference, with a star where it is significant after correction and no ratio
/// decides.
pub fn difference(row: &Row) -> String {
    let star = if row.contrast.ratio.is_none() {
        star(row)
    } else {
        ""
    };
    digits::difference(row.contrast.diff.as_ref()) + star
}

fn star(row: &Row) -> &'static str {
    match row.contrast.test.is_significant() {
        true => " *",
        false => "",
    }
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

/// What the numbers and signs of tables mean.
pub fn legend(results: &Results<'_>) -> String {
    let what = results.what;
    let mut text = match what.seeds {
        [] | [_] => "One seed: no interval.".to_owned(),
        seeds => format!(
            "± half the 95 % Student-t interval of the mean over the seeds that are done (of {}), each \
             with its own start\nand its own points, or, of a file, the same points, whose own error nll includes.",
            seeds.len()
        ),
    };
    text.push_str("\n↓ lower, ↑ higher is better; – does not apply.");
    let any = |is: fn(&MetricRow) -> bool| results.runs.iter().any(|r| r.metrics.iter().any(is));
    if any(MetricRow::is_fragile) {
        text.push_str("\n! not to be trusted: the value of a seed rests on few points.");
    }
    if any(|m| m.metric == "ess" && m.pareto_k.is_some()) {
        text.push_str("\n(k) of a share of effective samples: Pareto k of the weights, the largest of the seeds.");
    }
    if let Some(reference) = what.reference.filter(|_| what.models.len() > 1) {
        text.push_str(&format!(
            "\nRatios (geometric means) and differences are to `{reference}`, paired by seed; * p < 0.05: t test of \
             the log\nratios, or of the differences where there are no ratios; Holm's correction over the data sets."
        ));
    }
    text
}
