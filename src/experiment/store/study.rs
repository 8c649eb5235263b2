//! `relaxed.csv`, `entropy.csv` and `gradients.csv` of a study.

use std::path::{Path, PathBuf};

use super::table::{csv_rows, read_rows};
use super::write_atomic;
use mdn_core::study::{EntropyRow, GradientRow, RelaxedRow};
use mdn_core::Result;

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
        self.write("relaxed.csv", &csv_rows(rows)?)
    }

    /// Reads `relaxed.csv`.
    pub fn read_relaxed(&self) -> Result<Vec<RelaxedRow>> {
        read_rows(&self.path("relaxed.csv"))
    }

    /// Writes the whole of `entropy.csv`.
    pub fn write_entropies(&self, rows: &[EntropyRow]) -> Result<PathBuf> {
        self.write("entropy.csv", &csv_rows(rows)?)
    }

    /// Reads `entropy.csv`.
    pub fn read_entropies(&self) -> Result<Vec<EntropyRow>> {
        read_rows(&self.path("entropy.csv"))
    }

    /// Writes the whole of `gradients.csv`.
    pub fn write_gradients(&self, rows: &[GradientRow]) -> Result<PathBuf> {
        self.write("gradients.csv", &csv_rows(rows)?)
    }

    /// Reads `gradients.csv`.
    pub fn read_gradients(&self) -> Result<Vec<GradientRow>> {
        read_rows(&self.path("gradients.csv"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mdn_core::study::{Density, Parameter};

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
