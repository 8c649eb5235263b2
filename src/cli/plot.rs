//! `mdn plot`

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::output::print;
use super::{Context, Exit};
use crate::experiment::store::RunDir;
use crate::report::{self, figures, Format};
use crate::{Error, Result};

/// Folders between an experiment's and a run's own: data set, model, seed.
const DEPTH: usize = 3;

/// Draw a run's figures again from its files, without the model
///
/// Writes density and base (two-dimensional data), training and rounds (maximum entropy) into each
/// run's folder and prints their paths. The figures of a comparison are drawn by `mdn compare FILE
/// --no-train`. With `--targets`, draws every two-dimensional benchmark (mdn list targets) instead.
#[derive(Debug, Clone, Args)]
pub(super) struct PlotArgs {
    /// Folder of a run, or one above several, such as results/ring
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
        return print(&format!("{}\n", args.output.display())).map(|()| Exit::FINE);
    };
    let mut runs = Vec::new();
    find(run, DEPTH, &mut runs)?;
    if runs.is_empty() {
        return Err(Error::request(format!(
            "{}: expected the folder of a run, or one above several; found no file `status`",
            run.display()
        )));
    }
    for place in &runs {
        let files = report::draw_run(place, &context.command, args.format.into())?;
        let lines = files.iter().map(|f| format!("{}\n", f.display()));
        print(&lines.collect::<String>())?;
    }
    Ok(Exit::FINE)
}

fn find(folder: &Path, depth: usize, runs: &mut Vec<RunDir>) -> Result<()> {
    if folder.join("status").is_file() {
        runs.push(RunDir(folder.to_path_buf()));
        return Ok(());
    }
    let unreadable = |e: std::io::Error| {
        Error::request(format!(
            "{}: could not read the folder: {e}",
            folder.display()
        ))
    };
    let mut below = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if depth > 0 && path.is_dir() {
            below.push(path);
        }
    }
    below.sort();
    below
        .iter()
        .try_for_each(|path| find(path, depth - 1, runs))
}
