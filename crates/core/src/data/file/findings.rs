//! What in a file no density fits, in words.

use super::table::{some_of, Table, SHOWN};
use super::Column;
use crate::data::directions::Directions;

/// An outlier is this many times farther from the middle half of the points than this half is wide.
const FAR: f64 = 1e3;

/// More columns than this are not listed in a message.
const LISTED: usize = 30;

/// The different values of a column, in order, each with the number of its points.
type Counts = [(f64, usize)];

/// What was found in the columns of a file.
#[derive(Default)]
pub(super) struct Findings {
    /// A line for every column that has a point a thousand times farther out than half of the points do.
    pub(super) outliers: Vec<String>,
    /// A line for every other kind of fault.
    pub(super) others: Vec<String>,
}

impl Findings {
    pub(super) fn of(table: &Table) -> Self {
        let n = table.rows();
        let mut found = Self::default();
        let (mut markers, mut ties, mut rounding) = (Vec::new(), Vec::new(), Vec::new());
        for (d, column) in table.columns.iter().enumerate() {
            let values = table.values.iter().skip(d).step_by(table.dim());
            let mut sorted: Vec<f64> = values.copied().collect();
            sorted.sort_unstable_by(f64::total_cmp);
            let counts = counts(&sorted);
            if let Some((value, m)) = marker(&counts, n) {
                markers.push(format!("{column} is {value} in {m} of {n} points"));
            } else {
                let outlier = outlier(&sorted, column);
                found.outliers.extend(outlier);
                let tied = tied(&counts, n).map(|what| format!("{column} {what}"));
                ties.extend(tied);
            }
            rounding.push(rounding_of(&sorted));
        }
        let some = |all: &[String]| some_of(&all[..all.len().min(SHOWN)], all.len());
        if !markers.is_empty() {
            found.others.push(format!(
                "{}, far from all others: a mark of missing values? Models take it for a mode of its \
                 own (remove these rows, or write NaN for it and set `on_bad_rows = \"skip\"`)",
                some(&markers)
            ));
        }
        if !ties.is_empty() {
            found.others.push(format!(
                "{} column{} of values that repeat ({}): a density can grow without bound at such \
                 values, so that a lower NLL is no better model (add uniform noise as wide as their \
                 rounding, or leave them out with `columns`)",
                ties.len(),
                if ties.len() == 1 { "" } else { "s" },
                some(&ties)
            ));
        }
        found.others.extend(dependence(table, &rounding));
        found
    }
}

/// What is said of a column, given by its sorted values, with a point far out.
fn outlier(sorted: &[f64], column: &Column) -> Option<String> {
    let last = sorted.len() - 1;
    let (low, high) = (sorted[last / 4], sorted[last - last / 4]);
    let far = match (low - sorted[0], sorted[last] - high) {
        (below, above) if below > above => (below, sorted[0]),
        (_, above) => (above, sorted[last]),
    };
    let outside = low < high && far.0 > FAR * (high - low);
    outside.then(|| {
        format!(
            "half of the points have {column} between {low:e} and {high:e}, and one has {:e}",
            far.1
        )
    })
}

/// `columns = [...]` without these columns.
pub(super) fn columns_without(columns: &[Column], without: &[usize]) -> String {
    let kept = columns.iter().enumerate();
    let kept = kept.filter(|(d, _)| !without.contains(d));
    let kept: Vec<String> = kept
        .map(|(_, column)| match column {
            Column::Name(name) => format!("{name:?}"),
            Column::Number(i) => i.to_string(),
        })
        .collect();
    match kept.len() {
        1..=LISTED => format!("`columns = [{}]`", kept.join(", ")),
        _ => "`columns = [...]`".to_owned(),
    }
}

/// The different values, each with the number of its points; empty where no two are equal.
fn counts(sorted: &[f64]) -> Vec<(f64, usize)> {
    if sorted.windows(2).all(|pair| pair[0] != pair[1]) {
        return Vec::new();
    }
    let equal = sorted.chunk_by(|a, b| a == b);
    equal.map(|all| (all[0], all.len())).collect()
}

