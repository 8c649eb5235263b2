//! Every model obeys the distribution laws unchanged, and reads back as it was saved.

#[path = "../../../../docs/members/gaussian.rs"]
mod gaussian;
mod supported;

use std::collections::HashSet;

use candle_core::{DType, Device, Tensor, Var};

use super::testing::{
    blobs, example, largest_gap, loaded, log_prob, on_threads, rows, seeded, values,
};
use super::{Model, ModelSpec};
use crate::distributions::laws::add_faults;
use crate::nn::Params;
use crate::num::testing::{gap, gradients, log_abs_dets, Faults};
use crate::rng::Rng;
use crate::{num, Result};

/// Builds a model for a dimension, from points or from stored parameters.
type Build = Box<dyn Fn(&Params, usize, Option<Tensor>) -> Result<Box<dyn Model>> + Sync>;

/// Every example with its kind, and the model that docs/extending.md adds.
fn members() -> Vec<(&'static str, &'static str, Build)> {
    let examples = ModelSpec::examples().into_iter();
    let mut all: Vec<(_, _, Build)> = examples
        .map(|(name, spec)| {
            let kind = spec.name();
            let build = move |params: &Params, dim, points| spec.build(params, dim, points);
            (name, kind, Box::new(build) as Build)
        })
        .collect();
    let gaussian = |params: &Params, dim, points| -> Result<Box<dyn Model>> {
        Ok(Box::new(gaussian::Gaussian::build(params, dim, points)?))
    };
    all.push(("gaussian", "flow", Box::new(gaussian)));
    all
}

/// A model that is started from two blobs and perturbed.
fn made(name: &str, build: &Build, dim: usize) -> (Params, Box<dyn Model>) {
    let rng = Rng::new(21).fork(name);
    let params = Params::seeded(rng.fork("init"), DType::F64, &Device::Cpu);
    let points = blobs(400, dim, &mut rng.fork("points"));
    let model = build(&params, dim, Some(points)).unwrap();
    params.perturb(0.2, &mut rng.fork("perturb"));
    (params, model)
}

#[test]
fn every_model_obeys_the_distribution_laws() {
    let mut faults = Faults::default();
    let mut kinds = HashSet::new();
    for (name, kind, build) in members() {
        // RAD's gates act on one coordinate each in the plane, on two of them in three dimensions;
        // other models of a kind differ no more in three dimensions than in two.
        let dims = match kind == "rad" || kinds.insert(kind) {
            true => 1..=3,
            false => 1..=2,
        };
        for dim in dims {
            let name = format!("{name}, D = {dim}");
            let (params, model) = made(&name, &build, dim);
            add_faults(&name, &params, model.as_ref(), &mut faults);
        }
    }
    faults.none();
}

#[test]
fn every_model_reads_back_bit_for_bit_and_every_parameter_learns() {
    let mut faults = Faults::default();
    for (name, _, build) in members() {
        for dim in [1, 2, 5] {
            let (params, model) = made(name, &build, dim);
            let mut must = |fine: bool, what: &str| {
                faults.unless(fine, || format!("{name}, D = {dim}: {what}"));
            };
            let x = blobs(200, dim, &mut Rng::new(1));
            let stored = loaded(params.snapshot().unwrap(), DType::F64);
            let again = build(&stored, dim, None).unwrap();
            let same = log_prob(model.as_ref(), &x) == log_prob(again.as_ref(), &x);
            must(same, "another density after reading back");
            let same = model.part(&x).unwrap() == again.part(&x).unwrap();
            must(same, "other parts after reading back");
            let last = model.phases().len().saturating_sub(1);
            let loss = model.training_log_prob(last, &x, &mut Rng::new(2)).unwrap();
            let (names, vars): (Vec<_>, Vec<_>) = params.trainable().into_iter().unzip();
            for (parameter, g) in names.iter().zip(gradients(&loss, &vars)) {
                let learns = g.iter().all(|v| v.is_finite()) && g.iter().any(|v| *v != 0.0);
                let triangle = parameter.ends_with("lower") || parameter.ends_with("upper");
                let nothing_to_learn = dim == 1 && triangle;
                let fine = learns || nothing_to_learn;
                must(fine, &format!("{parameter} has no gradient"));
            }
        }
    }
    faults.none();
}

#[test]
fn any_number_of_threads_makes_the_same_bytes() {
    for (name, _, build) in members() {
        let x = blobs(500, 2, &mut Rng::new(1));
        let on = |threads| on_threads(threads, || log_prob(made(name, &build, 2).1.as_ref(), &x));
        assert_eq!(on(1), on(3), "{name}");
    }
}

#[test]
fn models_that_start_from_points_refuse_to_start_without() {
    for (name, spec) in ModelSpec::examples() {
        let built = spec.build(&seeded(5), 2, None);
        match spec.start() {
            None => assert!(built.is_ok(), "{name}"),
            Some(_) => {
                let why = built.err().unwrap().to_string();
                assert!(why.contains("expected training points; got none"), "{why}");
            }
        }
    }
}

#[test]
fn training_bounds_never_exceed_the_density() {
    for (name, _, build) in members() {
        let (_, model) = made(name, &build, 2);
        let x = blobs(300, 2, &mut Rng::new(1));
        let sum = |t: Tensor| values(&t).iter().sum::<f64>();
        let bound = sum(model.training_log_prob(0, &x, &mut Rng::new(2)).unwrap());
        let density = sum(model.log_prob(&x).unwrap());
        assert!(bound <= density + 1e-9, "{name}: {bound} > {density}");
    }
}

