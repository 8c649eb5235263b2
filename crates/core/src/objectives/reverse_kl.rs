//! Reverse KL to a density that is known up to a constant (Rezende and Mohamed 2015).

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use candle_core::{DType, Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{At, Objective, ProblemSettings, Validation};
use crate::bijections::{Bijection, SupportSpec};
use crate::data::{DataSet, DataSpec, NoPrograms, Programs, Reference, Support, Target};
use crate::distributions::Draws;
use crate::error::BadValue;
use crate::models::{log_q, Model};
use crate::nn::params::Snapshot;
use crate::num;
use crate::rng::Rng;
use crate::{Error, Result};

mod anneal;
mod fab;
mod grow;
mod path;

pub use anneal::AnnealSpec;
use fab::Store;
pub use fab::{FabSpec, Transition};
pub use grow::GrowSpec;
use grow::Growth;
use path::path_loss;

/// `[problems.NAME.reverse_kl]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReverseKlSpec {
    /// p: any data set with a smooth density, known up to a constant.
    pub target: DataSpec,
    /// The constant: log of the integral of exp(log density), where it is known of a target without an
    /// exact law.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_z: Option<f64>,
    /// A file of samples of a target without an exact law (.npy, .csv, ...), on which the model is measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<PathBuf>,
    /// SHA-256 of `reference`; a file with another one is refused. The record of a run has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference_sha256: Option<String>,
    /// A map from R^D onto the target's support; R^D itself if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub support: Option<SupportSpec>,
    /// The target's inverse temperature in training: p^b with b from `anneal.from` to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anneal: Option<AnnealSpec>,
    /// Where the gradient flows.
    #[serde(default, skip_serializing_if = "GradientSpec::is_total")]
    pub gradient: GradientSpec,
    /// Mixture bases of flows grow in the first part of training; other models are trained without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grow: Option<GrowSpec>,
    /// The alpha-divergence by annealed importance sampling and a buffer, in place of the reverse KL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fab: Option<FabSpec>,
}

/// Where the gradient of the loss flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GradientSpec {
    /// Through the draws and through log q.
    #[default]
    Total,
    /// Through the draws alone ("sticking the landing", Roeder et al. 2017): no noise at q = p.
    Path,
}

impl GradientSpec {
    fn is_total(&self) -> bool {
        *self == Self::Total
    }
}

