//! Single precision, by plain tensors and by fused kernels (in the plane on every instruction set),
//! against double precision: the same numbers in every registered model give the same densities,
//! parts, base points and samples but for rounding.

use candle_core::{DType, Device, Tensor};

use super::supported::Supported;
use super::testing::{blobs, double, loaded, log_prob, values};
use super::{Model, ModelSpec};
use crate::bijections::{Bijection, SupportSpec};
use crate::nn::Params;
use crate::num::testing::Faults;
use crate::rng::Rng;
use mdn_kernels::{Choice, Isa};

/// Rounding of log q, in units of its size or of 1 nat: 7e-6 were seen.
const LOG_Q: f64 = 5e-5;
/// Rounding of a coordinate, in units of its size or of 1.
const POINT: f64 = 1e-3;
/// Rounding of a probability.
const SHARE: f64 = 1e-3;
/// Share of points that may fall on the other side of an edge, a bin's or a rectifier's.
const EDGE: f64 = 0.02;

/// Points (n, dim) in single precision.
fn points(n: usize, dim: usize, rng: &mut Rng) -> Tensor {
    blobs(n, dim, rng).to_dtype(DType::F32).unwrap()
}

/// How many numbers are farther apart than `tolerance`, in units of their size or of 1.
fn apart(got: &[f64], expected: &[f64], tolerance: f64) -> usize {
    assert_eq!(got.len(), expected.len());
    let near = |(g, e): (&f64, &f64)| g == e || (g - e).abs() <= tolerance * e.abs().max(1.0);
    got.iter().zip(expected).filter(|p| !near(*p)).count()
}

/// Adds what is wrong with `single` if `exact` is right.
fn compare(
    name: &str,
    single: &dyn Model,
    exact: &dyn Model,
    support: Option<&SupportSpec>,
    dim: usize,
    faults: &mut Faults,
) {
    let n = 200;
    let mut x = points(n, dim, &mut Rng::new(7));
    if let Some(support) = support {
        let inside = support.build(dim).unwrap().forward_and_log_det(&x);
        x = inside.unwrap().0;
    }
    let wide = x.to_dtype(DType::F64).unwrap();
    let some = |t: Option<Tensor>| t.map(|t| values(&t)).unwrap_or_default();
    let both = |of: &dyn Fn(&dyn Model, &Tensor) -> Vec<f64>| [of(single, &x), of(exact, &wide)];
    let log_q = both(&|m, x| log_prob(m, x));
    let parts = both(&|m, x| {
        let parts = m.part(x).unwrap().into_iter().flatten();
        parts.map(|part| part as f64).collect()
    });
    let shares = both(&|m, x| some(m.responsibilities(x).unwrap()));
    let z = both(&|m, x| some(m.to_base(x).unwrap()));
    let back = some(single.round_trip(&x).unwrap());
    let there = if back.is_empty() {
        Vec::new()
    } else {
        values(&x)
    };
    let samples = both(&|m, _| values(&m.sample(n, &mut Rng::new(9)).unwrap()));
    let edge = EDGE * n as f64;
    for (what, [got, expected], tolerance, most) in [
        ("densities", log_q, LOG_Q, 0.0),
        ("parts", parts, 0.0, edge),
        ("responsibilities", shares, SHARE, 0.0),
        ("coordinates at the base", z, POINT, edge),
        ("coordinates of round trips", [back, there], POINT, 0.0),
        ("coordinates of samples", samples, POINT, edge * dim as f64),
    ] {
        let off = apart(&got, &expected, tolerance);
        faults.unless(off as f64 <= most, || {
            format!("{name}: {off} of {} {what} are apart", got.len())
        });
    }
}

/// Adds what is wrong with the model of `spec` in single precision, on `support` if it is not R^D.
fn add_faults(
    name: &str,
    spec: &ModelSpec,
    support: Option<&SupportSpec>,
    dim: usize,
    faults: &mut Faults,
) {
    let rng = Rng::new(31).fork(name);
    let start = points(150, dim, &mut rng.fork("points"));
    let params = Params::seeded(rng.fork("init"), DType::F32, &Device::Cpu);
    let params = params.with_kernels(Choice::Plain);
    let on = |model: Box<dyn Model>| -> Box<dyn Model> {
        match support {
            Some(support) => Box::new(Supported::new(model, support).unwrap()),
            None => model,
        }
    };
    let plain = on(spec.build(&params, dim, Some(start)).unwrap());
    params.perturb(0.1, &mut rng.fork("perturb"));
    let numbers = params.snapshot().unwrap();
    let load = |numbers, dtype, choice| {
        let params = loaded(numbers, dtype).with_kernels(choice);
        on(spec.build(&params, dim, None).unwrap())
    };
    let exact = load(double(&numbers), DType::F64, Choice::Plain);
    let fused = load(numbers.clone(), DType::F32, Choice::Auto);
    assert_eq!((plain.kernels(), exact.kernels()), (None, None));
    let mut all = vec![plain];
    if fused.kernels().is_some() && dim == 2 {
        let by = |isa| load(numbers.clone(), DType::F32, Choice::Fused(Some(isa)));
        all.extend(Isa::available().into_iter().map(by));
    } else if fused.kernels().is_some() {
        all.push(fused);
    }
    for single in all {
        let name = format!("{name}, D = {dim}, kernels {:?}", single.kernels());
        compare(&name, single.as_ref(), exact.as_ref(), support, dim, faults);
    }
}

#[test]
fn every_registered_model_is_the_same_law_in_both_precisions() {
    let mut faults = Faults::default();
    for (name, spec) in ModelSpec::registered() {
        for dim in [1, 2, 5] {
            add_faults(&name, &spec, None, dim, &mut faults);
        }
    }
    for (kind, support) in SupportSpec::examples() {
        for (name, spec) in ModelSpec::examples() {
            let name = format!("{name} on {kind}");
            add_faults(&name, &spec, Some(&support), 2, &mut faults);
        }
    }
    faults.none();
}

/// Overflow far out gives a density of 0, never NaN or infinity.
#[test]
fn far_points_have_a_log_density() {
    let mut faults = Faults::default();
    for (name, spec) in ModelSpec::registered() {
        for (dim, kernels) in [(1, Choice::Plain), (3, Choice::Plain), (3, Choice::Auto)] {
            let rng = Rng::new(3).fork(&name);
            let params = Params::seeded(rng.fork("init"), DType::F32, &Device::Cpu);
            let params = params.with_kernels(kernels);
            let start = points(200, dim, &mut rng.fork("points"));
            let model = spec.build(&params, dim, Some(start)).unwrap();
            params.perturb(0.2, &mut rng.fork("perturb"));
            for size in [1e10, 1e20, 1e30] {
                let x = (points(20, dim, &mut rng.fork("far")) * size).unwrap();
                let log_q = log_prob(model.as_ref(), &x);
                let fine = log_q.iter().all(|v| *v < 0.0);
                faults.unless(fine, || format!("{name}, D = {dim}, {kernels:?}: {size:e}"));
            }
        }
    }
    faults.none();
}
