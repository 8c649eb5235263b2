//! A trained model seen through held-out points, its own samples and a grid: plain numbers from
//! which every metric is computed.

use candle_core::{DType, Device, Tensor};

use crate::data::{DataSet, Entropy, LabelledPoints, Split};
use crate::models::{log_q, Model};
use crate::num;
use crate::rng::Rng;
use crate::statistics::Statistics;
use crate::Result;

use super::borders::jumps;
pub use super::borders::parts;
use super::conditioning::Conditioning;
use super::constraints::Moments;
use super::distances::Distances;
use super::isoperimetry::Isoperimetry;
use super::known::Known;
use super::mass::Mass;
use super::memberships::Memberships;
use super::neighbours::Neighbours;

/// Samples that a model draws at once, from one random stream.
pub const CHUNK: usize = 8192;

/// Relaxed samples that are looked at.
const RELAXED: usize = 20_000;

/// What a model cost.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cost {
    /// Free numbers; `None` for a model that keeps its training points.
    pub parameters: Option<usize>,
    /// Steps trained.
    pub steps: usize,
    /// Wall time of training, or of the fit of a model without steps.
    pub seconds: f64,
    /// Wall time of all trials, where settings were searched for.
    pub search_seconds: Option<f64>,
    /// Multiply-adds of one log-density, where they are known.
    pub multiply_adds: Option<usize>,
    /// Points at which training evaluated the target's density, where the objective has one.
    pub target_evaluations: Option<u64>,
    /// KL(p || q) on the validation points by step, where the loss is one and the truth is known.
    pub validation_kl: Option<Vec<(usize, f64)>>,
}

/// A model that was trained through a relaxation, as training saw it: its entropy lies between the
/// two nested estimates, up to their standard errors.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Relaxed {
    /// -log of the nested density with a sample's own weights, per sample.
    pub below: Vec<f64>,
    /// -log of the nested density without them.
    pub above: Vec<f64>,
    /// Moments of the relaxed samples.
    pub moments: Option<Moments>,
}

/// log p~ = log p + log Z of a target, in nats.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TargetValues {
    /// log Z, where it is known; 0 for a law with a normaliser.
    pub log_z: Option<f64>,
    /// log p~ of the model's samples.
    pub own: Vec<f64>,
    /// log p~ of the held-out points, where they are samples of the target.
    pub points: Option<Vec<f64>>,
}

