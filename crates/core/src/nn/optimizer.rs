//! Adam with decoupled weight decay, and the norm of a whole gradient.

use candle_core::backprop::GradStore;
use candle_core::{DType, Tensor, Var};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};
use mdn_kernels::{BETA1, BETA2, EPSILON};

/// Adam (Kingma and Ba 2015) with decoupled weight decay (Loshchilov and Hutter 2019):
/// theta <- theta - lr (m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps) + decay theta).
///
/// A parameter without a gradient in a step keeps its value and its moments.
pub struct Adam {
    all: Vec<Var>,
    groups: Vec<Group>,
    /// Whether the parameters are one vector.
    flat: bool,
    weight_decay: f64,
    /// 0 until a loss or gradient is not finite, NaN from then on; see [`Adam::step_on_device`].
    fault: Option<Tensor>,
}

/// Moments of parameters that had a gradient in the same steps.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Moved {
    /// Indices of the parameters in the optimizer; empty for the single vector of the fused kernels.
    pub members: Vec<usize>,
    /// First moment.
    #[serde(with = "super::stored::one")]
    pub m: Tensor,
    /// Second moment.
    #[serde(with = "super::stored::one")]
    pub v: Tensor,
    /// Number of steps.
    pub steps: i32,
}

/// The moments of an optimizer: with the parameters, all that its next step depends on.
pub type OptimizerState = Vec<Moved>;

/// Parameters that had a gradient in the same steps.
struct Group {
    moved: Moved,
    /// The parameters' values joined into one vector; `None` for a group of one parameter, which
    /// keeps its shape and is read where it is.
    joined: Option<Tensor>,
}

fn join(tensors: impl Iterator<Item = Tensor>) -> Result<Tensor> {
    let rows: candle_core::Result<Vec<_>> = tensors.map(|t| t.detach().flatten_all()).collect();
    Ok(Tensor::cat(&rows?, 0)?)
}

impl Group {
    /// These parameters as one vector, or a single one in its own shape; before the first step.
    fn new(all: &[Var], members: Vec<usize>, flat: bool) -> Result<Self> {
        let joined = match flat {
            true => Some(join(members.iter().map(|&i| all[i].as_tensor().clone()))?),
            false => None,
        };
        let value = joined.as_ref().unwrap_or(all[members[0]].as_tensor());
        let moved = Moved {
            m: value.zeros_like()?,
            v: value.zeros_like()?,
            members,
            steps: 0,
        };
        Ok(Self { moved, joined })
    }

    /// The members that `keep` names, as a group of their own; `None` if there are none.
    fn part(&self, all: &[Var], keep: impl Fn(usize) -> bool) -> Result<Option<Self>> {
        let (mut members, mut ranges, mut at) = (Vec::new(), Vec::new(), 0);
        for &i in &self.moved.members {
            let n = all[i].elem_count();
            if keep(i) {
                members.push(i);
                ranges.push((at, n));
            }
            at += n;
        }
        if members.is_empty() {
            return Ok(None);
        }
        let cut = |whole: &Tensor| -> Result<Tensor> {
            let rows = ranges.iter().map(|&(at, n)| whole.narrow(0, at, n));
            join(rows.collect::<candle_core::Result<Vec<_>>>()?.into_iter())
        };
        let moved = Moved {
            members,
            m: cut(&self.moved.m)?,
            v: cut(&self.moved.v)?,
            steps: self.moved.steps,
        };
        let joined = self.joined.as_ref().map(cut).transpose()?;
        Ok(Some(Self { moved, joined }))
    }

    /// `None` if no member has one.
    fn gradient(&self, all: &[Var], gradients: &GradStore) -> Result<Option<Tensor>> {
        let of = |&i: &usize| gradients.get(all[i].as_tensor()).cloned();
        let mut found = self.moved.members.iter().filter_map(of).peekable();
        match (found.peek(), &self.joined) {
            (None, _) => Ok(None),
            (Some(own), None) => Ok(Some(own.detach())),
            (Some(_), Some(_)) => join(found).map(Some),
        }
    }

