//! Checks that several kinds of data share.

use crate::error::{did_you_mean, BadValue};

/// More modes than this are a typing error.
pub(super) const MAX_MODES: usize = 100_000;

const SMALLEST: f64 = 1e-6;
const LARGEST: f64 = 1e6;

/// A radius, spacing or standard deviation: squares and quotients of these stay well inside f64.
pub(super) fn length(key: &str, value: f64) -> Result<(), BadValue> {
    between(key, value, SMALLEST, LARGEST)
}

/// `low` <= `value` <= `high`.
pub(super) fn between(key: &str, value: f64, low: f64, high: f64) -> Result<(), BadValue> {
    let expected = format!("{} <= `{key}` <= {}", short(low), short(high));
    BadValue::unless((low..=high).contains(&value), key, &expected, value)
}

/// 1e-6 rather than 0.000001.
fn short(bound: f64) -> String {
    match bound {
        SMALLEST | LARGEST | 1e-3 => format!("{bound:e}"),
        _ => bound.to_string(),
    }
}

/// The length `name` of what stands at `place` under `key`.
pub(super) fn length_in(key: &str, name: &str, place: &str, value: f64) -> Result<(), BadValue> {
    length(name, value).map_err(|fault| BadValue {
        key: key.to_owned(),
        got: format!("{value} in {place}"),
        ..fault
    })
}

/// A list of 1 to `most` things.
pub(super) fn list(key: &str, length: usize, most: usize) -> Result<(), BadValue> {
    let expected = format!("between 1 and {most} `{key}`");
    BadValue::unless((1..=most).contains(&length), key, &expected, length)
}

/// Between 1 and `most` `radii`.
pub(super) fn radii(radii: &[f64], most: usize) -> Result<(), BadValue> {
    const KEY: &str = "radii";
    list(KEY, radii.len(), most)?;
    let mut all = radii.iter().enumerate();
    all.try_for_each(|(j, r)| length_in(KEY, KEY, &format!("{KEY}[{j}]"), *r))
}

/// The coordinates of what the message calls `place`.
pub(super) fn coordinates(key: &str, place: &str, values: &[f64]) -> Result<(), BadValue> {
    let expected = format!("coordinates between -{LARGEST:e} and {LARGEST:e}");
    values.iter().try_for_each(|value| {
        let got = format_args!("{value} in {place}");
        BadValue::unless(value.abs() <= LARGEST, key, &expected, got)
    })
}

/// [`weights`] where there are any.
pub(super) fn optional_weights(
    typed: Option<&Vec<f64>>,
    n: usize,
    things: &str,
) -> Result<(), BadValue> {
    typed.map_or(Ok(()), |typed| weights(typed, n, things))
}

/// One positive weight for each of `n` things, that together sum to 1.
pub(super) fn weights(weights: &[f64], n: usize, things: &str) -> Result<(), BadValue> {
    const KEY: &str = "weights";
    let expected = format!("{n} `weights`, one for each of the {things}");
    BadValue::unless(weights.len() == n, KEY, &expected, weights.len())?;
    for (j, w) in weights.iter().enumerate() {
        let (fine, got) = (*w > 0.0 && *w <= 1.0 + 1e-6, format!("{w} in weights[{j}]"));
        BadValue::unless(fine, KEY, "`weights` above 0 and at most 1", got)?;
    }
    let sum: f64 = weights.iter().sum();
    let got = format_args!("a sum of {sum}");
    BadValue::unless(
        (sum - 1.0).abs() <= 1e-6,
        KEY,
        "`weights` that sum to 1",
        got,
    )
}

/// A `name` that is none of `known`.
pub(super) fn unknown_name(key: &str, name: &str, known: &[&'static str]) -> BadValue {
    BadValue::new(
        key,
        format!("one of `{}`", known.join("`, `")),
        format_args!("`{name}`{}", did_you_mean(name, known.iter().copied())),
    )
}
