//! The table `[search]`: settings that are chosen for every model by its validation loss, out of as
//! many trials for each.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::config::Config;
use mdn_core::error::{did_you_mean, BadValue};
use mdn_core::models::ModelSpec;
use mdn_core::objectives::ProblemSpec;
use mdn_core::train::TrainSpec;

/// Settings of training that may differ between trials. The others say how much a model is given
/// (points, steps) or how it is judged, and must be the same for all.
const TRAIN: [&str; 4] = ["learning_rate", "schedule", "weight_decay", "clip_norm"];

mod axes;

use axes::{Axes, TrainAxes};

/// Trials of one run at most.
const MAX_TRIALS: usize = 10_000;

/// The table `[search]` of an experiment file: the file's own keys, with a list of values in place
/// of each value. Every combination is a trial.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Search {
    /// Settings of `[train]`, for every model.
    #[serde(skip_serializing_if = "Table::is_empty")]
    #[schemars(with = "TrainAxes")]
    pub train: Table,
    /// Settings of single models, by name.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    #[schemars(with = "IndexMap<String, Axes>")]
    pub models: IndexMap<String, Table>,
}

/// One combination of settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// What was set, as overrides of the file: `train.learning_rate=0.001`.
    pub settings: Vec<String>,
    /// How the trial is trained.
    pub train: TrainSpec,
    /// What is trained.
    pub model: ModelSpec,
}

/// A key, as its path, and the values that it takes.
type Axis = (Vec<String>, Vec<Value>);

impl Search {
    /// Whether there is nothing to choose.
    pub fn is_empty(&self) -> bool {
        self.train.is_empty() && self.models.is_empty()
    }

    /// What concerns the model `name`.
    pub fn of(&self, name: &str) -> Self {
        let own = self.models.iter().filter(|(n, _)| *n == name);
        Self {
            train: self.train.clone(),
            models: own.map(|(n, t)| (n.clone(), t.clone())).collect(),
        }
    }

    /// All combinations for the model `name`, the last key moving fastest; keys of what is wrong
    /// begin at the table.
    pub fn trials(
        &self,
        name: &str,
        train: &TrainSpec,
        model: &ModelSpec,
    ) -> Result<Vec<Trial>, BadValue> {
        let mut axes = Vec::new();
        walk(&self.train, &["train"], &mut axes)?;
        if let Some(own) = self.models.get(name) {
            walk(own, &["models", name], &mut axes)?;
        }
        // Seventy lists of two are more than a number holds.
        let lengths = axes.iter().map(|a| a.1.len());
        let count = lengths.fold(1, usize::saturating_mul);
        let expected = format!("at most {MAX_TRIALS} trials of `{name}`");
        BadValue::unless(count <= MAX_TRIALS, "", &expected, count)?;
        (0..count)
            .map(|index| {
                let mut trial = Trial {
                    settings: Vec::new(),
                    train: train.clone(),
                    model: model.clone(),
                };
                let mut rest = count;
                for (path, values) in &axes {
                    rest /= values.len();
                    let at = index / rest % values.len();
                    trial.set(path, at, &values[at])?;
                }
                Ok(trial)
            })
            .collect()
    }

