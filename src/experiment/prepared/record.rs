//! Writes the results of a run: curves, weights and metrics.

use std::collections::BTreeMap;

use candle_core::Tensor;

use super::{ended_by_the_clock, points, Run};
use crate::experiment::store::{MetricRow, RunDir, State, Status};
use crate::experiment::weights;
use mdn_core::data::{log_densities, FileRecord};
use mdn_core::metrics::evaluation::{self, Against, Measured};
use mdn_core::metrics::{Cost, Evaluation, Metric, Outcome, METRICS};
use mdn_core::num;
use mdn_core::train::{Curves, HistoryRow, Split};
use mdn_core::{Error, Result};

/// Nats by which a model may be worse than a Gaussian that it could be, by noise alone.
const MARGIN: f64 = 0.05;

impl Run {
    /// Writes how training went and, unless it diverged, measures the model. Test points are drawn
    /// nowhere else. `check_interrupt` is called between pieces of work.
    pub(in crate::experiment) fn record(
        &self,
        place: &RunDir,
        trained: &Curves,
        search_seconds: Option<f64>,
        check_interrupt: &dyn Fn() -> Result<()>,
    ) -> Result<Status> {
        self.save(place, trained)?;
        if let Some(reason) = &trained.diverged {
            let hint = self.hint(trained)?;
            return Ok(Status::because(State::Diverged, &(reason.clone() + &hint)));
        }
        let nlls = self.measure(place, trained, search_seconds, check_interrupt)?;
        // A start from the data, as by k-means, may be a fit that training cannot improve.
        let start_fits = nlls.is_some_and(|[own, gaussians]| own < gaussians - MARGIN);
        let worse = nlls.filter(|[own, gaussians]| !(*own <= gaussians + MARGIN));
        let worse = worse.map(|[own, gaussians]| {
            format!(
                "its NLL on held-out points is {own:.4} nats, and independent Gaussians with the training \
                 points' means and variances have {gaussians:.4}"
            )
        });
        let Some(fault) = trained.learned_nothing(start_fits).or(worse) else {
            return Ok(Status::of(State::Done));
        };
        let points = self.some_data()?;
        let heavy = points
            .as_ref()
            .map(points::heavy_tails)
            .transpose()?
            .flatten();
        let hint = heavy.unwrap_or_else(|| {
            " (try a lower train.learning_rate, more train.steps or points, or fewer layers)"
                .to_owned()
        });
        Ok(Status::because(State::Done, &(fault + &hint)))
    }

    /// Points of the data for a hint; `None` without data.
    fn some_data(&self) -> Result<Option<Tensor>> {
        let law = self.law.as_ref().filter(|_| self.spec.task.has_data());
        law.map(|law| law.sample(1000, &mut self.rng.fork("hint")))
            .transpose()
    }

    /// What to try after training that diverged.
    fn hint(&self, trained: &Curves) -> Result<String> {
        let points = self.some_data()?;
        if let Some(points) = &points {
            let unit = points::hint(&self.spec.model, points)?;
            let known = unit.map_or_else(|| points::heavy_tails(points), |unit| Ok(Some(unit)))?;
            if let Some(known) = known {
                return Ok(known);
            }
        }
        let bad = trained.history.last().map_or(0, |row| row.non_finite);
        let hint = match points {
            // At the first step there has been no update yet that could have been too large.
            Some(_) if trained.steps > 1 => " (try a lower train.learning_rate)",
            Some(_) => "; no weight had moved, so the start itself is not finite on these points (try another unit or start)",
            None if trained.steps > 1 && bad == 0 => " (try a lower train.learning_rate)",
            None if trained.steps > 1 => {
                " (try a lower train.learning_rate, or a `support` without places where the target is 0)"
            }
            None => {
                "; no weight had moved, so the target is not finite at the start's samples (try a `support` where the target is positive \
                 and finite everywhere)"
            }
        };
        Ok(hint.to_owned())
    }

    /// NLL on the held-out `points`, and that of independent Gaussians with the means and the variances of
    /// the training points, from which a standardised flow starts. `None` for a model that is not trained
    /// in steps.
    fn against_gaussians(&self, steps: usize, on: &Evaluation, points: &[f64]) -> Option<[f64; 2]> {
        let log_q = on.log_q.as_ref().filter(|_| on.has_data && steps > 0)?;
        let n = log_q.len() as f64;
        let cost = |(v, (mean, std)): (&f64, &(f64, f64))| {
            0.5 * (((v - mean) / std).powi(2) + num::LN_2PI) + std.ln()
        };
        let gaussians = points.iter().zip(self.moments.iter().cycle());
        let gaussians = gaussians.map(cost).sum::<f64>() / n;
        let nll = -log_q.iter().sum::<f64>() / n;
        Some([nll, gaussians])
    }

    /// Writes the curves and the weights.
    pub(super) fn save(&self, place: &RunDir, trained: &Curves) -> Result<()> {
        let warnings = self.warnings.clone();
        let found = self.law.as_ref().and_then(|law| law.record());
        let text = match found {
            Some(found) => toml::to_string(&FileRecord {
                warnings,
                ..found.clone()
            }),
            None => toml::to_string(&BTreeMap::from([("warnings", &warnings)])),
        };
        if found.is_some() || !self.warnings.is_empty() {
            let text = text.map_err(|e| Error::failed(format!("data.toml: {e}")))?;
            place.write("data.toml", text.as_bytes())?;
        }
        let tried = self.params.findings().tried;
        if !tried.is_empty() {
            place.write_tried(&tried)?;
        }
        place.write_history(&trained.history)?;
        if !trained.rounds.is_empty() {
            place.write_rounds(&trained.rounds)?;
        }
        let file = weights::to_bytes(&self.params.snapshot()?, trained.best_step)?;
        place.write("model.safetensors", &file)?;
        Ok(())
    }

