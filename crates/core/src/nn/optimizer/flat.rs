//! Adam over one tensor of all parameters.

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};

use super::{other_parameters, Moments, Moved, OptimizerState};
use crate::Result;

/// [`Adam`](super::Adam) with clipping for a device that must not wait for the host: the parameters, their
/// gradients and moments are one tensor each, and the host reads nothing.
///
/// What else writes to the parameters is overwritten by the next step.
pub struct FlatAdam {
    all: Vec<Var>,
    groups: Vec<Group>,
    weight_decay: f64,
    clip_norm: f64,
    // 0, and NaN from the first loss or gradient on that is not finite.
    fault: Option<Tensor>,
}

/// Parameters that had a gradient in the same steps.
struct Group {
    vars: Vec<Var>,
    value: Tensor,
    moments: Moments,
}

fn flat(tensors: &[Tensor]) -> Result<Tensor> {
    let rows = tensors
        .iter()
        .map(|t| Ok(t.detach().flatten_all()?))
        .collect::<Result<Vec<_>>>()?;
    Ok(Tensor::cat(&rows, 0)?)
}

impl Group {
    fn new(vars: Vec<Var>) -> Result<Self> {
        let values: Vec<_> = vars.iter().map(|v| v.as_tensor().clone()).collect();
        let value = flat(&values)?;
        Ok(Self {
            moments: Moments::zero(&value)?,
            value,
            vars,
        })
    }

    /// The members that `keep` names, on their own.
    fn part(&self, keep: impl Fn(&Var) -> bool) -> Result<Option<Self>> {
        let (mut vars, mut rows, mut at) = (Vec::new(), [const { Vec::new() }; 3], 0);
        for var in &self.vars {
            let n = var.elem_count();
            if keep(var) {
                vars.push(var.clone());
                for (rows, all) in
                    rows.iter_mut()
                        .zip([&self.value, &self.moments.m, &self.moments.v])
                {
                    rows.push(all.narrow(0, at, n)?);
                }
            }
            at += n;
        }
        if vars.is_empty() {
            return Ok(None);
        }
        let [value, m, v] = rows;
        Ok(Some(Self {
            vars,
            value: flat(&value)?,
            moments: Moments {
                m: flat(&m)?,
                v: flat(&v)?,
                step: self.moments.step,
            },
        }))
    }

    /// `None` if no member has one.
    fn gradient(&self, gradients: &GradStore) -> Result<Option<Tensor>> {
        let found: Vec<_> = self
            .vars
            .iter()
            .filter_map(|v| gradients.get(v.as_tensor()).cloned())
            .collect();
        match found.len() {
            0 => Ok(None),
            _ => flat(&found).map(Some),
        }
    }

    fn set(&mut self, value: Tensor) -> Result<()> {
        let mut at = 0;
        for var in &self.vars {
            let n = var.elem_count();
            var.set(&value.narrow(0, at, n)?.reshape(var.shape())?)?;
            at += n;
        }
        self.value = value;
        Ok(())
    }
}

impl FlatAdam {
    /// Over these parameters; `clip_norm` 0 does not clip.
    pub fn new(vars: Vec<Var>, weight_decay: f64, clip_norm: f64) -> Result<Self> {
        let groups = match vars.len() {
            0 => Vec::new(),
            _ => vec![Group::new(vars.clone())?],
        };
        Ok(Self {
            all: vars,
            groups,
            weight_decay,
            clip_norm,
            fault: None,
        })
    }

    /// Where it stands. Waits for the device.
    pub fn state(&self) -> OptimizerState {
        let place = |var: &Var| {
            let same = |other: &Var| other.as_tensor().id() == var.as_tensor().id();
            self.all.iter().position(same)
        };
        let members = |group: &Group| group.vars.iter().filter_map(place).collect();
        let groups = self.groups.iter();
        groups.map(|g| g.moments.state(members(g))).collect()
    }

    /// Goes on from where another one over the same parameters stood.
    ///
    /// # Errors
    /// If those were others.
    pub fn resume(&mut self, from: &[Moved]) -> Result<()> {
        let count = from.iter().map(|moved| moved.members.len()).sum();
        let mut groups = Vec::new();
        for moved in from {
            let vars = moved.members.iter().map(|&i| self.all.get(i).cloned());
            let vars = vars.collect::<Option<Vec<_>>>();
            let vars = vars.ok_or_else(|| other_parameters(self.all.len(), count))?;
            let mut group = Group::new(vars)?;
            group.moments = Moments::of(moved, &group.value)?;
            groups.push(group);
        }
        if count != self.all.len() {
            return Err(other_parameters(self.all.len(), count));
        }
        self.groups = groups;
        Ok(())
    }

