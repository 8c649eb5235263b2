//! What the numbers say, in sentences: what the tests show, and no more.

use std::fmt::Write as _;

use super::digits::{count, difference, p_value, plain, spread, with_half};
use super::headline::Headline;
use super::interval::Spread;
use super::pairs::{Pair, Tally};
use super::provenance::Provenance;
use super::ranks::Ranks;
use super::results::{Results, Run};
use super::significance::LEVEL;
use super::summary::Row;
use crate::experiment::store::State;

/// `1 seed`, `2 seeds`
pub fn number(n: usize, what: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{} {what}{s}", count(n as f64))
}

/// `a`, `a and b`, `a, b and c`
fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

fn names<'a>(all: impl IntoIterator<Item = &'a String>) -> String {
    let quoted: Vec<String> = all.into_iter().map(|n| format!("`{n}`")).collect();
    list(&quoted)
}

/// What was compared: models, data, seeds, points, steps.
pub fn opening(results: &Results<'_>, rows: &[Row], made: &Provenance) -> String {
    let what = results.what;
    let model = |model: &String| {
        let own = rows.iter().filter(|r| r.model == *model);
        let mut of: Vec<f64> = own.filter_map(|r| Some(r.parameters?.mean)).collect();
        of.sort_by(f64::total_cmp);
        match (of.first(), of.last()) {
            (Some(a), Some(b)) if a == b => format!("`{model}` ({} parameters)", count(*a)),
            (Some(a), Some(b)) => format!("`{model}` ({} to {} parameters)", count(*a), count(*b)),
            _ => format!("`{model}`"),
        }
    };
    let models: Vec<String> = what.models.iter().map(model).collect();
    let of = |f: fn(&Run) -> bool| results.runs.iter().filter(|r| f(r)).count();
    let (done, failed) = (of(Run::is_done), of(Run::has_failed));
    let ended = match (failed, results.runs.len() - done - failed) {
        (0, 0) => "all are done".to_owned(),
        (failed, 0) => format!("{done} are done and {failed} failed or diverged"),
        (failed, missing) => {
            format!("{done} are done, {failed} failed or diverged and {missing} are missing")
        }
    };
    let mut text = format!(
        "This report compares {}: {}, on {} with {} each. Of {}, {ended}.",
        number(models.len(), "model"),
        list(&models),
        number(what.data.len(), "data set"),
        number(what.seeds.len(), "seed"),
        number(results.runs.len(), "run"),
    );
    let has_data = made.common(|s| s.task.has_data());
    let train = made.common(|s| s.train.clone());
    if let (Some(train), Some(has_data)) = (train, has_data) {
        let validation = count(train.validation_points as f64);
        text.push_str(&match (has_data, train.points) {
            (false, _) => " Every model was trained on samples of its own".to_owned(),
            (true, 0) => format!(
                " The models of a seed saw the same points: fresh ones in every step and {validation} \
                 for validation. Each model was trained"
            ),
            (true, points) => format!(
                " The models of a seed saw the same points: {} for training and {validation} for \
                 validation. Each model was trained",
                count(points as f64),
            ),
        });
        let (steps, points) = (
            number(train.steps, "step"),
            number(train.batch_size, "point"),
        );
        let _ = write!(text, " for at most {steps} of {points}");
        if train.patience > 0 {
            let validations = number(train.patience, "validation");
            let _ = write!(text, ", or until {validations} brought no improvement");
        }
        text.push('.');
        if let Some(points) = made.common(|s| s.evaluation.points) {
            let points = count(points as f64);
            let _ = write!(
                text,
                " Metrics are over {points} held-out points and as many samples of the model."
            );
        }
    }
    for key in ["budget", "search"] {
        if let Some(Some(value)) = made.common(|s| s.setting(key)) {
            let _ = write!(text, " The file sets `{key} = {value}`.");
        }
    }
    text
}

