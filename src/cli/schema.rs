//! `mdn schema`

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::output::{print_or_write, written};
use super::Exit;
use crate::experiment::schema;
use mdn_core::{Error, Result};

/// Print the JSON Schema of experiment files, for editors
///
/// An editor that knows it shows every key with its meaning and default while a file is typed, and
/// underlines what is not one. It has the names, types and choices; ranges of values, and what
/// hangs together, are told by `mdn check FILE` alone. With the taplo language server (in VS Code
/// the extension Even Better TOML) write it to a file, and name that in the first line of yours, as
/// in `#:schema ./mdn.schema.json`.
#[derive(Debug, Clone, Args)]
pub(super) struct SchemaArgs {
    /// Which kind of file it describes: that of an experiment, or that of `mdn study`
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

pub(super) fn run(args: &SchemaArgs) -> Result<Exit> {
    let schema = match args.kind {
        Kind::Experiment => schema::experiment(),
        Kind::Study => schema::study(),
    };
    let text = serde_json::to_string_pretty(&schema)
        .map_err(|e| Error::failed(format!("could not write the schema: {e}")))?;
    print_or_write(&(text + "\n"), args.output.as_deref())?;
    if let (Some(file), true) = (&args.output, args.json) {
        written(std::slice::from_ref(file), true)?;
    }
    Ok(Exit::FINE)
}
