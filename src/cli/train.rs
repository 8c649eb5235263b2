//! `mdn train`

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use clap::Args;

use super::common::{ComputeArgs, FileArgs, SelectionArgs};
use super::output::{columns, print, warn};
use super::{progress, Context, Exit};
use crate::experiment::control::{Control, Interrupt};
use crate::experiment::plan::{Plan, RunSpec};
use crate::experiment::pool::{self, Ended, Job};
use crate::experiment::run;
use crate::experiment::store::{State, Status};
use crate::experiment::Compute;
use crate::report;
use mdn_core::device;
use mdn_core::train::Progress;
use mdn_core::{Error, Result};

/// Train the runs of an experiment (data set or problem x model x seed)
///
/// Runs that are done with the same settings are skipped, so the same command again goes on where the
/// last one stopped. A run that fails or diverges does not stop the others.
///
/// An interrupted run goes on from its last checkpoint and ends with the same bytes as without the
/// interruption. SIGINT (Ctrl-C), SIGTERM and SIGUSR1 make a checkpoint of every run and end with exit
/// code 75; a second SIGINT ends at once. Processes on the same experiment share its runs.
///
/// Each run writes to DIR/<experiment>/<data>/<model>/seed-<n>/:
///   config.toml          the run as an experiment file of its own, every default filled in
///   data.toml            points, bad rows, classes and splits of data from a file; warnings
///   trained.toml         the same with widths and settings as they were chosen ([budget], [search])
///   trials.csv           settings that were tried, their validation losses, the choice ([search])
///   k.csv                the numbers of components that BIC compared, one line each: ln L, BIC, the choice
///   history.csv          loss and gradient norm by step
///   rounds.csv           constraints and multipliers by round (maximum entropy)
///   metrics.csv          what was measured, with standard errors
///   held_out.csv         log q of every held-out point of data from a file
///   modes.csv            weight of every mode of the truth, and what the model gives it
///   levels.csv           the model's mass below density levels of the truth
///   bridges.csv          the model's mass below the 0.1 % level, by the two modes it lies between
///   cost.csv             seconds and steps per second: what differs between equal runs
///   model.safetensors    the weights
///   environment.toml     command, version, device, threads, start and end
///   checkpoint, lock     of a run that is not over: where it was, and who works on it
///   status               running, interrupted, done, diverged or failed, with the reason; a
///                        reason after `done`: the run learned nothing
///   density.png, base.png, training.png, rounds.png (maximum entropy), and picture.safetensors,
///                        which the first two are drawn from
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct TrainArgs {
    #[command(flatten)]
    file: FileArgs,
    #[command(flatten)]
    selection: SelectionArgs,
    #[command(flatten)]
    how: How,
    /// Show what would be done, and do nothing
    #[arg(short = 'n', long, conflicts_with = "json")]
    dry_run: bool,
    /// Print events as JSON, one a line, instead of a line per run
    #[arg(long)]
    json: bool,
}

/// How runs are trained.
#[derive(Debug, Clone, Args)]
pub(super) struct How {
    #[command(flatten)]
    compute: ComputeArgs,
    /// Threads: as many runs at a time; what is left over helps with one run [default:
    /// RAYON_NUM_THREADS, else the number of cores; on a GPU 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4096))]
    threads: Option<u16>,
    /// Train again from the start what is done already or has a checkpoint, and overwrite it
    #[arg(long)]
    force: bool,
    /// Begin no further run once one has failed or diverged
    #[arg(long)]
    fail_fast: bool,
    /// Start the programs that compute targets of `reverse_kl`; without this option an experiment that
    /// has some is refused
    #[arg(long)]
    run_programs: bool,
    /// Time between two checkpoints of a run: what is lost at most where it is killed
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    checkpoint_every: Duration,
    /// Take runs that other processes hold (see `lock` in their folders): for file systems that keep
    /// the lock of a dead process
    #[arg(long)]
    steal_lock: bool,
}

fn seconds(typed: &str) -> Result<Duration, String> {
    match typed.parse() {
        Ok(s) if (0.0..=1e6).contains(&s) => Ok(Duration::from_secs_f64(s)),
        _ => Err("expected seconds from 0 to 1000000".to_owned()),
    }
}

