//! A trained model seen through held-out points, its own samples and a grid: plain numbers from
//! which every metric is computed.

use candle_core::{DType, Device, Tensor};

use crate::data::{judge, low_density_level, DataSet, LabelledPoints, Level, Split, Truth};
use crate::models::{log_q, Model};
use crate::num;
use crate::rng::Rng;
use crate::statistics::Statistics;
use crate::Result;

use super::moments::Moments;
use super::view::{grid_rows, widened};

/// Share of the truth's mass below the density level that counts as "between the modes".
pub const LOW_SHARE: f64 = 1e-3;

/// Samples that a model draws at once, from one random stream.
pub const CHUNK: usize = 8192;

/// Relaxed samples that are looked at.
const RELAXED: usize = 20_000;

/// What a model cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// Free numbers; `None` for a model that keeps its training points.
    pub parameters: Option<usize>,
    /// Steps trained.
    pub steps: usize,
    /// Wall time of training, or of the fit of a model without steps.
    pub seconds: f64,
    /// Wall time of all trials, where settings were searched for.
    pub search_seconds: Option<f64>,
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
    /// Of points given as rows, and log p of each.
    pub fn new(truth: &dyn Truth, log_level: f64, rows: &[f64], dim: usize) -> (Self, Vec<f64>) {
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
        let mut log_p = Vec::with_capacity(rows.len() / dim);
        judge(truth, rows, dim, |j| {
            log_p.push(j.log_p);
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
        (out, log_p)
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
    /// Also log p of the samples.
    fn new(
        data: &dyn DataSet,
        truth: &dyn Truth,
        points: &[f64],
        samples: &[f64],
        rng: &Rng,
    ) -> Result<(Self, Vec<f64>)> {
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
        let (of_samples, own_log_p) = ModeShares::new(truth, level.log_level, samples, dim);
        let known = Self {
            weights: truth.weights().to_vec(),
            level,
            log_p,
            mode,
            dense,
            of_samples,
        };
        Ok((known, own_log_p))
    }
}

const LEVEL_POINTS: usize = 200_000;

/// Responsibilities kept in memory (16 MiB); more are computed again when they are needed.
const KEPT: usize = 1 << 21;

/// A model that was trained through a relaxation, as training saw it: its entropy lies between the
/// two nested estimates, up to their standard errors.
#[derive(Debug, Clone, PartialEq)]
pub struct Relaxed {
    /// -log of the nested density with a sample's own weights, per sample.
    pub below: Vec<f64>,
    /// -log of the nested density without them.
    pub above: Vec<f64>,
    /// Moments of the relaxed samples.
    pub moments: Option<Moments>,
}

/// Everything that the metrics see.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// log q of held-out points of the truth.
    pub log_q: Option<Vec<f64>>,
    /// Whether those points are data: those of a problem without data are the truth's own.
    pub has_data: bool,
    /// The mode or class that each held-out point comes from, where that is known.
    pub labels: Option<Vec<u32>>,
    /// The model's part of each held-out point.
    pub part: Option<Vec<u64>>,
    /// Number of the model's samples.
    pub samples: usize,
    /// log q of the model's samples.
    pub own_log_q: Vec<f64>,
    /// log p of the model's samples, where p is known.
    pub own_log_p: Option<Vec<f64>>,
    /// The truth, where it is known.
    pub known: Option<Known>,
    /// Entropy of the truth, where it is known.
    pub entropy: Option<f64>,
    /// Moments that were asked of the model.
    pub moments: Option<Moments>,
    /// The model as training saw it, where that is another one.
    pub relaxed: Option<Relaxed>,
    /// The grid, in two dimensions.
    pub grid: Option<Grid>,
    /// What the model cost.
    pub cost: Cost,
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

/// What a model is measured against.
pub struct Against<'a> {
    /// The data set, or the exact solution of a problem, where there is one.
    pub law: Option<&'a dyn DataSet>,
    /// Whether it is a data set.
    pub has_data: bool,
    /// T and m of a problem with constraints.
    pub constraints: Option<(&'a Statistics, &'a [f64])>,
    /// Held-out points of the law, and as many samples of the model.
    pub points: usize,
    /// Cells along each side of the grid.
    pub side: usize,
    /// In what format and where the model works.
    pub dtype: DType,
    /// Where.
    pub device: Device,
}

/// What was measured, with the points that it was measured on as rows.
pub struct Measured {
    /// For the metrics.
    pub evaluation: Evaluation,
    /// Held-out points of the law.
    pub points: Vec<f64>,
    /// Samples of the model.
    pub samples: Vec<f64>,
}

/// Measures `model` on held-out points of the law, as many samples of its own, and a grid over the
/// law's view widened to hold 99.9 % of the samples.
pub fn evaluate(
    model: &dyn Model,
    against: &Against<'_>,
    cost: Cost,
    rng: &Rng,
) -> Result<Measured> {
    let dim = model.dim();
    let n = against.points;
    let tensor = |rows: &[f64]| num::from_rows(rows, dim, against.dtype, &against.device);
    let mut samples = Vec::with_capacity(n * dim);
    let mut own_log_q = Vec::with_capacity(n);
    for (i, start) in (0..n).step_by(CHUNK).enumerate() {
        let stream = &mut rng.fork_at("samples", i as u64);
        let x = model.sample(CHUNK.min(n - start), stream)?;
        own_log_q.extend(log_q(model, &x)?);
        samples.extend(num::to_vec(&x)?);
    }
    let drawn = against
        .law
        .map(|law| law.points(Split::Test, n, &mut rng.fork("points")))
        .transpose()?;
    let (points, labels) = match drawn {
        Some(LabelledPoints { x, labels }) => (num::to_vec(&x)?, labels),
        None => (Vec::new(), None),
    };
    let truth = against.law.and_then(|law| Some((law, law.truth()?)));
    let (known, own_log_p) = truth
        .map(|(law, truth)| Known::new(law, truth, &points, &samples, rng))
        .transpose()?
        .unzip();
    let grid = match against.law.and_then(DataSet::view) {
        Some(view) if dim == 2 => {
            let view = widened(view, &samples);
            let outside = samples
                .chunks_exact(2)
                .filter(|s| !(0..2).all(|d| s[d] >= view[d].0 && s[d] < view[d].1))
                .count();
            Some(Grid {
                view,
                side: against.side,
                log_q: log_q(model, &tensor(&grid_rows(view, against.side))?)?,
                outside: outside as f64 / n as f64,
            })
        }
        _ => None,
    };
    let held_out = match against.law {
        Some(_) => Some(tensor(&points)?),
        None => None,
    };
    let moments = |rows: &[f64]| {
        let (statistics, target) = against.constraints?;
        Some(Moments::of(statistics, target, rows, dim))
    };
    let evaluation = Evaluation {
        log_q: held_out.as_ref().map(|x| log_q(model, x)).transpose()?,
        has_data: against.has_data,
        labels,
        part: match &held_out {
            Some(x) => parts(model, x)?,
            None => None,
        },
        samples: n,
        own_log_q,
        own_log_p,
        known,
        entropy: truth.map(|(_, truth)| truth.entropy().value),
        moments: moments(&samples),
        relaxed: relaxed(model, n, rng, &moments)?,
        grid,
        cost,
    };
    Ok(Measured {
        evaluation,
        points,
        samples,
    })
}

fn relaxed(
    model: &dyn Model,
    n: usize,
    rng: &Rng,
    moments: &dyn Fn(&[f64]) -> Option<Moments>,
) -> Result<Option<Relaxed>> {
    let mut out = Relaxed {
        below: Vec::new(),
        above: Vec::new(),
        moments: None,
    };
    let mut rows = Vec::new();
    // The nested densities cost as many terms as they have inner samples.
    let n = n.min(RELAXED);
    for (i, start) in (0..n).step_by(CHUNK).enumerate() {
        let stream = &mut rng.fork_at("relaxed", i as u64);
        let Some(drawn) = model.relaxed_samples(CHUNK.min(n - start), stream)? else {
            return Ok(None);
        };
        rows.extend(num::to_vec(&drawn.x)?);
        out.below
            .extend(num::to_vec(&drawn.log_including)?.into_iter().map(|v| -v));
        out.above
            .extend(num::to_vec(&drawn.log_excluding)?.into_iter().map(|v| -v));
    }
    out.moments = moments(&rows);
    Ok(Some(out))
}
