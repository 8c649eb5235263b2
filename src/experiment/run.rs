//! One run from its specification to its record.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use candle_core::{DType, Tensor};

use super::landing::landing;
use super::plan::RunSpec;
use super::store::{Environment, MetricRow, Picture, RunDir, State, Status};
use super::trials;
use super::weights;
use super::Compute;
use crate::data::{log_densities, DataSet, Split};
use crate::metrics::evaluation::{self, Against, Measured};
use crate::metrics::{view, Cost, Evaluation, Metric, Outcome, METRICS};
use crate::models::supported::Supported;
use crate::models::{log_q, Model};
use crate::nn::Params;
use crate::num;
use crate::objectives::Objective;
use crate::rng::Rng;
use crate::train::{self, Curves, HistoryRow, Points, Progress, Training};
use crate::{Error, Result};

const PICTURE_SAMPLES: usize = 4000;
const PICTURE_POINTS: usize = 1000;
const PICTURE_SIDE: usize = 300;

/// Files that a run writes and that a new one of the same place removes first.
const OUTPUTS: [&str; 20] = [
    "data.toml",
    "trained.toml",
    "trials.csv",
    "history.csv",
    "rounds.csv",
    "metrics.csv",
    "modes.csv",
    "levels.csv",
    "cost.csv",
    "model.safetensors",
    "picture.safetensors",
    "environment.toml",
    "density.png",
    "density.svg",
    "base.png",
    "base.svg",
    "training.png",
    "training.svg",
    "rounds.png",
    "rounds.svg",
];

/// Trains, evaluates and records one run. `command` is what the user typed, for the record;
/// `watch` is told about every step. A run that diverges is recorded and returned as such; an
/// error is recorded as `failed` before it is returned.
pub fn run(
    spec: &RunSpec,
    place: &RunDir,
    compute: &Compute,
    command: &str,
    watch: &mut dyn FnMut(&Progress),
) -> Result<Status> {
    place.create()?;
    // First: a run that is broken off while its old files go must not be taken for done.
    place.write_status(&Status::of(State::Running))?;
    for name in OUTPUTS {
        let path = place.path(name);
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io(&path, "could not remove")(e));
            }
            _ => {}
        }
    }
    place.write("config.toml", spec.to_toml(&place.0)?.as_bytes())?;
    let started = SystemTime::now();
    let (status, kernels) = match make(spec, place, compute, watch) {
        Ok(made) => made,
        Err(error) => {
            place.write_status(&Status::because(State::Failed, &error.to_string()))?;
            return Err(error);
        }
    };
    let time = |t| humantime::format_rfc3339_seconds(t).to_string();
    place.write_environment(&Environment {
        command: command.to_owned(),
        version: crate::VERSION.to_owned(),
        device: crate::device::name(&compute.device),
        kernels,
        threads: rayon::current_num_threads(),
        precision: spec.train.precision,
        started: time(started),
        ended: time(SystemTime::now()),
        note: ended_by_the_clock(spec)
            .map(|by| format!("{by}: the same run again makes other steps and leaves other bytes")),
    })?;
    // Last, so that a run whose status says `done` has everything.
    place.write_status(&status)?;
    Ok(status)
}

/// Trains every trial and measures the one that is chosen; also gives what evaluated the model.
fn make(
    spec: &RunSpec,
    place: &RunDir,
    compute: &Compute,
    watch: &mut dyn FnMut(&Progress),
) -> Result<(Status, String)> {
    let law = spec.task.law()?.map(Law::from);
    let best = trials::best(spec, law.as_ref(), compute, watch)?;
    if !spec.search.is_empty() {
        place.write_trials(&best.trials)?;
    }
    if spec.is_settled_in_training() {
        place.write(
            "trained.toml",
            best.run.spec().to_toml(&place.0)?.as_bytes(),
        )?;
    }
    let status = best.run.record(place, &best.trained, best.search_seconds)?;
    Ok((status, best.run.kernels()))
}

/// Where the clock may have ended training, by which setting.
fn ended_by_the_clock(spec: &RunSpec) -> Option<String> {
    let seconds = spec.budget.seconds?;
    Some(format!("trained by the clock (budget.seconds = {seconds})"))
}

/// What a model is trained on or measured against, shared by the trials of a run.
pub(super) type Law = Arc<dyn DataSet>;

/// Everything that a run needs, made from its specification.
pub struct Run {
    /// With the sizes that the model has.
    spec: RunSpec,
    law: Option<Law>,
    objective: Box<dyn Objective>,
    params: Params,
    model: Box<dyn Model>,
    build_seconds: f64,
    train_points: Option<Tensor>,
    validation: Option<Tensor>,
    rng: Rng,
}