/// One data set: the best model, which models differ from the reference and from the best, which runs
/// failed.
pub fn data_set(results: &Results<'_>, rows: &[&Row], pairs: &[Pair], data: &str) -> String {
    let mut sentences = Vec::new();
    if let Some(metric) = results.headline(data) {
        let of = rows.iter().filter(|r| r.metric == metric);
        let of: Vec<&Row> = of.copied().collect();
        let measured = of.iter().filter_map(|r| Some((*r, r.value?)));
        let measured: Vec<_> = measured.filter(|(_, v)| !v.mean.is_nan()).collect();
        // The least mean among the models with the fewest failed runs.
        let best = measured.iter().min_by(|(a, v), (b, w)| {
            let means = || v.mean.total_cmp(&w.mean);
            a.failed.cmp(&b.failed).then_with(means)
        });
        if let Some(&(best, value)) = best {
            sentences.push(winner(results, &of, (best, &value), Headline::of(metric)));
            sentences.extend(lower_but_failed(&of, (best, &value)));
            sentences.extend(against_reference(results, &of, best));
            sentences.extend(close_to_best(results, pairs, best));
        }
    } else {
        sentences.push(format!("On `{data}` no model was measured."));
    }
    sentences.extend(failures(results, data));
    sentences.join(" ")
}

fn winner(
    results: &Results<'_>,
    of: &[&Row],
    (best, value): (&Row, &Spread),
    metric: Headline,
) -> String {
    let measured = of.iter().filter(|r| r.value.is_some()).count();
    let over = match value.n {
        1 => "one seed: no interval and no test".to_owned(),
        n => format!("mean of {n} seeds, 95 % t interval"),
    };
    let equal =
        |r: &&&Row| r.failed == best.failed && r.value.is_some_and(|v| v.mean == value.mean);
    let leaders: Vec<&String> = of.iter().filter(equal).map(|r| &r.model).collect();
    let (name, model) = (metric.long, &best.model);
    let lead = match (measured, leaders.len()) {
        (1, _) => format!("the {name} of `{model}` is"),
        (_, 1) => format!("`{model}` has the lowest mean {name},"),
        _ => format!("{} share the lowest mean {name},", names(leaders)),
    };
    let despite = match best.failed {
        0 => "",
        _ => " in spite of failed runs",
    };
    let mean = spread(Some(value));
    let (data, unit) = (&best.data, &best.unit);
    let mut text = format!("On `{data}`, {lead}{despite} {mean} {unit} ({over})");
    if let Some(reference) = results.what.reference {
        if reference == model && measured > 1 {
            let _ = write!(text, "; `{reference}` is the reference");
        } else if let Some(diff) = best.diff {
            let signed = difference(Some(&diff));
            text.push_str(&match best.test.p_holm.map(p_value) {
                None => format!(
                    "; the difference from the reference `{reference}` is {signed} (no test possible)"
                ),
                Some(p) if !best.test.is_significant() => format!(
                    "; the difference from the reference `{reference}` is not significant ({signed}, \
                     Holm-corrected {p})"
                ),
                Some(p) => {
                    let (by, than) = if diff.mean < 0.0 {
                        (without_sign(&diff), "less")
                    } else {
                        (spread(Some(&diff)), "more")
                    };
                    format!(
                        "; it is {by} {than} than that of the reference `{reference}` (Holm-corrected \
                         {p})"
                    )
                }
            });
        }
    }
    text + "."
}

/// A negative difference as a positive number with its half-width.
fn without_sign(diff: &Spread) -> String {
    match diff.half() {
        Some(half) => with_half(-diff.mean, half),
        None => plain(-diff.mean),
    }
}

