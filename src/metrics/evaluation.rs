//! A trained model seen through held-out points, its own samples and a grid: plain numbers from
//! which every metric is computed.

use candle_core::{DType, Device, Tensor};

use crate::data::{judge, low_density_level, DataSet, Judged};
use crate::models::Model;
use crate::num;
use crate::rng::Rng;
use crate::Result;

/// Share of the truth's mass below the density level that counts as "between the modes".
pub const LOW_SHARE: f64 = 1e-3;

const CHUNK: usize = 8192;

/// What a model cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// Trainable numbers.
    pub parameters: usize,
    /// Steps trained.
    pub steps: usize,
    /// Wall time of training.
    pub seconds: f64,
}

/// A model's log-density on a grid over `view`.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    /// `[(x_min, x_max), (y_min, y_max)]`
    pub view: [(f64, f64); 2],
    /// Cells along each side.
    pub side: usize,
    /// log q at the cell centres, y from low to high and x from low to high within a row.
    pub log_q: Vec<f64>,
    /// Share of the model's samples outside the view.
    pub outside: f64,
}

/// The truth about one data set, as far as metrics need it.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// w_j.
    pub weights: Vec<f64>,
    /// log of the density level with P_p(p(X) < level) = [`LOW_SHARE`].
    pub low_level: f64,
    /// Points that the level was estimated from.
    pub level_points: usize,
    /// On the held-out points.
    pub points: Judged,
    /// On the model's samples.
    pub samples: Judged,
}

/// Everything that the metrics see.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// log q of the held-out points.
    pub log_q: Vec<f64>,
    /// The model's part of each held-out point.
    pub part: Option<Vec<u64>>,
    /// Number of the model's samples.
    pub samples: usize,
    /// The truth, where it is known.
    pub known: Option<Known>,
    /// The grid, in two dimensions.
    pub grid: Option<Grid>,
    /// What the model cost.
    pub cost: Cost,
}

/// log q of every row.
pub fn log_q(model: &dyn Model, x: &Tensor) -> Result<Vec<f64>> {
    num::to_vec(&num::in_chunks(x, CHUNK, |c| {
        Ok(model.log_prob(c)?.detach())
    })?)
}

/// The model's part of every row.
pub fn parts(model: &dyn Model, x: &Tensor) -> Result<Option<Vec<u64>>> {
    let n = x.dim(0)?;
    let mut all = Vec::with_capacity(n);
    for start in (0..n).step_by(CHUNK) {
        match model.part(&x.narrow(0, start, CHUNK.min(n - start))?)? {
            Some(parts) => all.extend(parts),
            None => return Ok(None),
        }
    }
    Ok(Some(all))
}

/// The centres of a grid's cells as rows (x, y).
pub fn grid_rows(view: [(f64, f64); 2], side: usize) -> Vec<f64> {
    let centre =
        |(low, high): (f64, f64), i: usize| low + (high - low) * (i as f64 + 0.5) / side as f64;
    (0..side * side)
        .flat_map(|i| [centre(view[0], i % side), centre(view[1], i / side)])
        .collect()
}

/// Measures `model` on `points` (n, dim; f64), as many samples of its own, and a grid of
/// `side`^2 cells over the data's view widened to hold 99.9 % of the samples. Also returns the
/// samples as rows.
pub fn evaluate(
    model: &dyn Model,
    data: &dyn DataSet,
    points: &Tensor,
    side: usize,
    dtype: DType,
    cost: Cost,
    rng: &Rng,
) -> Result<(Evaluation, Vec<f64>)> {
    let dim = data.dim();
    let n = points.dim(0)?;
    let x = points.to_dtype(dtype)?;
    let mut samples = Vec::with_capacity(n * dim);
    for (i, start) in (0..n).step_by(CHUNK).enumerate() {
        let stream = &mut rng.fork_at("samples", i as u64);
        samples.extend(num::to_vec(&model.sample(CHUNK.min(n - start), stream)?)?);
    }
    let known = match data.truth() {
        None => None,
        Some(truth) => {
            let level_points = 200_000;
            let level = &mut rng.fork("level");
            Some(Known {
                weights: truth.weights().to_vec(),
                low_level: low_density_level(data, LOW_SHARE, level_points, level)?,
                level_points,
                points: judge(truth, &num::to_vec(points)?, dim),
                samples: judge(truth, &samples, dim),
            })
        }
    };
    let grid = match data.view() {
        Some(view) if dim == 2 => Some(grid(model, view, side, &samples, dtype)?),
        _ => None,
    };
    let evaluation = Evaluation {
        log_q: log_q(model, &x)?,
        part: parts(model, &x)?,
        samples: n,
        known,
        grid,
        cost,
    };
    Ok((evaluation, samples))
}

fn grid(
    model: &dyn Model,
    data_view: [(f64, f64); 2],
    side: usize,
    samples: &[f64],
    dtype: DType,
) -> Result<Grid> {
    let mut view = data_view;
    for (d, range) in view.iter_mut().enumerate() {
        let mut values: Vec<f64> = samples.iter().skip(d).step_by(2).copied().collect();
        values.retain(|v| v.is_finite());
        values.sort_by(f64::total_cmp);
        if values.is_empty() {
            continue;
        }
        let at = |share: f64| values[((values.len() - 1) as f64 * share) as usize];
        // At most twice the data's view: a stray sample must not coarsen the grid.
        let room = 0.5 * (range.1 - range.0);
        *range = (
            range.0.min(at(0.0005)).max(range.0 - room),
            range.1.max(at(0.9995)).min(range.1 + room),
        );
    }
    let rows = grid_rows(view, side);
    let x = num::from_rows(&rows, 2, dtype, &Device::Cpu)?;
    let outside = samples
        .chunks_exact(2)
        .filter(|s| !(0..2).all(|d| s[d] >= view[d].0 && s[d] < view[d].1))
        .count();
    Ok(Grid {
        view,
        side,
        log_q: log_q(model, &x)?,
        outside: outside as f64 / (samples.len() / 2) as f64,
    })
}
