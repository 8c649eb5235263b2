//! `mdn runs`

use clap::Args;

use super::common::{job_json, shell_quote, FileArgs, SelectionArgs};
use super::output::{print, print_rows};
use super::Context;
use crate::experiment::pool::Job;
use mdn_core::device::Choice;
use mdn_core::Result;

/// List the runs of an experiment and where they stand
///
/// Columns: index, data set, model, seed, state (missing, running, done, diverged, failed). With
/// --commands the output is for a shell, GNU parallel or a job array:
///   mdn runs FILE --commands | parallel -j 4
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct RunsArgs {
    #[command(flatten)]
    file: FileArgs,
    #[command(flatten)]
    selection: SelectionArgs,
    /// Print the number of runs only
    #[arg(long, group = "form")]
    count: bool,
    /// Print one `mdn train` command per run; a command of a run that is done does nothing
    #[arg(long, group = "form")]
    commands: bool,
    /// With --commands: the device of each command
    #[arg(long, value_name = "DEVICE", value_parser = device, requires = "commands")]
    device: Option<String>,
    /// With --commands: the kernels of each command
    #[arg(long, value_name = "KERNELS", value_parser = kernels, requires = "commands")]
    kernels: Option<String>,
    /// Print one JSON object per run
    #[arg(long, group = "form")]
    json: bool,
}

/// Refused here rather than once per command.
fn device(typed: &str) -> Result<String, String> {
    Choice::parse(typed).map(|_| typed.to_owned())
}

fn kernels(typed: &str) -> Result<String, String> {
    mdn_kernels::Choice::parse(typed).map(|_| typed.to_owned())
}

pub(super) fn run(args: &RunsArgs, _: &Context) -> Result<()> {
    let plan = args.file.plan()?;
    let jobs = args.selection.jobs(&plan)?;
    if args.count {
        return print(&format!("{}\n", jobs.len()));
    }
    if args.commands {
        let lines = jobs.iter().map(|job| command(args, job));
        return print(&lines.collect::<String>());
    }
    let row = |job: &Job| {
        let (spec, status) = (&job.spec, job.place.read_status()?);
        let mut object = job_json(job);
        object["state"] = status.state.word().into();
        object["reason"] = status.reason.as_str().into();
        object["learned_nothing"] = status.learned_nothing().into();
        let cells = vec![
            job.index.to_string(),
            spec.data_name.clone(),
            spec.model_name.clone(),
            spec.seed.to_string(),
            status.words(),
            status.reason,
        ];
        Ok((cells, object))
    };
    let rows = jobs.iter().map(row).collect::<Result<_>>()?;
    let header = ["index", "data", "model", "seed", "state", "reason"];
    print_rows(&header, rows, args.json)
}

fn command(args: &RunsArgs, job: &Job) -> String {
    let file = args.file.file.display().to_string();
    let mut words = vec!["mdn".to_owned(), "train".to_owned(), file];
    words.extend(args.file.overrides.iter().cloned());
    let out = args.selection.out.as_ref().map(|o| o.display().to_string());
    let mut option = |name: &str, value: &str| words.extend([name, value].map(str::to_owned));
    args.file.set.iter().for_each(|set| option("--set", set));
    option("--index", &job.index.to_string());
    for (name, value) in [
        ("--out", &out),
        ("--device", &args.device),
        ("--kernels", &args.kernels),
    ] {
        value.iter().for_each(|value| option(name, value));
    }
    let words: Vec<_> = words.iter().map(|w| shell_quote(w)).collect();
    words.join(" ") + "\n"
}
