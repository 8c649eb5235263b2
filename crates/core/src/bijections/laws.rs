//! The laws that every bijection and support map obeys, in f64.

#[path = "../../../../docs/members/leaky.rs"]
mod leaky;

use std::rc::Rc;

use candle_core::{DType, Device, Tensor, Var};

use super::{Bijection, BijectionSpec, BoxSpec, PerCoordinate, SupportSpec};
use crate::nn::params::{slopes_along, Params};
use crate::num::largest;
use crate::num::testing::{gap, gradients, log_abs_dets, normal, values, Faults};
use crate::rng::Rng;
use crate::Result;

const DIMS: [usize; 4] = [1, 2, 3, 5];

/// Builds a member for a dimension.
type Build = Rc<dyn Fn(&Params, usize) -> Result<Box<dyn Bijection>>>;

/// Every example, and the member of docs/extending.md.
fn members() -> Vec<(&'static str, Build)> {
    let examples = BijectionSpec::examples().into_iter();
    let mut all: Vec<(_, Build)> = examples
        .map(|(name, spec)| {
            let build = move |params: &Params, dim| Ok(spec.build(params, dim, None)?.0);
            (name, Rc::new(build) as Build)
        })
        .collect();
    let leaky = |params: &Params, dim| -> Result<Box<dyn Bijection>> {
        Ok(Box::new(leaky::Leaky::new(params, dim, 3.0)?))
    };
    all.push(("leaky", Rc::new(leaky)));
    all
}

struct Case {
    name: String,
    params: Params,
    bijection: Box<dyn Bijection>,
    /// `None` for a support map, which has no parameters and whose inverse takes only its points.
    build: Option<Build>,
    dim: usize,
    rng: Rng,
}

/// Every member in every dimension; perturbed away from its start if `std` is not 0.
fn cases(std: f64) -> Vec<Case> {
    let mut all = Vec::new();
    for (name, build) in members() {
        for dim in DIMS {
            let name = format!("{name}, D = {dim}");
            let rng = Rng::new(5).fork(&name);
            let params = Params::seeded(rng.fork("init"), DType::F64, &Device::Cpu);
            let bijection = build(&params, dim).unwrap();
            params.perturb(std, &mut rng.fork("perturb"));
            all.push(Case {
                name,
                params,
                bijection,
                build: Some(Rc::clone(&build)),
                dim,
                rng: rng.fork("points"),
            });
        }
    }
    for dim in DIMS {
        let uneven = BoxSpec {
            low: PerCoordinate::Each((0..dim).map(|d| d as f64 - 2.0).collect()),
            high: PerCoordinate::Each((0..dim).map(|d| 2.0 * d as f64 - 1.0).collect()),
        };
        let uneven = ("box (uneven)", SupportSpec::Box(uneven));
        for (name, spec) in SupportSpec::examples().into_iter().chain([uneven]) {
            let name = format!("{name}, D = {dim}");
            all.push(Case {
                rng: Rng::new(5).fork(&name),
                name,
                params: Params::seeded(Rng::new(0), DType::F64, &Device::Cpu),
                bijection: Box::new(spec.build(dim).unwrap()),
                build: None,
                dim,
            });
        }
    }
    all
}

/// Points of the base side.
fn points(case: &Case, n: usize, scale: f64) -> Tensor {
    normal(n, case.dim, scale, &mut case.rng.clone())
}

/// Points that the map of this direction takes.
fn points_for(direction: &str, case: &Case, n: usize, scale: f64) -> Tensor {
    let z = points(case, n, scale);
    match (direction, &case.build) {
        ("inverse", None) => case.bijection.forward_and_log_det(&z).unwrap().0,
        _ => z,
    }
}

fn apply(direction: &str, case: &Case, v: &Tensor) -> (Tensor, Tensor) {
    match direction {
        "forward" => case.bijection.forward_and_log_det(v),
        _ => case.bijection.inverse_and_log_det(v),
    }
    .unwrap()
}

const BOTH: [&str; 2] = ["forward", "inverse"];

/// The law for every member in every dimension, perturbed away from its start if `std` is not 0.
fn every_member(std: f64, law: impl Fn(&Case, &mut Faults)) {
    let mut faults = Faults::default();
    cases(std).iter().for_each(|case| law(case, &mut faults));
    faults.none();
}

#[test]
fn round_trips_both_ways_and_log_dets_cancel() {
    every_member(0.4, |case, faults| {
        for (direction, back) in BOTH.iter().zip(["inverse", "forward"]) {
            let v = points_for(direction, case, 200, 1.5);
            let there = apply(direction, case, &v);
            let again = apply(back, case, &there.0);
            let gaps = [gap(&again.0, &v), gap(&there.1.neg().unwrap(), &again.1)];
            // In this form NaN is a fault too.
            faults.unless(gaps[0] < 1e-8 && gaps[1] < 1e-7, || {
                format!("{} {direction} and back: {gaps:?}", case.name)
            });
        }
    });
}

#[test]
fn log_dets_are_those_of_the_autodiff_jacobian() {
    every_member(0.4, |case, faults| {
        for direction in BOTH {
            let v = Var::from_tensor(&points_for(direction, case, 20, 1.5)).unwrap();
            let (u, log_det) = apply(direction, case, v.as_tensor());
            let what = format!("{} {direction}", case.name);
            let expected = log_abs_dets(&u, &v);
            faults.near(&what, &values(&log_det), &expected, |_| 1e-8);
        }
    });
}

