//! `mdn runs`

use clap::Args;
use serde_json::json;

use super::common::{shell_quote, FileArgs, SelectionArgs};
use super::output::{columns, print};
use super::Exit;
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
    /// Print one `mdn train` command per run; a command that was done before does nothing
    #[arg(long, group = "form")]
    commands: bool,
    /// With --commands: where each is to compute, as `mdn train` takes it
    #[arg(long, value_name = "DEVICE", value_parser = device, requires = "commands")]
    device: Option<String>,
    /// With --commands: what is to evaluate models, as `mdn train` takes it
    #[arg(long, value_name = "KERNELS", value_parser = kernels, requires = "commands")]
    kernels: Option<String>,
    /// Print one JSON object per run
    #[arg(long, group = "form")]
    json: bool,
}

/// Refused here rather than once per command.
fn device(typed: &str) -> std::result::Result<String, String> {
    Choice::parse(typed).map(|_| typed.to_owned())
}

fn kernels(typed: &str) -> std::result::Result<String, String> {
    mdn_kernels::Choice::parse(typed).map(|_| typed.to_owned())
}

pub(super) fn run(args: &RunsArgs) -> Result<Exit> {
    let plan = args.file.plan()?;
    let jobs = args.selection.jobs(&plan)?;
    let text = if args.count {
        format!("{}\n", jobs.len())
    } else if args.commands {
        jobs.iter().map(|job| command(args, job)).collect()
    } else if args.json {
        jobs.iter().map(as_json).collect::<Result<String>>()?
    } else {
        table(&jobs)?
    };
    print(&text)?;
    Ok(Exit::FINE)
}

fn command(args: &RunsArgs, job: &Job) -> String {
    let mut words = vec![
        "mdn".to_owned(),
        "train".to_owned(),
        args.file.file.display().to_string(),
    ];
    words.extend(args.file.overrides.iter().cloned());
    for set in &args.file.set {
        words.extend(["--set".to_owned(), set.clone()]);
    }
    words.extend(["--index".to_owned(), job.index.to_string()]);
    let out = args.selection.out.as_ref().map(|o| o.display().to_string());
    let options = [
        ("--out", &out),
        ("--device", &args.device),
        ("--kernels", &args.kernels),
    ];
    for (name, value) in options {
        if let Some(value) = value {
            words.extend([name.to_owned(), value.clone()]);
        }
    }
    let words: Vec<_> = words.iter().map(|w| shell_quote(w)).collect();
    words.join(" ") + "\n"
}

fn as_json(job: &Job) -> Result<String> {
    let status = job.place.read_status()?;
    let object = json!({
        "index": job.index,
        "data": job.spec.data_name,
        "model": job.spec.model_name,
        "seed": job.spec.seed,
        "state": status.state.word(),
        "reason": status.reason,
        "folder": job.place.0.display().to_string(),
    });
    Ok(format!("{object}\n"))
}

fn table(jobs: &[Job]) -> Result<String> {
    let header = ["index", "data", "model", "seed", "state", "reason"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for job in jobs {
        let status = job.place.read_status()?;
        rows.push(vec![
            job.index.to_string(),
            job.spec.data_name.clone(),
            job.spec.model_name.clone(),
            job.spec.seed.to_string(),
            status.state.word().to_owned(),
            status.reason,
        ]);
    }
    Ok(columns(&rows))
}
