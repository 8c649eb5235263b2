//! One run from its specification to its record.

use std::time::SystemTime;

use candle_core::{DType, Tensor};
use serde::Serialize;

use super::landing::landing;
use super::plan::RunSpec;
use super::store::{MetricRow, Picture, RunDir, State, Status};
use super::weights;
use super::Compute;
use crate::data::{log_densities, DataSet, Split};
use crate::metrics::evaluation::{self, Against, Measured};
use crate::metrics::{view, Cost, Evaluation, Outcome, METRICS};
use crate::models::supported::Supported;
use crate::models::{log_q, Model};
use crate::nn::Params;
use crate::num;
use crate::objectives::Objective;
use crate::rng::Rng;
use crate::train::{train, Curves, Points, Precision, Progress, Training};
use crate::{Error, Result};

const PICTURE_SAMPLES: usize = 4000;
const PICTURE_POINTS: usize = 1000;
const PICTURE_SIDE: usize = 300;

/// Files that a run writes and that a new one of the same place removes first.
const OUTPUTS: [&str; 16] = [
    "history.csv",
    "rounds.csv",
    "metrics.csv",
    "modes.csv",
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

#[derive(Serialize)]
struct Environment<'a> {
    command: &'a str,
    version: &'a str,
    device: &'a str,
    kernels: String,
    threads: usize,
    precision: Precision,
    started: String,
    ended: String,
}

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
    place.write("config.toml", spec.to_toml()?.as_bytes())?;
    let started = SystemTime::now();
    let made =
        Run::new(spec, compute).and_then(|run| Ok((run.record(place, watch)?, run.kernels())));
    let (status, kernels) = match made {
        Ok(made) => made,
        Err(error) => {
            place.write_status(&Status::because(State::Failed, &error.to_string()))?;
            return Err(error);
        }
    };
    let time = |t| humantime::format_rfc3339_seconds(t).to_string();
    let environment = toml::to_string(&Environment {
        command,
        version: crate::VERSION,
        device: &crate::device::name(&compute.device),
        kernels,
        threads: rayon::current_num_threads(),
        precision: spec.train.precision,
        started: time(started),
        ended: time(SystemTime::now()),
    })
    .map_err(|e| Error::failed(format!("environment.toml: {e}")))?;
    place.write("environment.toml", environment.as_bytes())?;
    // Last, so that a run whose status says `done` has everything.
    place.write_status(&status)?;
    Ok(status)
}

/// Everything that a run needs, made from its specification.
pub struct Run<'a> {
    spec: &'a RunSpec,
    law: Option<Box<dyn DataSet>>,
    objective: Box<dyn Objective>,
    params: Params,
    model: Box<dyn Model>,
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

/// Refuses data that single precision cannot hold: where the truth's log-density at the rounded
/// points is another than at the points themselves (by a hundredth of a nat in the mean), the model
/// would fit the rounding, and every metric with it.
fn check_single(data: &dyn DataSet, points: &Tensor) -> Result<()> {
    let Some(truth) = data.truth() else {
        return Ok(());
    };
    let exact = num::to_vec(points)?;
    let rounded: Vec<f64> = exact.iter().map(|v| f64::from(*v as f32)).collect();
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

impl<'a> Run<'a> {
    /// Draws the points and builds the model.
    pub fn new(spec: &'a RunSpec, compute: &Compute) -> Result<Self> {
        let device = &compute.device;
        let law = spec.task.law()?;
        let rng = Rng::new(spec.seed);
        let dtype = spec.train.precision.dtype();
        if let (Some(law), DType::F32) = (&law, dtype) {
            let points = law.sample(1000, &mut rng.fork("rounding"))?;
            check_single(law.as_ref(), &points)?;
        }
        // The points depend on the seed and the data alone: all models of a seed share them.
        let points = |label: &str, split: Split, n: usize| -> Result<Option<Tensor>> {
            let Some(data) = law.as_ref().filter(|_| spec.task.has_data()) else {
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
        let model = build_model(spec, &params, start.clone())?;
        Ok(Self {
            spec,
            train_points: start.filter(|_| fixed),
            validation,
            params,
            model,
            rng,
            objective: spec.task.objective()?,
            law,
        })
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

    fn record(&self, place: &RunDir, watch: &mut dyn FnMut(&Progress)) -> Result<Status> {
        let trained = self.with_training(|task| train(task, watch))?;
        place.write_history(&trained.history)?;
        if !trained.rounds.is_empty() {
            place.write_rounds(&trained.rounds)?;
        }
        let file = weights::to_bytes(&self.params.snapshot()?, trained.best_step)?;
        place.write("model.safetensors", &file)?;
        if let Some(reason) = trained.diverged {
            return Ok(Status::because(State::Diverged, &reason));
        }
        self.measure(place, &trained)?;
        Ok(Status::of(State::Done))
    }

    fn measure(&self, place: &RunDir, trained: &Curves) -> Result<()> {
        let rng = self.rng.fork("evaluation");
        let cost = Cost {
            parameters: self.params.count(),
            steps: trained.steps,
            seconds: trained.seconds,
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
                .filter(|m| m.is_cost() == costs)
                .map(|m| row(*m, &evaluation))
                .collect()
        };
        place.write_metrics(&rows(false))?;
        if let Some(known) = &evaluation.known {
            let found = &known.of_samples.all;
            place.write_modes(&known.weights, found, evaluation.samples)?;
        }
        // Apart from the metrics, which are the same bytes on every repetition.
        place.write_costs(&rows(true))?;
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

fn row(metric: &dyn crate::metrics::Metric, on: &Evaluation) -> MetricRow {
    let mut row = MetricRow {
        metric: metric.name().to_owned(),
        unit: metric.unit().to_owned(),
        better: metric.better().to_string(),
        value: None,
        std_err: None,
        n: 0,
        non_finite: 0,
        note: String::new(),
    };
    match metric.evaluate(on) {
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
