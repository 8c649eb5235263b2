//! What the verbs on an experiment file share.

use std::path::PathBuf;

use candle_core::DType;
use clap::Args;

use super::Context;
use crate::experiment::plan::{Plan, Selection};
use crate::experiment::pool::Job;
use crate::experiment::store::check_within;
use crate::experiment::Compute;
use mdn_core::device::Choice;
use mdn_core::{Error, Result};

/// Where results go unless the user says otherwise.
pub(super) const RESULTS: &str = "results";

/// The experiment file and what is changed in it.
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

pub(super) fn assignment(typed: &str) -> std::result::Result<String, String> {
    match typed.split_once('=') {
        Some((key, _)) if !key.trim().is_empty() => Ok(typed.to_owned()),
        _ => Err("expected KEY=VALUE, as in `train.steps=200`".to_owned()),
    }
}

fn shard(typed: &str) -> std::result::Result<(usize, usize), String> {
    let parts = typed.split_once('/').map(|(i, n)| (i.parse(), n.parse()));
    match parts {
        Some((Ok(i), Ok(n))) if (1..=n).contains(&i) => Ok((i, n)),
        _ => Err("expected I/N with 1 <= I <= N, as in `2/5`".to_owned()),
    }
}

impl FileArgs {
    /// All overrides in the order in which they apply.
    pub(super) fn all_overrides(&self) -> Vec<String> {
        self.overrides.iter().chain(&self.set).cloned().collect()
    }

    /// The checked experiment.
    pub(super) fn plan(&self) -> Result<Plan> {
        Plan::load(&self.file, &self.all_overrides())
    }
}

impl ComputeArgs {
    /// The place to compute with numbers of this format.
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
        let wanted = Selection {
            data: self.data.clone(),
            models: self.models.clone(),
            seeds: self.seeds.clone(),
            index: self.index,
        };
        let out = self.out();
        let indices = plan.select(&wanted)?.into_iter();
        let (share, shares) = self.shard.unwrap_or((1, 1));
        // In turns, so that no share has all runs of one data set.
        let indices = indices.skip(share - 1).step_by(shares);
        let jobs = indices.map(|i| Job::new(i, &plan.runs[i], &out));
        jobs.map(|job| check_within(&out, &job.place.0).map(|()| job))
            .collect()
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
