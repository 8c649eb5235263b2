//! `mdn list`

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::Serialize;
use serde_json::{json, Value};

use super::output::{columns, print, print_json};
use super::Context;
use crate::experiment::schema::{experiment, schema_of};
use crate::report::figures::FIGURES;
use mdn_core::bijections::BijectionSpec;
use mdn_core::data::{Benchmark, DataSpec, Problem, BENCHMARKS};
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

/// Settings that are shown instead of the defaults or an example.
const SHOWN: &str = r#"
chain = [{ linear = {} }, { affine_coupling = {} }]
file = { path = "penguins.csv", columns = ["bill_length_mm", "bill_depth_mm"], label = "species", on_bad_rows = "refuse", split = { train = 0.7, validation = 0.15, test = 0.15, seed = 0 } }
program = { command = ["python3", "target.py"], dim = 10, timeout = 60.0 }
maximum_entropy = { statistics = ["x^2+y^2", "x^4+y^4", "x*y"], moments = [4.68, 12.78, 1.2], rounds = 10 }
reverse_kl = { target.energy = { potential = "u1" }, anneal = { from = 0.1, over = 0.5 } }
"#;

/// Keys of the tables `[budget]` and `[search]`, with examples.
const FAIRNESS: [(&str, &str); 4] = [
    ("budget.parameters", "parameters = 17000"),
    ("budget.seconds", "seconds = 20"),
    ("search.train", "learning_rate = [3e-4, 1e-3, 3e-3]"),
    ("search.models.NAME", "rad.fold_width = [0.25, 0.5]"),
];

/// One line of a list.
#[derive(Debug, Serialize)]
struct Member {
    name: String,
    what: String,
    /// As an experiment file has them; empty where there are none.
    settings: String,
    /// Keys that may be left out and are not among the settings: `key`, `what` and `default`, null where
    /// leaving the key out has a meaning of its own.
    optional: Vec<Value>,
}

fn member(name: &str, what: &str, settings: impl Into<String>) -> Member {
    Member {
        name: name.to_owned(),
        what: what.to_owned(),
        settings: settings.into(),
        optional: Vec::new(),
    }
}

/// The members of an externally tagged enum, as its schema describes them.
fn members<T>(examples: Vec<(&str, T)>) -> Vec<Member>
where
    T: JsonSchema + Serialize + DeserializeOwned,
{
    let written = |spec: &T, name: &str| Some(toml::Value::try_from(spec).ok()?.get(name)?.clone());
    // The defaults where little need be written, else the shortest example.
    let settings = |name: &str| {
        let least = ["{}", "{ components = 8 }"].iter();
        let mut default =
            least.filter_map(|least| toml::from_str(&format!("{name} = {least}")).ok());
        let default = default.next().and_then(|spec| written(&spec, name));
        let examples = || examples.iter().filter_map(|(_, spec)| written(spec, name));
        let found = default.or_else(|| examples().min_by_key(|value| value.to_string().len()));
        match found {
            Some(toml::Value::Table(table)) if table.is_empty() => "{}".to_owned(),
            other => other.map_or_else(String::new, |value| value.to_string()),
        }
    };
    let schema = schema_of::<T>("").to_value();
    let of = |choice: &Value| {
        let tag = choice["properties"]
            .as_object()
            .and_then(|p| p.iter().next());
        let Some((name, about)) = tag else {
            let name = choice["const"].as_str()?;
            return Some(member(name, &first_sentence(choice), format!("\"{name}\"")));
        };
        let mut shown = SHOWN
            .lines()
            .filter_map(|l| l.strip_prefix(name)?.strip_prefix(" = "));
        let settings = shown.next().map_or_else(|| settings(name), str::to_owned);
        let mut member = member(name, &first_sentence(choice), settings);
        member.optional = optional(resolve(&schema, about), &member.settings);
        Some(member)
    };
    let choices = schema["oneOf"].as_array().into_iter().flatten();
    choices.filter_map(of).collect()
}

/// What a reference in the schema points to.
fn resolve<'s>(schema: &'s Value, at: &'s Value) -> &'s Value {
    let place = at["$ref"].as_str().and_then(|r| r.strip_prefix('#'));
    place.and_then(|p| schema.pointer(p)).unwrap_or(at)
}

/// The keys that may be left out and are not in `settings`.
fn optional(schema: &Value, settings: &str) -> Vec<Value> {
    let shown: toml::Table = toml::from_str(&format!("all = {settings}")).unwrap_or_default();
    let properties = schema["properties"].as_object().into_iter().flatten();
    let left = properties.filter(|(key, _)| {
        let required = schema["required"].as_array();
        let needed = required.is_some_and(|r| r.iter().any(|k| k == *key));
        !needed && shown.get("all").and_then(|all| all.get(key)).is_none()
    });
    let key = |(key, about): (&String, &Value)| json!({ "key": key, "what": first_paragraph(about), "default": about["default"] });
    left.map(key).collect()
}

fn first_paragraph(about: &Value) -> String {
    let text = about["description"].as_str().unwrap_or_default();
    let first = text.split("\n\n").next().unwrap_or_default();
    first.replace('\n', " ")
}

/// Without its full stop. A full stop ends a sentence where a capital follows: "et al. 2019" goes on.
fn first_sentence(about: &Value) -> String {
    let text = first_paragraph(about);
    let mut stops = text.match_indices(". ").map(|(i, _)| i);
    let capital = |i: &usize| text[i + 2..].starts_with(|c: char| c.is_uppercase() || c == '`');
    let end = stops.find(capital).unwrap_or(text.len());
    text[..end].trim_end_matches('.').to_owned()
}

