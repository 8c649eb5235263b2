//! Tables and figures, computed from the results folder alone.

use std::path::{Path, PathBuf};

use provenance::Provenance;
use ranks::Ranks;

use crate::experiment::store::{unusable, write_atomic, State};
use mdn_core::Result;

pub mod figures;

pub use figures::{draw_run, Format, Which};
pub(crate) use results::headline;

mod bootstrap;
pub(crate) mod digits;
mod files;
#[cfg(test)]
mod fixture;
mod headline;
mod html;
mod interval;
mod page;
mod pairs;
mod prose;
mod provenance;
mod ranks;
mod results;
mod significance;
pub mod study;
mod summary;
mod table;
pub mod tensorboard;
#[cfg(test)]
mod tests;
mod warnings;

/// Which runs a comparison is over, and how to name it.
#[derive(Debug, Clone)]
pub struct Comparison<'a> {
    /// Name of the experiment.
    pub experiment: &'a str,
    /// `<out>/<experiment>`: the runs lie below it, and the report is written into it.
    pub dir: &'a Path,
    /// Data sets, in the order of the file.
    pub data: &'a [String],
    /// Models, in the order of the file.
    pub models: &'a [String],
    /// Seeds.
    pub seeds: &'a [u64],
    /// The model that the others are compared with, pairwise by seed.
    pub reference: Option<&'a str>,
    /// What the user typed: every figure says it.
    pub command: &'a str,
    /// [`crate::experiment::config_hash`] of the experiment: every figure records it.
    pub config_hash: &'a str,
    /// Figures to draw.
    pub figures: Which,
    /// Whether this is the whole experiment; of a part of it no files are written.
    pub whole: bool,
}

/// What [`compare`] found and wrote.
#[derive(Debug, Clone)]
pub struct Report {
    /// The table for a terminal, with a line on what each interval is over.
    pub table: String,
    /// The same rows as written to `summary.csv`, as JSON.
    pub json: serde_json::Value,
    /// What the reader must know: diverged or missing runs, fewer than 3 seeds.
    pub warnings: Vec<String>,
    /// Files written.
    pub files: Vec<PathBuf>,
}

/// Reads the runs, writes `runs.csv`, `summary.csv`, `pairs.csv`, `ranks.csv`, `summary.md` and
/// `figures/`.
///
/// The files are a function of the runs' folders and `what` alone: the same bytes every time. A
/// damaged folder is an error that names the file and the line; runs that failed or are missing
/// are counted and reported among the warnings.
pub fn compare(what: &Comparison<'_>) -> Result<Report> {
    let results = results::Results::read(what)?;
    let mut states = results.runs.iter().map(|r| r.status.state);
    if states.all(|state| state == State::Missing) {
        let why = "expected at least one run; got none. Train the experiment first.";
        return Err(unusable(what.dir, why));
    }
    let rows = summary::rows(&results);
    let summary = files::summary(&rows);
    let pairs = pairs::pairs(&results);
    let ranks = Ranks::of(&results);
    let made = Provenance::read(&results)?;
    let mut warnings = warnings::warnings(&results);
    warnings.extend(made.of_data(&results));
    warnings.extend(made.warnings());
    let figures = if what.whole {
        figures::remove_old(what.dir)?;
        figures::draw_comparison(&results, what.figures)?
    } else {
        Vec::new()
    };
    let page = page::page(&page::Contents {
        results: &results,
        rows: &rows,
        pairs: &pairs,
        ranks: ranks.as_ref(),
        made: &made,
        warnings: &warnings,
        figures: &figures,
    });
    let mut files = Vec::new();
    if what.whole {
        let html = html::html(&results, &rows, &page, what.dir)?;
        for (name, bytes) in [
            ("runs.csv", files::runs(&results).csv()?),
            ("summary.csv", summary.csv()?),
            ("pairs.csv", files::pairs(&pairs).csv()?),
            ("ranks.csv", files::ranks(&pairs, ranks.as_ref()).csv()?),
            ("summary.md", page.into_bytes()),
            ("report.html", html.into_bytes()),
        ] {
            files.push(what.dir.join(name));
            write_atomic(&files[files.len() - 1], &bytes)?;
        }
    }
    files.extend(figures.into_iter().flat_map(|f| f.files));
    Ok(Report {
        table: table::terminal(&results, &rows, &pairs, ranks.as_ref()),
        json: summary.json(),
        warnings,
        files,
    })
}

/// A Markdown table. `head` has the names of the columns with ` | ` between them; `rule` is below the name
/// of each but the first: `---` for text, `---:` for numbers.
fn markdown_table(head: &str, rule: &str, rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let rules = format!(" | {rule}").repeat(head.matches(" | ").count());
    let rows = rows
        .into_iter()
        .map(|row| format!("| {} |\n", row.join(" | ")));
    format!("| {head} |\n| ---{rules} |\n{}", rows.collect::<String>())
}
