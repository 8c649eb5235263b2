//! The density, its parameters and their start.

use serde_json::Value;

use super::*;
use crate::num::testing::{cases, numbers, tensor, values, Faults};

/// tests/reference/mog.json
pub(super) fn reference() -> Value {
    let text = include_str!("../../../tests/reference/mog.json");
    num::testing::reference(text)
}

pub(super) fn spec(components: usize) -> MixtureSpec {
    MixtureSpec {
        components: Count::Given(components),
        max_components: 30,
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
    let params = Params::holding([
        ("logits", tensor(logits, k)),
        ("means", tensor(means, dim)),
        ("log_stds", tensor(log_stds, dim)),
    ]);
    let spec = MixtureSpec { draws, ..spec(k) };
    let mixture = Mixture::new(&params, dim, &spec, None).unwrap();
    (params, mixture)
}

/// Three overlapping components in the plane.
pub(super) fn plane(draws: MixtureDraws) -> (Params, Mixture) {
    let means = [-0.6, 0.3, 0.5, -0.4, 0.2, 0.9];
    let log_stds = [-0.3, 0.1, -0.5, 0.2, 0.0, -0.2];
    mixture(2, &[0.3, -0.5, 0.1], &means, &log_stds, draws)
}

/// Gradients of the sum of `of` by `log_stds`, `logits` and `means`.
pub(super) fn gradients(of: &Tensor, params: &Params) -> [Vec<f64>; 3] {
    let all = num::testing::gradients(of, &params.trained());
    all.try_into().unwrap()
}

/// tests/reference/mog.json: mpmath with 50 digits, checked with torch 2.15.0; tolerances as
/// stated there.
#[test]
fn golden_values() {
    let file = reference();
    let mut faults = Faults::default();
    for case in cases(&file, "log_prob_cases") {
        let tag = case["tag"].as_str().unwrap();
        let of = |key: &str| numbers(&case[key]);
        let dim = of("z").len();
        let draws = MixtureDraws::default();
        let (params, mixture) = mixture(dim, &of("logits"), &of("mu"), &of("log_sigma"), draws);
        let z = num::testing::var(&of("z"), dim);
        let log_prob = mixture.log_prob(z.as_tensor()).unwrap();
        let responsibilities = mixture.responsibilities(z.as_tensor()).unwrap().unwrap();
        let [by_log_sigma, by_logits, by_mu] = gradients(&log_prob, &params);
        for (key, got, tolerance) in [
            ("log_prob", values(&log_prob), 1e-12),
            ("responsibilities", values(&responsibilities), 1e-11),
            ("grad_z", num::testing::gradient(&log_prob, &z), 1e-11),
            ("grad_log_sigma", by_log_sigma, 1e-11),
            ("grad_logits", by_logits, 1e-11),
            ("grad_mu", by_mu, 1e-11),
        ] {
            let expected = of(key);
            let sizes = expected.iter().map(|v| v.abs());
            let size = num::largest(sizes.chain([1.0]));
            let what = format!("{tag} {key}");
            faults.near(&what, &got, &expected, |_| tolerance * size);
        }
    }
    faults.none();
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
    let points = tensor(&points, 1);
    let params = Params::seeded(Rng::new(0), DType::F64, &Device::Cpu);
    let mixture = Mixture::new(&params, 1, &spec(3), Some(&points)).unwrap();
    let weights = values(&mixture.log_weights().unwrap().exp().unwrap());
    let means = values(&mixture.means);
    let stds = values(&mixture.log_stds.exp().unwrap());
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
fn a_component_on_every_point_starts_with_a_usable_deviation() {
    for unit in [1.0, 1e-12, 1e12] {
        let points = Tensor::new(&[[-unit], [3.0 * unit]], &Device::Cpu).unwrap();
        let params = Params::seeded(Rng::new(0), DType::F64, &Device::Cpu);
        let mixture = Mixture::new(&params, 1, &spec(2), Some(&points)).unwrap();
        let stds = values(&mixture.log_stds.exp().unwrap());
        for std in stds {
            assert!((std / (0.2 * unit) - 1.0).abs() < 1e-9, "{unit}: {std}");
        }
    }
}
