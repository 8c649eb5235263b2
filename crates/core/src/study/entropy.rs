//! Entropies of the relaxed mixture by each density.

use rayon::prelude::*;

use super::{build, Density, EntropyRow, RelaxedLaw, StudySpec, Watch};
use crate::distributions::{
    Distribution, GumbelSoftmaxSpec, MixtureDraws, NestedSpec, RelaxedDensity,
};
use crate::num;
use crate::rng::Rng;
use crate::Result;

/// Nested terms that one thread has in memory at once.
const AT_ONCE: usize = 1 << 15;

/// Samples of a batch at most.
const ROWS: usize = 1 << 11;

/// Batches of a density over its own batch at most: with few samples each, drawing them is all work.
const CALLS: usize = 50_000;

/// Sums over independent values of -log density, and of log p(z) - log density.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    count: f64,
    value: [f64; 2],
    square: [f64; 2],
}

impl Tally {
    fn add(&mut self, values: [f64; 2]) {
        self.merge(&Self {
            count: 1.0,
            value: values,
            square: values.map(|v| v * v),
        });
    }

    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        for i in 0..2 {
            self.value[i] += other.value[i];
            self.square[i] += other.square[i];
        }
    }

    /// Mean and standard error of the value or the gap.
    fn mean(&self, i: usize) -> (f64, f64) {
        let mean = self.value[i] / self.count;
        let variance = (self.square[i] / self.count - mean * mean).max(0.0);
        (mean, (variance / (self.count - 1.0)).sqrt())
    }
}

/// One estimate: the densities that are compared sample by sample, and how it is cut into batches.
struct Cell<'a> {
    law: &'a RelaxedLaw,
    densities: &'a [RelaxedDensity],
    /// Samples of a batch.
    rows: usize,
    batches: usize,
    /// The rows of a batch depend on each other: its mean is one value.
    whole: bool,
    rng: Rng,
}

impl Cell<'_> {
    /// One tally per density, and one for the mean of all of them.
    fn tallies(&self, spec: &StudySpec) -> Result<Vec<Tally>> {
        let bases = self.densities.iter().map(|density| {
            let draws = MixtureDraws::GumbelSoftmax(GumbelSoftmaxSpec {
                temperature: self.law.row.temperature,
                density: density.clone(),
                ..GumbelSoftmaxSpec::default()
            });
            Ok(build(&spec.mixture, draws)?.1)
        });
        let bases = bases.collect::<Result<Vec<_>>>()?;
        let batches: Vec<Vec<Tally>> = (0..self.batches)
            .into_par_iter()
            .map(|b| {
                let mut columns = Vec::new();
                let mut log_p = Vec::new();
                for base in &bases {
                    let mut rng = self.rng.fork_at("batch", b as u64);
                    let draws = base.draws(self.rows, 1.0, &mut rng)?;
                    // The same stream gives every density the same samples.
                    if log_p.is_empty() {
                        let x = num::to_vec(&draws.x)?;
                        log_p = x.into_iter().map(|z| self.law.log_p(z)).collect();
                    }
                    columns.push(num::to_vec(&draws.log_prob)?);
                }
                Ok(self.batch(columns, &log_p))
            })
            .collect::<Result<_>>()?;
        let mut total = vec![Tally::default(); bases.len() + 1];
        for batch in batches {
            for (total, part) in total.iter_mut().zip(batch) {
                total.merge(&part);
            }
        }
        Ok(total)
    }

    fn batch(&self, mut columns: Vec<Vec<f64>>, log_p: &[f64]) -> Vec<Tally> {
        let count = columns.len() as f64;
        let middle = |i: usize| columns.iter().map(|c| c[i]).sum::<f64>() / count;
        columns.push((0..log_p.len()).map(middle).collect());
        let tally = |column: &Vec<f64>| {
            let mut tally = Tally::default();
            let pairs = column.iter().zip(log_p).map(|(d, p)| [-d, p - d]);
            if self.whole {
                let sums = pairs.fold([0.0; 2], |[v, g], [x, y]| [v + x, g + y]);
                tally.add(sums.map(|sum| sum / log_p.len() as f64));
            } else {
                pairs.for_each(|pair| tally.add(pair));
            }
            tally
        };
        columns.iter().map(tally).collect()
    }

    fn row(&self, density: Density, inner: Option<usize>, tally: &Tally) -> EntropyRow {
        let law = &self.law.row;
        let gap = inner.map_or(0.0, |m| 0.5 * law.chi2 / m as f64);
        let ((mean, std_err), (bias, bias_std_err)) = (tally.mean(0), tally.mean(1));
        EntropyRow {
            temperature: law.temperature,
            density,
            inner,
            samples: self.rows * self.batches,
            mean,
            std_err,
            truth: law.entropy,
            bias,
            bias_std_err,
            predicted: match density {
                Density::NestedIncludingOwn | Density::BatchIncludingOwn => -gap,
                Density::NestedExcludingOwn => gap,
                Density::Midpoint => 0.0,
                Density::ExactMixture => law.kl_to_mixture,
                Density::Joint => law.conditional_entropy,
            },
        }
    }
}

