//! The laws that every distribution obeys, in f64, bases and models alike.

#[path = "../../../../docs/members/laplace.rs"]
mod laplace;

use candle_core::{DType, Device, Tensor};

use super::{BaseSpec, Distribution, MixtureDraws};
use crate::nn::Params;
use crate::num::testing::{differences, gap, gradients, tensor, values, Faults};
use crate::num::{in_chunks, mean_and_std_err, moments, LN_2PI};
use crate::rng::Rng;

/// What draws of a biased strategy do not obey; its own tests say what holds instead. Whether their
/// log_prob stands for the density of a relaxed distribution, and the parameters whose gradient of a
/// weighted mean is biased.
type Excused = (bool, &'static [&'static str]);

fn excused(spec: &BaseSpec) -> Excused {
    let draws = match spec {
        BaseSpec::Mixture(mixture) => &mixture.draws,
        _ => &MixtureDraws::Stratified,
    };
    match draws {
        MixtureDraws::GumbelSoftmax(s) if !s.is_exact_at(1.0) => {
            (true, &["logits", "means", "log_stds"])
        }
        MixtureDraws::StraightThrough(_) => (false, &["logits"]),
        _ => (false, &[]),
    }
}

/// Adds the laws that `q` breaks, each with its name. The laws move the parameters and put them back.
pub fn add_faults(name: &str, params: &Params, q: &dyn Distribution, faults: &mut Faults) {
    add_faults_but((false, &[]), name, params, q, faults);
}

/// The same without the laws that are excused.
fn add_faults_but(
    (own_log_prob, biased): Excused,
    name: &str,
    params: &Params,
    q: &dyn Distribution,
    faults: &mut Faults,
) {
    let rng = Rng::new(11).fork(name);
    let mut say = |law: &str, what: String| faults.0.push(format!("{name}: {law}: {what}"));

    let draws = q.draws(500, 1.0, &mut rng.fork("draws")).unwrap();
    let gap = gap(&draws.log_prob, &q.log_prob(&draws.x).unwrap());
    if !(gap < 1e-8) && !own_log_prob {
        say("draws carry their own log_prob", format!("{gap:e}"));
    }
    let mass: f64 = values(&draws.log_weight).iter().map(|w| w.exp()).sum();
    if !((mass - 1.0).abs() < 1e-9) || draws.x.dim(0).unwrap() < 500 {
        say(
            "draws are as many as asked and their weights sum to one",
            format!("{mass}"),
        );
    }

    if q.dim() <= 2 {
        let (mass, excess) = mass_and_chi_squared(q, &mut rng.fork("samples"));
        if !((mass - 1.0).abs() < 2e-3) {
            say("mass one", format!("{mass}"));
        }
        if !(excess < 7.0) {
            say(
                "samples match the density",
                format!("chi-squared {excess} standard deviations above its mean"),
            );
        }
    }
    if q.dim() > 2 {
        let deviations = importance_deviations(q, &mut rng.fork("samples"));
        if !(deviations.abs() < 5.0) {
            say(
                "samples match the density",
                format!("E[phi / q] is {deviations} standard errors off 1"),
            );
        }
    }
    if q.dim() == 1 {
        for fault in weighted_gradient_faults(biased, params, q, &rng) {
            say("gradient of a weighted mean", fault);
        }
    }
}

/// How many standard errors the mean of phi(x) / q(x) over samples of q is from 1, for a normal
/// density phi with half the samples' spread around their mean.
fn importance_deviations(q: &dyn Distribution, rng: &mut Rng) -> f64 {
    let x = q.sample(50_000, rng).unwrap();
    let log_q = values(&q.log_prob(&x).unwrap());
    let rows = values(&x);
    let scales = moments(&rows, q.dim());
    let ratio = |(row, log_q): (&[f64], &f64)| {
        let log_phi: f64 = row
            .iter()
            .zip(&scales)
            .map(|(v, (mean, std))| {
                let s = 0.5 * std;
                -0.5 * ((v - mean) / s).powi(2) - s.ln() - 0.5 * LN_2PI
            })
            .sum();
        (log_phi - log_q).exp()
    };
    let ratios = rows.chunks(q.dim()).zip(&log_q).map(ratio);
    let (mean, std_err) = mean_and_std_err(ratios);
    (mean - 1.0) / std_err
}

fn axis(low: f64, high: f64, cells: usize) -> Vec<f64> {
    let step = (high - low) / cells as f64;
    (0..cells).map(|i| low + (i as f64 + 0.5) * step).collect()
}

