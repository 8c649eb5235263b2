//! `mdn density`

use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::common::ComputeArgs;
use super::output::print_or_write;
use super::points::{self, header};
use super::{Context, Exit};
use crate::experiment::store::RunDir;
use crate::experiment::trained::Trained;
use mdn_core::{Error, Result};

/// Evaluate a trained run's log-density at given points
///
/// Reads a CSV file with one point per row (a header is optional) and writes the same points with
/// a last column log_density (nats), and with --parts one more, part: the component of a mixture
/// base, the cluster, or RAD's code (0 left, 1 middle, 2 right of every fold from data to base, read
/// as a number in base 3; beyond 40 folds
/// the number wraps around).
#[derive(Debug, Clone, Args)]
pub(super) struct DensityArgs {
    /// Folder of the run, such as results/ring/ring/rad/seed-0
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// CSV file with one point per row; `-` reads stdin
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

pub(super) fn run(args: &DensityArgs, context: &Context) -> Result<Exit> {
    let points = points::read(&args.points)?;
    let trained = Trained::load(&RunDir(args.run.clone()), |dtype| {
        args.compute.open(dtype, context)
    })?;
    points.check_dim(trained.dim())?;
    let log_density = trained.log_density(&points.rows)?;
    let parts = if args.parts {
        trained.parts(&points.rows)?.ok_or_else(|| {
            let run = args.run.display();
            Error::request(format!(
                "{run}: expected a model with parts; this one has none"
            ))
        })?
    } else {
        Vec::new()
    };
    let mut text = String::new();
    if !args.json {
        text = header(trained.dim()) + ",log_density";
        text += if args.parts { ",part\n" } else { "\n" };
    }
    for (i, (row, log_q)) in points.rows.iter().zip(log_density).enumerate() {
        if args.json {
            let mut object = json!({ "x": row, "log_density": log_q });
            if let Some(part) = parts.get(i) {
                object["part"] = (*part).into();
            }
            let _ = writeln!(text, "{object}");
            continue;
        }
        for x in row {
            let _ = write!(text, "{x},");
        }
        let _ = match parts.get(i) {
            Some(part) => writeln!(text, "{log_q},{part}"),
            None => writeln!(text, "{log_q}"),
        };
    }
    print_or_write(&text, args.output.as_deref())?;
    if let Some(path) = &args.output {
        context.note(&format!("wrote {}", path.display()));
    }
    Ok(Exit::FINE)
}
