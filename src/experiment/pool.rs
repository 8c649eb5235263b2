//! Many runs in parallel.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::control::Interrupt;
use super::plan::{Difference, RunSpec};
use super::store::{unusable, Locking, RunDir, State, Status};
use mdn_core::train::Progress;
use mdn_core::{Error, Result};

/// A run and its folder.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Index in the plan.
    pub index: usize,
    /// Its settings.
    pub spec: RunSpec,
    /// Its folder.
    pub place: RunDir,
}

impl Job {
    /// The run `index` of a plan, below the results folder `out`.
    pub fn new(index: usize, spec: &RunSpec, out: &Path) -> Self {
        Self {
            index,
            spec: spec.clone(),
            place: spec.place(out),
        }
    }
}

/// What to do with a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Train it: there is no usable result.
    Train,
    /// Nothing: it ended before with the same settings.
    Skip(Status),
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// Its place among the jobs.
    pub job: usize,
    /// Where the run stands now.
    pub status: Status,
    /// It had ended before and was not repeated.
    pub skipped: bool,
    /// Wall time.
    pub seconds: f64,
}

impl Ended {
    /// A job that was not done here.
    fn skipped(job: usize, status: Status) -> Self {
        Self {
            job,
            status,
            skipped: true,
            seconds: 0.0,
        }
    }
}

/// Observes the runs, from several threads at once.
pub trait Watch: Sync {
    /// A run begins.
    fn began(&self, job: usize);
    /// A run has made a step.
    fn stepped(&self, job: usize, progress: &Progress);
    /// A run has ended, or need not begin.
    fn ended(&self, ended: &Ended);
}

/// What to do with each job. A run that ended before is skipped; one that was interrupted, failed or
/// lacks files is trained again. A finished run with other settings is a bad request, since it would
/// be overwritten. With `force` every job is trained.
pub fn actions(jobs: &[Job], force: bool) -> Result<Vec<Action>> {
    let each = jobs.iter().map(|job| match force {
        true => Ok(Action::Train),
        false => action(job),
    });
    each.collect()
}

fn action(job: &Job) -> Result<Action> {
    let status = job.place.read_status()?;
    let ended = matches!(status.state, State::Done | State::Diverged);
    if !ended || !job.place.is_complete(status.state) {
        return Ok(Action::Train);
    }
    match difference(job)? {
        None if job.spec.is_settled_in_training() && !job.place.path("trained.toml").exists() => {
            Ok(Action::Train)
        }
        None => Ok(Action::Skip(status)),
        Some(_) if status.state == State::Diverged => Ok(Action::Train),
        Some(d) => Err(other_settings(job, &d, "--force to redo it")),
    }
}

/// The first setting in which the run on disk and the job differ.
fn difference(job: &Job) -> Result<Option<Difference>> {
    let made = RunSpec::read(&job.place.path("config.toml"))?;
    Ok(made.first_difference(&job.spec))
}

fn other_settings(job: &Job, d: &Difference, instead: &str) -> Error {
    Error::request(format!(
        "{} was made with other settings: {} was {}, now {}; use {instead}, or --out for another \
         folder",
        job.place.0.display(),
        d.key,
        d.was,
        d.now
    ))
}

/// Refuses runs on disk that ended, well or not, with other settings than the jobs (failures are
/// counted too), and finished runs without `config.toml`.
pub fn check_settings(jobs: &[Job]) -> Result<()> {
    for job in jobs {
        let state = job.place.read_status()?.state;
        if !matches!(state, State::Done | State::Diverged | State::Failed) {
            continue;
        }
        if job.place.path("config.toml").exists() {
            let instead = match state {
                State::Done => "`mdn train` with --force to redo it",
                _ => "`mdn train` to redo it",
            };
            if let Some(d) = difference(job)? {
                return Err(other_settings(job, &d, instead));
            }
        } else if state == State::Done {
            let why = "expected config.toml, which says how the run was made; got none (`mdn \
                       train` repeats the run)";
            return Err(unusable(&job.place.0, why));
        }
    }
    Ok(())
}

/// Does one job: [`super::run::run`] with a device, outside of tests.
pub type Work<'a> = dyn Fn(&Job, &mut dyn FnMut(&Progress)) -> Result<Status> + Sync + 'a;

/// `n` threads for the parallel loops of one run.
pub fn pool(n: usize) -> Result<rayon::ThreadPool> {
    // Back-propagation recurses over the graph: a thousand layers need more than the usual 2 MiB.
    // This reserves address space, not memory.
    rayon::ThreadPoolBuilder::new()
        .num_threads(n)
        .stack_size(256 << 20)
        .build()
        .map_err(|e| Error::failed(format!("could not start the worker threads: {e}")))
}

/// How jobs are shared with other processes that may be doing the same.
#[derive(Debug, Clone, Default)]
pub struct Sharing {
    /// Repeat finished jobs.
    pub force: bool,
    /// Take runs from the processes that hold them.
    pub steal: bool,
    /// Wait for runs that other processes hold.
    pub wait: bool,
    /// Begin no run after one has failed or diverged.
    pub fail_fast: bool,
    /// Begin no run after this request.
    pub interrupt: Interrupt,
}

/// Time between two checks of a run that another process holds.
const CHECK_AGAIN: Duration = Duration::from_millis(500);