/// Integral over a box that holds most samples plus the share of samples outside, and the
/// chi-squared of a histogram, in standard deviations above what its bins make one expect.
fn mass_and_chi_squared(q: &dyn Distribution, rng: &mut Rng) -> (f64, f64) {
    let (n, bins) = (200_000, 12);
    let dim = q.dim();
    let samples = values(&q.sample(n, rng).unwrap());
    let mut sizes: Vec<f64> = samples.iter().map(|v| v.abs()).collect();
    sizes.sort_by(f64::total_cmp);
    let r = sizes[(sizes.len() as f64 * 0.9995) as usize] + 1.0;
    let bin = |point: &[f64]| {
        let index = |v: &f64| (((v + r) / (2.0 * r) * bins as f64) as usize).min(bins - 1);
        let inside = point.iter().all(|v| v.abs() < r);
        inside.then(|| point.iter().rev().fold(0, |at, v| at * bins + index(v)))
    };
    let mut expected = vec![0.0; bins.pow(dim as u32)];
    let mut seen = expected.clone();
    // A whole number of cells in every bin.
    let cells = if dim == 1 { 12_000 } else { 264 };
    let centres = axis(-r, r, cells);
    let rows: Vec<f64> = match dim {
        1 => centres,
        _ => {
            let pairs = |&y| centres.iter().flat_map(move |&x| [x, y]);
            centres.iter().flat_map(pairs).collect()
        }
    };
    let grid = tensor(&rows, dim);
    let log_q = values(&in_chunks(&grid, 20_000, |c| q.log_prob(c)).unwrap());
    let cell = (2.0 * r / cells as f64).powi(dim as i32);
    for (point, l) in rows.chunks(dim).zip(&log_q) {
        expected[bin(point).unwrap()] += l.exp() * cell;
    }
    let mut outside = 0.0;
    for point in samples.chunks(dim) {
        match bin(point) {
            Some(bin) => seen[bin] += 1.0,
            None => outside += 1.0,
        }
    }
    let mass = expected.iter().sum::<f64>() + outside / n as f64;
    let mut chi2 = 0.0;
    let mut used = 0.0;
    for (e, s) in expected.iter().zip(&seen) {
        let e = e * n as f64;
        if e >= 5.0 {
            chi2 += (s - e).powi(2) / e;
            used += 1.0;
        } else if *s > e + 30.0 {
            chi2 = f64::INFINITY;
        }
    }
    (mass, (chi2 - used) / (2.0 * f64::max(used, 1.0)).sqrt())
}

/// h(x) = sin(1.3 x) + x^2 / 10
fn test_function(x: &Tensor) -> Tensor {
    let sine = (x * 1.3).unwrap().sin().unwrap();
    (sine + (x.sqr().unwrap() * 0.1).unwrap())
        .unwrap()
        .squeeze(1)
        .unwrap()
}

/// d/dtheta of E_q\[h + log q\] by the draws' weights, against finite differences of its quadrature,
/// in 1-D.
fn weighted_gradient_faults(
    biased: &[&str],
    params: &Params,
    q: &dyn Distribution,
    rng: &Rng,
) -> Vec<String> {
    let grid = tensor(&axis(-20.0, 20.0, 10_000), 1);
    let h = test_function(&grid);
    let expectation = || {
        let log_q = q.log_prob(&grid).unwrap();
        // Where the density is 0, so is its product with log q.
        let value = (&h + log_q.maximum(-1e4).unwrap()).unwrap();
        let sum = (log_q.exp().unwrap() * value).unwrap().sum_all().unwrap();
        sum.to_scalar::<f64>().unwrap() * 4e-3
    };
    let mut parameters = params.trainable();
    parameters.retain(|(name, _)| !biased.contains(&name.as_str()));
    let vars: Vec<_> = parameters.iter().map(|(_, var)| var.clone()).collect();
    let batches = 20;
    let mut estimates: Vec<Vec<Vec<f64>>> = vec![Vec::new(); parameters.len()];
    for b in 0..batches {
        let draws = q.draws(4000, 1.0, &mut rng.fork_at("gradient", b)).unwrap();
        let value = (test_function(&draws.x) + draws.log_prob).unwrap();
        let weighted = (draws.log_weight.exp().unwrap() * value).unwrap();
        let gradients = gradients(&weighted, &vars);
        for (slot, gradient) in estimates.iter_mut().zip(gradients) {
            slot.push(gradient);
        }
    }
    let mut faults = Vec::new();
    for (slot, (name, var)) in estimates.iter().zip(&parameters) {
        let expected = differences(var, 1e-4, expectation);
        for (i, expected) in expected.into_iter().enumerate() {
            let (mean, se) = mean_and_std_err(slot.iter().map(|g| g[i]));
            if !((mean - expected).abs() < 5.0 * se + 1e-4) {
                faults.push(format!("{name}[{i}]: {mean} +- {se} against {expected}"));
            }
        }
    }
    faults
}

#[test]
fn every_base_distribution_obeys_the_laws() {
    let mut faults = Faults::default();
    let examples = BaseSpec::examples().into_iter();
    let examples = examples.map(|(name, spec)| (name, Some(spec)));
    // Laplace is the member of docs/extending.md.
    for (name, spec) in examples.chain([("laplace", None)]) {
        for dim in [1, 2, 3] {
            let name = format!("{name}, D = {dim}");
            let rng = Rng::new(3).fork(&name);
            let params = Params::seeded(rng.fork("init"), DType::F64, &Device::Cpu);
            let base = match &spec {
                Some(spec) => spec.build(&params, dim, None).unwrap(),
                None => Box::new(laplace::Laplace::new(&params, dim, 0.5).unwrap()),
            };
            params.perturb(0.4, &mut rng.fork("perturb"));
            let excused = spec.as_ref().map_or((false, &[][..]), excused);
            add_faults_but(excused, &name, &params, base.as_ref(), &mut faults);
        }
    }
    faults.none();
}

/// A strategy that is not among the examples would escape every law.
#[test]
fn every_strategy_has_an_example() {
    let draws = |(_, spec)| match spec {
        BaseSpec::Mixture(mixture) => Some(mixture.draws.name()),
        _ => None,
    };
    let shown: Vec<_> = BaseSpec::examples().into_iter().filter_map(draws).collect();
    for draws in MixtureDraws::examples() {
        assert!(shown.contains(&draws.name()), "{}", draws.name());
    }
}
