//! `mdn check`

use clap::Args;

use super::common::{ComputeArgs, FileArgs};
use super::forecast::forecast;
use super::output::{columns, print, warn};
use super::train::sizes_of;
use super::{Context, Exit};
use crate::data::{DataSet, DataSpec};
use crate::experiment::memory::{size, Memory};
use crate::experiment::plan::{Plan, RunSpec};
use crate::experiment::pool;
use crate::objectives::ProblemSpec;
use crate::{Error, Result};

/// Check an experiment file and show what it means
///
/// Prints the data sets and problems (with dimension, modes and entropy where they are known; of
/// files of data the columns, classes and splits), the models (with their trainable numbers and
/// widths, as a budget of parameters sets them), the number of runs and of the trials of each, about
/// how much memory the largest run will need (of plain tensors; fused kernels need less), and with
/// --resolved the whole file with every default filled in.
#[derive(Debug, Clone, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    file: FileArgs,
    /// Print the file with every default filled in, and nothing else
    #[arg(long)]
    resolved: bool,
    /// Make a few steps of every model, half a second each, and say how long all training will take
    #[arg(long, conflicts_with = "resolved")]
    time: bool,
    #[command(flatten)]
    compute: ComputeArgs,
}

pub(super) fn run(args: &CheckArgs, context: &Context) -> Result<Exit> {
    let plan = args.file.plan()?;
    for text in plan.warnings(&|_| true) {
        warn(&text);
    }
    let text = if args.resolved {
        plan.resolved()?
    } else {
        summary(&plan)?
    };
    print(&text)?;
    if args.time {
        let compute = args
            .compute
            .open(plan.config.train.precision.dtype(), context)?;
        let threads = pool::threads(None, context.threads);
        print(&format!("\n{}", forecast(&plan, &compute, threads)?))?;
    }
    Ok(Exit::FINE)
}

fn summary(plan: &Plan) -> Result<String> {
    let config = &plan.config;
    let header = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    let mut data = vec![header(&[
        "data or problem",
        "kind",
        "dim",
        "modes",
        "entropy [nats]",
    ])];
    for (name, spec) in &config.data {
        data.push(data_row(name, spec)?);
    }
    for (name, spec) in &config.problems {
        data.push(problem_row(name, spec)?);
    }
    let mut models = vec![header(&["model", "kind", "size"])];
    for (name, spec) in &config.models {
        let mark = config.reference.as_ref() == Some(name);
        let kind = kind_of(spec)? + if mark { " (reference)" } else { "" };
        let mut row = vec![name.clone(), kind];
        for size in sizes(plan, name)? {
            models.push([row, vec![size]].concat());
            row = vec![String::new(); 2];
        }
    }
    let mut files = String::new();
    for (name, spec) in &config.data {
        let found = spec.clone().settle();
        let found = found.map_err(|e| Error::request(format!("data.{name}: {e}")))?;
        if let Some(found) = found {
            files += &format!("{name}: {found}\n");
        }
    }
    if !files.is_empty() {
        files = format!("\n{files}");
    }
    let trials = plan.runs.first().map(RunSpec::trials).transpose()?;
    let trials = trials.map_or(1, |t| t.len());
    let each = match trials {
        1 => String::new(),
        n => format!(", {n} trials each, chosen by validation loss"),
    };
    let time = match config.budget.seconds {
        None => String::new(),
        Some(s) => format!(" or {s} seconds"),
    };
    let seeds: Vec<_> = config.seeds.iter().map(u64::to_string).collect();
    let memory = memory(plan)?;
    Ok(format!(
        "{}{files}\n{}\n{} runs of `{}`: {} data or problems x {} models x {} seeds ({}){each}, {} steps{time} of {} points each\n{memory}\n",
        columns(&data),
        columns(&models),
        plan.runs.len(),
        plan.experiment,
        config.data.len() + config.problems.len(),
        config.models.len(),
        seeds.len(),
        seeds.join(", "),
        config.train.steps,
        config.train.batch_size,
    ))
}

/// What the largest run will need.
fn memory(plan: &Plan) -> Result<String> {
    let first = plan.config.seeds.first();
    let mut most = (0.0, "");
    for run in plan.runs.iter().filter(|r| Some(&r.seed) == first) {
        let (model, _) = run.sized()?;
        let total = Memory::of(&plan.config, &model, run.task.dim()?).total();
        if total > most.0 {
            most = (total, &run.model_name);
        }
    }
    let (total, name) = most;
    let told = size(total);
    Ok(format!(
        "memory: a run of `{name}` needs the most, about {told}"
    ))
}

/// What a model's widths and parameters are, once per number of dimensions.
fn sizes(plan: &Plan, model: &str) -> Result<Vec<String>> {
    let mut told: Vec<(usize, String)> = Vec::new();
    for run in plan.runs.iter().filter(|r| r.model_name == model) {
        let dim = run.task.dim()?;
        if told.iter().all(|(d, _)| *d != dim) {
            told.push((dim, sizes_of(run)?));
        }
    }
    let several = told.len() > 1;
    let words = |(dim, text): (usize, String)| match several {
        true => format!("dim {dim}: {text}"),
        false => text,
    };
    Ok(told.into_iter().map(words).collect())
}

fn data_row(name: &str, spec: &DataSpec) -> Result<Vec<String>> {
    let set = spec.build()?;
    law_row(name, kind_of(spec)?, set.dim(), Some(set.as_ref()))
}

fn problem_row(name: &str, spec: &ProblemSpec) -> Result<Vec<String>> {
    let dim = spec.check().map_err(|e| Error::request(e.to_string()))?;
    let law = spec.solution()?;
    law_row(name, kind_of(spec)?, dim, law.as_deref())
}

fn law_row(name: &str, kind: String, dim: usize, law: Option<&dyn DataSet>) -> Result<Vec<String>> {
    let truth = law.and_then(DataSet::truth);
    let unknown = || "-".to_owned();
    Ok(vec![
        name.to_owned(),
        kind,
        dim.to_string(),
        truth.map_or_else(unknown, |t| t.weights().len().to_string()),
        truth.map_or_else(unknown, |t| format!("{:.4}", t.entropy().value)),
    ])
}

/// The member's name in the file: specs are tables with one key, or strings.
fn kind_of(spec: &impl serde::Serialize) -> Result<String> {
    let value = serde_json::to_value(spec)
        .map_err(|e| Error::failed(format!("could not read a specification: {e}")))?;
    let kind = match &value {
        serde_json::Value::Object(table) => table.keys().next().cloned(),
        other => other.as_str().map(str::to_owned),
    };
    Ok(kind.unwrap_or_default())
}