    /// Validation loss plus the mean of log p on the same points: KL(p || q) without the noise of the
    /// entropy. `None` where the loss is not a mean negative log-density or p is not known.
    fn validation_kl(&self, trained: &Curves) -> Result<Option<Vec<(usize, f64)>>> {
        let truth = self.law.as_ref().and_then(|law| law.truth());
        let (Some(truth), Some(points)) = (truth, &self.validation) else {
            return Ok(None);
        };
        if !self.objective.is_mean_log_prob() {
            return Ok(None);
        }
        let log_p = log_densities(truth, &num::to_vec(points)?, self.model.dim());
        let mean = log_p.iter().sum::<f64>() / log_p.len() as f64;
        let of_validation = |r: &&HistoryRow| r.split == Split::Validation;
        let rows = trained.history.iter().filter(of_validation);
        Ok(Some(rows.map(|r| (r.step, r.loss + mean)).collect()))
    }

    /// Measures the model; gives what [`Self::against_gaussians`] does.
    fn measure(
        &self,
        place: &RunDir,
        trained: &Curves,
        search_seconds: Option<f64>,
        check_interrupt: &dyn Fn() -> Result<()>,
    ) -> Result<Option<[f64; 2]>> {
        check_interrupt()?;
        let rng = self.rng.fork("evaluation");
        let cost = Cost {
            parameters: self.model.parameters(self.params.count()),
            steps: trained.steps,
            // A model without training steps is fitted when it is built.
            seconds: trained.seconds
                + match self.model.phases().is_empty() {
                    true => self.build_seconds,
                    false => 0.0,
                },
            search_seconds,
            multiply_adds: self.params.multiply_adds(),
            target_evaluations: trained.target_evaluations,
            validation_kl: self.validation_kl(trained)?,
        };
        let constraints = self.spec.task.constraints()?;
        let against = Against {
            law: self.law.as_deref(),
            has_data: self.spec.task.has_data(),
            target: self.objective.target(),
            constraints: constraints.as_ref().map(|(t, m)| (t, m.as_slice())),
            points: self.spec.evaluation.points,
            side: self.spec.evaluation.grid,
            dtype: self.params.dtype(),
            device: self.params.device(),
        };
        let Measured {
            mut evaluation,
            points,
            samples,
        } = evaluation::evaluate(self.model.as_ref(), &against, cost, &rng)?;
        if let (Some(moments), Some((_, last))) = (&mut evaluation.moments, trained.rounds.last()) {
            moments.multipliers = last.against_exact();
        }
        if evaluation.own_log_p.is_none() {
            evaluation.own_log_p = self.spec.task.solution_log_p(&samples)?;
        }
        let rows = |costs: bool| -> Vec<MetricRow> {
            let metrics = METRICS.iter().filter(|m| m.is_cost() == costs);
            metrics.map(|m| row(m, &evaluation)).collect()
        };
        place.write_metrics(&rows(false))?;
        let is_file = self.law.as_ref().is_some_and(|l| l.record().is_some());
        if let Some(log_q) = evaluation.log_q.as_ref().filter(|_| is_file) {
            place.write_held_out(log_q)?;
        }
        if let Some(known) = &evaluation.known {
            let found = &known.of_samples.all;
            place.write_modes(&known.weights, found, evaluation.samples)?;
            place.write_levels(&known.bridge_curve())?;
            if known.weights.len() > 1 {
                place.write_bridges(&known.bridges)?;
            }
        }
        // Apart from the metrics, which are the same bytes on every repetition.
        let mut costs = rows(true);
        if let Some(by) = ended_by_the_clock(&self.spec) {
            let seconds = costs.iter_mut().filter(|r| r.metric == "seconds");
            seconds.for_each(|row| row.note.clone_from(&by));
        }
        place.write_costs(&costs)?;
        check_interrupt()?;
        if let Some(picture) = self.picture(&points, &samples, &evaluation)? {
            place.write_picture(&picture)?;
        }
        Ok(self.against_gaussians(trained.steps, &evaluation, &points))
    }
}

fn row(metric: &Metric, on: &Evaluation) -> MetricRow {
    let row = MetricRow {
        metric: metric.name.to_owned(),
        unit: metric.unit.to_owned(),
        better: metric.better.to_string(),
        ..MetricRow::default()
    };
    match (metric.evaluate)(on) {
        Outcome::NotApplicable { why, non_finite } => MetricRow {
            non_finite,
            note: why.to_owned(),
            ..row
        },
        Outcome::Value {
            value,
            std_err,
            n,
            non_finite,
            tail,
        } => MetricRow {
            value: Some(value),
            std_err,
            n,
            non_finite,
            pareto_k: tail.and_then(|t| t.k),
            top10_share: tail.map(|t| t.top10),
            rests_on: tail.map(|t| t.rests_on),
            ..row
        },
    }
}
