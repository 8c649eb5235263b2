//! The report of a study, from its CSV files alone.

use std::path::PathBuf;

use serde_json::{json, Value};

use super::figures;
use crate::experiment::store::{exact, StudyDir};
use mdn_core::study::{Density, EntropyRow, GradientRow, Parameter, RelaxedRow};
use mdn_core::Result;

mod claims;
#[cfg(test)]
pub mod fixture;
mod page;

/// A study as its files tell it.
#[derive(Debug, Clone)]
pub struct Study<'a> {
    /// Its name.
    pub name: &'a str,
    /// What the user typed: every figure says it.
    pub command: &'a str,
    /// The relaxed mixture by temperature.
    pub relaxed: Vec<RelaxedRow>,
    /// Estimates of its entropy.
    pub entropies: Vec<EntropyRow>,
    /// Estimates of a gradient.
    pub gradients: Vec<GradientRow>,
}

/// What [`study`] found and wrote.
#[derive(Debug, Clone)]
pub struct StudyReport {
    /// The page that is written to `summary.md`.
    pub page: String,
    /// All rows, as in the CSV files.
    pub json: Value,
    /// Files written.
    pub files: Vec<PathBuf>,
}

impl<'a> Study<'a> {
    /// Reads `relaxed.csv`, `entropy.csv` and `gradients.csv`.
    pub fn read(place: &StudyDir, name: &'a str, command: &'a str) -> Result<Self> {
        Ok(Self {
            name,
            command,
            relaxed: place.read_relaxed()?,
            entropies: place.read_entropies()?,
            gradients: place.read_gradients()?,
        })
    }

    /// Temperatures of the entropies, each once, as they stand in the file.
    pub fn temperatures(&self) -> Vec<f64> {
        let mut all = Vec::new();
        for row in &self.entropies {
            if !all.contains(&row.temperature) {
                all.push(row.temperature);
            }
        }
        all
    }

    /// Estimates over M terms with one density at one temperature, M from small to large.
    pub fn nested(&self, temperature: f64, density: Density) -> Vec<(usize, &EntropyRow)> {
        let own = |r: &&EntropyRow| r.temperature == temperature && r.density == density;
        let own = self.entropies.iter().filter(own);
        let mut rows: Vec<_> = own.filter_map(|r| Some((r.inner?, r))).collect();
        rows.sort_by_key(|(m, _)| *m);
        rows
    }

    /// The estimate without M with one density at one temperature.
    pub fn plain(&self, temperature: f64, density: Density) -> Option<&EntropyRow> {
        let mut all = self.entropies.iter();
        all.find(|r| r.temperature == temperature && r.density == density && r.inner.is_none())
    }

    /// Names of the ways to draw, each once, as they stand in the file.
    pub fn strategies(&self) -> Vec<&str> {
        let mut all: Vec<&str> = Vec::new();
        for row in &self.gradients {
            if !all.contains(&row.strategy.as_str()) {
                all.push(&row.strategy);
            }
        }
        all
    }

    /// Gradients by one parameter.
    pub fn by(&self, parameter: Parameter) -> impl Iterator<Item = &GradientRow> {
        self.gradients
            .iter()
            .filter(move |r| r.parameter == parameter)
    }

    fn json(&self) -> Value {
        let number = |v: f64| {
            if v.is_finite() {
                json!(v)
            } else {
                json!(exact(v))
            }
        };
        let relaxed = self.relaxed.iter().map(|r| {
            json!({
                "temperature": number(r.temperature),
                "entropy": number(r.entropy),
                "exact_mixture": number(r.exact_mixture),
                "kl_to_mixture": number(r.kl_to_mixture),
                "kl_from_mixture": number(r.kl_from_mixture),
                "total_variation": number(r.total_variation),
                "mean": number(r.mean),
                "variance": number(r.variance),
                "joint_entropy": number(r.joint_entropy),
                "conditional_entropy": number(r.conditional_entropy),
                "chi2": number(r.chi2),
            })
        });
        let entropy = self.entropies.iter().map(|r| {
            json!({
                "temperature": number(r.temperature),
                "density": r.density.word(),
                "inner": r.inner,
                "samples": r.samples,
                "mean": number(r.mean),
                "std_err": number(r.std_err),
                "truth": number(r.truth),
                "bias": number(r.bias),
                "bias_std_err": number(r.bias_std_err),
                "predicted": number(r.predicted),
            })
        });
        let gradients = self.gradients.iter().map(|r| {
            json!({
                "strategy": r.strategy,
                "temperature": r.temperature,
                "parameter": r.parameter.word(),
                "evaluations": r.evaluations,
                "estimates": r.estimates,
                "relative_bias": number(r.relative_bias),
                "bias_std_err": number(r.bias_std_err),
                "sd": number(r.sd),
                "sd_std_err": number(r.sd_std_err),
                "cosine": number(r.cosine),
            })
        });
        json!({
            "study": self.name,
            "relaxed": relaxed.collect::<Vec<_>>(),
            "entropy": entropy.collect::<Vec<_>>(),
            "gradients": gradients.collect::<Vec<_>>(),
        })
    }
}

/// `straight_through 0.5`
pub(super) fn label(row: &GradientRow) -> String {
    match row.temperature {
        Some(t) => format!("{} {t}", row.strategy),
        None => row.strategy.clone(),
    }
}

/// Reads what a study left, writes `summary.md` and `figures/`: a function of the CSV files, the name
/// and the command alone.
pub fn study(place: &StudyDir, name: &str, command: &str) -> Result<StudyReport> {
    let study = Study::read(place, name, command)?;
    let figures = figures::draw_study(&study, place)?;
    let page = page::page(&study, &figures);
    let mut files = vec![place.write("summary.md", page.as_bytes())?];
    files.extend(figures);
    Ok(StudyReport {
        json: study.json(),
        page,
        files,
    })
}

#[cfg(test)]
mod tests;
