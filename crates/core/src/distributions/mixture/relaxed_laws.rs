//! Relaxed samples and the densities that replace theirs.

use super::strategy_laws::{every_density, gradients, gumbel_softmax, plane, three_modes};
use super::tests::{mixture, reference};
use super::*;
use crate::distributions::relaxed::gumbel;
use crate::distributions::{GumbelSoftmaxSpec, NestedSpec, RelaxedDensity, StraightThroughSpec};
use crate::num::testing::{cases, numbers, scaled, tensor, values, Faults};

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

/// Mean and standard error of a tensor's values.
fn mean_of(tensor: &Tensor) -> (f64, f64) {
    num::mean_and_std_err(values(tensor).into_iter())
}

/// tests/reference/mog.json, `relaxed_entropy`: H by quadrature, and chi2, from which the distance of
/// both bounds follows as chi2 / M to first order.
#[test]
fn nested_densities_bound_the_entropy_from_both_sides() {
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
            let n = 10_000;
            let mut rng = Rng::new(6).fork_at("nested", inner as u64);
            let samples = base.between_bounds(tau, inner, n, &mut rng).unwrap();
            let including = samples.log_including.neg().unwrap();
            let excluding = samples.log_excluding.neg().unwrap();
            let (below, below_se) = mean_of(&including);
            let (above, above_se) = mean_of(&excluding);
            let (gap, gap_se) = mean_of(&(excluding - including).unwrap());
            let line = || {
                format!(
                    "temperature {tau}, {inner} terms: {below} +- {below_se} <= {entropy} <= \
                     {above} +- {above_se}, gap {gap} +- {gap_se}"
                )
            };
            let fine = below < entropy + 4.0 * below_se && above > entropy - 4.0 * above_se;
            faults.unless(fine, line);
            // With 10 terms both biases are far above the noise.
            let apart = below < entropy - 4.0 * below_se && above > entropy + 4.0 * above_se;
            faults.unless(inner != 10 || apart, || format!("not apart: {}", line()));
            let share = gap * inner as f64 / chi2;
            let noise = 4.0 * gap_se * inner as f64 / chi2;
            let near = (share - 1.0).abs() < noise + 5.0 / inner as f64;
            faults.unless(inner == 10 || near, || {
                format!("not as chi2 / M: {}", line())
            });
        }
        for (density, seed, key) in [
            (
                RelaxedDensity::ExactMixture,
                7,
                "entropy_exact_mixture_estimate",
            ),
            (RelaxedDensity::Joint, 8, "entropy_joint_simplex"),
        ] {
            let (_, base) = three_modes(gumbel_softmax(tau, density));
            let draws = base.draws(20_000, 1.0, &mut Rng::new(seed)).unwrap();
            let (mean, se) = mean_of(&draws.log_prob.neg().unwrap());
            let expected = of(key);
            faults.unless((mean - expected).abs() < 4.5 * se, || {
                format!("{key}: {mean} +- {se} against {expected}")
            });
        }
    }
    faults.none();
}

/// The densities that draws carry have the means of the bounds they are named for.
#[test]
fn draws_carry_the_density_that_was_asked_for() {
    let tau = 0.1;
    let inner = 10;
    let (_, plain) = three_modes(MixtureDraws::default());
    let samples = plain
        .between_bounds(tau, inner, 20_000, &mut Rng::new(3))
        .unwrap();
    let nested = NestedSpec { inner };
    for (density, n, expected) in [
        (
            RelaxedDensity::NestedIncludingOwn(nested.clone()),
            20_000,
            &samples.log_including,
        ),
        (
            RelaxedDensity::NestedExcludingOwn(nested),
            20_000,
            &samples.log_excluding,
        ),
        (
            RelaxedDensity::BatchIncludingOwn,
            inner,
            &samples.log_including,
        ),
    ] {
        let (_, base) = three_modes(gumbel_softmax(tau, density.clone()));
        // The rows of a whole-batch density depend on each other: the mean over many small batches.
        let means: Vec<f64> = (0..20_000 / n)
            .flat_map(|b| {
                let mut rng = Rng::new(2).fork_at("b", b as u64);
                let rows = values(&base.draws(n, 1.0, &mut rng).unwrap().log_prob);
                match n > inner {
                    true => rows,
                    false => vec![rows.iter().sum::<f64>() / n as f64],
                }
            })
            .collect();
        let (got, se) = num::mean_and_std_err(means.into_iter());
        let (expected, expected_se) = mean_of(expected);
        let off = (got - expected) / se.hypot(expected_se);
        assert!(off.abs() < 4.5, "{density:?}: {got} against {expected}");
    }
}

#[test]
fn only_what_stays_relaxed_until_the_end_has_relaxed_samples() {
    let relaxed = |exact_from| {
        MixtureDraws::GumbelSoftmax(GumbelSoftmaxSpec {
            anneal_from: Some(1.0),
            exact_from,
            ..GumbelSoftmaxSpec::default()
        })
    };
    for draws in MixtureDraws::examples() {
        let name = draws.name();
        let (_, base) = plane(draws);
        let got = base.relaxed_samples(3, &mut Rng::new(0)).unwrap();
        assert_eq!(got.is_some(), name == "gumbel_softmax", "{name}");
    }
    let (_, to_the_end) = plane(relaxed(None));
    let samples = to_the_end.relaxed_samples(700, &mut Rng::new(0)).unwrap();
    let samples = samples.unwrap();
    assert_eq!(samples.x.dims(), [700, 2]);
    assert_eq!(samples.log_including.dims(), [700]);
    assert_eq!(samples.log_excluding.dims(), [700]);

    let (_, exact) = plane(relaxed(Some(0.9)));
    assert!(exact
        .relaxed_samples(3, &mut Rng::new(0))
        .unwrap()
        .is_none());
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
            (params, base.draws(3000, 1.0, &mut Rng::new(5)).unwrap())
        };
        let (params, draws) = drawn(DType::F32);
        let exact = values(&drawn(DType::F64).1.log_prob);
        for (got, exact) in values(&draws.log_prob).iter().zip(&exact) {
            let off = (got - exact).abs() / exact.abs().max(1.0);
            assert!(off < 2e-2, "{strategy:?}: {off}");
        }
        let mean = (draws.log_prob.mean_all().unwrap() + draws.x.mean_all().unwrap()).unwrap();
        for (name, g) in gradients(&mean, &params) {
            assert!(
                g.iter().all(|v| v.is_finite()),
                "{strategy:?} {name}: {g:?}"
            );
        }
    }
}
