//! Gaussians given one by one, in any dimension.

use std::borrow::Cow;
use std::fmt;

use schemars::{json_schema, JsonSchema, Schema, SchemaGenerator};
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::checks::{self, MAX_MODES};
use super::gaussians::{cholesky, Component, GaussianMixture};
use super::sampling::Modes;
use crate::error::BadValue;

const MAX_DIM: usize = 10_000;

/// `mixture = { weights = [0.3, 0.7], means = [[-1.0, 0.0], [1.0, 0.5]], std_devs = [0.2, 0.4] }`
///
/// p(x) = sum_k w_k N(x; m_k, C_k), x in R^D for any D >= 1. Either `std_devs` or `covariances`
/// says how wide the components are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MixtureSpec {
    /// w_k > 0, one per component; they sum to one.
    pub weights: Vec<f64>,
    /// m_k, D coordinates each.
    pub means: Vec<Vec<f64>>,
    /// Standard deviations: one number per component for all its coordinates, or D numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub std_devs: Option<Vec<StdDev>>,
    /// C_k, symmetric and positive definite, D rows of D numbers each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub covariances: Option<Vec<Vec<Vec<f64>>>>,
}

/// How wide a component is along the axes.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum StdDev {
    /// The same standard deviation in every coordinate.
    Shared(f64),
    /// One for each of the D coordinates.
    Each(Vec<f64>),
}

// By hand: serde's own `untagged` reports neither what came nor where.
impl<'de> Deserialize<'de> for StdDev {
    fn deserialize<T: Deserializer<'de>>(from: T) -> Result<Self, T::Error> {
        struct NumberOrList;

        impl<'de> Visitor<'de> for NumberOrList {
            type Value = StdDev;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, or a list of numbers with one per coordinate")
            }

            fn visit_f64<E: de::Error>(self, v: f64) -> Result<StdDev, E> {
                Ok(StdDev::Shared(v))
            }

            fn visit_i64<E: de::Error>(self, v: i64) -> Result<StdDev, E> {
                Ok(StdDev::Shared(v as f64))
            }

            fn visit_u64<E: de::Error>(self, v: u64) -> Result<StdDev, E> {
                Ok(StdDev::Shared(v as f64))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<StdDev, A::Error> {
                let mut each = Vec::new();
                while let Some(v) = list.next_element()? {
                    each.push(v);
                }
                Ok(StdDev::Each(each))
            }
        }

        from.deserialize_any(NumberOrList)
    }
}

impl JsonSchema for StdDev {
    fn schema_name() -> Cow<'static, str> {
        "StdDev".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A number, or a list of numbers with one per coordinate",
            "anyOf": [{ "type": "number" }, { "type": "array", "items": { "type": "number" } }],
        })
    }
}

impl MixtureSpec {
    pub(super) fn check(&self) -> Result<usize, BadValue> {
        self.components().map(|(dim, _)| dim)
    }

    pub(super) fn build(&self) -> Result<GaussianMixture, BadValue> {
        let (dim, components) = self.components()?;
        Ok(GaussianMixture::new(
            dim,
            Modes::new(&self.weights),
            components,
        ))
    }

    fn components(&self) -> Result<(usize, Vec<Component>), BadValue> {
        let dim = self.check_means()?;
        checks::weights(&self.weights, self.means.len(), "means")?;
        let components = match (&self.std_devs, &self.covariances) {
            (Some(std_devs), None) => self.axis_aligned(dim, std_devs)?,
            (None, Some(covariances)) => self.correlated(dim, covariances)?,
            (None, None) => {
                return Err(BadValue::new(
                    "std_devs",
                    "`std_devs` or `covariances`",
                    "neither",
                ))
            }
            (Some(_), Some(_)) => {
                return Err(BadValue::new(
                    "covariances",
                    "`std_devs` or `covariances`",
                    "both",
                ))
            }
        };
        Ok((dim, components))
    }

