//! Adam with decoupled weight decay, and the norm of a whole gradient.

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};

use crate::Result;

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// Adam (Kingma and Ba 2015) with decoupled weight decay (Loshchilov and Hutter 2019):
/// theta <- theta - lr (m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps) + decay theta).
///
/// A parameter without a gradient in a step keeps its value and its moments.
pub struct Adam {
    slots: Vec<Slot>,
    weight_decay: f64,
}

struct Slot {
    var: Var,
    m: Tensor,
    v: Tensor,
    step: i32,
}

impl Adam {
    /// Over these parameters, in this order.
    pub fn new(vars: Vec<Var>, weight_decay: f64) -> Result<Self> {
        let slots = vars
            .into_iter()
            .map(|var| {
                Ok(Slot {
                    m: var.zeros_like()?,
                    v: var.zeros_like()?,
                    var,
                    step: 0,
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
            slot.step += 1;
            let gradient = (gradient.detach() * scale)?;
            slot.m = ((&slot.m * BETA1)? + (&gradient * (1.0 - BETA1))?)?.detach();
            slot.v = ((&slot.v * BETA2)? + (gradient.sqr()? * (1.0 - BETA2))?)?.detach();
            let m_hat = (&slot.m * (1.0 / (1.0 - BETA1.powi(slot.step))))?;
            let v_hat = (&slot.v * (1.0 / (1.0 - BETA2.powi(slot.step))))?;
            let mut update = (m_hat / (v_hat.sqrt()? + EPSILON)?)?;
            if self.weight_decay > 0.0 {
                update = (update + (slot.var.as_tensor() * self.weight_decay)?)?;
            }
            let value = (slot.var.as_tensor() - (update * learning_rate)?)?;
            slot.var.set(&value.detach())?;
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
