use super::*;
use crate::num::to_vec;

/// a(z) = sigmoid(w z + b) in one dimension, a network without hidden layers.
fn logistic(w: f64, b: f64, truncation: usize) -> Resampled {
    let tensor = |v: f64| Tensor::full(v, (1, 1), &Device::Cpu).unwrap();
    let values = [("acceptance.out.weight", w), ("acceptance.out.bias", b)];
    let values = values.map(|(name, v)| (name.to_owned(), tensor(v)));
    let params = Params::from_tensors(values.into(), DType::F64, &Device::Cpu);
    let spec = ResampledSpec {
        hidden: Vec::new(),
        truncation,
        ..ResampledSpec::default()
    };
    Resampled::new(&params, 1, &spec).unwrap()
}

/// By symmetry E\[sigmoid(w z)\] = 1/2 for every w, so with b = 0 all is known:
/// p(z) = pi(z) ((1 - alpha) 2 sigmoid(w z) + alpha), alpha = 2^-(T - 1).
#[test]
fn a_logistic_acceptance_by_hand() {
    for truncation in [2, 5, 100] {
        for w in [0.5, 3.0, 40.0] {
            let p = logistic(w, 0.0, truncation);
            let alpha = 0.5f64.powi(truncation as i32 - 1);
            let z = [-3.0, -0.1, 0.0, 0.4, 2.0];
            let x = num::from_rows(&z, 1, DType::F64, &Device::Cpu).unwrap();
            let got = to_vec(&p.log_prob(&x).unwrap()).unwrap();
            let estimate = to_vec(&p.estimate_log_prob(&x, &mut Rng::new(1)).unwrap()).unwrap();
            for ((z, got), estimate) in z.iter().zip(got).zip(estimate) {
                let a = 1.0 / (1.0 + (-w * z).exp());
                let pi = -0.5 * (z * z + LN_2PI);
                let want = pi + ((1.0 - alpha) * 2.0 * a + alpha).ln();
                assert!(
                    (got - want).abs() < 1e-6,
                    "{truncation} {w} {z}: {got}, {want}"
                );
                assert!(
                    (estimate - want).abs() < 2e-2,
                    "{truncation} {w} {z}: {estimate}"
                );
            }
        }
    }
}

/// ln Z is computed again when the network has changed, and only then.
#[test]
fn the_mass_follows_the_parameters() {
    let params = Params::seeded(Rng::new(3), DType::F64, &Device::Cpu);
    let p = Resampled::new(&params, 2, &ResampledSpec::default()).unwrap();
    assert!((p.exact_mass().unwrap() - 0.5).abs() < 1e-12);
    params.perturb(0.3, &mut Rng::new(4));
    let moved = p.exact_mass().unwrap();
    assert!((moved - 0.5).abs() > 1e-3, "{moved}");
    *p.known.lock().unwrap() = None;
    assert_eq!(p.exact_mass().unwrap(), moved);
}

/// The estimate of a step is right in the mean: E\[Z\] over the shifts is Z.
#[test]
fn a_steps_mass_is_unbiased() {
    for dim in [2, 4] {
        let params = Params::seeded(Rng::new(3), DType::F64, &Device::Cpu);
        let p = Resampled::new(&params, dim, &ResampledSpec::default()).unwrap();
        params.perturb(0.3, &mut Rng::new(4));
        let exact = p.exact_mass().unwrap();
        let rng = &mut Rng::new(5);
        let values: Vec<f64> = (0..60)
            .map(|_| {
                let nodes = p.nodes(Fineness::Step, Some(rng)).unwrap();
                to_vec(&p.mass(&nodes).unwrap()).unwrap()[0]
            })
            .collect();
        let (mean, std_err) = num::mean_and_std_err(values.iter().copied());
        let (spread, known) = (std_err * 60f64.sqrt(), if dim == 2 { 1e-4 } else { 2e-3 });
        assert!(
            ((mean - exact) / exact).abs() < known + 4.0 * std_err,
            "{mean} {exact}"
        );
        assert!(spread < 0.05 * exact, "{dim}: {spread}");
    }
}
