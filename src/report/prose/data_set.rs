//! One data set in a few sentences.

use super::{list, names, spoken};
use crate::experiment::store::State;
use crate::report::digits::{dash, difference, p_value, plain, spread, with_half};
use crate::report::interval::Spread;
use crate::report::pairs::Pair;
use crate::report::results::Results;
use crate::report::summary::Row;

/// One data set: the best model, what stands apart from the reference and from the best, what
/// failed.
pub fn data_set(results: &Results<'_>, rows: &[&Row], pairs: &[Pair], data: &str) -> String {
    let mut sentences = Vec::new();
    if let Some(metric) = results.headline(data) {
        let of: Vec<&Row> = rows
            .iter()
            .filter(|r| r.metric == metric)
            .copied()
            .collect();
        let pairs: Vec<&Pair> = pairs.iter().filter(|p| p.data == data).collect();
        if let Some(best) = best(&of) {
            sentences.push(winner(results, &of, best, data, metric));
            sentences.extend(ahead_but_failed(&of, best));
            sentences.extend(against_reference(results, &of, best));
            sentences.extend(close_to_best(results, &pairs, best));
        }
    } else {
        sentences.push(format!("On `{data}` no model was measured."));
    }
    sentences.extend(failures(results, data));
    sentences.join(" ")
}

/// The least mean among the models with the fewest failed runs.
fn best<'a>(of: &[&'a Row]) -> Option<&'a Row> {
    let measured = of
        .iter()
        .filter(|r| r.value.is_some_and(|v| !v.mean.is_nan()));
    let key = |r: &Row| (r.failed, r.value.map_or(f64::INFINITY, |v| v.mean));
    measured
        .min_by(|a, b| {
            let ((fa, ma), (fb, mb)) = (key(a), key(b));
            fa.cmp(&fb).then(ma.total_cmp(&mb))
        })
        .copied()
}

fn winner(results: &Results<'_>, of: &[&Row], best: &Row, data: &str, metric: &str) -> String {
    let Some(value) = best.value else {
        return String::new();
    };
    let over = match value.n {
        1 => "one seed: no interval and no test".to_owned(),
        n => format!("mean of {n} seeds, 95 % t interval"),
    };
    let measured = of.iter().filter(|r| r.value.is_some()).count();
    let equal =
        |r: &&&Row| r.failed == best.failed && r.value.is_some_and(|v| v.mean == value.mean);
    let leaders: Vec<&String> = of.iter().filter(equal).map(|r| &r.model).collect();
    let mut text = format!(
        "On `{data}`, {}{} {} {} ({over})",
        match (measured, leaders.len()) {
            (1, _) => format!("the {} of `{}` is", spoken(metric), best.model),
            (_, 1) => format!("`{}` has the lowest mean {},", best.model, spoken(metric)),
            _ => format!(
                "{} share the lowest mean {},",
                names(leaders),
                spoken(metric)
            ),
        },
        if best.failed > 0 {
            " in spite of failed runs"
        } else {
            ""
        },
        spread(Some(&value)),
        best.unit,
    );
    match (results.what.reference, best.diff) {
        (Some(reference), _) if reference == best.model && measured > 1 => {
            text.push_str(&format!("; `{reference}` is the reference"));
        }
        (Some(reference), Some(diff)) => {
            text.push_str(&match best.test.p_holm.map(p_value) {
                None => format!(
                    "; the difference from the reference `{reference}` is {} (no test possible)",
                    difference(Some(&diff))
                ),
                Some(p) if !best.test.is_significant() => format!(
                    "; no difference from the reference `{reference}` could be shown ({}, \
                     Holm-corrected {p})",
                    difference(Some(&diff))
                ),
                Some(p) if diff.mean < 0.0 => format!(
                    "; it is {} less than that of the reference `{reference}` (Holm-corrected {p})",
                    turned(&diff)
                ),
                Some(p) => format!(
                    "; it is {} more than that of the reference `{reference}` (Holm-corrected {p})",
                    spread(Some(&diff))
                ),
            });
        }
        _ => {}
    }
    text.push('.');
    text
}

/// The difference as a positive number with its half-width.
fn turned(diff: &Spread) -> String {
    match diff.half() {
        Some(half) => with_half(-diff.mean, half),
        None => plain(-diff.mean),
    }
}

