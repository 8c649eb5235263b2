//! When runs are checkpointed and when they end early.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::checkpoint::Saved;
use super::store::RunDir;
use mdn_core::train::{Checkpoint, Checkpointer, Request};
use mdn_core::{Error, Result};

/// When runs are checkpointed and when they end early.
#[derive(Debug, Clone)]
pub struct Control {
    /// Time between two checkpoints of a run.
    pub every: Duration,
    /// A request that all runs end with checkpoints.
    pub interrupt: Interrupt,
    /// Ignore checkpoints and train from the start.
    pub anew: bool,
}

impl Default for Control {
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
const SIGNALS: &[(i32, &str)] = &[
    (signal_hook::consts::SIGINT, "SIGINT"),
    (signal_hook::consts::SIGTERM, "SIGTERM"),
    #[cfg(unix)]
    (signal_hook::consts::SIGUSR1, "SIGUSR1"),
];

impl Interrupt {
    /// From now on a signal to the process requests that its runs end. A SIGINT after that ends the
    /// process at once with exit code 130, as shells report it. Other signals never do more than
    /// request the end: `timeout` and schedulers send them twice.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn by_signals() -> Result<Self> {
        let request = Self::default();
        let second = Arc::new(AtomicBool::new(false));
        let refused = |e| Error::failed(format!("could not listen to signals: {e}"));
        let interrupt = signal_hook::consts::SIGINT;
        // Registered before the flag is set, so that the first signal does not end the process.
        signal_hook::flag::register_conditional_shutdown(interrupt, 130, Arc::clone(&second))
            .map_err(refused)?;
        for &(signal, _) in SIGNALS {
            signal_hook::flag::register(signal, Arc::clone(&second)).map_err(refused)?;
            signal_hook::flag::register_usize(signal, Arc::clone(&request.0), signal as usize)
                .map_err(refused)?;
        }
        Ok(request)
    }

    /// A request as a signal makes it.
    #[cfg(test)]
    pub fn request(&self) {
        self.0.store(15, Ordering::Relaxed);
    }

    /// The name of the signal that came.
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

/// Writes a run's checkpoints when they are due.
pub(super) struct Checkpoints<'a> {
    place: &'a RunDir,
    control: &'a Control,
    last: Instant,
}

impl<'a> Checkpoints<'a> {
    pub(super) fn new(place: &'a RunDir, control: &'a Control) -> Self {
        Self {
            place,
            control,
            last: Instant::now(),
        }
    }

    /// What to do between two steps.
    pub(super) fn request(&self) -> Request {
        if self.control.interrupt.reason().is_some() {
            Request::Stop
        } else if self.last.elapsed() >= self.control.every {
            Request::Save
        } else {
            Request::Continue
        }
    }

    /// Writes a checkpoint, and the curves so far.
    pub(super) fn write(&mut self, saved: &Saved) -> Result<()> {
        self.place.write_checkpoint(saved)?;
        if let Some(current) = &saved.current {
            self.place.write_history(&current.curves.history)?;
        }
        self.last = Instant::now();
        Ok(())
    }

    /// Saves after a trial where a checkpoint is due.
    ///
    /// # Errors
    /// [`Error::Interrupted`] if the run is to end.
    pub(super) fn after_trial(&mut self, saved: &Saved) -> Result<()> {
        if self.request() != Request::Continue {
            self.write(saved)?;
        }
        self.check_interrupt("after a trial")
    }

    /// # Errors
    /// [`Error::Interrupted`] if the run is to end; `at` says where it was.
    pub(super) fn check_interrupt(&self, at: &str) -> Result<()> {
        match self.request() {
            Request::Stop => Err(Error::Interrupted(at.to_owned())),
            _ => Ok(()),
        }
    }
}

/// Writes the checkpoints of one trial, together with the trials before it.
pub(super) struct TrialCheckpoints<'a, 'k> {
    pub run: &'a mut Checkpoints<'k>,
    pub before: &'a Saved,
}

impl Checkpointer for TrialCheckpoints<'_, '_> {
    fn request(&mut self) -> Request {
        self.run.request()
    }

    fn save(&mut self, checkpoint: Checkpoint) -> Result<()> {
        self.run.write(&Saved {
            current: Some(checkpoint),
            ..self.before.clone()
        })
    }
}
