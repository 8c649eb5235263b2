//! Several bijections, one after the other.

use candle_core::Tensor;

use super::{Bijection, BijectionSpec, Built};
use crate::nn::Params;
use crate::Result;

/// f = f_L o ... o f_1, the first member nearest the base.
///
/// - forward: x = f_L(... f_1(z))
/// - its log-det: the sum of the members' forward log-dets along the way
/// - inverse: z = f_1^-1(... f_L^-1(x))
/// - its log-det: the sum of the members' inverse log-dets along the way
pub struct Chain {
    members: Vec<Box<dyn Bijection>>,
    dim: usize,
}

impl Chain {
    /// Members in the order from base to data, all of `dim` coordinates.
    pub fn new(members: Vec<Box<dyn Bijection>>, dim: usize) -> Self {
        Self { members, dim }
    }
}

impl Bijection for Chain {
    fn dim(&self) -> usize {
        self.dim
    }

    fn forward_and_log_det(&self, z: &Tensor) -> Result<(Tensor, Tensor)> {
        accumulate(z, self.members.iter(), |m, v| m.forward_and_log_det(v))
    }

    fn inverse_and_log_det(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        accumulate(x, self.members.iter().rev(), |m, v| {
            m.inverse_and_log_det(v)
        })
    }

    fn kernel(&self) -> Option<Vec<mdn_kernels::Layer<Tensor>>> {
        let members = self.members.iter().rev().map(|m| m.kernel());
        Some(members.collect::<Option<Vec<_>>>()?.concat())
    }
}

fn accumulate<'a>(
    start: &Tensor,
    members: impl Iterator<Item = &'a Box<dyn Bijection>>,
    apply: impl Fn(&dyn Bijection, &Tensor) -> Result<(Tensor, Tensor)>,
) -> Result<(Tensor, Tensor)> {
    let mut value = start.clone();
    let mut total: Option<Tensor> = None;
    for member in members {
        let (next, log_det) = apply(member.as_ref(), &value)?;
        value = next;
        total = Some(match total {
            Some(total) => (total + log_det)?,
            None => log_det,
        });
    }
    match total {
        Some(total) => Ok((value, total)),
        None => {
            let zero = start.zeros_like()?.sum(1)?;
            Ok((value, zero))
        }
    }
}

/// Builds the members from the data side to the base side, so that each one sees the training
/// points as its neighbours on the data side leave them.
pub fn build(
    specs: &[BijectionSpec],
    params: &Params,
    dim: usize,
    mut points: Option<Tensor>,
) -> Result<Built> {
    let mut members = Vec::with_capacity(specs.len());
    for (i, spec) in specs.iter().enumerate().rev() {
        let (member, pulled) = spec.build(&params.at(i), dim, points)?;
        points = pulled;
        members.push(member);
    }
    members.reverse();
    Ok((Box::new(Chain::new(members, dim)), points))
}
