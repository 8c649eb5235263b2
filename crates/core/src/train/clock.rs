//! Progress of training by steps and by time.

use std::time::Instant;

use super::Checkpoint;

/// Measures progress by steps or by time, whichever is further.
pub(super) struct Clock {
    began: Instant,
    /// Seconds of training before a resumption.
    before: f64,
    /// Limit of the wall time, if there is one.
    limit: Option<f64>,
    /// Steps at most.
    steps: usize,
    /// The longest validation so far, in seconds: the last one must fit into the limit.
    pub(super) longest_validation: f64,
}

impl Clock {
    /// Starts now, or resumes now from a checkpoint.
    pub(super) fn new(limit: Option<f64>, steps: usize, from: Option<&Checkpoint>) -> Self {
        Self {
            began: Instant::now(),
            before: from.map_or(0.0, |from| from.curves.seconds),
            limit,
            steps,
            longest_validation: from.map_or(0.0, |from| from.longest_validation),
        }
    }

    /// Seconds of training.
    pub(super) fn seconds(&self) -> f64 {
        self.before + self.began.elapsed().as_secs_f64()
    }

    /// Share of the time that is over, in [0, 1]; 0 without a limit.
    pub(super) fn time(&self) -> f64 {
        self.limit
            .map_or(0.0, |limit| (self.seconds() / limit).min(1.0))
    }

    /// Share of training that is over after `done` steps.
    pub(super) fn share(&self, done: usize) -> f64 {
        (done as f64 / self.steps as f64).max(self.time())
    }

    /// Whether the share `until` of the time is over, counting one more validation.
    pub(super) fn is_up(&self, until: f64) -> bool {
        self.limit
            .is_some_and(|limit| self.seconds() + self.longest_validation >= until.min(1.0) * limit)
    }

    /// The total number of steps at the pace of the first `done`.
    pub(super) fn expected(&self, done: usize) -> usize {
        let share = self.share(done).max(f64::MIN_POSITIVE);
        ((done as f64 / share).round() as usize).clamp(done, self.steps.max(done))
    }

    /// Whether the time is limited, so that the number of steps is not known in advance.
    pub(super) fn is_limited(&self) -> bool {
        self.limit.is_some()
    }
}
