//! One run from its specification to its record.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use candle_core::{DType, Tensor};

use super::checkpoint::{self, Saved};
use super::guard::{Guard, Keeping};
use super::plan::RunSpec;
use super::store::{remove_unfinished, Environment, RunDir, State, Status};
use super::{trials, Compute};
use mdn_core::data::{DataSet, Split};
use mdn_core::models::supported::Supported;
use mdn_core::models::Model;
use mdn_core::nn::params::Snapshot;
use mdn_core::nn::Params;
use mdn_core::objectives::Objective;
use mdn_core::rng::Rng;
use mdn_core::train::{Points, Progress, Training};
use mdn_core::{Error, Result};
use rounding::check_single;
use spread::check_varies;

mod record;
mod rounding;
mod spread;

const CONFIG: &str = "config.toml";

/// Trains, evaluates and records one run. `command` is what the user typed, for the record;
/// `watch` is told about every step. A run that diverges, or that is interrupted as `guard` wishes, is
/// recorded and returned as such; an error is recorded as `failed` before it is returned.
///
/// A run that was broken off goes on from its checkpoint, if its settings are the same, and leaves
/// the bytes that it would have left.
pub fn run(
    spec: &RunSpec,
    place: &RunDir,
    compute: &Compute,
    (guard, command): (&Guard, &str),
    watch: &mut dyn FnMut(&Progress),
) -> Result<Status> {
    place.create()?;
    remove_unfinished(&place.0)?;
    let settings = spec.to_toml(&place.0)?;
    // First: a run that is broken off while its old files go must not be taken for done.
    place.write_status(&Status::of(State::Running))?;
    let started = SystemTime::now();
    let environment = |kernels: String| {
        let time = |t| humantime::format_rfc3339_seconds(t).to_string();
        Environment {
            command: command.to_owned(),
            version: crate::VERSION.to_owned(),
            device: mdn_core::device::name(&compute.device),
            kernels,
            threads: rayon::current_num_threads(),
            precision: spec.train.precision,
            started: time(started),
            ended: time(SystemTime::now()),
            note: ended_by_the_clock(spec).map(|by| {
                format!("{by}: the same run again makes other steps and leaves other bytes")
            }),
        }
    };
    match goes_on(place, &settings, guard).and_then(|from| {
        make(
            spec,
            place,
            compute,
            (from, &mut Keeping::new(place, guard)),
            watch,
        )
    }) {
        Ok((status, kernels)) => {
            place.write_environment(&environment(kernels))?;
            // Last, so that a run whose status says `done` has everything.
            place.write_status(&status)?;
            place.remove_checkpoint()?;
            Ok(status)
        }
        Err(Error::Interrupted(at)) => {
            let by = guard.interrupt.reason().unwrap_or_default();
            let status = Status::because(State::Interrupted, &format!("by {by} {at}"));
            place.write_status(&status)?;
            Ok(status)
        }
        Err(error) => {
            place.write_status(&Status::because(State::Failed, &error.to_string()))?;
            // What failed is worth more than this record, which a full disk may not take.
            let _ = place.write_environment(&environment(String::new()));
            Err(error)
        }
    }
}

/// What was done of the run before, or nothing in an empty folder.
fn goes_on(place: &RunDir, settings: &str, guard: &Guard) -> Result<Saved> {
    let same = std::fs::read_to_string(place.path(CONFIG)).is_ok_and(|there| there == settings);
    if same && !guard.anew {
        if let Some(saved) = place.read_checkpoint(settings)? {
            return Ok(saved);
        }
    }
    place.remove_checkpoint()?;
    place.remove_outputs()?;
    place.write(CONFIG, settings.as_bytes())?;
    Ok(Saved {
        settings: checkpoint::digest(settings),
        ..Saved::default()
    })
}

/// Trains every trial and measures the one that is chosen; also gives what evaluated the model.
fn make(
    spec: &RunSpec,
    place: &RunDir,
    compute: &Compute,
    (from, keeping): (Saved, &mut Keeping<'_>),
    watch: &mut dyn FnMut(&Progress),
) -> Result<(Status, String)> {
    let law = spec.task.law()?.map(Law::from);
    let best = trials::best(spec, law.as_ref(), compute, (from, &mut *keeping), watch)?;
    if !spec.search.is_empty() {
        place.write_trials(&best.trials)?;
    }
    if spec.is_settled_in_training() {
        place.write(
            "trained.toml",
            best.run.spec().to_toml(&place.0)?.as_bytes(),
        )?;
    }
    let go_on = || keeping.go_on("while it was measured");
    let status = best
        .run
        .record(place, &best.trained, best.search_seconds, &go_on)?;
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
        if let Some(start) = &start {
            check_varies(start)?;
        }
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

    /// Its parameters as they are.
    pub(super) fn weights(&self) -> Result<Snapshot> {
        self.params.snapshot()
    }

    /// Gives the model the parameters of another run of the same specification.
    pub(super) fn set_weights(&self, weights: &Snapshot) -> Result<()> {
        self.params.restore(weights)
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
mod guard_tests;
#[cfg(test)]
mod registry_tests;
#[cfg(test)]
mod tests;
