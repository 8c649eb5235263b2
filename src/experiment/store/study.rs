//! `relaxed.csv`, `entropy.csv` and `gradients.csv` of a study.

use std::path::{Path, PathBuf};

use super::number::{exact, exact_or_empty};
use super::table::{csv_bytes, read_csv, Line};
use super::write_atomic;
use mdn_core::study::{Density, EntropyRow, GradientRow, Parameter, RelaxedRow};
use mdn_core::Result;

const RELAXED: [&str; 11] = [
    "temperature",
    "entropy",
    "exact_mixture",
    "kl_to_mixture",
    "kl_from_mixture",
    "total_variation",
    "mean",
    "variance",
    "joint_entropy",
    "conditional_entropy",
    "chi2",
];

const ENTROPY: [&str; 10] = [
    "temperature",
    "density",
    "inner",
    "samples",
    "mean",
    "std_err",
    "truth",
    "bias",
    "bias_std_err",
    "predicted",
];

const GRADIENTS: [&str; 10] = [
    "strategy",
    "temperature",
    "parameter",
    "evaluations",
    "estimates",
    "relative_bias",
    "bias_std_err",
    "sd",
    "sd_std_err",
    "cosine",
];

/// Where a study leaves its files: `<out>/<name>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StudyDir(pub PathBuf);

impl StudyDir {
    /// Nothing is made on disk.
    pub fn new(out: &Path, name: &str) -> Self {
        Self(out.join(name))
    }

    /// Where the file `name` lies.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes the file `name`, atomically, and says where it lies.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf> {
        let path = self.path(name);
        write_atomic(&path, bytes)?;
        Ok(path)
    }

    /// Writes the whole of `relaxed.csv`.
    pub fn write_relaxed(&self, rows: &[RelaxedRow]) -> Result<PathBuf> {
        let lines = rows.iter().map(|r| {
            [
                r.temperature,
                r.entropy,
                r.exact_mixture,
                r.kl_to_mixture,
                r.kl_from_mixture,
                r.total_variation,
                r.mean,
                r.variance,
                r.joint_entropy,
                r.conditional_entropy,
                r.chi2,
            ]
            .map(exact)
        });
        self.write("relaxed.csv", &csv_bytes(RELAXED, lines)?)
    }

    /// Reads `relaxed.csv`.
    pub fn read_relaxed(&self) -> Result<Vec<RelaxedRow>> {
        read_csv(&self.path("relaxed.csv"), &RELAXED, |line| {
            Ok(RelaxedRow {
                temperature: number(line, "temperature")?,
                entropy: number(line, "entropy")?,
                exact_mixture: number(line, "exact_mixture")?,
                kl_to_mixture: number(line, "kl_to_mixture")?,
                kl_from_mixture: number(line, "kl_from_mixture")?,
                total_variation: number(line, "total_variation")?,
                mean: number(line, "mean")?,
                variance: number(line, "variance")?,
                joint_entropy: number(line, "joint_entropy")?,
                conditional_entropy: number(line, "conditional_entropy")?,
                chi2: number(line, "chi2")?,
            })
        })
    }

    /// Writes the whole of `entropy.csv`.
    pub fn write_entropies(&self, rows: &[EntropyRow]) -> Result<PathBuf> {
        let lines = rows.iter().map(|r| {
            [
                exact(r.temperature),
                r.density.word().to_owned(),
                r.inner.map_or_else(String::new, |m| m.to_string()),
                r.samples.to_string(),
                exact(r.mean),
                exact(r.std_err),
                exact(r.truth),
                exact(r.bias),
                exact(r.bias_std_err),
                exact(r.predicted),
            ]
        });
        self.write("entropy.csv", &csv_bytes(ENTROPY, lines)?)
    }

    /// Reads `entropy.csv`.
    pub fn read_entropies(&self) -> Result<Vec<EntropyRow>> {
        read_csv(&self.path("entropy.csv"), &ENTROPY, |line| {
            let words = Density::ALL.map(Density::word);
            let place = one_of(line, "density", &words)?;
            let inner = match line.text("inner") {
                "" => None,
                _ => Some(whole(line, "inner")?),
            };
            Ok(EntropyRow {
                temperature: number(line, "temperature")?,
                density: Density::ALL[place],
                inner,
                samples: whole(line, "samples")?,
                mean: number(line, "mean")?,
                std_err: number(line, "std_err")?,
                truth: number(line, "truth")?,
                bias: number(line, "bias")?,
                bias_std_err: number(line, "bias_std_err")?,
                predicted: number(line, "predicted")?,
            })
        })
    }

    /// Writes the whole of `gradients.csv`.
    pub fn write_gradients(&self, rows: &[GradientRow]) -> Result<PathBuf> {
        let lines = rows.iter().map(|r| {
            [
                r.strategy.clone(),
                exact_or_empty(r.temperature),
                r.parameter.word().to_owned(),
                r.evaluations.to_string(),
                r.estimates.to_string(),
                exact(r.relative_bias),
                exact(r.bias_std_err),
                exact(r.sd),
                exact(r.sd_std_err),
                exact(r.cosine),
            ]
        });
        self.write("gradients.csv", &csv_bytes(GRADIENTS, lines)?)
    }

    /// Reads `gradients.csv`.
    pub fn read_gradients(&self) -> Result<Vec<GradientRow>> {
        read_csv(&self.path("gradients.csv"), &GRADIENTS, |line| {
            let words = Parameter::ALL.map(Parameter::word);
            Ok(GradientRow {
                strategy: line.parse("strategy", "a name")?,
                temperature: line.parse_or_empty("temperature")?,
                parameter: Parameter::ALL[one_of(line, "parameter", &words)?],
                evaluations: whole(line, "evaluations")?,
                estimates: whole(line, "estimates")?,
                relative_bias: number(line, "relative_bias")?,
                bias_std_err: number(line, "bias_std_err")?,
                sd: number(line, "sd")?,
                sd_std_err: number(line, "sd_std_err")?,
                cosine: number(line, "cosine")?,
            })
        })
    }
}

