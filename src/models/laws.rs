//! Every model obeys the distribution laws unchanged, and reads back as it was saved.

use candle_core::{DType, Device, Tensor};

use super::{Model, ModelSpec};
use crate::distributions::laws::{faults, Case};
use crate::distributions::{Distribution, Draws};
use crate::nn::Params;
use crate::num::{from_rows, to_vec};
use crate::rng::Rng;
use crate::Result;

/// Two blobs, the first three times as heavy.
fn blobs(n: usize, dim: usize, rng: &mut Rng) -> Tensor {
    let rows: Vec<f64> = (0..n * dim)
        .map(|i| {
            let centre = if (i / dim).is_multiple_of(4) {
                1.5
            } else {
                -1.0
            };
            centre + 0.5 * rng.normal()
        })
        .collect();
    from_rows(&rows, dim, DType::F64, &Device::Cpu).unwrap()
}

fn build(name: &str, spec: &ModelSpec, dim: usize) -> (Params, Box<dyn Model>) {
    let rng = Rng::new(21).fork(name);
    let params = Params::seeded(rng.fork("init"), DType::F64, &Device::Cpu);
    let points = blobs(400, dim, &mut rng.fork("points"));
    let model = spec.build(&params, dim, Some(points)).unwrap();
    params.perturb(0.2, &mut rng.fork("perturb"));
    (params, model)
}

struct AsDistribution(Box<dyn Model>);

impl Distribution for AsDistribution {
    fn dim(&self) -> usize {
        self.0.dim()
    }
    fn log_prob(&self, x: &Tensor) -> Result<Tensor> {
        self.0.log_prob(x)
    }
    fn sample(&self, n: usize, rng: &mut Rng) -> Result<Tensor> {
        self.0.sample(n, rng)
    }
    fn draws(&self, n: usize, progress: f64, rng: &mut Rng) -> Result<Draws> {
        self.0.draws(n, progress, rng)
    }
}

#[test]
fn every_model_obeys_the_distribution_laws() {
    let mut all = Vec::new();
    for (name, spec) in ModelSpec::examples() {
        for dim in [1, 2, 3] {
            let name = format!("{name}, D = {dim}");
            let (params, model) = build(&name, &spec, dim);
            all.extend(faults(&Case {
                name,
                params,
                distribution: Box::new(AsDistribution(model)),
            }));
        }
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[test]
fn every_model_reads_back_bit_for_bit_and_every_parameter_learns() {
    let mut all = Vec::new();
    for (name, spec) in ModelSpec::examples() {
        for dim in [1, 2, 5] {
            let (params, model) = build(name, &spec, dim);
            let x = blobs(200, dim, &mut Rng::new(1));
            let loaded = Params::from_tensors(params.snapshot().unwrap(), DType::F64, &Device::Cpu);
            let again = spec.build(&loaded, dim, None).unwrap();
            let values = |m: &dyn Model| to_vec(&m.log_prob(&x).unwrap()).unwrap();
            if values(model.as_ref()) != values(again.as_ref()) {
                all.push(format!(
                    "{name}, D = {dim}: another density after reading back"
                ));
            }
            if model.part(&x).unwrap() != again.part(&x).unwrap() {
                all.push(format!("{name}, D = {dim}: other parts after reading back"));
            }
            let last = model.phases().len() - 1;
            let loss = model.training_log_prob(last, &x).unwrap();
            let gradients = loss.sum_all().unwrap().backward().unwrap();
            for (parameter, var) in params.trainable() {
                let g = gradients.get(var.as_tensor()).map(|g| to_vec(g).unwrap());
                let learns = g.is_some_and(|g| {
                    g.iter().all(|v| v.is_finite()) && g.iter().any(|v| *v != 0.0)
                });
                let nothing_to_learn =
                    dim == 1 && (parameter.ends_with("lower") || parameter.ends_with("upper"));
                if !learns && !nothing_to_learn {
                    all.push(format!("{name}, D = {dim}: {parameter} has no gradient"));
                }
            }
        }
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[test]
fn training_bounds_never_exceed_the_density() {
    for (name, spec) in ModelSpec::examples() {
        let (_, model) = build(name, &spec, 2);
        let x = blobs(300, 2, &mut Rng::new(1));
        let sum = |t: Tensor| to_vec(&t).unwrap().iter().sum::<f64>();
        let bound = sum(model.training_log_prob(0, &x).unwrap());
        let density = sum(model.log_prob(&x).unwrap());
        assert!(bound <= density + 1e-9, "{name}: {bound} > {density}");
    }
}
