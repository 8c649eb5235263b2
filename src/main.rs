//! Parses the command line, calls the verb, prints one error, sets the exit code.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use mdn::cli::{self, Args, Context};

// The C library's allocator returns large tensors to the system each time they are freed; clearing the
// new pages then takes half of the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(e) => {
            // A closed pipe is no fault.
            let _ = e.print();
            return ExitCode::from(u8::try_from(e.exit_code()).unwrap_or(2));
        }
    };
    let threads = std::env::var("RAYON_NUM_THREADS").ok();
    let context = Context::new(std::env::args_os(), threads.as_deref(), args.quiet);
    // Runs are parallel, one per core: matrix products within a run must not use the cores again. No
    // other thread has started yet.
    std::env::set_var("RAYON_NUM_THREADS", "1");
    let (code, error) = match cli::run(&args, &context) {
        Ok(exit) => (exit.code, exit.error),
        Err(e) if cli::is_closed_pipe(&e) => (0, None),
        Err(e) => (e.exit_code(), Some(e.to_string())),
    };
    if let Some(error) = error {
        let _ = writeln!(std::io::stderr(), "error: {error}");
    }
    ExitCode::from(code)
}
