//! `mdn density`

use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;

use super::output::print_or_write;
use super::points::{self, header};
use super::{Context, Exit};
use crate::device;
use crate::experiment::run::Trained;
use crate::experiment::store::RunDir;
use crate::Result;

/// Evaluate a trained run's log-density at given points
///
/// Reads a CSV file with one point per row (a header is optional) and writes the same points with
/// a last column log_density (nats).
#[derive(Debug, Clone, Args)]
pub(super) struct DensityArgs {
    /// Folder of the run, such as results/ring/ring/rad/seed-0
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// CSV file with one point per row; `-` reads stdin
    #[arg(value_name = "POINTS.csv")]
    points: PathBuf,
    /// Write to this file instead of stdout
    #[arg(short, long, value_name = "FILE.csv")]
    output: Option<PathBuf>,
}

pub(super) fn run(args: &DensityArgs, context: &Context) -> Result<Exit> {
    let points = points::read(&args.points)?;
    let trained = Trained::load(&RunDir(args.run.clone()), &device::Choice::Cpu.open())?;
    points.check_dim(trained.dim())?;
    let log_density = trained.log_density(&points.rows)?;
    let mut text = header(trained.dim()) + ",log_density\n";
    for (row, log_q) in points.rows.iter().zip(log_density) {
        for x in row {
            let _ = write!(text, "{x},");
        }
        let _ = writeln!(text, "{log_q}");
    }
    print_or_write(&text, args.output.as_deref())?;
    if let Some(path) = &args.output {
        context.note(&format!("wrote {}", path.display()));
    }
    Ok(Exit::FINE)
}
