//! What every objective owes: it falls when minimised, gives every parameter a finite gradient,
//! and has its known value at the truth.

use candle_core::{DType, Device, Tensor};

use super::OBJECTIVES;
use crate::models::ModelSpec;
use crate::nn::optimizer::Adam;
use crate::nn::Params;
use crate::num::{to_vec, LN_2PI};
use crate::rng::Rng;

fn points(n: usize) -> Tensor {
    let mut rng = Rng::new(1);
    let normal = rng.normal_tensor((n, 2), DType::F64, &Device::Cpu).unwrap();
    (normal * 2.0).unwrap()
}

#[test]
fn falls_in_fifty_steps_and_every_gradient_is_finite() {
    let x = points(256);
    let mut faults = Vec::new();
    for objective in OBJECTIVES {
        for (name, spec) in ModelSpec::examples() {
            let params = Params::seeded(Rng::new(2), DType::F64, &Device::Cpu);
            let model = spec.build(&params, 2, Some(x.clone())).unwrap();
            params.perturb(0.2, &mut Rng::new(3));
            let vars: Vec<_> = params.trainable().into_iter().map(|(_, v)| v).collect();
            let mut adam = Adam::new(vars, 0.0).unwrap();
            let mut losses = Vec::new();
            for step in 0..50 {
                let rng = &mut Rng::new(4).fork_at("objective", step);
                let loss = objective.loss(model.as_ref(), 0, &x, rng).unwrap();
                losses.push(loss.to_scalar::<f64>().unwrap());
                let gradients = loss.backward().unwrap();
                if !adam.gradient_norm(&gradients).unwrap().is_finite() {
                    faults.push(format!("{}, {name}: gradient", objective.name()));
                }
                adam.step(&gradients, 1.0, 1e-2).unwrap();
            }
            if losses[49] >= losses[0] - 1e-3 {
                faults.push(format!(
                    "{}, {name}: {} after {}",
                    objective.name(),
                    losses[49],
                    losses[0]
                ));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// A flow at its start on standardised points is a normal distribution with the sample's variance:
/// its loss there is D/2 (ln 2 pi + 1) + sum_d ln s_d.
#[test]
fn maximum_likelihood_at_the_truth_is_the_entropy() {
    let x = points(500);
    let spec: ModelSpec = toml::from_str("flow = {}").unwrap();
    let params = Params::seeded(Rng::new(2), DType::F64, &Device::Cpu);
    let model = spec.build(&params, 2, Some(x.clone())).unwrap();
    let loss = OBJECTIVES[0]
        .loss(model.as_ref(), 0, &x, &mut Rng::new(0))
        .unwrap()
        .to_scalar::<f64>()
        .unwrap();
    let mean = x.mean_keepdim(0).unwrap();
    let var = x
        .broadcast_sub(&mean)
        .unwrap()
        .sqr()
        .unwrap()
        .mean(0)
        .unwrap();
    let log_std: f64 = to_vec(&var).unwrap().iter().map(|v| 0.5 * v.ln()).sum();
    let expected = LN_2PI + 1.0 + log_std;
    assert!((loss - expected).abs() < 1e-10, "{loss} against {expected}");
}
