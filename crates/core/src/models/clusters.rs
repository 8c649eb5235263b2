//! A flow per cluster (piecewise normalizing flows, Bevins et al. 2023). Unlike RAD's parts, clusters
//! are fixed before training and their densities overlap.

use candle_core::{DType, Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::flow::Flow;
use super::{FlowSpec, Model, ModelSpec, Settings, Start};
use crate::bijections::affine::{standardise, Elementwise};
use crate::bijections::{AffineCouplingSpec, Bijection, BijectionSpec};
use crate::distributions::{Distribution, Draws};
use crate::em::{Count, Gaussians};
use crate::error::BadValue;
use crate::nn::{Extent, Params};
use crate::num;
use crate::rng::Rng;
use crate::{Error, Result};
use mdn_kernels::Isa;
use parts::clustering;

mod parts;

/// How points are parted into clusters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Partition {
    /// By the nearest of K centres.
    KMeans,
    /// By the likeliest of K Gaussians that EM fits: clusters may be small, tight, long, or inside another.
    GaussianMixture,
}

/// `[models.NAME.clusters]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClustersSpec {
    /// K; chosen by the best silhouette between 2 and `max_clusters` if absent; `"bic"`: that of the mixture of
    /// Gaussians with the least BIC, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clusters: Option<Count>,
    /// Largest K that the silhouette or BIC may choose.
    pub max_clusters: usize,
    /// How points are parted: `k_means` if absent, `gaussian_mixture` where BIC chooses K.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<Partition>,
    /// The map of each cluster's flow (a standard normal base stands behind it).
    pub bijection: BijectionSpec,
    /// Share of the training steps, at the end, that train all flows and weights jointly on the
    /// density of the whole mixture.
    pub fine_tune: f64,
}

impl Default for ClustersSpec {
    fn default() -> Self {
        Self {
            clusters: None,
            max_clusters: 20,
            partition: None,
            bijection: BijectionSpec::AffineCoupling(AffineCouplingSpec {
                layers: 4,
                hidden: vec![32, 32],
                ..AffineCouplingSpec::default()
            }),
            fine_tune: 0.0,
        }
    }
}

impl Settings for ClustersSpec {
    fn name(&self) -> &'static str {
        "clusters"
    }

    /// Clusters the points and builds a standardised flow on each cluster's points.
    fn build(&self, params: &Params, dim: usize, points: Option<Tensor>) -> Result<Box<dyn Model>> {
        let scale = standardise(&params.at("standardise"), dim, points.as_ref(), None)?;
        let found = match &points {
            Some(points) if !params.is_loading() => Some(clustering(self, params, &scale, points)?),
            _ => None,
        };
        let centres = params.any_shape("centres", false, |_| match &found {
            Some(found) => num::from_rows(&found.parts.means, dim, DType::F64, &Device::Cpu),
            // To count parameters.
            None if params.is_loading() => {
                let shape = (self.given().unwrap_or(0), dim);
                Ok(Tensor::zeros(shape, DType::F64, &Device::Cpu)?)
            }
            None => Err(Error::request(
                "clusters: expected training points; got none",
            )),
        })?;
        let k = centres.dim(0)?;
        let means = num::to_vec(&centres)?;
        let parts = parts::stored(self.partition(), params, means, dim, found.as_ref())?;
        let logits = params.param("logits", (1, k), self.fine_tune > 0.0, |_| {
            let labels = found.as_ref().map_or(&[][..], |found| &found.labels);
            let size = |k: usize| labels.iter().filter(|label| **label == k).count();
            let logs: Vec<f64> = (0..k).map(|k| (size(k) as f64).ln()).collect();
            Ok(Tensor::from_vec(logs, (1, k), &Device::Cpu)?)
        })?;
        let flow = FlowSpec {
            bijection: self.bijection.clone(),
            ..FlowSpec::default()
        };
        let flow_of = |k: usize| {
            let own = match (&points, &found) {
                (Some(points), Some(found)) => {
                    let labels = found.labels.iter().zip(0u32..);
                    let own = labels.filter_map(|(label, i)| (*label == k).then_some(i));
                    let own = Tensor::new(own.collect::<Vec<_>>(), points.device())?;
                    Some(points.index_select(&own, 0)?)
                }
                _ => None,
            };
            Flow::build(&flow, &params.at(k), dim, own, points.as_ref())
        };
        let flows = (0..k).map(flow_of).collect::<Result<_>>()?;
        Ok(Box::new(Clusters {
            scale,
            parts,
            logits,
            flows,
            dim,
            fine_tune: self.fine_tune,
        }))
    }

    fn check(&self) -> std::result::Result<(), BadValue> {
        if let Some(k) = self.given() {
            BadValue::within("clusters", k, 1, 10_000)?;
        }
        BadValue::within("max_clusters", self.max_clusters, 2, 1000)?;
        BadValue::within("fine_tune", self.fine_tune, 0.0, 1.0)?;
        self.bijection.check().map_err(|e| e.below("bijection"))
    }

    fn extent(&self, dim: usize, _drawn: Option<usize>) -> Extent {
        let one = self.bijection.extent(dim);
        let all = one.times(self.given().unwrap_or(self.max_clusters) as f64);
        // Before fine-tuning a point trains only the flow of its own cluster.
        let trained = if self.fine_tune > 0.0 { all } else { one };
        Extent {
            per_point: trained.per_point,
            ..all
        }
    }

    fn start(&self) -> Option<Start> {
        Start::always(self.name(), ".clusters", self.given().unwrap_or(1))
    }

    fn is_sized_by_points(&self) -> bool {
        self.given().is_none()
    }

    fn settle(&self, params: &Params, points: &Tensor) -> Result<Option<ModelSpec>> {
        let (_, dim) = points.dims2()?;
        let clusters = match self.given() {
            Some(k) => k,
            None => {
                let own = params.again()?.at("standardise");
                let scale = standardise(&own, dim, Some(points), None)?;
                clustering(self, params, &scale, points)?.parts.len()
            }
        };
        Ok(Some(ModelSpec::Clusters(Self {
            clusters: Some(Count::Given(clusters)),
            partition: Some(self.partition()).filter(|p| *p != Partition::KMeans),
            ..self.clone()
        })))
    }
}