/// log q in other units is log q minus the log of the units' volume: whatever a model does inside,
/// densities are in the data's own units.
#[test]
fn a_change_of_units_shifts_the_log_density_by_its_volume() {
    let (scale, shift) = ([1000.0, 0.02], [5e4, -3.0]);
    let in_units = |x: &Tensor| {
        let scaled = x.broadcast_mul(&rows(&scale, 2)).unwrap();
        scaled.broadcast_add(&rows(&shift, 2)).unwrap()
    };
    let volume: f64 = scale.iter().map(|s: &f64| s.ln()).sum();
    for (name, _, build) in members() {
        let rng = Rng::new(23).fork(name);
        let points = blobs(300, 2, &mut rng.fork("points"));
        let held_out = blobs(50, 2, &mut rng.fork("held out"));
        let log_q = |points: Tensor, held_out: &Tensor| {
            let params = Params::seeded(rng.fork("init"), DType::F64, &Device::Cpu);
            log_prob(build(&params, 2, Some(points)).unwrap().as_ref(), held_out)
        };
        let other = log_q(in_units(&points), &in_units(&held_out));
        let expected = log_q(points, &held_out);
        let expected: Vec<f64> = expected.iter().map(|q| q - volume).collect();
        let off = largest_gap(&other, &expected);
        assert!(off < 1e-6, "{name}: {off}");
    }
}

/// log of the density of the base at `z`: of its components, or standard normal.
fn log_base(model: &dyn Model, z: &[f64]) -> f64 {
    let normal = |z: &[f64], means: &[f64], devs: &[f64]| -> f64 {
        let each = z.iter().zip(means).zip(devs);
        each.map(|((z, m), s)| -0.5 * (((z - m) / s).powi(2) + num::LN_2PI) - s.ln())
            .sum()
    };
    let dim = z.len();
    let Some(c) = model.components().unwrap() else {
        return normal(z, &vec![0.0; dim], &vec![1.0; dim]);
    };
    let each = c.means.chunks_exact(dim).zip(c.std_devs.chunks_exact(dim));
    let each = each.zip(&c.weights);
    let each: Vec<f64> = each
        .map(|((means, devs), w)| w.ln() + normal(z, means, devs))
        .collect();
    num::log_sum_exp_slice(&each)
}

/// Whether exp(log q + log r_k - L) is the same at all points of a cluster k, for two clusters whose
/// weights it then is.
fn are_weights(left: &[f64], model: &dyn Model, x: &Tensor) -> bool {
    let r = model.responsibilities(x).unwrap().unwrap();
    let r = values(&r.max(1).unwrap());
    let part = model.part(x).unwrap().unwrap();
    let weights = |k: u64| -> Vec<f64> {
        let own = (0..part.len()).filter(|&i| part[i] == k);
        own.map(|i| (left[i] + r[i].ln()).exp()).collect()
    };
    let (a, b) = (weights(0), weights(1));
    let same = |w: &[f64]| !w.is_empty() && w.iter().all(|v| (v - w[0]).abs() < 1e-9);
    same(&a) && same(&b) && (a[0] + b[0] - 1.0).abs() < 1e-9
}

/// With L(x) = log p_Z(z) + log|det dz/dx|: log q = L for a flow; for RAD log q - L is the log of the
/// probability of the point's piece given z, at most 0; for clusters log q + log r_k - L is the log
/// of the weight of the point's cluster, the same at all of its points. And the map by the same piece
/// back to the data gives the point.
#[test]
fn base_points_agree_with_the_density() {
    let mut faults = Faults::default();
    for (name, kind, build) in members() {
        for dim in [1, 2, 3] {
            let (_, model) = made(name, &build, dim);
            let (model, name) = (model.as_ref(), format!("{name}, D = {dim}"));
            let x = Var::from_tensor(&blobs(200, dim, &mut Rng::new(1))).unwrap();
            let Some(z) = model.to_base(&x).unwrap() else {
                let owed = ["flow", "rad", "clusters"].contains(&kind);
                faults.unless(!owed, || format!("{name}: no base"));
                continue;
            };
            let log_bases = values(&z);
            let log_bases = log_bases.chunks_exact(dim).map(|z| log_base(model, z));
            let l = log_bases.zip(log_abs_dets(&z, &x)).map(|(p, d)| p + d);
            let log_q = log_prob(model, &x);
            let left: Vec<f64> = log_q.iter().zip(l).map(|(q, l)| q - l).collect();
            let agrees = match kind {
                // Their base is neither normal nor a mixture.
                "flow"
                    if name.starts_with("flow (resampled base)")
                        || name.starts_with("flow (Student t base)") =>
                {
                    true
                }
                "flow" => left.iter().all(|l| l.abs() < 1e-9),
                "rad" => left.iter().all(|l| *l < 1e-9 && *l > -30.0),
                "clusters" => are_weights(&left, model, &x),
                // For a model of another kind only the round trip is checked.
                _ => true,
            };
            faults.unless(agrees, || format!("{name}: log q - L is {left:?}"));
            let back = model.round_trip(&x).unwrap();
            let off = back.map_or(f64::NAN, |back| gap(&back, &x));
            faults.unless(off < 1e-8, || {
                format!("{name}: the round trip is off by {off}")
            });
        }
    }
    faults.none();
}
