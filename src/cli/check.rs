//! `mdn check`

use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{json, Value};

use super::common::{ComputeArgs, FileArgs};
use super::output::{columns, duration, print, print_json, warn};
use super::train::sizes_of;
use super::Context;
use crate::experiment::config::memory::{size, Memory};
use crate::experiment::plan::{Plan, RunSpec};
use crate::experiment::run::Run;
use crate::experiment::{pool, Compute};
use mdn_core::data::DataSet;
use mdn_core::train::BareSteps;
use mdn_core::{Error, Result};

/// Check an experiment file and show what it means
///
/// Prints the data sets and problems (dimension, modes and entropy if known; columns, classes and
/// splits of data files), the models (trainable numbers and widths, after a budget of parameters has
/// scaled them), the number of runs, the number of trials per run, and an estimate of the memory of the
/// largest run with plain tensors (fused kernels need less). With --resolved, prints the file with
/// every default filled in.
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

pub(super) fn run(args: &CheckArgs, context: &Context) -> Result<()> {
    let plan = args.file.plan()?;
    for text in plan.warnings(&|_| true) {
        warn(&text);
    }
    if args.resolved {
        return print(&plan.resolved()?);
    }
    if args.json {
        return print_json([as_json(&plan)?]);
    }
    print(&summary(&plan)?)?;
    if args.time {
        let dtype = plan.config.train.precision.dtype();
        let compute = args.compute.open(dtype, context)?;
        let threads = compute.threads(None, context.threads);
        print(&format!("\n{}", forecast(&plan, &compute, threads)?))?;
    }
    Ok(())
}

