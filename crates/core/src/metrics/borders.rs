//! Whether the density is continuous where the model's parts meet.

use candle_core::{DType, Device, Tensor};

use super::{mean_with_tail, Better, Metric, Outcome, Tail, NO_PARTS};
use crate::kmeans::distance2;
use crate::models::{log_q, Model};
use crate::num;
use crate::Result;

/// Held-out points between which borders are sought.
const POINTS: usize = 2000;

/// How far apart the two ends at a border are, in root mean squares of the points' coordinates about
/// their means. Wide enough for single precision.
const APART: f64 = 1e-4;

/// More than two ends of any data need until they are [`APART`].
const HALVINGS: usize = 60;

/// The model's part of every row.
pub fn parts(model: &dyn Model, x: &Tensor) -> Result<Option<Vec<u64>>> {
    let mut all = Vec::new();
    for x in num::chunks(x, num::rows_at_once(x.device()))? {
        match model.part(&x)? {
            Some(parts) => all.extend(parts),
            None => return Ok(None),
        }
    }
    Ok(Some(all))
}

/// |log q(x+) - log q(x-)| at borders of the model's parts: between every one of 2,000 held-out points
/// and the nearest of another part a border is found by bisection, down to ends that are 1e-4
/// of the points' spread apart. `None` for a model without parts, empty where all points are in one.
pub fn jumps(
    model: &dyn Model,
    points: &[f64],
    part: Option<&[u64]>,
    (dtype, device): (DType, &Device),
) -> Result<Option<Vec<f64>>> {
    let Some(part) = part else {
        return Ok(None);
    };
    let dim = model.dim();
    let n = (points.len() / dim).min(POINTS);
    let (rows, part) = (&points[..n * dim], &part[..n]);
    let pairs = neighbours_of_other_parts(rows, part, dim);
    if pairs.is_empty() {
        return Ok(Some(Vec::new()));
    }
    let tensor = |rows: &[f64]| num::from_rows(rows, dim, dtype, device);
    let row = |i: usize| rows[i * dim..(i + 1) * dim].iter().copied();
    // The two ends of every pair.
    let mut a: Vec<f64> = pairs.iter().flat_map(|(i, _)| row(*i)).collect();
    let mut b: Vec<f64> = pairs.iter().flat_map(|(_, j)| row(*j)).collect();
    let deviations = num::moments(rows, dim)
        .into_iter()
        .map(|(_, deviation)| deviation);
    let variance = deviations.map(|s| s * s).sum::<f64>() / dim as f64;
    let apart = APART * variance.sqrt();
    // Every pair halves until its own ends are near enough.
    for _ in 0..HALVINGS {
        let middles: Vec<f64> = a.iter().zip(&b).map(|(a, b)| 0.5 * (a + b)).collect();
        let Some(found) = parts(model, &tensor(&middles)?)? else {
            return Ok(None);
        };
        let ends = a.chunks_exact_mut(dim).zip(b.chunks_exact_mut(dim));
        let mut all_near = true;
        for (k, (a, b)) in ends.enumerate() {
            if distance2(a, b).sqrt() > apart {
                // A third part in the middle has a border with the first.
                let end = if found[k] == part[pairs[k].0] { a } else { b };
                end.copy_from_slice(&middles[k * dim..(k + 1) * dim]);
                all_near = false;
            }
        }
        if all_near {
            break;
        }
    }
    let (a, b) = (log_q(model, &tensor(&a)?)?, log_q(model, &tensor(&b)?)?);
    Ok(Some(a.iter().zip(&b).map(|(a, b)| (a - b).abs()).collect()))
}

/// Every pair of a point and the nearest one in another part, once.
fn neighbours_of_other_parts(rows: &[f64], part: &[u64], dim: usize) -> Vec<(usize, usize)> {
    let row = |i: usize| &rows[i * dim..(i + 1) * dim];
    let mut found: Vec<(usize, usize)> = (0..part.len())
        .filter_map(|i| {
            let others = (0..part.len()).filter(|&j| part[j] != part[i]);
            let near = others.map(|j| (distance2(row(i), row(j)), j));
            let (_, j) = near.min_by(|a, b| a.0.total_cmp(&b.0))?;
            Some((i.min(j), i.max(j)))
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// E|log q(x+) - log q(x-)|. A continuous density gives its slope times the distance of the ends.
pub(super) const BORDER_JUMP: Metric = Metric {
    name: "border_jump",
    describe: "mean |jump of log q| where the model's parts meet",
    unit: "nats",
    better: Better::Lower,
    solved: || [0.0, 0.3],
    evaluate: |on| match &on.border_jumps {
        None if on.log_q.is_none() => Outcome::none(super::NO_POINTS),
        None => Outcome::none(NO_PARTS),
        Some(jumps) if jumps.is_empty() => Outcome::none("all points are in one part"),
        Some(jumps) => mean_with_tail(jumps.clone(), Tail::above),
    },
};
