//! The checked experiment: data x model x seed, in a fixed order.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use serde::Serialize;

use mdn_core::data::Split;
use mdn_core::distributions::EntropyBound;
use mdn_core::models::ModelSpec;
use mdn_core::rng::Rng;
use mdn_core::train::TrainSpec;
use mdn_core::{Error, Result};

use super::config::Config;
use super::prepared::points::warnings;
use super::search::{Search, Trial};
use super::store::{unusable, RunDir};
use super::{not_among, Budget, EvaluationSpec, Task};

pub use settings::Difference;

mod settings;

/// All settings of one run: enough to repeat it bit for bit. It is serialised as an experiment file
/// with this run alone.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(into = "Config")]
pub struct RunSpec {
    /// Name of the experiment (the file's stem).
    pub experiment: String,
    /// Name of the data set or problem in the file.
    pub data_name: String,
    /// Its settings.
    pub task: Task,
    /// Name of the model in the file.
    pub model_name: String,
    /// Its settings.
    pub model: ModelSpec,
    /// The run's seed.
    pub seed: u64,
    /// How it is trained.
    pub train: TrainSpec,
    /// The budget that every model gets.
    pub budget: Budget,
    /// The settings that are chosen by validation loss.
    pub search: Search,
    /// How it is measured.
    pub evaluation: EvaluationSpec,
}

/// All runs of an experiment, data sets and then problems outermost and seeds innermost.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The file with every default filled in.
    pub config: Config,
    /// Name of the experiment.
    pub experiment: String,
    /// The runs; a run's index is its place here.
    pub runs: Vec<RunSpec>,
    /// The folder of the experiment file.
    folder: PathBuf,
}

impl Plan {
    /// Reads an experiment file, with overrides (`dotted.key=value`) applied to it.
    pub fn load(path: &Path, overrides: &[String]) -> Result<Self> {
        let folder = path.parent().unwrap_or(Path::new(""));
        Ok(Self::new(Config::load(path, overrides)?, folder))
    }

    /// An experiment file's text; `name` is the experiment's, and the file's in messages.
    pub fn parse(text: &str, name: &str) -> Result<Self> {
        Ok(Self::new(Config::parse(text, name)?, Path::new("")))
    }

    /// The runs of a checked file in `folder`.
    pub fn new(config: Config, folder: &Path) -> Self {
        let experiment = config.name.clone().unwrap_or_default();
        let mut runs = Vec::new();
        let data = config.data.iter().map(|(n, d)| (n, Task::Data(d.clone())));
        let problems = config.problems.iter();
        let problems = problems.map(|(n, p)| (n, Task::Problem(p.clone())));
        for (data_name, task) in data.chain(problems) {
            for (model_name, model) in &config.models {
                for &seed in &config.seeds {
                    runs.push(RunSpec {
                        experiment: experiment.clone(),
                        data_name: data_name.clone(),
                        task: task.clone(),
                        model_name: model_name.clone(),
                        model: model.clone(),
                        seed,
                        train: config.train.clone(),
                        budget: config.budget,
                        search: config.search.of(model_name),
                        evaluation: config.evaluation.clone(),
                    });
                }
            }
        }
        Self {
            config,
            experiment,
            runs,
            folder: folder.to_path_buf(),
        }
    }

    /// The experiment as a file in the same folder, with every default filled in.
    pub fn resolved(&self) -> Result<String> {
        self.config.clone().from_folder(&self.folder).to_toml()
    }

    /// The first 12 hexadecimal digits of the SHA-256 of [`Plan::resolved`]: the same for equal plans,
    /// whatever their files' comments, overrides and folders.
    pub fn config_hash(&self) -> Result<String> {
        Ok(super::config_hash(&self.resolved()?))
    }

