//! Files of data that an experiment file names, and whether models can start from so few points.

use std::path::Path;

use super::Config;
use mdn_core::data::DataSpec;
use mdn_core::error::BadValue;
use mdn_core::models::ModelSpec;

impl Config {
    /// Makes paths relative to `folder` absolute.
    pub(super) fn locate_files(&mut self, folder: &Path) {
        for data in self.data.values_mut() {
            if let DataSpec::File(file) = data {
                let path = folder.join(&file.path);
                file.path = std::path::absolute(&path).unwrap_or(path);
            }
        }
    }

    /// The same experiment with paths relative to `folder`, as a file there has them.
    pub fn from_folder(mut self, folder: &Path) -> Self {
        for data in self.data.values_mut() {
            if let DataSpec::File(file) = data {
                *file = file.from_folder(folder);
            }
        }
        self
    }

    /// Reads the files and records their contents. Models that cannot start from so few points are
    /// refused.
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

    /// A file cannot give a stream of fresh points.
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

/// Whether the data that the models see have the points that `model` starts from.
pub(super) fn check_start(model: &ModelSpec, config: &Config) -> Result<(), BadValue> {
    let Some(start) = model.start() else {
        return Ok(());
    };
    if let Some((problem, _)) = config.problems.first() {
        let expected = format!(
            "{} in a file with problems, which have no points to start from",
            start.instead
        );
        let got = format!("a start from the data (`{problem}` has none)");
        return Err(BadValue::new(&start.cause, expected, got));
    }
    let most = config.train.start_points();
    let name = start.key.rsplit('.').next().unwrap_or_default();
    let expected = format!("`{name}` <= {most}, the number of points that training starts from");
    BadValue::unless(start.points <= most, &start.key, &expected, start.points)
}
