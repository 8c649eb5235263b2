//! What a normal base must leave between modes: the more, the less its map expands.
//!
//! For q the image of N(0, I) under a map of Lipschitz constant L and any set A with the neighbourhood A^d,
//! q(A^d \\ A) >= Phi(Phi^-1(q(A)) + d / L) - q(A) (Gaussian isoperimetry; Salmona et al. 2022).

use candle_core::Tensor;
use statrs::distribution::{ContinuousCDF, Normal};

use super::known::Known;
use super::{given, Better, Evaluation, Metric, Outcome};
use crate::data::{judge, Truth};
use crate::kmeans::distance2;
use crate::models::Model;
use crate::num;
use crate::Result;

/// Held-out points, and as many samples, between which slopes are taken.
const SLOPES: usize = 1000;

/// Held-out points between which the modes' distances are taken.
const DISTANCES: usize = 4000;

/// What one map from base to data does over distances.
#[derive(Debug, Clone, PartialEq)]
pub struct Isoperimetry {
    /// max |x - x'| / |z - z'|.
    pub slope: f64,
    /// Pairs of points that it is over.
    pub pairs: usize,
    /// For a normal base and a truth of several modes: of the points of each mode that are not
    /// below the truth's 0.1 % density level, the model's share and the distance to those of the others.
    pub modes: Option<Vec<(f64, f64)>>,
}

/// The truth, and held-out points and samples of the model as rows.
pub type Seen<'a> = (&'a Truth, &'a Known, &'a [f64], &'a [f64]);

impl Isoperimetry {
    /// Of points (n, dim) each; `None` for a model that is not one map from a base.
    pub fn of(model: &dyn Model, sets: &[Tensor], seen: Option<Seen<'_>>) -> Result<Option<Self>> {
        let Some(base) = model.base() else {
            return Ok(None);
        };
        let dim = model.dim();
        let (mut x, mut z) = (Vec::new(), Vec::new());
        for set in sets {
            let some = set.narrow(0, 0, set.dim(0)?.min(SLOPES))?;
            let Some(landed) = model.to_base(&some)? else {
                return Ok(None);
            };
            x.extend(num::to_vec(&some)?);
            z.extend(num::to_vec(&landed)?);
        }
        let (slope, pairs) = steepest(&x, &z, dim);
        let modes = match seen {
            Some(seen) if base.is_standard_normal() => modes(seen, dim),
            _ => None,
        };
        Ok(Some(Self {
            slope,
            pairs,
            modes,
        }))
    }
}

/// The largest |x - x'| / |z - z'| over finite points, and of how many pairs.
fn steepest(x: &[f64], z: &[f64], dim: usize) -> (f64, usize) {
    let rows = x.chunks_exact(dim).zip(z.chunks_exact(dim));
    let rows: Vec<_> = rows
        .filter(|(x, z)| x.iter().chain(*z).all(|v| v.is_finite()))
        .collect();
    let (mut most, mut pairs) = (f64::NEG_INFINITY, 0);
    for (i, (x, z)) in rows.iter().enumerate() {
        for (other_x, other_z) in &rows[..i] {
            let run = distance2(z, other_z).sqrt();
            if run > 0.0 {
                most = num::largest([most, distance2(x, other_x).sqrt() / run]);
                pairs += 1;
            }
        }
    }
    (most, pairs)
}

/// [`Isoperimetry::modes`]; `None` if there are not two.
fn modes((truth, known, points, samples): Seen<'_>, dim: usize) -> Option<Vec<(f64, f64)>> {
    let count = known.weights.len();
    let level = known.low[0].level.log_level;
    let mut of_mode: Vec<Vec<&[f64]>> = vec![Vec::new(); count];
    let judged = known.log_p.iter().zip(&known.mode);
    for (row, (log_p, mode)) in points.chunks_exact(dim).zip(judged).take(DISTANCES) {
        if let Some(mode) = mode.filter(|_| *log_p >= level) {
            of_mode[mode as usize].push(row);
        }
    }
    if of_mode.iter().filter(|rows| !rows.is_empty()).count() < 2 {
        return None;
    }
    let mut share = vec![0.0; count];
    let one = dim as f64 / samples.len() as f64;
    judge(truth, samples, dim, |j| {
        if let Some(mode) = j.mode.filter(|_| j.log_p >= level) {
            share[mode as usize] += one;
        }
    });
    let apart = |a: usize| {
        let others = of_mode.iter().enumerate().filter(|(b, _)| *b != a);
        let others = others.flat_map(|(_, rows)| rows);
        let nearest = others.flat_map(|other| of_mode[a].iter().map(|row| distance2(row, other)));
        nearest.fold(f64::INFINITY, f64::min).sqrt()
    };
    let seen = (0..count).filter(|&mode| !of_mode[mode].is_empty());
    Some(seen.map(|mode| (share[mode], apart(mode))).collect())
}

/// max |x - x'| / |z - z'|
pub(super) const PAIR_SLOPE: Metric = Metric {
    name: "pair_slope",
    describe: "largest slope from base to data between two points, a lower bound of the Lipschitz constant",
    unit: "data units",
    better: Better::Neither,
    solved: || [0.5, 1.1],
    evaluate: |on| {
        let why = "the model is not one map from a base";
        given(&on.isoperimetry, why, |found| match found.pairs {
            0 => Outcome::none("no two points land apart at the base"),
            pairs => Outcome::of(found.slope, None, pairs),
        })
    },
};

fn bound(on: &Evaluation) -> Outcome {
    let found = on.isoperimetry.as_ref();
    let Some((modes, slope)) = found.and_then(|i| Some((i.modes.as_ref()?, i.slope))) else {
        return Outcome::none(
            "the base is no single normal, or the truth has fewer than two modes",
        );
    };
    let local = on.conditioning.as_ref().and_then(|c| c.expansion.last());
    let lipschitz = num::largest([slope, *local.unwrap_or(&0.0)]);
    let normal = Normal::standard();
    let least = modes.iter().map(|&(share, apart)| match share {
        s if s > 0.0 && s < 1.0 => normal.cdf(normal.inverse_cdf(s) + apart / lipschitz) - s,
        _ => 0.0,
    });
    Outcome::of(num::largest(least.chain([0.0])), None, modes.len())
}

/// max over modes of Phi(Phi^-1(q(A)) + d / L) - q(A), A being the points of a mode that are not below
/// the level, d their distance to those of the others, and L the larger of `lipschitz` and `pair_slope`:
/// no map from a normal base with that L has less. L is a lower bound, so this is an upper one.
pub(super) const BRIDGE_BOUND: Metric = Metric {
    name: "bridge_bound",
    describe: "least mass below the truth's 0.1 % level that a normal base can have with the expansion found",
    unit: "share",
    better: Better::Neither,
    // Phi(2 / L) - 1/2, L being 1 and 31.
    solved: || [0.4772498680518208, 0.025_720_367_622_183_77],
    evaluate: bound,
};
