//! What a user or an editor, a shell and a manual need before the first run: `mdn new`, `mdn devices`,
//! `mdn schema`, `mdn completions` and `mdn man`.

use std::path::PathBuf;

use candle_core::{DType, Device};
use clap::{Args, Command, CommandFactory, ValueEnum};
use clap_complete::Shell;
use clap_mangen::Man;
use serde_json::json;

use super::common::shell_quote;
use super::output::{print, print_files, print_json, print_or_write, print_rows};
use super::Context;
use crate::experiment::store::write_atomic;
use crate::experiment::{config, schema};
use mdn_core::device::Choice;
use mdn_core::{Error, Result};
use mdn_kernels::Isa;

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

pub(super) fn new(args: &NewArgs, context: &Context) -> Result<()> {
    let Some(file) = &args.file else {
        return print_text("text", TEMPLATE, args.json);
    };
    config::name_of(file)?;
    // Of a link that leads nowhere, too.
    if !args.force && file.symlink_metadata().is_ok() {
        return Err(Error::request(format!(
            "{}: expected a new file; there is one (try --force to overwrite it)",
            file.display()
        )));
    }
    write_atomic(file, TEMPLATE.as_bytes())?;
    if args.json {
        print_files(std::slice::from_ref(file), true)?;
    }
    let file = shell_quote(&file.display().to_string());
    context.note(&format!("wrote {file}: change it, then `mdn check {file}`"));
    Ok(())
}

/// Prints a text, or it at `key` of a JSON object.
fn print_text(key: &str, text: &str, json: bool) -> Result<()> {
    match json {
        true => print_json([json!({ key: text })]),
        false => print(text),
    }
}

/// Show where this build can compute, here
///
/// Columns: the name for --device, whether this build supports the device, whether it can be used on
/// this machine, and what it is or why it cannot be used.
#[derive(Debug, Clone, Args)]
pub(super) struct DevicesArgs {
    /// Print one JSON object per device
    #[arg(long)]
    json: bool,
}

pub(super) fn devices(args: &DevicesArgs, _: &Context) -> Result<()> {
    let mut devices = vec![Choice::Cpu, Choice::Cuda(0)];
    let more = (1..).map(Choice::Cuda);
    devices.extend(more.take_while(|gpu| gpu.probe(DType::F32).is_ok()));
    devices.push(Choice::Metal);
    let word = |yes| String::from(if yes { "yes" } else { "no" });
    let row = |device: Choice| {
        let probed = device.probe(DType::F32);
        let (compiled_in, usable) = (device.is_compiled_in(), probed.is_ok());
        let detail = probed.map_or_else(|why| why, |device| about(&device));
        let object = json!({
            "device": device.to_string(),
            "compiled_in": compiled_in,
            "usable": usable,
            "detail": detail,
        });
        (
            vec![device.to_string(), word(compiled_in), word(usable), detail],
            object,
        )
    };
    let header = ["device", "compiled in", "usable", "detail"];
    print_rows(&header, devices.into_iter().map(row).collect(), args.json)
}

/// What a device says of itself.
fn about(device: &Device) -> String {
    match device {
        Device::Cpu => {
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            let isas: Vec<_> = Isa::available().iter().map(|i| i.name()).collect();
            format!("{cores} cores; fused kernels for {}", isas.join(", "))
        }
        #[cfg(feature = "cuda")]
        Device::Cuda(cuda) => {
            let stream = cuda.cuda_stream();
            let context = stream.context();
            let name = context.name().unwrap_or_default();
            let memory = context.total_mem().unwrap_or_default() >> 30;
            let (major, minor) = context.compute_capability().unwrap_or_default();
            format!("{name}, {memory} GiB, compute capability {major}.{minor}")
        }
        _ => String::new(),
    }
}

/// Print the JSON Schema of experiment files, for editors
///
/// An editor that knows it shows every key with its meaning and default while a file is typed, and
/// underlines unknown keys. It has the names, types and choices; `mdn check FILE` alone checks ranges of
/// values and settings that depend on each other. With the taplo language server (in VS Code the
/// extension Even Better TOML) write it to a file, and name that in the first line of yours, as in
/// `#:schema ./mdn.schema.json`.
#[derive(Debug, Clone, Args)]
pub(super) struct SchemaArgs {
    /// The kind of file that it describes: an experiment, or a study for `mdn study`
    #[arg(value_name = "KIND", value_enum, default_value_t = Kind::Experiment)]
    kind: Kind,
    /// Write it to this file [default: stdout]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print {"file": ...} once it is written; the schema itself is JSON anyway
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Experiment,
    Study,
}

pub(super) fn schema(args: &SchemaArgs, context: &Context) -> Result<()> {
    let schema = match args.kind {
        Kind::Experiment => schema::experiment(),
        Kind::Study => schema::study(),
    };
    let text = serde_json::to_string_pretty(&schema)
        .map_err(|e| Error::failed(format!("could not write the schema: {e}")))?;
    print_or_write(&(text + "\n"), args.output.as_deref(), context)?;
    match &args.output {
        Some(file) if args.json => print_files(std::slice::from_ref(file), true),
        _ => Ok(()),
    }
}

/// Print what makes a shell complete the command line of `mdn`
///
/// bash: mdn completions bash > ~/.local/share/bash-completion/completions/mdn
/// zsh:  mdn completions zsh > a file `_mdn` in a folder of $fpath
/// fish: mdn completions fish > ~/.config/fish/completions/mdn.fish
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
    /// Print {"shell": ..., "script": ...}
    #[arg(long)]
    json: bool,
}

pub(super) fn completions(args: &CompletionsArgs, _: &Context) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::Args::command(), "mdn", &mut script);
    let script = String::from_utf8_lossy(&script);
    match args.json {
        true => print_json([json!({ "shell": args.shell.to_string(), "script": script })]),
        false => print(&script),
    }
}

/// Print the manual page of `mdn`, or write one page per verb
///
/// mdn man | man -l -
/// mdn man ~/.local/share/man/man1
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct ManArgs {
    /// Folder for the pages mdn.1, mdn-train.1, ..., whose paths are printed; without it the main page
    /// goes to stdout
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Print an object {"file": ...} per page, or {"page": ...} without a folder
    #[arg(long)]
    json: bool,
}

pub(super) fn man(args: &ManArgs, _: &Context) -> Result<()> {
    // The subcommand `help` has no page.
    let mut root = super::Args::command().disable_help_subcommand(true);
    root.build();
    let Some(dir) = &args.dir else {
        return print_text("page", &page(&root)?, args.json);
    };
    let commands = std::iter::once(&root).chain(root.get_subcommands());
    let write = |command: &Command| {
        let path = dir.join(Man::new(command.clone()).get_filename());
        write_atomic(&path, page(command)?.as_bytes()).map(|()| path)
    };
    print_files(&commands.map(write).collect::<Result<Vec<_>>>()?, args.json)
}

fn page(command: &Command) -> Result<String> {
    let mut text = Vec::new();
    Man::new(command.clone())
        .render(&mut text)
        .map_err(|e| Error::failed(format!("could not make the manual page: {e}")))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::plan::Plan;

    /// Settings that are commented out have no space after the sign, words have one.
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
