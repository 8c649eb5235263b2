//! The study against the tables of an independent NumPy/SciPy computation,
//! `tests/reference/estimators.json`.

use serde_json::{json, Value};

use super::relaxed::over_weights;
use super::spec::label;
use super::*;
use crate::num::largest;
use crate::num::testing::{cases, reference};

/// The shipped study, smaller.
fn spec() -> StudySpec {
    let shipped = include_str!("../../../../experiments/studies/estimators.toml");
    let mut spec: StudySpec = toml::from_str(shipped).unwrap();
    spec.seed = 1;
    spec.temperatures = vec![0.1, 0.5];
    spec.entropy = EntropySpec {
        temperatures: Vec::new(),
        inner: vec![2, 10, 50],
        samples: 24_000,
        terms: 1_000_000,
    };
    spec.gradients.batches = 2500;
    let temperatures = [None, Some(0.1), Some(0.5), Some(1.0)];
    let all = &mut spec.gradients.strategies;
    all.retain(|s| temperatures.contains(&label(s).1));
    spec
}

const ESTIMATORS: &str = include_str!("../../tests/reference/estimators.json");
const MOG: &str = include_str!("../../tests/reference/mog.json");

fn number(v: &Value, key: &str) -> f64 {
    v[key].as_f64().unwrap_or_else(|| panic!("{key}: {v}"))
}

/// The row of a table with these values.
fn row<'a>(rows: &'a [Value], of: &impl serde::Serialize, keys: &[&str]) -> Option<&'a Value> {
    let of = serde_json::to_value(of).unwrap();
    let mut rows = rows.iter();
    rows.find(|row| keys.iter().all(|key| row[key] == of[key]))
}

fn laws(spec: &StudySpec) -> Vec<RelaxedLaw> {
    let law = |t: &f64| RelaxedLaw::new(&spec.mixture, *t).unwrap();
    spec.temperatures.iter().map(law).collect()
}

fn quiet(_: &str) {}

/// To 1e-6 of tests/reference/mog.json, and to the last digit of the table, at every temperature. (Two
/// values are known better here: the variance at temperature 0.1, 7.65748 against 7.658, and the total
/// variation at 0.5, 0.29363 against 0.2937.)
#[test]
fn the_relaxed_mixture_is_that_of_the_table() {
    let mixture = spec().mixture;
    for exact in cases(&reference(MOG)["relaxed_entropy"], "values") {
        let tau = number(exact, "tau");
        let got = RelaxedLaw::new(&mixture, tau).unwrap().row;
        let (mut mass, mut log_sum) = (0.0, 0.0);
        over_weights(&mixture, tau, |w, _, l| {
            mass += w;
            log_sum += w * l;
        });
        let log_alpha: f64 = mixture.weights.iter().map(|w| w.ln()).sum();
        for (key, got, tolerance) in [
            ("entropy_relaxed", got.entropy, 1e-6),
            ("entropy_exact_mixture_estimate", got.exact_mixture, 1e-6),
            ("entropy_joint_simplex", got.joint_entropy, 1e-6),
            ("chi2", got.chi2, 1e-6),
            ("mean_sum_log_c", log_alpha / tau - 3.0 * log_sum, 1e-7),
        ] {
            let off = (got - number(exact, key)).abs();
            assert!(off < tolerance, "{tau}: {key}: {got}, {off} off");
        }
        assert!((mass - 1.0).abs() < 1e-12, "tau = {tau}: {mass}");
    }
    for expected in cases(&reference(ESTIMATORS), "relaxed") {
        let tau = number(expected, "temperature");
        let got = serde_json::to_value(RelaxedLaw::new(&mixture, tau).unwrap().row).unwrap();
        let expected = expected.as_object().unwrap();
        assert_eq!(got.as_object().unwrap().len(), expected.len());
        for (key, value) in expected {
            let text = value.to_string();
            let decimals = text.split_once('.').map_or(0, |(_, d)| d.len());
            // A last digit 0 is lost in JSON.
            let unit = 10f64.powi(-(decimals as i32)).min(0.01);
            let tolerance = match (key.as_str(), tau) {
                ("variance", 0.1) | ("total_variation", 0.5) => unit,
                _ => 0.501 * unit,
            };
            let off = (number(&got, key) - value.as_f64().unwrap()).abs();
            assert!(off <= tolerance, "{tau}: {key}: {off} off {value}");
        }
    }
}