    fn value(&self, all: &[Var]) -> Tensor {
        match &self.joined {
            Some(value) => value.clone(),
            None => all[self.moved.members[0]].as_detached_tensor(),
        }
    }

    fn set(&mut self, all: &[Var], value: Tensor) -> Result<()> {
        if self.joined.is_none() {
            return Ok(all[self.moved.members[0]].set(&value)?);
        }
        let mut at = 0;
        for &i in &self.moved.members {
            let n = all[i].elem_count();
            all[i].set(&value.narrow(0, at, n)?.reshape(all[i].shape())?)?;
            at += n;
        }
        self.joined = Some(value);
        Ok(())
    }

    /// The value after a step from `value`; no tensor here is part of a graph.
    fn step(
        &mut self,
        value: &Tensor,
        gradient: &Tensor,
        (learning_rate, weight_decay): (f64, f64),
    ) -> Result<Tensor> {
        let Moved { m, v, steps, .. } = &mut self.moved;
        *steps += 1;
        *m = ((&*m * BETA1)? + (gradient * (1.0 - BETA1))?)?;
        *v = ((&*v * BETA2)? + (gradient.sqr()? * (1.0 - BETA2))?)?;
        let m_hat = (&*m * (1.0 / (1.0 - BETA1.powi(*steps))))?;
        let v_hat = (&*v * (1.0 / (1.0 - BETA2.powi(*steps))))?;
        let mut update = (m_hat / (v_hat.sqrt()? + EPSILON)?)?;
        if weight_decay > 0.0 {
            update = (update + (value * weight_decay)?)?;
        }
        Ok((value - (update * learning_rate)?)?)
    }

    fn resume(&mut self, from: &Moved) -> Result<()> {
        let own = &mut self.moved;
        let same = [from.m.dims(), from.v.dims()] == [own.m.dims(); 2]
            && [from.m.dtype(), from.v.dtype()] == [own.m.dtype(); 2];
        if !same {
            return Err(Error::request(format!(
                "expected moments of shape {:?} in {:?}; got {:?} in {:?}",
                own.m.dims(),
                own.m.dtype(),
                from.m.dims(),
                from.m.dtype()
            )));
        }
        let device = own.m.device().clone();
        (own.m, own.v) = (from.m.to_device(&device)?, from.v.to_device(&device)?);
        own.steps = from.steps;
        Ok(())
    }
}

impl Adam {
    /// Over these parameters: for [`Adam::step`] each in its own shape; for [`Adam::step_on_device`]
    /// `flat`, as one vector, so that values, gradients and moments are one tensor each and other
    /// writes to the parameters are overwritten by the next step.
    pub fn new(vars: Vec<Var>, weight_decay: f64, flat: bool) -> Result<Self> {
        let members: Vec<Vec<usize>> = match flat && !vars.is_empty() {
            true => vec![(0..vars.len()).collect()],
            false => (0..vars.len()).map(|i| vec![i]).collect(),
        };
        let groups = members.into_iter().map(|of| Group::new(&vars, of, flat));
        Ok(Self {
            groups: groups.collect::<Result<_>>()?,
            all: vars,
            flat,
            weight_decay,
            fault: None,
        })
    }

    /// The moments. Waits for the device.
    pub fn state(&self) -> OptimizerState {
        self.groups.iter().map(|g| g.moved.clone()).collect()
    }