impl ClustersSpec {
    /// K, where it is given.
    fn given(&self) -> Option<usize> {
        self.clusters.and_then(Count::given)
    }

    fn partition(&self) -> Partition {
        let usual = match self.clusters {
            Some(Count::Bic) => Partition::GaussianMixture,
            _ => Partition::KMeans,
        };
        self.partition.unwrap_or(usual)
    }
}

/// q(x) = sum_k w_k q_k(x): a flow q_k per cluster of the standardised training points, the weights being the
/// clusters' shares.
pub struct Clusters {
    /// From coordinates of unit variance, in which the parts are given, to those of the data:
    /// clusters do not depend on the data's units.
    scale: Elementwise,
    /// A point belongs to the likeliest one.
    parts: Gaussians,
    logits: Tensor,
    flows: Vec<Flow>,
    dim: usize,
    fine_tune: f64,
}

impl Clusters {
    /// log(w_k q_k(x)) of every cluster: (n, K).
    fn log_joint(&self, x: &Tensor) -> Result<Tensor> {
        num::expect_points("clusters", x, self.dim)?;
        let columns = self
            .flows
            .iter()
            .map(|flow| Ok(flow.log_prob(x)?.unsqueeze(1)?))
            .collect::<Result<Vec<_>>>()?;
        let weights = num::log_softmax(&self.logits)?;
        Ok(Tensor::cat(&columns, 1)?.broadcast_add(&weights)?)
    }

    fn weights(&self) -> Result<Vec<f64>> {
        Ok(num::to_vec(&num::log_softmax(&self.logits)?)?
            .into_iter()
            .map(f64::exp)
            .collect())
    }

    /// Rows of `x` (n, dim) by likeliest part.
    fn assign(&self, x: &Tensor) -> Result<Vec<Vec<u32>>> {
        let rows = num::to_vec(&self.scale.inverse_and_log_det(x)?.0)?;
        let mut members = vec![Vec::new(); self.flows.len()];
        for (i, k) in self.parts.likeliest(&rows).into_iter().enumerate() {
            members[k].push(i as u32);
        }
        Ok(members)
    }

    /// `f` of every point (n, dim) with the flow of its likeliest cluster.
    fn through_likeliest(
        &self,
        x: &Tensor,
        f: impl Fn(&Flow, &Tensor) -> Result<Option<Tensor>>,
    ) -> Result<Option<Tensor>> {
        let of = self.log_joint(x)?.argmax(1)?.to_vec1::<u32>()?;
        let mut carried = Vec::new();
        let mut order = Vec::new();
        for (k, flow) in self.flows.iter().enumerate() {
            let own: Vec<u32> = (0..of.len() as u32)
                .filter(|&i| of[i as usize] == k as u32)
                .collect();
            if own.is_empty() {
                continue;
            }
            let rows = Tensor::from_slice(&own, own.len(), x.device())?;
            carried.extend(f(flow, &x.index_select(&rows, 0)?)?);
            order.extend(own);
        }
        let mut place = vec![0u32; order.len()];
        for (at, i) in order.into_iter().enumerate() {
            place[i as usize] = at as u32;
        }
        let n = place.len();
        let place = Tensor::from_vec(place, n, x.device())?;
        Ok(Some(Tensor::cat(&carried, 0)?.index_select(&place, 0)?))
    }
}

impl Distribution for Clusters {
    fn dim(&self) -> usize {
        self.dim
    }

    fn log_prob(&self, x: &Tensor) -> Result<Tensor> {
        num::log_sum_exp(&self.log_joint(x)?, 1)
    }