/// At temperature 1 the shares of two equal components are uniform: E c^n = 1 / (n + 1).
#[test]
fn two_equal_components_at_temperature_one() {
    let mixture = StudyMixture {
        weights: vec![0.5, 0.5],
        means: vec![-6.0, 6.0],
        std_devs: vec![0.5, 0.5],
    };
    let errors = [0, 1, 2, 3].map(|power| {
        let mut moment = 0.0;
        over_weights(&mixture, 1.0, |w, c, _| moment += w * c[0].powi(power));
        (moment - 1.0 / f64::from(power + 1)).abs()
    });
    assert!(largest(errors) < 1e-13, "{errors:?}");
    let row = RelaxedLaw::new(&mixture, 1.0).unwrap().row;
    assert!(row.mean.abs() < 1e-10, "{}", row.mean);
    let off = row.variance - (144.0 / 12.0 + 0.25);
    assert!(off.abs() < 1e-8, "{off}");
}

#[test]
fn entropies_are_those_of_the_table_and_of_theory() {
    let spec = spec();
    let rows = entropies(&spec, &laws(&spec), &quiet).unwrap();
    let reference = reference(ESTIMATORS);
    let mut compared = 0;
    for found in &rows {
        // Other values of the bias, their standard errors, and the greatest distance in errors of both.
        let by_mean = found.mean - found.truth;
        let mut others = vec![("the mean", by_mean, found.std_err, 4.5)];
        let columns = ["temperature", "density", "inner"];
        if let Some(table) = row(cases(&reference, "entropy"), found, &columns) {
            compared += 1;
            let (bias, error) = (number(table, "bias"), number(table, "std_err"));
            others.push(("the table", bias, error, 4.0));
        }
        if matches!(found.density, Density::ExactMixture | Density::Joint) {
            others.push(("the quadrature", found.predicted, 0.0, 4.5));
        }
        if found.density == Density::BatchIncludingOwn {
            let same = |r: &&EntropyRow| {
                r.density == Density::NestedIncludingOwn
                    && (r.inner, r.temperature) == (found.inner, found.temperature)
            };
            let fresh = rows.iter().find(same).unwrap();
            others.push(("fresh terms", fresh.bias, fresh.bias_std_err, 4.5));
        }
        for (what, bias, error, most) in others {
            let off = (found.bias - bias) / found.bias_std_err.hypot(error);
            assert!(off.abs() < most, "{found:?} against {what}: {off} errors");
        }
    }
    assert_eq!(compared, 14);
}

#[test]
fn gradients_are_those_of_the_table() {
    let spec = spec();
    let rows = gradients(&spec, &quiet).unwrap();
    assert_eq!(rows.len(), 3 * spec.gradients.strategies.len());
    let reference = reference(ESTIMATORS);
    for found in &rows {
        let columns = ["strategy", "temperature", "parameter"];
        let table = row(cases(&reference, "gradients"), found, &columns).unwrap();
        let (bias, sd) = (number(table, "relative_bias"), number(table, "sd"));
        let error = found.bias_std_err.hypot(sd / 2e6f64.sqrt());
        let clear = bias < 6.0 * found.bias_std_err || !found.looks_unbiased();
        let fine = match bias {
            0.0 => found.looks_unbiased(),
            _ => clear && (found.relative_bias - bias).abs() < 4.0 * error,
        };
        assert!(fine, "bias of {found:?} against {bias}");
        let fine = (found.sd - sd).abs() < 4.0 * found.sd_std_err + 0.01 * sd;
        assert!(fine, "noise of {found:?} against {sd}");
        if let Some(cosine) = table["cosine"].as_f64() {
            let fine = (found.cosine - cosine).abs() < 0.01 + 3.0 * found.bias_std_err;
            assert!(fine, "cosine of {found:?}: {cosine}");
        }
    }
}

