//! `summary.md`: the results in words, then tables, failures, and how it was made.

use std::fmt::Write as _;

use super::headline::HEADLINES;
use super::pairs::{Pair, Tally};
use super::provenance::Provenance;
use super::ranks::Ranks;
use super::results::Results;
use super::summary::{best, Row};
use super::{digits, figures, prose, table};

/// What the page is made from; `figures` are the names of files in `figures/`.
pub struct Contents<'a> {
    pub results: &'a Results<'a>,
    pub rows: &'a [Row],
    pub pairs: &'a [Pair],
    pub ranks: Option<&'a Ranks>,
    pub made: &'a Provenance,
    pub warnings: &'a [String],
    pub figures: &'a [String],
}

/// The page.
pub fn page(on: &Contents<'_>) -> String {
    let what = on.results.what;
    let opening = prose::opening(on.results, on.rows, on.made);
    let mut out = format!("# {}\n\n{opening}\n{}", what.experiment, overview(on));
    for data in what.data {
        let rows: Vec<&Row> = on.rows.iter().filter(|r| r.data == *data).collect();
        let text = prose::data_set(on.results, &rows, on.pairs, data);
        let values = values(on.results, data, &rows);
        let _ = write!(out, "\n## {data}\n\n{text}\n\n{values}");
        out.push_str(&differences(on.results, data, &rows));
        out.push_str(&notes(on.results, data, &rows));
        out.push_str(&pictures(on, &|name| figures::is_of_data(name, data)));
    }
    out.push_str(&failures(on));
    out.push_str(&made(on));
    out
}

fn pictures(on: &Contents<'_>, wanted: &dyn Fn(&str) -> bool) -> String {
    let names = on.figures.iter();
    let names = names.filter(|f| f.ends_with(".png") && wanted(f));
    let picture = |name: &String| format!("\n![{}](figures/{name})\n", figures::caption(name));
    names.map(picture).collect()
}

/// Ranks and wins over all data sets.
fn overview(on: &Contents<'_>) -> String {
    let mut out = String::new();
    if let Some(ranks) = on.ranks {
        if let Some(text) = prose::overall(on.results, ranks, on.pairs) {
            let standings = standings(on, ranks);
            let _ = write!(out, "\n## Over all data sets\n\n{text}\n\n{standings}");
        }
    }
    let data = on.results.what.data;
    let of_any = |name: &str| data.iter().any(|d| figures::is_of_data(name, d));
    out + &pictures(on, &|name| !of_any(name))
}

/// Mean ranks, and wins/ties/losses of each model against each other, the best mean rank first.
fn standings(on: &Contents<'_>, ranks: &Ranks) -> String {
    let models = &ranks.models;
    let against = models.iter().map(|m| format!("against `{}`", m.model));
    let heads = ["mean rank", "against all"].map(str::to_owned).into_iter();
    let mut out = head("wins/ties/losses", heads.chain(against));
    for m in models {
        let tally = |other| Tally::of(on.pairs, &m.model, other, None).to_string();
        let others = models.iter().map(|o| match o.model == m.model {
            true => String::new(),
            false => tally(Some(&o.model)),
        });
        let first = [digits::spread(Some(&m.mean)), tally(None)].into_iter();
        out += &line(&format!("`{}`", m.model), first.chain(others));
    }
    out
}

/// A row of a table.
fn line(first: &str, cells: impl IntoIterator<Item = String>) -> String {
    let cells = cells.into_iter().map(|cell| format!(" {cell} |"));
    format!("| {first} |{}\n", cells.collect::<String>())
}

/// The head of a table with numbers in all columns but the first.
fn head(first: &str, cells: impl IntoIterator<Item = String>) -> String {
    let cells: Vec<String> = cells.into_iter().collect();
    let rule = line("---", cells.iter().map(|_| "---:".to_owned()));
    line(first, cells) + &rule
}

fn quoted<'a>(models: impl IntoIterator<Item = &'a String>) -> Vec<String> {
    models.into_iter().map(|m| format!("`{m}`")).collect()
}

fn title(r: &Row) -> String {
    let unit = if r.unit.is_empty() { "1" } else { &r.unit };
    format!("{} [{unit}]{}", r.metric, table::arrow(r.better))
}

