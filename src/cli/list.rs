//! `mdn list`

use std::fmt::{Display, Formatter};

use clap::{Args, ValueEnum};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::Serialize;
use serde_json::{Map, Value};

use super::output::{columns, print, print_json};
use super::Context;
use crate::experiment::schema::{experiment, schema_of};
use crate::report::figures::FIGURES;
use mdn_core::bijections::BijectionSpec;
use mdn_core::data::{Benchmark, DataSpec, FileSpec, Problem, BENCHMARKS};
use mdn_core::distributions::{BaseSpec, MixtureDraws};
use mdn_core::metrics::METRICS;
use mdn_core::models::ModelSpec;
use mdn_core::objectives::ProblemSpec;
use mdn_core::statistics;
use mdn_core::Result;

/// List what an experiment file can name: data sets, models, metrics, ...
///
/// Without KIND, lists the kinds. Below each member stand its settings as they are written, with their
/// defaults, then the keys that may be left out and are not among these settings: `KEY = DEFAULT`, or
/// `optional KEY` where leaving it out has a meaning of its own.
#[derive(Debug, Clone, Args)]
pub(super) struct ListArgs {
    /// What to list
    #[arg(value_name = "KIND")]
    kind: Option<Kind>,
    /// Print one JSON object per member: name, what, settings, and `optional`: the other keys with
    /// what they say and their default or null
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// What is trained on: a table `[data.NAME]`
    Data,
    /// Data sets with fixed settings, with their entropies: the key `benchmark` of a data set
    Targets,
    /// What is trained: a table `[models.NAME]`
    Models,
    /// Maps from base to data: the key `bijection` of a model
    Bijections,
    /// Distributions at the base side: the key `base` of a model
    Bases,
    /// Ways to sample a mixture base in training: the key `draws` of `base.mixture`
    Draws,
    /// What is measured on every trained model
    Metrics,
    /// What is drawn
    Figures,
    /// What training minimises: the key of a table `[problems.NAME]`, or of a data set
    Objectives,
    /// Maximum-entropy problems with a known solution: the key `problem`
    Problems,
    /// What a maximum-entropy problem can constrain: the key `statistics`
    Statistics,
    /// What every model is given alike, and how settings are chosen: tables `[budget]`, `[search]`
    Fairness,
}

/// One line of a list.
#[derive(Debug, Serialize)]
struct Member {
    name: String,
    what: String,
    /// As an experiment file has them; empty where there are none.
    settings: String,
    optional: Vec<Key>,
}

/// A key that may be left out and is not among the settings.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Key {
    key: String,
    what: String,
    /// `None` where leaving the key out has a meaning of its own.
    default: Option<Value>,
}

impl Display for Key {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match &self.default {
            Some(value) => {
                let typed = toml::Value::try_from(value).map(|v| v.to_string());
                let typed = typed.unwrap_or_else(|_| value.to_string());
                write!(f, "{} = {typed}: {}", self.key, self.what)
            }
            None => write!(f, "optional {}: {}", self.key, self.what),
        }
    }
}

impl Member {
    fn new(name: &str, what: &str, settings: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            what: what.to_owned(),
            settings: settings.into(),
            optional: Vec::new(),
        }
    }

    /// A benchmark with its dimension, modes, entropy and source.
    fn benchmark(benchmark: &Benchmark) -> Result<Self> {
        let data = (benchmark.spec)().build()?;
        let facts = data.truth().map(|truth| {
            let (modes, entropy) = (truth.weights().len(), truth.entropy().value);
            format!("{modes} modes, H = {entropy:.6} nats")
        });
        let facts = format!(
            "D = {}, {}; labels: {}; {}",
            data.dim(),
            facts.unwrap_or_default(),
            benchmark.labels,
            benchmark.source
        );
        Ok(Self::new(benchmark.name, benchmark.what, facts))
    }
}

/// The members of an externally tagged enum, as its schema describes them. The settings are those of
/// `shown`, else the defaults, else those of the shortest example.
fn members<T>(shown: &[(&str, &str)], examples: Vec<T>) -> Vec<Member>
where
    T: JsonSchema + Serialize + DeserializeOwned,
{
    let written = |spec: &T, name: &str| {
        let value = toml::Value::try_from(spec).ok()?;
        Some(value.get(name).unwrap_or(&value).clone())
            .filter(|_| value.get(name).is_some() || value.as_str() == Some(name))
    };
    let settings = |name: &str| {
        if let Some((_, typed)) = shown.iter().find(|s| s.0 == name) {
            return (*typed).to_owned();
        }
        let default = toml::from_str::<T>(&format!("{name} = {{}}")).ok();
        let default = default.and_then(|spec| written(&spec, name));
        let examples = examples.iter().filter_map(|spec| written(spec, name));
        let all = default.map_or_else(|| examples.collect(), |value| vec![value]);
        let texts = all.iter().map(|value| match value.as_table() {
            Some(table) if table.is_empty() => "{}".to_owned(),
            _ => value.to_string(),
        });
        texts.min_by_key(String::len).unwrap_or_default()
    };
    let schema = schema_of::<T>("").to_value();
    let found = choices(&schema).into_iter().map(|(name, what, keys)| {
        let mut member = Member::new(&name, &what, settings(&name));
        member.optional = optional(keys, &member.settings);
        member
    });
    found.collect()
}

