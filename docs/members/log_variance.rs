//! The variance of log q - log p over samples of the model.

use candle_core::Tensor;

use crate::data::Target;
use crate::models::{log_q, Model};
use crate::objectives::{At, Objective, Validation};
use crate::rng::Rng;
use crate::{num, Result};

/// Var_q\[log q(X) - log p(X)\]: 0 at the target alone, whatever p's constant is.
pub struct LogVariance {
    /// p up to its constant.
    pub target: Target,
}

impl LogVariance {
    /// log p of every row and a constant: (n,).
    fn log_p(&self, x: &Tensor) -> Result<Tensor> {
        self.target.log_p(x, "log_variance")
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