/// Does the jobs in order, at most `threads` at a time. One that fails or diverges does not stop the
/// others, unless `sharing.fail_fast`. A run that another process holds is left to it with the status
/// [`State::Running`]; a run that was not begun is [`State::Missing`]. The result has the order of
/// the jobs.
pub fn run_all(
    jobs: &[Job],
    actions: &[Action],
    (threads, sharing): (usize, &Sharing),
    work: &Work<'_>,
    watch: &dyn Watch,
) -> Result<Vec<Ended>> {
    let mut all = Vec::new();
    let mut waiting = Vec::new();
    for (job, action) in actions.iter().enumerate() {
        match action {
            Action::Train => waiting.push(job),
            Action::Skip(status) => {
                tidy(&jobs[job].place)?;
                let ended = Ended::skipped(job, status.clone());
                watch.ended(&ended);
                all.push(ended);
            }
        }
    }
    let next = AtomicUsize::new(0);
    let done = Mutex::new(all);
    // Runs that other processes hold: they are tried again at the end.
    let elsewhere = Mutex::new(Vec::new());
    let failed = AtomicBool::new(false);
    let stops = || {
        sharing.interrupt.reason().is_some()
            || (sharing.fail_fast && failed.load(Ordering::Relaxed))
    };
    let keep = |ended: Ended| {
        watch.ended(&ended);
        lock(&done).push(ended);
    };
    let try_one = |job: usize| -> Option<String> {
        let start = Instant::now();
        let (status, skipped) = match attempt(&jobs[job], job, sharing, work, watch) {
            Ok(Ok(ended)) => ended,
            Ok(Err(who)) => return Some(who),
            Err(e) => (Status::because(State::Failed, &e.to_string()), false),
        };
        if matches!(status.state, State::Failed | State::Diverged) {
            failed.store(true, Ordering::Relaxed);
        }
        keep(Ended {
            job,
            status,
            skipped,
            seconds: start.elapsed().as_secs_f64(),
        });
        None
    };
    let worker = || {
        while !stops() {
            let Some(&job) = waiting.get(next.fetch_add(1, Ordering::Relaxed)) else {
                break;
            };
            if try_one(job).is_some() {
                lock(&elsewhere).push(job);
            }
        }
        while !stops() {
            let Some(job) = lock(&elsewhere).pop() else {
                break;
            };
            while let Some(who) = try_one(job) {
                if sharing.wait && !stops() {
                    std::thread::sleep(CHECK_AGAIN);
                    continue;
                }
                let reason = format!("another process works on it: {who}");
                let status = Status::because(State::Running, &reason);
                keep(Ended::skipped(job, status));
                break;
            }
        }
    };
    // Every worker has a pool of its own: in a shared pool, a run that waits for its parallel loop
    // would begin another run, and without pools all loops would queue for the global one. Threads
    // beyond the number of runs are spread over the pools.
    let workers = threads.min(waiting.len());
    let pools = (0..workers)
        .map(|i| pool(threads / workers + usize::from(i < threads % workers)))
        .collect::<Result<Vec<_>>>()?;
    std::thread::scope(|scope| {
        for pool in &pools {
            scope.spawn(|| pool.install(worker));
        }
    });
    let mut all = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    for job in waiting {
        if all.iter().all(|e| e.job != job) {
            let status = Status::because(State::Missing, "not begun");
            all.push(Ended::skipped(job, status));
        }
    }
    all.sort_by_key(|e| e.job);
    Ok(all)
}

/// Removes what a process left that was killed after its run ended.
fn tidy(place: &RunDir) -> Result<()> {
    if place.has_leftovers() {
        if let Locking::Ours(_lock) = place.lock(false)? {
            place.remove_leftovers()?;
        }
    }
    Ok(())
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The status of a job and whether another process finished it in the meantime; the process that
/// holds it, if one does.
type Attempt = Result<std::result::Result<(Status, bool), String>>;

fn attempt(
    job: &Job,
    number: usize,
    sharing: &Sharing,
    work: &Work<'_>,
    watch: &dyn Watch,
) -> Attempt {
    let _lock = match job.place.lock(sharing.steal)? {
        Locking::Ours(lock) => lock,
        Locking::Theirs(who) => return Ok(Err(who)),
    };
    if !sharing.force {
        if let Action::Skip(status) = action(job)? {
            job.place.remove_leftovers()?;
            return Ok(Ok((status, true)));
        }
    }
    watch.began(number);
    let status = one(job, work, &mut |p| watch.stepped(number, p));
    Ok(Ok((status, false)))
}

fn one(job: &Job, work: &Work<'_>, watch: &mut dyn FnMut(&Progress)) -> Status {
    let failed = |reason: &str| Status::because(State::Failed, reason);
    match catch_unwind(AssertUnwindSafe(|| work(job, watch))) {
        Ok(Ok(status)) => status,
        Ok(Err(e)) => failed(&e.to_string()),
        Err(panic) => {
            let said = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
            let said = said.or_else(|| panic.downcast_ref::<String>().cloned());
            let said = said.unwrap_or_default();
            let status = failed(&format!("a fault of the program: {said}"));
            // If this cannot be written either, the run stays `running` and is repeated.
            let _ = job.place.write_status(&status);
            status
        }
    }
}

/// The number of parallel runs: as asked for, else from the environment, else one per core.
pub fn threads(asked: Option<usize>, environment: Option<usize>) -> usize {
    asked
        .or(environment)
        .filter(|n| *n > 0)
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
}

#[cfg(test)]
mod tests;
