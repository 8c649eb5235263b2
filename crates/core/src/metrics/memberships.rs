//! How the components of a mixture are used, and how they agree with the labels.

use candle_core::Tensor;

use super::agreement::best_matching;
use super::{given, mean_with_tail, Better, Evaluation, Metric, Outcome, Tail};
use crate::models::Model;
use crate::num;
use crate::Result;

/// Held-out points whose responsibilities are looked at.
const MAX_POINTS: usize = 20_000;

/// Bins of confidence.
const BINS: usize = 15;

/// Below this share of an equal one a component is dead.
const DEAD: f64 = 0.1;

/// Probabilities below this one count as this one: single precision knows nothing smaller.
const LEAST: f64 = 1e-38;

const NOT_FINITE: &str = "no point has finite responsibilities";

/// r_k(x) = P(component k | x) of held-out points.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Memberships {
    /// K.
    pub components: usize,
    /// K numbers a point, of the first points.
    pub rows: Vec<f64>,
    /// Points where one of them is not finite, which are not in `rows`.
    pub non_finite: usize,
    /// Places of the points in `rows` among the held-out ones.
    pub place: Vec<usize>,
}

impl Memberships {
    /// Of points (n, dim), the first 20,000; `None` for a model that is no mixture, and
    /// where there are no points.
    pub fn of(model: &dyn Model, points: &Tensor) -> Result<Option<Self>> {
        let n = points.dim(0)?.min(MAX_POINTS);
        if n == 0 {
            return Ok(None);
        }
        let mut out = Self::default();
        let points = points.narrow(0, 0, n)?;
        for x in num::chunks(&points, num::rows_at_once(points.device()))? {
            let Some(r) = model.responsibilities(&x)? else {
                return Ok(None);
            };
            out.components = r.dim(1)?;
            for row in num::to_vec(&r)?.chunks_exact(out.components) {
                if row.iter().all(|v| v.is_finite()) {
                    out.rows.extend_from_slice(row);
                    out.place.push(out.place.len() + out.non_finite);
                } else {
                    out.non_finite += 1;
                }
            }
        }
        Ok(Some(out))
    }

    fn n(&self) -> usize {
        self.place.len()
    }

    fn each(&self) -> impl Iterator<Item = &[f64]> {
        self.rows.chunks_exact(self.components)
    }

    /// Mean responsibilities.
    fn usage(&self) -> Vec<f64> {
        let mut usage = vec![0.0; self.components];
        for row in self.each() {
            for (sum, r) in usage.iter_mut().zip(row) {
                *sum += r / self.n() as f64;
            }
        }
        usage
    }

    /// The label that every component stands for: first one component to one label for the
    /// largest agreement, then the others by the label that most of their points have. `labels` are those
    /// of the points in `rows`.
    fn merged(&self, labels: &[usize], count: usize) -> Vec<usize> {
        let mut together = vec![0.0; self.components * count];
        for (row, label) in self.each().zip(labels) {
            for (k, r) in row.iter().enumerate() {
                together[k * count + label] += r;
            }
        }
        // Whole numbers, which have an order: millionths of a point.
        let worth = |k: usize, label: usize| (together[k * count + label] * 1e6).round() as i64;
        let (_, matched) = best_matching(count, self.components, worth);
        let majority = |k: usize| (0..count).max_by_key(|&label| (worth(k, label), count - label));
        let of = |(k, matched): (usize, Option<usize>)| matched.or(majority(k)).unwrap_or(0);
        matched.into_iter().enumerate().map(of).collect()
    }
}

/// Label probabilities of every point by merged components, with the point's label and its place.
fn by_label(
    on: &Evaluation,
    of: impl FnOnce(&Memberships, &[usize], Vec<Vec<f64>>, bool) -> Outcome,
) -> Outcome {
    let Some(found) = &on.memberships else {
        return Outcome::none(no_mixture(on));
    };
    let Some(all) = &on.labels else {
        return Outcome::none(super::NO_LABELS);
    };
    let labels: Vec<usize> = found.place.iter().map(|&i| all[i] as usize).collect();
    let most = all.iter().copied().max().unwrap_or(0) as usize + 1;
    let count = on
        .known
        .as_ref()
        .map_or(most, |k| k.weights.len().max(most));
    if count > MAX_POINTS {
        return Outcome::none("more labels than points that are looked at");
    }
    let merged = found.merged(&labels, count);
    let complete = (0..count).all(|label| merged.contains(&label) || !labels.contains(&label));
    let sums = found.each().map(|row| {
        let mut sums = vec![0.0; count];
        for (r, label) in row.iter().zip(&merged) {
            sums[*label] += r;
        }
        sums
    });
    of(found, &labels, sums.collect(), complete)
}