    /// Continues from the moments of another optimizer of the same kind over the same parameters.
    ///
    /// # Errors
    /// If the parameters differ.
    pub fn resume(&mut self, from: &[Moved]) -> Result<()> {
        let expected = self.all.len();
        let members = from.iter().flat_map(|moved| moved.members.iter().copied());
        let mut members: Vec<usize> = members.collect();
        let got = members.len();
        members.sort_unstable();
        let alone = from.iter().all(|moved| moved.members.len() == 1);
        if !members.into_iter().eq(0..expected) || !(self.flat || alone) {
            return Err(Error::request(format!(
                "expected moments of {expected} parameters; got those of {got}"
            )));
        }
        let groups = from.iter().map(|moved| {
            let mut group = Group::new(&self.all, moved.members.clone(), self.flat)?;
            group.resume(moved)?;
            Ok(group)
        });
        self.groups = groups.collect::<Result<_>>()?;
        Ok(())
    }

    /// Norm of the gradient of all parameters together.
    pub fn gradient_norm(&self, gradients: &GradStore) -> Result<f64> {
        let mut sum = 0.0;
        for var in &self.all {
            if let Some(gradient) = gradients.get(var.as_tensor()) {
                let square = gradient.sqr()?.sum_all()?;
                sum += square.to_dtype(DType::F64)?.to_scalar::<f64>()?;
            }
        }
        Ok(sum.sqrt())
    }

    /// One step with every gradient multiplied by `scale` (the clipping factor).
    pub fn step(&mut self, gradients: &GradStore, scale: f64, learning_rate: f64) -> Result<()> {
        for group in &mut self.groups {
            let Some(gradient) = group.gradient(&self.all, gradients)? else {
                continue;
            };
            let value = group.value(&self.all);
            let rates = (learning_rate, self.weight_decay);
            let value = group.step(&value, &(gradient * scale)?, rates)?;
            group.set(&self.all, value)?;
        }
        Ok(())
    }

    /// One step that never waits for the device, and the norm of the gradient before clipping as a
    /// scalar on the device; `clip_norm` 0 does not clip. From the first step on whose loss or
    /// gradient is not finite, the parameters stay as they are.
    pub fn step_on_device(
        &mut self,
        gradients: &GradStore,
        loss: &Tensor,
        clip_norm: f64,
        learning_rate: f64,
    ) -> Result<Tensor> {
        self.split_by_gradient(gradients)?;
        let loss = loss.detach();
        let mut squares = loss.zeros_like()?;
        let mut moving = Vec::new();
        for group in &mut self.groups {
            if let Some(gradient) = group.gradient(&self.all, gradients)? {
                squares = (squares + gradient.sqr()?.sum_all()?)?;
                moving.push((group, gradient));
            }
        }
        let norm = squares.sqrt()?;
        // Neither infinity nor NaN survives a product with 0.
        let fault = ((&loss + &norm)? * 0.0)?;
        let fault = match &self.fault {
            Some(before) => (before + fault)?,
            None => fault,
        };
        let sound = fault.eq(&fault.zeros_like()?)?;
        self.fault = Some(fault);
        let scale = match clip_norm {
            clip if clip > 0.0 => Some((norm.recip()? * clip)?.minimum(1.0)?),
            _ => None,
        };
        for (group, mut gradient) in moving {
            if let Some(scale) = &scale {
                gradient = gradient.broadcast_mul(scale)?;
            }
            let before = group.value(&self.all);
            let rates = (learning_rate, self.weight_decay);
            let after = group.step(&before, &gradient, rates)?;
            let sound = sound.broadcast_as(after.shape())?;
            group.set(&self.all, sound.where_cond(&after, &before)?)?;
        }
        Ok(norm)
    }

