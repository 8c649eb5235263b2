//! The study against the tables of an independent NumPy/SciPy computation,
//! `tests/reference/estimators.json`.

use serde_json::Value;

use super::*;

pub(super) fn three_modes() -> StudyMixture {
    StudyMixture {
        weights: vec![0.2, 0.3, 0.5],
        means: vec![-3.0, 0.0, 4.0],
        std_devs: vec![0.5, 1.0, 0.7],
    }
}

fn spec() -> StudySpec {
    StudySpec {
        name: None,
        seed: 1,
        temperatures: vec![0.1, 0.5],
        mixture: three_modes(),
        entropy: EntropySpec {
            temperatures: Vec::new(),
            inner: vec![2, 10, 50],
            samples: 24_000,
            terms: 1_000_000,
        },
        gradients: GradientSpec {
            batch: 16,
            batches: 2500,
            strategies: vec![
                MixtureDraws::Stratified,
                MixtureDraws::Score,
                MixtureDraws::Implicit,
                relaxed(0.1),
                relaxed(0.5),
                relaxed(1.0),
                MixtureDraws::StraightThrough(Default::default()),
            ],
        },
    }
}

fn relaxed(temperature: f64) -> MixtureDraws {
    MixtureDraws::GumbelSoftmax(crate::distributions::GumbelSoftmaxSpec {
        temperature,
        ..Default::default()
    })
}

fn reference() -> Value {
    serde_json::from_str(include_str!("../../tests/reference/estimators.json")).unwrap()
}

fn number(v: &Value, key: &str) -> f64 {
    v[key].as_f64().unwrap_or_else(|| panic!("{key}: {v}"))
}

fn laws(spec: &StudySpec) -> Vec<RelaxedLaw> {
    let law = |t: &f64| RelaxedLaw::new(&spec.mixture, *t).unwrap();
    spec.temperatures.iter().map(law).collect()
}

fn quiet(_: &str) {}

