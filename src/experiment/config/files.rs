//! Files of data that an experiment file names: where they are, and what is in them.

use std::path::Path;

use super::Config;
use crate::experiment::plan::check_start;
use mdn_core::data::DataSpec;
use mdn_core::error::BadValue;

impl Config {
    /// Makes paths that are given from `folder` on into paths from the root of the file system.
    pub(super) fn locate_files(&mut self, folder: &Path) {
        for data in self.data.values_mut() {
            if let DataSpec::File(file) = data {
                let path = folder.join(&file.path);
                file.path = std::path::absolute(&path).unwrap_or(path);
            }
        }
    }

    /// The same experiment, with paths that are given from `folder` on: what a file there says.
    pub fn from_folder(mut self, folder: &Path) -> Self {
        for data in self.data.values_mut() {
            if let DataSpec::File(file) = data {
                *file = file.from_folder(folder);
            }
        }
        self
    }

    /// Reads the files and writes down what they have. Models that cannot start from so few points
    /// are refused.
    pub(super) fn settle_files(&mut self) -> Result<(), BadValue> {
        let mut fewest: Option<usize> = None;
        let mut dims = Vec::new();
        for (name, data) in &mut self.data {
            let found = data
                .settle()
                .map_err(|e| e.below(&format!("data.{name}")))?;
            if let Some(found) = found {
                dims.push(found.columns.len());
                fewest = Some(fewest.map_or(found.train, |n| n.min(found.train)));
            }
        }
        if let Some(fewest) = fewest.filter(|n| *n < self.train.start_points()) {
            let mut short = self.clone();
            short.train.points = fewest;
            for (name, model) in &self.models {
                check_start(model, &short).map_err(|e| e.below(&format!("models.{name}")))?;
            }
        }
        self.check_trials(dims)
    }

    /// A file has no fresh points.
    pub(super) fn check_stream(&self) -> Result<(), BadValue> {
        let is_file = |data: &DataSpec| matches!(data, DataSpec::File(_));
        match self.data.iter().find(|(_, data)| is_file(data)) {
            Some((name, _)) if self.train.points == 0 => Err(BadValue::new(
                "train.points",
                format!("`points` >= 1 with the file of `data.{name}`, which has no fresh points"),
                "0, a stream of fresh points",
            )),
            _ => Ok(()),
        }
    }
}