/// Models with a lower mean that do not lead because of failed runs.
fn ahead_but_failed(of: &[&Row], best: &Row) -> Option<String> {
    let lead = best.value?.mean;
    let ahead = |r: &&&Row| r.failed > best.failed && r.value.is_some_and(|v| v.mean < lead);
    let some: Vec<String> = of
        .iter()
        .filter(ahead)
        .map(|r| {
            let all = r.done + r.failed + r.missing;
            let mean = spread(r.value.as_ref());
            format!(
                "`{}` ({mean}, but {} of {all} runs failed)",
                r.model, r.failed
            )
        })
        .collect();
    (!some.is_empty()).then(|| {
        let (have, are) = if some.len() == 1 {
            ("has", "is")
        } else {
            ("have", "are")
        };
        format!(
            "Over the runs that finished, {} {have} a lower mean, and {are} ranked behind.",
            list(&some)
        )
    })
}

/// The models other than the best and the reference, by what the tests against the reference show.
fn against_reference(results: &Results<'_>, of: &[&Row], best: &Row) -> Option<String> {
    let reference = results.what.reference?;
    let others: Vec<&Row> = of
        .iter()
        .filter(|r| r.model != best.model && r.model != reference && r.test.p_holm.is_some())
        .copied()
        .collect();
    let group = |wanted: &dyn Fn(&Row) -> bool| -> Vec<String> {
        let some = others.iter().filter(|r| wanted(r));
        some.map(|r| {
            let p = r.test.p_holm.map_or_else(dash, p_value);
            format!("`{}` ({}, {p})", r.model, difference(r.diff.as_ref()))
        })
        .collect()
    };
    let sign = |r: &Row| r.diff.map_or(0.0, |d| d.mean);
    let lower = group(&|r| r.test.is_significant() && sign(r) < 0.0);
    let higher = group(&|r| r.test.is_significant() && sign(r) > 0.0);
    let neither = group(&|r| !r.test.is_significant());
    let mut parts = Vec::new();
    if !lower.is_empty() {
        parts.push(format!("lower for {}", list(&lower)));
    }
    if !higher.is_empty() {
        parts.push(format!("higher for {}", list(&higher)));
    }
    if !neither.is_empty() {
        parts.push(format!("none could be shown for {}", list(&neither)));
    }
    (!parts.is_empty()).then(|| {
        format!(
            "Other differences from the reference: {}.",
            parts.join("; ")
        )
    })
}

/// Models that no test tells apart from the best.
fn close_to_best(results: &Results<'_>, pairs: &[&Pair], best: &Row) -> Option<String> {
    let with_best = |p: &&&Pair| p.model == best.model || p.other == best.model;
    let met: Vec<&&Pair> = pairs.iter().filter(with_best).collect();
    let tested: Vec<&&&Pair> = met.iter().filter(|p| p.test.p_holm.is_some()).collect();
    if tested.len() < 2 {
        return None;
    }
    let close: Vec<String> = tested
        .iter()
        .filter(|p| !p.test.is_significant())
        .map(|p| {
            let other = if p.model == best.model {
                &p.other
            } else {
                &p.model
            };
            format!("`{other}` ({})", p.test.p_holm.map_or_else(dash, p_value))
        })
        .collect();
    let over = match results.what.data.len() {
        1 => "paired t tests",
        _ => "paired t tests, each pair corrected over its data sets",
    };
    Some(if close.is_empty() {
        format!("Every other model that was tested differs from it ({over}).")
    } else {
        format!(
            "Between `{}` and {} no difference could be shown ({over}).",
            best.model,
            list(&close)
        )
    })
}

/// `1 of 5 runs of `rad` diverged`
fn failures(results: &Results<'_>, data: &str) -> Option<String> {
    let mut parts = Vec::new();
    for model in results.what.models {
        let runs: Vec<_> = results.of(data, model).collect();
        for (state, word) in [
            (State::Diverged, "diverged"),
            (State::Failed, "failed"),
            (State::Missing, "not started"),
            (State::Running, "not ended"),
            (State::Interrupted, "been interrupted"),
        ] {
            let n = runs.iter().filter(|r| r.status.state == state).count();
            if n > 0 {
                let verb = match (state, n) {
                    (State::Missing | State::Running | State::Interrupted, 1) => "has ",
                    (State::Missing | State::Running | State::Interrupted, _) => "have ",
                    _ => "",
                };
                parts.push(format!(
                    "{n} of {} runs of `{model}` {verb}{word}",
                    runs.len()
                ));
            }
        }
    }
    (!parts.is_empty()).then(|| format!("{}.", list(&parts)))
}
