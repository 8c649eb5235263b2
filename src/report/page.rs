//! `summary.md`: the results in words, then tables, failures, and how it was made.

use std::fmt::Write as _;

use indexmap::IndexSet;

use super::figures::Drawn;
use super::headline::HEADLINES;
use super::markdown_table;
use super::pairs::{Pair, Tally};
use super::provenance::Provenance;
use super::ranks::Ranks;
use super::results::Results;
use super::summary::{best, Row};
use super::{digits, prose, table as terminal};

/// What the page is made from.
pub struct Contents<'a> {
    pub results: &'a Results<'a>,
    pub rows: &'a [Row],
    pub pairs: &'a [Pair],
    pub ranks: Option<&'a Ranks>,
    pub made: &'a Provenance,
    pub warnings: &'a [String],
    pub figures: &'a [Drawn],
}

/// The page.
pub fn page(on: &Contents<'_>) -> String {
    let what = on.results.what;
    let opening = prose::opening(on.results, on.rows, on.made);
    let mut out = format!("# {}\n\n{opening}\n{}", what.experiment, overview(on));
    for data in what.data {
        let rows: Vec<&Row> = on.rows.iter().filter(|r| r.data == *data).collect();
        let text = prose::data_set(on.results, &rows, on.pairs, data);
        let tables = tables(on.results, data, &rows);
        let _ = write!(out, "\n## {data}\n\n{text}\n\n{tables}");
        out.push_str(&notes(on.results, data, &rows));
        out.push_str(&pictures(on, Some(data)));
    }
    out.push_str(&failures(on));
    out.push_str(&made(on));
    out
}

/// The pictures of one data set, or those over all.
fn pictures(on: &Contents<'_>, data: Option<&String>) -> String {
    let drawn = on.figures.iter().filter(|f| f.data.as_ref() == data);
    let picture = |Drawn { files, caption, .. }: &Drawn| {
        let name = files[0].file_name().unwrap_or_default().to_string_lossy();
        format!("\n![{caption}](figures/{name})\n")
    };
    drawn.map(picture).collect()
}

/// Ranks and wins over all data sets.
fn overview(on: &Contents<'_>) -> String {
    let mut out = String::new();
    if let Some(ranks) = on.ranks {
        if let Some(text) = prose::overall(on.results, ranks) {
            let standings = standings(on, ranks);
            let _ = write!(out, "\n## Over all data sets\n\n{text}\n\n{standings}");
        }
    }
    out + &pictures(on, None)
}

/// Mean ranks, and wins/ties/losses of each model against each other, the best mean rank first.
fn standings(on: &Contents<'_>, ranks: &Ranks) -> String {
    let models = &ranks.models;
    let against: String = models
        .iter()
        .map(|m| format!(" | against `{}`", m.model))
        .collect();
    let rows = models.iter().map(|m| {
        let tally = |other| Tally::of(on.pairs, &m.model, other, None).to_string();
        let (name, rank) = (format!("`{}`", m.model), ranks.mean(m));
        let mut row = vec![name, rank, tally(None)];
        row.extend(models.iter().map(|o| match o.model == m.model {
            true => String::new(),
            false => tally(Some(&o.model)),
        }));
        row
    });
    let head = format!("wins/ties/losses | mean rank | against all{against}");
    markdown_table(&head, "---:", rows)
}

fn title(r: &Row) -> String {
    let unit = if r.unit.is_empty() { "1" } else { &r.unit };
    format!("{} [{unit}]{}", r.metric, terminal::arrow(r.better))
}