fn no_mixture(on: &Evaluation) -> &'static str {
    match on.log_q {
        None => super::NO_POINTS,
        Some(_) => "the model is no mixture",
    }
}

fn usage(on: &Evaluation, of: fn(&[f64]) -> f64) -> Outcome {
    given(&on.memberships, no_mixture(on), |found| {
        let outcome = match found.n() {
            0 => Outcome::none(NOT_FINITE),
            n => Outcome::of(of(&found.usage()), None, n),
        };
        outcome.without(found.non_finite)
    })
}

pub(super) const USAGE_PERPLEXITY: Metric = Metric {
    name: "usage_perplexity",
    describe: "components in use, exp of the entropy of the mean responsibilities",
    unit: "components",
    better: Better::Neither,
    solved: || [0.25, 0.4].map(|p: f64| p.powf(-p) * (1.0 - p).powf(p - 1.0)),
    evaluate: |on| {
        usage(on, |usage| {
            let terms = usage.iter().filter(|u| **u > 0.0).map(|u| -u * u.ln());
            terms.sum::<f64>().exp()
        })
    },
};

/// Below 1 / (10 K).
pub(super) const DEAD_COMPONENTS: Metric = Metric {
    name: "dead_components",
    describe: "components with less than a tenth of an equal share of the points",
    unit: "components",
    better: Better::Lower,
    solved: || [0.0, 0.0],
    evaluate: |on| {
        usage(on, |usage| {
            let dead = DEAD / usage.len() as f64;
            usage.iter().filter(|u| **u < dead).count() as f64
        })
    },
};

/// sum over equal bins of confidence of (points there / n) |mean confidence - share that is right|. A
/// label's probability is the sum of the responsibilities of the components that stand for it.
pub(super) const CALIBRATION_ERROR: Metric = Metric {
    name: "ece",
    describe: "expected calibration error of the responsibilities, merged to labels",
    unit: "share",
    better: Better::Lower,
    solved: || [0.0, 0.3],
    evaluate: |on| {
        by_label(on, |found, labels, sums, _| {
            let mut bins = [(0.0, 0.0); BINS];
            for (s, label) in sums.iter().zip(labels) {
                let guess = (0..s.len()).fold(0, |best, j| if s[j] > s[best] { j } else { best });
                let confidence = s[guess].min(1.0);
                let bin = ((confidence * BINS as f64) as usize).min(BINS - 1);
                bins[bin].0 += confidence;
                bins[bin].1 += f64::from(u8::from(guess == *label));
            }
            let n = found.n();
            if n == 0 {
                return Outcome::none(NOT_FINITE);
            }
            let gaps = bins.iter().map(|(c, right)| (c - right).abs());
            Outcome::of(gaps.sum::<f64>() / n as f64, None, n).without(found.non_finite)
        })
    },
};

/// E\[-log sum_(k -> label) r_k(X)\] - H(label | X), point by point on the same points.
pub(super) const LABEL_REGRET: Metric = Metric {
    name: "label_regret",
    describe: "log loss of the labels by the merged responsibilities, minus that of the truth",
    unit: "nats",
    better: Better::Lower,
    solved: || [0.0, -(0.7f64.ln())],
    evaluate: |on| {
        by_label(on, |found, labels, sums, complete| {
            let Some(truth) = on.known.as_ref().and_then(|k| k.log_label.as_ref()) else {
                return Outcome::none(super::NO_TRUTH);
            };
            if !complete {
                return Outcome::none("infinite: fewer components than labels");
            }
            let each = sums.iter().zip(labels).zip(&found.place);
            let losses = each.map(|((s, label), place)| truth[*place] - s[*label].max(LEAST).ln());
            mean_with_tail(losses.collect(), Tail::above)
        })
    },
};