fn number(line: &Line<'_>, column: &str) -> Result<f64> {
    line.parse(column, "a number")
}

fn whole(line: &Line<'_>, column: &str) -> Result<usize> {
    line.parse(column, "a whole number")
}

/// The place of the cell among `words`.
fn one_of(line: &Line<'_>, column: &str, words: &[&str]) -> Result<usize> {
    let text = line.text(column);
    words.iter().position(|w| *w == text).ok_or_else(|| {
        let words: Vec<_> = words.iter().map(|w| format!("`{w}`")).collect();
        line.fault(column, &format!("one of {}", words.join(", ")), text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_read_back_as_written_and_damage_has_a_line() {
        let dir = tempfile::tempdir().unwrap();
        let study = StudyDir::new(dir.path(), "three");
        let row = |density, inner| EntropyRow {
            temperature: 0.1,
            density,
            inner,
            samples: 100,
            mean: 0.1 + 0.2,
            std_err: 1e-9,
            truth: 2.0,
            bias: -0.5,
            bias_std_err: 0.25,
            predicted: -0.5,
        };
        let rows = [row(Density::Midpoint, Some(7)), row(Density::Joint, None)];
        let path = study.write_entropies(&rows).unwrap();
        assert_eq!(study.read_entropies().unwrap(), rows);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(
            text.contains("\n0.1,joint,,100,0.30000000000000004,1e-9,2,-0.5,0.25,-0.5\n"),
            "{text}"
        );
        let cases = [
            (
                "midpoint",
                "middle",
                "entropy.csv:2: `density`: expected one of `nested_including_own`, ",
            ),
            (
                "joint,,",
                "joint,x,",
                "entropy.csv:3: `inner`: expected a whole number; got `x`",
            ),
            (
                "1e-9",
                "",
                "entropy.csv:2: `std_err`: expected a number; got ``",
            ),
        ];
        for (from, to, message) in cases {
            std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
            let got = study.read_entropies().unwrap_err().to_string();
            assert!(got.contains(message), "expected {message}\ngot {got}");
        }
        let relaxed = RelaxedRow {
            temperature: 0.1,
            entropy: 1.0,
            exact_mixture: 2.0,
            kl_to_mixture: 3.0,
            kl_from_mixture: 4.0,
            total_variation: 0.5,
            mean: 6.0,
            variance: 7.0,
            joint_entropy: 8.0,
            conditional_entropy: 9.0,
            chi2: 10.0,
        };
        study.write_relaxed(&[relaxed]).unwrap();
        assert_eq!(study.read_relaxed().unwrap(), [relaxed]);
        let gradient = GradientRow {
            strategy: "score".to_owned(),
            temperature: None,
            parameter: Parameter::Means,
            evaluations: 16,
            estimates: 10,
            relative_bias: 0.5,
            bias_std_err: 0.1,
            sd: 2.0,
            sd_std_err: 0.3,
            cosine: 0.9,
        };
        study
            .write_gradients(std::slice::from_ref(&gradient))
            .unwrap();
        assert_eq!(study.read_gradients().unwrap(), [gradient]);
    }
}
