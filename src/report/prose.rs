//! What the numbers say, in sentences: as much as the tests show, and no more.

use super::digits::{count, dash, difference, p_value, plain, spread, with_half};
use super::interval::Spread;
use super::pairs::{Pair, Tally};
use super::provenance::Provenance;
use super::ranks::Ranks;
use super::results::Results;
use super::significance::LEVEL;
use super::summary::Row;

/// `1 seed`, `2 seeds`
pub fn number(n: usize, what: &str) -> String {
    format!(
        "{} {what}{}",
        count(n as f64),
        if n == 1 { "" } else { "s" }
    )
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

/// What a headline metric is called in a sentence.
fn spoken(metric: &str) -> &str {
    match metric {
        "kl" => "KL(p‖q)",
        "nll" => "negative log-likelihood",
        "reverse_kl" => "KL(q‖p)",
        "constraint_error" => "largest error of a constrained moment",
        other => other,
    }
}

/// What was compared: models, data, seeds, points, steps.
pub fn opening(results: &Results<'_>, rows: &[Row], made: &Provenance) -> String {
    let what = results.what;
    let parameters = |model: &String| {
        let mut of: Vec<f64> = rows
            .iter()
            .filter(|r| r.model == *model)
            .filter_map(|r| Some(r.parameters?.mean))
            .collect();
        of.sort_by(f64::total_cmp);
        let text = match (of.first(), of.last()) {
            (Some(a), Some(b)) if a == b => format!(" ({} parameters)", count(*a)),
            (Some(a), Some(b)) => format!(" ({} to {} parameters)", count(*a), count(*b)),
            _ => String::new(),
        };
        format!("`{model}`{text}")
    };
    let models: Vec<String> = what.models.iter().map(parameters).collect();
    let of = |f: fn(&super::results::Run) -> bool| results.runs.iter().filter(|r| f(r)).count();
    let (all, done, failed) = (
        results.runs.len(),
        of(|r| r.is_done()),
        of(|r| r.has_failed()),
    );
    let mut text = format!(
        "Compared are {}: {}, on {} with {} each, {}",
        number(models.len(), "model"),
        list(&models),
        number(what.data.len(), "data set"),
        number(what.seeds.len(), "seed"),
        number(all, "run"),
    );
    text.push_str(&match (failed, all - done - failed) {
        (0, 0) => ", all done.".to_owned(),
        (failed, 0) => format!(", of which {done} are done and {failed} failed or diverged."),
        (failed, missing) => format!(
            ", of which {done} are done, {failed} failed or diverged and {missing} are missing."
        ),
    });
    let has_data = made.common(|s| s.task.has_data());
    let train = made.common(|s| s.train.clone());
    if let (Some(train), Some(has_data)) = (train, has_data) {
        let whole = |n: usize| count(n as f64);
        text.push_str(&match (has_data, train.points) {
            (false, _) => " Every model was trained on samples of its own".to_owned(),
            (true, 0) => format!(
                " The models of a seed saw the same points, fresh ones in every step and {} for \
                 validation. Each was trained",
                whole(train.validation_points)
            ),
            (true, points) => format!(
                " The models of a seed saw the same points, {} for training and {} for validation. \
                 Each was trained",
                whole(points),
                whole(train.validation_points)
            ),
        });
        text.push_str(&format!(
            " for at most {} of {}",
            number(train.steps, "step"),
            number(train.batch_size, "point")
        ));
        if train.patience > 0 {
            text.push_str(&format!(
                ", or until {} were no better than the best before",
                number(train.patience, "validation")
            ));
        }
        text.push('.');
        if let Some(points) = made.common(|s| s.evaluation.points) {
            text.push_str(&format!(
                " Metrics are over {} held-out points and as many samples of the model.",
                whole(points)
            ));
        }
    }
    for key in ["budget", "search"] {
        if let Some(Some(value)) = made.common(|s| s.setting(key)) {
            text.push_str(&format!(" In the file: `{key} = {value}`."));
        }
    }
    text
}

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
    let mut text = format!(
        "On `{data}`, {}{} {} {} ({over})",
        match measured {
            1 => format!("the {} of `{}` is", spoken(metric), best.model),
            _ => format!("`{}` has the lowest mean {},", best.model, spoken(metric)),
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
            text.push_str(", and is the reference");
        }
        (Some(reference), Some(diff)) => {
            let p = corrected(best);
            text.push_str(&if best.test.is_significant() && diff.mean < 0.0 {
                format!(
                    "; it is {} less than that of the reference `{reference}` ({p})",
                    turned(&diff)
                )
            } else if best.test.is_significant() {
                format!(
                    "; it is {} more than that of the reference `{reference}` ({p})",
                    spread(Some(&diff))
                )
            } else {
                format!(
                    "; no difference from the reference `{reference}` could be shown ({}{p})",
                    prefix(&diff),
                )
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

fn prefix(diff: &Spread) -> String {
    format!("{}, ", difference(Some(diff)))
}

/// `Holm-corrected p = 0.003`
fn corrected(row: &Row) -> String {
    row.test.p_holm.map_or_else(
        || "no test possible".to_owned(),
        |p| format!("Holm-corrected {}", p_value(p)),
    )
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
    use crate::experiment::store::State;
    let mut parts = Vec::new();
    for model in results.what.models {
        let runs: Vec<_> = results.of(data, model).collect();
        for (state, word) in [
            (State::Diverged, "diverged"),
            (State::Failed, "failed"),
            (State::Missing, "not started"),
            (State::Running, "not ended"),
        ] {
            let n = runs.iter().filter(|r| r.status.state == state).count();
            if n > 0 {
                let verb = match (state, n) {
                    (State::Missing | State::Running, 1) => "has ",
                    (State::Missing | State::Running, _) => "have ",
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

/// Ranks over the data sets, the tests on them, and who wins; `None` with fewer than 2 data sets.
pub fn overall(results: &Results<'_>, ranks: &Ranks, pairs: &[Pair]) -> Option<String> {
    let n = ranks.data.len();
    if n < 2 {
        return None;
    }
    let mut metrics: Vec<&str> = ranks
        .data
        .iter()
        .filter_map(|d| results.headline(d))
        .collect();
    metrics.sort_unstable();
    metrics.dedup();
    let metrics: Vec<String> = metrics.into_iter().map(|m| spoken(m).to_owned()).collect();
    let of: Vec<String> = ranks
        .models
        .iter()
        .map(|m| format!("`{}` {}", m.model, spread(Some(&m.mean))))
        .collect();
    let mut text = format!(
        "Ranked on {} by mean {} (1 is best; 95 % t interval over data sets), the models come in at {}. \
         A model with failed runs on a data set ranks there behind those with fewer.",
        number(n, "data set"),
        metrics.join(" or "),
        list(&of),
    );
    if !ranks.left_out.is_empty() {
        text.push_str(&format!(
            " Not ranked, because a model has no run that ended or nothing was measured: {}.",
            names(&ranks.left_out)
        ));
    }
    match &ranks.friedman {
        Some(f) => {
            let value = if f.f.is_finite() { format!("{:.2}", f.f) } else { "∞".to_owned() };
            text.push_str(&format!(
                " Friedman's test (Iman and Davenport's F({}, {}) = {value}, {}) ",
                f.freedom.0,
                f.freedom.1,
                p_value(f.p)
            ));
            text.push_str(&if f.p < LEVEL {
                format!("tells the mean ranks apart. {}", nemenyi(ranks))
            } else {
                "shows no difference between the mean ranks.".to_owned()
            });
        }
        None => text.push_str(
            " Friedman's test needs at least 5 data sets and 3 models: whether the ranks differ is not \
             tested.",
        ),
    }
    if results.what.seeds.len() > 1 {
        let all = ranks.models.iter().map(|m| {
            let Tally { wins, ties, losses } = Tally::of(pairs, &m.model, None, None);
            format!("`{}` {wins}/{ties}/{losses}", m.model)
        });
        text.push_str(&format!(
            " Against each other, pair by pair and data set by data set, wins/ties/losses are {}; a win \
             is a difference with p < 0.05 after Holm's correction over the data sets of the pair, and \
             never goes to the model with more failed runs.",
            list(&all.collect::<Vec<_>>())
        ));
    }
    Some(text)
}

/// Which models the critical difference tells apart from the best.
fn nemenyi(ranks: &Ranks) -> String {
    let (Some(cd), Some(best)) = (ranks.critical_difference, ranks.models.first()) else {
        return "There is no critical difference for so many models.".to_owned();
    };
    let (close, apart): (Vec<_>, Vec<_>) = ranks.models[1..]
        .iter()
        .partition(|m| m.mean.mean - best.mean.mean <= cd);
    let mut text = format!(
        "Mean ranks more than {} apart differ (Nemenyi, 5 %): ",
        plain((cd * 100.0).round() / 100.0)
    );
    if apart.is_empty() {
        text.push_str(&format!("`{}` from none.", best.model));
        return text;
    }
    text.push_str(&format!(
        "`{}` from {}",
        best.model,
        names(apart.iter().map(|m| &m.model))
    ));
    text.push_str(&if close.is_empty() {
        ".".to_owned()
    } else {
        format!(
            "; between it and {} no difference could be shown.",
            names(close.iter().map(|m| &m.model))
        )
    });
    text
}

/// What the smallest p-value of the sign-flip test is, which few seeds bound from below.
pub fn flips(seeds: usize) -> Option<String> {
    (2..=8).contains(&seeds).then(|| {
        format!(
            "`p_flip`, of the exact sign-flip test, can be no less than 1/{} with {seeds} seeds, whatever \
             the difference; that is why the t test decides.",
            1u32 << (seeds - 1)
        )
    })
}