/// The values of the shown metrics, a column for each model, and the differences to the reference.
fn tables(results: &Results<'_>, data: &str, rows: &[&Row]) -> String {
    let models = results.what.models;
    let line = |name: &str, cell: &dyn Fn(&Row) -> String| {
        let row = |m: &String| rows.iter().find(|r| r.model == *m);
        let cells = models
            .iter()
            .map(|m| row(m).map_or_else(digits::dash, |r| cell(r)));
        [vec![name.to_owned()], cells.collect()].concat()
    };
    let mut values = vec![
        line("seeds done", &|r| {
            format!("{} of {}", r.done, r.runs()) + &terminal::idle(results, r)
        }),
        line("parameters", &|r| digits::parameters(r.parameters.as_ref())),
    ];
    let (mut differences, mut ratios) = (Vec::new(), Vec::new());
    for metric in terminal::shown(results.headline(data), rows).0 {
        let mut of: Vec<&Row> = rows
            .iter()
            .copied()
            .filter(|r| r.metric == metric)
            .collect();
        let title = vec![title(of[0])];
        let winners = best(&of);
        let value = |r: &&Row| {
            let mut text = terminal::mean(r);
            if winners.contains(&r.model.as_str()) {
                text = format!("**{text}**");
            }
            if r.non_finite > 0 {
                let _ = write!(text, " ({} not finite)", r.non_finite);
            }
            text
        };
        values.push([title.clone(), of.iter().map(value).collect()].concat());
        of.retain(|r| results.what.reference != Some(&r.model));
        let cells = |cell: fn(&Row) -> String| -> Vec<String> {
            of.iter().map(|r| cell(r).replace('*', "\\*")).collect()
        };
        if of.iter().any(|r| r.contrast.ratio.is_some()) {
            ratios.push([title.clone(), cells(terminal::ratio)].concat());
        }
        if of.iter().any(|r| r.contrast.diff.is_some()) {
            differences.push([title, cells(terminal::difference)].concat());
        }
    }
    let head = |left_out: Option<&str>| -> String {
        let models = models.iter().filter(|m| left_out != Some(m));
        models.map(|m| format!(" | `{m}`")).collect()
    };
    let mut out = markdown_table(&head(None), "---:", values);
    let reference = results.what.reference.unwrap_or_default();
    for (words, rows) in [("Divided by", ratios), ("Minus", differences)] {
        if !rows.is_empty() {
            let table = markdown_table(&head(Some(reference)), "---:", rows);
            let _ = write!(out, "\n{words} `{reference}`, paired by seed:\n\n{table}");
        }
    }
    out
}

/// Why metrics do not apply, and how many metrics the table leaves out.
fn notes(results: &Results<'_>, data: &str, rows: &[&Row]) -> String {
    let (shown, others) = terminal::shown(results.headline(data), rows);
    let mut metrics = IndexSet::<&str>::from_iter(shown);
    metrics.extend(HEADLINES.iter().map(|h| h.key).take(3));
    let mut out = String::new();
    for metric in metrics {
        let of = || rows.iter().filter(|r| r.metric == metric);
        let without = of().filter(|r| r.value.is_none() && !r.note.is_empty());
        let without: Vec<&&Row> = without.collect();
        let Some(one) = without.first() else { continue };
        let names: Vec<String> = without.iter().map(|r| format!("`{}`", r.model)).collect();
        let who = match names.len() == of().count() {
            true => String::new(),
            false => format!(" of {}", names.join(", ")),
        };
        let _ = writeln!(out, "- no {metric}{who}: {}", one.note);
    }
    if others > 0 {
        let _ = writeln!(out, "- {others} more metrics are in `summary.csv`.");
    }
    match out.is_empty() {
        true => out,
        false => format!("\n{out}"),
    }
}

/// Warnings, then every run that left no metrics or learned nothing.
fn failures(on: &Contents<'_>) -> String {
    let mut out = String::new();
    for warning in on.warnings {
        let _ = writeln!(out, "- **Note:** {warning}");
    }
    for run in on
        .results
        .runs
        .iter()
        .filter(|r| r.status.text("", "") != "done")
    {
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
        terminal::legend(on.results).replace("; * p", "; \\* p"),
    );
    if what.seeds.len() > 1 {
        out.push_str(
            " `summary.csv` has every metric, with standard deviations, medians and bootstrap (BCa) \
             intervals beside those of Student's t, `pairs.csv` every two models with their tests, \
             `ranks.csv` the ranks. `p_flip`, of the exact sign-flip test, is at least 2 / 2^n with n seeds; \
             the t test decides: of log ratios (`p_log`) where there are any, else of differences (`p`).",
        );
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
        let kernels = Vec::from_iter(on.made.kernels()).join(", ");
        let _ = write!(out, " The runs were made by {makers}, kernels: {kernels}.");
    }
    out + "\n"
}
