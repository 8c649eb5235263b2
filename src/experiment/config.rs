//! The experiment file: its tables, its defaults, and the check of its values.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use mdn_core::data::{relative_to, DataSpec};
use mdn_core::distributions::EntropyBound;
use mdn_core::error::{did_you_mean, BadValue};
use mdn_core::models::ModelSpec;
use mdn_core::objectives::ProblemSpec;
use mdn_core::train::TrainSpec;
use mdn_core::{Error, Result};

use super::search::Search;
use super::store::unusable;
use super::{quoted, Budget, EvaluationSpec};
use memory::Memory;
use schema::schema_of;

mod fault;
pub mod memory;
pub(super) mod overrides;
pub mod schema;
mod shape;
pub mod study;

/// A kind of TOML file.
trait Typed: DeserializeOwned {
    /// What is wrong with the values, if anything; keys are paths from the file's root.
    fn check(&self) -> Result<(), BadValue>;
    /// The JSON Schema of the file.
    fn schema() -> &'static serde_json::Value;
    /// What to try if these keys at the root show that the file is of another kind.
    fn other_kind(keys: &[&str]) -> Option<&'static str>;
}

/// Reads a file, checks it, then applies `overrides` one after the other, checking after each.
fn read<T: Typed>(path: &Path, overrides: &[String]) -> Result<T> {
    let unreadable = |e| unusable(path, format!("could not read the experiment file: {e}"));
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    let config = shape::parse(&text).map_err(|f| Error::Request(f.in_file(path, &text)))?;
    match overrides {
        [] => Ok(config),
        some => overrides::apply(&text, some),
    }
}

impl Typed for Config {
    fn check(&self) -> Result<(), BadValue> {
        if let Some(name) = &self.name {
            check_name("name", name)?;
        }
        self.check_seeds()?;
        self.train.check().map_err(|e| e.below("train"))?;
        self.budget.check().map_err(|e| e.below("budget"))?;
        self.evaluation.check().map_err(|e| e.below("evaluation"))?;
        let some = |table: &str, n: usize| {
            let expected = format!("at least one table `[{table}.NAME]`");
            BadValue::unless(n > 0, table, &expected, "none")
        };
        if self.problems.is_empty() {
            some("data", self.data.len())?;
        }
        some("models", self.models.len())?;
        for (name, model) in &self.models {
            let place = format!("models.{name}");
            check_name(&place, name)?;
            let checked = model.check().and_then(|()| check_start(model, self));
            let checked = checked.and_then(|()| check_draws(model, self));
            checked.map_err(|e| e.below(&place))?;
        }
        for (name, data) in &self.data {
            let place = format!("data.{name}");
            check_folder(&place, name)?;
            data.check_settings().map_err(|e| e.below(&place))?;
        }
        self.check_stream()?;
        for (name, problem) in &self.problems {
            let place = format!("problems.{name}");
            check_folder(&place, name)?;
            let expected = "another name: a data set has it already";
            let taken = self.data.contains_key(name);
            BadValue::unless(!taken, &place, expected, format!("`{name}`"))?;
            problem.check().map_err(|e| e.below(&place))?;
        }
        self.check_reference()?;
        self.check_runs()?;
        self.search
            .check(&self.models, &self.train, &self.problems)
            .map_err(|e| e.below("search"))?;
        // Files are read later, by `settle_files`.
        let synthetic = |data: &&DataSpec| !matches!(data, DataSpec::File(_));
        let data = self.data.values().filter(synthetic).map(DataSpec::check);
        let problems = self.problems.values().map(ProblemSpec::check);
        let dims = data.chain(problems).collect::<Result<_, _>>()?;
        self.check_trials(dims)
    }

    fn schema() -> &'static serde_json::Value {
        static SCHEMA: LazyLock<serde_json::Value> =
            LazyLock::new(|| schema_of::<Config>("").to_value());
        &SCHEMA
    }

    fn other_kind(keys: &[&str]) -> Option<&'static str> {
        let study = keys.contains(&"mixture") && !keys.contains(&"models");
        study.then_some("for a study of estimators try `mdn study`")
    }
}

/// An experiment file. The maps keep the order of the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("required" = ["models"]))]
pub struct Config {
    /// Name of the experiment and of its folder below the results; the file's stem if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = NAME))]
    pub name: Option<String>,
    /// One run is made per data set, model and seed.
    #[serde(default = "default_seeds")]
    pub seeds: Vec<u64>,
    /// Name of the model that the others are compared with, pairwise by seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// How every model is trained.
    #[serde(default)]
    pub train: TrainSpec,
    /// What every model is given alike.
    #[serde(default, skip_serializing_if = "Budget::is_empty")]
    pub budget: Budget,
    /// What is chosen for every model by its validation loss.
    #[serde(default, skip_serializing_if = "Search::is_empty")]
    pub search: Search,
    /// How every model is measured.
    #[serde(default)]
    pub evaluation: EvaluationSpec,
    /// Data sets by name.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    #[schemars(extend("propertyNames" = named()))]
    pub data: IndexMap<String, DataSpec>,
    /// Problems without data by name.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    #[schemars(extend("propertyNames" = named()))]
    pub problems: IndexMap<String, ProblemSpec>,
    /// Models by name.
    #[serde(default)]
    #[schemars(extend("propertyNames" = named(), "minProperties" = 1))]
    pub models: IndexMap<String, ModelSpec>,
}

