//! `mdn bench`

use std::path::PathBuf;
use std::process::{Command, Stdio};

use clap::Args;
use comfy_table::CellAlignment;
use serde_json::{json, Value};

use super::common::ComputeArgs;
use super::output::{print, print_json, table};
use super::Context;
use crate::bench::machine::{cores, processor};
use crate::bench::{first_run, measure, Measured, Rates, Reference, Work, REFERENCES};
use crate::experiment::plan::{Plan, RunSpec};
use crate::report::digits;
use mdn_core::{Error, Result};

/// Measure how fast models are trained and evaluated here
///
/// The reference models are those of experiments/reference_a.toml (Real NVP), reference_b.toml
/// (spline flow) and reference_c.toml (RAD). Each is measured in a process of its own, on one thread
/// unless --threads says otherwise: nothing else should run meanwhile.
///
/// Columns: what is measured; training steps per second of wall time, with the range over nine
/// segments, and of processor time; points whose density is evaluated, and samples drawn, in millions
/// per second; the largest resident memory of the process; and the products with weights in training
/// and in density evaluation, as a share of what one core can multiply and add in f32.
#[derive(Debug, Clone, Args)]
pub(super) struct BenchArgs {
    /// Reference models to measure: a, b, c [default: all]
    #[arg(value_name = "REFERENCE", value_parser = Reference::named)]
    references: Vec<&'static Reference>,
    /// Measure the first run of this experiment file instead
    #[arg(long, value_name = "FILE", conflicts_with = "references")]
    file: Option<PathBuf>,
    #[command(flatten)]
    compute: ComputeArgs,
    /// With N > 1, measure also one run on N threads, and N runs at once on a thread each, and give
    /// their training as a multiple of one thread's (on the CPU)
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=4096))]
    threads: u16,
    /// Points of a training step [default: train.batch_size of the experiment]
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// Points of a density evaluation, and samples drawn at once
    #[arg(long, value_name = "N", default_value_t = 65_536, value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    points: u32,
    /// Time of each of the three measurements, in seconds
    #[arg(long, value_name = "S", default_value_t = 2.0, value_parser = seconds)]
    seconds: f64,
    /// Print one JSON object per measurement, one a line, with all that was measured
    #[arg(long)]
    json: bool,
    /// Measure this in this process, and print it as JSON: for the processes that `mdn bench` starts
    #[arg(long, value_name = "REFERENCE,RUNS,THREADS", hide = true)]
    measure: Option<String>,
}

fn seconds(typed: &str) -> Result<f64, String> {
    match typed.parse() {
        Ok(s) if (0.01..=3600.0).contains(&s) => Ok(s),
        _ => Err("expected seconds between 0.01 and 3600".to_owned()),
    }
}

/// A measurement, of what, and its training as a multiple of one run on one thread.
type Row = (String, Measured, f64);

/// Names a measurement of so many runs on so many threads each.
fn label(name: &str, runs: usize, threads: usize) -> String {
    match (runs, threads) {
        (1, 1) => name.to_owned(),
        (1, threads) => format!("{name}, {threads} threads"),
        (runs, _) => format!("{name}, {runs} runs"),
    }
}

pub(super) fn run(args: &BenchArgs, context: &Context) -> Result<()> {
    if let Some(task) = &args.measure {
        return print_json([measure_here(args, task, context)?]);
    }
    // A wrong request is refused once, before anything is measured.
    let specs = args.specs()?;
    for (_, spec) in &specs {
        let compute = args.compute.open(spec.train.precision.dtype(), context)?;
        if args.threads > 1 && !compute.device.is_cpu() {
            return Err(Error::request(format!(
                "expected --threads 1 on a GPU, or --device cpu; got --threads {}",
                args.threads
            )));
        }
    }
    let mut shapes = vec![(1, 1)];
    if args.threads > 1 {
        let n = usize::from(args.threads);
        shapes.extend([(1, n), (n, 1)]);
    }
    let mut all = Vec::new();
    for (name, _) in specs {
        let mut alone = None;
        for &(runs, threads) in &shapes {
            let label = label(&name, runs, threads);
            context.note(&format!("measuring {label} ..."));
            let measured = measure_in_new_process(&format!("{name},{runs},{threads}"), &label)?;
            let rate = measured.train.per_second.median;
            let gain = rate / *alone.get_or_insert(rate);
            let row = (name.clone(), measured, gain);
            if args.json {
                print_json([as_json(&row, args.seconds)])?;
            }
            all.push(row);
        }
    }
    match args.json {
        true => Ok(()),
        false => print(&text(&all)),
    }
}

impl BenchArgs {
    /// Names and runs of what is to be measured.
    fn specs(&self) -> Result<Vec<(String, RunSpec)>> {
        let mut specs = match &self.file {
            Some(path) => {
                let spec = first_run(Plan::load(path, &[])?)?;
                vec![(spec.experiment.clone(), spec)]
            }
            None => {
                let all: Vec<_> = REFERENCES.iter().collect();
                let wanted = match self.references.as_slice() {
                    [] => &all,
                    some => some,
                };
                let named = wanted.iter().map(|r| Ok((r.name.to_owned(), r.spec()?)));
                named.collect::<Result<_>>()?
            }
        };
        if let Some(batch) = self.batch {
            for (_, spec) in &mut specs {
                spec.train.batch_size = batch;
                spec.train.check().map_err(|bad| {
                    Error::request(format!(
                        "--batch: expected {}; got {}",
                        bad.expected, bad.got
                    ))
                })?;
            }
        }
        Ok(specs)
    }
}

