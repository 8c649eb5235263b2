//! Entropies of the relaxed mixture by each density.

use rayon::prelude::*;

use super::{build, Density, EntropyRow, RelaxedLaw, StudySpec, Watch};
use crate::distributions::{
    Distribution, GumbelSoftmaxSpec, MixtureDraws, NestedSpec, RelaxedDensity,
};
use crate::num;
use crate::rng::Rng;
use crate::Result;

/// Nested terms that are in memory at once, of a thread.
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
    fn add(&mut self, value: f64, gap: f64) {
        self.count += 1.0;
        for (i, v) in [value, gap].into_iter().enumerate() {
            self.value[i] += v;
            self.square[i] += v * v;
        }
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
    /// The rows of a batch hang together: its mean is one value.
    whole: bool,
    rng: Rng,
}

impl Cell<'_> {
    fn temperature(&self) -> f64 {
        self.law.row().temperature
    }

    /// One tally per density, and one for the mean of all of them.
    fn tallies(&self, spec: &StudySpec) -> Result<Vec<Tally>> {
        let bases = self.densities.iter().map(|density| {
            let draws = MixtureDraws::GumbelSoftmax(GumbelSoftmaxSpec {
                temperature: self.temperature(),
                density: density.clone(),
                ..GumbelSoftmaxSpec::default()
            });
            Ok(build(&spec.mixture, draws)?.1)
        });
        let bases = bases.collect::<Result<Vec<_>>>()?;
        let batches: Vec<Result<Vec<Tally>>> = (0..self.batches)
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
                Ok(self.batch(&columns, &log_p))
            })
            .collect();
        let mut total = vec![Tally::default(); bases.len() + 1];
        for batch in batches {
            for (total, part) in total.iter_mut().zip(batch?) {
                total.merge(&part);
            }
        }
        Ok(total)
    }

    fn batch(&self, columns: &[Vec<f64>], log_p: &[f64]) -> Vec<Tally> {
        let mut tallies = vec![Tally::default(); columns.len() + 1];
        let count = columns.len() as f64;
        let middle: Vec<f64> = (0..log_p.len())
            .map(|i| columns.iter().map(|c| c[i]).sum::<f64>() / count)
            .collect();
        for (tally, column) in tallies.iter_mut().zip(columns.iter().chain([&middle])) {
            let pairs = column.iter().zip(log_p).map(|(d, p)| (-d, p - d));
            if self.whole {
                let (value, gap) = pairs.fold((0.0, 0.0), |(v, g), (x, y)| (v + x, g + y));
                tally.add(value / log_p.len() as f64, gap / log_p.len() as f64);
            } else {
                pairs.for_each(|(value, gap)| tally.add(value, gap));
            }
        }
        tallies
    }

    fn row(&self, density: Density, inner: Option<usize>, tally: &Tally) -> EntropyRow {
        let law = self.law.row();
        let gap = inner.map_or(0.0, |m| 0.5 * law.chi2 / m as f64);
        let predicted = match density {
            Density::NestedIncludingOwn | Density::BatchIncludingOwn => -gap,
            Density::NestedExcludingOwn => gap,
            Density::Midpoint => 0.0,
            Density::ExactMixture => law.kl_to_mixture,
            Density::Joint => law.conditional_entropy,
        };
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
            predicted,
        }
    }
}

/// Entropies at the temperatures that the study asks for, out of those of `laws`: by temperature, then
/// by M, then in the order of [`Density::ALL`].
pub fn entropies(
    spec: &StudySpec,
    laws: &[RelaxedLaw],
    watch: Watch<'_>,
) -> Result<Vec<EntropyRow>> {
    let root = Rng::new(spec.seed).fork("entropy");
    let mut rows = Vec::new();
    for &temperature in spec.entropy_temperatures() {
        let Some(law) = laws.iter().find(|l| l.row().temperature == temperature) else {
            continue;
        };
        let root = root.fork(&temperature.to_string());
        for &inner in &spec.entropy.inner {
            watch(&format!(
                "entropy at temperature {temperature}, M = {inner}"
            ));
            rows.extend(nested(
                spec,
                law,
                inner,
                &root.fork_at("inner", inner as u64),
            )?);
        }
        watch(&format!("entropy at temperature {temperature}, without M"));
        let cell = Cell {
            law,
            densities: &[RelaxedDensity::ExactMixture, RelaxedDensity::Joint],
            rows: ROWS,
            batches: spec.entropy.samples.div_ceil(ROWS),
            whole: false,
            rng: root.fork("one"),
        };
        let tallies = cell.tallies(spec)?;
        rows.push(cell.row(Density::ExactMixture, None, &tallies[0]));
        rows.push(cell.row(Density::Joint, None, &tallies[1]));
    }
    Ok(rows)
}

fn nested(spec: &StudySpec, law: &RelaxedLaw, inner: usize, rng: &Rng) -> Result<Vec<EntropyRow>> {
    let samples = spec.entropy.samples.min(spec.entropy.terms / inner);
    let rows = (AT_ONCE / inner).clamp(1, ROWS);
    let nested = NestedSpec { inner };
    let both = Cell {
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
    let tallies = both.tallies(spec)?;
    let whole = Cell {
        law,
        densities: &[RelaxedDensity::BatchIncludingOwn],
        rows: inner,
        batches: (samples / inner).clamp(2, CALLS),
        whole: true,
        rng: rng.fork("batch"),
    };
    let batches = whole.tallies(spec)?;
    Ok(vec![
        both.row(Density::NestedIncludingOwn, Some(inner), &tallies[0]),
        both.row(Density::NestedExcludingOwn, Some(inner), &tallies[1]),
        both.row(Density::Midpoint, Some(inner), &tallies[2]),
        whole.row(Density::BatchIncludingOwn, Some(inner), &batches[0]),
    ])
}
