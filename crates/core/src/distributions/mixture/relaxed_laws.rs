//! Relaxed samples and the densities that replace theirs.

use super::tests::{gradients, mixture, plane, reference};
use super::*;
use crate::distributions::relaxed::gumbel;
use crate::distributions::{GumbelSoftmaxSpec, NestedSpec, RelaxedDensity, StraightThroughSpec};
use crate::num::testing::{cases, differences, numbers, scaled, tensor, values, Faults};

fn gumbel_softmax(temperature: f64, density: RelaxedDensity) -> MixtureDraws {
    MixtureDraws::GumbelSoftmax(GumbelSoftmaxSpec {
        temperature,
        density,
        ..GumbelSoftmaxSpec::default()
    })
}

fn every_density() -> [RelaxedDensity; 6] {
    [
        RelaxedDensity::NestedIncludingOwn(NestedSpec { inner: 5 }),
        RelaxedDensity::NestedIncludingOwn(NestedSpec { inner: 1 }),
        RelaxedDensity::NestedExcludingOwn(NestedSpec { inner: 5 }),
        RelaxedDensity::BatchIncludingOwn,
        RelaxedDensity::ExactMixture,
        RelaxedDensity::Joint,
    ]
}

/// The mixture of `relaxed_entropy` in tests/reference/mog.json.
fn three_modes(draws: MixtureDraws) -> (Params, Mixture) {
    let logits = [0.2, 0.3, 0.5].map(f64::ln);
    let log_stds = [0.5, 1.0, 0.7].map(f64::ln);
    mixture(1, &logits, &[-3.0, 0.0, 4.0], &log_stds, draws)
}

/// tests/reference/mog.json, `relaxed_base_cases`: numpy, its Concrete term checked with torch 2.15.0;
/// tolerances as stated there.
#[test]
fn golden_relaxed_samples_and_densities() {
    let mut faults = Faults::default();
    let file = reference();
    for (i, case) in cases(&file, "relaxed_base_cases").iter().enumerate() {
        let of = |key: &str| numbers(&case[key]);
        let tau = case["tau"].as_f64().unwrap();
        let dim = of("w").len();
        let none = MixtureDraws::default();
        let (_, base) = mixture(dim, &of("logits"), &of("mu"), &of("log_sigma"), none);
        let gumbels = |key: &str| -> Vec<f64> { of(key).into_iter().map(gumbel).collect() };
        let noise = tensor(&of("w"), dim);
        let own = base.relaxed(tau, &gumbels("uniform"), &noise).unwrap();
        let mut check = |key: &str, got: &Tensor, tolerance: f64| {
            let what = format!("case {i} {key}");
            faults.near(&what, &values(got), &of(key), scaled(tolerance));
        };
        check("log_c", &own.log_c, 1e-12);
        check("z0", &own.z, 1e-12);
        check("log_p_conditional", &own.log_conditional, 1e-12);
        check(
            "log_p_exact_mixture",
            &base.log_prob(&own.z).unwrap(),
            1e-12,
        );
        let joint = base.joint_density(tau, &gumbels("uniform"), &own).unwrap();
        check("log_p_joint", &joint, 1e-9);
        let nested = base
            .nested(tau, &gumbels("nested_uniform"), &own.z)
            .unwrap();
        check("nested_log_terms", &nested.squeeze(0).unwrap(), 1e-12);
        let excluding = relaxation::log_mean_exp(&nested).unwrap();
        check("log_p_nested_excluding_own", &excluding, 1e-12);
        let including = own.including(Some(&nested)).unwrap();
        check("log_p_nested_including_own", &including, 1e-12);
    }
    faults.none();
}