/// Models with a lower mean that do not lead because of failed runs.
fn lower_but_failed(of: &[&Row], (best, lead): (&Row, &Spread)) -> Option<String> {
    let lower = |r: &&&Row| r.failed > best.failed && r.value.is_some_and(|v| v.mean < lead.mean);
    let text = |r: &&Row| {
        let (all, failed) = (r.runs(), r.failed);
        let mean = spread(r.value.as_ref());
        format!("`{}` ({mean}, but {failed} of {all} runs failed)", r.model)
    };
    let some: Vec<String> = of.iter().filter(lower).map(text).collect();
    let verbs = match some.len() {
        0 => return None,
        1 => "has a lower mean, and is",
        _ => "have a lower mean, and are",
    };
    Some(format!(
        "Over the runs that finished, {} {verbs} ranked behind.",
        list(&some)
    ))
}

/// The models other than the best and the reference, by what the tests against the reference show.
fn against_reference(results: &Results<'_>, of: &[&Row], best: &Row) -> Option<String> {
    let reference = results.what.reference?;
    let group = |head: &str, wanted: &dyn Fn(&Row, f64) -> bool| {
        let others = of
            .iter()
            .filter(|r| r.model != best.model && r.model != reference);
        let some = others.filter_map(|r| {
            let p = p_value(r.test.p_holm?);
            let text = format!("`{}` ({}, {p})", r.model, difference(r.diff.as_ref()));
            wanted(r, r.diff.map_or(0.0, |d| d.mean)).then_some(text)
        });
        let some: Vec<String> = some.collect();
        (!some.is_empty()).then(|| format!("{head} {}", list(&some)))
    };
    let groups = [
        group("lower for", &|r, d| r.test.is_significant() && d < 0.0),
        group("higher for", &|r, d| r.test.is_significant() && d > 0.0),
        group("not significant for", &|r, _| !r.test.is_significant()),
    ];
    let groups: Vec<String> = groups.into_iter().flatten().collect();
    let text = groups.join("; ");
    (!groups.is_empty()).then(|| format!("Other differences from the reference: {text}."))
}

/// Models that do not differ significantly from the best.
fn close_to_best(results: &Results<'_>, pairs: &[Pair], best: &Row) -> Option<String> {
    let tested = pairs.iter().filter_map(|pair| {
        let other = match &best.model {
            _ if pair.data != best.data => return None,
            model if pair.model == *model => &pair.other,
            model if pair.other == *model => &pair.model,
            _ => return None,
        };
        let text = format!("`{other}` ({})", p_value(pair.test.p_holm?));
        Some((pair.test.is_significant(), text))
    });
    let tested: Vec<(bool, String)> = tested.collect();
    if tested.len() < 2 {
        return None;
    }
    let over = match results.what.data.len() {
        1 => "paired t tests",
        _ => "paired t tests, each pair corrected over its data sets",
    };
    let close = tested.into_iter().filter(|(differs, _)| !differs);
    let close: Vec<String> = close.map(|(_, text)| text).collect();
    Some(if close.is_empty() {
        format!("Every other model that was tested differs from it ({over}).")
    } else {
        let close = list(&close);
        format!(
            "No significant difference between `{}` and {close} ({over}).",
            best.model
        )
    })
}

/// `1 of 5 runs of `rad` diverged.`
fn failures(results: &Results<'_>, data: &str) -> Option<String> {
    let mut parts = Vec::new();
    for model in results.what.models {
        let all = results.of(data, model).count();
        for (state, one, more) in [
            (State::Diverged, "diverged", "diverged"),
            (State::Failed, "failed", "failed"),
            (State::Missing, "has not started", "have not started"),
            (State::Running, "has not ended", "have not ended"),
            (State::Interrupted, "was interrupted", "were interrupted"),
        ] {
            let in_state = |r: &&Run| r.status.state == state;
            let words = match results.of(data, model).filter(in_state).count() {
                0 => continue,
                1 => format!("1 of {all} runs of `{model}` {one}"),
                n => format!("{n} of {all} runs of `{model}` {more}"),
            };
            parts.push(words);
        }
    }
    (!parts.is_empty()).then(|| format!("{}.", list(&parts)))
}

