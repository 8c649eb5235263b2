//! `mdn list`

mod optional;

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};
use serde::de::DeserializeOwned;
use serde::Serialize;
use serde_json::json;

use super::output::{columns, print};
use super::Exit;
use crate::report::figures::FIGURES;
use mdn_core::bijections::BijectionSpec;
use mdn_core::data::{Benchmark, DataSpec, Problem, BENCHMARKS, KINDS};
use mdn_core::distributions::{BaseSpec, MixtureDraws};
use mdn_core::metrics::METRICS;
use mdn_core::models::ModelSpec;
use mdn_core::objectives::{self, ProblemSpec};
use mdn_core::statistics;
use mdn_core::Result;

/// List what an experiment file can name: data sets, models, metrics, ...
///
/// Without KIND the kinds themselves are listed. Below each member stand its settings as they are
/// written, with their defaults, then the keys that these do not show: `KEY = DEFAULT`, or `optional
/// KEY` where leaving it out is no value but has a meaning of its own.
#[derive(Debug, Clone, Args)]
pub(super) struct ListArgs {
    /// What to list
    #[arg(value_name = "KIND")]
    kind: Option<Kind>,
    /// Print one JSON object per line of the list: name, what, settings, and `optional`: the keys
    /// that these do not show, with what they say and their default or null
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

/// A name with one line about it.
type Line = (&'static str, &'static str);

const MODELS: &[Line] = &[
    (
        "flow",
        "a base distribution carried to the data by a bijection",
    ),
    (
        "rad",
        "folded layers: parts of the data space share one base (Dinh et al. 2019)",
    ),
    ("clusters", "k-means clusters with a flow each"),
    (
        "gaussian_mixture",
        "a mixture of Gaussians alone, fitted by EM; K given or by BIC",
    ),
    (
        "kernel_density",
        "a Gaussian kernel on every training point; its width by leave-one-out likelihood",
    ),
];

/// Key, one line about it, an example.
const FAIRNESS: &[(&str, &str, &str)] = &[
    (
        "budget.parameters",
        "trainable numbers of every model, within 3 %: its `hidden` widths are scaled",
        "parameters = 17000",
    ),
    (
        "budget.seconds",
        "wall time of every training: it ends there, or after train.steps if that is sooner",
        "seconds = 20",
    ),
    (
        "search.train",
        "settings that every model chooses by its validation loss: learning_rate, schedule, \
         weight_decay, clip_norm",
        "learning_rate = [3e-4, 1e-3, 3e-3]",
    ),
    (
        "search.models.NAME",
        "settings of one model; all models must come to as many trials",
        "rad.fold_width = [0.25, 0.5]",
    ),
];

const BIJECTIONS: &[Line] = &[
    (
        "affine_coupling",
        "a stack of affine couplings (Real NVP, Dinh et al. 2017)",
    ),
    (
        "spline_coupling",
        "a stack of rational-quadratic spline couplings (Durkan et al. 2019)",
    ),
    (
        "masked_autoregressive",
        "a stack of masked autoregressive layers (MAF, Papamakarios et al. 2017)",
    ),
    (
        "masked_autoregressive_spline",
        "the same with rational-quadratic splines (Durkan et al. 2019)",
    ),
    ("elementwise", "a scale and a shift for every coordinate"),
    ("linear", "a learned invertible matrix"),
    ("permutation", "a fixed reordering of the coordinates"),
    (
        "planar",
        "a stack of planar layers (Rezende and Mohamed 2015), its inverse iterative",
    ),
    (
        "radial",
        "a stack of radial layers (Rezende and Mohamed 2015)",
    ),
    (
        "chain",
        "an array of bijections, the first nearest the base",
    ),
];

const BASES: &[Line] = &[
    ("normal", "N(0, I)"),
    (
        "mixture",
        "a trainable mixture of diagonal Gaussians; its `draws`: mdn list draws",
    ),
    (
        "resampled",
        "N(0, I) resampled with learned acceptance (Stimper et al. 2022)",
    ),
];

const DRAWS: &[Line] = &[
    (
        "stratified",
        "samples of every component, weighted; unbiased",
    ),
    (
        "gumbel_softmax",
        "parameters mixed by relaxed weights (Jang et al. 2017, Maddison et al. 2017); biased",
    ),
    (
        "straight_through",
        "a component forward, relaxed weights backward; biased for the weights",
    ),
    (
        "score",
        "sampled components, with the score of their weights; unbiased",
    ),
    (
        "implicit",
        "samples that move with the distribution function (Figurnov et al. 2018); unbiased",
    ),
];

/// A member's settings with their defaults, as they stand in an experiment file. `typed` is the
/// least that must be written.
fn settings<T: Serialize + DeserializeOwned>(name: &str, typed: &str) -> String {
    let full = toml::from_str::<T>(&format!("{name} = {typed}"))
        .ok()
        .and_then(|spec| toml::Value::try_from(spec).ok());
    match full.as_ref().and_then(|v| v.get(name)) {
        Some(toml::Value::Table(table)) if table.is_empty() => "{}".to_owned(),
        Some(value) => value.to_string(),
        None => full.map_or_else(|| typed.to_owned(), |whole| whole.to_string()),
    }
}

impl Kind {
    /// Name, one line about it, and its settings where it has some.
    fn lines(self) -> Result<Vec<[String; 3]>> {
        fn with<T: Serialize + DeserializeOwned>(table: &[Line]) -> Vec<[String; 3]> {
            let row = |(name, text): &Line| {
                let typed = match *name {
                    "chain" => "[{ linear = {} }, { affine_coupling = {} }]",
                    "mixture" => "{ components = 8 }",
                    _ => "{}",
                };
                let settings = match *name {
                    "chain" => typed.to_owned(),
                    _ => settings::<T>(name, typed),
                };
                [(*name).to_owned(), (*text).to_owned(), settings]
            };
            table.iter().map(row).collect()
        }
        let owned = |table: &[(&str, &str, &str)]| {
            let lines = table.iter();
            lines
                .map(|&(a, b, c)| [a, b, c].map(str::to_owned))
                .collect()
        };
        let plain = |name: &str, text: &str| [name.to_owned(), text.to_owned(), String::new()];
        Ok(match self {
            Self::Targets => BENCHMARKS.iter().map(target).collect::<Result<_>>()?,
            Self::Data => KINDS
                .iter()
                .map(|k| [k.name.to_owned(), k.what.to_owned(), k.settings.to_owned()])
                .collect(),
            Self::Models => with::<ModelSpec>(MODELS),
            Self::Bijections => with::<BijectionSpec>(BIJECTIONS),
            Self::Bases => with::<BaseSpec>(BASES),
            Self::Draws => with::<MixtureDraws>(DRAWS),
            Self::Metrics => METRICS
                .iter()
                .map(|m| plain(m.name, &format!("{} [{}]", m.describe, m.unit)))
                .collect(),
            Self::Figures => FIGURES.iter().map(|f| plain(f.name, f.what)).collect(),
            Self::Problems => Problem::names()
                .into_iter()
                .filter_map(|name| Problem::by_name(name).ok())
                .map(|p| {
                    let settings = format!("{:?}", p.statistics.names());
                    [p.name.to_owned(), p.what.to_owned(), settings]
                })
                .collect(),
            Self::Statistics => statistics::FORMS
                .iter()
                .map(|(form, what)| plain(form, what))
                .collect(),
            Self::Objectives => owned(objectives::KINDS),
            Self::Fairness => owned(FAIRNESS),
        })
    }
}

impl Kind {
    /// The keys of a member that `settings` do not show.
    fn optional(self, name: &str, settings: &str) -> Vec<optional::Key> {
        let keys = match self {
            Self::Data => optional::keys::<DataSpec>,
            Self::Models => optional::keys::<ModelSpec>,
            Self::Bijections => optional::keys::<BijectionSpec>,
            Self::Bases => optional::keys::<BaseSpec>,
            Self::Draws => optional::keys::<MixtureDraws>,
            Self::Objectives => optional::keys::<ProblemSpec>,
            Self::Targets
            | Self::Metrics
            | Self::Figures
            | Self::Problems
            | Self::Statistics
            | Self::Fairness => return Vec::new(),
        };
        keys(name, settings)
    }
}

/// A benchmark with its dimension, modes, entropy and source.
fn target(benchmark: &Benchmark) -> Result<[String; 3]> {
    let data = (benchmark.spec)().build()?;
    let facts = data.truth().map(|truth| {
        format!(
            "{} modes, H = {:.6} nats",
            truth.weights().len(),
            truth.entropy().value
        )
    });
    let facts = format!(
        "D = {}, {}; labels: {}; {}",
        data.dim(),
        facts.unwrap_or_default(),
        benchmark.labels,
        benchmark.source
    );
    Ok([benchmark.name.to_owned(), benchmark.what.to_owned(), facts])
}

/// The kinds themselves.
fn kinds() -> Vec<[String; 3]> {
    let all = Kind::value_variants().iter();
    let line = |v: PossibleValue| {
        let help = v.get_help().map(ToString::to_string);
        [
            v.get_name().to_owned(),
            help.unwrap_or_default(),
            String::new(),
        ]
    };
    all.filter_map(Kind::to_possible_value).map(line).collect()
}

pub(super) fn run(args: &ListArgs) -> Result<Exit> {
    let lines = args.kind.map_or_else(|| Ok(kinds()), Kind::lines)?;
    let optional = |name: &str, settings: &str| {
        let of = |kind: Kind| kind.optional(name, settings);
        args.kind.map(of).unwrap_or_default()
    };
    if args.json {
        let object = |[name, what, settings]: &[String; 3]| {
            let optional = optional(name, settings);
            let object = json!({
                "name": name, "what": what, "settings": settings, "optional": optional,
            });
            format!("{object}\n")
        };
        print(&lines.iter().map(object).collect::<String>())?;
        return Ok(Exit::FINE);
    }
    let rows: Vec<_> = lines
        .iter()
        .map(|[a, b, _]| vec![a.clone(), b.clone()])
        .collect();
    let mut text = String::new();
    for (row, [name, _, settings]) in columns(&rows).lines().zip(&lines) {
        text += row;
        text += "\n";
        if !settings.is_empty() {
            text += &format!("    {settings}\n");
        }
        for key in optional(name, settings) {
            text += &format!("    {key}\n");
        }
    }
    print(&text)?;
    Ok(Exit::FINE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mdn_core::data::FileSpec;

    /// The members of an externally tagged enum: serde lists them when it meets none of them.
    fn members<T: DeserializeOwned>() -> Vec<String> {
        let said = match serde_json::from_str::<T>("\"?\"") {
            Err(e) => e.to_string(),
            Ok(_) => String::new(),
        };
        let names = said.split('`').skip(3).step_by(2);
        names.map(str::to_owned).collect()
    }

    /// A member that is not among the examples would escape every law.
    #[test]
    fn every_member_has_an_example() {
        fn covered<T: Serialize + DeserializeOwned>(examples: Vec<(&'static str, T)>) {
            let seen: Vec<String> = examples
                .into_iter()
                .filter_map(|(_, spec)| match toml::Value::try_from(spec) {
                    Ok(toml::Value::Table(table)) => table.keys().next().cloned(),
                    _ => None,
                })
                .collect();
            for member in members::<T>() {
                assert!(seen.contains(&member), "{member} is not among {seen:?}");
            }
        }
        covered(BijectionSpec::examples());
        covered(BaseSpec::examples());
        covered(ModelSpec::examples());
        let mut data = DataSpec::examples();
        // Its laws are in tests of its own: the others need a known law.
        data.push(("file", DataSpec::File(FileSpec::new("points.csv"))));
        covered(data);
    }

    #[test]
    fn the_lists_are_those_of_the_specifications() {
        let of = |table: &[Line]| table.iter().map(|l| l.0.to_owned()).collect::<Vec<_>>();
        assert_eq!(of(MODELS), members::<ModelSpec>());
        assert_eq!(of(BIJECTIONS), members::<BijectionSpec>());
        assert_eq!(of(BASES), members::<BaseSpec>());
        assert_eq!(of(DRAWS), members::<MixtureDraws>());
        let data: Vec<String> = Kind::Data
            .lines()
            .unwrap()
            .into_iter()
            .map(|[name, ..]| name)
            .collect();
        assert_eq!(data, members::<DataSpec>());
        for kind in [Kind::Models, Kind::Bijections, Kind::Bases, Kind::Draws] {
            for [name, _, settings] in kind.lines().unwrap() {
                let full = ["normal", "linear"].contains(&name.as_str()) || settings.len() > 4;
                assert!(full, "{name}: {settings}");
            }
        }
    }
}
