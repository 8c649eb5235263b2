//! `summary.md`: every metric, every difference, every failure, on one page.

use std::fmt::Write as _;

use super::results::{Results, Run};
use super::summary::{best, Row};
use super::{digits, table};

/// The page. `figures` are the file names in `figures/`, shown under the data set they name.
pub fn page(
    results: &Results<'_>,
    rows: &[Row],
    warnings: &[String],
    figures: &[String],
) -> String {
    let what = results.what;
    let mut out = format!(
        "# {}\n\n`{}` · mdn {}\n\n{}\nBold is the best mean. A failed run is counted in \
         \"seeds done\" and is in no mean.\n",
        what.experiment,
        what.command.replace('`', "'"),
        env!("CARGO_PKG_VERSION"),
        table::over(results).replace("; * its", "; \\* its"),
    );
    if !warnings.is_empty() {
        out.push('\n');
    }
    for warning in warnings {
        let _ = writeln!(out, "- **Note:** {warning}");
    }
    for data in what.data {
        let rows: Vec<&Row> = rows.iter().filter(|r| r.data == *data).collect();
        let _ = write!(out, "\n## {data}\n\n{}", values(results, &rows));
        out.push_str(&differences(results, &rows));
        out.push_str(&not_applicable(&rows));
        out.push_str(&failures(results, data));
        for name in figures
            .iter()
            .filter(|f| f.ends_with(&format!("-{data}.png")))
        {
            let _ = write!(out, "\n![{name}](figures/{name})\n");
        }
    }
    out
}

/// Metrics of these rows, in order, without the number of parameters, which has a line of its own.
fn metrics<'a>(rows: &[&'a Row]) -> Vec<&'a str> {
    let mut out: Vec<&str> = Vec::new();
    for r in rows {
        if !out.contains(&r.metric.as_str()) && !matches!(r.metric.as_str(), "" | "parameters") {
            out.push(&r.metric);
        }
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

fn values(results: &Results<'_>, rows: &[&Row]) -> String {
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
    for metric in metrics(rows) {
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

fn differences(results: &Results<'_>, rows: &[&Row]) -> String {
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
    for metric in metrics(rows) {
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

fn not_applicable(rows: &[&Row]) -> String {
    let mut out = String::new();
    for metric in metrics(rows) {
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
        let _ = writeln!(out, "- no {metric}{who}: {}", one.note);
    }
    if out.is_empty() {
        out
    } else {
        format!("\n{out}")
    }
}

fn failures(results: &Results<'_>, data: &str) -> String {
    let mut out = String::new();
    for run in results.on(data).filter(|r| !r.is_done()) {
        let Run {
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
        let _ = writeln!(out, "- `{model}`, seed {seed}: {state}{why}");
    }
    if out.is_empty() {
        out
    } else {
        format!("\nRuns without metrics:\n\n{out}")
    }
}
