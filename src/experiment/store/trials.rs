//! `trials.csv`: what was tried, and what was chosen.

use std::path::PathBuf;

use super::number::exact_or_empty;
use super::table::csv_bytes;
use super::{RunDir, TrialRow};
use mdn_core::Result;

const TRIALS: [&str; 8] = [
    "trial",
    "settings",
    "validation_loss",
    "parameters",
    "best_step",
    "steps",
    "diverged",
    "chosen",
];

impl RunDir {
    /// Writes the whole of `trials.csv`.
    pub fn write_trials(&self, rows: &[TrialRow]) -> Result<PathBuf> {
        let lines = rows.iter().enumerate().map(|(number, r)| {
            [
                number.to_string(),
                r.settings.join("; "),
                exact_or_empty(r.validation_loss),
                r.parameters.to_string(),
                r.best_step.to_string(),
                r.steps.to_string(),
                r.diverged.clone().unwrap_or_default(),
                if r.chosen { "yes" } else { "no" }.to_owned(),
            ]
        });
        self.write("trials.csv", &csv_bytes(TRIALS, lines)?)
    }
}
