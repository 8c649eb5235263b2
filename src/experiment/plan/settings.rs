//! Single settings of a run, and the differences between two runs.

use super::RunSpec;
use crate::experiment::budget::Budget;
use crate::experiment::config::{self, Difference};
use crate::experiment::search::Search;
use crate::experiment::{EvaluationSpec, Task};
use mdn_core::data::DataSpec;
use mdn_core::train::TrainSpec;

impl RunSpec {
    /// A setting by its dotted key, such as `train.steps`, as TOML; `None` if the run's file has no such
    /// key.
    pub fn setting(&self, key: &str) -> Option<String> {
        config::setting(&self.clone().into(), key)
    }

    /// The settings that differ between the runs, in the order of the file. Data files are equal if their
    /// content is, whatever their paths.
    pub fn differences(&self, now: &Self) -> Vec<Difference> {
        let (mut was, mut now) = (self.clone(), now.clone());
        if let (Task::Data(DataSpec::File(was)), Task::Data(DataSpec::File(now))) =
            (&mut was.task, &mut now.task)
        {
            if was.sha256.is_some() && now.sha256.is_some() {
                was.path.clone_from(&now.path);
            }
        }
        config::differences(&was.into(), &now.into())
    }

    /// The first of the [`RunSpec::differences`].
    pub fn first_difference(&self, now: &Self) -> Option<Difference> {
        self.differences(now).into_iter().next()
    }

    /// The run with the default `[train]`, `[budget]`, `[search]` and `[evaluation]`.
    pub fn unchanged(&self) -> Self {
        Self {
            train: TrainSpec::default(),
            budget: Budget::default(),
            search: Search::default(),
            evaluation: EvaluationSpec::default(),
            ..self.clone()
        }
    }

    /// The settings in these tables that differ from their defaults.
    pub fn changed(&self) -> Vec<Difference> {
        self.unchanged().differences(self)
    }
}
