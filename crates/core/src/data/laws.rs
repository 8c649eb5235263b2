//! Laws that every data set obeys, over [`DataSpec::examples`] by name.

#[path = "../../../../docs/members/blob.rs"]
mod blob;
mod reference;
mod settings;

use candle_core::DType;
use statrs::distribution::{ChiSquared, ContinuousCDF};

use super::law::Settings;
use super::{
    judge, log_densities, log_density, low_density_levels, DataSet, DataSpec, Split, Support, Truth,
};
use crate::num::testing::{slope, values, Faults};
use crate::num::{largest, mean_and_std_err};
use crate::rng::Rng;

/// Returns the message as an error unless the condition holds.
macro_rules! ensure {
    ($fine:expr, $($message:tt)+) => {
        if !$fine {
            return Err(format!($($message)+));
        }
    };
}

/// Runs `law` on every example and on the set that docs/extending.md adds, and fails once, with
/// all faults.
fn for_every_example(law: impl Fn(&dyn DataSet) -> Result<(), String>) {
    let mut faults = Faults::default();
    let mut judge = |name: &str, data: &dyn DataSet| {
        let found = law(data).map_err(|fault| format!("{name}: {fault}"));
        faults.0.extend(found.err());
    };
    for (name, spec) in DataSpec::examples() {
        judge(name, &*spec.build().expect("an example is fine"));
    }
    let blob = blob::BlobSpec::default();
    judge("blob", &blob.law().expect("fine"));
    faults.none();
}

fn truth(data: &dyn DataSet) -> &Truth {
    data.truth().expect("synthetic data")
}

/// `n` points as rows of numbers.
fn rows(data: &dyn DataSet, n: usize, seed: u64) -> Vec<f64> {
    let points = data.sample(n, &mut Rng::new(seed));
    values(&points.expect("a sampler does not fail"))
}

fn sample(data: &dyn DataSet, n: usize, seed: u64) -> Vec<Vec<f64>> {
    let rows = rows(data, n, seed);
    rows.chunks_exact(data.dim()).map(<[f64]>::to_vec).collect()
}

/// log p, likeliest mode and responsibilities of one point.
fn one(truth: &Truth, x: &[f64]) -> (f64, Option<u32>, Vec<f64>) {
    let mut found = (f64::NAN, None, Vec::new());
    judge(truth, x, x.len(), |j| {
        found = (j.log_p, j.mode, j.responsibilities.to_vec());
    });
    found
}

/// Whether log p falls slower than a square, so that no view holds nearly all of the mass.
fn is_heavy(data: &dyn DataSet) -> bool {
    log_density(truth(data), &vec![1e8; data.dim()]) > -1e6
}

/// A box with all but 1e-9 of the mass, for D <= 2; with most of it for a law of heavy tails.
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
    let centre = |cell: usize| {
        let place = |d: usize| cell / n.pow((sides.len() - 1 - d) as u32) % n;
        let sides = sides.iter().enumerate();
        sides
            .map(|(d, (low, high))| low + (high - low) * (place(d) as f64 + 0.5) / n as f64)
            .collect()
    };
    (0..n.pow(sides.len() as u32)).map(centre).collect()
}

/// Probabilities of the cells of the wide box by their midpoints, with enough cells for every feature
/// of the law: 540 over 1.5 views, so that the edges of checkerboards, strips, boxes and rectangles
/// fall between cells, or more until the mass is 1.
fn masses(data: &dyn DataSet, sides: &[(f64, f64)]) -> Result<Vec<f64>, String> {
    let choices: &[usize] = match data.dim() {
        1 => &[20_000],
        _ => &[540, 1080, 2160],
    };
    let bound = match truth(data).support() {
        // Curved edges cut cells at random.
        Support::Part("the shapes") => 3e-4,
        _ if is_heavy(data) => 0.02,
        _ => 1e-5,
    };
    let volume: f64 = sides.iter().map(|(low, high)| high - low).product();
    let mut off = Vec::new();
    for n in choices {
        let cells = midpoints(sides, *n);
        let volume = volume / cells.len() as f64;
        let mass = |x: &Vec<f64>| volume * log_density(truth(data), x).exp();
        let masses: Vec<f64> = cells.iter().map(mass).collect();
        let mass: f64 = masses.iter().sum();
        if (mass - 1.0).abs() < bound {
            return Ok(masses);
        }
        off.push(mass);
    }
    Err(format!("masses {off:?}"))
}

#[test]
fn a_seed_repeats_bit_for_bit() {
    for_every_example(|data| {
        let points = rows(data, 100, 3);
        ensure!(points == rows(data, 100, 3), "differs");
        ensure!(
            points != rows(data, 100, 4),
            "another seed, the same points"
        );
        Ok(())
    });
}