/// Measures in this process, which [`measure_in_new_process`] started.
fn measure_here(args: &BenchArgs, task: &str, context: &Context) -> Result<Measured> {
    let wrong = || Error::request(format!("--measure: expected NAME,RUNS,THREADS; got {task}"));
    let words: Vec<_> = task.split(',').collect();
    let [name, runs, threads] = words[..] else {
        return Err(wrong());
    };
    let mut specs = args.specs()?.into_iter();
    let (_, spec) = specs.find(|(n, _)| n == name).ok_or_else(wrong)?;
    let work = Work {
        spec,
        runs: runs.parse().map_err(|_| wrong())?,
        threads: threads.parse().map_err(|_| wrong())?,
        points: args.points as usize,
        seconds: args.seconds,
    };
    let dtype = work.spec.train.precision.dtype();
    measure(&work, &args.compute.open(dtype, context)?)
}

/// Does a task of [`measure_here`] in a new process, with its own memory and cold caches.
fn measure_in_new_process(task: &str, label: &str) -> Result<Measured> {
    let failed = |why: String| Error::failed(format!("measuring {label}: {why}"));
    let program = std::env::current_exe().map_err(|e| failed(format!("no program: {e}")))?;
    // In front, since the typed words may have a `--` among them.
    let mut typed: Vec<_> = std::env::args_os().skip(1).collect();
    if let Some(verb) = typed.iter().position(|word| word == "bench") {
        typed.remove(verb);
    }
    let said = Command::new(program)
        .args(["bench", "--measure", task])
        .args(typed)
        .stdin(Stdio::null())
        .output()
        .map_err(|e| failed(format!("could not start a process: {e}")))?;
    if !said.status.success() {
        let words = String::from_utf8_lossy(&said.stderr);
        let why = words.trim().trim_start_matches("error: ");
        return Err(match said.status.code() {
            Some(2) => Error::request(why.to_owned()),
            _ => failed(format!("the process ended with {}: {why}", said.status)),
        });
    }
    serde_json::from_slice(&said.stdout).map_err(|e| failed(format!("no JSON: {e}")))
}

fn as_json((name, measured, gain): &Row, seconds: f64) -> Value {
    let mut object = json!(measured);
    object["reference"] = name.as_str().into();
    object["version"] = crate::VERSION.into();
    object["processor"] = processor().into();
    object["cores"] = cores().into();
    object["seconds"] = seconds.into();
    object["gain"] = (*gain).into();
    object
}

/// The last column is shown only where several runs or threads were measured.
const HEADER: [&str; 11] = [
    "model",
    "kernels",
    "training\n[steps/s]",
    "range\n[steps/s]",
    "training\n[steps/CPU-s]",
    "density\n[M points/s]",
    "samples\n[M points/s]",
    "memory\n[MB]",
    "training\n[of limit]",
    "density\n[of limit]",
    "gain\n[× one]",
];

fn text(all: &[Row]) -> String {
    let Some((_, first, _)) = all.first() else {
        return String::new();
    };
    let limits = [first.limit_gflops, first.limit_alone_gflops].map(|l| l.map(digits::plain));
    let limit = match (&first.limit_of, limits) {
        (Some(isa), [Some(beside), Some(alone)]) => {
            format!("; limit of a core {beside} GFLOP/s ({isa}; {alone} alone)")
        }
        _ => String::new(),
    };
    let several = all.iter().any(|(_, m, _)| m.runs * m.threads > 1);
    let columns = HEADER.len() - usize::from(!several);
    let rows = all.iter().map(|(name, measured, gain)| {
        let train = &measured.train;
        let memory = measured.peak_memory_bytes;
        let mut cells = vec![
            label(name, measured.runs, measured.threads),
            measured.kernels.clone(),
            digits::plain(train.per_second.median.round()),
            format!("{:.0}–{:.0}", train.per_second.min, train.per_second.max),
            or_dash(train.per_cpu_second.map(|s| s.median.round())),
            digits::plain(millions(&measured.density)),
            digits::plain(millions(&measured.samples)),
            or_dash(memory.map(|bytes| (bytes as f64 * 1e-6).round())),
            share(train),
            share(&measured.density),
            format!("{gain:.2}"),
        ];
        cells.truncate(columns);
        cells
    });
    let mut table = table(&HEADER[..columns], rows);
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!(
        "mdn {}; {}; {} cores{limit}; device {}\n\n{}\n",
        crate::VERSION,
        processor(),
        cores(),
        first.device,
        table.trim_fmt()
    )
}

fn millions(rates: &Rates) -> f64 {
    rates.per_second.median * 1e-6
}

fn or_dash(value: Option<f64>) -> String {
    value.map_or_else(digits::dash, digits::plain)
}

fn share(rates: &Rates) -> String {
    let percent = |share: f64| format!("{:.0} %", 100.0 * share);
    rates.share_of_limit.map_or_else(digits::dash, percent)
}
