//! Every way to draw gives the gradients that it claims.

use super::tests::{mixture, reference};
use super::*;
use crate::distributions::{GumbelSoftmaxSpec, NestedSpec, RelaxedDensity, StraightThroughSpec};
use crate::num::testing::{numbers, scaled, tensor, Faults};

pub(super) fn gumbel_softmax(temperature: f64, density: RelaxedDensity) -> MixtureDraws {
    MixtureDraws::GumbelSoftmax(GumbelSoftmaxSpec {
        temperature,
        density,
        ..GumbelSoftmaxSpec::default()
    })
}

pub(super) fn every_density() -> Vec<RelaxedDensity> {
    vec![
        RelaxedDensity::NestedIncludingOwn(NestedSpec { inner: 5 }),
        RelaxedDensity::NestedIncludingOwn(NestedSpec { inner: 1 }),
        RelaxedDensity::NestedExcludingOwn(NestedSpec { inner: 5 }),
        RelaxedDensity::BatchIncludingOwn,
        RelaxedDensity::ExactMixture,
        RelaxedDensity::Joint,
    ]
}

/// The mixture of `expectation_gradient` and `relaxed_entropy` in tests/reference/mog.json.
pub(super) fn three_modes(draws: MixtureDraws) -> (Params, Mixture) {
    let logits = [0.2, 0.3, 0.5].map(f64::ln);
    let log_stds = [0.5, 1.0, 0.7].map(f64::ln);
    mixture(1, &logits, &[-3.0, 0.0, 4.0], &log_stds, draws)
}

/// Three overlapping components in the plane.
pub(super) fn plane(draws: MixtureDraws) -> (Params, Mixture) {
    let means = [-0.6, 0.3, 0.5, -0.4, 0.2, 0.9];
    let log_stds = [-0.3, 0.1, -0.5, 0.2, 0.0, -0.2];
    mixture(2, &[0.3, -0.5, 0.1], &means, &log_stds, draws)
}

/// Gradients of the sum of `of` by parameter, flat.
pub(super) fn gradients(of: &Tensor, params: &Params) -> Vec<(String, Vec<f64>)> {
    let (names, vars): (Vec<_>, Vec<_>) = params.trainable().into_iter().unzip();
    let gradients = num::testing::gradients(of, &vars);
    names.into_iter().zip(gradients).collect()
}

/// Central differences of `value`, in the order of [`gradients`].
fn differences(params: &Params, step: f64, value: impl Fn() -> f64) -> Vec<(String, Vec<f64>)> {
    let all = params.trainable().into_iter();
    all.map(|(name, var)| (name, num::testing::differences(&var, step, &value)))
        .collect()
}

/// f(z) = sin(1.5 z) + 0.15 z^2, as in `expectation_gradient`.
fn f(x: &Tensor) -> Tensor {
    let sine = (x * 1.5).unwrap().sin().unwrap();
    let both = (sine + (x.sqr().unwrap() * 0.15).unwrap()).unwrap();
    both.squeeze(1).unwrap()
}

/// Mean and standard error of the gradient of sum_i w_i value_i over sets of draws.
fn estimate(
    params: &Params,
    draw: impl Fn(&mut Rng) -> Draws,
    value: impl Fn(&Draws) -> Tensor,
) -> Vec<(String, Vec<(f64, f64)>)> {
    let batches = 40;
    let mut all: Vec<Vec<(String, Vec<f64>)>> = Vec::new();
    for b in 0..batches {
        let draws = draw(&mut Rng::new(9).fork_at("batch", b));
        let weighted = (draws.log_weight.exp().unwrap() * value(&draws)).unwrap();
        all.push(gradients(&weighted, params));
    }
    let one = |p: usize, i: usize| num::mean_and_std_err(all.iter().map(|g| g[p].1[i]));
    let parameters = all[0].iter().enumerate();
    parameters
        .map(|(p, (name, g))| (name.clone(), (0..g.len()).map(|i| one(p, i)).collect()))
        .collect()
}

type Truth = Vec<(String, Vec<f64>)>;

