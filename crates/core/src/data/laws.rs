//! Laws that every data set obeys, over [`DataSpec::examples`] by name.

mod bad_values;
#[path = "../../../../docs/members/blob.rs"]
mod blob;
mod energies;
mod golden;
mod gradients;
mod maxent;
mod points;
mod settings;

use statrs::distribution::{ChiSquared, ContinuousCDF};

use super::{judge, log_densities, log_density, DataSet, DataSpec, Split, Support, Truth};
use crate::rng::Rng;

/// Runs `law` on every example and on the set that docs/extending_models.md adds, and fails once, with
/// all faults.
fn for_every_example(law: impl Fn(&dyn DataSet) -> Result<(), String>) {
    let mut faults = Vec::new();
    let mut judge = |name: &str, data: &dyn DataSet| {
        if let Err(fault) = law(data) {
            faults.push(format!("{name}: {fault}"));
        }
    };
    for (name, spec) in DataSpec::examples() {
        judge(name, &*spec.build().expect("an example is fine"));
    }
    let blob = blob::BlobSpec::default();
    assert_eq!(blob.check(), Ok(2));
    judge("blob", &blob.build());
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

fn fine(fine: bool, fault: impl FnOnce() -> String) -> Result<(), String> {
    if fine {
        Ok(())
    } else {
        Err(fault())
    }
}

fn truth(data: &dyn DataSet) -> &dyn Truth {
    data.truth().expect("synthetic data")
}

fn sample(data: &dyn DataSet, n: usize, seed: u64) -> Vec<Vec<f64>> {
    data.sample(n, &mut Rng::new(seed))
        .and_then(|x| Ok(x.to_vec2()?))
        .expect("a sampler does not fail")
}

/// A box with all but 1e-9 of the mass, for D <= 2.
fn wide_box(data: &dyn DataSet) -> Option<Vec<(f64, f64)>> {
    let wider = |(low, high): (f64, f64)| {
        let more = 0.25 * (high - low);
        (low - more, high + more)
    };
    match data.dim() {
        1 => Some(vec![(-5.0, 7.0)]),
        2 => data.view().map(|view| view.map(wider).to_vec()),
        _ => None,
    }
}

/// Centres of `n` cells per side of a box, first coordinate slowest.
fn midpoints(sides: &[(f64, f64)], n: usize) -> Vec<Vec<f64>> {
    (0..n.pow(sides.len() as u32))
        .map(|cell| {
            let place = |d: usize| cell / n.pow((sides.len() - 1 - d) as u32) % n;
            sides
                .iter()
                .enumerate()
                .map(|(d, (low, high))| low + (high - low) * (place(d) as f64 + 0.5) / n as f64)
                .collect()
        })
        .collect()
}

fn volume(sides: &[(f64, f64)]) -> f64 {
    sides.iter().map(|(low, high)| high - low).product()
}

#[test]
fn a_seed_repeats_bit_for_bit() {
    for_every_example(|data| {
        let points = sample(data, 100, 3);
        fine(points == sample(data, 100, 3), || "differs".to_owned())?;
        fine(points != sample(data, 100, 4), || {
            "another seed, the same points".to_owned()
        })?;
        Ok(())
    });
}

/// Cells along a side of the wide box that are enough for every feature of the law: their midpoints'
/// mass is 1. 540 cells over 1.5 views, so that the edges of checkerboards, strips, boxes and
/// rectangles fall between cells.
fn masses(data: &dyn DataSet, sides: &[(f64, f64)]) -> Result<Vec<f64>, String> {
    let choices: &[usize] = if data.dim() == 1 {
        &[20_000]
    } else {
        &[540, 1080, 2160]
    };
    // Curved edges cut cells at random.
    let bound = match truth(data).support() {
        Support::Part("the shapes") => 3e-4,
        _ => 1e-5,
    };
    let mut off = Vec::new();
    for n in choices {
        let volume = volume(sides) / n.pow(sides.len() as u32) as f64;
        let masses: Vec<f64> = midpoints(sides, *n)
            .iter()
            .map(|x| volume * log_density(truth(data), x).exp())
            .collect();
        let mass: f64 = masses.iter().sum();
        if (mass - 1.0).abs() < bound {
            return Ok(masses);
        }
        off.push(mass);
    }
    Err(format!("masses {off:?}"))
}

#[test]
fn the_mass_is_one_and_samples_match_it() {
    const N: usize = 40_000;
    for_every_example(|data| {
        let Some(sides) = wide_box(data) else {
            return samples_match_the_entropy(data);
        };
        let bins = if data.dim() == 1 { 200_usize } else { 54 };
        let index = |places: &mut dyn Iterator<Item = usize>| places.fold(0, |a, i| a * bins + i);
        let masses = masses(data, &sides)?;
        let cells = (masses.len() as f64).powf(1.0 / sides.len() as f64).round() as usize;
        let mut expected = vec![0.0; bins.pow(sides.len() as u32)];
        for (cell, mass) in masses.iter().enumerate() {
            let place = |d: usize| cell / cells.pow((sides.len() - 1 - d) as u32) % cells;
            let bin = index(&mut (0..sides.len()).map(|d| place(d) * bins / cells));
            expected[bin] += N as f64 * mass;
        }
        let mut seen = vec![0.0; expected.len()];
        for x in sample(data, N, 5) {
            let place = |(v, (low, high)): (&f64, &(f64, f64))| {
                (((v - low) / (high - low) * bins as f64) as usize).min(bins - 1)
            };
            seen[index(&mut x.iter().zip(&sides).map(place))] += 1.0;
        }
        // Bins with few points go together into one.
        let (mut statistic, mut freedom) = (0.0, -1.0);
        let mut rest = (0.0, 0.0);
        for (&e, &s) in expected.iter().zip(&seen) {
            if e < 8.0 {
                rest = (rest.0 + e, rest.1 + s);
            } else {
                statistic += (s - e) * (s - e) / e;
                freedom += 1.0;
            }
        }
        if rest.0 > 1.0 {
            statistic += (rest.1 - rest.0) * (rest.1 - rest.0) / rest.0;
            freedom += 1.0;
        } else {
            fine(rest.1 < 10.0, || format!("{} points off the law", rest.1))?;
        }
        let p = ChiSquared::new(freedom).map_or(0.0, |law| law.sf(statistic));
        fine(p > 1e-3, || {
            format!("chi-squared {statistic:.1} at {freedom} degrees of freedom, p = {p:.1e}")
        })
    });
}

/// log p, likeliest mode and responsibilities of one point.
fn one(truth: &dyn Truth, x: &[f64]) -> (f64, Option<u32>, Vec<f64>) {
    let mut found = (f64::NAN, None, Vec::new());
    judge(truth, x, x.len(), |j| {
        found = (j.log_p, j.mode, j.responsibilities.to_vec());
    });
    found
}

/// Monte Carlo estimate of the entropy and its standard error.
fn monte_carlo_entropy(data: &dyn DataSet, n: usize) -> (f64, f64) {
    let points = data
        .sample(n, &mut Rng::new(11))
        .expect("a sampler does not fail");
    let rows = crate::num::to_vec(&points).expect("a matrix");
    let log_p = log_densities(truth(data), &rows, data.dim());
    let mean = log_p.iter().sum::<f64>() / n as f64;
    let variance = log_p.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n as f64;
    (-mean, (variance / n as f64).sqrt())
}

/// Beyond two dimensions: E log p of the samples, and the weighted log-density of each mode.
fn samples_match_the_entropy(data: &dyn DataSet) -> Result<(), String> {
    let (got, error) = monte_carlo_entropy(data, 40_000);
    let want = truth(data).entropy().value;
    fine((got - want).abs() < 4.0 * error, || {
        format!("E[-log p] = {got} +- {error}, H = {want}")
    })
}

#[test]
fn entropy_agrees_with_monte_carlo() {
    for_every_example(|data| {
        let entropy = truth(data).entropy();
        fine((0.0..1e-4).contains(&entropy.error), || {
            format!("{entropy:?}")
        })?;
        let (got, error) = monte_carlo_entropy(data, 50_000);
        // 1e-9 for the sum's rounding: under a uniform law the standard error is zero.
        let bound = 4.0 * error + entropy.error + 1e-9;
        fine((got - entropy.value).abs() < bound, || {
            format!("{got} +- {error:e} by Monte Carlo, {entropy:?}")
        })
    });
}

#[test]
fn modes_agree_with_the_generator() {
    const N: usize = 20_000;
    for_every_example(|data| {
        let truth = truth(data);
        let modes = truth.weights().len();
        let sum: f64 = truth.weights().iter().sum();
        fine((sum - 1.0).abs() < 1e-12, || {
            format!("weights sum to {sum}")
        })?;
        let drawn = data.points(Split::Test, N, &mut Rng::new(17));
        let drawn = drawn.expect("a sampler does not fail");
        let rows = crate::num::to_vec(&drawn.x).expect("a matrix");
        let labels = drawn.labels.expect("synthetic data");
        let (mut hits, mut certain, mut counts) = (0.0, 0.0, vec![0.0; modes]);
        for (x, from) in rows.chunks_exact(data.dim()).zip(labels) {
            let from = from as usize;
            let (_, mode, given) = one(truth, x);
            let mode = mode.map_or(modes, |m| m as usize);
            counts[from] += 1.0 / N as f64;
            hits += f64::from(u8::from(mode == from));
            // The Bayes rate is the mean of the largest responsibility.
            certain += given.iter().copied().fold(0.0, f64::max);
            let sum: f64 = given.iter().sum();
            fine((sum - 1.0).abs() < 1e-6, || {
                format!("responsibilities sum to {sum}")
            })?;
            fine(
                given.get(mode).copied() >= Some(given.iter().copied().fold(0.0, f64::max)),
                || format!("mode {mode} of {given:?}"),
            )?;
        }
        let (rate, bayes) = (hits / N as f64, certain / N as f64);
        let error = (bayes * (1.0 - bayes) / N as f64).sqrt();
        fine((rate - bayes).abs() < 4.0 * error + 1e-4, || {
            format!("agree at rate {rate}, Bayes rate {bayes}")
        })?;
        for (k, (got, want)) in counts.iter().zip(truth.weights()).enumerate() {
            let error = (want * (1.0 - want) / N as f64).sqrt();
            // 1e-9 for the rounding of a sum over one mode.
            fine((got - want).abs() < 4.5 * error + 1e-9, || {
                format!("mode {k}: weight {want}, share {got}")
            })?;
        }
        Ok(())
    });
}
