//! The state of training between two steps.

use serde::{Deserialize, Serialize};

use super::Curves;
use crate::nn::optimizer::OptimizerState;
use crate::nn::params::Snapshot;
use crate::nn::stored;
use crate::objectives::Multipliers;
use crate::{Error, Result};

/// The state of training between two steps. Random streams are functions of the seed and the step, so
/// they are not part of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The parameters.
    #[serde(with = "stored::map")]
    pub weights: Snapshot,
    /// The optimizer's moments.
    pub moments: OptimizerState,
    /// What the objective has gathered.
    #[serde(with = "stored::map")]
    pub gathered: Snapshot,
    /// The learning curves so far.
    pub curves: Curves,
    /// Wall time of the longest validation so far.
    pub longest_validation: f64,
    /// The phase or round.
    pub place: Place,
}

impl Checkpoint {
    /// Checks that training of at most `steps` steps, in this many phases or rounds, can have this state: a
    /// file with the right checksum may still be of another version.
    ///
    /// # Errors
    /// If it cannot.
    pub(super) fn check(&self, steps: usize, phases: usize, rounds: Option<usize>) -> Result<()> {
        let done = self.curves.steps;
        let within = match (&self.place, rounds) {
            (Place::Phase(at), None) => {
                at.phase < phases
                    && done <= at.end
                    && at.end <= steps
                    && at.without_progress <= done
            }
            (Place::Round(at), Some(rounds)) => {
                at.round < rounds
                    && done <= steps
                    && [at.weights.len(), self.curves.rounds.len()] == [at.round; 2]
            }
            // Of an objective of another kind: refused later.
            _ => true,
        };
        let made = |steps| usize::try_from(steps).is_ok_and(|steps| steps <= done);
        if within && self.moments.iter().all(|moved| made(moved.steps)) {
            return Ok(());
        }
        Err(Error::request(format!(
            "checkpoint: expected a place between the {steps} steps of this run; got another, after \
             step {done} (`mdn train` with --force trains the run from its start)"
        )))
    }
}

/// The phase or round that training is in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Place {
    /// In a phase of a model whose weights are chosen by validation.
    Phase(InPhase),
    /// In a round of an objective that has rounds.
    Round(InRound),
}

/// A phase between two steps.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InPhase {
    /// Which, from 0.
    pub phase: usize,
    /// Its last step.
    pub end: usize,
    /// The share of the time at which it ends.
    pub until: f64,
    /// Validations since the best one.
    pub without_progress: usize,
    /// The best validation loss.
    pub best_loss: f64,
    /// The weights with that loss.
    #[serde(with = "stored::map")]
    pub best: Snapshot,
}

/// A round between two steps.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InRound {
    /// Which, from 0.
    pub round: usize,
    /// The weights before the first.
    #[serde(with = "stored::map")]
    pub start: Snapshot,
    /// The weights at the end of each finished round.
    #[serde(with = "stored::maps")]
    pub weights: Vec<Snapshot>,
    /// The objective's state.
    pub multipliers: Multipliers,
}

/// What a [`Checkpointer`] wants between two steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// The next step.
    Continue,
    /// A checkpoint, then the next step.
    Save,
    /// A checkpoint, and no further step.
    Stop,
}

/// Decides between two steps whether training continues, and stores checkpoints.
pub trait Checkpointer {
    /// Called before every step.
    fn request(&mut self) -> Request;
    /// Stores a checkpoint in place of the last one.
    fn save(&mut self, checkpoint: Checkpoint) -> Result<()>;
}

/// Stores nothing and never stops.
pub struct NoCheckpoints;

impl Checkpointer for NoCheckpoints {
    fn request(&mut self) -> Request {
        Request::Continue
    }

    fn save(&mut self, _: Checkpoint) -> Result<()> {
        Ok(())
    }
}
