//! Points of trained runs: `mdn sample` and `mdn density`.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::common::ComputeArgs;
use super::output::{print_or_write, warn};
use super::Context;
use crate::experiment::trained::Trained;
use mdn_core::rng::Rng;
use mdn_core::{Error, Result};

/// Samples that are drawn at once, so that memory stays small.
const CHUNK: u64 = 65_536;

/// Draw samples from a trained run, as CSV
///
/// The file has a header, the names of the columns trained on or else x1,x2,..., and a row per
/// sample. The same run, seed and number give the same bytes on the same device.
#[derive(Debug, Clone, Args)]
pub(super) struct SampleArgs {
    /// Folder of the run, such as results/ring/ring/rad/seed-0
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// Number of samples
    #[arg(
        short = 'n',
        long = "count",
        value_name = "N",
        allow_negative_numbers = true
    )]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    count: u64,
    /// Seed of the draws
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        allow_negative_numbers = true
    )]
    seed: u64,
    #[command(flatten)]
    compute: ComputeArgs,
    /// Write to this file instead of stdout
    #[arg(short, long, value_name = "FILE.csv")]
    output: Option<PathBuf>,
    /// Write a JSON object {"x": [...]} per sample in place of CSV
    #[arg(long)]
    json: bool,
}

pub(super) fn sample(args: &SampleArgs, context: &Context) -> Result<()> {
    let trained = args.compute.load(&args.run, context)?;
    let mut rng = Rng::new(args.seed).fork("sample");
    let mut text = match args.json {
        true => String::new(),
        false => header(&trained, &[])?,
    };
    let mut left = args.count;
    while left > 0 {
        let n = left.min(CHUNK);
        for row in trained.sample(n as usize, &mut rng)? {
            text += &match args.json {
                true => json!({ "x": row }).to_string(),
                false => cells(&row).join(","),
            };
            text.push('\n');
        }
        left -= n;
    }
    print_or_write(&text, args.output.as_deref(), context)
}

/// Evaluate a trained run's log-density at given points
///
/// Reads a file with one point per row, as in training: CSV and its relatives, or .npy by its name.
/// Columns are matched by name, in any order, and others are ignored; a file without a header has the
/// columns trained on, in their order. Writes the points with a last column log_density (nats), and
/// with --parts one more, part: the component of a mixture base, the cluster, or RAD's code (0 left, 1
/// middle, 2 right of every fold from data to base, read as a number in base 3; beyond 40 folds the
/// number wraps around).
#[derive(Debug, Clone, Args)]
pub(super) struct DensityArgs {
    /// Folder of the run, such as results/ring/ring/rad/seed-0
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// File with one point per row; `-` reads text from stdin
    #[arg(value_name = "POINTS.csv")]
    points: PathBuf,
    /// Also write the part of the model that each point belongs to
    #[arg(long)]
    parts: bool,
    #[command(flatten)]
    compute: ComputeArgs,
    /// Write to this file instead of stdout
    #[arg(short, long, value_name = "FILE.csv")]
    output: Option<PathBuf>,
    /// Write a JSON object {"x": [...], "log_density": ...} per point in place of CSV, null where a
    /// number is not finite; with --parts also "part"
    #[arg(long)]
    json: bool,
}

pub(super) fn density(args: &DensityArgs, context: &Context) -> Result<()> {
    let trained = args.compute.load(&args.run, context)?;
    let points = read(&args.points, &trained, context)?;
    let log_density = trained.log_density(&points)?;
    let no_parts = || {
        let run = args.run.display();
        Error::request(format!(
            "{run}: expected a model with parts; this one has none"
        ))
    };
    let parts = match args.parts {
        true => trained.parts(&points)?.ok_or_else(no_parts)?,
        false => Vec::new(),
    };
    let mut text = match (args.json, args.parts) {
        (true, _) => String::new(),
        (false, true) => header(&trained, &["log_density", "part"])?,
        (false, false) => header(&trained, &["log_density"])?,
    };
    let rows = points.chunks_exact(trained.dim());
    for (i, (row, log_q)) in rows.zip(log_density).enumerate() {
        let part = parts.get(i);
        let line = match args.json {
            true => {
                let mut object = json!({ "x": row, "log_density": log_q });
                part.into_iter().for_each(|p| object["part"] = (*p).into());
                object.to_string()
            }
            false => {
                let mut cells = cells(row);
                cells.push(log_q.to_string());
                cells.extend(part.map(u64::to_string));
                cells.join(",")
            }
        };
        text += &(line + "\n");
    }
    print_or_write(&text, args.output.as_deref(), context)
}

/// The line of the names of the coordinates and of `more` columns.
fn header(trained: &Trained, more: &[&str]) -> Result<String> {
    let mut names = trained.columns().names();
    names.extend(more.iter().map(|name| (*name).to_owned()));
    let fault = |e: &dyn std::fmt::Display| Error::failed(format!("could not write CSV: {e}"));
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(&names).map_err(|e| fault(&e))?;
    let line = writer.into_inner().map_err(|e| fault(&e))?;
    String::from_utf8(line).map_err(|e| fault(&e))
}

fn cells(row: &[f64]) -> Vec<String> {
    row.iter().map(f64::to_string).collect()
}

/// The points of a file, or of stdin for `-`, row by row; columns that are ignored and rows that are
/// left out are said.
fn read(path: &Path, trained: &Trained, context: &Context) -> Result<Vec<f64>> {
    let (name, bytes) = match path == Path::new("-") {
        true => {
            let mut bytes = Vec::new();
            let read = std::io::stdin().read_to_end(&mut bytes);
            ("<stdin>".to_owned(), read.map(|_| bytes))
        }
        false => (path.display().to_string(), std::fs::read(path)),
    };
    let unreadable = |e| Error::request(format!("{name}: could not read the points: {e}"));
    let found = trained
        .columns()
        .points(Path::new(&name), &bytes.map_err(unreadable)?);
    let found = found.map_err(|bad| {
        let (expected, got) = (bad.expected, bad.got);
        Error::request(format!("{name}: expected {expected}; got {got}"))
    })?;
    if let Some(columns) = found.ignored {
        context.note(&format!("{name}: ignored, not trained on: {columns}"));
    }
    if let Some(rows) = found.left_out {
        warn(&format!("{name}: left out, as in training: {rows}"));
    }
    Ok(found.values)
}
