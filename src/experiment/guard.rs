//! What keeps a run's work where it is broken off.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::checkpoint::Saved;
use super::store::RunDir;
use mdn_core::train::{Checkpoint, Checkpointer, Request};
use mdn_core::{Error, Result};

/// How the work of runs is kept.
#[derive(Debug, Clone)]
pub struct Guard {
    /// Time between two checkpoints of a run.
    pub every: Duration,
    /// A request that all runs end.
    pub interrupt: Interrupt,
    /// Leave checkpoints aside and train from the start.
    pub anew: bool,
}

impl Default for Guard {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(30),
            interrupt: Interrupt::default(),
            anew: false,
        }
    }
}

/// A request that all runs of the process end, with checkpoints.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicUsize>);

/// Signals that end runs, with their names.
#[cfg(unix)]
const SIGNALS: [(i32, &str); 3] = [
    (signal_hook::consts::SIGINT, "SIGINT"),
    (signal_hook::consts::SIGTERM, "SIGTERM"),
    (signal_hook::consts::SIGUSR1, "SIGUSR1"),
];
#[cfg(not(unix))]
const SIGNALS: [(i32, &str); 2] = [
    (signal_hook::consts::SIGINT, "SIGINT"),
    (signal_hook::consts::SIGTERM, "SIGTERM"),
];

impl Interrupt {
    /// From now on a signal to the process is the request that its runs end. SIGINT after that ends the
    /// process at once, with 130, as the shell says it of a process that was killed so. Other signals are no
    /// more than the request however often they come: `timeout` and schedulers send them twice.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn by_signals() -> Result<Self> {
        let request = Self::default();
        let second = Arc::new(AtomicBool::new(false));
        let refused = |e| Error::failed(format!("could not listen to signals: {e}"));
        let interrupt = signal_hook::consts::SIGINT;
        // Before what sets the flag: the first signal finds it unset.
        signal_hook::flag::register_conditional_shutdown(interrupt, 130, Arc::clone(&second))
            .map_err(refused)?;
        for (signal, _) in SIGNALS {
            signal_hook::flag::register(signal, Arc::clone(&second)).map_err(refused)?;
            signal_hook::flag::register_usize(signal, Arc::clone(&request.0), signal as usize)
                .map_err(refused)?;
        }
        Ok(request)
    }

    /// The request of a test.
    #[cfg(test)]
    pub fn request(&self) {
        self.0.store(15, Ordering::Relaxed);
    }

    /// The signal that came, by its name.
    pub fn reason(&self) -> Option<&'static str> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            n => {
                let known = SIGNALS.iter().find(|(signal, _)| *signal as usize == n);
                Some(known.map_or("a signal", |(_, name)| name))
            }
        }
    }
}

/// Writes a run's checkpoints.
pub(super) struct Keeping<'a> {
    place: &'a RunDir,
    guard: &'a Guard,
    last: Instant,
}

impl<'a> Keeping<'a> {
    pub(super) fn new(place: &'a RunDir, guard: &'a Guard) -> Self {
        Self {
            place,
            guard,
            last: Instant::now(),
        }
    }

    /// What is to be done between two pieces of work.
    pub(super) fn request(&self) -> Request {
        if self.guard.interrupt.reason().is_some() {
            Request::Stop
        } else if self.last.elapsed() >= self.guard.every {
            Request::Save
        } else {
            Request::Continue
        }
    }

    /// Writes a checkpoint, and the curves so far for those who watch.
    pub(super) fn write(&mut self, saved: &Saved) -> Result<()> {
        self.place.write_checkpoint(saved)?;
        if let Some(current) = &saved.current {
            self.place.write_history(&current.curves.history)?;
        }
        self.last = Instant::now();
        Ok(())
    }

    /// Does what is wished after a trial.
    ///
    /// # Errors
    /// [`Error::Interrupted`] if that is to end.
    pub(super) fn after_trial(&mut self, saved: &Saved) -> Result<()> {
        if self.request() != Request::Continue {
            self.write(saved)?;
        }
        self.go_on("after a trial")
    }

    /// Whether the work goes on.
    ///
    /// # Errors
    /// [`Error::Interrupted`] if it is to end; `at` says where that is.
    pub(super) fn go_on(&self, at: &str) -> Result<()> {
        match self.request() {
            Request::Stop => Err(Error::Interrupted(at.to_owned())),
            _ => Ok(()),
        }
    }
}

/// Writes a trial's checkpoints, with what was done before it.
pub(super) struct OfTrial<'a, 'k> {
    pub keeping: &'a mut Keeping<'k>,
    pub before: &'a Saved,
}

impl Checkpointer for OfTrial<'_, '_> {
    fn request(&mut self) -> Request {
        self.keeping.request()
    }

    fn save(&mut self, checkpoint: Checkpoint) -> Result<()> {
        self.keeping.write(&Saved {
            current: Some(checkpoint),
            ..self.before.clone()
        })
    }
}
