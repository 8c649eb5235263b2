//! `summary.md`: the results in words, then tables, failures, and how it was made.

use std::fmt::Write as _;

use super::pairs::{Pair, Tally};
use super::provenance::Provenance;
use super::ranks::Ranks;
use super::results::{Results, Run};
use super::summary::{best, Row};
use super::{digits, figures, prose, table};

/// What the page is made from.
pub struct Contents<'a> {
    /// The runs.
    pub results: &'a Results<'a>,
    /// A row per data set, model and metric.
    pub rows: &'a [Row],
    /// Every two models on every data set.
    pub pairs: &'a [Pair],
    /// The models' ranks, where they can be ranked.
    pub ranks: Option<&'a Ranks>,
    /// How the runs were made.
    pub made: &'a Provenance,
    /// What the reader must know.
    pub warnings: &'a [String],
    /// The file names in `figures/`, shown under the data set they name, others under the overview.
    pub figures: &'a [String],
}

/// The page.
pub fn page(on: &Contents<'_>) -> String {
    let what = on.results.what;
    let mut out = format!(
        "# {}\n\n{}\n",
        what.experiment,
        prose::opening(on.results, on.rows, on.made)
    );
    out.push_str(&overview(on));
    for data in what.data {
        let rows: Vec<&Row> = on.rows.iter().filter(|r| r.data == *data).collect();
        let _ = write!(
            out,
            "\n## {data}\n\n{}\n\n{}",
            prose::data_set(on.results, &rows, on.pairs, data),
            values(on.results, data, &rows)
        );
        out.push_str(&differences(on.results, data, &rows));
        out.push_str(&notes(on.results, data, &rows));
        out.push_str(&pictures(on.figures, &|name| {
            figures::is_of_data(name, data)
        }));
    }
    out.push_str(&failures(on));
    out.push_str(&made(on));
    out
}

fn pictures(figures: &[String], wanted: &dyn Fn(&str) -> bool) -> String {
    figures
        .iter()
        .filter(|f| f.ends_with(".png") && wanted(f))
        .fold(String::new(), |mut out, name| {
            let caption = figures::caption(name);
            let _ = write!(out, "\n![{caption}](figures/{name})\n");
            out
        })
}

/// Ranks and wins over all data sets.
fn overview(on: &Contents<'_>) -> String {
    let mut out = String::new();
    let data = on.results.what.data;
    if let Some(ranks) = on.ranks {
        if let Some(text) = prose::overall(on.results, ranks, on.pairs) {
            let _ = write!(
                out,
                "\n## Over all data sets\n\n{text}\n\n{}",
                standings(on, ranks)
            );
        }
    }
    out.push_str(&pictures(on.figures, &|name| {
        !data.iter().any(|d| figures::is_of_data(name, d))
    }));
    out
}

/// Mean ranks, and wins/ties/losses of each model against each other, the best mean rank first.
fn standings(on: &Contents<'_>, ranks: &Ranks) -> String {
    let mut out = String::new();
    let models = &ranks.models;
    let names = models.iter().map(|m| format!("against `{}`", m.model));
    let heads = ["mean rank".to_owned(), "against all".to_owned()];
    line(&mut out, "wins/ties/losses", heads.into_iter().chain(names));
    line(&mut out, "---", vec!["---:".to_owned(); models.len() + 2]);
    for model in models {
        let tally = |other: Option<&str>| {
            let Tally { wins, ties, losses } = Tally::of(on.pairs, &model.model, other, None);
            format!("{wins}/{ties}/{losses}")
        };
        let others = models.iter().map(|o| {
            if o.model == model.model {
                String::new()
            } else {
                tally(Some(&o.model))
            }
        });
        let first = [digits::spread(Some(&model.mean)), tally(None)];
        line(
            &mut out,
            &format!("`{}`", model.model),
            first.into_iter().chain(others),
        );
    }
    out
}

fn line(out: &mut String, head: &str, cells: impl IntoIterator<Item = String>) {
    let _ = write!(out, "| {head} |");
    for cell in cells {
        let _ = write!(out, " {cell} |");
    }
    out.push('\n');
}

fn title(r: &Row) -> String {
    let unit = if r.unit.is_empty() { "1" } else { &r.unit };
    format!("{} [{unit}]{}", r.metric, table::arrow(r.better))
}