/// The model of a run with parameters from `params`. `points` (n, dim) are training points that it
/// may start from.
pub(super) fn build_model(
    spec: &RunSpec,
    params: &Params,
    points: Option<Tensor>,
) -> Result<Box<dyn Model>> {
    let model = spec.model.build(params, spec.task.dim()?, points)?;
    Ok(match spec.task.support() {
        Some(support) => Box::new(Supported::new(model, &support)?),
        None => model,
    })
}

/// The run with the widths that its budget gives the model. What else decides the size, such as K by
/// silhouette, is written down with them.
fn settled(spec: &RunSpec, params: &Params, points: Option<&Tensor>) -> Result<RunSpec> {
    if spec.budget.parameters.is_none() {
        return Ok(spec.clone());
    }
    let mut settled = RunSpec {
        model: spec.model.settled(params, points)?,
        ..spec.clone()
    };
    settled.model = settled.sized()?.0;
    settled.budget.parameters = None;
    Ok(settled)
}

/// Refuses data that single precision cannot hold: where the truth's log-density at the rounded
/// points is another than at the points themselves (by a hundredth of a nat in the mean), the model
/// would fit the rounding, and every metric with it.
fn check_single(data: &dyn DataSet, points: &Tensor) -> Result<()> {
    let exact = num::to_vec(points)?;
    let rounded: Vec<f64> = exact.iter().map(|v| f64::from(*v as f32)).collect();
    let Some(truth) = data.truth() else {
        return check_single_columns(&exact, &rounded, data.dim());
    };
    let log_p = log_densities(truth, &exact, data.dim());
    let log_r = log_densities(truth, &rounded, data.dim());
    let off = log_p.iter().zip(&log_r).map(|(p, r)| (p - r).abs());
    let off = off.sum::<f64>() / log_p.len() as f64;
    if off < 0.01 {
        return Ok(());
    }
    Err(Error::failed(format!(
        "expected data that single precision can hold; got modes so narrow for their place that \
         rounding changes log p by {off:.2e} nats a point (try train.precision=f64)"
    )))
}

