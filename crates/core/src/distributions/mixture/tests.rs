//! The density, its parameters and their start.

use candle_core::Var;
use serde_json::Value;

use super::*;

pub(super) fn rows(v: &Value) -> Vec<f64> {
    match v {
        Value::Array(items) => items.iter().flat_map(rows).collect(),
        other => vec![other.as_f64().unwrap()],
    }
}

pub(super) fn spec(components: usize) -> MixtureSpec {
    MixtureSpec {
        components,
        init: MixtureInit::Data,
        spread: 1.0,
        std: 1.0,
        frozen: Vec::new(),
        draws: MixtureDraws::default(),
    }
}

/// In f64, from flat parameters.
pub(super) fn mixture(
    dim: usize,
    logits: &[f64],
    means: &[f64],
    log_stds: &[f64],
    draws: MixtureDraws,
) -> (Params, Mixture) {
    let k = logits.len();
    let tensor = |values: &[f64], shape: (usize, usize)| {
        Tensor::from_slice(values, shape, &Device::Cpu).unwrap()
    };
    let values = [
        ("logits", tensor(logits, (1, k))),
        ("means", tensor(means, (k, dim))),
        ("log_stds", tensor(log_stds, (k, dim))),
    ];
    let params = Params::from_tensors(
        values.into_iter().map(|(n, t)| (n.to_owned(), t)).collect(),
        DType::F64,
        &Device::Cpu,
    );
    let spec = MixtureSpec { draws, ..spec(k) };
    let mixture = Mixture::new(&params, dim, &spec, None).unwrap();
    (params, mixture)
}

/// tests/reference/mog.json: mpmath with 50 digits, checked with torch 2.15.0; tolerances as
/// stated there.
#[test]
fn golden_values() {
    let file: Value =
        serde_json::from_str(include_str!("../../../tests/reference/mog.json")).unwrap();
    let mut faults = Vec::new();
    for case in file["log_prob_cases"].as_array().unwrap() {
        let tag = case["tag"].as_str().unwrap();
        let dim = case["z"].as_array().unwrap().len();
        let of = |key: &str| rows(&case[key]);
        let draws = MixtureDraws::default();
        let (params, mixture) = mixture(dim, &of("logits"), &of("mu"), &of("log_sigma"), draws);
        let z = num::from_rows(&of("z"), dim, DType::F64, &Device::Cpu).unwrap();
        let z = Var::from_tensor(&z).unwrap();
        let log_prob = mixture.log_prob(z.as_tensor()).unwrap();
        let gradients = log_prob.sum_all().unwrap().backward().unwrap();
        let mut check = |key: &str, got: &Tensor, tolerance: f64| {
            let expected = rows(&case[key]);
            let got = num::to_vec(got).unwrap();
            let size = expected.iter().fold(1.0f64, |m, v| m.max(v.abs()));
            for (g, e) in got.iter().zip(&expected) {
                if !((g - e).abs() <= tolerance * size) {
                    faults.push(format!("{tag} {key}: {g} against {e}"));
                }
            }
        };
        check("log_prob", &log_prob, 1e-12);
        let responsibilities = mixture.responsibilities(z.as_tensor()).unwrap().unwrap();
        check("responsibilities", &responsibilities, 1e-11);
        check("grad_z", gradients.get(z.as_tensor()).unwrap(), 1e-11);
        for (name, var) in params.trainable() {
            let key = match name.as_str() {
                "logits" => "grad_logits",
                "means" => "grad_mu",
                _ => "grad_log_sigma",
            };
            check(key, gradients.get(var.as_tensor()).unwrap(), 1e-11);
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn data_initialisation_finds_the_modes() {
    let mut rng = Rng::new(2);
    let modes = [(-4.0, 0.5), (0.0, 0.3), (5.0, 0.6)];
    let mut points = Vec::new();
    for i in 0..3000 {
        let (mean, std) = modes[(i % 4).min(2)];
        points.push(mean + std * rng.normal());
    }
    let points = num::from_rows(&points, 1, DType::F64, &Device::Cpu).unwrap();
    let params = Params::seeded(Rng::new(0), DType::F64, &Device::Cpu);
    let mixture = Mixture::new(&params, 1, &spec(3), Some(&points)).unwrap();
    let weights = num::to_vec(&mixture.log_weights().unwrap().exp().unwrap()).unwrap();
    let means = num::to_vec(&mixture.means).unwrap();
    let stds = num::to_vec(&mixture.log_stds.exp().unwrap()).unwrap();
    let mut found: Vec<_> = (0..3).map(|k| (means[k], stds[k], weights[k])).collect();
    found.sort_by(|a, b| a.0.total_cmp(&b.0));
    for ((mean, std, weight), (m, s)) in found.iter().zip(modes) {
        let share = if m == 5.0 { 0.5 } else { 0.25 };
        assert!((mean - m).abs() < 0.15, "{found:?}");
        assert!((std / s - 1.0).abs() < 0.2, "{found:?}");
        assert!((weight - share).abs() < 0.02, "{found:?}");
    }
    let none = Params::seeded(Rng::new(0), DType::F64, &Device::Cpu);
    assert!(Mixture::new(&none, 1, &spec(3), None).is_err());
}

/// As many components as points have no spread of their own: a tenth of that of all points, in
/// whatever unit. Two points are as far from their mean as their standard deviation.
#[test]
fn a_component_on_every_point_is_no_spike() {
    for unit in [1.0, 1e-12, 1e12] {
        let points = Tensor::new(&[[-unit], [3.0 * unit]], &Device::Cpu).unwrap();
        let params = Params::seeded(Rng::new(0), DType::F64, &Device::Cpu);
        let mixture = Mixture::new(&params, 1, &spec(2), Some(&points)).unwrap();
        let stds = num::to_vec(&mixture.log_stds.exp().unwrap()).unwrap();
        for std in stds {
            assert!((std / (0.2 * unit) - 1.0).abs() < 1e-9, "{unit}: {std}");
        }
    }
}

#[test]
fn frozen_parts_are_not_trained() {
    let params = Params::seeded(Rng::new(0), DType::F64, &Device::Cpu);
    let mut spec = spec(3);
    spec.init = MixtureInit::Random;
    spec.frozen = vec![MixturePart::Means, MixturePart::Weights];
    Mixture::new(&params, 2, &spec, None).unwrap();
    let names: Vec<String> = params.trainable().into_iter().map(|(n, _)| n).collect();
    assert_eq!(names, ["log_stds"]);
}