/// Ranks over the data sets, the tests on them, and who wins; `None` with fewer than 2 data sets.
pub fn overall(results: &Results<'_>, ranks: &Ranks, pairs: &[Pair]) -> Option<String> {
    let n = ranks.data.len();
    if n < 2 {
        return None;
    }
    let metrics = ranks.data.iter().filter_map(|d| results.headline(d));
    let mut metrics: Vec<&str> = metrics.collect();
    metrics.sort_unstable();
    metrics.dedup();
    let metrics: Vec<&str> = metrics.into_iter().map(|m| Headline::of(m).long).collect();
    let each = |text: &dyn Fn(&str, &Spread) -> String| {
        let models = ranks.models.iter();
        let all: Vec<String> = models
            .map(|m| format!("`{}` {}", m.model, text(&m.model, &m.mean)))
            .collect();
        list(&all)
    };
    let mut text = format!(
        "Mean ranks on {} by mean {} (1 is best; 95 % t interval over data sets): {}. A model with failed \
         runs on a data set ranks there behind those with fewer.",
        number(n, "data set"),
        metrics.join(" or "),
        each(&|_, mean| spread(Some(mean))),
    );
    if !ranks.left_out.is_empty() {
        let _ = write!(
            text,
            " Not ranked, because nothing was measured or a model has no run that ended: {}.",
            names(&ranks.left_out)
        );
    }
    if let Some(f) = &ranks.friedman {
        let value = match f.f {
            f if f.is_finite() => format!("{f:.2}"),
            _ => "∞".to_owned(),
        };
        let ((a, b), p) = (f.freedom, p_value(f.p));
        let verdict = match f.p {
            p if p < LEVEL => {
                let apart = nemenyi(ranks);
                format!("finds differences between the mean ranks. {apart}")
            }
            _ => "finds no significant difference between the mean ranks.".to_owned(),
        };
        let _ = write!(
            text,
            " Friedman's test (Iman and Davenport's F({a}, {b}) = {value}, {p}) {verdict}"
        );
    } else {
        text.push_str(
            " Whether the ranks differ is not tested: Friedman's test needs at least 5 data sets and 3 \
             models.",
        );
    }
    if results.what.seeds.len() > 1 {
        let _ = write!(
            text,
            " Wins/ties/losses over all other models and data sets: {}. A win is a difference with p < \
             0.05 after Holm's correction over the data sets of the pair; the model with more failed runs \
             never wins.",
            each(&|model, _| Tally::of(pairs, model, None, None).to_string()),
        );
    }
    Some(text)
}

/// Which mean ranks differ from the best by more than the critical difference.
fn nemenyi(ranks: &Ranks) -> String {
    let (Some(cd), Some(best)) = (ranks.critical_difference, ranks.models.first()) else {
        return "No critical difference is known for so many models.".to_owned();
    };
    let others = ranks.models[1..].iter();
    let (close, apart): (Vec<_>, Vec<_>) = others.partition(|m| m.mean.mean - best.mean.mean <= cd);
    let names = |some: &[&super::ranks::Ranked]| names(some.iter().map(|m| &m.model));
    let from = match apart.as_slice() {
        [] => "no other model".to_owned(),
        apart => names(apart),
    };
    let mut text = format!(
        "Mean ranks more than {cd:.2} apart differ (Nemenyi, 5 %): `{}` differs from {from}",
        best.model
    );
    if !apart.is_empty() && !close.is_empty() {
        let _ = write!(text, ", not significantly from {}", names(&close));
    }
    text + "."
}

/// The smallest p-value that the sign-flip test can have, where few seeds make it large.
pub fn least_flip(seeds: usize) -> Option<String> {
    (2..=8).contains(&seeds).then(|| {
        format!(
            "`p_flip`, of the exact sign-flip test, is at least 1/{} with {seeds} seeds, whatever the \
             difference; so the t test decides.",
            1u32 << (seeds - 1)
        )
    })
}
