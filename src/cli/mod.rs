//! The command line. Results go to stdout, everything else to stderr.

use std::ffi::OsString;

use clap::{Parser, Subcommand};

use crate::experiment::pool;
use mdn_core::Result;

mod bench;
mod check;
mod common;
mod compare;
mod describe;
mod diff;
mod list;
mod ls;
mod output;
mod plot;
mod points;
mod progress;
mod rm;
mod runs;
mod show;
mod study;
mod train;

pub use output::is_closed_pipe;

const EXIT_CODES: &str = "Exit codes:
  0  done, or nothing to do
  1  failed while running
  2  bad request: command line, experiment file, or a file that was named
  3  some runs failed or diverged, others finished
  4  every run diverged (loss or gradient not finite)
  75 interrupted by a signal: the same command goes on from the checkpoints

Results go to stdout, progress and messages to stderr.";

/// Trains normalizing flows on multimodal densities and compares them.
#[derive(Debug, Parser)]
#[command(name = "mdn", version = crate::VERSION, after_help = EXIT_CODES)]
#[command(arg_required_else_help = true, max_term_width = 100)]
pub struct Args {
    /// Say nothing on stderr but warnings and the error, if there is one
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// The verb.
    #[command(subcommand)]
    verb: Verb,
}

/// The verbs, each with its arguments and the function that does it.
macro_rules! verbs {
    ($($verb:ident($args:ty) => $run:path,)*) => {
        #[derive(Debug, Subcommand)]
        enum Verb {
            $($verb($args),)*
        }

        impl Verb {
            fn run(&self, context: &Context) -> Result<Exit> {
                match self {
                    $(Self::$verb(args) => $run(args, context).map(Exit::from),)*
                }
            }
        }
    };
}

verbs! {
    New(describe::NewArgs) => describe::new,
    Check(check::CheckArgs) => check::run,
    Train(train::TrainArgs) => train::run,
    Compare(compare::CompareArgs) => compare::run,
    Runs(runs::RunsArgs) => runs::run,
    Ls(ls::LsArgs) => ls::run,
    Show(show::ShowArgs) => show::run,
    Diff(diff::DiffArgs) => diff::run,
    Rm(rm::RmArgs) => rm::run,
    Sample(points::SampleArgs) => points::sample,
    Density(points::DensityArgs) => points::density,
    Plot(plot::PlotArgs) => plot::plot,
    Export(plot::ExportArgs) => plot::export,
    List(list::ListArgs) => list::run,
    Study(study::StudyArgs) => study::run,
    Bench(bench::BenchArgs) => bench::run,
    Devices(describe::DevicesArgs) => describe::devices,
    Schema(describe::SchemaArgs) => describe::schema,
    Completions(describe::CompletionsArgs) => describe::completions,
    Man(describe::ManArgs) => describe::man,
}

/// What every verb gets besides its arguments.
#[derive(Debug, Clone)]
pub struct Context {
    /// What the user typed, quoted for a shell: it is recorded with every run and figure.
    pub command: String,
    /// The number of threads that the environment asks for.
    pub threads: Option<usize>,
    /// Nothing but warnings and errors on stderr.
    pub quiet: bool,
}

impl Context {
    /// `typed` is the whole command line, `threads` the value of `RAYON_NUM_THREADS`.
    pub fn new(
        typed: impl IntoIterator<Item = OsString>,
        threads: Option<&str>,
        quiet: bool,
    ) -> Self {
        let typed = typed.into_iter().skip(1);
        let words = typed.map(|a| common::shell_quote(&a.to_string_lossy()));
        let command: Vec<_> = std::iter::once("mdn".to_owned()).chain(words).collect();
        Self {
            command: command.join(" "),
            threads: threads.and_then(|t| t.trim().parse().ok()),
            quiet,
        }
    }

    /// A message on stderr, unless the user wants none.
    fn note(&self, text: &str) {
        if !self.quiet {
            output::to_stderr(text);
        }
    }
}

/// How a verb ended: well, or with runs that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// The process's exit code.
    pub code: u8,
    /// The final line on stderr, if runs failed.
    pub error: Option<String>,
}

impl Exit {
    /// All is well.
    pub const FINE: Self = Self {
        code: 0,
        error: None,
    };

    fn failed(code: u8, error: String) -> Self {
        let error = Some(error);
        Self { code, error }
    }
}

impl From<()> for Exit {
    fn from((): ()) -> Self {
        Self::FINE
    }
}

/// Does what the command line says.
pub fn run(args: &Args, context: &Context) -> Result<Exit> {
    // Parallel loops outside of runs, which have threads of their own.
    let pool = pool::pool(pool::threads(None, context.threads))?;
    pool.install(|| args.verb.run(context))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound_and_every_argument_has_help() {
        Args::command().help_expected(true).debug_assert();
    }

    #[test]
    fn the_recorded_command_can_be_pasted_into_a_shell() {
        let typed = ["/bin/mdn", "train", "a b.toml", "data.x=[1, 2]", "it's"];
        let context = Context::new(typed.map(OsString::from), Some(" 4"), false);
        assert_eq!(
            context.command,
            r"mdn train 'a b.toml' 'data.x=[1, 2]' 'it'\''s'"
        );
        assert_eq!(context.threads, Some(4));
    }
}
