//! `mdn check`

use clap::Args;
use serde_json::{json, Value};

use super::common::{ComputeArgs, FileArgs};
use super::forecast::forecast;
use super::output::{columns, print, warn};
use super::train::sizes_of;
use super::{Context, Exit};
use crate::experiment::memory::{size, Memory};
use crate::experiment::plan::{Plan, RunSpec};
use crate::experiment::pool;
use mdn_core::data::{DataSet, DataSpec};
use mdn_core::objectives::ProblemSpec;
use mdn_core::{Error, Result};

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
    /// Print one JSON object; numbers that are not known are null
    #[arg(long, conflicts_with = "resolved")]
    json: bool,
    /// Make a few steps of every model, half a second each, and say how long all training will take
    #[arg(long, conflicts_with_all = ["resolved", "json"])]
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
    } else if args.json {
        format!("{}\n", as_json(&plan)?)
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

fn as_json(plan: &Plan) -> Result<Value> {
    let config = &plan.config;
    let mut data = Vec::new();
    for (name, spec) in &config.data {
        data.push(about_data(name, spec)?);
    }
    for (name, spec) in &config.problems {
        data.push(about_problem(name, spec)?);
    }
    let data = data.iter().map(|law| {
        json!({
            "name": law.name,
            "kind": law.kind,
            "dim": law.dim,
            "modes": law.modes,
            "entropy": law.entropy,
        })
    });
    let data: Vec<_> = data.collect();
    let mut models = Vec::new();
    for (name, spec) in &config.models {
        let mut sizes = Vec::new();
        for (dim, run) in once_per_dim(plan, name)? {
            let (model, parameters) = run.sized()?;
            let widths = model.widths()?;
            sizes.push(json!({ "dim": dim, "parameters": parameters, "hidden": widths }));
        }
        models.push(json!({ "name": name, "kind": kind_of(spec)?, "sizes": sizes }));
    }
    Ok(json!({
        "experiment": plan.experiment,
        "config_hash": plan.config_hash()?,
        "reference": config.reference,
        "data": data,
        "models": models,
        "seeds": config.seeds,
        "runs": plan.runs.len(),
        "trials": trials(plan)?,
        "steps": config.train.steps,
        "seconds": config.budget.seconds,
        "batch_size": config.train.batch_size,
        "memory_bytes": memory(plan)?.0.ceil(),
    }))
}

/// Trainings in every run.
fn trials(plan: &Plan) -> Result<usize> {
    let trials = plan.runs.first().map(RunSpec::trials).transpose()?;
    Ok(trials.map_or(1, |t| t.len()))
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
        data.push(about_data(name, spec)?.row());
    }
    for (name, spec) in &config.problems {
        data.push(about_problem(name, spec)?.row());
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
    let each = match trials(plan)? {
        1 => String::new(),
        n => format!(", {n} trials each, chosen by validation loss"),
    };
    let time = match config.budget.seconds {
        None => String::new(),
        Some(s) => format!(" or {s} seconds"),
    };
    let seeds: Vec<_> = config.seeds.iter().map(u64::to_string).collect();
    let (most, largest) = memory(plan)?;
    let memory = format!(
        "memory: a run of `{largest}` needs the most, about {}",
        size(most)
    );
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

/// Bytes that the largest run will need, and its model.
fn memory(plan: &Plan) -> Result<(f64, &str)> {
    let first = plan.config.seeds.first();
    let mut most = (0.0, "");
    for run in plan.runs.iter().filter(|r| Some(&r.seed) == first) {
        let (model, _) = run.sized()?;
        let total = Memory::of(&plan.config, &model, run.task.dim()?).total();
        if total > most.0 {
            most = (total, &run.model_name);
        }
    }
    Ok(most)
}

/// What a model's widths and parameters are, once per number of dimensions.
fn sizes(plan: &Plan, model: &str) -> Result<Vec<String>> {
    let told = once_per_dim(plan, model)?;
    let several = told.len() > 1;
    let words = |(dim, run): (usize, &RunSpec)| {
        let text = sizes_of(run)?;
        Ok(match several {
            true => format!("dim {dim}: {text}"),
            false => text,
        })
    };
    told.into_iter().map(words).collect()
}

/// A run of the model for every number of dimensions.
fn once_per_dim<'p>(plan: &'p Plan, model: &str) -> Result<Vec<(usize, &'p RunSpec)>> {
    let mut told: Vec<(usize, &RunSpec)> = Vec::new();
    for run in plan.runs.iter().filter(|r| r.model_name == model) {
        let dim = run.task.dim()?;
        if told.iter().all(|(d, _)| *d != dim) {
            told.push((dim, run));
        }
    }
    Ok(told)
}

/// A data set or problem; `None` where its law is not known.
struct Law {
    name: String,
    kind: String,
    dim: usize,
    modes: Option<usize>,
    entropy: Option<f64>,
}

impl Law {
    fn new(name: &str, kind: String, dim: usize, law: Option<&dyn DataSet>) -> Self {
        let truth = law.and_then(DataSet::truth);
        Self {
            name: name.to_owned(),
            kind,
            dim,
            modes: truth.map(|t| t.weights().len()),
            entropy: truth.map(|t| t.entropy().value),
        }
    }

    fn row(self) -> Vec<String> {
        let unknown = || "-".to_owned();
        vec![
            self.name,
            self.kind,
            self.dim.to_string(),
            self.modes.map_or_else(unknown, |n| n.to_string()),
            self.entropy.map_or_else(unknown, |h| format!("{h:.4}")),
        ]
    }
}

fn about_data(name: &str, spec: &DataSpec) -> Result<Law> {
    let set = spec.build()?;
    Ok(Law::new(
        name,
        kind_of(spec)?,
        set.dim(),
        Some(set.as_ref()),
    ))
}

fn about_problem(name: &str, spec: &ProblemSpec) -> Result<Law> {
    let dim = spec.check().map_err(|e| Error::request(e.to_string()))?;
    let law = spec.solution()?;
    Ok(Law::new(name, kind_of(spec)?, dim, law.as_deref()))
}

/// The member's name in the file: specs are tables with one key, or strings.
fn kind_of(spec: &impl serde::Serialize) -> Result<String> {
    let value = serde_json::to_value(spec)
        .map_err(|e| Error::failed(format!("could not read a specification: {e}")))?;
    let kind = match &value {
        Value::Object(table) => table.keys().next().cloned(),
        other => other.as_str().map(str::to_owned),
    };
    Ok(kind.unwrap_or_default())
}