pub(super) fn run(args: &TrainArgs, context: &Context) -> Result<Exit> {
    let plan = args.file.plan()?;
    let jobs = args.selection.jobs(&plan)?;
    if args.dry_run {
        let before = pool::ended_before(&jobs, args.how.force)?;
        print(&preview(&jobs, &before, args.how.force)?)?;
        return Ok(Exit::FINE);
    }
    let ended = train(&plan, &jobs, &args.how, (args.json, false), context)?;
    if !args.json {
        let row = |e: &Ended| {
            let place = jobs[e.job].place.0.display().to_string();
            vec![e.status.words(), place]
        };
        print(&columns(&[], ended.iter().map(row)))?;
    }
    Ok(exit(&jobs, &ended))
}

/// Trains what is to be trained, with progress on stderr and, with `json`, events on stdout. With
/// `wait`, runs that other processes work on are waited for.
pub(super) fn train(
    plan: &Plan,
    jobs: &[Job],
    how: &How,
    (json, wait): (bool, bool),
    context: &Context,
) -> Result<Vec<Ended>> {
    let before = pool::ended_before(jobs, how.force)?;
    let skipped = before.iter().flatten().count();
    if skipped < jobs.len() {
        let about = |name: &str| jobs.iter().any(|j| j.spec.data_name == name);
        for text in plan.warnings(&about) {
            warn(&text);
        }
    }
    if !how.run_programs {
        let to_train = jobs
            .iter()
            .zip(&before)
            .filter(|(_, before)| before.is_none());
        let mut jobs = to_train.filter_map(|(job, _)| Some((job, job.spec.task.program()?)));
        if let Some((job, program)) = jobs.next() {
            return Err(Error::request(format!(
                "problems.{}: its target is the program `{}`; expected --run-programs, which starts it, if you \
                 trust it",
                job.spec.data_name,
                program.shown()
            )));
        }
    }
    if skipped > 0 {
        context.note(&format!(
            "{}: {skipped} of {} runs ended before; --force does them again",
            plan.experiment,
            jobs.len()
        ));
    }
    // All runs of an experiment have the same precision.
    let precision = jobs.first().map(|j| j.spec.train.precision);
    let dtype = precision.unwrap_or_default().dtype();
    let compute = how.compute.open(dtype, context)?;
    // A folder that cannot be written is one fault, not one per run.
    if let Some(folder) = jobs.first().and_then(|j| j.place.0.ancestors().nth(3)) {
        std::fs::create_dir_all(folder).map_err(Error::io(folder, "could not make the folder"))?;
    }
    let control = Control {
        every: how.checkpoint_every,
        interrupt: Interrupt::by_signals()?,
        force: how.force,
        steal: how.steal_lock,
        wait,
        fail_fast: how.fail_fast,
        run_programs: how.run_programs,
        figures: report::figures::files_of_runs(),
    };
    let without_figures = Mutex::new(Vec::new());
    let work = |job: &Job, watch: &mut dyn FnMut(&Progress)| {
        let compute = Compute {
            device: device::for_this_thread(&compute.device)?,
            kernels: compute.kernels,
        };
        let how = (&control, context.command.as_str());
        let status = run::run(&job.spec, &job.place, &compute, how, watch)?;
        if status.state == State::Done {
            // The run itself is fine and recorded: its figures can be drawn again.
            if let Err(e) = report::draw_run(&job.place, &context.command, report::Format::Png) {
                let all = without_figures.lock();
                let mut all = all.unwrap_or_else(PoisonError::into_inner);
                all.push(format!("{}: no figures: {e}", job.spec.label()));
            }
        }
        Ok(status)
    };
    let asked = how.threads.map(usize::from);
    let threads = compute.threads(asked, context.threads);
    let screen = progress::Screen::new(jobs, (jobs.len() - skipped, threads), json, context.quiet);
    let ended = pool::run_all(jobs, &before, (threads, &control), &work, &screen)?;
    screen.finish(&ended);
    for left in ended.iter().filter(|e| e.status.state == State::Running) {
        let label = jobs[left.job].spec.label();
        context.note(&format!("{label}: {}", left.status.reason));
    }
    let without_figures = without_figures.into_inner();
    for text in without_figures.unwrap_or_else(PoisonError::into_inner) {
        warn(&text);
    }
    Ok(ended)
}

