//! Checks that several kinds of data share.

use crate::error::BadValue;

/// More modes than this are a slip of the keyboard.
pub(super) const MAX_MODES: usize = 100_000;

const SMALLEST: f64 = 1e-6;
const LARGEST: f64 = 1e6;

/// A radius, spacing or standard deviation: squares and quotients of these stay well inside f64.
pub(super) fn length(key: &str, value: f64) -> Result<(), BadValue> {
    let short = key.rsplit('.').next().unwrap_or(key);
    BadValue::unless(
        (SMALLEST..=LARGEST).contains(&value),
        key,
        &format!("{SMALLEST:e} <= `{short}` <= {LARGEST:e}"),
        value,
    )
}

/// Between 1 and `most` `radii`.
pub(super) fn radii(radii: &[f64], most: usize) -> Result<(), BadValue> {
    const KEY: &str = "radii";
    BadValue::unless(
        (1..=most).contains(&radii.len()),
        KEY,
        &format!("between 1 and {most} `radii`"),
        radii.len(),
    )?;
    for (j, r) in radii.iter().enumerate() {
        length(KEY, *r).map_err(|fault| BadValue {
            got: format!("{r} in radii[{j}]"),
            ..fault
        })?;
    }
    Ok(())
}

/// A coordinate of a place, named `place` in the message.
pub(super) fn coordinate(key: &str, place: &str, value: f64) -> Result<(), BadValue> {
    BadValue::unless(
        value.abs() <= LARGEST,
        key,
        &format!("coordinates between -{LARGEST:e} and {LARGEST:e}"),
        format_args!("{value} in {place}"),
    )
}

/// One positive weight for each of `n` things, that together sum to 1.
pub(super) fn weights(weights: &[f64], n: usize, things: &str) -> Result<(), BadValue> {
    const KEY: &str = "weights";
    BadValue::unless(
        weights.len() == n,
        KEY,
        &format!("{n} `weights`, one for each of the {things}"),
        weights.len(),
    )?;
    for (j, w) in weights.iter().enumerate() {
        BadValue::unless(
            *w > 0.0 && *w <= 1.0 + 1e-6,
            KEY,
            "`weights` above 0 and at most 1",
            format_args!("{w} in weights[{j}]"),
        )?;
    }
    let sum: f64 = weights.iter().sum();
    BadValue::unless(
        (sum - 1.0).abs() <= 1e-6,
        KEY,
        "`weights` that sum to 1",
        format_args!("a sum of {sum}"),
    )
}