#[test]
fn threads_change_no_bit_and_seeds_do() {
    let mut spec = spec();
    spec.temperatures = vec![0.5];
    spec.entropy.inner = vec![3];
    spec.entropy.samples = 30_000;
    spec.gradients.batches = 200;
    let laws = laws(&spec);
    let [one, three] = [1, 3].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().unwrap().install(|| {
            let entropies = entropies(&spec, &laws, &quiet).unwrap();
            (entropies, gradients(&spec, &quiet).unwrap())
        })
    });
    assert_eq!(one, three);
    spec.seed += 1;
    assert_ne!(one.1, gradients(&spec, &quiet).unwrap());
}

/// A setting by its place in the file, and how the message goes on after it.
const REFUSED: &str = r#"
/temperatures = [] -> temperatures: expected at least one value in `temperatures`; got []
/temperatures = [0.001] -> temperatures[0]: expected a temperature between 0.01 and 10
/temperatures = [0.5, 0.5] -> temperatures: expected every value of `temperatures` once; got 0.5 twice
/mixture/weights = [1.0] -> mixture.weights: expected 2 or 3 `weights`
/mixture/weights = [0.2, 0.3, 0.6] -> mixture.weights: expected `weights` that sum to 1; got 1.1
/mixture/weights = [0.0, 0.5, 0.5] -> mixture.weights[0]: expected a weight > 0
/mixture/means = [0.0] -> mixture.means: expected as many `means` as weights, 3; got 1
/mixture/means = [0.0, 1.0, 1e4] -> mixture.means: expected modes at most 1000
/mixture/std_devs = [1.0, 1.0, 0.0] -> mixture.std_devs[2]: expected a finite number > 0; got 0
/entropy/temperatures = [0.2] -> entropy.temperatures[0]: expected one of the study's
/entropy/inner = [] -> entropy.inner: expected at least one value in `inner`
/entropy/inner = [5, 0] -> entropy.inner[1]: expected a number between 1 and 100000; got 0
/entropy/samples = 3 -> entropy.samples: expected 100 <= `samples`
/entropy/terms = 3 -> entropy.terms: expected `terms` >= 100 times the largest of `inner`, 5000; got 3
/gradients/batch = 1 -> gradients.batch: expected 2 <= `batch`
/gradients/batches = 1 -> gradients.batches: expected 10 <= `batches`
/gradients/strategies/0 = {"gumbel_softmax": {"temperature": -1.0}} -> gradients.strategies[0].gumbel_softmax.temperature: expected 1e-4 <= `temperature`
/gradients/strategies/0 = {"straight_through": {"anneal_from": 1.0}} -> gradients.strategies[0]: expected a fixed temperature
/gradients/strategies/0 = "score" -> gradients.strategies: expected every value of `strategies` once
"#;

#[test]
fn bad_settings_are_refused_by_name() {
    assert_eq!(spec().check(), Ok(()));
    for line in REFUSED.trim().lines() {
        let (setting, message) = line.split_once(" -> ").unwrap();
        let (place, value) = setting.split_once(" = ").unwrap();
        let mut all = serde_json::to_value(spec()).unwrap();
        // Empty by default, and so not written.
        all["entropy"]["temperatures"] = json!([]);
        *all.pointer_mut(place).unwrap() = serde_json::from_str(value).unwrap();
        let wrong: StudySpec = serde_json::from_value(all).unwrap();
        let got = wrong.check().unwrap_err().to_string();
        assert!(got.starts_with(message), "{setting}: {got}");
    }
}
