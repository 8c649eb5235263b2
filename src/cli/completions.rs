//! `mdn completions`

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::output::print;
use super::Exit;
use mdn_core::Result;

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

pub(super) fn run(args: &CompletionsArgs) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::Args::command(), "mdn", &mut script);
    let script = String::from_utf8_lossy(&script);
    if args.json {
        let object = serde_json::json!({ "shell": args.shell.to_string(), "script": script });
        print(&format!("{object}\n"))?;
    } else {
        print(&script)?;
    }
    Ok(Exit::FINE)
}
