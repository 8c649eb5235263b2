//! What the reader must know before believing a mean.

use super::prose::number;
use super::results::{Results, Run};
use crate::experiment::store::State;

/// Intervals of fewer seeds than this are too wide to be of use.
const FEW_SEEDS: usize = 3;

/// Few seeds, training by the clock, then for every data set and model: runs that diverged, failed or
/// are missing, and points that were left out.
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
        }
    }
    out
}

fn unfinished(runs: &[&Run], data: &str, model: &str) -> Vec<String> {
    let all = runs.len();
    let mut out = Vec::new();
    for (state, words) in [
        (State::Diverged, "diverged"),
        (State::Failed, "failed"),
        (State::Missing, "not started"),
        (State::Running, "not ended"),
        (State::Interrupted, "interrupted"),
    ] {
        let some = runs.iter().filter(|r| r.status.state == state);
        let reasons: Vec<&str> = some.map(|r| r.status.reason.as_str()).collect();
        if reasons.is_empty() {
            continue;
        }
        let n = reasons.len();
        let mut text = format!("{n} of {all} runs of `{model}` on `{data}` {words}");
        if matches!(state, State::Diverged | State::Failed) {
            if let Some(reason) = reasons.iter().find(|r| !r.is_empty()) {
                text.push_str(&format!(": {reason}"));
            }
            text.push_str("; counted, not averaged.");
        } else {
            text.push_str("; in no mean.");
        }
        out.push(text);
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
    let text = |(key, left, n): &(&str, usize, usize)| format!("{key}: {left} of {}", left + n);
    let list: Vec<String> = counts.iter().map(text).collect();
    (!list.is_empty()).then(|| {
        format!(
            "points of `{model}` on `{data}` were left out because their value is not finite ({}).",
            list.join(", ")
        )
    })
}
