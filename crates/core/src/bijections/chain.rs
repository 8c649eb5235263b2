//! Several bijections, one after the other.

use candle_core::Tensor;

use super::{Bijection, BijectionSpec, Built, Settings};
use crate::error::BadValue;
use crate::nn::{Extent, Params};
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
    let total = total.map_or_else(|| start.zeros_like()?.sum(1), Ok)?;
    Ok((value, total))
}

/// The members' settings, from base to data.
pub(super) struct Members<'a>(pub &'a [BijectionSpec]);

impl Settings for Members<'_> {
    fn check(&self) -> Result<(), BadValue> {
        BadValue::unless(!self.0.is_empty(), "", "at least one member", "[]")?;
        self.0.iter().try_for_each(BijectionSpec::check)
    }

    fn extent(&self, dim: usize) -> Extent {
        let members = self.0.iter().map(|m| m.extent(dim));
        members.fold(Extent::default(), |a, b| a + b)
    }

    /// Builds the members from the data side to the base side, so that each one sees the training
    /// points as its neighbours on the data side leave them.
    fn build(&self, params: &Params, dim: usize, mut points: Option<Tensor>) -> Result<Built> {
        let mut members = Vec::with_capacity(self.0.len());
        for (i, spec) in self.0.iter().enumerate().rev() {
            let (member, pulled) = spec.build(&params.at(i), dim, points)?;
            points = pulled;
            members.push(member);
        }
        members.reverse();
        Ok((Box::new(Chain::new(members, dim)), points))
    }
}
