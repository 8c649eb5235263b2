//! The folder of a study, with `relaxed.csv`, `entropy.csv` and `gradients.csv`.

use std::path::{Path, PathBuf};

use serde::{de::DeserializeOwned, Serialize};
use serde_json::json;

use super::table::{csv_rows, json_rows, read_rows};
use super::write_atomic;
use mdn_core::study::{Density, EntropyRow, GradientRow, Parameter, RelaxedRow};
use mdn_core::Result;

/// Where a study leaves its files: `<out>/<name>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StudyDir(pub PathBuf);

impl StudyDir {
    /// Creates nothing on disk.
    pub fn new(out: &Path, name: &str) -> Self {
        Self(out.join(name))
    }

    /// The place of the file `name`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes the file `name`, atomically, and returns its place.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf> {
        let path = self.path(name);
        write_atomic(&path, bytes)?;
        Ok(path)
    }

    /// Writes the CSV file `name`: a column per field of the rows.
    pub fn write_rows<T: Serialize + DeserializeOwned>(
        &self,
        name: &str,
        rows: &[T],
    ) -> Result<PathBuf> {
        self.write(name, &csv_rows(rows)?)
    }

    /// Reads what [`StudyDir::write_rows`] wrote.
    pub fn read_rows<T: DeserializeOwned>(&self, name: &str) -> Result<Vec<T>> {
        read_rows(&self.path(name))
    }
}

/// A study as its files tell it.
#[derive(Debug, Clone)]
pub struct Study<'a> {
    /// Its name.
    pub name: &'a str,
    /// The user's command line, which every figure shows.
    pub command: &'a str,
    /// The relaxed mixture by temperature.
    pub relaxed: Vec<RelaxedRow>,
    /// Estimates of its entropy.
    pub entropies: Vec<EntropyRow>,
    /// Estimates of a gradient.
    pub gradients: Vec<GradientRow>,
}

impl<'a> Study<'a> {
    /// Reads the three CSV files.
    pub fn read(place: &StudyDir, name: &'a str, command: &'a str) -> Result<Self> {
        Ok(Self {
            name,
            command,
            relaxed: place.read_rows("relaxed.csv")?,
            entropies: place.read_rows("entropy.csv")?,
            gradients: place.read_rows("gradients.csv")?,
        })
    }

    /// All rows, as in the CSV files.
    pub fn json(&self) -> Result<serde_json::Value> {
        Ok(json!({
            "study": self.name,
            "relaxed": json_rows(&self.relaxed)?,
            "entropy": json_rows(&self.entropies)?,
            "gradients": json_rows(&self.gradients)?,
        }))
    }

    /// Temperatures of the entropies, each once, in the order of the file.
    pub fn temperatures(&self) -> Vec<f64> {
        distinct(self.entropies.iter().map(|row| row.temperature))
    }

    /// Names of the strategies, each once, in the order of the file.
    pub fn strategies(&self) -> Vec<&str> {
        distinct(self.gradients.iter().map(|row| row.strategy.as_str()))
    }

    /// Estimates with one density at one temperature, M from small to large.
    pub fn entropies(&self, temperature: f64, density: Density) -> Vec<&EntropyRow> {
        let own = |r: &&EntropyRow| r.temperature == temperature && r.density == density;
        let mut rows: Vec<_> = self.entropies.iter().filter(own).collect();
        rows.sort_by_key(|r| r.inner);
        rows
    }

    /// Gradients by one parameter.
    pub fn by(&self, parameter: Parameter) -> impl Iterator<Item = &GradientRow> {
        let all = self.gradients.iter();
        all.filter(move |r| r.parameter == parameter)
    }
}

fn distinct<T: PartialEq + Copy>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut all = Vec::new();
    for value in values {
        if !all.contains(&value) {
            all.push(value);
        }
    }
    all
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
            predicted: f64::NEG_INFINITY,
            ..EntropyRow::default()
        };
        let rows = [row(Density::Midpoint, Some(7)), row(Density::Joint, None)];
        let path = study.write_rows("entropy.csv", &rows).unwrap();
        assert_eq!(read_rows::<EntropyRow>(&path).unwrap(), rows);
        assert_eq!(json_rows(&rows).unwrap()[1]["predicted"], "-inf");
        let text = std::fs::read_to_string(&path).unwrap();
        let line = "\n0.1,joint,,100,0.30000000000000004,1e-9,0,0,0,-inf\n";
        assert!(text.contains(line), "{text}");
        let cases = [
            (
                "midpoint",
                "middle",
                "2: `density`: expected one of `nested_including_own`, ",
            ),
            (
                "joint,,",
                "joint,x,",
                "3: `inner`: expected a whole number; got `x`",
            ),
            ("1e-9", "", "2: `std_err`: expected a number; got ``"),
            (
                "truth",
                "true",
                "1: expected the columns `temperature,density,inner,",
            ),
        ];
        for (from, to, message) in cases {
            std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
            let got = read_rows::<EntropyRow>(&path).unwrap_err().to_string();
            assert!(got.contains(&format!("entropy.csv:{message}")), "{got}");
        }
        let none = study
            .write_rows::<GradientRow>("gradients.csv", &[])
            .unwrap();
        assert_eq!(read_rows::<GradientRow>(&none).unwrap(), []);
        let gradient = GradientRow {
            strategy: "score".to_owned(),
            ..Default::default()
        };
        let path = study
            .write_rows("gradients.csv", std::slice::from_ref(&gradient))
            .unwrap();
        assert_eq!(read_rows::<GradientRow>(&path).unwrap(), [gradient]);
    }
}
