//! The variance of log q - log p over samples of the model.

use std::sync::Arc;

use candle_core::Tensor;

use crate::data::{DataSet, LogDensity};
use crate::models::{log_q, Model};
use crate::objectives::{At, Objective, Validation};
use crate::rng::Rng;
use crate::rows::{self, RowFunction};
use crate::{num, Error, Result};

/// Var_q\[log q(X) - log p(X)\]: 0 at the target alone, whatever p's constant is.
pub struct LogVariance {
    log_p: Arc<LogDensity>,
}

impl LogVariance {
    /// Towards a target with a known density.
    pub fn new(target: Arc<dyn DataSet>) -> Result<Self> {
        let unknown = || Error::request("log_variance: expected a known density; got none");
        let log_p = Arc::new(LogDensity::new(target).ok_or_else(unknown)?);
        Ok(Self { log_p })
    }

    /// log p of every row: (n,).
    fn log_p(&self, x: &Tensor) -> Result<Tensor> {
        let log_p = Arc::clone(&self.log_p) as Arc<dyn RowFunction>;
        Ok(rows::apply(x, log_p)?.squeeze(1)?)
    }

    /// log q - log p at samples, which themselves carry no gradients: (n,).
    fn log_ratio(&self, model: &dyn Model, n: usize, rng: &mut Rng) -> Result<Tensor> {
        let x = model.sample(n, rng)?;
        Ok((model.log_prob(&x)? - self.log_p(&x)?)?)
    }
}

impl Objective for LogVariance {
    fn loss(&self, model: &dyn Model, at: &At<'_>, rng: &mut Rng) -> Result<Tensor> {
        let ratio = self.log_ratio(model, at.size, rng)?;
        let off = ratio.broadcast_sub(&ratio.mean_keepdim(0)?)?;
        Ok(off.sqr()?.mean_all()?)
    }

    fn non_finite(&self, model: &dyn Model, at: &At<'_>, rng: &mut Rng) -> Result<usize> {
        num::non_finite(&self.log_ratio(model, at.size, rng)?)
    }

    /// KL(q || p) on samples of the model.
    fn validate(
        &self,
        model: &dyn Model,
        _points: Option<&Tensor>,
        n: usize,
        rng: &mut Rng,
    ) -> Result<Validation> {
        let x = model.sample(n, rng)?;
        let log_p = num::to_vec(&self.log_p(&x)?)?;
        let log_q = log_q(model, &x)?;
        let costs: Vec<f64> = log_q.iter().zip(log_p).map(|(q, p)| q - p).collect();
        Ok(Validation::mean(&costs))
    }
}
