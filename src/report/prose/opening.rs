//! What was compared.

use super::{list, number};
use crate::report::digits::count;
use crate::report::provenance::Provenance;
use crate::report::results::{Results, Run};
use crate::report::summary::Row;

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
    let of = |f: fn(&Run) -> bool| results.runs.iter().filter(|r| f(r)).count();
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
