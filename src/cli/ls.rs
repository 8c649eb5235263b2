//! `mdn ls`

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::Args;
use indicatif::{BinaryBytes, HumanDuration};
use rayon::prelude::*;

use super::common::RESULTS;
use super::facts::Facts;
use super::output::{columns, print, warn};
use super::{Context, Exit};
use crate::experiment::store::{runs_below, RunDir, State};
use mdn_core::{Error, Result};

/// List the runs below a folder, of whatever experiment
///
/// Columns: state (`held` where a process has the run now), experiment, data set, model, seed, size of
/// its files, time since its state was written, steps of a run that is not over as of its last
/// checkpoint, folder. Links are not followed; what is no run is passed over; runs that cannot be read
/// are named on stderr, and the exit code is then 1.
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
    words.try_map(|typed| {
        let known = State::ALL.into_iter().find(|s| s.word() == typed);
        known.ok_or_else(|| Error::request(format!("no state `{typed}`")))
    })
}

struct Row {
    facts: Facts,
    progress: Option<(usize, usize)>,
    bytes: u64,
    age: Duration,
}

pub(super) fn run(args: &LsArgs, context: &Context) -> Result<Exit> {
    let found = runs_below(&args.dir)?;
    let rows: Vec<_> = found.runs.into_par_iter().map(row).collect();
    let (rows, unreadable): (Vec<_>, Vec<_>) = rows.into_iter().partition(Result::is_ok);
    let unreadable = unreadable.into_iter().filter_map(Result::err);
    let unreadable: Vec<_> = found.unreadable.into_iter().chain(unreadable).collect();
    let wanted =
        |row: &Row| args.states.is_empty() || args.states.contains(&row.facts.status.state);
    let rows = rows.into_iter().flatten().filter(wanted);
    let rows: Vec<Row> = rows.collect();
    if args.json {
        print(&rows.iter().map(as_json).collect::<String>())?;
    } else if !rows.is_empty() {
        print(&table(&rows))?;
    }
    for fault in &unreadable {
        warn(&fault.to_string());
    }
    context.note(&totals(&rows));
    Ok(match unreadable.len() {
        0 => Exit::FINE,
        n => Exit {
            code: 1,
            error: Some(format!("{n} runs or folders could not be read")),
        },
    })
}

fn row(place: RunDir) -> Result<Row> {
    let status = place.path("status");
    let unreadable = Error::io(&status, "could not read");
    let written = status.metadata().and_then(|m| m.modified());
    let written = written.map_err(unreadable)?;
    let bytes = size(&place)?;
    let facts = Facts::read(place)?;
    Ok(Row {
        progress: facts.progress()?,
        facts,
        bytes,
        // A clock may have been set back.
        age: SystemTime::now()
            .duration_since(written)
            .unwrap_or_default(),
    })
}

/// Of the files in the run's folder.
pub(super) fn size(place: &RunDir) -> Result<u64> {
    let unreadable = |e| Error::io(&place.0, "could not read")(e);
    let mut bytes = 0;
    for entry in std::fs::read_dir(&place.0).map_err(unreadable)? {
        // Of a link this is the link's own size. A file may go while another process works.
        let about = entry.map_err(unreadable)?.metadata();
        bytes += about.map_or(0, |m| if m.is_file() { m.len() } else { 0 });
    }
    Ok(bytes)
}

fn as_json(row: &Row) -> String {
    let mut object = row.facts.json();
    object["bytes"] = row.bytes.into();
    object["age_seconds"] = row.age.as_secs().into();
    object["step"] = row.progress.map(|p| p.0).into();
    object["steps"] = row.progress.map(|p| p.1).into();
    format!("{object}\n")
}

fn table(rows: &[Row]) -> String {
    let header = [
        "state",
        "experiment",
        "data",
        "model",
        "seed",
        "size",
        "age",
        "step",
        "folder",
    ];
    let mut cells = vec![header.map(str::to_owned).to_vec()];
    cells.extend(rows.iter().map(|row| {
        let spec = &row.facts.spec;
        vec![
            row.facts.state(),
            spec.experiment.clone(),
            spec.data_name.clone(),
            spec.model_name.clone(),
            spec.seed.to_string(),
            BinaryBytes(row.bytes).to_string(),
            format!("{:#}", HumanDuration(row.age)),
            row.progress
                .map_or_else(|| "-".to_owned(), |(at, of)| format!("{at}/{of}")),
            row.facts.folder(),
        ]
    }));
    columns(&cells)
}

/// "3 runs: 2 done, 1 failed; 1.20 MiB"
fn totals(rows: &[Row]) -> String {
    let count = |state| {
        let rows = rows.iter().filter(|r| r.facts.status.state == state);
        rows.count()
    };
    let states = State::ALL.map(|s| (count(s), s.word()));
    let states = states.iter().filter(|(n, _)| *n > 0);
    let states: Vec<_> = states.map(|(n, word)| format!("{n} {word}")).collect();
    let colon = if states.is_empty() { "" } else { ": " };
    let bytes = rows.iter().map(|r| r.bytes).sum();
    format!(
        "{} runs{colon}{}; {}",
        rows.len(),
        states.join(", "),
        BinaryBytes(bytes)
    )
}
