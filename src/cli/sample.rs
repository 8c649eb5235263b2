//! `mdn sample`

use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;

use super::common::ComputeArgs;
use super::output::print_or_write;
use super::points::header;
use super::{Context, Exit};
use crate::experiment::store::RunDir;
use crate::experiment::trained::Trained;
use mdn_core::rng::Rng;
use mdn_core::Result;

/// Draws in one go at most this many points, so that memory stays small.
const CHUNK: u64 = 65_536;

/// Draw samples from a trained run, as CSV
///
/// The file has a header x1,x2,... and a row per sample. The same run, seed and number give the
/// same bytes on the same device.
#[derive(Debug, Clone, Args)]
pub(super) struct SampleArgs {
    /// Folder of the run, such as results/ring/ring/rad/seed-0
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// Number of samples
    #[arg(
        short = 'n',
        long = "count",
        value_name = "N",
        allow_negative_numbers = true
    )]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    count: u64,
    /// Seed of the draws
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        allow_negative_numbers = true
    )]
    seed: u64,
    #[command(flatten)]
    compute: ComputeArgs,
    /// Write to this file instead of stdout
    #[arg(short, long, value_name = "FILE.csv")]
    output: Option<PathBuf>,
    /// Write a JSON object {"x": [...]} per sample in place of CSV
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &SampleArgs, context: &Context) -> Result<Exit> {
    let trained = Trained::load(&RunDir(args.run.clone()), |dtype| {
        args.compute.open(dtype, context)
    })?;
    let mut rng = Rng::new(args.seed).fork("sample");
    let mut text = match args.json {
        true => String::new(),
        false => header(trained.dim()) + "\n",
    };
    let mut left = args.count;
    while left > 0 {
        let n = left.min(CHUNK);
        for row in trained.sample(n as usize, &mut rng)? {
            if args.json {
                let _ = writeln!(text, "{}", serde_json::json!({ "x": row }));
                continue;
            }
            for (i, x) in row.iter().enumerate() {
                let comma = if i > 0 { "," } else { "" };
                let _ = write!(text, "{comma}{x}");
            }
            text.push('\n');
        }
        left -= n;
    }
    print_or_write(&text, args.output.as_deref())?;
    if let Some(path) = &args.output {
        context.note(&format!("wrote {}", path.display()));
    }
    Ok(Exit::FINE)
}