    /// Settings that are probably a mistake, one line each; of data sets and problems only those that
    /// `about` names.
    pub fn warnings(&self, about: &dyn Fn(&str) -> bool) -> Vec<String> {
        let mut all = Vec::new();
        for name in self.config.data.keys().filter(|name| about(name)) {
            // The run itself reports a file that is missing by now.
            let lines = self.of_data(name).unwrap_or_default().into_iter();
            all.extend(lines.map(|text| format!("data.{name}: {text}")));
        }
        for (name, problem) in self.config.problems.iter().filter(|p| about(p.0)) {
            let lines = problem.warnings().into_iter();
            all.extend(lines.map(|text| format!("problems.{name}: {text}")));
        }
        if self.config.budget.parameters.is_some() {
            for (name, model) in &self.config.models {
                if model.widths().is_ok_and(|w| w.concat().is_empty()) {
                    all.push(format!(
                        "models.{name}: has no widths, so `budget.parameters` leaves it as it is"
                    ));
                }
            }
        }
        let alone = |run: &RunSpec| run.task.dim().is_ok_and(|dim| dim == 1);
        if self
            .runs
            .iter()
            .any(|run| about(&run.data_name) && alone(run))
        {
            let models = self.config.models.iter();
            let nets = models.filter(|(_, model)| model.is_affine_alone());
            all.extend(nets.map(|(name, _)| {
                format!(
                    "models.{name}: in one dimension its layers have no coordinate to depend on, so `hidden` \
                     does not count and each is a shift and a scale (try spline_coupling, there a free \
                     monotone spline per layer)"
                )
            }));
        }
        if self.config.problems.is_empty() {
            return all;
        }
        for (name, model) in &self.config.models {
            match model.entropy_bound() {
                EntropyBound::Exact | EntropyBound::Below => {}
                EntropyBound::Above(proof) => all.push(format!(
                    "models.{name}: by {proof} the density of its draws makes the entropy an upper \
                     bound; reverse_kl and maximum_entropy raise it without end while components \
                     shrink (try density.nested_including_own, a lower bound, or stratified draws)"
                )),
                EntropyBound::Joint => all.push(format!(
                    "models.{name}: `joint` is the entropy of points and weights together, in which \
                     the mixture weights are pulled towards equality (try \
                     density.nested_including_own, a lower bound of the points' own)"
                )),
            }
        }
        all
    }

    /// What is likely a mistake in the points of a data set, one line each: what its record says, and
    /// what the models make of the training points of the first seed.
    fn of_data(&self, name: &str) -> Result<Vec<String>> {
        let mut lines: Vec<String> = Vec::new();
        let first = self.config.seeds.first();
        let runs = self.runs.iter().filter(|run| run.data_name == name);
        let runs: Vec<_> = runs.filter(|run| Some(&run.seed) == first).collect();
        let Some(run) = runs.first() else {
            return Ok(lines);
        };
        let Some(law) = run.task.law()? else {
            return Ok(lines);
        };
        lines.extend(law.record().iter().flat_map(|found| found.warnings.clone()));
        let (n, dim) = (run.train.start_points(), law.dim());
        if law.record().is_none() && n > dim && runs.iter().all(|r| r.model.tail_bound().is_none())
        {
            return Ok(lines);
        }
        let names = run.task.columns(dim).names();
        let rng = &mut Rng::new(run.seed).fork("data").fork("train");
        let x = law.points(Split::Train, n, rng)?.x;
        for run in runs {
            let more = warnings(&run.model, &x, &names)?.into_iter();
            for line in more {
                if !lines.contains(&line) {
                    lines.push(line);
                }
            }
        }
        Ok(lines)
    }

    /// Indices of the runs, in order, of these data sets, models and seeds; an empty list selects all.
    /// Fails for a name or seed that the plan does not have.
    pub fn select(&self, data: &[String], models: &[String], seeds: &[u64]) -> Result<Vec<usize>> {
        let all = self.config.data.keys().chain(self.config.problems.keys());
        known("data set", data, all)?;
        known("model", models, self.config.models.keys())?;
        let text = |seeds: &[u64]| seeds.iter().map(u64::to_string).collect::<Vec<_>>();
        known("seed", &text(seeds), &text(&self.config.seeds))?;
        let fits = |run: &RunSpec| {
            (data.is_empty() || data.contains(&run.data_name))
                && (models.is_empty() || models.contains(&run.model_name))
                && (seeds.is_empty() || seeds.contains(&run.seed))
        };
        let runs = self.runs.iter().enumerate();
        Ok(runs.filter(|(_, r)| fits(r)).map(|(i, _)| i).collect())
    }
}

