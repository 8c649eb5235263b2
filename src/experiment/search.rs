//! The table `[search]`: settings that are chosen for every model by its validation loss, from the
//! same number of trials for each.

use std::borrow::Cow;

use indexmap::IndexMap;
use schemars::{json_schema, JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::config::overrides::enter;
use super::quoted;
use mdn_core::error::{did_you_mean, BadValue};
use mdn_core::models::ModelSpec;
use mdn_core::objectives::ProblemSpec;
use mdn_core::train::TrainSpec;

/// Settings of training that may differ between trials. The others decide how much a model is given
/// (points, steps) or how it is measured, and must be the same for all.
const TRAIN: [&str; 4] = ["learning_rate", "schedule", "weight_decay", "clip_norm"];

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
    /// Its settings as overrides of the file: `train.learning_rate=0.001`.
    pub settings: Vec<String>,
    /// How the trial is trained.
    pub train: TrainSpec,
    /// What is trained.
    pub model: ModelSpec,
}

/// A key, as its path, and the values that it takes.
type Axis = (Vec<String>, Vec<Value>);

impl Search {
    /// Whether there is nothing to search over.
    pub fn is_empty(&self) -> bool {
        self.train.is_empty() && self.models.is_empty()
    }

    /// The search of the model `name` alone.
    pub fn of(&self, name: &str) -> Self {
        let own = self.models.iter().filter(|(n, _)| *n == name);
        Self {
            train: self.train.clone(),
            models: own.map(|(n, t)| (n.clone(), t.clone())).collect(),
        }
    }

    /// All combinations for the model `name`, the last key varying fastest. Keys of errors begin below
    /// `[search]`.
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
        // The product of many lengths overflows.
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
    pub fn check(
        &self,
        models: &IndexMap<String, ModelSpec>,
        train: &TrainSpec,
        problems: &IndexMap<String, ProblemSpec>,
    ) -> Result<(), BadValue> {
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
            let known = || models.keys().map(String::as_str);
            BadValue::unless(
                models.contains_key(name),
                &format!("models.{name}"),
                &format!("one of {}", quoted(known())),
                format!("`{name}`{}", did_you_mean(name, known())),
            )?;
        }
        if self.is_empty() {
            return Ok(());
        }
        let rounds = |p: &ProblemSpec| matches!(p, ProblemSpec::MaximumEntropy(_));
        if let Some((name, _)) = problems.iter().find(|(_, p)| rounds(p)) {
            return Err(BadValue::new(
                "",
                "no search in a file with a `maximum_entropy` problem, which has no validation \
                 loss to choose by",
                format!("`problems.{name}`"),
            ));
        }
        let count = |(name, model): (&String, &ModelSpec)| {
            let trials = self.trials(name, train, model)?;
            Ok((name.clone(), trials.len()))
        };
        let counts: Vec<_> = models.iter().map(count).collect::<Result<_, _>>()?;
        let equal = counts.iter().all(|(_, n)| *n == counts[0].1);
        let told = counts.iter().map(|(name, n)| format!("{n} of `{name}`"));
        let told: Vec<_> = told.collect();
        let expected = "as many trials of every model";
        BadValue::unless(equal, "models", expected, told.join(", "))
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
                let mut numbered = values.iter().enumerate();
                let twice = numbered.find(|(i, v)| values[..*i].contains(v));
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
    /// Sets the key `path` to its value number `at`.
    fn set(&mut self, path: &[String], at: usize, value: &Value) -> Result<(), BadValue> {
        let place = format!("{}[{at}]", path.join("."));
        let refused = |said: String| BadValue::new(&place, "a value that may stand there", said);
        // The path of a model begins with `models` and its name.
        let checked = if path[0] == "train" {
            self.train = with(&self.train, &path[1..], value).map_err(refused)?;
            self.train.check()
        } else {
            self.model = with(&self.model, &path[2..], value).map_err(refused)?;
            self.model.check()
        };
        checked.map_err(|e| BadValue::new(&place, e.expected, e.got))?;
        self.settings.push(format!("{}={value}", path.join(".")));
        Ok(())
    }
}

/// `spec` with `value` at `path`, or why that is wrong.
fn with<T: Serialize + DeserializeOwned>(
    spec: &T,
    path: &[String],
    value: &Value,
) -> Result<T, String> {
    let mut whole = Table::try_from(spec).map_err(|e| e.to_string())?;
    let mut inner = &mut whole;
    let (last, above) = path.split_last().ok_or("no key")?;
    for key in above {
        inner = enter(inner, key).ok_or_else(|| format!("`{key}`, which has no keys"))?;
    }
    inner.insert(last.clone(), value.clone());
    whole.try_into().map_err(|e: toml::de::Error| {
        let said = e.message().trim();
        format!("{value} ({said})")
    })
}

/// The schema of a table whose values are lists of settings, or such tables again.
struct Axes;

/// The schema of the settings of `[train]` that may differ between trials.
struct TrainAxes;

/// A list of settings, or a table of such lists.
fn axis(generator: &mut SchemaGenerator) -> serde_json::Value {
    let deeper = generator.subschema_for::<Axes>();
    serde_json::json!({ "anyOf": [{ "type": "array", "minItems": 1 }, deeper] })
}

impl JsonSchema for Axes {
    fn schema_name() -> Cow<'static, str> {
        "Axes".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The keys of the table itself, with a list of values in place of each value",
            "type": "object",
            "additionalProperties": axis(generator),
        })
    }
}

impl JsonSchema for TrainAxes {
    fn schema_name() -> Cow<'static, str> {
        "TrainAxes".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let keys = TRAIN.map(|key| (key.to_owned(), axis(generator)));
        json_schema!({
            "type": "object",
            "properties": serde_json::Map::from_iter(keys),
            "additionalProperties": false,
        })
    }
}

#[cfg(test)]
mod tests;