    /// Splits groups of which only some members have a gradient: the others keep their moments and
    /// the number of their steps.
    fn split_by_gradient(&mut self, gradients: &GradStore) -> Result<()> {
        let moves = |i: usize| gradients.get(self.all[i].as_tensor()).is_some();
        let uniform = |group: &Group| {
            let mut members = group.moved.members.iter().map(|&i| moves(i));
            let first = members.next();
            members.all(|other| Some(other) == first)
        };
        if self.groups.iter().all(uniform) {
            return Ok(());
        }
        let mut parts = Vec::new();
        for group in &self.groups {
            parts.extend(group.part(&self.all, moves)?);
            parts.extend(group.part(&self.all, |i| !moves(i))?);
        }
        self.groups = parts;
        Ok(())
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
        let mut adam = Adam::new(vec![var.clone()], 0.1, false).unwrap();
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

    /// Three parameters, of which one has no gradient in some steps, with clipping and decay; the
    /// flat form goes through a checkpoint after every step.
    #[test]
    fn both_forms_take_the_same_steps() {
        let make = || {
            let mut rng = crate::rng::Rng::new(3);
            [(2, 3), (4, 1), (1, 1)]
                .map(|shape| rng.normal_tensor(shape, DType::F64, &Device::Cpu).unwrap())
                .map(|start| Var::from_tensor(&start).unwrap())
                .to_vec()
        };
        let loss = |vars: &[Var], step: usize| {
            let mut loss = vars[0].sqr().unwrap().sum_all().unwrap();
            loss = (loss + vars[2].exp().unwrap().sum_all().unwrap()).unwrap();
            if step % 3 != 1 {
                let more = vars[1].sqr().unwrap().sqr().unwrap().sum_all().unwrap();
                loss = (loss + more).unwrap();
            }
            loss
        };
        for clip in [0.0, 1.0] {
            let (vars, flat_vars) = (make(), make());
            let mut adam = Adam::new(vars.clone(), 0.1, false).unwrap();
            let mut flat = Adam::new(flat_vars.clone(), 0.1, true).unwrap();
            for step in 0..20 {
                let gradients = loss(&vars, step).backward().unwrap();
                let norm = adam.gradient_norm(&gradients).unwrap();
                let clipped = clip > 0.0 && norm > clip;
                let scale = if clipped { clip / norm } else { 1.0 };
                adam.step(&gradients, scale, 0.05).unwrap();
                let value = loss(&flat_vars, step);
                let gradients = value.backward().unwrap();
                let flat_norm = flat.step_on_device(&gradients, &value, clip, 0.05).unwrap();
                let flat_norm = flat_norm.to_scalar::<f64>().unwrap();
                assert!((norm - flat_norm).abs() < 1e-12 * norm, "step {step}");
                for (a, b) in vars.iter().zip(&flat_vars) {
                    let off = (a.as_tensor() - b.as_tensor()).unwrap().abs().unwrap();
                    let off = off.max_all().unwrap().to_scalar::<f64>().unwrap();
                    assert!(off < 1e-13, "clip {clip}, step {step}: {off}");
                }
                let state = flat.state();
                assert_eq!(state.len(), if step == 0 { 1 } else { 2 });
                flat = Adam::new(flat_vars.clone(), 0.1, true).unwrap();
                flat.resume(&state).unwrap();
            }
            // Neither form takes the moments of the other.
            assert!(flat.resume(&adam.state()).is_err());
            assert!(adam.resume(&flat.state()).is_err());
            assert!(adam.resume(&adam.state()[1..]).is_err());
        }
    }

    #[test]
    fn after_a_fault_the_parameters_stay_as_they_are() {
        for fault in [f64::NAN, f64::INFINITY] {
            let start = Tensor::new(&[1f64, 2.0], &Device::Cpu).unwrap();
            let var = Var::from_tensor(&start).unwrap();
            let mut flat = Adam::new(vec![var.clone()], 0.0, true).unwrap();
            let mut seen = Vec::new();
            for factor in [1.0, fault, 1.0] {
                let loss = (var.sqr().unwrap().sum_all().unwrap() * factor).unwrap();
                let gradients = loss.backward().unwrap();
                flat.step_on_device(&gradients, &loss, 5.0, 0.1).unwrap();
                seen.push(var.to_vec1::<f64>().unwrap());
            }
            assert!((seen[0][0] - 0.9).abs() < 1e-6, "{seen:?}");
            assert_eq!(seen[1], seen[0]);
            assert_eq!(seen[2], seen[0]);
        }
    }
}