#[test]
fn stacks_transform_every_coordinate() {
    every_member(0.4, |case, faults| {
        let kinds = ["coupling", "autoregressive"];
        if !kinds.iter().any(|kind| case.name.contains(kind)) {
            return;
        }
        let z = points(case, 50, 1.0);
        let (x, _) = case.bijection.forward_and_log_det(&z).unwrap();
        for d in 0..case.dim {
            let column = |t: &Tensor| t.narrow(1, d, 1).unwrap();
            let moved = gap(&column(&x), &column(&z));
            faults.unless(moved >= 1e-3, || format!("{}: coordinate {d}", case.name));
        }
    });
}

#[test]
fn starts_as_the_identity() {
    every_member(0.0, |case, faults| {
        // A reordering and a fixed map are never the identity, and nor is a map onto less than the whole
        // space.
        let fixed = ["permutation", "soft_tails"];
        if fixed.iter().any(|name| case.name.contains(name)) || case.build.is_none() {
            return;
        }
        let z = points(case, 50, 2.0);
        let (x, log_det) = case.bijection.forward_and_log_det(&z).unwrap();
        let gaps = [gap(&x, &z), gap(&log_det, &log_det.zeros_like().unwrap())];
        faults.unless(largest(gaps) < 1e-12, || format!("{}: {gaps:?}", case.name));
    });
}

/// Along a random direction through parameters and points together: autodiff against a central
/// difference. No parameter is without effect.
#[test]
fn gradients_are_those_of_finite_differences_and_every_parameter_has_one() {
    every_member(0.4, |case, faults| {
        for direction in BOTH {
            let v = Var::from_tensor(&points_for(direction, case, 20, 1.0)).unwrap();
            let mut rng = case.rng.fork("cotangents");
            let cotangents = [case.dim, 1].map(|dim| normal(20, dim, 1.0, &mut rng));
            let (names, mut moved): (Vec<_>, Vec<_>) = case.params.trainable().into_iter().unzip();
            moved.push(v.clone());
            let value = || {
                let (u, log_det) = apply(direction, case, v.as_tensor());
                let by_u = (u * &cotangents[0]).unwrap().sum_all().unwrap();
                let by_log_det = (log_det * cotangents[1].squeeze(1).unwrap()).unwrap();
                (by_u + by_log_det.sum_all().unwrap()).unwrap()
            };
            let found = gradients(&value(), &moved);
            for (name, gradient) in names.iter().zip(&found) {
                // One coordinate has nothing above or below a matrix's diagonal.
                let triangle = name.ends_with("lower") || name.ends_with("upper");
                let fine = (case.dim == 1 && triangle) || gradient.iter().any(|g| *g != 0.0);
                faults.unless(fine, || format!("{} {direction}: {name}", case.name));
            }
            let rng = &mut case.rng.fork("direction");
            let [slope, expected] =
                slopes_along(&moved, &found.concat(), 1e-5, rng, || values(&value())[0]);
            let fine = (slope - expected).abs() < 1e-5 * expected.abs().max(1.0);
            faults.unless(fine, || {
                format!("{} {direction}: {slope} against {expected}", case.name)
            });
        }
    });
}

#[test]
fn parameters_read_back_give_the_same_map() {
    every_member(0.4, |case, faults| {
        let Some(build) = &case.build else { return };
        let saved = case.params.snapshot().unwrap();
        let loaded = Params::from_tensors(saved, DType::F64, &Device::Cpu);
        let again = build(&loaded, case.dim).unwrap();
        let v = points(case, 10, 1.0);
        let [(x, _), (y, _)] =
            [&case.bijection, &again].map(|b| b.forward_and_log_det(&v).unwrap());
        faults.unless(gap(&x, &y) == 0.0, || case.name.clone());
    });
}

#[test]
fn nan_weights_stay_visible() {
    every_member(0.0, |case, faults| {
        for (_, var) in case.params.trainable() {
            let nan = (var.as_tensor() * f64::NAN).unwrap();
            var.set(&nan).unwrap();
        }
        if case.params.count() == 0 {
            return;
        }
        let (u, log_det) = apply("inverse", case, &points(case, 5, 1.0));
        let all = [values(&u), values(&log_det)].concat();
        let seen = all.iter().any(|v| !v.is_finite());
        faults.unless(seen, || case.name.clone());
    });
}

#[test]
fn data_initialisation_standardises() {
    let spec: BijectionSpec = toml::from_str("elementwise = { init = 'data' }").unwrap();
    let x = normal(500, 3, 7.0, &mut Rng::new(9));
    let x = (x - 40.0).unwrap();
    let params = Params::seeded(Rng::new(0), DType::F64, &Device::Cpu);
    let (_, z) = spec.build(&params, 3, Some(x)).unwrap();
    let z = z.unwrap();
    let mean = values(&z.mean(0).unwrap());
    let var = values(&z.sqr().unwrap().mean(0).unwrap());
    assert!(mean.iter().all(|m| m.abs() < 1e-12), "{mean:?}");
    assert!(var.iter().all(|v| (v - 1.0).abs() < 1e-12), "{var:?}");
    let params = Params::seeded(Rng::new(0), DType::F64, &Device::Cpu);
    assert!(spec.build(&params, 3, None).is_err());
}

#[test]
fn stacks_without_layers_and_unknown_keys_are_refused() {
    for kind in ["planar", "radial"] {
        let parse = |text: &str| toml::from_str::<BijectionSpec>(&format!("{kind} = {text}"));
        for layers in [0, 1001] {
            let spec = parse(&format!("{{ layers = {layers} }}")).unwrap();
            let bad = spec.check().unwrap_err();
            assert_eq!(bad.key, format!("{kind}.layers"));
            assert_eq!(bad.got, layers.to_string());
        }
        parse("{}").unwrap().check().unwrap();
        assert!(parse("{ layer = 3 }").is_err(), "{kind}");
    }
}