/// Name, first sentence and settings of each member of an enum.
fn choices(schema: &Value) -> Vec<(String, String, Option<&Map<String, Value>>)> {
    let all = schema["oneOf"].as_array().into_iter().flatten();
    let found = all.filter_map(|choice| {
        let tagged = choice["properties"]
            .as_object()
            .and_then(|p| p.iter().next());
        let (name, settings) = match tagged {
            Some((name, settings)) => (name.as_str(), resolve(schema, settings).as_object()),
            None => (choice["const"].as_str()?, None),
        };
        Some((name.to_owned(), first_sentence(choice), settings))
    });
    found.collect()
}

/// What a reference in the schema points to.
fn resolve<'s>(schema: &'s Value, at: &'s Value) -> &'s Value {
    let place = at["$ref"].as_str().and_then(|r| r.strip_prefix('#'));
    place.and_then(|p| schema.pointer(p)).unwrap_or(at)
}

/// The keys that may be left out and that `shown` lacks.
fn optional(keys: Option<&Map<String, Value>>, shown: &str) -> Vec<Key> {
    let shown: toml::Table = toml::from_str(&format!("all = {shown}")).unwrap_or_default();
    let list = |name: &str| keys.and_then(|k| k.get(name));
    let required = list("required").and_then(Value::as_array);
    let properties = list("properties").and_then(Value::as_object);
    let all = properties.into_iter().flatten();
    let left = all.filter(|(key, _)| {
        let needed = required.is_some_and(|r| r.iter().any(|k| k == *key));
        !needed && shown.get("all").and_then(|all| all.get(key)).is_none()
    });
    let key = |(key, about): (&String, &Value)| Key {
        key: key.clone(),
        what: first_paragraph(about),
        default: about.get("default").cloned(),
    };
    left.map(key).collect()
}

fn first_paragraph(about: &Value) -> String {
    let text = about["description"].as_str().unwrap_or_default();
    text.split("\n\n")
        .next()
        .unwrap_or_default()
        .replace('\n', " ")
}

/// Without its full stop. A full stop ends a sentence where a capital follows: "et al. 2019" goes on.
fn first_sentence(about: &Value) -> String {
    let text = first_paragraph(about);
    let mut stops = text.match_indices(". ").map(|(i, _)| i);
    let capital = |i: &usize| text[i + 2..].starts_with(|c: char| c.is_uppercase() || c == '`');
    let end = stops.find(capital).unwrap_or(text.len());
    text[..end].trim_end_matches('.').to_owned()
}

/// Settings of the tables `[budget]` and `[search]`, with an example of each.
fn fairness() -> Vec<Member> {
    let schema = experiment().to_value();
    let about = |table: &str, key: &str, name: &str, example: &str| {
        let table = resolve(&schema, &schema["properties"][table]);
        Member::new(name, &first_sentence(&table["properties"][key]), example)
    };
    let rates = "learning_rate = [3e-4, 1e-3, 3e-3]";
    let widths = "rad.fold_width = [0.25, 0.5]";
    vec![
        about(
            "budget",
            "parameters",
            "budget.parameters",
            "parameters = 17000",
        ),
        about("budget", "seconds", "budget.seconds", "seconds = 20"),
        about("search", "train", "search.train", rates),
        about("search", "models", "search.models.NAME", widths),
    ]
}

fn objectives() -> Vec<Member> {
    let mut all = vec![Member::new(
        "maximum_likelihood",
        "mean negative log-likelihood of the training points: what a table `[data.NAME]` is trained by",
        "",
    )];
    let shown = [
        (
            "reverse_kl",
            "{ target.energy = { potential = \"u1\" }, anneal = { from = 0.1, over = 0.5 } }",
        ),
        (
            "maximum_entropy",
            "{ statistics = [\"x^2+y^2\", \"x^4+y^4\", \"x*y\"], moments = [4.68, 12.78, 1.2], rounds = 10 }",
        ),
    ];
    all.extend(members::<ProblemSpec>(&shown, Vec::new()));
    all
}

fn problem(name: &str) -> Option<Member> {
    let problem = Problem::by_name(name).ok()?;
    let constrained = format!("{:?}", problem.statistics.names());
    Some(Member::new(&problem.name, &problem.what, constrained))
}

fn specs<T>(examples: Vec<(&str, T)>) -> Vec<T> {
    examples.into_iter().map(|(_, spec)| spec).collect()
}