    fn sample(&self, n: usize, rng: &mut Rng) -> Result<Tensor> {
        let weights = self.weights()?;
        let chosen: Vec<usize> = (0..n).map(|_| rng.categorical(&weights)).collect();
        let mut rows: Vec<Option<Vec<f64>>> = vec![None; n];
        for (k, flow) in self.flows.iter().enumerate() {
            let members: Vec<usize> = (0..n).filter(|&i| chosen[i] == k).collect();
            if members.is_empty() {
                continue;
            }
            let own = num::to_vec(&flow.sample(members.len(), rng)?)?;
            for (i, row) in members.into_iter().zip(own.chunks_exact(self.dim)) {
                rows[i] = Some(row.to_vec());
            }
        }
        let rows: Vec<f64> = rows.into_iter().flatten().flatten().collect();
        num::from_rows(&rows, self.dim, self.logits.dtype(), self.logits.device())
    }

    /// Stratified over the clusters: n_k samples of each flow, weighted w_k / n_k.
    fn draws(&self, n: usize, progress: f64, rng: &mut Rng) -> Result<Draws> {
        let log_weights = num::log_softmax(&self.logits)?.squeeze(0)?;
        let mut x = Vec::new();
        let mut log_weight = Vec::new();
        let mut strata = Some(Vec::new());
        for (k, (flow, weight)) in self.flows.iter().zip(self.weights()?).enumerate() {
            let count = ((weight * n as f64).ceil() as usize).max(1);
            let own = flow.draws(count, progress, rng)?;
            strata = strata.zip(own.strata).map(|(all, own)| [all, own].concat());
            let share = log_weights.narrow(0, k, 1)?;
            log_weight.push(own.log_weight.broadcast_add(&share)?);
            x.push(own.x);
        }
        let x = Tensor::cat(&x, 0)?;
        Ok(Draws {
            log_prob: self.log_prob(&x)?,
            log_weight: Tensor::cat(&log_weight, 0)?,
            x,
            strata,
        })
    }

    /// P(cluster k | x).
    fn responsibilities(&self, x: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(num::log_softmax(&self.log_joint(x)?)?.exp()?))
    }

    fn part(&self, x: &Tensor) -> Result<Option<Vec<u64>>> {
        let best = self.log_joint(x)?.argmax(1)?.to_vec1::<u32>()?;
        Ok(Some(best.into_iter().map(u64::from).collect()))
    }
}

impl Model for Clusters {
    fn phases(&self) -> Vec<f64> {
        match self.fine_tune {
            f if f <= 0.0 => vec![1.0],
            f => vec![1.0 - f, f],
        }
    }

    /// By the flow of the point's likeliest cluster.
    fn to_base(&self, x: &Tensor) -> Result<Option<Tensor>> {
        self.through_likeliest(x, |flow, own| flow.to_base(own))
    }

    fn round_trip(&self, x: &Tensor) -> Result<Option<Tensor>> {
        self.through_likeliest(x, |flow, own| flow.round_trip(own))
    }

    fn kernels(&self) -> Option<Isa> {
        self.flows.first().and_then(Flow::kernels)
    }

    /// In the first phase log(w_k q_k(x)) for the cluster k that the point belongs to, so that each flow
    /// learns from its own points: a lower bound of log q(x). In the second phase log q(x).
    fn training_log_prob(&self, phase: usize, x: &Tensor, _rng: &mut Rng) -> Result<Tensor> {
        if phase > 0 {
            return self.log_prob(x);
        }
        let log_weights = num::log_softmax(&self.logits)?.detach().squeeze(0)?;
        let mut values = Vec::new();
        for (k, members) in self.assign(x)?.into_iter().enumerate() {
            if members.is_empty() {
                continue;
            }
            let n = members.len();
            let own = x.index_select(&Tensor::from_vec(members, n, x.device())?, 0)?;
            let weight = log_weights.narrow(0, k, 1)?;
            values.push(self.flows[k].log_prob(&own)?.broadcast_add(&weight)?);
        }
        Ok(Tensor::cat(&values, 0)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four clusters in a square: were it stretched along x, two would do.
    #[test]
    fn the_number_of_clusters_does_not_depend_on_units() {
        let rng = &mut Rng::new(2);
        let mut rows = Vec::new();
        for i in 0..200 {
            let corner = [f64::from(i % 2), f64::from(i / 2 % 2)];
            rows.extend(corner.map(|c| 10.0 * c + 0.3 * rng.normal()));
        }
        let spec = ClustersSpec {
            max_clusters: 6,
            ..ClustersSpec::default()
        };
        for unit in [1.0, 1e3, 1e-3] {
            let scaled: Vec<f64> = (rows.chunks_exact(2))
                .flat_map(|row| [row[0] * unit, row[1]])
                .collect();
            let points = num::from_rows(&scaled, 2, DType::F64, &Device::Cpu).unwrap();
            let params = Params::seeded(Rng::new(1), DType::F64, &Device::Cpu);
            let settled = spec.settle(&params, &points).unwrap();
            let four = ClustersSpec {
                clusters: Some(Count::Given(4)),
                ..spec.clone()
            };
            assert_eq!(settled, Some(ModelSpec::Clusters(four)), "unit {unit}");
        }
    }
}
