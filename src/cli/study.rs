//! `mdn study`

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use clap::Args;
use rayon::prelude::*;

use super::common::{FileArgs, RESULTS};
use super::output::print;
use super::{Context, Exit};
use crate::experiment::config::study::{load, to_toml};
use crate::experiment::store::{check_within, csv_rows, remove_if_there, write_atomic};
use crate::report::figures::draw_study;
use crate::report::study::Study;
use mdn_core::study::{entropies, gradients, RelaxedLaw, StudySpec};
use mdn_core::{Error, Result};

/// Measure the estimators of a mixture base against the truth
///
/// FILE names one mixture of two or three Gaussians in one dimension, as in
/// experiments/studies/estimators.toml. Prints summary.md and writes to DIR/<study>/:
///   config.toml    the study with every default filled in
///   relaxed.csv    the relaxed mixture by temperature, by quadrature
///   entropy.csv    its entropy by each density, temperature and number of nested terms
///   gradients.csv  bias and noise of the gradients of each way to draw
///   summary.md     tables, and which choices hold
///   figures/       entropy-bounds.png, gradients.png
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment, mut_args(|arg| match arg.get_id() == "file" {
    true => arg.help("Study file (TOML)"),
    false => arg,
}))]
pub(super) struct StudyArgs {
    #[command(flatten)]
    file: FileArgs,
    /// Folder of all results
    #[arg(long, value_name = "DIR", default_value = RESULTS)]
    out: PathBuf,
    /// Do not compute: write summary and figures from the CSV files of an earlier run
    #[arg(long)]
    no_run: bool,
    /// Print all rows as JSON instead of the summary
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &StudyArgs, context: &Context) -> Result<Exit> {
    let FileArgs {
        file,
        overrides,
        set,
    } = &args.file;
    let overrides: Vec<_> = overrides.iter().chain(set).cloned().collect();
    let spec = load(file, &overrides)?;
    let name = spec.name.clone().unwrap_or_default();
    let folder = args.out.join(&name);
    check_within(&args.out, &folder.join("figures"))?;
    if args.no_run {
        expect_same(&spec, &folder)?;
    } else {
        compute(&spec, &folder, context)?;
    }
    let study = Study::read(&folder, &name, &context.command)?;
    let mut files = draw_study(&study, &folder)?;
    let page = study.write(&folder, &files)?;
    files.insert(0, folder.join("summary.md"));
    match args.json {
        true => print(&format!("{}\n", study.json()?))?,
        false => print(&page)?,
    }
    for file in files {
        context.note(&format!("wrote {}", file.display()));
    }
    Ok(Exit::FINE)
}

/// Writes every table as soon as it is complete.
fn compute(spec: &StudySpec, folder: &Path, context: &Context) -> Result<()> {
    let began = Instant::now();
    let of = spec.entropy_temperatures().len() * (spec.entropy.inner.len() + 1)
        + spec.gradients.strategies.len()
        + 1;
    let step = AtomicUsize::new(1);
    let watch = |what: &str| {
        let step = step.fetch_add(1, Ordering::Relaxed);
        let seconds = began.elapsed().as_secs();
        context.note(&format!("{step} of {of}: {what} ({seconds} s)"));
    };
    // Tables of other settings must not be left beside new ones.
    for old in ["relaxed.csv", "entropy.csv", "gradients.csv"] {
        remove_if_there(&folder.join(old))?;
    }
    let write = |name: &str, bytes: Vec<u8>| write_atomic(&folder.join(name), &bytes);
    write("config.toml", to_toml(spec)?.into_bytes())?;
    watch("the relaxed mixture by quadrature");
    let laws = spec.temperatures.par_iter();
    let laws = laws.map(|t| RelaxedLaw::new(&spec.mixture, *t));
    let laws = laws.collect::<Result<Vec<_>>>()?;
    let rows: Vec<_> = laws.iter().map(|law| law.row).collect();
    write("relaxed.csv", csv_rows(&rows)?)?;
    write("entropy.csv", csv_rows(&entropies(spec, &laws, &watch)?)?)?;
    write("gradients.csv", csv_rows(&gradients(spec, &watch)?)?)?;
    context.note(&format!("done in {:.0} s", began.elapsed().as_secs_f64()));
    Ok(())
}

/// Results of other settings must not be shown under this file's name.
fn expect_same(spec: &StudySpec, folder: &Path) -> Result<()> {
    let path = folder.join("config.toml");
    let why = match std::fs::read_to_string(&path) {
        Ok(was) if was == to_toml(spec)? => return Ok(()),
        Ok(_) => "expected the settings that are asked for now; got others".to_owned(),
        Err(e) => format!("expected the settings of an earlier study: {e}"),
    };
    let place = path.display();
    Err(Error::request(format!(
        "{place}: {why} (run it without --no-run, or give another --out)"
    )))
}