    /// What is wrong with the settings, if anything.
    pub fn check(&self, config: &Config) -> Result<(), BadValue> {
        for key in self.train.keys() {
            let names = TRAIN.map(|k| format!("`{k}`")).join(", ");
            BadValue::unless(
                TRAIN.contains(&key.as_str()),
                &format!("train.{key}"),
                &format!("one of {names} (all trials have the same points, steps and batches)"),
                format!("`{key}`{}", did_you_mean(key, TRAIN)),
            )?;
        }
        for name in self.models.keys() {
            let known = || config.models.keys().map(String::as_str);
            BadValue::unless(
                config.models.contains_key(name),
                &format!("models.{name}"),
                &format!("one of {}", super::config::quoted(known())),
                format!("`{name}`{}", did_you_mean(name, known())),
            )?;
        }
        if self.is_empty() {
            return Ok(());
        }
        let rounds = |p: &ProblemSpec| matches!(p, ProblemSpec::MaximumEntropy(_));
        if let Some((name, _)) = config.problems.iter().find(|(_, p)| rounds(p)) {
            return Err(BadValue::new(
                "",
                "no search in a file with a `maximum_entropy` problem, which has no validation \
                 loss to choose by",
                format!("`problems.{name}`"),
            ));
        }
        let mut counts: Vec<(&str, usize)> = Vec::new();
        for (name, model) in &config.models {
            let trials = self.trials(name, &config.train, model)?;
            counts.push((name, trials.len()));
        }
        let equal = counts.iter().all(|(_, n)| *n == counts[0].1);
        let told = counts.iter().map(|(name, n)| format!("{n} of `{name}`"));
        BadValue::unless(
            equal,
            "models",
            "as many trials of every model",
            told.collect::<Vec<_>>().join(", "),
        )
    }
}

/// The lists below `table`, each with its path.
fn walk(table: &Table, above: &[&str], axes: &mut Vec<Axis>) -> Result<(), BadValue> {
    for (key, value) in table {
        let path = [above, &[key.as_str()]].concat();
        let place = path.join(".");
        match value {
            Value::Table(inner) => walk(inner, &path, axes)?,
            Value::Array(values) => {
                BadValue::unless(!values.is_empty(), &place, "at least one value", "[]")?;
                let (expected, n) = (format!("at most {MAX_TRIALS} values"), values.len());
                BadValue::unless(n <= MAX_TRIALS, &place, &expected, n)?;
                let twice = values
                    .iter()
                    .enumerate()
                    .find(|(i, v)| values[..*i].contains(v));
                if let Some((_, value)) = twice {
                    let got = format!("{value} twice");
                    return Err(BadValue::new(place, "every value once", got));
                }
                let path = path.iter().map(|k| (*k).to_owned()).collect();
                axes.push((path, values.clone()));
            }
            other => {
                return Err(BadValue::new(
                    place,
                    format!("a list of values of `{key}`, as in `[1e-3, 3e-3]`"),
                    other,
                ))
            }
        }
    }
    Ok(())
}

impl Trial {
    /// Puts value number `at` of the axis `path` into place.
    fn set(&mut self, path: &[String], at: usize, value: &Value) -> Result<(), BadValue> {
        let place = format!("{}[{at}]", path.join("."));
        let refused = |said: String| BadValue::new(&place, "a value that may stand there", said);
        // `train` is a table of its own; a model stands below its name.
        if path[0] == "train" {
            self.train = with(&self.train, &path[1..], value).map_err(refused)?;
            self.train
                .check()
                .map_err(|e| BadValue::new(&place, e.expected, e.got))?;
        } else {
            self.model = with(&self.model, &path[2..], value).map_err(refused)?;
            self.model
                .check()
                .map_err(|e| BadValue::new(&place, e.expected, e.got))?;
        }
        self.settings.push(format!("{}={value}", path.join(".")));
        Ok(())
    }
}

/// `spec` with `value` at `path`, or what was wrong with that.
fn with<T: Serialize + DeserializeOwned>(
    spec: &T,
    path: &[String],
    value: &Value,
) -> Result<T, String> {
    let mut whole = Value::try_from(spec).map_err(|e| e.to_string())?;
    let mut inner = &mut whole;
    for key in path {
        // A string may be a choice without settings that now becomes one with settings.
        if inner.is_str() {
            *inner = Value::Table(Table::new());
        }
        let Some(table) = inner.as_table_mut() else {
            return Err(format!("`{key}`, which stands in no table"));
        };
        inner = table
            .entry(key)
            .or_insert_with(|| Value::Table(Table::new()));
    }
    *inner = value.clone();
    whole.try_into().map_err(|e: toml::de::Error| {
        let said = e.message().trim();
        format!("{value} ({said})")
    })
}

#[cfg(test)]
mod tests;