/// The names that [`check_name`] accepts, as a regular expression.
const NAME: &str = "^[a-z0-9_][a-z0-9_-]{0,63}$";

fn named() -> serde_json::Value {
    serde_json::json!({ "pattern": NAME })
}

/// As many as the tests of a comparison need.
fn default_seeds() -> Vec<u64> {
    (0..5).collect()
}

impl Config {
    /// Reads a file, checks it, then applies `overrides` (`dotted.key=value`) one after the
    /// other, checking after each. The result has a `name`, and of files of data the columns and
    /// checksums.
    pub fn load(path: &Path, overrides: &[String]) -> Result<Self> {
        let mut config = Self::load_recorded(path, overrides)?;
        config
            .settle_files()
            .map_err(|bad| fault::in_file_of(path, &bad))?;
        Ok(config)
    }

    /// The same without a look at files of data, which may have gone since a run was recorded.
    pub fn load_recorded(path: &Path, overrides: &[String]) -> Result<Self> {
        let mut config: Self = read(path, overrides)?;
        if config.name.is_none() {
            config.name = Some(name_of(path)?);
        }
        config.locate_files(path.parent().unwrap_or(Path::new("")));
        Ok(config)
    }

    /// Reads and checks a text; `name` is the experiment's where it gives none, and the file's in
    /// messages.
    pub fn parse(text: &str, name: &str) -> Result<Self> {
        let wrong = |f: fault::Fault| Error::Request(f.in_file(Path::new(name), text));
        let mut config: Self = shape::parse(text).map_err(wrong)?;
        config.name.get_or_insert_with(|| name.to_owned());
        Ok(config)
    }

    /// The file that says the same with every default filled in.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|e| Error::failed(format!("could not write TOML: {e}")))
    }

    /// All paths of files and folders.
    fn paths_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let data = self.data.values_mut().flat_map(DataSpec::paths_mut);
        data.chain(self.problems.values_mut().flat_map(ProblemSpec::paths_mut))
    }

    /// Makes paths relative to `folder` absolute.
    fn locate_files(&mut self, folder: &Path) {
        for path in self.paths_mut() {
            let there = folder.join(&*path);
            *path = std::path::absolute(&there).unwrap_or(there);
        }
    }

    /// The same experiment with paths relative to `folder`, as a file there has them.
    pub fn from_folder(mut self, folder: &Path) -> Self {
        for path in self.paths_mut() {
            *path = relative_to(folder, path);
        }
        self
    }

    /// Reads the files and records their contents. Models that cannot start from so few points are
    /// refused.
    fn settle_files(&mut self) -> Result<(), BadValue> {
        let mut fewest: Option<usize> = None;
        let mut dims = Vec::new();
        for (name, data) in &mut self.data {
            let found = data
                .settle()
                .map_err(|e| e.below(&format!("data.{name}")))?;
            if let Some(found) = found {
                dims.push(found.columns.len());
                fewest = Some(fewest.map_or(found.train, |n| n.min(found.train)));
            }
        }
        for (name, problem) in &mut self.problems {
            let settled = problem.settle();
            settled.map_err(|e| e.below(&format!("problems.{name}")))?;
        }
        if let Some(fewest) = fewest.filter(|n| *n < self.train.start_points()) {
            let mut short = self.clone();
            short.train.points = fewest;
            for (name, model) in &self.models {
                check_start(model, &short).map_err(|e| e.below(&format!("models.{name}")))?;
            }
        }
        self.check_trials(dims)
    }

    /// A file cannot give a stream of fresh points.
    fn check_stream(&self) -> Result<(), BadValue> {
        let is_file = |data: &DataSpec| matches!(data, DataSpec::File(_));
        let file = self.data.iter().find(|(_, data)| is_file(data));
        file.filter(|_| self.train.points == 0)
            .map_or(Ok(()), |(name, _)| {
                let expected = format!(
                    "`points` >= 1 with the file of `data.{name}`, which has no fresh points"
                );
                let got = "0, a stream of fresh points";
                Err(BadValue::new("train.points", expected, got))
            })
    }

    /// Whether every trial of every model can start, and with data of these dimensions fits the budget
    /// and the memory of a machine.
    fn check_trials(&self, mut dims: Vec<usize>) -> Result<(), BadValue> {
        dims.sort_unstable();
        dims.dedup();
        for (name, model) in &self.models {
            let trials = self.search.trials(name, &self.train, model);
            let mut seen: Vec<ModelSpec> = Vec::new();
            for trial in trials.map_err(|e| e.below("search"))? {
                if seen.contains(&trial.model) {
                    continue;
                }
                let fits = |dim: &usize| match self.budget.parameters {
                    Some(_) => {
                        let (sized, _) = self.budget.apply(&trial.model, *dim)?;
                        Memory::of(self, &sized, *dim).check()
                    }
                    None => Memory::of(self, &trial.model, *dim).check(),
                };
                check_start(&trial.model, self)
                    .and_then(|()| dims.iter().try_for_each(fits))
                    .map_err(|e| e.below(&format!("models.{name}")))?;
                seen.push(trial.model);
            }
        }
        Ok(())
    }

    fn check_seeds(&self) -> Result<(), BadValue> {
        let expected = "at least one seed in `seeds`";
        BadValue::unless(!self.seeds.is_empty(), "seeds", expected, "[]")?;
        let mut sorted = self.seeds.clone();
        sorted.sort_unstable();
        let twice = sorted.windows(2).find(|pair| pair[0] == pair[1]);
        twice.map_or(Ok(()), |pair| {
            let (expected, got) = ("every seed once in `seeds`", format!("{} twice", pair[0]));
            Err(BadValue::new("seeds", expected, got))
        })
    }

    fn check_runs(&self) -> Result<(), BadValue> {
        let places = self.data.len() + self.problems.len();
        let runs = places as f64 * self.models.len() as f64 * self.seeds.len() as f64;
        let expected = "at most 100000 runs (data sets x models x seeds)";
        BadValue::unless(runs <= 1e5, "seeds", expected, runs)
    }

    fn check_reference(&self) -> Result<(), BadValue> {
        let Some(reference) = &self.reference else {
            return Ok(());
        };
        let known = || self.models.keys().map(String::as_str);
        BadValue::unless(
            self.models.contains_key(reference),
            "reference",
            &format!("`reference` to be one of {}", quoted(known())),
            format!("\"{reference}\"{}", did_you_mean(reference, known())),
        )
    }
}

