//! `mdn list`

use clap::{Args, ValueEnum};

use super::output::{columns, print};
use super::Exit;
use crate::metrics::METRICS;
use crate::report::figures::FIGURES;
use crate::Result;

/// List what an experiment file can name: data sets, models, metrics, ...
///
/// Without KIND the kinds themselves are listed.
#[derive(Debug, Clone, Args)]
pub(super) struct ListArgs {
    /// What to list
    #[arg(value_name = "KIND")]
    kind: Option<Kind>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// What is trained on: a table `[data.NAME]`
    Data,
    /// What is trained: a table `[models.NAME]`
    Models,
    /// Maps from base to data: the key `bijection` of a model
    Bijections,
    /// Distributions at the base side: the key `base` of a model
    Bases,
    /// What is measured on every trained model
    Metrics,
    /// What is drawn
    Figures,
    /// What training minimises
    Objectives,
}

/// A name with one line about it.
type Line = (&'static str, &'static str);

const DATA: &[Line] = &[
    ("ring", "Gaussians with their means on a circle (D = 2)"),
    (
        "grid",
        "Gaussians with their means on a square grid (D = 2)",
    ),
    ("moons", "two interleaved half circles with noise (D = 2)"),
    ("circles", "concentric circles with noise (D = 2)"),
    (
        "checkerboard",
        "uniform on every other square of a board (D = 2)",
    ),
    (
        "mixture",
        "any mixture of Gaussians, given by weights, means and spreads (any D)",
    ),
];

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
    ("elementwise", "a scale and a shift for every coordinate"),
    ("linear", "a learned invertible matrix"),
    ("permutation", "a fixed reordering of the coordinates"),
    (
        "chain",
        "an array of bijections, the first nearest the base",
    ),
];

const BASES: &[Line] = &[
    ("normal", "N(0, I)"),
    ("mixture", "a trainable mixture of diagonal Gaussians"),
];

const OBJECTIVES: &[Line] = &[(
    "maximum_likelihood",
    "mean negative log-likelihood of the training points, in nats",
)];

impl Kind {
    fn lines(self) -> Vec<(String, String)> {
        let from = |table: &[Line]| {
            let lines = table.iter();
            lines
                .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
                .collect()
        };
        match self {
            Self::Data => from(DATA),
            Self::Models => from(MODELS),
            Self::Bijections => from(BIJECTIONS),
            Self::Bases => from(BASES),
            Self::Metrics => {
                let metrics = METRICS.iter();
                metrics
                    .map(|m| {
                        let text = format!("{} [{}]", m.describe(), m.unit());
                        (m.name().to_owned(), text)
                    })
                    .collect()
            }
            Self::Figures => {
                let figures = FIGURES.iter();
                figures
                    .map(|f| (f.name.to_owned(), f.what.to_owned()))
                    .collect()
            }
            Self::Objectives => from(OBJECTIVES),
        }
    }
}

pub(super) fn run(args: &ListArgs) -> Result<Exit> {
    let lines = match args.kind {
        Some(kind) => kind.lines(),
        None => Kind::value_variants()
            .iter()
            .filter_map(Kind::to_possible_value)
            .map(|v| {
                let help = v.get_help().map(ToString::to_string);
                (v.get_name().to_owned(), help.unwrap_or_default())
            })
            .collect(),
    };
    let rows: Vec<_> = lines.into_iter().map(|(a, b)| vec![a, b]).collect();
    print(&columns(&rows))?;
    Ok(Exit::FINE)
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;

    use super::*;
    use crate::bijections::BijectionSpec;
    use crate::data::DataSpec;
    use crate::distributions::BaseSpec;
    use crate::models::ModelSpec;

    /// The members of an externally tagged enum: serde lists them when it meets none of them.
    fn members<T: DeserializeOwned>() -> Vec<String> {
        let said = match serde_json::from_str::<T>("\"?\"") {
            Err(e) => e.to_string(),
            Ok(_) => String::new(),
        };
        let names = said.split('`').skip(3).step_by(2);
        names.map(str::to_owned).collect()
    }

    #[test]
    fn the_lists_are_those_of_the_specifications() {
        let of = |table: &[Line]| table.iter().map(|l| l.0.to_owned()).collect::<Vec<_>>();
        assert_eq!(of(MODELS), members::<ModelSpec>());
        assert_eq!(of(BIJECTIONS), members::<BijectionSpec>());
        assert_eq!(of(BASES), members::<BaseSpec>());
        assert_eq!(of(DATA), members::<DataSpec>());
    }
}