fn known<'a>(
    kind: &str,
    wanted: &[String],
    all: impl IntoIterator<Item = &'a String>,
) -> Result<()> {
    let all: Vec<_> = all.into_iter().map(String::as_str).collect();
    match wanted.iter().find(|w| !all.contains(&w.as_str())) {
        None => Ok(()),
        Some(name) => Err(Error::request(format!(
            "the experiment has no {kind} {}",
            not_among(name, &all)
        ))),
    }
}

impl RunSpec {
    /// The run as an experiment file of its own in `folder`, with every default filled in. Only paths
    /// depend on the folder.
    pub fn to_toml(&self, folder: &Path) -> Result<String> {
        Config::from(self.clone()).from_folder(folder).to_toml()
    }

    /// Reads what [`RunSpec::to_toml`] wrote. Anything else is a bad request that names `path`.
    pub fn read(path: &Path) -> Result<Self> {
        let hint = "`mdn train` with --force makes the run anew";
        let config = Config::load_recorded(path, &[])
            .map_err(|e| Error::request(format!("settings of a run: {e} ({hint})")))?;
        let data = config.data.len() + config.problems.len();
        let counts = [data, config.models.len(), config.seeds.len()];
        let mut runs = Plan::new(config, Path::new("")).runs;
        match (runs.pop(), counts) {
            (Some(run), [1, 1, 1]) => Ok(run),
            (_, [data, models, seeds]) => {
                let why = format!(
                    "no run's settings: expected one data set, one model and one seed; got {data}, \
                     {models} and {seeds} ({hint})"
                );
                Err(unusable(path, why))
            }
        }
    }

    /// The settings that the run in this folder was trained with: `trained.toml` where some were
    /// chosen in training, else `config.toml`.
    pub fn read_trained(place: &RunDir) -> Result<Self> {
        let settled = place.path("trained.toml");
        match settled.exists() {
            true => Self::read(&settled),
            false => Self::read(&place.path("config.toml")),
        }
    }

    /// Whether training chooses some settings, which `trained.toml` then holds.
    pub fn is_settled_in_training(&self) -> bool {
        self.budget.parameters.is_some() || !self.search.is_empty()
    }

    /// One run for every combination of the settings that are searched over.
    pub fn trials(&self) -> Result<Vec<(Trial, Self)>> {
        let (name, search) = (&self.model_name, &self.search);
        let trials = search.trials(name, &self.train, &self.model);
        let trials = trials.map_err(|bad| Error::request(bad.below("search").to_string()))?;
        let alone = |trial: Trial| {
            let run = Self {
                train: trial.train.clone(),
                model: trial.model.clone(),
                search: Search::default(),
                ..self.clone()
            };
            (trial, run)
        };
        Ok(trials.into_iter().map(alone).collect())
    }

    /// The model as it is trained, with its number of trainable parameters; `None` where the points
    /// decide it.
    pub fn sized(&self) -> Result<(ModelSpec, Option<usize>)> {
        let sized = self.budget.apply(&self.model, self.task.dim()?);
        sized.map_err(|bad| {
            let bad = bad.below(&format!("models.{}", self.model_name));
            Error::request(bad.to_string())
        })
    }

    /// The run's folder below the results folder `out`: `<out>/<experiment>/` and the label.
    pub fn place(&self, out: &Path) -> RunDir {
        RunDir(out.join(&self.experiment).join(self.label()))
    }

    /// `<data>/<model>/seed-<n>`: the run's folder below the experiment's.
    pub fn label(&self) -> String {
        format!("{}/{}/seed-{}", self.data_name, self.model_name, self.seed)
    }
}

impl From<RunSpec> for Config {
    fn from(run: RunSpec) -> Self {
        let mut data = IndexMap::new();
        let mut problems = IndexMap::new();
        match run.task {
            Task::Data(d) => drop(data.insert(run.data_name, d)),
            Task::Problem(p) => drop(problems.insert(run.data_name, p)),
        }
        Self {
            name: Some(run.experiment),
            seeds: vec![run.seed],
            reference: None,
            train: run.train,
            budget: run.budget,
            search: run.search,
            evaluation: run.evaluation,
            data,
            problems,
            models: [(run.model_name, run.model)].into_iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests;