impl ProblemSettings for ReverseKlSpec {
    fn name(&self) -> &'static str {
        "reverse_kl"
    }

    fn check(&self) -> std::result::Result<usize, BadValue> {
        let dim = self.target.check_target();
        let dim = dim.map_err(|e| e.below("target"))?;
        if let Some(support) = &self.support {
            support.check(dim).map_err(|e| e.below("support"))?;
        }
        if let Some(log_z) = self.log_z {
            BadValue::unless(log_z.is_finite(), "log_z", "a finite `log_z`", log_z)?;
        }
        for (key, given) in [
            ("log_z", self.log_z.is_some()),
            ("reference", self.reference.is_some()),
        ] {
            let expected = format!("no `{key}` with this target, whose law is known exactly");
            BadValue::unless(!(given && self.target.has_law()), key, &expected, "one")?;
        }
        let law = self.exact();
        let law = law.map_err(|e| BadValue::new("target", "a target that can be built", e))?;
        let part = law.and_then(|law| Some(law.truth()?.support()));
        let part = part.filter(|part| matches!(part, Support::Part(_)) && self.support.is_none());
        if let Some(part) = part {
            return Err(BadValue::new(
                "target",
                "a target that is positive everywhere, or a `support` that keeps the model where \
                 it is positive (KL(q||p) is infinite otherwise)",
                format!("one that lives on {part}"),
            ));
        }
        self.check_positive()?;
        if let Some(anneal) = &self.anneal {
            anneal.check().map_err(|e| e.below("anneal"))?;
        }
        if let Some(grow) = &self.grow {
            grow.check().map_err(|e| e.below("grow"))?;
        }
        if let Some(fab) = &self.fab {
            fab.check().map_err(|e| e.below("fab"))?;
            let alone = self.anneal.is_none() && self.grow.is_none() && self.gradient.is_total();
            let expected = "`fab` without `anneal`, `grow` and `gradient = \"path\"`, which act on the reverse KL";
            BadValue::unless(alone, "fab", expected, "both")?;
        }
        Ok(dim)
    }

    fn build(&self, programs: &dyn Programs) -> Result<Box<dyn Objective>> {
        Ok(Box::new(ReverseKl::new(self, programs)?))
    }

    fn solution(&self) -> Result<Option<Box<dyn DataSet>>> {
        if self.target.has_law() {
            return self.exact();
        }
        let samples = self.samples();
        let samples = samples.map_err(|bad| Error::request(bad.to_string()))?;
        Ok(samples.map(|samples| Box::new(samples) as Box<dyn DataSet>))
    }

    /// Says how much of the target is outside a `support`.
    fn warnings(&self) -> Vec<String> {
        let share = self.share_outside().ok().filter(|share| *share >= 1e-3);
        let text = |share: f64| {
            format!(
                "{:.1} % of the target is outside `support`, so reverse_kl cannot fall below {:.3} nats (try a \
                 wider `support`)",
                100.0 * share,
                -(1.0 - share).ln()
            )
        };
        share.map(text).into_iter().collect()
    }

    fn needs_own_density(&self) -> bool {
        self.grow.is_some() || self.fab.is_some() || self.gradient == GradientSpec::Path
    }

    /// The map onto the target's support.
    fn support(&self) -> Option<SupportSpec> {
        let on_simplex = || {
            let law = self.exact().ok()??;
            let simplex = matches!(law.truth()?.support(), Support::Simplex);
            simplex.then_some(SupportSpec::Simplex)
        };
        self.support.clone().or_else(on_simplex)
    }
}

/// Points that a target is looked at before training.
const PROBES: usize = 10_000;

impl ReverseKlSpec {
    /// The law of a target with a normaliser and a sampler.
    fn exact(&self) -> Result<Option<Box<dyn DataSet>>> {
        let has_law = self.target.has_law();
        has_law.then(|| self.target.build()).transpose()
    }

    /// The samples of `reference`.
    fn samples(&self) -> std::result::Result<Option<Reference>, BadValue> {
        let Some(path) = &self.reference else {
            return Ok(None);
        };
        let dim = self.target.check_target()?;
        let read = Reference::read(path, self.reference_sha256.as_deref(), dim);
        let key = |e: BadValue| match e.key.is_empty() {
            true => e.below("reference"),
            false => BadValue::new("reference_sha256", e.expected, e.got),
        };
        read.map(Some).map_err(key)
    }

    pub(super) fn settle(&mut self) -> std::result::Result<(), BadValue> {
        if let Some(samples) = self.samples()? {
            self.reference_sha256 = Some(samples.sha256().to_owned());
        }
        self.target.settle().map_err(|e| e.below("target"))?;
        Ok(())
    }

    pub(super) fn paths_mut(&mut self) -> Vec<&mut PathBuf> {
        let mut all = self.target.paths_mut();
        all.extend(&mut self.reference);
        all
    }

    pub(super) fn take_paths(&mut self, other: &Self) {
        self.target.take_paths(&other.target);
        if self.reference_sha256.is_some() && other.reference_sha256.is_some() {
            self.reference.clone_from(&other.reference);
        }
    }

