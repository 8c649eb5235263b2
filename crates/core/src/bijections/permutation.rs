//! A fixed reordering of the coordinates.

use candle_core::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{built, Bijection, Built, Settings};
use crate::nn::{Extent, Params};
use crate::{num, Error, Result};

/// `permutation = { order = "reverse" }`
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PermutationSpec {
    /// Which order.
    pub order: Order,
}

/// The order of a fixed permutation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Last coordinate first.
    #[default]
    Reverse,
    /// Drawn once from the run's seed.
    Shuffle,
}

impl Settings for PermutationSpec {
    fn extent(&self, dim: usize) -> Extent {
        Extent::layer(dim, 0.0)
    }

    fn build(&self, params: &Params, dim: usize, points: Option<Tensor>) -> Result<Built> {
        built(Permutation::new(params, dim, self.order)?, points)
    }
}

/// x_d = z_{o_d} for a fixed order o.
///
/// - forward: the columns of z in the order `order`
/// - its log-det: 0
/// - inverse: the columns of x in the inverse order
/// - its log-det: 0
pub struct Permutation {
    order: Tensor,
    inverse: Tensor,
}

impl Permutation {
    /// The order is saved with the model.
    pub fn new(params: &Params, dim: usize, order: Order) -> Result<Self> {
        let order = params.param("order", dim, false, |rng| {
            let order: Vec<u32> = match order {
                Order::Reverse => (0..dim as u32).rev().collect(),
                Order::Shuffle => rng.permutation(dim).iter().map(|&i| i as u32).collect(),
            };
            Ok(Tensor::from_vec(order, dim, &Device::Cpu)?)
        })?;
        let mut inverse = vec![u32::MAX; dim];
        for (to, from) in order.to_vec1::<u32>()?.into_iter().enumerate() {
            match inverse.get_mut(from as usize) {
                Some(slot) if *slot == u32::MAX => *slot = to as u32,
                _ => {
                    return Err(Error::request(format!(
                        "permutation: expected each of 0..{dim} once; got {from} again or too large"
                    )))
                }
            }
        }
        let inverse = Tensor::from_vec(inverse, dim, order.device())?;
        Ok(Self { order, inverse })
    }

    /// The inverse map.
    pub fn inverse(&self) -> Self {
        Self {
            order: self.inverse.clone(),
            inverse: self.order.clone(),
        }
    }

    fn reorder(&self, v: &Tensor, order: &Tensor) -> Result<(Tensor, Tensor)> {
        let n = num::expect_points("permutation", v, self.dim())?;
        let zero = Tensor::zeros(n, v.dtype(), v.device())?;
        Ok((v.index_select(order, 1)?, zero))
    }
}

impl Bijection for Permutation {
    fn dim(&self) -> usize {
        self.order.elem_count()
    }

    fn forward_and_log_det(&self, z: &Tensor) -> Result<(Tensor, Tensor)> {
        self.reorder(z, &self.order)
    }

    fn inverse_and_log_det(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        self.reorder(x, &self.inverse)
    }

    fn kernel(&self) -> Option<Vec<mdn_kernels::Layer<Tensor>>> {
        let order = self.inverse.to_vec1::<u32>().ok()?;
        Some(vec![mdn_kernels::Layer::Permutation {
            order: order.into_iter().map(|d| d as usize).collect(),
        }])
    }
}
