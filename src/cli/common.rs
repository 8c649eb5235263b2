//! Arguments and readers that several verbs share.

use std::path::{Path, PathBuf};

use candle_core::DType;
use clap::Args;
use serde_json::{json, Value};

use super::Context;
use crate::experiment::plan::{Plan, RunSpec};
use crate::experiment::pool::Job;
use crate::experiment::store::{check_within, MetricRow, RunDir, State, Status};
use crate::experiment::trained::Trained;
use crate::experiment::Compute;
use mdn_core::device::Choice;
use mdn_core::{Error, Result};

/// Where results go unless the user says otherwise.
pub(super) const RESULTS: &str = "results";

/// The experiment file and its overrides.
#[derive(Debug, Clone, Args)]
pub(super) struct FileArgs {
    /// Experiment file (TOML)
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Settings that replace those of the file, as in `train.steps=200 seeds=[0]`; a value that
    /// is no TOML is taken as a string
    #[arg(value_name = "KEY=VALUE", value_parser = assignment)]
    pub overrides: Vec<String>,
    /// The same as KEY=VALUE, for scripts; applied after those
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = assignment)]
    pub set: Vec<String>,
}

/// Which runs of the experiment, and where their results are.
#[derive(Debug, Clone, Args)]
pub(super) struct SelectionArgs {
    /// Only this model (may be given several times)
    #[arg(long = "model", value_name = "NAME")]
    pub models: Vec<String>,
    /// Only this data set or problem (may be given several times)
    #[arg(long = "data", value_name = "NAME")]
    pub data: Vec<String>,
    /// Only this seed (may be given several times)
    #[arg(long = "seed", value_name = "N", allow_negative_numbers = true)]
    pub seeds: Vec<u64>,
    /// Only the run with this index, as `mdn runs FILE` counts them (from 0)
    #[arg(long, value_name = "N", allow_negative_numbers = true, conflicts_with_all = ["models", "data", "seeds"])]
    pub index: Option<usize>,
    /// Only the I-th of N equal shares of these runs, from 1
    #[arg(long, value_name = "I/N", value_parser = shard)]
    pub shard: Option<(usize, usize)>,
    /// Folder of all results [default: results]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// Where and with what to compute.
#[derive(Debug, Clone, Args)]
pub(super) struct ComputeArgs {
    /// Where to compute: cpu, cuda, cuda:N, metal, or auto, the first of cuda, metal and cpu that
    /// this build has and that can be used (see `mdn devices`)
    #[arg(long, value_name = "DEVICE", default_value = "auto", value_parser = Choice::parse)]
    pub device: Choice,
    /// What evaluates models: fused kernels (single precision, on the CPU), plain tensors, or auto,
    /// fused where they can be; fused:ISA names an instruction set (see `mdn devices`)
    #[arg(long, value_name = "KERNELS", default_value = "auto", value_parser = mdn_kernels::Choice::parse)]
    pub kernels: mdn_kernels::Choice,
}

pub(super) fn assignment(typed: &str) -> Result<String, String> {
    match typed.split_once('=') {
        Some((key, _)) if !key.trim().is_empty() => Ok(typed.to_owned()),
        _ => Err("expected KEY=VALUE, as in `train.steps=200`".to_owned()),
    }
}

fn shard(typed: &str) -> Result<(usize, usize), String> {
    let parts = typed.split_once('/').map(|(i, n)| (i.parse(), n.parse()));
    match parts {
        Some((Ok(i), Ok(n))) if (1..=n).contains(&i) => Ok((i, n)),
        _ => Err("expected I/N with 1 <= I <= N, as in `2/5`".to_owned()),
    }
}

impl FileArgs {
    /// The checked experiment.
    pub(super) fn plan(&self) -> Result<Plan> {
        let overrides: Vec<_> = self.overrides.iter().chain(&self.set).cloned().collect();
        Plan::load(&self.file, &overrides)
    }
}

impl ComputeArgs {
    /// A run that is done, with its weights.
    pub(super) fn load(&self, run: &Path, context: &Context) -> Result<Trained> {
        Trained::load(&RunDir(run.to_owned()), |dtype| self.open(dtype, context))
    }

