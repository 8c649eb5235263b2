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

/// Batches of a density over its own batch at most: small batches are slow to draw.
const CALLS: usize = 50_000;

/// Sums of 1, v = -log density, g = log p(z) - log density, v^2 and g^2 over independent samples.
type Sums = [f64; 5];

fn added(a: Sums, b: Sums) -> Sums {
    std::array::from_fn(|i| a[i] + b[i])
}

fn sums(log_density: &[f64], log_p: &[f64], dependent: bool) -> Sums {
    let pairs = log_density.iter().zip(log_p).map(|(d, p)| [-d, p - d]);
    let mut pairs: Vec<[f64; 2]> = pairs.collect();
    if dependent {
        // The mean of the batch is one independent value.
        let mean = |i: usize| pairs.iter().map(|p| p[i]).sum::<f64>() / pairs.len() as f64;
        pairs = vec![[mean(0), mean(1)]];
    }
    let terms = pairs
        .iter()
        .map(|[v, gap]| [1.0, *v, *gap, v * v, gap * gap]);
    terms.fold(Sums::default(), added)
}

/// An estimate by each of `densities` over the same samples, and by the midpoint of two nested ones.
fn rows(
    (mixture, law): (&StudyMixture, &RelaxedLaw),
    inner: Option<usize>,
    densities: &[RelaxedDensity],
    (samples, batches): (usize, usize),
    rng: &Rng,
) -> Result<Vec<EntropyRow>> {
    let mut names: Vec<Density> = densities.iter().map(Density::of).collect();
    let midpoint = names.contains(&Density::NestedExcludingOwn);
    names.extend(midpoint.then_some(Density::Midpoint));
    let dependent = names.contains(&Density::BatchIncludingOwn);
    let base = |density: &RelaxedDensity| {
        let draws = MixtureDraws::GumbelSoftmax(GumbelSoftmaxSpec {
            temperature: law.row.temperature,
            density: density.clone(),
            ..GumbelSoftmaxSpec::default()
        });
        Ok(build(mixture, draws)?.1)
    };
    let bases = densities.iter().map(base).collect::<Result<Vec<_>>>()?;
    let batch = |b: usize| -> Result<Vec<Sums>> {
        let (mut columns, mut log_p) = (Vec::new(), Vec::new());
        for base in &bases {
            // Every density draws the same samples from the same stream.
            let draws = base.draws(samples, 1.0, &mut rng.fork_at("batch", b as u64))?;
            if log_p.is_empty() {
                let z = num::to_vec(&draws.x)?.into_iter();
                log_p = z.map(|z| law.log_p(z)).collect();
            }
            columns.push(num::to_vec(&draws.log_prob)?);
        }
        if midpoint {
            let pairs = columns[0].iter().zip(&columns[1]);
            columns.push(pairs.map(|(a, b)| (a + b) / 2.0).collect());
        }
        let sums = |column: &Vec<f64>| sums(column, &log_p, dependent);
        Ok(columns.iter().map(sums).collect())
    };
    let batches = (0..batches).into_par_iter().map(batch);
    let batches = batches.collect::<Result<Vec<_>>>()?;
    let row = |(i, density): (usize, Density)| {
        let total = batches.iter().map(|b| b[i]);
        let [n, value, gap, squares, gap_squares] = total.fold(Sums::default(), added);
        let mean_and_std_err = |sum: f64, squares: f64| {
            let mean = sum / n;
            let variance = (squares / n - mean * mean).max(0.0);
            (mean, (variance / (n - 1.0)).sqrt())
        };
        let (mean, std_err) = mean_and_std_err(value, squares);
        let (bias, bias_std_err) = mean_and_std_err(gap, gap_squares);
        let nested = inner.map_or(0.0, |m| 0.5 * law.row.chi2 / m as f64);
        EntropyRow {
            temperature: law.row.temperature,
            density,
            inner,
            samples: samples * batches.len(),
            mean,
            std_err,
            truth: law.row.entropy,
            bias,
            bias_std_err,
            predicted: match density {
                Density::NestedIncludingOwn | Density::BatchIncludingOwn => -nested,
                Density::NestedExcludingOwn => nested,
                Density::Midpoint => 0.0,
                Density::ExactMixture => law.row.kl_to_mixture,
                Density::Joint => law.row.conditional_entropy,
            },
        }
    };
    Ok(names.into_iter().enumerate().map(row).collect())
}

/// Entropies by temperature, then by M, then in the order of [`Density`]; `laws` has the truth.
pub fn entropies(
    spec: &StudySpec,
    laws: &[RelaxedLaw],
    watch: Watch<'_>,
) -> Result<Vec<EntropyRow>> {
    let root = Rng::new(spec.seed).fork("entropy");
    let law = |t: &f64| laws.iter().find(|law| law.row.temperature == *t);
    let mut all = Vec::new();
    for law in spec.entropy_temperatures().iter().filter_map(law) {
        let of = (&spec.mixture, law);
        let at = law.row.temperature.to_string();
        let root = root.fork(&at);
        for &inner in &spec.entropy.inner {
            watch(&format!("entropy at temperature {at}, M = {inner}"));
            let rng = root.fork_at("inner", inner as u64);
            let samples = spec.entropy.samples.min(spec.entropy.terms / inner);
            let at_once = (AT_ONCE / inner).clamp(1, ROWS);
            let size = (at_once, samples.div_ceil(at_once));
            let nested = NestedSpec { inner };
            let fresh = [
                RelaxedDensity::NestedIncludingOwn(nested.clone()),
                RelaxedDensity::NestedExcludingOwn(nested),
            ];
            all.extend(rows(of, Some(inner), &fresh, size, &rng.fork("fresh"))?);
            let size = (inner, (samples / inner).clamp(2, CALLS));
            let shared = [RelaxedDensity::BatchIncludingOwn];
            all.extend(rows(of, Some(inner), &shared, size, &rng.fork("batch"))?);
        }
        watch(&format!("entropy at temperature {at}, without M"));
        let plain = [RelaxedDensity::ExactMixture, RelaxedDensity::Joint];
        let size = (ROWS, spec.entropy.samples.div_ceil(ROWS));
        all.extend(rows(of, None, &plain, size, &root.fork("one"))?);
    }
    Ok(all)
}
