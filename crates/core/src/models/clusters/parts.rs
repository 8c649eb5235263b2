//! The parts that points fall into.

use candle_core::{Device, Tensor};

use super::{ClustersSpec, Partition};
use crate::bijections::Bijection;
use crate::em::{self, Count, Fitting, Gaussians};
use crate::kmeans::{self, best_silhouette};
use crate::nn::Params;
use crate::num;
use crate::{Error, Result};

/// Clusters of points.
pub(super) struct Parted {
    /// In coordinates of unit variance; none is without points.
    pub parts: Gaussians,
    /// The likeliest part of each point.
    pub labels: Vec<usize>,
}

/// The clusters of the standardised points.
pub(super) fn clustering(
    spec: &ClustersSpec,
    params: &Params,
    scale: &dyn Bijection,
    points: &Tensor,
) -> Result<Parted> {
    let (_, dim) = points.dims2()?;
    let rng = params.stream("centres")?;
    let scaled = num::to_vec(&scale.inverse_and_log_det(points)?.0)?;
    let by_kmeans = || match spec.given() {
        Some(k) => kmeans::kmeans(&scaled, dim, k, 10, &rng),
        None => best_silhouette(&scaled, dim, spec.max_clusters, &rng),
    };
    let by_em = |components: Count| {
        let how = Fitting {
            components,
            max_components: spec.max_clusters,
            ..Fitting::default()
        };
        let none = || Error::request("clusters: expected training points; got none");
        let fitted = em::fit(&scaled, dim, &how, &rng).ok_or_else(none)?;
        // Its other findings are about densities, which the flows have.
        params.found(&fitted.tried, &[]);
        Ok::<_, Error>(fitted.mixture)
    };
    let mut parts = match (spec.clusters, spec.partition()) {
        (Some(Count::Bic), Partition::GaussianMixture) => by_em(Count::Bic)?,
        (Some(Count::Bic), Partition::KMeans) => {
            let k = by_em(Count::Bic)?.len();
            Gaussians::alike(dim, kmeans::kmeans(&scaled, dim, k, 10, &rng).centres)
        }
        (_, Partition::KMeans) => {
            let found = by_kmeans();
            return Ok(Parted {
                parts: Gaussians::alike(dim, found.centres),
                labels: found.labels,
            });
        }
        (Some(given), Partition::GaussianMixture) => by_em(given)?,
        (None, Partition::GaussianMixture) => by_em(Count::Given(by_kmeans().len()))?,
    };
    let labels = parts.likeliest(&scaled);
    for k in (0..parts.len()).rev() {
        if !labels.contains(&k) {
            parts = parts.without(k);
        }
    }
    let labels = parts.likeliest(&scaled);
    Ok(Parted { parts, labels })
}

/// Parts with these means (K, `dim`), further numbers being kept in `params`.
pub(super) fn stored(
    partition: Partition,
    params: &Params,
    means: Vec<f64>,
    dim: usize,
    found: Option<&Parted>,
) -> Result<Gaussians> {
    if partition == Partition::KMeans {
        return Ok(Gaussians::alike(dim, means));
    }
    let k = means.len() / dim;
    let of = |name: &str, shape: &[usize], values: fn(&Gaussians) -> &Vec<f64>| {
        let all = params.param(name, shape, false, |_| {
            let none = || Error::request("clusters: expected training points; got none");
            let parts = &found.ok_or_else(none)?.parts;
            Ok(Tensor::from_slice(values(parts), shape, &Device::Cpu)?)
        })?;
        num::to_vec(&all)
    };
    let log_weights = of("log_weights", &[k], |parts| &parts.log_weights)?;
    let factors = of("scale_tril", &[k, dim, dim], |parts| &parts.factors)?;
    Ok(Gaussians::new(dim, log_weights, means, factors))
}
