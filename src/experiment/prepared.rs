//! A run with its points drawn and its model built, ready to be trained and measured.

use std::sync::Arc;
use std::time::Instant;

use candle_core::{DType, Tensor};

use super::plan::RunSpec;
use super::Compute;
use mdn_core::data::{DataSet, NoPrograms, Programs, Split};
use mdn_core::models::supported::Supported;
use mdn_core::models::Model;
use mdn_core::nn::Params;
use mdn_core::objectives::Objective;
use mdn_core::rng::Rng;
use mdn_core::train::{Points, Training};
use mdn_core::{Error, Result};
use points::{check_single, check_varies};

mod picture;
pub(super) mod points;
mod record;

/// The setting by which the clock may have ended training.
pub(super) fn ended_by_the_clock(spec: &RunSpec) -> Option<String> {
    let seconds = spec.budget.seconds?;
    Some(format!("trained by the clock (budget.seconds = {seconds})"))
}

/// The law that a model is trained on or measured against, shared by the trials of a run.
pub(super) type Law = Arc<dyn DataSet>;

/// Everything that a run needs, made from its specification.
pub struct Run {
    /// With the actual sizes of the model.
    pub(super) spec: RunSpec,
    law: Option<Law>,
    objective: Box<dyn Objective>,
    pub(super) params: Params,
    model: Box<dyn Model>,
    build_seconds: f64,
    train_points: Option<Tensor>,
    /// Mean and standard deviation of every coordinate of the training points; empty without data.
    moments: Vec<(f64, f64)>,
    validation: Option<Tensor>,
    /// What is likely a mistake in the points, one line each.
    warnings: Vec<String>,
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

/// The run with the widths that its budget gives the model, and with whatever else decides the size,
/// such as K by silhouette or BIC.
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

impl Run {
    /// Draws the points and builds the model. A target that is a program is refused.
    pub fn new(spec: &RunSpec, compute: &Compute) -> Result<Self> {
        let law = spec.task.law()?.map(Law::from);
        Self::on(spec, (law.as_ref(), &NoPrograms), compute)
    }

    /// The same on a given law, with the program of its target, if it has one.
    pub(super) fn on(
        spec: &RunSpec,
        (law, programs): (Option<&Law>, &dyn Programs),
        compute: &Compute,
    ) -> Result<Self> {
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
        let found = law.and_then(|law| law.record());
        let mut warnings = found.map_or_else(Vec::new, |found| found.warnings.clone());
        let moments = start.as_ref().map(check_varies).transpose()?;
        if let Some(start) = &start {
            let names = spec.task.columns(start.dim(1)?).names();
            warnings.extend(points::warnings(&spec.model, start, &names)?);
        }
        let n = spec.train.validation_points;
        let validation = points("validation", Split::Validation, n)?;
        let params = Params::seeded(rng.fork("init"), dtype, device).with_kernels(compute.kernels);
        let began = Instant::now();
        let spec = settled(spec, &params, start.as_ref())?;
        let model = build_model(&spec, &params, start.clone())?;
        let build_seconds = began.elapsed().as_secs_f64();
        warnings.extend(params.findings().warnings);
        Ok(Self {
            objective: spec.task.objective(programs)?,
            spec,
            train_points: start.filter(|_| fixed),
            moments: moments.unwrap_or_default(),
            validation,
            warnings,
            params,
            model,
            build_seconds,
            rng,
            law: law.cloned(),
        })
    }

    /// The model that is trained.
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

    /// Calls `f` with the run's training, before its first step.
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

    /// Which kernels evaluate the model, for the record.
    pub fn kernels(&self) -> String {
        let trained =
            self.objective.is_mean_log_prob() || self.model.kernels_of_samples().is_some();
        match self.model.kernels() {
            Some(isa) if trained => format!("fused ({isa})"),
            Some(isa) => format!("plain in training, fused ({isa}) in evaluation"),
            None => "plain".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
