//! Whether the density is continuous where the model's parts meet.

use candle_core::{DType, Device, Tensor};

use super::{mean_of, Better, Metric, Outcome, NO_PARTS};
use crate::kmeans::distance2;
use crate::models::{log_q, Model};
use crate::num;
use crate::Result;

/// Held-out points between which borders are sought.
const POINTS: usize = 2000;

/// How far apart the two ends at a border are, in root mean squares of the points' coordinates about
/// their means. Wide enough for single precision.
const APART: f64 = 1e-4;

/// More than lie between the two ends of any data and [`APART`].
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
    let mut pairs = neighbours_of_other_parts(rows, part, dim);
    let deviations = num::moments(rows, dim)
        .into_iter()
        .map(|(_, deviation)| deviation);
    let variance = deviations.map(|s| s * s).sum::<f64>() / dim as f64;
    let apart = APART * variance.sqrt();
    // Every pair halves until its own ends are near enough.
    for _ in 0..HALVINGS {
        let wide: Vec<usize> = (0..pairs.len())
            .filter(|&i| pairs[i].apart() > apart)
            .collect();
        if wide.is_empty() {
            break;
        }
        let middles: Vec<f64> = wide.iter().flat_map(|&i| pairs[i].middle()).collect();
        let x = num::from_rows(&middles, dim, dtype, device)?;
        let Some(found) = parts(model, &x)? else {
            return Ok(None);
        };
        for ((&i, middle), found) in wide.iter().zip(middles.chunks_exact(dim)).zip(found) {
            pairs[i].halve(middle, found);
        }
    }
    if pairs.is_empty() {
        return Ok(Some(Vec::new()));
    }
    let ends = |of: fn(&Pair) -> &[f64]| -> Result<Vec<f64>> {
        let rows: Vec<f64> = pairs.iter().flat_map(|p| of(p).iter().copied()).collect();
        log_q(model, &num::from_rows(&rows, dim, dtype, device)?)
    };
    let (a, b) = (ends(|p| &p.a)?, ends(|p| &p.b)?);
    Ok(Some(a.iter().zip(&b).map(|(a, b)| (a - b).abs()).collect()))
}

/// Two points in different parts.
struct Pair {
    a: Vec<f64>,
    b: Vec<f64>,
    part_of_a: u64,
}

impl Pair {
    fn apart(&self) -> f64 {
        distance2(&self.a, &self.b).sqrt()
    }

    fn middle(&self) -> impl Iterator<Item = f64> + '_ {
        let both = self.a.iter().zip(&self.b);
        both.map(|(a, b)| 0.5 * (a + b))
    }

    /// A third part in the middle has a border with the first.
    fn halve(&mut self, middle: &[f64], part: u64) {
        let is_a = part == self.part_of_a;
        let end = if is_a { &mut self.a } else { &mut self.b };
        end.copy_from_slice(middle);
    }
}

/// Every pair of a point and the nearest one in another part, once.
fn neighbours_of_other_parts(rows: &[f64], part: &[u64], dim: usize) -> Vec<Pair> {
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
    let pair = |(i, j): (usize, usize)| Pair {
        a: row(i).to_vec(),
        b: row(j).to_vec(),
        part_of_a: part[i],
    };
    found.into_iter().map(pair).collect()
}

/// E|log q(x+) - log q(x-)|. A continuous density gives its slope times the distance of the ends.
pub(super) const BORDER_JUMP: Metric = Metric {
    name: "border_jump",
    describe: "mean |jump of log q| where the model's parts meet",
    unit: "nats",
    better: Better::Lower,
    evaluate: |on| match &on.border_jumps {
        None if on.log_q.is_none() => Outcome::none(super::NO_POINTS),
        None => Outcome::none(NO_PARTS),
        Some(jumps) if jumps.is_empty() => Outcome::none("all points are in one part"),
        Some(jumps) => mean_of(jumps),
    },
};
