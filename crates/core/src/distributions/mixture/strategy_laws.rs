//! What each way to draw owes: gradients of what it claims.

use candle_core::Var;
use serde_json::Value;

use super::tests::{mixture, rows};
use super::*;
use crate::distributions::{GumbelSoftmaxSpec, NestedSpec, RelaxedDensity, StraightThroughSpec};

pub(super) fn reference() -> Value {
    serde_json::from_str(include_str!("../../../tests/reference/mog.json")).unwrap()
}

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

/// Gradients by parameter, flat.
pub(super) fn gradients(of: &Tensor, params: &Params) -> Vec<(String, Vec<f64>)> {
    let store = of.backward().unwrap();
    let gradient = |var: &Var| match store.get(var.as_tensor()) {
        Some(g) => num::to_vec(g).unwrap(),
        None => vec![0.0; var.elem_count()],
    };
    let all = params.trainable();
    all.iter().map(|(n, v)| (n.clone(), gradient(v))).collect()
}

/// Central differences of `value`, in the order of [`gradients`].
pub(super) fn differences(
    params: &Params,
    step: f64,
    value: impl Fn() -> f64,
) -> Vec<(String, Vec<f64>)> {
    let by = |var: &Var| -> Vec<f64> {
        let start = num::to_vec(var.as_tensor()).unwrap();
        let at = |values: Vec<f64>| {
            let t = Tensor::from_vec(values, var.shape().clone(), &Device::Cpu).unwrap();
            var.set(&t).unwrap();
        };
        let slope = |i: usize| {
            let shifted = |by: f64| {
                let mut values = start.clone();
                values[i] += by;
                at(values);
                value()
            };
            let slope = (shifted(step) - shifted(-step)) / (2.0 * step);
            at(start.clone());
            slope
        };
        (0..start.len()).map(slope).collect()
    };
    let all = params.trainable();
    all.iter().map(|(n, v)| (n.clone(), by(v))).collect()
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
        all.push(gradients(&weighted.sum_all().unwrap(), params));
    }
    let count = batches as f64;
    let one = |p: usize, i: usize| {
        let values = all.iter().map(|g| g[p].1[i]);
        let mean = values.clone().sum::<f64>() / count;
        let var = values.map(|v| (v - mean).powi(2)).sum::<f64>() / (count - 1.0);
        (mean, (var / count).sqrt())
    };
    let parameters = all[0].iter().enumerate();
    parameters
        .map(|(p, (name, g))| (name.clone(), (0..g.len()).map(|i| one(p, i)).collect()))
        .collect()
}

type Truth = Vec<(String, Vec<f64>)>;

/// Gradients of E f (closed form, tests/reference/mog.json) and of E log q (differences of a quadrature).
fn truths() -> [Truth; 2] {
    let file = reference();
    let of = |key: &str| rows(&file["expectation_gradient"][key]);
    let mean_f = vec![
        ("log_stds".to_owned(), of("grad_log_sigma")),
        ("logits".to_owned(), of("grad_logits")),
        ("means".to_owned(), of("grad_mu")),
    ];
    let (params, base) = three_modes(MixtureDraws::default());
    let cells: Vec<f64> = (0..6000).map(|i| -9.0 + 0.0035 * f64::from(i)).collect();
    let grid = num::from_rows(&cells, 1, DType::F64, &Device::Cpu).unwrap();
    let mean_log_q = differences(&params, 1e-4, || {
        let log_q = base.log_prob(&grid).unwrap();
        let product = (log_q.exp().unwrap() * log_q).unwrap().sum_all().unwrap();
        0.0035 * product.to_scalar::<f64>().unwrap()
    });
    [mean_f, mean_log_q]
}

/// Every unbiased strategy gives every parameter the gradient of E f and of E log q; straight-through
/// the means and standard deviations that of E f. Plain samples of components, which most programs take,
/// give the mixture weights none at all of E f, and of E log q one that is 0 in the mean.
#[test]
fn gradients_of_expectations() {
    let [mean_f, mean_log_q] = truths();
    let straight = MixtureDraws::StraightThrough(StraightThroughSpec::default());
    let mut faults = Vec::new();
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
        let mut off_logits: f64 = 0.0;
        for (what, got, truth) in [("f", of_f, &mean_f), ("log q", of_log_q, &mean_log_q)] {
            for ((parameter, got), (_, truth)) in got.iter().zip(truth) {
                for (i, ((mean, se), truth)) in got.iter().zip(truth).enumerate() {
                    let off = (mean - truth).abs() / se;
                    if parameter == biased {
                        off_logits = off_logits.max(off);
                    } else if !(off < 5.0) {
                        let line = format!("{mean} +- {se} against {truth}");
                        faults.push(format!("{name}, E {what}, {parameter}[{i}]: {line}"));
                    }
                }
            }
        }
        if !biased.is_empty() && off_logits < 20.0 {
            faults.push(format!("{name}: expected biased logits; {off_logits}"));
        }
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
    for (mean, se) in &estimate(&params, plain, |d| f(&d.x))[1].1 {
        if *mean != 0.0 || *se != 0.0 {
            faults.push(format!("plain, E f: {mean} +- {se}"));
        }
    }
    let of_log_q = estimate(&params, plain, |d| d.log_prob.clone());
    for ((mean, se), truth) in of_log_q[1].1.iter().zip(&mean_log_q[1].1) {
        if !(mean.abs() < 5.0 * se) || truth.abs() < 20.0 * se {
            faults.push(format!("plain, E log q: {mean} +- {se}, truth {truth}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The noise knows no parameters, so with the noise held the gradient of any mean over relaxed draws,
/// of the densities too, is that of differences: unbiased for the relaxed objective.
#[test]
fn relaxed_gradients_are_those_of_the_relaxed_objective() {
    let mut faults = Vec::new();
    for density in every_density() {
        let (params, base) = plane(gumbel_softmax(0.5, density.clone()));
        let value = || {
            let draws = base.draws(12, 0.3, &mut Rng::new(4)).unwrap();
            let x = draws.x.sqr().unwrap().sum(1).unwrap().sin().unwrap();
            let value = (x + (&draws.log_prob * 0.7).unwrap()).unwrap();
            (value * draws.log_weight.exp().unwrap())
                .unwrap()
                .sum_all()
                .unwrap()
        };
        let got = gradients(&value(), &params);
        let expected = differences(&params, 1e-5, || value().to_scalar::<f64>().unwrap());
        for ((name, got), (_, expected)) in got.iter().zip(&expected) {
            for (g, e) in got.iter().zip(expected) {
                if !((g - e).abs() < 1e-7 * e.abs().max(1.0)) {
                    faults.push(format!("{density:?} {name}: {g} against {e}"));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