/// To 1e-6 of tests/reference/mog.json, and to one unit of the last digit of the table, at every
/// temperature. (Half a unit but for two values that are known better here: the variance at
/// temperature 0.1, 7.65748 against 7.658, and the total variation at 0.5, 0.29363 against 0.2937.)
#[test]
fn the_relaxed_mixture_is_that_of_the_table() {
    let file = reference();
    let mog: Value = serde_json::from_str(include_str!("../../tests/reference/mog.json")).unwrap();
    let mut faults = Vec::new();
    for row in file["relaxed"].as_array().unwrap() {
        let tau = number(row, "temperature");
        let got = RelaxedLaw::new(&three_modes(), tau).unwrap().row();
        let exact = mog["relaxed_entropy"]["values"].as_array().unwrap();
        let exact = exact.iter().find(|e| number(e, "tau") == tau).unwrap();
        for (key, got) in [
            ("entropy_relaxed", got.entropy),
            ("entropy_exact_mixture_estimate", got.exact_mixture),
            ("entropy_joint_simplex", got.joint_entropy),
            ("chi2", got.chi2),
        ] {
            let expected = number(exact, key);
            if !((got - expected).abs() < 1e-6) {
                faults.push(format!("{tau}: {key}: {got} against {expected}"));
            }
        }
        for (key, got) in [
            ("entropy", got.entropy),
            ("exact_mixture", got.exact_mixture),
            ("kl_to_mixture", got.kl_to_mixture),
            ("kl_from_mixture", got.kl_from_mixture),
            ("total_variation", got.total_variation),
            ("mean", got.mean),
            ("variance", got.variance),
            ("joint_entropy", got.joint_entropy),
            ("conditional_entropy", got.conditional_entropy),
            ("chi2", got.chi2),
        ] {
            let expected = number(row, key);
            let text = row[key].to_string();
            let decimals = text.split_once('.').map_or(0, |(_, d)| d.len());
            // A last digit 0 is lost in JSON.
            let unit = 10f64.powi(-(decimals as i32)).min(0.01);
            let known_better = [("variance", 0.1), ("total_variation", 0.5)].contains(&(key, tau));
            let tolerance = if known_better { unit } else { 0.501 * unit };
            if !((got - expected).abs() <= tolerance) {
                faults.push(format!("{tau}: {key}: {got} against {expected}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// For two components of equal width the law is a 1-D integral that anyone can do: the quadrature's
/// mean and variance are those of c, E c = 1/2, Var c = 1/12 at temperature 1, where c is uniform.
#[test]
fn two_equal_components_at_temperature_one() {
    let mixture = StudyMixture {
        weights: vec![0.5, 0.5],
        means: vec![-6.0, 6.0],
        std_devs: vec![0.5, 0.5],
    };
    let row = RelaxedLaw::new(&mixture, 1.0).unwrap().row();
    assert!(row.mean.abs() < 1e-10, "{}", row.mean);
    assert!(
        (row.variance - (144.0 / 12.0 + 0.25)).abs() < 1e-8,
        "{}",
        row.variance
    );
}

#[test]
fn entropies_are_those_of_the_table() {
    let spec = spec();
    let laws = laws(&spec);
    let rows = entropies(&spec, &laws, &quiet).unwrap();
    let mut faults = Vec::new();
    let mut compared = 0;
    for expected in reference()["entropy"].as_array().unwrap() {
        let inner = number(expected, "inner") as usize;
        let Some(row) = rows.iter().find(|r| {
            r.temperature == number(expected, "temperature")
                && r.inner == Some(inner)
                && r.density.word() == expected["density"]
        }) else {
            continue;
        };
        compared += 1;
        let error = row.bias_std_err.hypot(number(expected, "std_err"));
        let off = (row.bias - number(expected, "bias")) / error;
        if !(off.abs() < 4.0) {
            faults.push(format!("{row:?} against {expected}: {off} errors"));
        }
    }
    assert_eq!(compared, 14);
    for row in &rows {
        let exact = matches!(row.density, Density::ExactMixture | Density::Joint);
        let off = (row.bias - row.predicted) / row.bias_std_err;
        if exact && !(off.abs() < 4.5) {
            faults.push(format!("{row:?}: {off} errors from the quadrature"));
        }
        let both = row.std_err.hypot(row.bias_std_err);
        if !((row.mean - row.truth - row.bias).abs() < 4.5 * both) {
            faults.push(format!("{row:?}: the bias is not that of the mean"));
        }
        let same = |r: &&EntropyRow| {
            r.density == Density::NestedIncludingOwn
                && r.inner == row.inner
                && r.temperature == row.temperature
        };
        if row.density == Density::BatchIncludingOwn {
            let fresh = rows.iter().find(same).unwrap();
            let off = (row.bias - fresh.bias) / row.bias_std_err.hypot(fresh.bias_std_err);
            if !(off.abs() < 4.5) {
                faults.push(format!("{row:?}: {off} errors from fresh terms"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn gradients_are_those_of_the_table() {
    let spec = spec();
    let rows = gradients(&spec, &quiet).unwrap();
    assert_eq!(rows.len(), 3 * spec.gradients.strategies.len());
    let file = reference();
    let mut faults = Vec::new();
    for row in &rows {
        let expected = file["gradients"].as_array().unwrap().iter().find(|e| {
            e["strategy"] == *row.strategy
                && e["temperature"].as_f64() == row.temperature
                && e["parameter"] == row.parameter.word()
        });
        let expected = expected.unwrap_or_else(|| panic!("{row:?}"));
        let (bias, sd) = (number(expected, "relative_bias"), number(expected, "sd"));
        let error = row.bias_std_err.hypot(sd / 2e6f64.sqrt());
        let fine = match bias {
            0.0 => row.looks_unbiased(),
            _ => {
                let clear = bias < 6.0 * row.bias_std_err || !row.looks_unbiased();
                clear && (row.relative_bias - bias).abs() < 4.0 * error
            }
        };
        if !fine {
            faults.push(format!("bias of {row:?} against {bias}"));
        }
        if !((row.sd - sd).abs() < 4.0 * row.sd_std_err + 0.01 * sd) {
            faults.push(format!("deviation of {row:?} against {sd}"));
        }
        if let Some(cosine) = expected["cosine"].as_f64() {
            if !((row.cosine - cosine).abs() < 0.01 + 3.0 * row.bias_std_err) {
                faults.push(format!("cosine of {row:?} against {cosine}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn threads_change_no_bit() {
    let mut spec = spec();
    spec.temperatures = vec![0.5];
    spec.entropy.inner = vec![3];
    spec.entropy.samples = 30_000;
    spec.gradients.batches = 200;
    let laws = laws(&spec);
    let found = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let entropies = entropies(&spec, &laws, &quiet).unwrap();
            (entropies, gradients(&spec, &quiet).unwrap())
        })
    };
    let (one, three) = (found(1), found(3));
    assert_eq!(one, three);
    spec.seed += 1;
    let other = gradients(&spec, &quiet).unwrap();
    assert_ne!(one.1, other);
}

/// The message for each wrong value, by the key that it is about.
#[test]
fn what_cannot_be_studied_is_refused_by_name() {
    let json = |path: &str, value: Value| {
        let mut all = serde_json::to_value(spec()).unwrap();
        *all.pointer_mut(path).unwrap() = value;
        let spec: StudySpec = serde_json::from_value(all).unwrap();
        spec.check().map_err(|bad| bad.to_string())
    };
    assert_eq!(spec().check(), Ok(()));
    let cases = [
        (
            "/temperatures",
            "[]",
            "temperatures: expected at least one temperature; got []",
        ),
        (
            "/temperatures",
            "[0.001]",
            "temperatures[0]: expected a temperature between 0.01 and 10",
        ),
        (
            "/temperatures",
            "[0.5, 0.5]",
            "temperatures: expected every value of `temperatures` once; got 0.5 twice",
        ),
        (
            "/mixture/weights",
            "[1.0]",
            "mixture.weights: expected 2 or 3 `weights`",
        ),
        (
            "/mixture/weights",
            "[0.2, 0.3, 0.6]",
            "mixture.weights: expected `weights` that sum to 1; got 1.1",
        ),
        (
            "/mixture/weights",
            "[0.0, 0.5, 0.5]",
            "mixture.weights[0]: expected a weight between 0 and 1",
        ),
        (
            "/mixture/means",
            "[0.0]",
            "mixture.means: expected as many `means` as weights, 3; got 1",
        ),
        (
            "/mixture/means",
            "[0.0, 1.0, 1e4]",
            "mixture.means: expected modes at most 1000",
        ),
        (
            "/mixture/std_devs",
            "[1.0, 1.0, 0.0]",
            "mixture.std_devs[2]: expected a standard deviation > 0; got 0",
        ),
        (
            "/entropy/inner",
            "[]",
            "entropy.inner: expected at least one size in `inner`",
        ),
        (
            "/entropy/inner",
            "[5, 0]",
            "entropy.inner[1]: expected a size between 1 and 100000; got 0",
        ),
        (
            "/entropy/samples",
            "3",
            "entropy.samples: expected 100 <= `samples`",
        ),
        (
            "/entropy/terms",
            "3",
            "entropy.terms: expected `terms` >= 100 times the largest of `inner`, 5000; got 3",
        ),
        (
            "/gradients/batch",
            "1",
            "gradients.batch: expected 2 <= `batch`",
        ),
        (
            "/gradients/batches",
            "1",
            "gradients.batches: expected 10 <= `batches`",
        ),
        (
            "/gradients/strategies/0",
            r#"{"gumbel_softmax": {"temperature": -1.0}}"#,
            "gradients.strategies[0].gumbel_softmax.temperature: expected 1e-4 <= `temperature`",
        ),
        (
            "/gradients/strategies/0",
            r#"{"straight_through": {"anneal_from": 1.0}}"#,
            "gradients.strategies[0]: expected a fixed temperature",
        ),
        (
            "/gradients/strategies/0",
            r#""score""#,
            "gradients.strategies: expected every value of `strategies` once",
        ),
    ];
    for (path, value, message) in cases {
        let got = json(path, serde_json::from_str(value).unwrap()).unwrap_err();
        assert!(got.starts_with(message), "{path} = {value}: {got}");
    }
    let mut elsewhere = spec();
    elsewhere.entropy.temperatures = vec![0.2];
    let got = elsewhere.check().unwrap_err().to_string();
    assert!(
        got.starts_with("entropy.temperatures[0]: expected one of the study's"),
        "{got}"
    );
}
