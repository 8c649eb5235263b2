//! Many runs in parallel.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::control::Control;
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

/// The status of each job that ended before with the same settings; `None` for those to be trained:
/// runs that were interrupted, failed or lack files and, with `force`, all others too.
/// Fails for a finished run with other settings, since training would overwrite it.
pub fn ended_before(jobs: &[Job], force: bool) -> Result<Vec<Option<Status>>> {
    let each = jobs.iter().map(|job| match force {
        true => Ok(None),
        false => usable(job),
    });
    each.collect()
}

/// The status of a run that need not be trained again.
fn usable(job: &Job) -> Result<Option<Status>> {
    let status = job.place.read_status()?;
    let ended = matches!(status.state, State::Done | State::Diverged);
    if !ended || !job.place.is_complete(status.state) {
        return Ok(None);
    }
    match difference(job)? {
        Some(d) if status.state == State::Done => {
            Err(other_settings(job, &d, "--force to redo it"))
        }
        Some(_) => Ok(None),
        None if job.spec.is_settled_in_training() => {
            let settled = job.place.path("trained.toml").exists();
            Ok(Some(status).filter(|_| settled))
        }
        None => Ok(Some(status)),
    }
}

/// The first setting in which the run on disk and the job differ.
fn difference(job: &Job) -> Result<Option<Difference>> {
    let made = RunSpec::read(&job.place.path("config.toml"))?;
    Ok(made.differences(&job.spec).into_iter().next())
}

fn other_settings(job: &Job, d: &Difference, instead: &str) -> Error {
    let [was, now] = d.shown();
    Error::request(format!(
        "{} was made with other settings: {} was {was}, now {now}; use {instead}, or --out for \
         another folder",
        job.place.0.display(),
        d.key,
    ))
}

/// Refuses runs on disk that ended, well or not, with other settings than the jobs (failures are
/// counted too), and finished runs without `config.toml`.
pub fn check_settings(jobs: &[Job]) -> Result<()> {
    for job in jobs {
        let state = job.place.read_status()?.state;
        let instead = match state {
            State::Done => "`mdn train` with --force to redo it",
            State::Diverged | State::Failed => "`mdn train` to redo it",
            _ => continue,
        };
        if job.place.path("config.toml").exists() {
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

/// Time between two checks of a run that another process holds.
const CHECK_AGAIN: Duration = Duration::from_millis(500);

/// Does the jobs in order, at most `threads` at a time, except those that [`ended_before`]. One that
/// fails or diverges does not stop the others, unless `control.fail_fast`. A run that another process
/// holds is left to it with the status [`State::Running`]; a run that was not begun is
/// [`State::Missing`]. The result has the order of the jobs.
pub fn run_all(
    jobs: &[Job],
    before: &[Option<Status>],
    (threads, control): (usize, &Control),
    work: &Work<'_>,
    watch: &dyn Watch,
) -> Result<Vec<Ended>> {
    let done = Mutex::new(Vec::new());
    let keep = |ended: Ended| {
        watch.ended(&ended);
        lock(&done).push(ended);
    };
    let mut waiting = Vec::new();
    for (job, before) in before.iter().enumerate() {
        match before {
            None => waiting.push(job),
            Some(status) => {
                tidy(&jobs[job].place)?;
                keep(Ended::skipped(job, status.clone()));
            }
        }
    }
    let next = AtomicUsize::new(0);
    // Runs that other processes hold: they are tried again at the end.
    let elsewhere = Mutex::new(Vec::new());
    let failed = AtomicBool::new(false);
    let stops = || {
        control.interrupt.reason().is_some()
            || (control.fail_fast && failed.load(Ordering::Relaxed))
    };
    // Does a job, or returns the process that holds it.
    let try_one = |job: usize| -> Option<String> {
        let start = Instant::now();
        let (status, skipped) = match attempt(&jobs[job], job, control, work, watch) {
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
                if control.wait && !stops() {
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
    if place.checkpoint().exists() || place.path("lock").exists() {
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
fn attempt(
    job: &Job,
    number: usize,
    control: &Control,
    work: &Work<'_>,
    watch: &dyn Watch,
) -> Result<Result<(Status, bool), String>> {
    let _lock = match job.place.lock(control.steal)? {
        Locking::Ours(lock) => lock,
        Locking::Theirs(who) => return Ok(Err(who)),
    };
    if !control.force {
        if let Some(status) = usable(job)? {
            job.place.remove_leftovers()?;
            return Ok(Ok((status, true)));
        }
    }
    watch.began(number);
    let work = || work(job, &mut |p| watch.stepped(number, p));
    let panic = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(status) => return Ok(Ok((status?, false))),
        Err(panic) => panic,
    };
    let said = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    let said = said.or_else(|| panic.downcast_ref::<String>().cloned());
    let reason = format!("a fault of the program: {}", said.unwrap_or_default());
    let status = Status::because(State::Failed, &reason);
    // If this cannot be written either, the run stays `running` and is repeated.
    let _ = job.place.write_status(&status);
    Ok(Ok((status, false)))
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