/// Whether the data that the models see have the points that `model` starts from.
fn check_start(model: &ModelSpec, config: &Config) -> Result<(), BadValue> {
    let Some(start) = model.start() else {
        return Ok(());
    };
    if let Some((problem, _)) = config.problems.first() {
        let expected = format!(
            "{} in a file with problems, which have no points to start from",
            start.instead
        );
        let got = format!("a start from the data (`{problem}` has none)");
        return Err(BadValue::new(&start.cause, expected, got));
    }
    let most = config.train.start_points();
    let name = start.key.rsplit('.').next().unwrap_or_default();
    let expected = format!("`{name}` <= {most}, the number of points that training starts from");
    BadValue::unless(start.points <= most, &start.key, &expected, start.points)
}

/// Whether the draws of `model` have the density that the problems need.
fn check_draws(model: &ModelSpec, config: &Config) -> Result<(), BadValue> {
    let mut needy = config.problems.iter().filter(|p| p.1.needs_own_density());
    let Some((problem, _)) = needy.next() else {
        return Ok(());
    };
    BadValue::unless(
        model.entropy_bound() == EntropyBound::Exact,
        &format!("{}.base.mixture.draws", model.name()),
        &format!(
            "draws with the model's own density, such as \"stratified\", since problems.{problem} has `grow`, \
             `fab` or `gradient = \"path\"`"
        ),
        "draws of a relaxation",
    )
}

/// Names become folders, so only characters are allowed that are safe in shells and file systems.
fn check_name(place: &str, name: &str) -> Result<(), BadValue> {
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    BadValue::unless(
        (1..=64).contains(&name.len()) && name.chars().all(fine) && !name.starts_with('-'),
        place,
        "a name of 1 to 64 characters out of a-z, 0-9, `_` and `-`, not beginning with `-`",
        format!("{name:?}"),
    )
}

/// A name of a folder next to the report's folder `figures`.
fn check_folder(place: &str, name: &str) -> Result<(), BadValue> {
    check_name(place, name)?;
    let expected = "another name (`figures` is a folder of the report)";
    BadValue::unless(name != "figures", place, expected, "`figures`")
}

/// The name of the experiment in a file without `name`: the stem of its path.
pub(crate) fn name_of(path: &Path) -> Result<String> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    check_name("name", &stem).map_err(|bad| {
        let why = format!(
            "the file's name gives the results folder: expected {}; got {}; rename the file, or put \
             `name = \"...\"` at its top",
            bad.expected, bad.got
        );
        unusable(path, why)
    })?;
    Ok(stem.into_owned())
}

#[cfg(test)]
pub(in crate::experiment) mod tests;