/// Entropies at the temperatures that the study asks for, out of those of `laws`: by temperature, then
/// by M, then in the order of [`Density`].
pub fn entropies(
    spec: &StudySpec,
    laws: &[RelaxedLaw],
    watch: Watch<'_>,
) -> Result<Vec<EntropyRow>> {
    let root = Rng::new(spec.seed).fork("entropy");
    let mut rows = Vec::new();
    for &temperature in spec.entropy_temperatures() {
        let Some(law) = laws.iter().find(|l| l.row.temperature == temperature) else {
            continue;
        };
        let root = root.fork(&temperature.to_string());
        let mut add = |cell: Cell<'_>, inner: Option<usize>, densities: &[Density]| {
            let tallies = cell.tallies(spec)?;
            let found = densities.iter().zip(&tallies);
            rows.extend(found.map(|(density, tally)| cell.row(*density, inner, tally)));
            Ok::<(), crate::Error>(())
        };
        for &inner in &spec.entropy.inner {
            watch(&format!(
                "entropy at temperature {temperature}, M = {inner}"
            ));
            let rng = root.fork_at("inner", inner as u64);
            let samples = spec.entropy.samples.min(spec.entropy.terms / inner);
            let rows = (AT_ONCE / inner).clamp(1, ROWS);
            let nested = NestedSpec { inner };
            let fresh = Cell {
                law,
                densities: &[
                    RelaxedDensity::NestedIncludingOwn(nested.clone()),
                    RelaxedDensity::NestedExcludingOwn(nested),
                ],
                rows,
                batches: samples.div_ceil(rows),
                whole: false,
                rng: rng.fork("fresh"),
            };
            let shared = Cell {
                law,
                densities: &[RelaxedDensity::BatchIncludingOwn],
                rows: inner,
                batches: (samples / inner).clamp(2, CALLS),
                whole: true,
                rng: rng.fork("batch"),
            };
            let of_fresh = [
                Density::NestedIncludingOwn,
                Density::NestedExcludingOwn,
                Density::Midpoint,
            ];
            add(fresh, Some(inner), &of_fresh)?;
            add(shared, Some(inner), &[Density::BatchIncludingOwn])?;
        }
        watch(&format!("entropy at temperature {temperature}, without M"));
        let plain = Cell {
            law,
            densities: &[RelaxedDensity::ExactMixture, RelaxedDensity::Joint],
            rows: ROWS,
            batches: spec.entropy.samples.div_ceil(ROWS),
            whole: false,
            rng: root.fork("one"),
        };
        add(plain, None, &[Density::ExactMixture, Density::Joint])?;
    }
    Ok(rows)
}