/// A benchmark with its dimension, modes, entropy and source.
fn benchmark(b: &Benchmark) -> Result<Member> {
    let data = b.spec().build()?;
    let truth = data.truth().map(|truth| {
        let (modes, entropy) = (truth.weights().len(), truth.entropy().value);
        format!("{modes} modes, H = {entropy:.6} nats")
    });
    let (dim, truth) = (data.dim(), truth.unwrap_or_default());
    let facts = format!("D = {dim}, {truth}; labels: {}; {}", b.labels, b.source);
    Ok(member(&b.name, &b.what, facts))
}

impl Kind {
    fn members(self) -> Result<Vec<Member>> {
        Ok(match self {
            Self::Data => members(DataSpec::examples()),
            Self::Targets => return BENCHMARKS.iter().map(benchmark).collect(),
            Self::Models => members(ModelSpec::examples()),
            Self::Bijections => members(BijectionSpec::examples()),
            Self::Bases => members(BaseSpec::examples()),
            Self::Draws => members::<MixtureDraws>(Vec::new()),
            Self::Metrics => METRICS
                .iter()
                .map(|m| member(m.name, &format!("{} [{}]", m.describe, m.unit), ""))
                .collect(),
            Self::Figures => FIGURES.iter().map(|f| member(f.name, f.what, "")).collect(),
            Self::Objectives => {
                let likelihood =
                    "mean negative log-likelihood of the training points: what a table \
                                  `[data.NAME]` is trained by";
                let mut all = vec![member("maximum_likelihood", likelihood, "")];
                all.extend(members::<ProblemSpec>(Vec::new()));
                all
            }
            Self::Problems => Problem::names()
                .into_iter()
                .filter_map(|name| Problem::by_name(name).ok())
                .map(|p| member(&p.name, &p.what, format!("{:?}", p.statistics.names())))
                .collect(),
            Self::Statistics => statistics::FORMS
                .iter()
                .map(|(form, what)| member(form, what, ""))
                .collect(),
            Self::Fairness => {
                let schema = experiment().to_value();
                let about = |(name, example): &(&str, &str)| {
                    let mut keys = name.split('.').map(|key| key.to_owned());
                    let mut next = || keys.next().unwrap_or_default();
                    let table = resolve(&schema, &schema["properties"][next()]);
                    let what = first_sentence(&table["properties"][next()]);
                    member(name, &what, *example)
                };
                FAIRNESS.iter().map(about).collect()
            }
        })
    }
}

/// The kinds themselves.
fn kinds() -> Vec<Member> {
    let all = Kind::value_variants().iter();
    let values = all.filter_map(Kind::to_possible_value);
    let help = |v: &PossibleValue| v.get_help().map(ToString::to_string);
    values
        .map(|v| member(v.get_name(), &help(&v).unwrap_or_default(), ""))
        .collect()
}

/// `KEY = DEFAULT: what`, with the default as a file has it, or `optional KEY: what`.
fn key_line(key: &Value) -> String {
    let text = |of: &str| key[of].as_str().unwrap_or_default().to_owned();
    let (name, what) = (text("key"), text("what"));
    match toml::Value::try_from(&key["default"]) {
        Ok(value) => format!("{name} = {value}: {what}"),
        Err(_) => format!("optional {name}: {what}"),
    }
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
        let settings = Some(member.settings.clone()).filter(|s| !s.is_empty());
        let keys = member.optional.iter().map(key_line);
        for line in settings.into_iter().chain(keys) {
            text += &format!("    {line}\n");
        }
    }
    print(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tests of all members use the examples. Files and programs have tests of their own.
    #[test]
    fn every_member_has_an_example() {
        fn covered<T: Serialize + DeserializeOwned + JsonSchema>(examples: Vec<(&str, T)>) {
            let tag = |(_, spec): &(&str, T)| toml::Value::try_from(spec).expect("TOML");
            let tags: Vec<_> = examples.iter().map(tag).collect();
            for m in members(examples)
                .iter()
                .filter(|m| !["file", "program"].contains(&m.name.as_str()))
            {
                let named = tags.iter().any(|tag| tag.get(&m.name).is_some());
                assert!(named, "{}", m.name);
            }
        }
        covered(BijectionSpec::examples());
        covered(BaseSpec::examples());
        covered(ModelSpec::examples());
        covered(DataSpec::examples());
    }

    /// Those of files and objectives are written by hand.
    #[test]
    fn shown_settings_are_valid_and_those_of_files_are_the_defaults() {
        for m in Kind::Data.members().unwrap() {
            let read = |settings: &str| -> DataSpec {
                toml::from_str(&format!("{} = {settings}", m.name)).unwrap()
            };
            let spec = read(&m.settings);
            let checked = match m.name.as_str() {
                "program" => spec.check_target().map(drop),
                _ => spec.check_settings(),
            };
            assert_eq!(checked, Ok(()), "{}", m.name);
            if let Some((least, _)) = m.settings.split_once(", on_bad_rows") {
                assert_eq!(spec, read(&format!("{least} }}")));
            }
        }
        for m in Kind::Objectives.members().unwrap().iter().skip(1) {
            let spec: ProblemSpec =
                toml::from_str(&format!("{} = {}", m.name, m.settings)).unwrap();
            assert_eq!(spec.check(), Ok(2), "{}", m.name);
            let required = m.optional.iter().find(|key| key["key"] == "target");
            assert_eq!(required, None, "{}", m.name);
        }
        let text = json!({ "description": "A map (Dinh et al. 2017,\n0.5). More." });
        assert_eq!(first_sentence(&text), "A map (Dinh et al. 2017, 0.5)");
    }
}