/// The same where no truth is known: rounding must be small beside the spread of each coordinate.
fn check_single_columns(exact: &[f64], rounded: &[f64], dim: usize) -> Result<()> {
    let n = (exact.len() / dim) as f64;
    for d in 0..dim {
        let column = || exact.iter().skip(d).step_by(dim);
        let mean = column().sum::<f64>() / n;
        let spread = (column().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
        let off = column().zip(rounded.iter().skip(d).step_by(dim));
        let off = off.map(|(v, r)| (v - r).abs()).fold(0.0, f64::max);
        if !(off <= 1e-3 * spread) {
            return Err(Error::failed(format!(
                "expected data that single precision can hold; got a coordinate ({d}, from 0) of \
                 mean {mean:.3e} and standard deviation {spread:.3e} that rounding moves by \
                 {off:.1e} (try train.precision=f64)"
            )));
        }
    }
    Ok(())
}

impl Run {
    /// Draws the points and builds the model.
    pub fn new(spec: &RunSpec, compute: &Compute) -> Result<Self> {
        let law = spec.task.law()?.map(Law::from);
        Self::on(spec, law.as_ref(), compute)
    }

    /// The same on a law that was made before.
    pub(super) fn on(spec: &RunSpec, law: Option<&Law>, compute: &Compute) -> Result<Self> {
        let device = &compute.device;
        let rng = Rng::new(spec.seed);
        let dtype = spec.train.precision.dtype();
        if let (Some(law), DType::F32) = (law, dtype) {
            let points = law.sample(1000, &mut rng.fork("rounding"))?;
            check_single(law.as_ref(), &points)?;
        }
        // The points depend on the seed and the data alone: all models of a seed share them.
        let points = |label: &str, split: Split, n: usize| -> Result<Option<Tensor>> {
            let Some(data) = law.filter(|_| spec.task.has_data()) else {
                return Ok(None);
            };
            let drawn = data.points(split, n, &mut rng.fork("data").fork(label))?;
            Ok(Some(drawn.x.to_dtype(dtype)?.to_device(device)?))
        };
        let fixed = spec.train.points > 0;
        let start = points("train", Split::Train, spec.train.start_points())?;
        let validation = points(
            "validation",
            Split::Validation,
            spec.train.validation_points,
        )?;
        let params = Params::seeded(rng.fork("init"), dtype, device).with_kernels(compute.kernels);
        let began = Instant::now();
        let spec = settled(spec, &params, start.as_ref())?;
        let model = build_model(&spec, &params, start.clone())?;
        let build_seconds = began.elapsed().as_secs_f64();
        Ok(Self {
            objective: spec.task.objective()?,
            spec,
            train_points: start.filter(|_| fixed),
            validation,
            params,
            model,
            build_seconds,
            rng,
            law: law.cloned(),
        })
    }

    /// What the run is, with the size that its model has.
    pub(super) fn spec(&self) -> &RunSpec {
        &self.spec
    }

    /// What is trained.
    pub fn model(&self) -> &dyn Model {
        self.model.as_ref()
    }

    /// Its trainable numbers.
    pub fn parameters(&self) -> usize {
        self.params.count()
    }

    /// `n` fresh points (n, dim) as the model takes them, from the stream `label` of the run's seed.
    pub fn points(&self, label: &str, n: usize) -> Result<Tensor> {
        let Some(law) = &self.law else {
            return Err(Error::request(format!(
                "{}: expected a law with samples; the problem has none",
                self.spec.label()
            )));
        };
        let x = law.sample(n, &mut self.rng.fork(label))?;
        if x.dim(0)? < n {
            return Err(Error::request(format!(
                "{}: expected data with {n} fresh points; got a file with {} to train on",
                self.spec.label(),
                x.dim(0)?
            )));
        }
        Ok(x.to_dtype(self.params.dtype())?
            .to_device(&self.params.device())?)
    }

    /// `f` of the run's training, before its first step.
    pub fn with_training<T>(&self, f: impl FnOnce(&Training<'_>) -> Result<T>) -> Result<T> {
        let rng = self.rng.fork("train");
        let points = match (&self.train_points, &self.law) {
            (Some(points), _) => Points::Fixed(points.clone()),
            (None, Some(law)) if self.spec.task.has_data() => Points::Stream(law.as_ref()),
            _ => Points::Nothing,
        };
        f(&Training {
            model: self.model.as_ref(),
            params: &self.params,
            objective: self.objective.as_ref(),
            points: &points,
            validation: self.validation.as_ref(),
            spec: &self.spec.train,
            seconds: self.spec.budget.seconds,
            rng: &rng,
        })
    }

    /// What evaluates the model, for the record.
    pub fn kernels(&self) -> String {
        match self.model.kernels() {
            Some(isa) if self.objective.is_mean_log_prob() => format!("fused ({isa})"),
            Some(isa) => format!("plain in training, fused ({isa}) in evaluation"),
            None => "plain".to_owned(),
        }
    }

    /// Writes down how training went and, where it did not diverge, measures the model:
    /// the one place where test points are drawn.
    pub(super) fn record(
        &self,
        place: &RunDir,
        trained: &Curves,
        search_seconds: Option<f64>,
    ) -> Result<Status> {
        if let Some(found) = self.spec.task.file_record()? {
            let text = toml::to_string(&found);
            let text = text.map_err(|e| Error::failed(format!("data.toml: {e}")))?;
            place.write("data.toml", text.as_bytes())?;
        }
        place.write_history(&trained.history)?;
        if !trained.rounds.is_empty() {
            place.write_rounds(&trained.rounds)?;
        }
        let file = weights::to_bytes(&self.params.snapshot()?, trained.best_step)?;
        place.write("model.safetensors", &file)?;
        if let Some(reason) = &trained.diverged {
            return Ok(Status::because(State::Diverged, reason));
        }
        self.measure(place, trained, search_seconds)?;
        Ok(Status::of(State::Done))
    }

    /// Validation loss plus the mean of log p on the same points: KL(p || q) without the noise of the
    /// entropy. `None` where the loss is another one or p is not known.
    fn validation_kl(&self, trained: &Curves) -> Result<Option<Vec<(usize, f64)>>> {
        let truth = self.law.as_ref().and_then(|law| law.truth());
        let (Some(truth), Some(points)) = (truth, &self.validation) else {
            return Ok(None);
        };
        if !self.objective.is_mean_log_prob() {
            return Ok(None);
        }
        let log_p = log_densities(truth, &num::to_vec(points)?, self.model.dim());
        let mean = log_p.iter().sum::<f64>() / log_p.len() as f64;
        let of_validation = |r: &&HistoryRow| r.split == train::Split::Validation;
        let rows = trained.history.iter().filter(of_validation);
        Ok(Some(rows.map(|r| (r.step, r.loss + mean)).collect()))
    }

    fn measure(&self, place: &RunDir, trained: &Curves, search_seconds: Option<f64>) -> Result<()> {
        let rng = self.rng.fork("evaluation");
        let cost = Cost {
            parameters: self.model.parameters(self.params.count()),
            steps: trained.steps,
            // A model that takes no steps has done its work before.
            seconds: trained.seconds
                + match self.model.phases().is_empty() {
                    true => self.build_seconds,
                    false => 0.0,
                },
            search_seconds,
            multiply_adds: self.params.multiply_adds(),
            validation_kl: self.validation_kl(trained)?,
        };
        let constraints = self.spec.task.constraints()?;
        let against = Against {
            law: self.law.as_deref(),
            has_data: self.spec.task.has_data(),
            constraints: constraints.as_ref().map(|(t, m)| (t, m.as_slice())),
            points: self.spec.evaluation.points,
            side: self.spec.evaluation.grid,
            dtype: self.params.dtype(),
            device: self.params.device(),
        };
        let Measured {
            mut evaluation,
            points,
            samples,
        } = evaluation::evaluate(self.model.as_ref(), &against, cost, &rng)?;
        if let (Some(moments), Some((_, last))) = (&mut evaluation.moments, trained.rounds.last()) {
            moments.multipliers = last.against_exact();
        }
        if evaluation.own_log_p.is_none() {
            evaluation.own_log_p = self.spec.task.solution_log_p(&samples)?;
        }
        let rows = |costs: bool| -> Vec<MetricRow> {
            METRICS
                .iter()
                .filter(|m| m.is_cost == costs)
                .map(|m| row(m, &evaluation))
                .collect()
        };
        place.write_metrics(&rows(false))?;
        if let Some(known) = &evaluation.known {
            let found = &known.of_samples.all;
            place.write_modes(&known.weights, found, evaluation.samples)?;
            place.write_levels(&known.bridge_curve())?;
        }
        // Apart from the metrics, which are the same bytes on every repetition.
        let mut costs = rows(true);
        if let Some(by) = ended_by_the_clock(&self.spec) {
            let seconds = costs.iter_mut().filter(|r| r.metric == "seconds");
            seconds.for_each(|row| row.note.clone_from(&by));
        }
        place.write_costs(&costs)?;
        let labels = evaluation.labels.as_deref();
        if let Some(picture) = self.picture(&points, &samples, labels)? {
            place.write_picture(&picture)?;
        }
        Ok(())
    }

    fn picture(
        &self,
        points: &[f64],
        samples: &[f64],
        labels: Option<&[u32]>,
    ) -> Result<Option<Picture>> {
        let view = match &self.law {
            Some(law) => law.view(),
            None if self.model.dim() == 2 => view::view_of(samples),
            None => None,
        };
        let Some(view) = view else {
            return Ok(None);
        };
        // The data's own view with a margin, whatever the model does outside: all models of a data
        // set are shown on the same axes.
        let view = view.map(|(low, high)| {
            let margin = 0.05 * (high - low);
            (low - margin, high + margin)
        });
        let side = self.spec.evaluation.grid.min(PICTURE_SIDE);
        let single = |values: &[f64]| values.iter().map(|v| *v as f32).collect::<Vec<f32>>();
        let rows = view::grid_rows(view, side);
        let truth = self.law.as_ref().and_then(|law| law.truth());
        let log_p = truth.map(|truth| single(&log_densities(truth, &rows, 2)));
        let x = num::from_rows(&rows, 2, self.params.dtype(), &self.params.device())?;
        // Numbers as small as the parts are many.
        let mut seen = std::collections::BTreeMap::new();
        let mut number = |part: u64| {
            let next = seen.len() as u32;
            *seen.entry(part).or_insert(next)
        };
        let part = evaluation::parts(self.model.as_ref(), &x)?
            .map(|parts| parts.into_iter().map(&mut number).collect());
        let shown = &points[..points.len().min(2 * PICTURE_POINTS)];
        let at = num::from_rows(shown, 2, self.params.dtype(), &self.params.device())?;
        let landing = match shown {
            [] => None,
            _ => landing(self.model.as_ref(), &at, labels, &mut number)?,
        };
        let pairs = |values: &[f64], n: usize| -> Vec<[f32; 2]> {
            values
                .chunks_exact(2)
                .take(n)
                .map(|p| [p[0] as f32, p[1] as f32])
                .collect()
        };
        Ok(Some(Picture {
            view,
            side,
            log_p,
            log_q: single(&log_q(self.model.as_ref(), &x)?),
            part,
            samples: pairs(samples, PICTURE_SAMPLES),
            points: pairs(points, PICTURE_POINTS),
            landing,
        }))
    }
}

fn row(metric: &Metric, on: &Evaluation) -> MetricRow {
    let mut row = MetricRow {
        metric: metric.name.to_owned(),
        unit: metric.unit.to_owned(),
        better: metric.better.to_string(),
        value: None,
        std_err: None,
        n: 0,
        non_finite: 0,
        note: String::new(),
    };
    match (metric.evaluate)(on) {
        Outcome::NotApplicable { why, non_finite } => {
            row.note = why.to_owned();
            row.non_finite = non_finite;
        }
        Outcome::Value {
            value,
            std_err,
            n,
            non_finite,
        } => {
            row.value = Some(value);
            row.std_err = std_err;
            row.n = n;
            row.non_finite = non_finite;
        }
    }
    row
}

#[cfg(test)]
mod tests;
