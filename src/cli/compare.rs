//! `mdn compare`

use clap::Args;
use indexmap::IndexSet;

use super::common::{FileArgs, SelectionArgs};
use super::output::{print, warn};
use super::train::{self, How};
use super::{Context, Exit};
use crate::experiment::pool;
use crate::experiment::store::check_within;
use crate::report::{self, Comparison, Which};
use mdn_core::Result;

/// Train what is missing, then compare the models
///
/// Prints a table with a row per data set and model, means over the seeds with intervals and the
/// paired differences to the reference model, and mean ranks where there are several data sets.
/// Writes to DIR/<experiment>/:
///   summary.md     the results in words and tables
///   summary.csv    a row per data set, model and metric
///   report.html    the page with its figures, in one file for a browser
///   pairs.csv      every two models on every data set: difference, tests, who won
///   ranks.csv      ranks, wins, ties and losses
///   runs.csv       a row per run and metric
///   figures/       pictures of all data sets and of each, as PNG and SVG
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct CompareArgs {
    #[command(flatten)]
    file: FileArgs,
    #[command(flatten)]
    selection: SelectionArgs,
    #[command(flatten)]
    how: How,
    /// Compare what is there, and train nothing
    #[arg(long, conflicts_with = "force")]
    no_train: bool,
    /// Figures to draw: all, overview (those over all data sets, for experiments with many of them)
    /// or none; those of an earlier comparison are removed
    #[arg(long, value_name = "WHICH", default_value = "all", value_parser = which)]
    figures: Which,
    /// Print the rows as JSON instead of the table
    #[arg(long)]
    json: bool,
}

fn which(typed: &str) -> Result<Which, String> {
    match typed {
        "all" => Ok(Which::All),
        "overview" => Ok(Which::Overview),
        "none" => Ok(Which::Nothing),
        _ => Err("expected all, overview or none".to_owned()),
    }
}

pub(super) fn run(args: &CompareArgs, context: &Context) -> Result<Exit> {
    let plan = args.file.plan()?;
    let jobs = args.selection.jobs(&plan)?;
    let out = args.selection.out();
    check_within(&out, &out.join(&plan.experiment).join("figures"))?;
    let mut exit = Exit::FINE;
    if args.no_train {
        // Results of other settings must not be shown under this file's name.
        pool::check_settings(&jobs)?;
    } else {
        let ended = train::train(&plan, &jobs, &args.how, (false, true), context)?;
        exit = train::exit(&jobs, &ended);
        if exit.code == 75 {
            return Ok(exit);
        }
    }
    let specs = || jobs.iter().map(|job| &job.spec);
    let data: IndexSet<_> = specs().map(|s| s.data_name.clone()).collect();
    let models: IndexSet<_> = specs().map(|s| s.model_name.clone()).collect();
    let seeds: IndexSet<_> = specs().map(|s| s.seed).collect();
    let reference = plan.config.reference.as_ref();
    if let Some(left_out) = reference.filter(|r| !models.contains(*r)) {
        warn(&format!(
            "the reference `{left_out}` is not among the chosen models: no differences are shown"
        ));
    }
    let report = report::compare(&Comparison {
        experiment: &plan.experiment,
        dir: &out.join(&plan.experiment),
        data: &Vec::from_iter(data),
        models: &Vec::from_iter(models.clone()),
        seeds: &Vec::from_iter(seeds),
        reference: reference
            .filter(|r| models.contains(*r))
            .map(String::as_str),
        command: &context.command,
        config_hash: &plan.config_hash()?,
        figures: args.figures,
        whole: jobs.len() == plan.runs.len(),
    })?;
    match args.json {
        true => print(&format!("{}\n", report.json))?,
        false => print(&format!("{}\n", report.table.trim_end()))?,
    }
    for warning in &report.warnings {
        warn(warning);
    }
    if jobs.len() < plan.runs.len() {
        context.note("a part of the experiment: the files and figures of the whole are kept");
    }
    for file in &report.files {
        context.note(&format!("wrote {}", file.display()));
    }
    Ok(exit)
}