impl Kind {
    fn members(self) -> Result<Vec<Member>> {
        Ok(match self {
            Self::Targets => BENCHMARKS
                .iter()
                .map(Member::benchmark)
                .collect::<Result<_>>()?,
            Self::Data => {
                let mut examples = specs(DataSpec::examples());
                examples.push(DataSpec::File(FileSpec::new("points.csv")));
                members(&[], examples)
            }
            Self::Models => members(&[], specs(ModelSpec::examples())),
            Self::Bijections => {
                let chain = "[{ linear = {} }, { affine_coupling = {} }]";
                members(&[("chain", chain)], specs(BijectionSpec::examples()))
            }
            Self::Bases => members(&[], specs(BaseSpec::examples())),
            Self::Draws => members(&[], MixtureDraws::examples()),
            Self::Metrics => {
                let what = METRICS
                    .iter()
                    .map(|m| (m.name, format!("{} [{}]", m.describe, m.unit)));
                what.map(|(name, what)| Member::new(name, &what, ""))
                    .collect()
            }
            Self::Figures => FIGURES
                .iter()
                .map(|f| Member::new(f.name, f.what, ""))
                .collect(),
            Self::Problems => Problem::names().into_iter().filter_map(problem).collect(),
            Self::Statistics => {
                let forms = statistics::FORMS.iter();
                forms
                    .map(|(form, what)| Member::new(form, what, ""))
                    .collect()
            }
            Self::Objectives => objectives(),
            Self::Fairness => fairness(),
        })
    }
}

/// The kinds themselves.
fn kinds() -> Vec<Member> {
    let all = Kind::value_variants().iter();
    let values = all.filter_map(Kind::to_possible_value);
    let member = |value: clap::builder::PossibleValue| {
        let help = value.get_help().map(ToString::to_string);
        Member::new(value.get_name(), &help.unwrap_or_default(), "")
    };
    values.map(member).collect()
}

pub(super) fn run(args: &ListArgs, _: &Context) -> Result<()> {
    let members = args.kind.map_or_else(|| Ok(kinds()), Kind::members)?;
    if args.json {
        return print_json(&members);
    }
    let rows = members.iter().map(|m| vec![m.name.clone(), m.what.clone()]);
    let mut text = String::new();
    for (row, member) in columns(&[], rows).lines().zip(&members) {
        text += &format!("{row}\n");
        if !member.settings.is_empty() {
            text += &format!("    {}\n", member.settings);
        }
        for key in &member.optional {
            text += &format!("    {key}\n");
        }
    }
    print(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A member without an example would escape every law.
    #[test]
    fn every_member_has_an_example_and_shows_settings() {
        fn covered<T: Serialize + JsonSchema>(examples: Vec<(&'static str, T)>) {
            let tag = |spec| match toml::Value::try_from(spec) {
                Ok(toml::Value::Table(table)) => table.keys().next().cloned(),
                _ => None,
            };
            let seen: Vec<_> = specs(examples).into_iter().filter_map(tag).collect();
            for (name, ..) in choices(&schema_of::<T>("").to_value()) {
                assert!(seen.contains(&name), "{name} is not among {seen:?}");
            }
        }
        covered(BijectionSpec::examples());
        covered(BaseSpec::examples());
        covered(ModelSpec::examples());
        let mut data = DataSpec::examples();
        // The laws of files are in tests of their own: the others need a known law.
        data.push(("file", DataSpec::File(FileSpec::new("points.csv"))));
        covered(data);
        for kind in [
            Kind::Data,
            Kind::Models,
            Kind::Bijections,
            Kind::Bases,
            Kind::Draws,
        ] {
            for m in kind.members().unwrap() {
                let full = ["normal", "linear"].contains(&m.name.as_str()) || m.settings.len() > 4;
                assert!(full && !m.what.is_empty(), "{m:?}");
            }
        }
    }

    #[test]
    fn optional_keys_are_neither_shown_nor_required() {
        let keys = |kind: Kind, name: &str| {
            let members = kind.members().unwrap();
            members
                .into_iter()
                .find(|m| m.name == name)
                .unwrap()
                .optional
        };
        let em = keys(Kind::Models, "gaussian_mixture");
        assert_eq!(
            em.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["optional components: K; chosen by BIC between 1 and `max_components` if absent."]
        );
        let entropy = keys(Kind::Objectives, "maximum_entropy");
        assert!(entropy
            .iter()
            .any(|k| k.to_string().starts_with("penalty = 1.0: ")));
        assert!(keys(Kind::Objectives, "reverse_kl")
            .iter()
            .all(|k| k.key != "target"));
        assert!(keys(Kind::Bases, "mixture")
            .iter()
            .all(|k| k.key != "components"));
        assert_eq!(keys(Kind::Bases, "normal"), []);
    }

    #[test]
    fn the_first_sentence_ends_at_a_full_stop_before_a_capital() {
        let said = |text: &str| first_sentence(&serde_json::json!({ "description": text }));
        assert_eq!(
            said("A map (Dinh et al. 2017,\n0.5). Its rest."),
            "A map (Dinh et al. 2017, 0.5)"
        );
        assert_eq!(said("One.\n\nTwo."), "One");
    }
}