fn preview(jobs: &[Job], before: &[Option<Status>], force: bool) -> Result<String> {
    let searches = jobs.iter().any(|j| !j.spec.search.is_empty());
    let sizes = jobs.iter().any(|j| j.spec.budget.parameters.is_some());
    let row = |(job, before): (&Job, &Option<Status>)| {
        let what = match before {
            None if !force && job.place.checkpoint().exists() => "go on".to_owned(),
            None => "train".to_owned(),
            Some(status) => format!("skip ({})", status.state.word()),
        };
        let index = job.index.to_string();
        let mut row = vec![what, index, job.place.0.display().to_string()];
        if searches {
            row.push(format!("{} trials", job.spec.trials()?.len()));
        }
        if sizes {
            row.push(sizes_of(&job.spec)?);
        }
        Ok(row)
    };
    let rows = jobs.iter().zip(before).map(row);
    Ok(columns(&[], rows.collect::<Result<Vec<_>>>()?))
}

/// "16986 parameters, hidden = [57, 57]": what the budget makes of the model that the file names,
/// the trials' own settings aside.
pub(super) fn sizes_of(spec: &RunSpec) -> Result<String> {
    let (model, parameters) = spec.sized()?;
    let mut words = vec![match parameters {
        Some(n) => format!("{n} parameters"),
        None => "parameters known when it is trained".to_owned(),
    }];
    let lists = model.widths()?;
    if lists.concat().is_empty() {
        words.push("no widths".to_owned());
    } else if parameters.is_some() || spec.budget.parameters.is_none() {
        words.extend(lists.iter().map(|l| format!("hidden = {l:?}")));
    }
    Ok(words.join(", "))
}

/// The exit code, and the final line where not every run is done.
pub(super) fn exit(jobs: &[Job], ended: &[Ended]) -> Exit {
    use State::{Diverged, Done, Failed, Interrupted, Missing, Running};
    let count = |state| ended.iter().filter(|e| e.status.state == state).count();
    let all = [Done, Diverged, Failed, Interrupted, Running, Missing];
    let [done, diverged, failed, kept, elsewhere, not_begun] = all.map(count);
    let runs = ended.len();
    if done + elsewhere == runs {
        return Exit::FINE;
    }
    if let Some(first) = ended.iter().find(|e| e.status.state == Interrupted) {
        let reason = &first.status.reason;
        return Exit::failed(
            75,
            format!(
                "interrupted {reason}: of {runs} runs, {done} are done, {kept} have a checkpoint and \
                 {not_begun} were not begun; the same command goes on"
            ),
        );
    }
    let code = match (done, diverged) {
        (1.., _) => 3,
        (0, n) if n == runs => 4,
        _ => 1,
    };
    let ill = |e: &&Ended| matches!(e.status.state, Failed | Diverged);
    let first = ended.iter().find(ill).map(|e| {
        let (label, status) = (jobs[e.job].spec.label(), &e.status);
        format!("{label} {}: {}", status.state.word(), status.reason)
    });
    let mut error = first.unwrap_or_default();
    if runs > 1 {
        let left = match not_begun {
            0 => String::new(),
            n => format!(", {n} were not begun"),
        };
        error = format!(
            "of {runs} runs, {done} are done, {diverged} diverged and {failed} failed{left}; first: {error}"
        );
    }
    Exit::failed(code, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(states: &[State]) -> u8 {
        let text = "seeds = [0]\n[data.ring.ring]\n[models.rad.rad]\n";
        let plan = Plan::parse(text, "e").unwrap();
        let job = Job::new(0, &plan.runs[0], std::path::Path::new("results"));
        let ended = states.iter().enumerate().map(|(job, state)| Ended {
            job,
            status: Status::of(*state),
            skipped: false,
            seconds: 0.0,
        });
        exit(&vec![job; states.len()], &ended.collect::<Vec<_>>()).code
    }

    #[test]
    fn the_exit_code_says_how_the_runs_ended() {
        use State::{Diverged, Done, Failed};
        assert_eq!(code(&[Done, Done]), 0);
        assert_eq!(code(&[Done, Failed]), 3);
        assert_eq!(code(&[Done, Diverged]), 3);
        assert_eq!(code(&[Diverged]), 4);
        assert_eq!(code(&[Diverged, Failed]), 1);
        assert_eq!(code(&[Failed]), 1);
        assert_eq!(code(&[Done, State::Running]), 0, "another process has it");
        assert_eq!(code(&[Done, State::Interrupted, State::Missing]), 75);
        assert_eq!(code(&[Failed, State::Interrupted]), 75);
        assert_eq!(code(&[Failed, State::Missing]), 1, "--fail-fast");
        assert_eq!(code(&[Done, Diverged, State::Missing]), 3);
    }
}