    /// Refuses a target that is 0 at points inside `support`: N(0, 4 I) sent through its map.
    fn check_positive(&self) -> std::result::Result<(), BadValue> {
        // A program is not started for it.
        let target = self.target.target(&NoPrograms);
        let (Some(support), Ok(target)) = (&self.support, target) else {
            return Ok(());
        };
        let dim = target.dim();
        let probe = || -> Result<usize> {
            let z = Rng::new(0).normal_tensor((PROBES, dim), DType::F64, &Device::Cpu)?;
            let (x, _) = support.build(dim)?.forward_and_log_det(&(z * 2.0)?)?;
            let log_p = target.evaluate(&num::to_vec(&x)?, false)?.log_p;
            Ok(log_p.iter().filter(|v| !v.is_finite()).count())
        };
        let zeros = probe().map_err(|e| BadValue::new("support", "a support of the target", e))?;
        BadValue::unless(
            zeros == 0,
            "support",
            "a `support` in which the target is positive and finite everywhere (KL(q||p) is infinite otherwise)",
            format!("one in which it is not at {zeros} of {PROBES} random points"),
        )
    }

    /// The share of the target's samples outside `support`; 0 without one.
    fn share_outside(&self) -> Result<f64> {
        let (Some(support), Some(law)) = (&self.support, self.exact()?) else {
            return Ok(0.0);
        };
        let x = law.sample(PROBES, &mut Rng::new(0))?;
        let outside = support.build(x.dim(1)?)?.outside(&x)?;
        let outside = num::to_vec(&outside)?.into_iter().sum::<f64>();
        Ok(outside / x.dim(0)? as f64)
    }
}

/// -(E_q\[b log p(X)\] + H(q)) over the model's draws: KL(q || p) + a constant at b = 1.
pub struct ReverseKl {
    target: Target,
    spec: ReverseKlSpec,
    state: Mutex<State>,
}

/// What training has gathered.
struct State {
    /// The inverse temperature that annealing by effective samples has reached.
    b: f64,
    growth: Growth,
    fab: Store,
}

