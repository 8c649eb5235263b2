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
            _ => BadValue { key: String::new(), ..e },
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
