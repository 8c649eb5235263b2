//! Every model obeys the distribution laws unchanged, and reads back as it was saved.

#[path = "../../../../docs/members/gaussian.rs"]
mod gaussian;
mod supported;

use candle_core::{DType, Device, Tensor, Var};

use super::{Model, ModelSpec};
use crate::distributions::laws::{faults, Case};
use crate::distributions::{BaseSpec, Distribution, Draws};
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

/// A model over so many coordinates, from points or from what was stored.
type Build = Box<dyn Fn(&Params, usize, Option<Tensor>) -> Result<Box<dyn Model>>>;

/// Every example, and the model that docs/extending_models.md adds.
fn members() -> Vec<(&'static str, Build)> {
    let examples = ModelSpec::examples().into_iter();
    let mut all: Vec<(_, Build)> = examples
        .map(|(name, spec)| {
            let build = move |params: &Params, dim, points| spec.build(params, dim, points);
            (name, Box::new(build) as Build)
        })
        .collect();
    let gaussian = |params: &Params, dim, points| -> Result<Box<dyn Model>> {
        Ok(Box::new(gaussian::Gaussian::build(params, dim, points)?))
    };
    all.push(("gaussian", Box::new(gaussian)));
    all
}

/// One that started from two blobs, perturbed.
fn made(name: &str, build: &Build, dim: usize) -> (Params, Box<dyn Model>) {
    let rng = Rng::new(21).fork(name);
    let params = Params::seeded(rng.fork("init"), DType::F64, &Device::Cpu);
    let points = blobs(400, dim, &mut rng.fork("points"));
    let model = build(&params, dim, Some(points)).unwrap();
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
    for (name, build) in members() {
        for dim in [1, 2, 3] {
            let name = format!("{name}, D = {dim}");
            let (params, model) = made(&name, &build, dim);
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
    for (name, build) in members() {
        for dim in [1, 2, 5] {
            let (params, model) = made(name, &build, dim);
            let x = blobs(200, dim, &mut Rng::new(1));
            let loaded = Params::from_tensors(params.snapshot().unwrap(), DType::F64, &Device::Cpu);
            let again = build(&loaded, dim, None).unwrap();
            let values = |m: &dyn Model| to_vec(&m.log_prob(&x).unwrap()).unwrap();
            if values(model.as_ref()) != values(again.as_ref()) {
                all.push(format!(
                    "{name}, D = {dim}: another density after reading back"
                ));
            }
            if model.part(&x).unwrap() != again.part(&x).unwrap() {
                all.push(format!("{name}, D = {dim}: other parts after reading back"));
            }
            let rng = &mut Rng::new(2);
            let last = model.phases().len().saturating_sub(1);
            let loss = model.training_log_prob(last, &x, rng).unwrap();
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
    for (name, build) in members() {
        let (_, model) = made(name, &build, 2);
        let x = blobs(300, 2, &mut Rng::new(1));
        let sum = |t: Tensor| to_vec(&t).unwrap().iter().sum::<f64>();
        let bound = sum(model.training_log_prob(0, &x, &mut Rng::new(2)).unwrap());
        let density = sum(model.log_prob(&x).unwrap());
        assert!(bound <= density + 1e-9, "{name}: {bound} > {density}");
    }
}

/// log q in other units is log q less the log of the units' volume: what a run measures is in the
/// data's own units, whatever a model does inside.
#[test]
fn a_change_of_units_shifts_the_log_density_by_its_volume() {
    let (scale, shift) = ([1000.0, 0.02], [5e4, -3.0]);
    let in_units = |x: &Tensor| {
        let row = |v: &[f64; 2]| Tensor::new(v, &Device::Cpu).unwrap();
        let scaled = x.broadcast_mul(&row(&scale)).unwrap();
        scaled.broadcast_add(&row(&shift)).unwrap()
    };
    for (name, build) in members() {
        let rng = Rng::new(23).fork(name);
        let points = blobs(300, 2, &mut rng.fork("points"));
        let held_out = blobs(50, 2, &mut rng.fork("held out"));
        let log_q = |points: Tensor, held_out: &Tensor| {
            let params = Params::seeded(rng.fork("init"), DType::F64, &Device::Cpu);
            let model = build(&params, 2, Some(points)).unwrap();
            to_vec(&model.log_prob(held_out).unwrap()).unwrap()
        };
        let plain = log_q(points.clone(), &held_out);
        let other = log_q(in_units(&points), &in_units(&held_out));
        let volume: f64 = scale.iter().map(|s| s.ln()).sum();
        for (plain, other) in plain.iter().zip(&other) {
            let off = plain - volume - other;
            assert!(off.abs() < 1e-6, "{name}: {plain} {other}");
        }
    }
}

/// log|det dz/dx| of the map to the base at every point, by a backward pass per coordinate, and z.
fn base_and_log_det(model: &dyn Model, x: &Tensor) -> Option<(Vec<f64>, Vec<f64>)> {
    let (n, dim) = x.dims2().unwrap();
    let x = Var::from_tensor(x).unwrap();
    let z = model.to_base(x.as_tensor()).unwrap()?;
    let mut jacobians = vec![vec![0.0; dim * dim]; n];
    for d in 0..dim {
        let one = z.narrow(1, d, 1).unwrap().sum_all().unwrap();
        let gradient = to_vec(one.backward().unwrap().get(&x).unwrap()).unwrap();
        for (jacobian, row) in jacobians.iter_mut().zip(gradient.chunks_exact(dim)) {
            jacobian[d * dim..(d + 1) * dim].copy_from_slice(row);
        }
    }
    let log_det = |j: &Vec<f64>| -> f64 {
        let det = match dim {
            1 => j[0],
            2 => j[0] * j[3] - j[1] * j[2],
            _ => {
                let minor = |a: usize, b: usize| j[3 + a] * j[6 + b] - j[3 + b] * j[6 + a];
                j[0] * minor(1, 2) - j[1] * minor(0, 2) + j[2] * minor(0, 1)
            }
        };
        det.abs().ln()
    };
    Some((to_vec(&z).unwrap(), jacobians.iter().map(log_det).collect()))
}

/// log of the density of the base at `z`: of its components, or standard normal.
fn log_base(model: &dyn Model, z: &[f64]) -> f64 {
    let normal = |z: f64, mean: f64, dev: f64| {
        -0.5 * (((z - mean) / dev).powi(2) + crate::num::LN_2PI) - dev.ln()
    };
    let Some(c) = model.components().unwrap() else {
        return z.iter().map(|z| normal(*z, 0.0, 1.0)).sum();
    };
    let dim = z.len();
    let each: Vec<f64> = (0..c.weights.len())
        .map(|k| {
            let place = z
                .iter()
                .zip(&c.means[k * dim..])
                .zip(&c.std_devs[k * dim..]);
            c.weights[k].ln() + place.map(|((z, m), s)| normal(*z, *m, *s)).sum::<f64>()
        })
        .collect();
    crate::num::log_sum_exp_slice(&each)
}

/// With L(x) = log p_Z(z) + log|det dz/dx|: log q = L for a flow; for RAD log q - L is the log of the
/// probability of the point's piece given z, at most 0; for clusters log q + log r_k - L is the log of the
/// weight of the point's cluster, the same at all of its points. And the way back by the same piece
/// leads to the point.
#[test]
fn where_points_land_agrees_with_the_density() {
    let mut all = Vec::new();
    let specs = ModelSpec::examples()
        .into_iter()
        .map(|(_, spec)| Some(spec));
    for ((name, build), spec) in members().into_iter().zip(specs.chain([None])) {
        for dim in [1, 2, 3] {
            let (_, model) = made(name, &build, dim);
            let name = format!("{name}, D = {dim}");
            let x = blobs(200, dim, &mut Rng::new(1));
            let Some((z, log_det)) = base_and_log_det(model.as_ref(), &x) else {
                if matches!(
                    spec,
                    None | Some(ModelSpec::Flow(_) | ModelSpec::Rad(_) | ModelSpec::Clusters(_))
                ) {
                    all.push(format!("{name}: no base"));
                }
                continue;
            };
            let log_q = to_vec(&model.log_prob(&x).unwrap()).unwrap();
            let landed = z.chunks_exact(dim).map(|z| log_base(model.as_ref(), z));
            let landed: Vec<f64> = landed.zip(&log_det).map(|(p, d)| p + d).collect();
            let part = model.part(&x).unwrap();
            let left: Vec<f64> = log_q.iter().zip(&landed).map(|(q, l)| q - l).collect();
            let wrong = match &spec {
                None => left.iter().any(|l| !(l.abs() < 1e-9)),
                // Its base is neither normal nor a mixture.
                Some(ModelSpec::Flow(s)) if matches!(s.base, BaseSpec::Resampled(_)) => false,
                Some(ModelSpec::Flow(_)) => left.iter().any(|l| !(l.abs() < 1e-9)),
                Some(ModelSpec::Rad(_)) => left.iter().any(|l| !(*l < 1e-9 && *l > -30.0)),
                Some(ModelSpec::Clusters(_)) => {
                    let r = model.responsibilities(&x).unwrap().unwrap();
                    let part = part.unwrap();
                    let r = to_vec(&r.max(1).unwrap()).unwrap();
                    let weight = |i: usize| (left[i] + r[i].ln()).exp();
                    let of = |k: u64| (0..200).filter(|&i| part[i] == k).map(weight).collect();
                    let (a, b): (Vec<f64>, Vec<f64>) = (of(0), of(1));
                    let same = |w: &Vec<f64>| w.iter().all(|v| (v - w[0]).abs() < 1e-9);
                    a.is_empty()
                        || b.is_empty()
                        || !same(&a)
                        || !same(&b)
                        || (a[0] + b[0] - 1.0).abs() > 1e-9
                }
                #[allow(unreachable_patterns)] // A model of another kind owes the way back alone.
                _ => false,
            };
            if wrong {
                all.push(format!(
                    "{name}: log q is not that of where points land: {left:?}"
                ));
            }
            let back = model.round_trip(&x).unwrap().map(|b| to_vec(&b).unwrap());
            let off = back.iter().flatten().zip(to_vec(&x).unwrap());
            let off = off.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            if back.is_none() || !(off < 1e-8) {
                all.push(format!("{name}: not back where it was: {off}"));
            }
        }
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
}
