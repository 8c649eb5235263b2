//! `mdn man`

use std::path::{Path, PathBuf};

use clap::{Args, Command, CommandFactory};
use clap_mangen::Man;
use serde_json::json;

use super::output::{print, written};
use super::Exit;
use crate::experiment::store::write_atomic;
use mdn_core::{Error, Result};

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

pub(super) fn run(args: &ManArgs) -> Result<Exit> {
    // There is nothing to say about help that is not in it.
    let mut root = super::Args::command().disable_help_subcommand(true);
    root.build();
    match &args.dir {
        Some(dir) => {
            let verbs = root.get_subcommands();
            let paths = std::iter::once(&root).chain(verbs).map(|c| write(c, dir));
            written(&paths.collect::<Result<Vec<_>>>()?, args.json)?;
        }
        None if args.json => print(&format!("{}\n", json!({ "page": page(&root)? })))?,
        None => print(&page(&root)?)?,
    }
    Ok(Exit::FINE)
}

fn write(command: &Command, dir: &Path) -> Result<PathBuf> {
    let path = dir.join(Man::new(command.clone()).get_filename());
    write_atomic(&path, page(command)?.as_bytes())?;
    Ok(path)
}

fn page(command: &Command) -> Result<String> {
    let mut text = Vec::new();
    Man::new(command.clone())
        .render(&mut text)
        .map_err(|e| Error::failed(format!("could not make the manual page: {e}")))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}
