//! Adam with decoupled weight decay, and the norm of a whole gradient.

mod flat;

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};

use serde::{Deserialize, Serialize};

use crate::{Error, Result};
use mdn_kernels::{BETA1, BETA2, EPSILON};

pub use flat::FlatAdam;

/// Adam (Kingma and Ba 2015) with decoupled weight decay (Loshchilov and Hutter 2019):
/// theta <- theta - lr (m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps) + decay theta).
///
/// A parameter without a gradient in a step keeps its value and its moments.
pub struct Adam {
    slots: Vec<Slot>,
    weight_decay: f64,
}

/// Moments of parameters that have moved together, for a checkpoint.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Moved {
    /// Which parameters, by their places in the optimizer; none where it has one vector of all.
    pub members: Vec<usize>,
    /// First moment.
    #[serde(with = "super::stored::one")]
    pub m: Tensor,
    /// Second moment.
    #[serde(with = "super::stored::one")]
    pub v: Tensor,
    /// Steps they are of.
    pub steps: i32,
}

/// The moments of an optimizer: with the parameters, all that its next step depends on.
pub type OptimizerState = Vec<Moved>;

/// Refuses the moments of other parameters.
fn fits(moved: &Moved, like: &Tensor) -> Result<()> {
    if [moved.m.dims(), moved.v.dims()] == [like.dims(); 2]
        && [moved.m.dtype(), moved.v.dtype()] == [like.dtype(); 2]
    {
        return Ok(());
    }
    Err(Error::request(format!(
        "expected moments of shape {:?} in {:?}; got {:?} in {:?}",
        like.dims(),
        like.dtype(),
        moved.m.dims(),
        moved.m.dtype()
    )))
}

fn other_parameters(expected: usize, got: usize) -> Error {
    Error::request(format!(
        "expected moments of {expected} parameters; got those of {got}"
    ))
}

struct Slot {
    var: Var,
    moments: Moments,
}

struct Moments {
    m: Tensor,
    v: Tensor,
    step: i32,
}

impl Moments {
    fn zero(like: &Tensor) -> Result<Self> {
        Ok(Self {
            m: like.zeros_like()?,
            v: like.zeros_like()?,
            step: 0,
        })
    }

    fn of(moved: &Moved, like: &Tensor) -> Result<Self> {
        fits(moved, like)?;
        Ok(Self {
            m: moved.m.to_device(like.device())?,
            v: moved.v.to_device(like.device())?,
            step: moved.steps,
        })
    }

    fn state(&self, members: Vec<usize>) -> Moved {
        Moved {
            members,
            m: self.m.clone(),
            v: self.v.clone(),
            steps: self.step,
        }
    }

    /// The value after a step from `value`; no tensor here has a history of its own.
    fn step(
        &mut self,
        value: &Tensor,
        gradient: &Tensor,
        (learning_rate, weight_decay): (f64, f64),
    ) -> Result<Tensor> {
        self.step += 1;
        self.m = ((&self.m * BETA1)? + (gradient * (1.0 - BETA1))?)?;
        self.v = ((&self.v * BETA2)? + (gradient.sqr()? * (1.0 - BETA2))?)?;
        let m_hat = (&self.m * (1.0 / (1.0 - BETA1.powi(self.step))))?;
        let v_hat = (&self.v * (1.0 / (1.0 - BETA2.powi(self.step))))?;
        let mut update = (m_hat / (v_hat.sqrt()? + EPSILON)?)?;
        if weight_decay > 0.0 {
            update = (update + (value * weight_decay)?)?;
        }
        Ok((value - (update * learning_rate)?)?)
    }
}

impl Adam {
    /// Over these parameters, in this order.
    pub fn new(vars: Vec<Var>, weight_decay: f64) -> Result<Self> {
        let slots = vars
            .into_iter()
            .map(|var| {
                Ok(Slot {
                    moments: Moments::zero(&var)?,
                    var,
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            slots,
            weight_decay,
        })
    }

    /// One step with every gradient multiplied by `scale` (the clipping factor).
    pub fn step(&mut self, gradients: &GradStore, scale: f64, learning_rate: f64) -> Result<()> {
        for slot in &mut self.slots {
            let Some(gradient) = gradients.get(slot.var.as_tensor()) else {
                continue;
            };
            let gradient = (gradient.detach() * scale)?;
            let value = slot.var.as_detached_tensor();
            let rates = (learning_rate, self.weight_decay);
            slot.var
                .set(&slot.moments.step(&value, &gradient, rates)?)?;
        }
        Ok(())
    }

    /// Where it stands.
    pub fn state(&self) -> OptimizerState {
        let slots = self.slots.iter().enumerate();
        slots.map(|(i, s)| s.moments.state(vec![i])).collect()
    }

    /// Goes on from where another one over the same parameters stood.
    ///
    /// # Errors
    /// If those were others.
    pub fn resume(&mut self, from: &[Moved]) -> Result<()> {
        if from.len() != self.slots.len() {
            return Err(other_parameters(self.slots.len(), from.len()));
        }
        for (slot, moved) in self.slots.iter_mut().zip(from) {
            slot.moments = Moments::of(moved, &slot.var)?;
        }
        Ok(())
    }

    /// Norm of the gradient of all parameters together.
    pub fn gradient_norm(&self, gradients: &GradStore) -> Result<f64> {
        let mut sum = 0.0;
        for slot in &self.slots {
            if let Some(gradient) = gradients.get(slot.var.as_tensor()) {
                sum += gradient
                    .sqr()?
                    .sum_all()?
                    .to_dtype(candle_core::DType::F64)?
                    .to_scalar::<f64>()?;
            }
        }
        Ok(sum.sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    /// The update formula by hand for two steps of f(x) = x^2 / 2 + decay, from x = 1.
    #[test]
    fn two_steps_by_hand() {
        let var = Var::from_tensor(&Tensor::new(&[1f64], &Device::Cpu).unwrap()).unwrap();
        let mut adam = Adam::new(vec![var.clone()], 0.1).unwrap();
        let (mut x, mut m, mut v) = (1.0f64, 0.0, 0.0);
        for t in 1..=2 {
            let loss = (var.sqr().unwrap() * 0.5).unwrap().sum_all().unwrap();
            let gradients = loss.backward().unwrap();
            assert!((adam.gradient_norm(&gradients).unwrap() - x.abs()).abs() < 1e-12);
            adam.step(&gradients, 0.5, 0.01).unwrap();
            let g = 0.5 * x;
            m = 0.9 * m + 0.1 * g;
            v = 0.999 * v + 0.001 * g * g;
            let (mh, vh) = (m / (1.0 - 0.9f64.powi(t)), v / (1.0 - 0.999f64.powi(t)));
            x -= 0.01 * (mh / (vh.sqrt() + 1e-8) + 0.1 * x);
            let got = var.to_vec1::<f64>().unwrap()[0];
            assert!((got - x).abs() < 1e-14, "step {t}: {got} against {x}");
        }
    }
}
