//! What the reader must know before believing a mean.

use indexmap::IndexMap;

use super::digits::{count, dash, number, plain};
use super::headline::HEADLINES;
use super::interval::Spread;
use super::results::{Results, Run};
use super::table::is_shown;
use crate::experiment::store::{MetricRow, State};

/// Intervals of fewer seeds than this are too wide to be of use.
const FEW_SEEDS: usize = 3;

/// Few seeds, training by the clock, and unfinished runs and left-out points of every model.
pub fn warnings(results: &Results<'_>) -> Vec<String> {
    let what = results.what;
    let mut out = Vec::new();
    let seeds = what.seeds.len();
    if seeds < FEW_SEEDS {
        let intervals = match seeds {
            0 | 1 => "there are no intervals",
            _ => "the intervals are wide",
        };
        let seeds = number(seeds, "seed");
        out.push(format!("{seeds}: {intervals}. Use {FEW_SEEDS} or more."));
    }
    let metrics = results.runs.iter().flat_map(|r| &r.metrics);
    let mut noted = metrics.filter(|m| m.metric == "seconds" && !m.note.is_empty());
    out.extend(noted.next().map(|m| {
        format!(
            "{}: the number of steps differs when the same runs are repeated, or made on another machine.",
            m.note
        )
    }));
    for data in what.data {
        for model in what.models {
            let runs: Vec<&Run> = results.of(data, model).collect();
            out.extend(unfinished(&runs, data, model));
            out.extend(left_out(&runs, data, model));
            out.extend(outlier(results, data, model));
            out.extend(fragile(&runs, data, model, results.headline(data)));
            out.extend(learned_nothing(results, data, model));
        }
    }
    out
}

fn unfinished(runs: &[&Run], data: &str, model: &str) -> Vec<String> {
    let states = [
        (State::Diverged, "diverged", "counted, not averaged"),
        (State::Failed, "failed", "counted, not averaged"),
        (State::Missing, "not started", "in no mean"),
        (State::Running, "not ended", "in no mean"),
        (State::Interrupted, "interrupted", "in no mean"),
    ];
    let text = |(state, words, end): (State, &str, &str)| {
        let some = runs.iter().filter(|r| r.status.state == state);
        let reasons: Vec<&str> = some.map(|r| r.status.reason.as_str()).collect();
        let failed = matches!(state, State::Diverged | State::Failed);
        let reason = reasons.iter().find(|r| failed && !r.is_empty());
        let reason = reason.map_or_else(String::new, |r| format!(": {r}"));
        let (n, all) = (reasons.len(), runs.len());
        let text = format!("{n} of {all} runs of `{model}` on `{data}` {words}{reason}; {end}.");
        (n > 0).then_some(text)
    };
    states.into_iter().filter_map(text).collect()
}

fn learned_nothing(results: &Results<'_>, data: &str, model: &str) -> Option<String> {
    let (n, all) = (
        results.learned_nothing(data, model),
        results.of(data, model).count(),
    );
    let text = format!(
        "{n} of {all} runs of `{model}` on `{data}` are done, but learned nothing; they are in the means and \
         tests."
    );
    (n > 0).then_some(text)
}

/// A headline metric whose mean over seeds is that of one seed.
fn outlier(results: &Results<'_>, data: &str, model: &str) -> Option<String> {
    let metric = results.headline(data)?;
    let spread = Spread::of(&results.values(data, model, metric))?;
    let [median, low, high] = [spread.median, spread.quartiles.0, spread.quartiles.1].map(plain);
    spread.has_outlier.then(|| {
        format!(
            "{metric} of `{model}` on `{data}`: a seed is far from the others, so the mean says little; median \
             {median}, quartiles {low} and {high}."
        )
    })
}

fn left_out(runs: &[&Run], data: &str, model: &str) -> Option<String> {
    let mut counts: IndexMap<&str, (usize, usize)> = IndexMap::new();
    for m in runs.iter().flat_map(|r| &r.metrics) {
        let (left, all) = counts.entry(&m.metric).or_default();
        *left += m.non_finite;
        *all += m.non_finite + m.n;
    }
    counts.retain(|_, (left, _)| *left > 0);
    let text = |(key, (left, all)): (&&str, &(usize, usize))| format!("{key}: {left} of {all}");
    let list: Vec<String> = counts.iter().map(text).collect();
    (!list.is_empty()).then(|| {
        format!(
            "points of `{model}` on `{data}` were left out because their value is not finite ({}).",
            list.join(", ")
        )
    })
}

/// What the seeds rest on where that is too little: in words of one headline metric, by name of the other
/// metrics of tables.
fn fragile(runs: &[&Run], data: &str, model: &str, headline: Option<&str>) -> Option<String> {
    let seed = |seed: u64, m: &MetricRow| {
        let of = count(m.n as f64);
        let value = m.value.map_or_else(dash, plain);
        let error = m.std_err.map_or_else(dash, plain);
        let k = m.pareto_k.map(|k| format!(" (Pareto k {k:.1})"));
        match m.rests_on.map(|few| count(few as f64)) {
            Some(few) => format!(
                "seed {seed} rests on {few} of {of} points{}",
                k.unwrap_or_default()
            ),
            None => format!("seed {seed} has a standard error of {error} at a value of {value}"),
        }
    };
    let mut found: IndexMap<&str, Vec<String>> = IndexMap::new();
    for run in runs {
        let shown = run.metrics.iter().filter(|m| is_shown(&m.metric));
        for m in shown.filter(|m| m.is_fragile()) {
            found.entry(&m.metric).or_default().push(seed(run.seed, m));
        }
    }
    found.sort_by_key(|metric, _| headline != Some(metric));
    // The marks in the tables are enough for the others alone.
    let is_headline = |metric: &str| HEADLINES.iter().any(|h| h.key == metric);
    let first = found.keys().position(|metric| is_headline(metric))?;
    let (metric, seeds) = found.shift_remove_index(first)?;
    let others: Vec<&str> = found.into_keys().collect();
    let others = match others.is_empty() {
        true => String::new(),
        false => format!(" Likewise: {}.", others.join(", ")),
    };
    Some(format!(
        "{metric} of `{model}` on `{data}` is not to be trusted: {}.{others}",
        seeds.join("; ")
    ))
}
