//! A trained model seen through held-out points, its own samples and a grid: plain numbers from
//! which every metric is computed.

use candle_core::Tensor;

use crate::data::{judge, low_density_level, DataSet, Level, Truth};
use crate::models::Model;
use crate::num;
use crate::rng::Rng;
use crate::Result;

/// Share of the truth's mass below the density level that counts as "between the modes".
pub const LOW_SHARE: f64 = 1e-3;

/// Samples that a model draws at once, from one random stream.
pub const CHUNK: usize = 8192;

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

/// How a set of points shares itself out over the truth's modes.
#[derive(Debug, Clone, PartialEq)]
pub struct ModeShares {
    /// Mean over the points of r_j(x) = w_j p_j(x) / p(x), one per mode.
    pub all: Vec<f64>,
    /// The same sum over the points that are not below the density level.
    pub dense: Vec<f64>,
    /// Share of points below the density level.
    pub below: f64,
    /// Variance over the points of (1/2) sum_j sign(all_j - w_j) r_j(x), with the share outside
    /// every mode counted as a mode of weight 0: of the linearised total variation.
    pub variance: f64,
}

impl ModeShares {
    /// Of points given as rows.
    pub fn new(truth: &dyn Truth, log_level: f64, rows: &[f64], dim: usize) -> Self {
        let weights = truth.weights();
        let n = rows.len() / dim;
        let keep = n * weights.len() <= KEPT;
        let mut kept = Vec::with_capacity(if keep { n * weights.len() } else { 0 });
        let n = n as f64;
        let mut out = Self {
            all: vec![0.0; weights.len()],
            dense: vec![0.0; weights.len()],
            below: 0.0,
            variance: 0.0,
        };
        judge(truth, rows, dim, |j| {
            let dense = j.log_p >= log_level;
            if !dense {
                out.below += 1.0 / n;
            }
            for (k, r) in j.responsibilities.iter().enumerate() {
                out.all[k] += r / n;
                if dense {
                    out.dense[k] += r / n;
                }
            }
            if keep {
                kept.extend_from_slice(j.responsibilities);
            }
        });
        let signs: Vec<f64> = out
            .all
            .iter()
            .zip(weights)
            .map(|(found, w)| (found - w).signum())
            .collect();
        let (mut sum, mut squares) = (0.0, 0.0);
        let mut add = |responsibilities: &[f64]| {
            let mut term = 1.0;
            for (r, sign) in responsibilities.iter().zip(&signs) {
                term += r * (sign - 1.0);
            }
            sum += 0.5 * term;
            squares += 0.25 * term * term;
        };
        if keep {
            kept.chunks_exact(weights.len()).for_each(add);
        } else {
            judge(truth, rows, dim, |j| add(j.responsibilities));
        }
        out.variance = (squares / n - (sum / n).powi(2)).max(0.0);
        out
    }
}

/// The truth about one data set, as far as metrics need it.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// w_j.
    pub weights: Vec<f64>,
    /// The density level below which [`LOW_SHARE`] of the truth lies.
    pub level: Level,
    /// log p of the held-out points.
    pub log_p: Vec<f64>,
    /// Their likeliest modes, `None` outside the support.
    pub mode: Vec<Option<u32>>,
    /// [`ModeShares::dense`] of the held-out points.
    pub dense: Vec<f64>,
    /// How the model's samples share themselves out.
    pub of_samples: ModeShares,
}