/// Beyond two dimensions `entropy_agrees_with_monte_carlo` compares samples and density.
#[test]
fn the_mass_is_one_and_samples_match_it() {
    const N: usize = 40_000;
    for_every_example(|data| {
        let Some(sides) = wide_box(data) else {
            return Ok(());
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
        // Bins with few points go together into one, and with what is outside.
        let mut rest = (N as f64 * (1.0 - masses.iter().sum::<f64>()), 0.0);
        for x in sample(data, N, 6) {
            let place =
                |(v, (low, high)): (&f64, &(f64, f64))| (v - low) / (high - low) * bins as f64;
            let places = x.iter().zip(&sides).map(place);
            match places.clone().all(|p| (0.0..bins as f64).contains(&p)) {
                true => seen[index(&mut places.map(|p| p as usize))] += 1.0,
                false => rest.1 += 1.0,
            }
        }
        let (mut statistic, mut freedom) = (0.0, -1.0);
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
            ensure!(rest.1 < 10.0, "{} points off the law", rest.1);
        }
        let p = ChiSquared::new(freedom).map_or(0.0, |law| law.sf(statistic));
        ensure!(
            p > 1e-3,
            "chi-squared {statistic:.1} at {freedom} degrees of freedom, p = {p:.1e}"
        );
        Ok(())
    });
}

#[test]
fn entropy_agrees_with_monte_carlo() {
    for_every_example(|data| {
        let entropy = truth(data).entropy();
        ensure!((0.0..5e-3).contains(&entropy.error), "{entropy:?}");
        let log_p = log_densities(truth(data), &rows(data, 50_000, 11), data.dim());
        let (got, error) = mean_and_std_err(log_p.iter().map(|l| -l));
        // 1e-9 for the sum's rounding: under a uniform law the standard error is zero.
        let bound = 4.0 * error.hypot(entropy.error) + 1e-9;
        ensure!(
            (got - entropy.value).abs() < bound,
            "{got} +- {error:e} by Monte Carlo, {entropy:?}"
        );
        Ok(())
    });
}

#[test]
fn modes_agree_with_the_generator() {
    const N: usize = 20_000;
    for_every_example(|data| {
        let truth = truth(data);
        let modes = truth.weights().len();
        let sum: f64 = truth.weights().iter().sum();
        ensure!((sum - 1.0).abs() < 1e-12, "weights sum to {sum}");
        let drawn = data.points(Split::Test, N, &mut Rng::new(17));
        let drawn = drawn.expect("a sampler does not fail");
        let rows = values(&drawn.x);
        let labels = drawn.labels.expect("synthetic data");
        let (mut hits, mut certain, mut counts) = (0.0, 0.0, vec![0.0; modes]);
        for (x, from) in rows.chunks_exact(data.dim()).zip(labels) {
            let (_, mode, given) = one(truth, x);
            let top = largest(given.iter().copied());
            counts[from as usize] += 1.0 / N as f64;
            hits += f64::from(u8::from(mode == Some(from)));
            // The Bayes rate is the mean of the largest responsibility.
            certain += top;
            let sum: f64 = given.iter().sum();
            ensure!((sum - 1.0).abs() < 1e-6, "responsibilities sum to {sum}");
            let likeliest = mode.and_then(|mode| given.get(mode as usize));
            ensure!(likeliest == Some(&top), "mode {mode:?} of {given:?}");
        }
        let (rate, bayes) = (hits / N as f64, certain / N as f64);
        let error = (bayes * (1.0 - bayes) / N as f64).sqrt();
        ensure!(
            (rate - bayes).abs() < 4.0 * error + 1e-4,
            "agree at rate {rate}, Bayes rate {bayes}"
        );
        for (k, (got, want)) in counts.iter().zip(truth.weights()).enumerate() {
            let error = (want * (1.0 - want) / N as f64).sqrt();
            // 1e-9 for the rounding of a sum over one mode.
            ensure!(
                (got - want).abs() < 4.5 * error + 1e-9,
                "mode {k}: weight {want}, share {got}"
            );
        }
        Ok(())
    });
}

#[test]
fn gradients_agree_with_finite_differences() {
    for_every_example(|data| {
        let truth = truth(data);
        let mut points = sample(data, 60, 21);
        // Away from the data too, where a model's samples may lie.
        for i in 0..30 {
            let far = [0.3, 1.0, 4.0][i % 3];
            points.push(points[i].iter().map(|v| far * (1.7 * v + 0.3)).collect());
        }
        let (mut got, mut checked) = (vec![f64::NAN; data.dim()], 0);
        for x in &points {
            truth.gradient(x, &mut got);
            let log_p = log_density(truth, x);
            if log_p == f64::NEG_INFINITY {
                let zero = got.iter().all(|g| *g == 0.0);
                ensure!(zero, "{got:?} at {x:?}, where p = 0");
                continue;
            }
            for d in 0..x.len() {
                let step = 2e-4 * x[d].abs().max(1.0);
                let at = |by: f64| {
                    let mut x = x.clone();
                    x[d] += by;
                    log_density(truth, &x)
                };
                let reach = [-4.0, -2.0, -1.0, 1.0, 2.0, 4.0].map(|k| at(k * step));
                if reach.contains(&f64::NEG_INFINITY) {
                    continue;
                }
                let (want, coarser) = (slope(at, step), slope(at, 2.0 * step));
                // The second term is the rounding of log p.
                let bound = 1e-6 * want.abs().max(1.0) + 4e-16 * log_p.abs() / step * 10.0;
                // Across an edge, or where log p bends within the step, the difference is no slope.
                if (want - coarser).abs() > bound {
                    continue;
                }
                ensure!(
                    (got[d] - want).abs() < bound,
                    "{} for coordinate {d} at {x:?}, not {want}",
                    got[d]
                );
                checked += 1;
            }
        }
        ensure!(checked > 50 * data.dim(), "{checked} checked");
        Ok(())
    });
}

