//! Relaxed samples and the densities that stand for theirs.

use super::strategy_laws::{
    every_density, gradients, gumbel_softmax, plane, reference, three_modes,
};
use super::tests::{mixture, rows};
use super::*;
use crate::distributions::relaxed::gumbel;
use crate::distributions::{GumbelSoftmaxSpec, NestedSpec, RelaxedDensity};

/// tests/reference/mog.json, `relaxed_base_cases`: numpy, its Concrete term checked with torch 2.15.0;
/// tolerances as stated there.
#[test]
fn golden_relaxed_samples_and_densities() {
    let mut faults = Vec::new();
    let file = reference();
    for (i, case) in file["relaxed_base_cases"]
        .as_array()
        .unwrap()
        .iter()
        .enumerate()
    {
        let of = |key: &str| rows(&case[key]);
        let tau = case["tau"].as_f64().unwrap();
        let dim = of("w").len();
        let none = MixtureDraws::default();
        let (_, base) = mixture(dim, &of("logits"), &of("mu"), &of("log_sigma"), none);
        let gumbels = |key: &str| -> Vec<f64> {
            let uniforms = of(key).into_iter();
            uniforms.map(gumbel).collect()
        };
        let noise = num::from_rows(&of("w"), dim, DType::F64, &Device::Cpu).unwrap();
        let own = base.relaxed(tau, &gumbels("uniform"), &noise).unwrap();
        let mut check = |key: &str, got: &Tensor, tolerance: f64| {
            let expected = of(key);
            let got = num::to_vec(got).unwrap();
            assert_eq!(got.len(), expected.len(), "{key}");
            for (g, e) in got.iter().zip(&expected) {
                if !((g - e).abs() <= tolerance * e.abs().max(1.0)) {
                    faults.push(format!("case {i} {key}: {g} against {e}"));
                }
            }
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
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Mean and standard error.
fn mean_of(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let var = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, (var / n).sqrt())
}

/// tests/reference/mog.json, `relaxed_entropy`: H by quadrature, and chi2, from which the distance of
/// both bounds follows as chi2 / M to first order.
#[test]
fn nested_densities_bound_the_entropy_from_both_sides() {
    let (_, base) = three_modes(MixtureDraws::default());
    let file = reference();
    let mut faults = Vec::new();
    for case in file["relaxed_entropy"]["values"].as_array().unwrap() {
        let tau = case["tau"].as_f64().unwrap();
        if ![0.1, 0.5, 1.0].contains(&tau) {
            continue;
        }
        let of = |key: &str| case[key].as_f64().unwrap();
        let (entropy, chi2) = (of("entropy_relaxed"), of("chi2"));
        for inner in [10, 50, 200] {
            let n = 10_000;
            let mut rng = Rng::new(6).fork_at("nested", inner as u64);
            let samples = base.between_bounds(tau, inner, n, &mut rng).unwrap();
            let including = num::to_vec(&samples.log_including.neg().unwrap()).unwrap();
            let excluding = num::to_vec(&samples.log_excluding.neg().unwrap()).unwrap();
            let (below, below_se) = mean_of(&including);
            let (above, above_se) = mean_of(&excluding);
            let gaps = excluding.iter().zip(&including).map(|(e, i)| e - i);
            let (gap, gap_se) = mean_of(&gaps.collect::<Vec<_>>());
            let line = format!(
                "temperature {tau}, {inner} terms: {below} +- {below_se} <= {entropy} <= {above} +- \
                 {above_se}, gap {gap} +- {gap_se}"
            );
            if !(below < entropy + 4.0 * below_se && above > entropy - 4.0 * above_se) {
                faults.push(line.clone());
            }
            // With 10 terms both biases are far above the noise.
            if inner == 10
                && !(below < entropy - 4.0 * below_se && above > entropy + 4.0 * above_se)
            {
                faults.push(format!("not apart: {line}"));
            }
            let share = gap * inner as f64 / chi2;
            let noise = 4.0 * gap_se * inner as f64 / chi2;
            if inner >= 50 && !((share - 1.0).abs() < noise + 5.0 / inner as f64) {
                faults.push(format!("not as chi2 / M: {line}"));
            }
        }
        let cross = gumbel_softmax(tau, RelaxedDensity::ExactMixture);
        let (_, hard) = three_modes(cross);
        let draws = hard.draws(20_000, 1.0, &mut Rng::new(7)).unwrap();
        let (mean, se) = mean_of(&num::to_vec(&draws.log_prob.neg().unwrap()).unwrap());
        let expected = of("entropy_exact_mixture_estimate");
        if !((mean - expected).abs() < 4.5 * se) {
            faults.push(format!("cross entropy: {mean} +- {se} against {expected}"));
        }
        let (_, joint) = three_modes(gumbel_softmax(tau, RelaxedDensity::Joint));
        let draws = joint.draws(20_000, 1.0, &mut Rng::new(8)).unwrap();
        let (mean, se) = mean_of(&num::to_vec(&draws.log_prob.neg().unwrap()).unwrap());
        let expected = of("entropy_joint_simplex");
        if !((mean - expected).abs() < 4.5 * se) {
            faults.push(format!("joint entropy: {mean} +- {se} against {expected}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
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
        // The rows of a whole-batch density hang together: the mean over many small batches.
        let means: Vec<f64> = (0..20_000 / n)
            .flat_map(|b| {
                let draws = base
                    .draws(n, 1.0, &mut Rng::new(2).fork_at("b", b as u64))
                    .unwrap();
                let values = num::to_vec(&draws.log_prob).unwrap();
                match n > inner {
                    true => values,
                    false => vec![values.iter().sum::<f64>() / n as f64],
                }
            })
            .collect();
        let (got, se) = mean_of(&means);
        let (expected, expected_se) = mean_of(&num::to_vec(expected).unwrap());
        let off = (got - expected) / se.hypot(expected_se);
        assert!(off.abs() < 4.5, "{density:?}: {got} against {expected}");
    }
}

#[test]
fn only_what_stays_relaxed_has_relaxed_samples() {
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
        num::to_vec(&draws.x).unwrap()
    };
    assert_eq!(x(&exact, 0.95), x(&stratified, 0.95));
    assert_eq!(x(&exact, 0.5), x(&to_the_end, 0.5));
    assert_ne!(x(&exact, 0.5), x(&exact, 0.1), "the temperature falls");
}

/// Nearly every sample at this temperature has a c_k that is 0 in single precision.
#[test]
fn single_precision_stays_finite_at_temperature_0_01() {
    let values = three_modes(MixtureDraws::default()).0.snapshot().unwrap();
    for density in every_density() {
        let params = Params::from_tensors(values.clone(), DType::F64, &Device::Cpu);
        let single = values
            .iter()
            .map(|(name, t)| (name.clone(), t.to_dtype(DType::F32).unwrap()))
            .collect();
        let single = Params::from_tensors(single, DType::F32, &Device::Cpu);
        let mut spec = super::tests::spec(3);
        spec.draws = gumbel_softmax(0.01, density.clone());
        let double = Mixture::new(&params, 1, &spec, None).unwrap();
        let base = Mixture::new(&single, 1, &spec, None).unwrap();
        let draws = base.draws(3000, 1.0, &mut Rng::new(5)).unwrap();
        let got = num::to_vec(&draws.log_prob).unwrap();
        let exact = double.draws(3000, 1.0, &mut Rng::new(5)).unwrap();
        let exact = num::to_vec(&exact.log_prob).unwrap();
        let off = got
            .iter()
            .zip(&exact)
            .map(|(g, e)| (g - e).abs() / e.abs().max(1.0));
        let off: Vec<f64> = off.collect();
        assert!(off.iter().all(|o| *o < 2e-2), "{density:?}: {off:?}");
        let mean = (draws.log_prob.mean_all().unwrap() + draws.x.mean_all().unwrap()).unwrap();
        for (name, g) in gradients(&mean, &single) {
            assert!(g.iter().all(|v| v.is_finite()), "{density:?} {name}: {g:?}");
        }
    }
}
