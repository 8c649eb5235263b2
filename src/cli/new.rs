//! `mdn new`

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::common::shell_quote;
use super::output::{print, print_or_write, written};
use super::{Context, Exit};
use crate::experiment::config;
use mdn_core::{Error, Result};

const TEMPLATE: &str = include_str!("../../assets/experiment.toml");

/// Write an experiment file to begin with
///
/// It has every table that an experiment can have, with comments that say what to change, and runs as
/// it is in seconds: mdn new my.toml && mdn compare my.toml
#[derive(Debug, Clone, Args)]
pub(super) struct NewArgs {
    /// File to write; its name is the experiment's [default: stdout]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Overwrite the file
    #[arg(long, requires = "file")]
    force: bool,
    /// Print {"file": ...} once it is written, or {"text": ...} without a file
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &NewArgs, context: &Context) -> Result<Exit> {
    if let Some(file) = &args.file {
        config::name_of(file)?;
        // A link that leads nowhere is there, too.
        if !args.force && file.symlink_metadata().is_ok() {
            return Err(Error::request(format!(
                "{}: expected a new file; there is one (try --force to overwrite it)",
                file.display()
            )));
        }
    }
    match &args.file {
        None if args.json => print(&format!("{}\n", json!({ "text": TEMPLATE })))?,
        to => print_or_write(TEMPLATE, to.as_deref())?,
    }
    if let Some(file) = &args.file {
        if args.json {
            written(std::slice::from_ref(file), true)?;
        }
        let file = shell_quote(&file.display().to_string());
        context.note(&format!("wrote {file}: change it, then `mdn check {file}`"));
    }
    Ok(Exit::FINE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::plan::Plan;

    /// Settings that are commented out have no space behind the sign, words have one.
    #[test]
    fn the_template_is_an_experiment_with_and_without_what_is_commented_out() {
        let plain = Plan::parse(TEMPLATE, "new").unwrap();
        assert!(plain.warnings(&|_| true).is_empty());
        let lines = TEMPLATE.lines().map(|line| match line.strip_prefix('#') {
            Some(setting) if !setting.is_empty() && !setting.starts_with(' ') => setting,
            _ => line,
        });
        let all = lines.collect::<Vec<_>>().join("\n");
        let full = Plan::parse(&all, "new").unwrap();
        assert!(full.config.data.len() > plain.config.data.len());
        assert!(full.config.budget.seconds.is_some() && full.config.budget.parameters.is_some());
        assert!(full.runs[0].trials().unwrap().len() > 1);
        for table in ["train", "budget", "search", "evaluation", "data", "models"] {
            assert!(TEMPLATE.contains(&format!("[{table}")), "{table}");
        }
    }
}
