//! Entropies of the relaxed mixture by each density.

use rayon::prelude::*;

use super::{build, Density, EntropyRow, RelaxedLaw, StudyMixture, StudySpec, Watch};
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

/// The number of independent values of -log density and of log p(z) - log density, their sums, and the
/// sums of their squares.
#[derive(Debug, Clone, Copy, Default)]
struct Tally([f64; 5]);

impl Tally {
    fn of([value, gap]: [f64; 2]) -> Self {
        Self([1.0, value, gap, value * value, gap * gap])
    }

    fn add(&mut self, other: &Self) {
        for (sum, other) in self.0.iter_mut().zip(other.0) {
            *sum += other;
        }
    }

    /// Mean and standard error of the value (`i` = 0) or the gap (`i` = 1).
    fn mean(&self, i: usize) -> (f64, f64) {
        let (count, sum, squares) = (self.0[0], self.0[1 + i], self.0[3 + i]);
        let mean = sum / count;
        let variance = (squares / count - mean * mean).max(0.0);
        (mean, (variance / (count - 1.0)).sqrt())
    }
}

/// One estimate: the densities that are compared sample by sample, and how it is cut into batches.
struct Cell<'a> {
    law: &'a RelaxedLaw,
    inner: Option<usize>,
    densities: &'a [RelaxedDensity],
    /// What the rows are of: each of `densities`, then, where it is wanted, the mean of all.
    names: &'a [Density],
    /// Samples of a batch.
    samples: usize,
    batches: usize,
    /// The samples of a batch depend on each other: its mean is one value.
    whole: bool,
    rng: Rng,
}

impl Cell<'_> {
    fn rows(&self, mixture: &StudyMixture) -> Result<Vec<EntropyRow>> {
        let bases = self.densities.iter().map(|density| {
            let draws = MixtureDraws::GumbelSoftmax(GumbelSoftmaxSpec {
                temperature: self.law.row.temperature,
                density: density.clone(),
                ..GumbelSoftmaxSpec::default()
            });
            Ok(build(mixture, draws)?.1)
        });
        let bases = bases.collect::<Result<Vec<_>>>()?;
        let batch = |b: usize| -> Result<Vec<Tally>> {
            let mut columns = Vec::new();
            let mut log_p = Vec::new();
            for base in &bases {
                let mut rng = self.rng.fork_at("batch", b as u64);
                let draws = base.draws(self.samples, 1.0, &mut rng)?;
                // The same stream gives every density the same samples.
                if log_p.is_empty() {
                    let x = num::to_vec(&draws.x)?;
                    log_p = x.into_iter().map(|z| self.law.log_p(z)).collect();
                }
                columns.push(num::to_vec(&draws.log_prob)?);
            }
            Ok(self.tallies(columns, &log_p))
        };
        let batches = (0..self.batches).into_par_iter().map(batch);
        let batches = batches.collect::<Result<Vec<_>>>()?;
        let mut total = vec![Tally::default(); bases.len() + 1];
        for batch in batches {
            for (total, part) in total.iter_mut().zip(batch) {
                total.add(&part);
            }
        }
        let found = self.names.iter().zip(&total);
        Ok(found.map(|(name, tally)| self.row(*name, tally)).collect())
    }

    /// One tally per column of log densities, and one for the mean of all of them.
    fn tallies(&self, mut columns: Vec<Vec<f64>>, log_p: &[f64]) -> Vec<Tally> {
        let count = columns.len() as f64;
        let middle = |i: usize| columns.iter().map(|c| c[i]).sum::<f64>() / count;
        columns.push((0..log_p.len()).map(middle).collect());
        let tally = |column: &Vec<f64>| {
            let mut tally = Tally::default();
            let pairs = column.iter().zip(log_p).map(|(d, p)| [-d, p - d]);
            if self.whole {
                let sums = pairs.fold([0.0; 2], |[v, g], [x, y]| [v + x, g + y]);
                tally.add(&Tally::of(sums.map(|sum| sum / log_p.len() as f64)));
            } else {
                pairs.for_each(|pair| tally.add(&Tally::of(pair)));
            }
            tally
        };
        columns.iter().map(tally).collect()
    }

    fn row(&self, density: Density, tally: &Tally) -> EntropyRow {
        let law = &self.law.row;
        let gap = self.inner.map_or(0.0, |m| 0.5 * law.chi2 / m as f64);
        let ((mean, std_err), (bias, bias_std_err)) = (tally.mean(0), tally.mean(1));
        EntropyRow {
            temperature: law.temperature,
            density,
            inner: self.inner,
            samples: self.samples * self.batches,
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
        for &inner in &spec.entropy.inner {
            watch(&format!(
                "entropy at temperature {temperature}, M = {inner}"
            ));
            let rng = root.fork_at("inner", inner as u64);
            let samples = spec.entropy.samples.min(spec.entropy.terms / inner);
            let at_once = (AT_ONCE / inner).clamp(1, ROWS);
            let nested = NestedSpec { inner };
            let fresh = Cell {
                law,
                inner: Some(inner),
                densities: &[
                    RelaxedDensity::NestedIncludingOwn(nested.clone()),
                    RelaxedDensity::NestedExcludingOwn(nested),
                ],
                names: &[
                    Density::NestedIncludingOwn,
                    Density::NestedExcludingOwn,
                    Density::Midpoint,
                ],
                samples: at_once,
                batches: samples.div_ceil(at_once),
                whole: false,
                rng: rng.fork("fresh"),
            };
            rows.extend(fresh.rows(&spec.mixture)?);
            let shared = Cell {
                densities: &[RelaxedDensity::BatchIncludingOwn],
                names: &[Density::BatchIncludingOwn],
                samples: inner,
                batches: (samples / inner).clamp(2, CALLS),
                whole: true,
                rng: rng.fork("batch"),
                ..fresh
            };
            rows.extend(shared.rows(&spec.mixture)?);
        }
        watch(&format!("entropy at temperature {temperature}, without M"));
        let plain = Cell {
            law,
            inner: None,
            densities: &[RelaxedDensity::ExactMixture, RelaxedDensity::Joint],
            names: &[Density::ExactMixture, Density::Joint],
            samples: ROWS,
            batches: spec.entropy.samples.div_ceil(ROWS),
            whole: false,
            rng: root.fork("one"),
        };
        rows.extend(plain.rows(&spec.mixture)?);
    }
    Ok(rows)
}
