//! Many runs at once, one per core.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::guard::Interrupt;
use super::plan::{Difference, RunSpec};
use super::store::{Locking, RunDir, State, Status};
use mdn_core::train::Progress;
use mdn_core::{Error, Result};

/// A run and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Index in the plan.
    pub index: usize,
    /// What it is.
    pub spec: RunSpec,
    /// Where it goes.
    pub place: RunDir,
}

impl Job {
    /// The run `index` of a plan, below the results folder `out`.
    pub fn new(index: usize, spec: &RunSpec, out: &Path) -> Self {
        let place = RunDir::new(
            out,
            &spec.experiment,
            &spec.data_name,
            &spec.model_name,
            spec.seed,
        );
        Self {
            index,
            spec: spec.clone(),
            place,
        }
    }
}

/// What is to be done with a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Train it: nothing usable is there.
    Train,
    /// Nothing: it ended before, with these very settings.
    Skip(Status),
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// Its place among the jobs.
    pub job: usize,
    /// Where the run stands now.
    pub status: Status,
    /// It had ended before and was not done again.
    pub skipped: bool,
    /// Wall time.
    pub seconds: f64,
}

/// Is told what happens, from several threads at once.
pub trait Watch: Sync {
    /// A run begins.
    fn began(&self, job: usize);
    /// A run has made a step.
    fn stepped(&self, job: usize, progress: &Progress);
    /// A run has ended, or need not begin.
    fn ended(&self, ended: &Ended);
}

/// What is to be done with each job. A run that ended before is not done again, one that was
/// broken off or failed, or whose files are missing, is. A finished run with other settings is a bad request: it would be
/// overwritten. With `force` every job is trained.
pub fn actions(jobs: &[Job], force: bool) -> Result<Vec<Action>> {
    let each = jobs.iter();
    each.map(|job| {
        if force {
            Ok(Action::Train)
        } else {
            action(job)
        }
    })
    .collect()
}

fn action(job: &Job) -> Result<Action> {
    let status = job.place.read_status()?;
    if !matches!(status.state, State::Done | State::Diverged) {
        return Ok(Action::Train);
    }
    if !job.place.is_complete(status.state) {
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

/// The first setting in which the run on disk is another than the job.
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

/// Refuses to take runs of other settings for those of the jobs: any that ended, well or not, since
/// failures are counted too. So is a run that is done and does not say its settings.
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
            return Err(Error::request(format!(
                "{}: expected config.toml, which says how the run was made; got none (`mdn train` \
                 makes the run anew)",
                job.place.0.display()
            )));
        }
    }
    Ok(())
}

/// What does one job: [`super::run::run`] with a device, outside of tests.
pub type Work<'a> = dyn Fn(&Job, &mut dyn FnMut(&Progress)) -> Result<Status> + Sync + 'a;

/// `n` threads for the parallel loops of one run.
pub fn pool(n: usize) -> Result<rayon::ThreadPool> {
    // Back-propagation recurses over the graph: a thousand layers need more than the usual 2 MiB,
    // and this is address space, not memory.
    rayon::ThreadPoolBuilder::new()
        .num_threads(n)
        .stack_size(256 << 20)
        .build()
        .map_err(|e| Error::failed(format!("could not start the worker threads: {e}")))
}

/// How jobs are done beside other processes that may be doing the same.
#[derive(Debug, Clone, Default)]
pub struct Sharing {
    /// Do jobs that are done.
    pub force: bool,
    /// Take runs from the processes that work on them.
    pub steal: bool,
    /// Wait for runs that others work on.
    pub wait: bool,
    /// Begin nothing more once a run has failed or diverged.
    pub fail_fast: bool,
    /// Begin nothing more once this is wished.
    pub interrupt: Interrupt,
}

/// Between two looks at a run that another process works on.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Does the jobs, at most `threads` at a time, in order. One that fails or diverges does not stop
/// the others, unless it is so wished. A run that another process works on is left to it: its status
/// is [`State::Running`]; that of one that was not begun is [`State::Missing`]. The result has the
/// jobs' order.
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
                let ended = Ended {
                    job,
                    status: status.clone(),
                    skipped: true,
                    seconds: 0.0,
                };
                watch.ended(&ended);
                all.push(ended);
            }
        }
    }
    let next = AtomicUsize::new(0);
    let done = Mutex::new(all);
    // Runs of other processes, to be looked at once more at the end.
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
            Attempt::Theirs(who) => return Some(who),
            Attempt::DoneBefore(status) => (status, true),
            Attempt::Ended(status) => (status, false),
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
                    std::thread::sleep(LOOK_AGAIN);
                    continue;
                }
                let reason = format!("another process works on it: {who}");
                keep(Ended {
                    job,
                    status: Status::because(State::Running, &reason),
                    skipped: true,
                    seconds: 0.0,
                });
                break;
            }
        }
    };
    // A pool for each worker: inside one shared pool, a run that waits for a parallel loop of its
    // own would begin another run in the meantime, and outside any pool all such loops would queue
    // for the global one. Threads that have no run of their own help with one.
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
            all.push(Ended {
                job,
                status: Status::because(State::Missing, "not begun"),
                skipped: true,
                seconds: 0.0,
            });
        }
    }
    all.sort_by_key(|e| e.job);
    Ok(all)
}

/// Removes what a process left that was killed between the end of its run and its own.
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

/// What came of a job.
enum Attempt {
    /// Another process, which is named, works on it.
    Theirs(String),
    /// Another process did it since it was planned.
    DoneBefore(Status),
    /// It was done here.
    Ended(Status),
}

fn attempt(
    job: &Job,
    number: usize,
    sharing: &Sharing,
    work: &Work<'_>,
    watch: &dyn Watch,
) -> Attempt {
    let failed = |e: &Error| Attempt::Ended(Status::because(State::Failed, &e.to_string()));
    let _lock = match job.place.lock(sharing.steal) {
        Ok(Locking::Ours(lock)) => lock,
        Ok(Locking::Theirs(who)) => return Attempt::Theirs(who),
        Err(e) => return failed(&e),
    };
    if !sharing.force {
        match action(job) {
            Ok(Action::Skip(status)) => {
                return match job.place.remove_leftovers() {
                    Ok(()) => Attempt::DoneBefore(status),
                    Err(e) => failed(&e),
                }
            }
            Ok(Action::Train) => {}
            Err(e) => return failed(&e),
        }
    }
    watch.began(number);
    Attempt::Ended(one(job, work, &mut |p| watch.stepped(number, p)))
}

fn one(job: &Job, work: &Work<'_>, watch: &mut dyn FnMut(&Progress)) -> Status {
    let failed = |reason: &str| Status {
        state: State::Failed,
        reason: reason.lines().collect::<Vec<_>>().join(" "),
    };
    match catch_unwind(AssertUnwindSafe(|| work(job, watch))) {
        Ok(Ok(status)) => status,
        Ok(Err(e)) => failed(&e.to_string()),
        Err(panic) => {
            let said = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
            let said = said.or_else(|| panic.downcast_ref::<String>().cloned());
            let status = failed(&format!(
                "a fault of the program: {}",
                said.unwrap_or_default()
            ));
            // If this cannot be recorded either, the run stays `running` and is done again.
            let _ = job.place.write_status(&status);
            status
        }
    }
}

/// The number of runs at a time: as asked for, else as the environment says, else one per core.
pub fn threads(asked: Option<usize>, environment: Option<usize>) -> usize {
    asked
        .or(environment)
        .filter(|n| *n > 0)
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
}

#[cfg(test)]
mod tests;
