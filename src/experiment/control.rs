//! When runs begin, are checkpointed and end early.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::checkpoint::Saved;
use super::store::RunDir;
use mdn_core::train::{Checkpoint, Checkpointer, Request};
use mdn_core::{Error, Result};

/// When runs begin, are checkpointed and end early.
#[derive(Debug, Clone)]
pub struct Control {
    /// Time between two checkpoints of a run.
    pub every: Duration,
    /// A request that all runs end with checkpoints and that no other begins.
    pub interrupt: Interrupt,
    /// Train finished runs again, and ignore checkpoints.
    pub force: bool,
    /// Take runs from the processes that hold them.
    pub steal: bool,
    /// Wait for runs that other processes hold.
    pub wait: bool,
    /// Begin no run after one has failed or diverged.
    pub fail_fast: bool,
    /// Whether the programs of targets may be started.
    pub run_programs: bool,
    /// Names of files of figures, which are removed with the other results of an earlier run.
    pub figures: Vec<String>,
}

impl Default for Control {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(30),
            interrupt: Interrupt::default(),
            force: false,
            steal: false,
            wait: false,
            fail_fast: false,
            run_programs: false,
            figures: Vec::new(),
        }
    }
}

/// A request that all runs of the process end, with checkpoints.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicUsize>);

/// Signals that end runs, with their names.
const SIGNALS: &[(i32, &str)] = &[
    (signal_hook::consts::SIGINT, "SIGINT"),
    (signal_hook::consts::SIGTERM, "SIGTERM"),
    #[cfg(unix)]
    (signal_hook::consts::SIGUSR1, "SIGUSR1"),
];

impl Interrupt {
    /// From now on a signal to the process requests that its runs end. A SIGINT after that ends the
    /// process at once with exit code 130, as shells report it. Other signals never do more than
    /// request the end: `timeout` and schedulers send them twice. Fails if the system refuses.
    pub fn by_signals() -> Result<Self> {
        let request = Self::default();
        let second = Arc::new(AtomicBool::new(false));
        let interrupt = signal_hook::consts::SIGINT;
        let listen = || {
            // Registered before the flag is set, so that the first signal does not end the process.
            signal_hook::flag::register_conditional_shutdown(interrupt, 130, Arc::clone(&second))?;
            for &(signal, _) in SIGNALS {
                signal_hook::flag::register(signal, Arc::clone(&second))?;
                let number = Arc::clone(&request.0);
                signal_hook::flag::register_usize(signal, number, signal as usize)?;
            }
            Ok(())
        };
        let refused = |e: std::io::Error| format!("could not listen to signals: {e}");
        listen().map_err(|e| Error::failed(refused(e)))?;
        Ok(request)
    }

    /// The name of the signal that came.
    pub fn reason(&self) -> Option<&'static str> {
        let came = self.0.load(Ordering::Relaxed);
        let known = SIGNALS.iter().find(|s| s.0 as usize == came);
        (came > 0).then(|| known.map_or("a signal", |s| s.1))
    }
}

/// The state of a run, written as checkpoints when they are due.
pub(super) struct Checkpoints<'a> {
    place: &'a RunDir,
    control: &'a Control,
    last: Instant,
    /// The finished trials.
    pub(super) saved: Saved,
}

impl<'a> Checkpoints<'a> {
    pub(super) fn new(place: &'a RunDir, control: &'a Control, saved: Saved) -> Self {
        Self {
            place,
            control,
            last: Instant::now(),
            saved,
        }
    }

    fn write(&mut self, current: Option<Checkpoint>) -> Result<()> {
        let saved = Saved {
            current,
            ..self.saved.clone()
        };
        self.place.write_checkpoint(&saved)?;
        if let Some(current) = &saved.current {
            self.place.write_history(&current.curves.history)?;
        }
        self.last = Instant::now();
        Ok(())
    }

    /// Saves after a trial where a checkpoint is due.
    /// Fails with [`Error::Interrupted`] if the run is to end.
    pub(super) fn after_trial(&mut self) -> Result<()> {
        if self.request() != Request::Continue {
            self.write(None)?;
        }
        self.check_interrupt("after a trial")
    }

    /// Fails with [`Error::Interrupted`] if the run is to end; `at` says where it was.
    pub(super) fn check_interrupt(&self, at: &str) -> Result<()> {
        match self.control.interrupt.reason() {
            Some(_) => Err(Error::Interrupted(at.to_owned())),
            None => Ok(()),
        }
    }
}

impl Checkpointer for Checkpoints<'_> {
    fn request(&mut self) -> Request {
        if self.control.interrupt.reason().is_some() {
            Request::Stop
        } else if self.last.elapsed() >= self.control.every {
            Request::Save
        } else {
            Request::Continue
        }
    }

    /// Writes the trial in progress, with its curves so far.
    fn save(&mut self, checkpoint: Checkpoint) -> Result<()> {
        self.write(Some(checkpoint))
    }
}