impl Known {
    fn new(
        data: &dyn DataSet,
        truth: &dyn Truth,
        points: &[f64],
        samples: &[f64],
        rng: &Rng,
    ) -> Result<Self> {
        let dim = data.dim();
        let level = low_density_level(data, LOW_SHARE, LEVEL_POINTS, &mut rng.fork("level"))?;
        let n = (points.len() / dim) as f64;
        let (mut log_p, mut mode) = (Vec::new(), Vec::new());
        let mut dense = vec![0.0; truth.weights().len()];
        judge(truth, points, dim, |j| {
            log_p.push(j.log_p);
            mode.push(j.mode);
            if j.log_p >= level.log_level {
                for (sum, r) in dense.iter_mut().zip(j.responsibilities) {
                    *sum += r / n;
                }
            }
        });
        Ok(Self {
            weights: truth.weights().to_vec(),
            level,
            log_p,
            mode,
            dense,
            of_samples: ModeShares::new(truth, level.log_level, samples, dim),
        })
    }
}

const LEVEL_POINTS: usize = 200_000;

/// Responsibilities kept in memory (16 MiB); more are computed again when they are needed.
const KEPT: usize = 1 << 21;

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
    // Fused kernels cut what they get themselves.
    let rows = match model.kernels() {
        Some(_) => 1 << 16,
        None => num::rows_at_once(x.device()),
    };
    num::to_vec(&num::in_chunks(x, rows, |c| {
        Ok(model.log_prob(c)?.detach())
    })?)
}

/// The model's part of every row.
pub fn parts(model: &dyn Model, x: &Tensor) -> Result<Option<Vec<u64>>> {
    let n = x.dim(0)?;
    let mut all = Vec::with_capacity(n);
    let rows = num::rows_at_once(x.device());
    for start in (0..n).step_by(rows) {
        match model.part(&x.narrow(0, start, rows.min(n - start))?)? {
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
/// `side`^2 cells over the data's view widened to hold 99.9 % of the samples. `like` says in what
/// format and where the model works. Also returns the samples as rows.
pub fn evaluate(
    model: &dyn Model,
    data: &dyn DataSet,
    points: &Tensor,
    like: &Tensor,
    side: usize,
    cost: Cost,
    rng: &Rng,
) -> Result<(Evaluation, Vec<f64>)> {
    let dim = data.dim();
    let n = points.dim(0)?;
    let x = points.to_dtype(like.dtype())?.to_device(like.device())?;
    let mut samples = Vec::with_capacity(n * dim);
    for (i, start) in (0..n).step_by(CHUNK).enumerate() {
        let stream = &mut rng.fork_at("samples", i as u64);
        samples.extend(num::to_vec(&model.sample(CHUNK.min(n - start), stream)?)?);
    }
    let known = data
        .truth()
        .map(|truth| Known::new(data, truth, &num::to_vec(points)?, &samples, rng))
        .transpose()?;
    let grid = match data.view() {
        Some(view) if dim == 2 => {
            let view = widened(view, &samples);
            let rows = grid_rows(view, side);
            let outside = samples
                .chunks_exact(2)
                .filter(|s| !(0..2).all(|d| s[d] >= view[d].0 && s[d] < view[d].1))
                .count();
            Some(Grid {
                view,
                side,
                log_q: log_q(
                    model,
                    &num::from_rows(&rows, 2, like.dtype(), like.device())?,
                )?,
                outside: outside as f64 / n as f64,
            })
        }
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

/// The data's view with room for the samples, at most twice as wide: a stray sample must not
/// coarsen the grid.
fn widened(data_view: [(f64, f64); 2], samples: &[f64]) -> [(f64, f64); 2] {
    let mut view = data_view;
    for (d, range) in view.iter_mut().enumerate() {
        let mut values: Vec<f64> = samples.iter().skip(d).step_by(2).copied().collect();
        values.retain(|v| v.is_finite());
        if values.is_empty() {
            continue;
        }
        let mut at = |share: f64| {
            let rank = ((values.len() - 1) as f64 * share) as usize;
            *values.select_nth_unstable_by(rank, f64::total_cmp).1
        };
        let room = 0.5 * (range.1 - range.0);
        *range = (
            range.0.min(at(0.0005)).max(range.0 - room),
            range.1.max(at(0.9995)).min(range.1 + room),
        );
    }
    view
}