/// Everything that the metrics see.
#[derive(Debug, Clone, Default, PartialEq)]
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
    /// What the target says of samples and points, where its density is known up to a constant.
    pub target: Option<TargetValues>,
    /// The truth, where it is known.
    pub known: Option<Known>,
    /// Entropy of the truth, where it is known.
    pub entropy: Option<Entropy>,
    /// Moments that were asked of the model.
    pub moments: Option<Moments>,
    /// The model as training saw it, where that is another one.
    pub relaxed: Option<Relaxed>,
    /// The integral of q, in two dimensions.
    pub mass: Option<Mass>,
    /// Distances of samples to held-out points.
    pub distances: Option<Distances>,
    /// Precision and recall by neighbours, where there is data and the truth is not known.
    pub neighbours: Option<Neighbours>,
    /// How much the map to the base stretches, for a model with a base.
    pub conditioning: Option<Conditioning>,
    /// Of a model that is one map from a base.
    pub isoperimetry: Option<Isoperimetry>,
    /// Jumps of log q at borders of the model's parts.
    pub border_jumps: Option<Vec<f64>>,
    /// Responsibilities of held-out points, for a model that is a mixture.
    pub memberships: Option<Memberships>,
    /// What the model cost.
    pub cost: Cost,
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
    let (points, labels) = match against.law {
        Some(law) => {
            let LabelledPoints { x, labels } =
                law.points(Split::Test, n, &mut rng.fork("points"))?;
            (num::to_vec(&x)?, labels)
        }
        None => (Vec::new(), None),
    };
    let truth = against.law.and_then(|law| Some((law, law.truth()?)));
    let (known, own_log_p) = truth
        .map(|(law, truth)| Known::new(law, truth, (&points, labels.as_deref()), &samples, rng))
        .transpose()?
        .unzip();
    let mass = match against.law.and_then(DataSet::view) {
        Some(view) if dim == 2 => Some(Mass::of(
            &|rows| log_q(model, &tensor(rows)?),
            (widened(view, &samples), against.side),
            (&samples, &own_log_q),
        )?),
        _ => None,
    };
    let held_out = against.law.map(|_| tensor(&points)).transpose()?;
    let moments = |rows: &[f64]| {
        let (statistics, target) = against.constraints?;
        Some(Moments::of(statistics, target, rows, dim))
    };
    let part = held_out.as_ref().map(|x| parts(model, x)).transpose()?;
    let part = part.flatten();
    let memberships = held_out.as_ref().map(|x| Memberships::of(model, x));
    let sets = held_out.iter().cloned().chain([tensor(&samples)?]);
    let sets: Vec<Tensor> = sets.collect();
    let target = known.as_ref().zip(own_log_p.as_ref());
    let evaluation = Evaluation {
        target: target.map(|(known, own)| TargetValues {
            log_z: Some(0.0),
            own: own.clone(),
            points: Some(known.log_p.clone()),
        }),
        log_q: held_out.as_ref().map(|x| log_q(model, x)).transpose()?,
        has_data: against.has_data,
        labels,
        samples: n,
        own_log_q,
        own_log_p,
        entropy: truth.map(|(_, truth)| truth.entropy()),
        moments: moments(&samples),
        relaxed: relaxed(model, n, rng, &moments)?,
        mass,
        distances: Distances::of(&points, &samples, dim),
        neighbours: (known.is_none() && against.has_data)
            .then(|| Neighbours::of(&points, &samples, dim))
            .flatten(),
        conditioning: Conditioning::of(model, &sets)?,
        isoperimetry: {
            let seen = truth.zip(known.as_ref());
            let seen = seen.map(|((_, truth), known)| (truth, known, &points[..], &samples[..]));
            Isoperimetry::of(model, &sets, seen)?
        },
        border_jumps: jumps(
            model,
            &points,
            part.as_deref(),
            (against.dtype, &against.device),
        )?,
        memberships: memberships.transpose()?.flatten(),
        known,
        part,
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
    let mut out = Relaxed::default();
    let mut rows = Vec::new();
    // The nested densities cost as many terms as they have inner samples.
    let n = n.min(RELAXED);
    for (i, start) in (0..n).step_by(CHUNK).enumerate() {
        let stream = &mut rng.fork_at("relaxed", i as u64);
        let Some(drawn) = model.relaxed_samples(CHUNK.min(n - start), stream)? else {
            return Ok(None);
        };
        rows.extend(num::to_vec(&drawn.x)?);
        out.below.extend(num::to_vec(&drawn.log_including.neg()?)?);
        out.above.extend(num::to_vec(&drawn.log_excluding.neg()?)?);
    }
    out.moments = moments(&rows);
    Ok(Some(out))
}

/// The centres of a grid's cells as rows (x, y).
pub fn grid_rows(view: [(f64, f64); 2], side: usize) -> Vec<f64> {
    let centre =
        |(low, high): (f64, f64), i: usize| low + (high - low) * (i as f64 + 0.5) / side as f64;
    (0..side * side)
        .flat_map(|i| [centre(view[0], i % side), centre(view[1], i / side)])
        .collect()
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

/// A square that holds 99 % of the samples along each axis, with a margin, where there is no law to
/// say what a figure should show.
pub fn view_of(samples: &[f64]) -> Option<[(f64, f64); 2]> {
    let range = |d: usize| {
        let mut values: Vec<f64> = samples.iter().skip(d).step_by(2).copied().collect();
        values.retain(|v| v.is_finite());
        values.sort_by(f64::total_cmp);
        let at = |share: f64| values.get((values.len() as f64 * share) as usize).copied();
        Some((at(0.005)?, at(0.995)?))
    };
    let (x, y) = (range(0)?, range(1)?);
    let half = 0.6 * (x.1 - x.0).max(y.1 - y.0).max(1e-6);
    let around = |(low, high): (f64, f64)| {
        let middle = 0.5 * (low + high);
        (middle - half, middle + half)
    };
    Some([around(x), around(y)])
}