    /// Opens the device and the kernels for this number format.
    pub(super) fn open(&self, dtype: DType, context: &Context) -> Result<Compute> {
        let fused = matches!(self.kernels, mdn_kernels::Choice::Fused(_));
        if fused && dtype != DType::F32 {
            return Err(Error::request(
                "--kernels fused: expected train.precision=f32; got f64 (try --kernels plain)",
            ));
        }
        let opened = self.device.open(dtype)?;
        if fused && !opened.device.is_cpu() {
            return Err(Error::request(format!(
                "--kernels fused: expected --device cpu; got {} (try --kernels plain)",
                mdn_core::device::name(&opened.device)
            )));
        }
        if let Some(notice) = opened.notice {
            context.note(&notice);
        }
        Ok(Compute {
            device: opened.device,
            kernels: self.kernels,
        })
    }
}

impl SelectionArgs {
    /// The folder of all results.
    pub(super) fn out(&self) -> PathBuf {
        self.out.clone().unwrap_or_else(|| PathBuf::from(RESULTS))
    }

    /// The wanted runs with their places, none of which lies outside the folder of all results.
    pub(super) fn jobs(&self, plan: &Plan) -> Result<Vec<Job>> {
        let out = self.out();
        let mut indices = plan.select(&self.data, &self.models, &self.seeds)?;
        if let Some(index) = self.index {
            let last = plan.runs.len() - 1;
            if index > last {
                return Err(Error::request(format!(
                    "expected --index between 0 and {last}; got {index}"
                )));
            }
            indices = vec![index];
        }
        let (share, shares) = self.shard.unwrap_or((1, 1));
        // In turns, so that no share has all runs of one data set.
        let indices = indices.into_iter().skip(share - 1).step_by(shares);
        let jobs = indices.map(|i| Job::new(i, &plan.runs[i], &out));
        jobs.map(|job| check_within(&out, &job.place.0).map(|()| job))
            .collect()
    }
}

/// A run of the plan as JSON.
pub(super) fn job_json(job: &Job) -> Value {
    json!({
        "index": job.index,
        "data": job.spec.data_name,
        "model": job.spec.model_name,
        "seed": job.spec.seed,
        "folder": job.place.0.display().to_string(),
    })
}

/// What a run is and where it stands.
pub(super) struct Facts {
    pub place: RunDir,
    pub spec: RunSpec,
    pub status: Status,
    /// The process that holds the run now.
    pub holder: Option<String>,
}

/// The folder that a user named, if it is a run's.
pub(super) fn named(folder: &Path) -> Result<RunDir> {
    let run = RunDir(folder.to_path_buf());
    let got = match () {
        () if !folder.is_dir() => "there is no such folder",
        () if !run.is_run() => "this one has not both files `status` and `config.toml`",
        () => return Ok(run),
    };
    Err(Error::request(format!(
        "{}: expected the folder of a run, as in results/<experiment>/<data>/<model>/seed-<n>; {got} \
         (`mdn ls` lists runs)",
        folder.display()
    )))
}

impl Facts {
    /// Reads the folder of a run.
    pub(super) fn read(place: RunDir) -> Result<Self> {
        Ok(Self {
            spec: RunSpec::read(&place.path("config.toml"))?,
            status: place.read_status()?,
            holder: place.holder()?,
            place,
        })
    }

    /// The folder as typed.
    pub(super) fn folder(&self) -> String {
        self.place.0.display().to_string()
    }

    /// The state of the run, and whether a process holds it.
    pub(super) fn state(&self) -> String {
        let held = if self.holder.is_some() { " (held)" } else { "" };
        format!("{}{held}", self.status.words())
    }

    /// For an unfinished run: steps done at its last checkpoint and the number of steps of the training;
    /// in a search, those of the current trial.
    pub(super) fn progress(&self) -> Result<Option<(usize, usize)>> {
        let goes_on = matches!(
            self.status.state,
            State::Running | State::Interrupted | State::Failed
        );
        if !goes_on || !self.place.path("history.csv").exists() {
            return Ok(None);
        }
        let last = self.place.read_history()?.last().map(|row| row.step);
        Ok(last.map(|step| (step, self.spec.train.steps)))
    }

    /// The metrics; empty unless the run is done.
    pub(super) fn metrics(&self) -> Result<Vec<MetricRow>> {
        match self.status.state {
            State::Done => self.place.read_metrics(),
            _ => Ok(Vec::new()),
        }
    }

    /// The keys that every list of runs has.
    pub(super) fn json(&self) -> Value {
        json!({
            "folder": self.folder(),
            "state": self.status.state.word(),
            "reason": self.status.reason,
            "learned_nothing": self.status.learned_nothing(),
            "held_by": self.holder,
            "experiment": self.spec.experiment,
            "data": self.spec.data_name,
            "model": self.spec.model_name,
            "seed": self.spec.seed,
        })
    }
}

/// `word` as a POSIX shell reads it back.
pub(super) fn shell_quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./=:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