#[test]
fn far_and_impossible_points_give_no_nan() {
    for_every_example(|data| {
        let truth = truth(data);
        let everywhere = truth.support() == Support::Everywhere;
        let mut out = vec![0.0; data.dim()];
        for v in [
            0.0,
            50.0,
            -1e3,
            1e8,
            -1e20,
            1e150,
            -1e300,
            f64::INFINITY,
            f64::NAN,
        ] {
            for at in 0..data.dim() {
                let mut x = vec![0.0; data.dim()];
                x[at] = v;
                out.fill(f64::NAN);
                truth.gradient(&x, &mut out);
                let finite = out.iter().all(|g| g.is_finite());
                ensure!(finite, "the gradient is {out:?} at {x:?}");
                let (log_p, mode, given) = one(truth, &x);
                let inside = log_p > f64::NEG_INFINITY;
                ensure!(
                    !log_p.is_nan() && (v.is_finite() || !inside) && (v == 0.0 || log_p < 0.0),
                    "log p = {log_p} at {x:?}"
                );
                ensure!(
                    inside || !everywhere || v.abs() > 1e100 || v.is_nan(),
                    "log p = {log_p} at {x:?}, support {}",
                    truth.support()
                );
                let given: f64 = given.iter().sum();
                let want = if inside { 1.0 } else { 0.0 };
                ensure!(
                    mode.is_some() == inside && (given - want).abs() < 1e-12,
                    "mode {mode:?}, responsibilities {given} at {x:?} where log p = {log_p:e}"
                );
            }
        }
        Ok(())
    });
}

#[test]
fn many_points_give_what_single_points_give_and_f32_stays_inside() {
    for_every_example(|data| {
        let points = data.sample(50, &mut Rng::new(2)).expect("a sampler");
        for dtype in [DType::F64, DType::F32] {
            let rows = values(&points.to_dtype(dtype).expect("a cast"));
            let all = log_densities(truth(data), &rows, data.dim());
            let inside = all.iter().all(|v| v.is_finite());
            ensure!(inside, "{dtype:?} leaves the support");
            for (x, log_p) in rows.chunks_exact(data.dim()).zip(&all) {
                ensure!(one(truth(data), x).0 == *log_p, "log p at {x:?}");
            }
        }
        Ok(())
    });
}

#[test]
fn the_low_density_level_has_its_share() {
    const N: usize = 20_000;
    for_every_example(|data| {
        let level = |share| low_density_levels(data, &[share], N, &mut Rng::new(1));
        let log_p = log_densities(truth(data), &rows(data, N, 2), data.dim());
        for share in [0.001, 0.05] {
            let level = level(share).expect("a share of known data")[0].log_level;
            let under = |end: f64| log_p.iter().filter(|v| **v < end).count() as f64 / N as f64;
            // A law with plateaus has many points at the level: then its share lies between those
            // below and those up to it. Two samples of the same share.
            let (below, up_to) = (under(level - 1e-12), under(level + 1e-12));
            let error = 4.0 * (2.0 * share / N as f64).sqrt();
            ensure!(
                below < share + error && up_to > share - error,
                "{below} below and {up_to} up to the level of {share}"
            );
        }
        let refused = level(1.5).is_err() && level(f64::NAN).is_err();
        ensure!(refused, "share 1.5 passes");
        Ok(())
    });
}

#[test]
fn views_are_square_and_hold_the_points() {
    for_every_example(|data| {
        let Some(view) = data.view() else {
            ensure!(data.dim() != 2, "no view");
            return Ok(());
        };
        let sides = view.map(|(low, high)| high - low);
        let square = (sides[0] - sides[1]).abs() < 1e-9 && sides[0] > 0.0;
        ensure!(square, "{view:?}");
        let inside = |x: &Vec<f64>| x.iter().zip(view).all(|(v, (a, b))| (a..b).contains(v));
        let out = sample(data, 5000, 8).iter().filter(|x| !inside(x)).count();
        let most = if is_heavy(data) { 100 } else { 5 };
        ensure!(out <= most, "{out} of 5000 points outside {view:?}");
        Ok(())
    });
}
