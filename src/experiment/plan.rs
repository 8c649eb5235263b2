//! The checked experiment: data x model x seed, in a fixed order.

use serde::{Deserialize, Serialize};

use crate::data::DataSpec;
use crate::models::ModelSpec;
use crate::train::TrainSpec;

use super::EvaluationSpec;

/// Everything that one run is: enough to do it again, bit for bit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunSpec {
    /// Name of the experiment (the file's stem).
    pub experiment: String,
    /// Name of the data set in the file.
    pub data_name: String,
    /// Its settings.
    pub data: DataSpec,
    /// Name of the model in the file.
    pub model_name: String,
    /// Its settings.
    pub model: ModelSpec,
    /// The run's seed.
    pub seed: u64,
    /// How it is trained.
    pub train: TrainSpec,
    /// How it is measured.
    pub evaluation: EvaluationSpec,
}
