//! `mdn plot`

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::output::written;
use super::{Context, Exit};
use crate::experiment::store::some_runs_below;
use crate::report::{self, figures, Format};
use mdn_core::Result;

/// Draw a run's figures again from its files, without the model
///
/// Writes density and base (two-dimensional data), training and rounds (maximum entropy) into each
/// run's folder and prints their paths. The figures of a comparison are drawn by `mdn compare FILE
/// --no-train`. Links below the folder are not followed. With `--targets`, draws every two-dimensional
/// benchmark (mdn list targets) instead.
#[derive(Debug, Clone, Args)]
pub(super) struct PlotArgs {
    /// Folder of a run, or one above several, such as results/ring or results
    #[arg(value_name = "RUN", required_unless_present = "targets")]
    run: Option<PathBuf>,

    /// Draw the two-dimensional benchmarks: density, modes and entropy of each
    #[arg(long, conflicts_with = "run")]
    targets: bool,

    /// The picture of `--targets`
    #[arg(
        short,
        long,
        value_name = "FILE",
        default_value = "targets.png",
        conflicts_with = "run"
    )]
    output: PathBuf,
    /// Files to write: pixels, shapes with text as outlines, or one of each
    #[arg(long, conflicts_with = "targets", value_name = "FORMAT", value_enum, default_value_t = FormatArg::Png)]
    format: FormatArg,
    /// Print an object {"file": ...} per file
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FormatArg {
    Png,
    Svg,
    Both,
}

impl From<FormatArg> for Format {
    fn from(asked: FormatArg) -> Self {
        match asked {
            FormatArg::Png => Self::Png,
            FormatArg::Svg => Self::Svg,
            FormatArg::Both => Self::Both,
        }
    }
}

pub(super) fn run(args: &PlotArgs, context: &Context) -> Result<Exit> {
    let Some(run) = &args.run else {
        figures::draw_gallery(&args.output, &context.command)?;
        written(std::slice::from_ref(&args.output), args.json)?;
        return Ok(Exit::FINE);
    };
    for place in &some_runs_below(run)? {
        let files = report::draw_run(place, &context.command, args.format.into())?;
        written(&files, args.json)?;
    }
    Ok(Exit::FINE)
}