    /// One step, and the norm of the gradient before clipping as a scalar on the device. From the
    /// first step on whose loss or gradient is not finite, the parameters stay as they are.
    pub fn step(
        &mut self,
        gradients: &GradStore,
        loss: &Tensor,
        learning_rate: f64,
    ) -> Result<Tensor> {
        self.part_where_gradients_end(gradients)?;
        let loss = loss.detach();
        let mut squares = loss.zeros_like()?;
        let mut moving = Vec::new();
        for group in &mut self.groups {
            if let Some(gradient) = group.gradient(gradients)? {
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
        let scale = match self.clip_norm {
            clip if clip > 0.0 => Some((norm.recip()? * clip)?.minimum(1.0)?),
            _ => None,
        };
        for (group, mut gradient) in moving {
            if let Some(scale) = &scale {
                gradient = gradient.broadcast_mul(scale)?;
            }
            let rates = (learning_rate, self.weight_decay);
            let value = group.moments.step(&group.value, &gradient, rates)?;
            let sound = sound.broadcast_as(value.shape())?;
            group.set(sound.where_cond(&value, &group.value)?)?;
        }
        Ok(norm)
    }

    /// A parameter without a gradient keeps its moments and their age, so it leaves those that move.
    fn part_where_gradients_end(&mut self, gradients: &GradStore) -> Result<()> {
        let moves = |var: &Var| gradients.get(var.as_tensor()).is_some();
        let same = |group: &Group| {
            let count = group.vars.iter().filter(|v| moves(v)).count();
            count == 0 || count == group.vars.len()
        };
        if self.groups.iter().all(same) {
            return Ok(());
        }
        let mut parts = Vec::new();
        for group in &self.groups {
            parts.extend(group.part(moves)?);
            parts.extend(group.part(|v| !moves(v))?);
        }
        self.groups = parts;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Adam;
    use super::*;
    use candle_core::{DType, Device};

    /// Three parameters, of which one has no gradient in some steps, with clipping and decay.
    #[test]
    fn the_flat_form_takes_the_same_steps() {
        let make = || -> Vec<Var> {
            let shapes: [&[usize]; 3] = [&[2, 3], &[4], &[1, 1]];
            let mut rng = crate::rng::Rng::new(3);
            let start = |shape: &[usize]| {
                let start = rng.normal_tensor(shape, DType::F64, &Device::Cpu).unwrap();
                Var::from_tensor(&start).unwrap()
            };
            shapes.into_iter().map(start).collect()
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
            let mut adam = Adam::new(vars.clone(), 0.1).unwrap();
            let mut flat = FlatAdam::new(flat_vars.clone(), 0.1, clip).unwrap();
            for step in 0..20 {
                let gradients = loss(&vars, step).backward().unwrap();
                let norm = adam.gradient_norm(&gradients).unwrap();
                let scale = if clip > 0.0 && norm > clip {
                    clip / norm
                } else {
                    1.0
                };
                adam.step(&gradients, scale, 0.05).unwrap();
                let value = loss(&flat_vars, step);
                let gradients = value.backward().unwrap();
                let flat_norm = flat.step(&gradients, &value, 0.05).unwrap();
                let flat_norm = flat_norm.to_scalar::<f64>().unwrap();
                assert!((norm - flat_norm).abs() < 1e-12 * norm, "step {step}");
                for (a, b) in vars.iter().zip(&flat_vars) {
                    let off = (a.as_tensor() - b.as_tensor()).unwrap().abs().unwrap();
                    let off = off.max_all().unwrap().to_scalar::<f64>().unwrap();
                    assert!(off < 1e-13, "clip {clip}, step {step}: {off}");
                }
            }
            assert_eq!(flat.groups.len(), 2);
        }
    }

    #[test]
    fn after_a_fault_the_flat_form_stands_still() {
        for fault in [f64::NAN, f64::INFINITY] {
            let start = Tensor::new(&[1f64, 2.0], &Device::Cpu).unwrap();
            let var = Var::from_tensor(&start).unwrap();
            let mut flat = FlatAdam::new(vec![var.clone()], 0.0, 5.0).unwrap();
            let mut seen = Vec::new();
            for factor in [1.0, fault, 1.0] {
                let loss = (var.sqr().unwrap().sum_all().unwrap() * factor).unwrap();
                let gradients = loss.backward().unwrap();
                flat.step(&gradients, &loss, 0.1).unwrap();
                seen.push(var.to_vec1::<f64>().unwrap());
            }
            assert!((seen[0][0] - 0.9).abs() < 1e-6, "{seen:?}");
            assert_eq!(seen[1], seen[0]);
            assert_eq!(seen[2], seen[0]);
        }
    }
}
