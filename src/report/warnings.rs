//! What the reader must know before believing a mean.

use super::results::{Results, Run};
use crate::experiment::store::State;

/// Fewer seeds than this make an interval that says little.
const FEW_SEEDS: usize = 3;

/// Few seeds, training by the clock, then for every data set and model: runs that diverged, failed or are missing, and
/// points that were left out.
pub fn warnings(results: &Results<'_>) -> Vec<String> {
    let what = results.what;
    let mut out = Vec::new();
    let n = what.seeds.len();
    if n < FEW_SEEDS {
        let seeds = if n == 1 { "seed" } else { "seeds" };
        let so = match n {
            0 | 1 => "there are no intervals",
            _ => "the intervals are wide",
        };
        out.push(format!("{n} {seeds}: {so}. Use {FEW_SEEDS} or more."));
    }
    out.extend(by_the_clock(results));
    for data in what.data {
        for model in what.models {
            let runs: Vec<&Run> = results.of(data, model).collect();
            out.extend(unfinished(&runs, data, model));
            out.extend(left_out(&runs, data, model));
        }
    }
    out
}

/// That equal runs differ, where the clock ended training.
fn by_the_clock(results: &Results<'_>) -> Option<String> {
    let metrics = results.runs.iter().flat_map(|r| &r.metrics);
    let mut noted = metrics.filter(|m| m.metric == "seconds" && !m.note.is_empty());
    let note = &noted.next()?.note;
    Some(format!(
        "{note}: the same runs again, or on another machine, make other steps."
    ))
}

fn unfinished(runs: &[&Run], data: &str, model: &str) -> Vec<String> {
    let all = runs.len();
    let on = format!("of {all} runs of `{model}` on `{data}`");
    let of = |state| -> Vec<&&Run> { runs.iter().filter(|r| r.status.state == state).collect() };
    let reason = |some: &[&&Run]| {
        some.iter()
            .map(|r| r.status.reason.as_str())
            .find(|r| !r.is_empty())
            .map_or_else(String::new, |r| format!(": {r}"))
    };
    let mut out = Vec::new();
    for state in [State::Diverged, State::Failed] {
        let some = of(state);
        if !some.is_empty() {
            out.push(format!(
                "{} {on} {}{}; counted, not averaged.",
                some.len(),
                state.word(),
                reason(&some),
            ));
        }
    }
    for (state, words) in [
        (State::Missing, "not started"),
        (State::Running, "not ended"),
        (State::Interrupted, "interrupted"),
    ] {
        let some = of(state).len();
        if some > 0 {
            out.push(format!("{some} {on} {words}; in no mean."));
        }
    }
    out
}

fn left_out(runs: &[&Run], data: &str, model: &str) -> Option<String> {
    let mut counts: Vec<(&str, usize, usize)> = Vec::new();
    for m in runs.iter().flat_map(|r| &r.metrics) {
        match counts.iter_mut().find(|(key, ..)| *key == m.metric) {
            Some((_, left, n)) => {
                *left += m.non_finite;
                *n += m.n;
            }
            None => counts.push((&m.metric, m.non_finite, m.n)),
        }
    }
    counts.retain(|(_, left, _)| *left > 0);
    if counts.is_empty() {
        return None;
    }
    let list: Vec<String> = counts
        .iter()
        .map(|(key, left, n)| format!("{key}: {left} of {}", left + n))
        .collect();
    Some(format!(
        "points of `{model}` on `{data}` were left out because their value is not finite ({}).",
        list.join(", ")
    ))
}