fn as_json(plan: &Plan) -> Result<Value> {
    let config = &plan.config;
    let (_, data): (Vec<_>, Vec<_>) = laws(plan)?.into_iter().unzip();
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

/// The number of trainings in every run.
fn trials(plan: &Plan) -> Result<usize> {
    let trials = plan.runs.first().map(RunSpec::trials).transpose()?;
    Ok(trials.map_or(1, |t| t.len()))
}

fn summary(plan: &Plan) -> Result<String> {
    let config = &plan.config;
    let mut models = Vec::new();
    for (name, spec) in &config.models {
        let mark = config.reference.as_ref() == Some(name);
        let kind = kind_of(spec)? + if mark { " (reference)" } else { "" };
        let mut row = vec![name.clone(), kind];
        let dims = once_per_dim(plan, name)?;
        for (dim, run) in &dims {
            let size = sizes_of(run)?;
            row.push(match dims.len() {
                1 => size,
                _ => format!("dim {dim}: {size}"),
            });
            models.push(std::mem::replace(&mut row, vec![String::new(); 2]));
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
        columns(
            &["data or problem", "kind", "dim", "modes", "entropy [nats]"],
            laws(plan)?.into_iter().map(|(cells, _)| cells),
        ),
        columns(&["model", "kind", "size"], models),
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

/// All data sets, then all problems, each as cells and as JSON; modes and entropy where the density is
/// known.
fn laws(plan: &Plan) -> Result<Vec<(Vec<String>, Value)>> {
    let row = |name: &str, kind: String, dim: usize, law: Option<&dyn DataSet>| {
        let truth = law.and_then(DataSet::truth);
        let modes = truth.map(|t| t.weights().len());
        let entropy = truth.map(|t| t.entropy().value);
        let unknown = || "-".to_owned();
        let cells = vec![
            name.to_owned(),
            kind.clone(),
            dim.to_string(),
            modes.map_or_else(unknown, |n| n.to_string()),
            entropy.map_or_else(unknown, |h| format!("{h:.4}")),
        ];
        let object = json!({
            "name": name,
            "kind": kind,
            "dim": dim,
            "modes": modes,
            "entropy": entropy,
        });
        (cells, object)
    };
    let mut all = Vec::new();
    for (name, spec) in &plan.config.data {
        let set = spec.build()?;
        all.push(row(name, kind_of(spec)?, set.dim(), Some(set.as_ref())));
    }
    for (name, spec) in &plan.config.problems {
        let dim = spec.check().map_err(|e| Error::request(e.to_string()))?;
        let law = spec.solution()?;
        all.push(row(name, kind_of(spec)?, dim, law.as_deref()));
    }
    Ok(all)
}

/// The name of an enum's member in the file: a string, or the one key of a table.
fn kind_of(spec: &impl serde::Serialize) -> Result<String> {
    let value = serde_json::to_value(spec)
        .map_err(|e| Error::failed(format!("could not read a specification: {e}")))?;
    let kind = match &value {
        Value::Object(table) => table.keys().next().cloned(),
        other => other.as_str().map(str::to_owned),
    };
    Ok(kind.unwrap_or_default())
}

/// The first steps fill caches and buffers.
const WARM_UP: usize = 3;
/// The least number of timed steps, and the most; after the least, timing also ends after `LONGEST`.
const TIMED: (usize, usize) = (3, 500);
const LONGEST: Duration = Duration::from_millis(500);

/// A table with the training time of each model, and of all runs on `threads` cores, one run on each.
fn forecast(plan: &Plan, compute: &Compute, threads: usize) -> Result<String> {
    let mut rows = Vec::new();
    let mut whole = 0.0;
    // Steps cost the same on all data of one dimension.
    let alike = |run: &RunSpec| {
        let (dim, has_data) = (run.task.dim()?, run.task.has_data());
        Ok::<_, Error>((run.model_name.clone(), dim, has_data))
    };
    let kinds = plan.runs.iter().map(alike).collect::<Result<Vec<_>>>()?;
    for (i, (run, kind)) in plan.runs.iter().zip(&kinds).enumerate() {
        if kinds[..i].contains(kind) {
            continue;
        }
        let count = kinds.iter().filter(|other| *other == kind).count();
        let (step, whole_run) = pool::pool(1)?.install(|| pace(run, compute))?;
        whole += whole_run * count as f64;
        rows.push(vec![
            run.model_name.clone(),
            kind.1.to_string(),
            count.to_string(),
            step.map_or_else(|| "-".to_owned(), duration),
            duration(whole_run),
        ]);
    }
    let runs = plan.runs.len();
    let cores = threads.min(runs).max(1);
    Ok(format!(
        "{}\ntime: {runs} runs train for about {} of one core, {} on {cores}, if none stops early; \
         validations, metrics and figures come on top\n",
        columns(&["model", "dim", "runs", "step", "run"], rows),
        duration(whole),
        duration(whole / cores as f64),
    ))
}

/// Seconds of one step, if the model is trained in steps, and of building the model and training it to
/// its last step, in every trial of a search.
fn pace(run: &RunSpec, compute: &Compute) -> Result<(Option<f64>, f64)> {
    let trials = run.trials()?;
    let first = trials.first().map_or(run, |(_, first)| first);
    let began = Instant::now();
    let made = Run::new(first, compute)?;
    let build = began.elapsed().as_secs_f64();
    let step = match made.model().phases().is_empty() {
        true => None,
        false => Some(step(&made)?),
    };
    let training = step.map_or(0.0, |step| step * first.train.steps as f64);
    let training = first.budget.seconds.map_or(training, |s| training.min(s));
    Ok((step, trials.len() as f64 * (build + training)))
}

/// Seconds of one step.
fn step(run: &Run) -> Result<f64> {
    run.with_training(|task| {
        let mut steps = BareSteps::new(task)?;
        for _ in 0..WARM_UP {
            steps.make()?;
        }
        steps.settle()?;
        let began = Instant::now();
        let mut made = 0;
        while made < TIMED.0 || (made < TIMED.1 && began.elapsed() < LONGEST) {
            steps.make()?;
            made += 1;
        }
        steps.settle()?;
        Ok(began.elapsed().as_secs_f64() / made as f64)
    })
}
