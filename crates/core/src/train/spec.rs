//! How a model is trained: the table `[train]` of an experiment file.

use candle_core::DType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::BadValue;

/// How the learning rate changes over the steps.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Schedule {
    /// It is constant.
    #[default]
    Constant,
    /// Linear warm-up over the first `warmup` share of the steps, then half a cosine down to
    /// `floor` times the learning rate.
    Cosine {
        /// Share of the steps, in [0, 1).
        #[serde(default)]
        warmup: f64,
        /// Last rate as a share of the highest, in [0, 1].
        #[serde(default)]
        floor: f64,
    },
}

/// Floating-point format of parameters and points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    F32,
    /// 64-bit floats.
    F64,
}

impl Precision {
    /// The type of tensors.
    pub fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::F64 => DType::F64,
        }
    }
}

/// The table `[train]` of an experiment file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrainSpec {
    /// Optimizer steps at most.
    pub steps: usize,
    /// Points per step.
    pub batch_size: usize,
    /// Highest learning rate of Adam.
    pub learning_rate: f64,
    /// How the learning rate changes.
    pub schedule: Schedule,
    /// Decoupled weight decay (Loshchilov and Hutter 2019).
    pub weight_decay: f64,
    /// Largest norm of the whole gradient; longer ones are scaled down. 0: no clipping.
    pub clip_norm: f64,
    /// Size of the fixed training set. 0: a stream of fresh points.
    pub points: usize,
    /// Size of the validation set.
    pub validation_points: usize,
    /// Steps between two validations.
    pub validate_every: usize,
    /// Stop after this many validations without a better loss. 0: never.
    pub patience: usize,
    /// Floating-point format.
    pub precision: Precision,
}

impl Default for TrainSpec {
    fn default() -> Self {
        Self {
            steps: 5000,
            batch_size: 512,
            learning_rate: 1e-3,
            schedule: Schedule::Constant,
            weight_decay: 0.0,
            clip_norm: 5.0,
            points: 10_000,
            validation_points: 1000,
            validate_every: 100,
            patience: 20,
            precision: Precision::F32,
        }
    }
}

impl Schedule {
    /// The learning rate in step `step` (from 0) of `steps`, as a share of the highest.
    pub fn factor(self, step: usize, steps: usize) -> f64 {
        match self {
            Self::Constant => 1.0,
            Self::Cosine { warmup, floor } => {
                let rise = warmup * steps as f64;
                let done = step as f64;
                if done < rise {
                    return (done + 1.0) / (rise + 1.0);
                }
                let share = ((done - rise) / (steps as f64 - rise).max(1.0)).min(1.0);
                floor + (1.0 - floor) * 0.5 * (1.0 + (std::f64::consts::PI * share).cos())
            }
        }
    }
}

impl TrainSpec {
    /// Points that a model may start from: the training set, or as many of a stream.
    pub fn start_points(&self) -> usize {
        match self.points {
            0 => 10_000,
            fixed => fixed,
        }
    }

    /// What is wrong with the settings, if anything.
    pub fn check(&self) -> std::result::Result<(), BadValue> {
        let (long, held) = (1_000_000_000, 10_000_000);
        BadValue::within("steps", self.steps, 1, long)?;
        BadValue::within("batch_size", self.batch_size, 1, held)?;
        BadValue::within("points", self.points, 0, held)?;
        BadValue::within("validation_points", self.validation_points, 1, held)?;
        BadValue::within("validate_every", self.validate_every, 1, long)?;
        BadValue::within("patience", self.patience, 0, long)?;
        let real = |key: &str, value: f64, low: f64, open: bool| {
            let fine = value.is_finite() && if open { value > low } else { value >= low };
            let sign = if open { ">" } else { ">=" };
            BadValue::unless(fine, key, &format!("`{key}` {sign} {low}"), value)
        };
        real("learning_rate", self.learning_rate, 0.0, true)?;
        real("weight_decay", self.weight_decay, 0.0, false)?;
        real("clip_norm", self.clip_norm, 0.0, false)?;
        if let Schedule::Cosine { warmup, floor } = self.schedule {
            BadValue::unless(
                (0.0..1.0).contains(&warmup),
                "schedule.cosine.warmup",
                "0 <= `warmup` < 1",
                warmup,
            )?;
            BadValue::within("schedule.cosine.floor", floor, 0.0, 1.0)?;
        }
        Ok(())
    }
}
