//! A trained run read back from its folder.

use candle_core::{DType, Tensor};

use super::plan::RunSpec;
use super::prepared::build_model;
use super::store::{unusable, RunDir, State};
use super::weights;
use super::Compute;
use mdn_core::data::FileSpec;
use mdn_core::metrics::evaluation;
use mdn_core::models::{log_q, Model};
use mdn_core::nn::Params;
use mdn_core::num;
use mdn_core::rng::Rng;
use mdn_core::{Error, Result};

/// A trained run read back from its folder.
pub struct Trained {
    /// Its settings.
    pub spec: RunSpec,
    model: Box<dyn Model>,
    params: Params,
}

impl Trained {
    /// Reads a run's folder. A missing, unfinished or damaged run is a bad request that names it.
    /// `open` chooses where to compute in the run's number format.
    pub fn load(place: &RunDir, open: impl FnOnce(DType) -> Result<Compute>) -> Result<Self> {
        let wrong = |why: String| Err(unusable(&place.0, why));
        if !place.0.is_dir() {
            return wrong("expected the folder of a run; there is no such folder".to_owned());
        }
        let status = place.read_status()?;
        if status.state == State::Missing {
            let place = "results/<experiment>/<data>/<model>/seed-<n>";
            return wrong(format!(
                "expected the folder of a run, as in {place}; it has no file `status`"
            ));
        }
        if status.state != State::Done {
            let status = status.text(" (", ")");
            return wrong(format!("expected a run that is done; this one is {status}"));
        }
        let spec = RunSpec::read_trained(place)?;
        let path = place.path("model.safetensors");
        let bytes = std::fs::read(&path).map_err(Error::io(&path, "could not read"))?;
        let named = |e: Error| unusable(&path, e);
        let dtype = spec.train.precision.dtype();
        let Compute { device, kernels } = open(dtype)?;
        let tensors = weights::from_bytes(&bytes).map_err(named)?;
        let params = Params::from_tensors(tensors, dtype, &device).with_kernels(kernels);
        let model = build_model(&spec, &params, None).map_err(named)?;
        params.check_all_used().map_err(named)?;
        Ok(Self {
            spec,
            model,
            params,
        })
    }

    /// Number of coordinates of a point.
    pub fn dim(&self) -> usize {
        self.model.dim()
    }

    /// `n` samples, one row each.
    pub fn sample(&self, n: usize, rng: &mut Rng) -> Result<Vec<Vec<f64>>> {
        let mut rows = Vec::with_capacity(n);
        while rows.len() < n {
            let chunk = evaluation::CHUNK.min(n - rows.len());
            let values = num::to_vec(&self.model.sample(chunk, rng)?)?;
            rows.extend(values.chunks_exact(self.dim()).map(<[f64]>::to_vec));
        }
        Ok(rows)
    }

    /// How files of points for this model are read, and what its coordinates are called.
    pub fn columns(&self) -> FileSpec {
        self.spec.task.columns(self.dim())
    }

    /// log q (nats) of every point, given as rows.
    pub fn log_density(&self, rows: &[f64]) -> Result<Vec<f64>> {
        log_q(self.model.as_ref(), &self.tensor(rows)?)
    }

    /// The part of the model for every point, given as rows; `None` for a model without parts.
    pub fn parts(&self, rows: &[f64]) -> Result<Option<Vec<u64>>> {
        evaluation::parts(self.model.as_ref(), &self.tensor(rows)?)
    }

    fn tensor(&self, rows: &[f64]) -> Result<Tensor> {
        let (dtype, device) = (self.params.dtype(), self.params.device());
        num::from_rows(rows, self.dim(), dtype, &device)
    }
}