impl ReverseKl {
    /// The objective of a checked specification.
    pub fn new(spec: &ReverseKlSpec, programs: &dyn Programs) -> Result<Self> {
        let bad = |bad: BadValue| Error::request(bad.below("target").to_string());
        let mut target = spec.target.target(programs).map_err(bad)?;
        target.log_z = target.log_z.or(spec.log_z);
        Ok(Self {
            target,
            spec: spec.clone(),
            state: Mutex::new(State {
                b: spec.anneal.map_or(1.0, |anneal| anneal.from),
                growth: Growth::default(),
                fab: Store::default(),
            }),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// log p~ of every row: (n,).
    fn log_p(&self, x: &Tensor) -> Result<Tensor> {
        self.target.log_p(x, "reverse_kl")
    }

    /// Growth at this step, if the model's base grows.
    fn grows(&self, model: &dyn Model, at: &At<'_>) -> Result<Option<&GrowSpec>> {
        match &self.spec.grow {
            Some(grow) if at.progress < grow.over && Growth::suits(model)? => Ok(Some(grow)),
            _ => Ok(None),
        }
    }

    /// The draws of a step. While the base grows, its parameters have no gradients.
    fn draws(&self, model: &dyn Model, at: &At<'_>, rng: &mut Rng) -> Result<Draws> {
        let (true, Some(base)) = (self.grows(model, at)?.is_some(), model.base()) else {
            return model.draws(at.size, at.progress, rng);
        };
        let drawn = base.draws(at.size, at.progress, rng)?;
        let no_map = || Error::failed("grow: expected a model with one map; got one without");
        let (x, log_det) = model.to_data(&drawn.x.detach())?.ok_or_else(no_map)?;
        Ok(Draws {
            x,
            log_prob: (drawn.log_prob.detach() - log_det)?,
            log_weight: drawn.log_weight.detach(),
            ..drawn
        })
    }
}

impl Objective for ReverseKl {
    fn is_settled(&self, progress: f64) -> bool {
        let anneal = self.spec.anneal.map_or(0.0, |anneal| anneal.over);
        progress >= anneal.max(self.spec.grow.map_or(0.0, |grow| grow.over))
    }

    fn loss(&self, model: &dyn Model, at: &At<'_>, rng: &mut Rng) -> Result<Tensor> {
        let state = &mut *self.state();
        if let Some(anneal) = &self.spec.anneal {
            state.b = anneal.at(at.progress, state.b);
        }
        let (log_p, b) = (|x: &Tensor| self.log_p(x), state.b);
        if let Some(fab) = &self.spec.fab {
            return state.fab.loss(fab, model, &log_p, at.size, rng);
        }
        if let Some(grow) = self.grows(model, at)? {
            let growth = &mut state.growth;
            growth.before_step(grow, model, (&log_p, b), rng)?;
        }
        let draws = self.draws(model, at, rng)?;
        let total = || -> Result<[Tensor; 2]> {
            let log_p = self.log_p(&draws.x)?;
            let cost = (&draws.log_prob - (&log_p * b)?)?;
            Ok([(draws.log_weight.exp()? * cost)?.sum_all()?, log_p])
        };
        let [loss, log_p] = match self.spec.gradient {
            GradientSpec::Total => total()?,
            GradientSpec::Path => path_loss(model, &draws, (&log_p, b))?,
        };
        if let Some(anneal) = &self.spec.anneal {
            state.b = anneal.after(b, &draws, &num::to_vec(&log_p)?)?;
        }
        Ok(loss)
    }

    fn non_finite(&self, model: &dyn Model, at: &At<'_>, rng: &mut Rng) -> Result<usize> {
        let draws = self.draws(model, at, rng)?;
        let values = self.target.evaluate(&num::to_vec(&draws.x)?, true)?;
        let log_q = num::to_vec(&draws.log_prob)?.into_iter().enumerate();
        let bad = log_q.filter(|(i, q)| !q.is_finite() || values.is_faulty(*i));
        Ok(bad.count())
    }

    fn fault(&self, model: &dyn Model, at: &At<'_>, rng: &mut Rng) -> Result<Option<String>> {
        let x = num::to_vec(&self.draws(model, at, rng)?.x)?;
        let fault = self.target.evaluate(&x, true)?.fault(&x);
        Ok(fault.map(|fault| format!("target: {fault}")))
    }

    fn target(&self) -> Option<&Target> {
        Some(&self.target)
    }

    /// KL(q || p) on samples of the model, up to log Z where that is not known.
    fn validate(
        &self,
        model: &dyn Model,
        _points: Option<&Tensor>,
        n: usize,
        rng: &mut Rng,
    ) -> Result<Validation> {
        let x = model.sample(n, rng)?;
        let log_p = self.target.evaluate(&num::to_vec(&x)?, false)?.log_p;
        let log_z = self.target.log_z.unwrap_or_default();
        let log_q = log_q(model, &x)?;
        let costs: Vec<f64> = log_q
            .iter()
            .zip(log_p)
            .map(|(q, p)| q - (p - log_z))
            .collect();
        Ok(Validation::mean(&costs))
    }

    fn state(&self) -> Result<Snapshot> {
        let (state, mut all) = (self.state(), Snapshot::new());
        if self.spec.anneal.is_some_and(|anneal| anneal.ess.is_some()) {
            all.insert("anneal".into(), Tensor::new(&[state.b], &Device::Cpu)?);
        }
        if self.spec.grow.is_some() {
            state.growth.state(self.target.dim(), &mut all)?;
        }
        if self.spec.fab.is_some() {
            state.fab.state(self.target.dim(), &mut all)?;
        }
        Ok(all)
    }

    fn resume(&self, from: &Snapshot) -> Result<()> {
        let mut state = self.state();
        if let Some(b) = from.get("anneal") {
            state.b = num::to_vec(b)?[0];
        }
        if self.spec.grow.is_some() {
            state.growth = Growth::resumed(from)?;
        }
        if self.spec.fab.is_some() {
            state.fab = Store::resumed(from)?;
        }
        Ok(())
    }
}
