//! Single settings of a run, and those in which two runs differ.

use super::RunSpec;
use crate::experiment::budget::Budget;
use crate::experiment::config::{self, Difference};
use crate::experiment::search::Search;
use crate::experiment::{EvaluationSpec, Task};
use mdn_core::data::DataSpec;
use mdn_core::train::TrainSpec;

impl RunSpec {
    /// A setting by its dotted key, such as `train.steps`, as TOML: `None` where the run's file has no
    /// such key.
    pub fn setting(&self, key: &str) -> Option<String> {
        config::setting(&self.clone().into(), key)
    }

    /// The settings, in the order of the file, that are not the same in both runs. Files of data are
    /// the same where their content is, wherever they are.
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

    /// The run with `[train]`, `[budget]`, `[search]` and `[evaluation]` as they are where a file says
    /// nothing.
    pub fn unchanged(&self) -> Self {
        Self {
            train: TrainSpec::default(),
            budget: Budget::default(),
            search: Search::default(),
            evaluation: EvaluationSpec::default(),
            ..self.clone()
        }
    }

    /// What the run's file says in these tables that is not the default.
    pub fn changed(&self) -> Vec<Difference> {
        self.unchanged().differences(self)
    }
}