/// Gradients of E f (closed form, tests/reference/mog.json) and of E log q (differences of a quadrature).
fn truths() -> [Truth; 2] {
    let file = reference();
    let of = |key: &str| numbers(&file["expectation_gradient"][key]);
    let mean_f = vec![
        ("log_stds".to_owned(), of("grad_log_sigma")),
        ("logits".to_owned(), of("grad_logits")),
        ("means".to_owned(), of("grad_mu")),
    ];
    let (params, base) = three_modes(MixtureDraws::default());
    let cells: Vec<f64> = (0..6000).map(|i| -9.0 + 0.0035 * f64::from(i)).collect();
    let grid = tensor(&cells, 1);
    let mean_log_q = differences(&params, 1e-4, || {
        let log_q = base.log_prob(&grid).unwrap();
        let product = (log_q.exp().unwrap() * log_q).unwrap().sum_all().unwrap();
        0.0035 * product.to_scalar::<f64>().unwrap()
    });
    [mean_f, mean_log_q]
}

/// Every unbiased strategy gives every parameter the gradient of E f and of E log q; straight-through
/// gives it to means and standard deviations. Plain samples of components, as most programs take
/// them, give the mixture weights no gradient of E f and one of mean 0 of E log q.
#[test]
fn gradients_of_expectations() {
    let [mean_f, mean_log_q] = truths();
    let straight = MixtureDraws::StraightThrough(StraightThroughSpec::default());
    let mut faults = Faults::default();
    for (name, strategy, biased) in [
        ("stratified", MixtureDraws::Stratified, ""),
        ("score", MixtureDraws::Score, ""),
        ("implicit", MixtureDraws::Implicit, ""),
        ("straight through", straight, "logits"),
    ] {
        let (params, base) = three_modes(strategy);
        let draw = |rng: &mut Rng| base.draws(2000, 1.0, rng).unwrap();
        let of_f = estimate(&params, draw, |d| f(&d.x));
        let of_log_q = estimate(&params, draw, |d| d.log_prob.clone());
        let mut off_logits = Vec::new();
        for (what, got, truth) in [("f", of_f, &mean_f), ("log q", of_log_q, &mean_log_q)] {
            for ((parameter, got), (_, truth)) in got.iter().zip(truth) {
                for (i, ((mean, se), truth)) in got.iter().zip(truth).enumerate() {
                    let off = (mean - truth).abs() / se;
                    if parameter == biased {
                        off_logits.push(off);
                        continue;
                    }
                    faults.unless(off < 5.0, || {
                        format!(
                            "{name}, E {what}, {parameter}[{i}]: {mean} +- {se} against {truth}"
                        )
                    });
                }
            }
        }
        let off = num::largest(off_logits);
        faults.unless(biased.is_empty() || off >= 20.0, || {
            format!("{name}: expected biased logits; {off}")
        });
    }
    let (params, base) = three_modes(MixtureDraws::Score);
    let plain = |rng: &mut Rng| {
        let draws = base.draws(2000, 1.0, rng).unwrap();
        let log_weight = draws.log_weight.detach();
        Draws {
            log_weight,
            ..draws
        }
    };
    for estimate in &estimate(&params, plain, |d| f(&d.x))[1].1 {
        faults.unless(*estimate == (0.0, 0.0), || {
            format!("plain, E f: {estimate:?}")
        });
    }
    let of_log_q = estimate(&params, plain, |d| d.log_prob.clone());
    for ((mean, se), truth) in of_log_q[1].1.iter().zip(&mean_log_q[1].1) {
        let fine = mean.abs() < 5.0 * se && truth.abs() >= 20.0 * se;
        faults.unless(fine, || {
            format!("plain, E log q: {mean} +- {se}, truth {truth}")
        });
    }
    faults.none();
}

/// The noise does not depend on the parameters, so for fixed noise the gradient of any mean over
/// relaxed draws and their densities equals finite differences: it is unbiased for the relaxed
/// objective.
#[test]
fn relaxed_gradients_are_those_of_the_relaxed_objective() {
    let mut faults = Faults::default();
    for density in every_density() {
        let (params, base) = plane(gumbel_softmax(0.5, density.clone()));
        let value = || {
            let draws = base.draws(12, 0.3, &mut Rng::new(4)).unwrap();
            let x = draws.x.sqr().unwrap().sum(1).unwrap().sin().unwrap();
            let value = (x + (&draws.log_prob * 0.7).unwrap()).unwrap();
            let weighted = value * draws.log_weight.exp().unwrap();
            weighted.unwrap().sum_all().unwrap()
        };
        let got = gradients(&value(), &params);
        let expected = differences(&params, 1e-5, || value().to_scalar::<f64>().unwrap());
        for ((name, got), (_, expected)) in got.iter().zip(&expected) {
            faults.near(&format!("{density:?} {name}"), got, expected, scaled(1e-7));
        }
    }
    faults.none();
}
