//! Samples of a law that has no sampler.

use std::path::Path;

use candle_core::{Device, Tensor};

use super::set::around;
use super::table::Table;
use super::FileSpec;
use crate::data::{DataSet, LabelledPoints, Split, Truth};
use crate::error::BadValue;
use crate::rng::Rng;
use crate::Result;

/// Samples from a file: held-out points of a target whose law has no sampler.
pub struct Reference {
    table: Table,
    /// Of the rows, the same everywhere: samples of one chain stand together in a file.
    order: Vec<usize>,
}

impl Reference {
    /// Reads a file of points of `dim` coordinates; one with another checksum than `sha256` is refused.
    ///
    /// # Errors
    /// If it cannot be read, or has another number of columns; the key is empty or `sha256`.
    pub fn read(path: &Path, sha256: Option<&str>, dim: usize) -> Result<Self, BadValue> {
        let file = FileSpec {
            sha256: sha256.map(str::to_owned),
            ..FileSpec::new(path)
        };
        let checked = file.check_settings().and_then(|()| Table::read(&file));
        let table = checked.map_err(|e| match e.key.as_str() {
            "sha256" => e,
            _ => BadValue {
                key: String::new(),
                ..e
            },
        })?;
        let expected = format!("samples with {dim} coordinates, a row each");
        let got = format!("{} columns in `{}`", table.dim(), path.display());
        BadValue::unless(table.dim() == dim, "", &expected, got)?;
        let order = Rng::new(0).fork("reference").permutation(table.rows());
        Ok(Self { table, order })
    }

    /// SHA-256 of the file, in hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.table.sha256
    }
}

impl DataSet for Reference {
    fn dim(&self) -> usize {
        self.table.dim()
    }

    /// At most `n` of the samples, the same whatever the split and the stream.
    fn points(&self, _split: Split, n: usize, _rng: &mut Rng) -> Result<LabelledPoints> {
        let n = n.min(self.order.len());
        let rows = self.order[..n].iter().flat_map(|&i| self.table.row(i));
        Ok(LabelledPoints {
            x: Tensor::from_vec(rows.copied().collect(), (n, self.dim()), &Device::Cpu)?,
            labels: None,
        })
    }

    fn truth(&self) -> Option<&Truth> {
        None
    }

    fn view(&self) -> Option<[(f64, f64); 2]> {
        (self.dim() == 2).then(|| around(&self.table.values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_a_law_are_held_out_in_one_order_and_must_have_its_dimension() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("s.npy");
        let rows: Vec<f64> = (0..40).map(f64::from).collect();
        std::fs::write(&path, super::super::npy::write(&rows, 2)).expect("a file");
        let read = |sum: Option<&str>, dim| Reference::read(&path, sum, dim);
        let samples = read(None, 2).expect("samples");
        let points = |n, seed| {
            let found = samples.points(Split::Test, n, &mut Rng::new(seed)).unwrap();
            crate::num::to_vec(&found.x).unwrap()
        };
        let mut all = points(100, 0);
        assert_eq!((points(7, 1).as_slice(), all.len()), (&all[..14], 40));
        assert_ne!(all[..14], rows[..14], "those of one chain stand together");
        all.sort_by(f64::total_cmp);
        assert_eq!(all, rows);
        assert!(read(Some(samples.sha256()), 2).is_ok());
        let refused =
            |found: Result<Reference, BadValue>| found.err().expect("a fault").to_string();
        let said = refused(read(None, 3));
        assert!(
            said.starts_with(": expected samples with 3 coordinates"),
            "{said}"
        );
        let said = refused(read(Some(&"0".repeat(64)), 2));
        assert!(
            said.starts_with("sha256: ") && said.contains("it has changed"),
            "{said}"
        );
    }
}