    fn check_means(&self) -> Result<usize, BadValue> {
        const KEY: &str = "means";
        BadValue::unless(
            (1..=MAX_MODES).contains(&self.means.len()),
            KEY,
            &format!("between 1 and {MAX_MODES} `means`"),
            self.means.len(),
        )?;
        let dim = self.means[0].len();
        BadValue::unless(
            (1..=MAX_DIM).contains(&dim),
            KEY,
            &format!("between 1 and {MAX_DIM} coordinates in each of the `means`"),
            format_args!("{dim} in means[0]"),
        )?;
        for (k, mean) in self.means.iter().enumerate() {
            BadValue::unless(
                mean.len() == dim,
                KEY,
                &format!("{dim} coordinates in each of the `means`, as in the first"),
                format_args!("{} in means[{k}]", mean.len()),
            )?;
            for v in mean {
                checks::coordinate(KEY, &format!("means[{k}]"), *v)?;
            }
        }
        Ok(dim)
    }

    fn axis_aligned(&self, dim: usize, typed: &[StdDev]) -> Result<Vec<Component>, BadValue> {
        one_per_mean("std_devs", typed.len(), self.means.len())?;
        let component = |(k, (mean, std)): (usize, (&Vec<f64>, &StdDev))| {
            let each = match std {
                StdDev::Shared(s) => vec![*s; dim],
                StdDev::Each(each) => each.clone(),
            };
            BadValue::unless(
                each.len() == dim,
                "std_devs",
                &format!("one number or {dim} for each component"),
                format_args!("{} in std_devs[{k}]", each.len()),
            )?;
            for s in &each {
                checks::length("std_devs", *s).map_err(|fault| BadValue {
                    got: format!("{s} in std_devs[{k}]"),
                    ..fault
                })?;
            }
            Ok(Component::diagonal(mean.clone(), &each))
        };
        self.means
            .iter()
            .zip(typed)
            .enumerate()
            .map(component)
            .collect()
    }

    fn correlated(&self, dim: usize, typed: &[Vec<Vec<f64>>]) -> Result<Vec<Component>, BadValue> {
        one_per_mean("covariances", typed.len(), self.means.len())?;
        self.means
            .iter()
            .zip(typed)
            .enumerate()
            .map(|(k, (mean, matrix))| {
                let name = format!("covariances[{k}]");
                let factor = factor(&name, dim, matrix)?;
                Ok(Component::full(mean.clone(), factor))
            })
            .collect()
    }
}

fn one_per_mean(key: &str, got: usize, want: usize) -> Result<(), BadValue> {
    let expected = format!("{want} `{key}`, one for each of the means");
    BadValue::unless(got == want, key, &expected, got)
}

/// The Cholesky factor of a covariance that is one.
fn factor(name: &str, dim: usize, matrix: &[Vec<f64>]) -> Result<Vec<f64>, BadValue> {
    let fault = |expected: String, got: String| BadValue::new("covariances", expected, got);
    let shape = format!("{dim} rows of {dim} numbers in {name}");
    if matrix.len() != dim {
        return Err(fault(shape, format!("{} rows", matrix.len())));
    }
    for (i, row) in matrix.iter().enumerate() {
        if row.len() != dim {
            return Err(fault(shape, format!("{} numbers in row {i}", row.len())));
        }
        if !(1e-12..=1e12).contains(&row[i]) {
            return Err(fault(
                format!("variances between 1e-12 and 1e12 on the diagonal of {name}"),
                format!("{} in row {i}", row[i]),
            ));
        }
        for (j, other) in matrix.iter().enumerate().take(i) {
            let scale = (row[i] * matrix[j][j]).sqrt();
            let apart = (row[j] - other[i]).abs();
            if apart.is_nan() || apart > 1e-9 * scale {
                return Err(fault(
                    format!("a symmetric matrix in {name}"),
                    format!("{} at [{i}][{j}] and {} at [{j}][{i}]", row[j], other[i]),
                ));
            }
        }
    }
    cholesky(matrix).map_err(|(row, pivot)| {
        fault(
            format!("a positive definite matrix in {name}"),
            format!("one whose Cholesky factorisation meets {pivot:e} in row {row}"),
        )
    })
}