fn values(results: &Results<'_>, data: &str, rows: &[&Row]) -> String {
    let models = results.what.models;
    let mut out = head("", quoted(models));
    let each = |cell: &dyn Fn(&Row) -> String| {
        let first = |m: &String| rows.iter().find(|r| r.model == *m);
        let cells = models
            .iter()
            .map(|m| first(m).map_or_else(digits::dash, |r| cell(r)));
        cells.collect::<Vec<_>>()
    };
    let done = |r: &Row| format!("{} of {}", r.done, r.runs());
    out += &line("seeds done", each(&done));
    let parameters = |r: &Row| digits::parameters(r.parameters.as_ref());
    out += &line("parameters", each(&parameters));
    for metric in table::shown(results.headline(data), rows).0 {
        let of = rows.iter().filter(|r| r.metric == metric);
        let of: Vec<&Row> = of.copied().collect();
        let winners = best(&of);
        let cell = |r: &&Row| {
            let mut text = digits::spread(r.value.as_ref());
            if winners.contains(&r.model.as_str()) {
                text = format!("**{text}**");
            }
            if r.non_finite > 0 {
                let _ = write!(text, " ({} not finite)", r.non_finite);
            }
            text
        };
        if let Some(r) = of.first() {
            out += &line(&title(r), of.iter().map(cell));
        }
    }
    out
}

fn differences(results: &Results<'_>, data: &str, rows: &[&Row]) -> String {
    let Some(reference) = results.what.reference else {
        return String::new();
    };
    let models = results.what.models.iter();
    let others: Vec<&String> = models.filter(|m| *m != reference).collect();
    let mut lines = String::new();
    for metric in table::shown(results.headline(data), rows).0 {
        let of = |m: &&String| rows.iter().find(|r| r.metric == metric && r.model == **m);
        let found: Vec<&&Row> = others.iter().filter_map(of).collect();
        if found.iter().any(|r| r.diff.is_some()) {
            let cell = |r: &&&Row| table::starred(r).replace('*', "\\*");
            lines += &line(&title(found[0]), found.iter().map(cell));
        }
    }
    if lines.is_empty() {
        return lines;
    }
    let head = head("", quoted(others));
    format!("\nMinus `{reference}`, paired by seed:\n\n{head}{lines}")
}

/// Metrics of the table and headline metrics that do not apply, with the reason, and the number of
/// metrics that the table does not have.
fn notes(results: &Results<'_>, data: &str, rows: &[&Row]) -> String {
    let (shown, others) = table::shown(results.headline(data), rows);
    let headlines = HEADLINES.iter().map(|h| h.key).take(3);
    let mut out = String::new();
    for metric in shown.into_iter().chain(headlines) {
        let of: Vec<&&Row> = rows.iter().filter(|r| r.metric == metric).collect();
        let without = of
            .iter()
            .filter(|r| r.value.is_none() && !r.note.is_empty());
        let without: Vec<&&&Row> = without.collect();
        let Some(one) = without.first() else { continue };
        let names = quoted(without.iter().map(|r| &r.model)).join(", ");
        let who = match without.len() == of.len() {
            true => String::new(),
            false => format!(" of {names}"),
        };
        let note = format!("- no {metric}{who}: {}\n", one.note);
        if !out.contains(&note) {
            out += &note;
        }
    }
    if others > 0 {
        let _ = writeln!(out, "- {others} more metrics are in `summary.csv`.");
    }
    if !out.is_empty() {
        out.insert(0, '\n');
    }
    out
}

/// Warnings, then every run that left no metrics.
fn failures(on: &Contents<'_>) -> String {
    let mut out = String::new();
    for warning in on.warnings {
        let _ = writeln!(out, "- **Note:** {warning}");
    }
    for run in on.results.runs.iter().filter(|r| !r.is_done()) {
        let (data, model, seed) = (&run.data, &run.model, run.seed);
        let status = run.status.text(": ", "");
        let _ = writeln!(out, "- `{model}` on `{data}`, seed {seed}: {status}");
    }
    if out.is_empty() {
        out.push_str("None.\n");
    }
    format!("\n## Failures and warnings\n\n{out}")
}

/// How to read the numbers, and where they come from.
fn made(on: &Contents<'_>) -> String {
    let what = on.results.what;
    let mut out = format!(
        "\n## How to read this, and how it was made\n\n{}\n\nBold is the best mean. A failed run is \
         counted in \"seeds done\" and is in no mean.",
        table::legend(on.results).replace("; * p", "; \\* p"),
    );
    if what.seeds.len() > 1 {
        out.push_str(
            " `summary.csv` has every metric, with standard deviations, medians and bootstrap (BCa) \
             intervals beside those of Student's t, `pairs.csv` every two models with their tests, \
             `ranks.csv` the ranks.",
        );
        if let Some(text) = prose::least_flip(what.seeds.len()) {
            let _ = write!(out, " {text}");
        }
    }
    let _ = write!(
        out,
        "\n\nMade by `{}` (mdn {}), configuration `{}` (SHA-256 of the resolved file).",
        what.command.replace('`', "'"),
        env!("CARGO_PKG_VERSION"),
        what.config_hash,
    );
    let makers = on.made.makers();
    if !makers.is_empty() {
        let kernels = on.made.kernels().join(", ");
        let _ = write!(out, " The runs were made by {makers}, kernels: {kernels}.");
    }
    out + "\n"
}