/// A value with the number of its points, if it looks like a mark of missing values: it repeats at one
/// end of the column, beyond a gap wider than all other values, or than half of them for -999 and the
/// like.
fn marker(counts: &Counts, n: usize) -> Option<(f64, usize)> {
    let (first, others) = counts.split_first()?;
    let (last, before) = counts.split_last()?;
    let is_one = |end: &(f64, usize), rest: &Counts, gap: f64| {
        let nines = format!("{}", end.0.abs());
        let nines = nines.len() > 1 && nines.chars().all(|c| c == '9');
        let left = n - end.1;
        let at = |share: usize| {
            let mut below = 0;
            let here = rest.iter().find(|(_, m)| {
                below += m;
                4 * below > share * left
            });
            here.map_or(f64::NAN, |h| h.0)
        };
        let width = match nines {
            true => at(3) - at(1),
            false => rest[rest.len() - 1].0 - rest[0].0,
        };
        (end.1 > 1 && 2 * end.1 < n && width > 0.0 && gap > width).then_some(*end)
    };
    if counts.len() < 4 {
        return None;
    }
    is_one(first, others, others[0].0 - first.0)
        .or_else(|| is_one(last, before, last.0 - before[before.len() - 1].0))
}

/// How a column repeats its values, if it does so more than points with a density can.
fn tied(counts: &Counts, n: usize) -> Option<String> {
    let (value, most) = counts.iter().copied().max_by_key(|c| c.1)?;
    let different = counts.len();
    let integers = counts.iter().all(|(v, _)| v.fract() == 0.0);
    // As often as a hundredth of the points, and ten times as often as the mean value.
    let stands_out = 100 * most >= n && most * different >= 10 * n;
    match () {
        () if most >= 5 && (4 * most > n || stands_out) => {
            Some(format!("is {value} in {most} of {n} points"))
        }
        () if integers && 2 * different <= n => {
            Some(format!("has {different} different integers in {n} points"))
        }
        () if 10 * different <= n => {
            Some(format!("has {different} different values in {n} points"))
        }
        () => None,
    }
}

/// A line about columns that are a linear combination of others, exactly or up to the decimals that
/// the file gives.
fn dependence(table: &Table, rounding: &[f64]) -> Option<String> {
    let directions = Directions::of(&table.values, table.dim())?;
    let (taking, without) = directions.dependent(rounding);
    let list = |all: &[usize]| {
        let first = all.iter().take(SHOWN);
        let first: Vec<_> = first.map(|d| table.columns[*d].to_string()).collect();
        some_of(&first, all.len())
    };
    (!without.is_empty()).then(|| {
        format!(
            "{} of the columns {} depend linearly on the others, exactly or up to their rounding: a \
             density can grow without bound along them, so that a lower NLL is no better model \
             ({} leaves out {})",
            without.len(),
            list(&taking),
            columns_without(&table.columns, &without),
            list(&without)
        )
    })
}

/// The root mean square error of the numbers of a column, given sorted: of f64, and of their decimals
/// where they are fine enough not to be the values themselves.
fn rounding_of(sorted: &[f64]) -> f64 {
    let (first, last) = (sorted[0], sorted[sorted.len() - 1]);
    let decimals = spacing(sorted).filter(|s| 100.0 * s < last - first);
    decimals.unwrap_or_default() / 12f64.sqrt() + first.abs().max(last.abs()) * f64::EPSILON
}

/// 10^-k if all values have at most k decimals, for the least k up to 9.
fn spacing(values: &[f64]) -> Option<f64> {
    let fits = |scale: &f64| {
        let whole = |v: &f64| {
            let scaled = v * scale;
            (scaled - scaled.round()).abs() <= 1e-6 && scaled.abs() < 1e9
        };
        values.iter().all(whole)
    };
    let scale = (0..10).map(|k| 10f64.powi(k)).find(fits);
    scale.map(f64::recip)
}
