//! The run that stands for all seeds of a model in figures of its density.

use super::axes::signs;
use super::grid::Grid;
use super::pages::metric_name;
use super::panels::grids;
use crate::experiment::store::Picture;
use crate::report::digits;
use crate::report::results::{Results, Run};
use mdn_core::Result;

/// The run of a model whose headline metric is the median of its seeds', the lower one of two.
pub struct Shown {
    /// The model.
    pub title: String,
    /// Its place among the models of the experiment.
    pub index: usize,
    /// Its headline metric, where that is a number.
    pub score: Option<f64>,
    /// `KL 0.0123, seed 2`
    pub note: String,
    /// What its figures are drawn from.
    pub picture: Picture,
    /// log q.
    pub grid: Grid,
}

impl Shown {
    /// One for every model of a data set that has a finished run with a picture.
    pub fn all(results: &Results<'_>, data: &str) -> Result<Vec<Self>> {
        let headline = results.headline(data);
        let mut all = Vec::new();
        for (index, model) in results.what.models.iter().enumerate() {
            let Some((score, run)) = median(results, data, model, headline) else {
                continue;
            };
            let Some(picture) = run.place.read_picture()? else {
                continue;
            };
            let Some(grid) = grids(&picture).1 else {
                continue;
            };
            let score = headline.zip(Some(score).filter(|s| s.is_finite()));
            let value = score.map_or_else(String::new, |(metric, s)| {
                format!("{} {}, ", metric_name(metric), signs(&digits::plain(s)))
            });
            all.push(Self {
                title: model.clone(),
                index,
                score: score.map(|s| s.1),
                note: format!("{value}seed {}", run.seed),
                picture,
                grid,
            });
        }
        Ok(all)
    }
}

fn median<'a>(
    results: &'a Results<'_>,
    data: &'a str,
    model: &'a str,
    headline: Option<&str>,
) -> Option<(f64, &'a Run)> {
    let mut done: Vec<(f64, &Run)> = Vec::new();
    for run in results.of(data, model).filter(|r| r.is_done()) {
        let score = headline.and_then(|m| run.value(m));
        done.push((score.unwrap_or(f64::INFINITY), run));
    }
    done.sort_by(|a, b| a.0.total_cmp(&b.0));
    done.get(done.len().saturating_sub(1) / 2).copied()
}
