//! `mdn ls`

use std::fs::DirEntry;
use std::path::PathBuf;
use std::time::SystemTime;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::Args;
use indicatif::{BinaryBytes, HumanDuration};
use rayon::prelude::*;
use serde_json::Value;

use super::common::{Facts, RESULTS};
use super::output::{print_rows, warn};
use super::{Context, Exit};
use crate::experiment::store::{runs_below, RunDir, State};
use mdn_core::{Error, Result};

/// List the runs below a folder, of any experiment
///
/// Columns: state (`held` while a process holds the run), experiment, data set, model, seed, size of
/// its files, time since its state was written, steps of an unfinished run as of its last checkpoint,
/// folder. Links are not followed; other files and folders are skipped; runs that cannot be read are
/// named on stderr, and the exit code is then 1.
#[derive(Debug, Clone, Args)]
pub(super) struct LsArgs {
    /// Folder of a run or above several
    #[arg(value_name = "DIR", default_value = RESULTS)]
    dir: PathBuf,
    /// Only runs in this state (may be given several times)
    #[arg(long = "state", value_name = "STATE", value_parser = state())]
    states: Vec<State>,
    /// Print one JSON object per run
    #[arg(long)]
    json: bool,
}

/// The states that a run with a folder can be in.
fn state() -> impl TypedValueParser<Value = State> {
    let there = State::ALL.into_iter().filter(|s| *s != State::Missing);
    let words = PossibleValuesParser::new(there.map(State::word));
    words.map(|typed| {
        let mut states = State::ALL.into_iter();
        states.find(|s| s.word() == typed).unwrap_or(State::Missing)
    })
}

struct Row {
    state: State,
    bytes: u64,
    cells: Vec<String>,
    json: Value,
}

pub(super) fn run(args: &LsArgs, context: &Context) -> Result<Exit> {
    let found = runs_below(&args.dir)?;
    let rows: Vec<_> = found.runs.into_par_iter().map(row).collect();
    let mut unreadable = found.unreadable;
    let mut rows: Vec<Row> = rows
        .into_iter()
        .filter_map(|row| row.map_err(|e| unreadable.push(e)).ok())
        .collect();
    rows.retain(|r| args.states.is_empty() || args.states.contains(&r.state));
    let totals = totals(&rows);
    if !rows.is_empty() {
        let all = rows.into_iter().map(|row| (row.cells, row.json));
        let header = "state experiment data model seed size age step folder";
        let header: Vec<_> = header.split(' ').collect();
        print_rows(&header, all.collect(), args.json)?;
    }
    for fault in &unreadable {
        warn(&fault.to_string());
    }
    context.note(&totals);
    Ok(match unreadable.len() {
        0 => Exit::FINE,
        n => Exit::failed(1, format!("{n} runs or folders could not be read")),
    })
}

fn row(place: RunDir) -> Result<Row> {
    let status = place.path("status");
    let unreadable = Error::io(&status, "could not read");
    let written = status.metadata().and_then(|m| m.modified());
    let written = written.map_err(unreadable)?;
    let bytes = size(&place)?;
    let facts = Facts::read(place)?;
    let progress = facts.progress()?;
    // A clock may have been set back.
    let age = SystemTime::now()
        .duration_since(written)
        .unwrap_or_default();
    let mut json = facts.json();
    json["bytes"] = bytes.into();
    json["age_seconds"] = age.as_secs().into();
    json["step"] = progress.map(|p| p.0).into();
    json["steps"] = progress.map(|p| p.1).into();
    let cells = vec![
        facts.state(),
        facts.spec.experiment.clone(),
        facts.spec.data_name.clone(),
        facts.spec.model_name.clone(),
        facts.spec.seed.to_string(),
        BinaryBytes(bytes).to_string(),
        format!("{:#}", HumanDuration(age)),
        progress.map_or_else(|| "-".to_owned(), |(at, of)| format!("{at}/{of}")),
        facts.folder(),
    ];
    Ok(Row {
        state: facts.status.state,
        bytes,
        cells,
        json,
    })
}

/// Bytes of the files in the run's folder.
pub(super) fn size(place: &RunDir) -> Result<u64> {
    // For a link this is the link's own size. A file may vanish while another process works.
    let size = |e: DirEntry| {
        e.metadata()
            .map_or(0, |m| if m.is_file() { m.len() } else { 0 })
    };
    Ok(place.entries()?.into_iter().map(size).sum())
}

/// "3 runs: 2 done, 1 failed; 1.20 MiB"
fn totals(rows: &[Row]) -> String {
    let counts = State::ALL.map(|state| {
        let n = rows.iter().filter(|r| r.state == state).count();
        (n, state.word())
    });
    let counts = counts.iter().filter(|(n, _)| *n > 0);
    let states: Vec<_> = counts.map(|(n, word)| format!("{n} {word}")).collect();
    let colon = if states.is_empty() { "" } else { ": " };
    let bytes = rows.iter().map(|r| r.bytes).sum();
    format!(
        "{} runs{colon}{}; {}",
        rows.len(),
        states.join(", "),
        BinaryBytes(bytes)
    )
}