/// tests/reference/mog.json, `relaxed_entropy`: H by quadrature, and chi2, from which the distance of
/// both bounds follows as chi2 / M to first order. The means of all densities of draws are held to
/// an independent table in the tests of `study`.
#[test]
fn relaxed_samples_bound_the_entropy_from_both_sides() {
    let (_, base) = three_modes(MixtureDraws::default());
    let file = reference();
    let mut faults = Faults::default();
    for case in cases(&file["relaxed_entropy"], "values") {
        let tau = case["tau"].as_f64().unwrap();
        if ![0.1, 1.0].contains(&tau) {
            continue;
        }
        let of = |key: &str| case[key].as_f64().unwrap();
        let (entropy, chi2) = (of("entropy_relaxed"), of("chi2"));
        for inner in [10, 200] {
            let mut rng = Rng::new(6).fork_at("nested", inner as u64);
            let samples = base.between_bounds(tau, inner, 10_000, &mut rng).unwrap();
            let (below, above) = (samples.log_including.neg(), samples.log_excluding.neg());
            let (below, above) = (below.unwrap(), above.unwrap());
            let mean = |t: &Tensor| num::mean_and_std_err(values(t).into_iter());
            let (gap, gap_se) = mean(&(&above - &below).unwrap());
            let ((below, below_se), (above, above_se)) = (mean(&below), mean(&above));
            let fine = match inner {
                // Both biases are far above the noise.
                10 => below < entropy - 4.0 * below_se && above > entropy + 4.0 * above_se,
                _ => {
                    let bounds =
                        below < entropy + 4.0 * below_se && above > entropy - 4.0 * above_se;
                    let (share, noise) = (gap * 200.0 / chi2, 4.0 * gap_se * 200.0 / chi2);
                    bounds && (share - 1.0).abs() < noise + 5.0 / 200.0
                }
            };
            faults.unless(fine, || {
                format!(
                    "temperature {tau}, {inner} terms: {below} +- {below_se} <= {entropy} <= \
                     {above} +- {above_se}, gap {gap} +- {gap_se}"
                )
            });
        }
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
        for ((name, var), got) in params.trainable().iter().zip(got) {
            let expected = differences(var, 1e-5, || values(&value())[0]);
            faults.near(
                &format!("{density:?} {name}"),
                &got,
                &expected,
                scaled(1e-7),
            );
        }
    }
    faults.none();
}

#[test]
fn only_what_stays_relaxed_until_the_end_has_relaxed_samples() {
    let samples = |base: &Mixture| base.relaxed_samples(700, &mut Rng::new(0)).unwrap();
    for draws in MixtureDraws::examples() {
        let name = draws.name();
        let got = samples(&plane(draws).1);
        assert_eq!(got.is_some(), name == "gumbel_softmax", "{name}");
    }
    let [to_the_end, exact] = [None, Some(0.9)].map(|exact_from| {
        let draws = GumbelSoftmaxSpec {
            anneal_from: Some(1.0),
            exact_from,
            ..GumbelSoftmaxSpec::default()
        };
        plane(MixtureDraws::GumbelSoftmax(draws)).1
    });
    // More than one chunk.
    let all = samples(&to_the_end).unwrap();
    assert_eq!(all.x.dims(), [700, 2]);
    assert_eq!(
        [all.log_including.dims(), all.log_excluding.dims()],
        [[700]; 2]
    );
    assert!(samples(&exact).is_none());
    let (_, stratified) = plane(MixtureDraws::Stratified);
    let x = |base: &Mixture, progress| {
        let draws = base.draws(50, progress, &mut Rng::new(1)).unwrap();
        values(&draws.x)
    };
    assert_eq!(x(&exact, 0.95), x(&stratified, 0.95));
    assert_eq!(x(&exact, 0.5), x(&to_the_end, 0.5));
    assert_ne!(x(&exact, 0.5), x(&exact, 0.1), "the temperature falls");
}

/// Nearly every sample at this temperature has a c_k that is 0 in single precision.
#[test]
fn single_precision_stays_finite_at_temperature_0_01() {
    let saved = three_modes(MixtureDraws::default()).0.snapshot().unwrap();
    let straight = MixtureDraws::StraightThrough(StraightThroughSpec {
        temperature: 0.01,
        ..StraightThroughSpec::default()
    });
    let relaxed = every_density().into_iter();
    for strategy in relaxed.map(|d| gumbel_softmax(0.01, d)).chain([straight]) {
        let drawn = |dtype| {
            let convert =
                |(name, t): (&String, &Tensor)| (name.clone(), t.to_dtype(dtype).unwrap());
            let values = saved.iter().map(convert).collect();
            let params = Params::from_tensors(values, dtype, &Device::Cpu);
            let mut spec = super::tests::spec(3);
            spec.draws = strategy.clone();
            let base = Mixture::new(&params, 1, &spec, None).unwrap();
            (params, base.draws(1000, 1.0, &mut Rng::new(5)).unwrap())
        };
        let (params, draws) = drawn(DType::F32);
        let exact = values(&drawn(DType::F64).1.log_prob);
        for (got, exact) in values(&draws.log_prob).iter().zip(&exact) {
            let off = (got - exact).abs() / exact.abs().max(1.0);
            assert!(off < 2e-2, "{strategy:?}: {off}");
        }
        let mean = (draws.log_prob.mean_all().unwrap() + draws.x.mean_all().unwrap()).unwrap();
        let all = gradients(&mean, &params).concat();
        assert!(all.iter().all(|v| v.is_finite()), "{strategy:?}: {all:?}");
    }
}