fn values(results: &Results<'_>, data: &str, rows: &[&Row]) -> String {
    let models = results.what.models;
    let first = |m: &str| rows.iter().find(|r| r.model == m);
    let mut out = String::new();
    line(&mut out, "", models.iter().map(|m| format!("`{m}`")));
    line(&mut out, "---", models.iter().map(|_| "---:".to_owned()));
    let done = |m: &String| {
        first(m).map_or_else(digits::dash, |r| {
            format!("{} of {}", r.done, r.done + r.failed + r.missing)
        })
    };
    line(&mut out, "seeds done", models.iter().map(done));
    let parameters = |m: &String| digits::parameters(first(m).and_then(|r| r.parameters.as_ref()));
    line(&mut out, "parameters", models.iter().map(parameters));
    for metric in table::shown(results.headline(data), rows).0 {
        let of: Vec<&Row> = rows
            .iter()
            .filter(|r| r.metric == metric)
            .copied()
            .collect();
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
            line(&mut out, &title(r), of.iter().map(cell));
        }
    }
    out
}

fn differences(results: &Results<'_>, data: &str, rows: &[&Row]) -> String {
    let Some(reference) = results.what.reference else {
        return String::new();
    };
    let others: Vec<&String> = results
        .what
        .models
        .iter()
        .filter(|m| *m != reference)
        .collect();
    let mut out = format!("\nMinus `{reference}`, paired by seed:\n\n");
    line(&mut out, "", others.iter().map(|m| format!("`{m}`")));
    line(&mut out, "---", others.iter().map(|_| "---:".to_owned()));
    let head = out.len();
    for metric in table::shown(results.headline(data), rows).0 {
        let of = |m: &&String| rows.iter().find(|r| r.metric == metric && r.model == **m);
        let found: Vec<&&Row> = others.iter().filter_map(of).collect();
        if found.iter().any(|r| r.diff.is_some()) {
            let cell = |r: &&&Row| table::starred(r).replace('*', "\\*");
            line(&mut out, &title(found[0]), found.iter().map(cell));
        }
    }
    if out.len() == head {
        return String::new();
    }
    out
}

/// What the table does not show: headline metrics and others of it that do not apply, with the
/// reason, and how many metrics there are besides.
fn notes(results: &Results<'_>, data: &str, rows: &[&Row]) -> String {
    let (shown, others) = table::shown(results.headline(data), rows);
    let mut out = String::new();
    for metric in shown.into_iter().chain(["kl", "nll", "reverse_kl"]) {
        let of: Vec<&&Row> = rows.iter().filter(|r| r.metric == metric).collect();
        let silent: Vec<&&&Row> = of
            .iter()
            .filter(|r| r.value.is_none() && !r.note.is_empty())
            .collect();
        let Some(one) = silent.first() else { continue };
        let who = if silent.len() == of.len() {
            String::new()
        } else {
            let names: Vec<String> = silent.iter().map(|r| format!("`{}`", r.model)).collect();
            format!(" of {}", names.join(", "))
        };
        let note = format!("- no {metric}{who}: {}\n", one.note);
        if !out.contains(&note) {
            out.push_str(&note);
        }
    }
    if others > 0 {
        let _ = writeln!(out, "- {others} more metrics are in `summary.csv`.");
    }
    if out.is_empty() {
        out
    } else {
        format!("\n{out}")
    }
}

/// Warnings, then every run that left no metrics.
fn failures(on: &Contents<'_>) -> String {
    let mut out = String::new();
    for warning in on.warnings {
        let _ = writeln!(out, "- **Note:** {warning}");
    }
    for run in on.results.runs.iter().filter(|r| !r.is_done()) {
        let Run {
            data,
            model,
            seed,
            status,
            ..
        } = run;
        let state = status.state.word();
        let why = if status.reason.is_empty() {
            String::new()
        } else {
            format!(": {}", status.reason)
        };
        let _ = writeln!(out, "- `{model}` on `{data}`, seed {seed}: {state}{why}");
    }
    if out.is_empty() {
        out = "None.\n".to_owned();
    }
    format!("\n## Failures and warnings\n\n{out}")
}

/// How to read the numbers, and where they come from.
fn made(on: &Contents<'_>) -> String {
    let what = on.results.what;
    let mut out = format!(
        "\n## How to read this, and how it was made\n\n{}\n\nBold is the best mean. A failed run is \
         counted in \"seeds done\" and is in no mean.",
        table::over(on.results).replace("; * p", "; \\* p"),
    );
    if what.seeds.len() > 1 {
        out.push_str(
            " `summary.csv` has every metric, with standard deviations, medians and bootstrap (BCa) \
             intervals beside those of Student's t, `pairs.csv` every two models with their tests, \
             `ranks.csv` the ranks.",
        );
        if let Some(text) = prose::flips(what.seeds.len()) {
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
        let kernels = on.made.kernels();
        let _ = write!(
            out,
            " The runs were made by {makers}, kernels: {}.",
            kernels.join(", ")
        );
    }
    out.push('\n');
    out
}
