//! What is made of the files of runs: figures by `mdn plot`, event files by `mdn export`.

use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::Args;
use indexmap::IndexMap;

use super::common::Facts;
use super::output::print_files;
use super::Context;
use crate::experiment::store::{some_runs_below, write_atomic};
use crate::report::{self, figures, tensorboard, Format};
use mdn_core::{Error, Result};

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
    #[arg(long, conflicts_with = "targets", value_name = "FORMAT", default_value = "png", value_parser = format())]
    format: Format,
    /// Print an object {"file": ...} per file
    #[arg(long)]
    json: bool,
}

/// The formats by name.
fn format() -> impl TypedValueParser<Value = Format> {
    PossibleValuesParser::new(["png", "svg", "both"]).map(|name| match name.as_str() {
        "svg" => Format::Svg,
        "both" => Format::Both,
        _ => Format::Png,
    })
}

pub(super) fn plot(args: &PlotArgs, context: &Context) -> Result<()> {
    let Some(run) = &args.run else {
        figures::draw_gallery(&args.output, &context.command)?;
        return print_files(std::slice::from_ref(&args.output), args.json);
    };
    for place in &some_runs_below(run)? {
        let files = report::draw_run(place, &context.command, args.format)?;
        print_files(&files, args.json)?;
    }
    Ok(())
}

/// Write runs in the format of another program
///
/// For TensorBoard, a folder per run, <data>/<model>/seed-<n> (behind the experiment's name where the
/// runs are of several), with losses and gradient norm by step, rounds of maximum entropy, and the
/// metrics with their standard errors at the last step. Event times are the run's start, so the same
/// run gives the same bytes; without a record of it they are 0. Prints the files that were written.
#[derive(Debug, Clone, Args)]
pub(super) struct ExportArgs {
    /// Folders of runs, or above several
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<PathBuf>,
    /// Write TensorBoard event files below this folder
    #[arg(long, value_name = "DIR")]
    tensorboard: PathBuf,
    /// Print an object {"file": ...} per file
    #[arg(long)]
    json: bool,
}

pub(super) fn export(args: &ExportArgs, _: &Context) -> Result<()> {
    let mut all: Vec<Facts> = Vec::new();
    for folder in &args.runs {
        for place in some_runs_below(folder)? {
            if all.iter().all(|f| f.place != place) {
                all.push(Facts::read(place)?);
            }
        }
    }
    let files = destinations(&args.tensorboard, &all)?;
    for (file, facts) in &files {
        write_atomic(file, &tensorboard::event_file(&facts.place)?)?;
    }
    print_files(&files.into_keys().collect::<Vec<_>>(), args.json)
}

/// The file of each run: all different.
fn destinations<'a>(to: &Path, all: &'a [Facts]) -> Result<IndexMap<PathBuf, &'a Facts>> {
    let experiment = |f: &Facts| f.spec.experiment.clone();
    let several = all.iter().any(|f| experiment(f) != experiment(&all[0]));
    let mut files = IndexMap::new();
    for facts in all {
        let folder = match several {
            true => to.join(experiment(facts)),
            false => to.to_path_buf(),
        };
        let label = facts.spec.label();
        let file = folder.join(&label).join(tensorboard::FILE);
        if let Some(other) = files.insert(file, facts) {
            return Err(Error::request(format!(
                "{} and {}: expected runs of different names; got `{label}` twice (export them into two \
                 folders)",
                other.folder(),
                facts.folder(),
            )));
        }
    }
    Ok(files)
}
