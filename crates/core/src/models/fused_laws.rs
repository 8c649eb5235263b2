//! Fused kernels against plain tensors: the same densities, gradients, parts and samples, for any
//! shape and on every instruction set that this machine has.

use candle_core::{DType, Device, Tensor, Var};

use super::testing::{double, loaded, log_prob, on_threads, spec, values};
use super::{Model, ModelSpec};
use crate::nn::Params;
use crate::num::testing::{self, Faults};
use crate::rng::Rng;
use mdn_kernels::{Choice, Isa};

mod shapes;

/// A model of f32 in fused kernels and its twins of f32 and f64 in plain tensors, away from the
/// start.
struct Twins {
    params: Params,
    fused: Box<dyn Model>,
    plain_params: Params,
    plain: Box<dyn Model>,
    exact_params: Params,
    exact: Box<dyn Model>,
}

fn points(n: usize, dim: usize, seed: u64) -> Tensor {
    let rng = &mut Rng::new(seed).fork("points");
    let normal = rng.normal_tensor((n, dim), DType::F32, &Device::Cpu);
    (normal.unwrap() * 1.5).unwrap()
}

impl Twins {
    fn new(text: &str, dim: usize, seed: u64, isa: Isa, spread: f64) -> Self {
        let spec: ModelSpec = spec(text);
        let params = Params::seeded(Rng::new(seed), DType::F32, &Device::Cpu)
            .with_kernels(Choice::Fused(Some(isa)));
        let start = points(50, dim, seed + 1);
        let fused = spec.build(&params, dim, Some(start)).unwrap();
        params.perturb(spread, &mut Rng::new(seed).fork("perturb"));
        let numbers = params.snapshot().unwrap();
        let exact_params = loaded(double(&numbers), DType::F64);
        let plain_params = loaded(numbers, DType::F32).with_kernels(Choice::Plain);
        let plain = spec.build(&plain_params, dim, None).unwrap();
        let exact = spec.build(&exact_params, dim, None).unwrap();
        assert_eq!(fused.kernels(), Some(isa));
        assert_eq!((plain.kernels(), exact.kernels()), (None, None));
        Self {
            params,
            fused,
            plain_params,
            plain,
            exact_params,
            exact,
        }
    }
}

/// Gradients by every one of `vars`, one after the other.
fn gradients(vars: &[Var], loss: &Tensor) -> Vec<f64> {
    testing::gradients(loss, vars).concat()
}

/// How far two vectors are apart, in units of the second's norm.
fn apart(got: &[f64], expected: &[f64]) -> f64 {
    let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|x| x * x).sum::<f64>().sqrt();
    let off = norm(&mut got.iter().zip(expected).map(|(g, e)| g - e));
    off / norm(&mut expected.iter().copied()).max(1e-3)
}

const KINDS: [&str; 8] = [
    "flow = { bijection.affine_coupling = { layers = 3, hidden = [20, 20] }, base.mixture = { components = 4, init = \"random\" } }",
    "flow = { bijection.spline_coupling = { layers = 2, hidden = [20], bins = 5 } }",
    "flow = { bijection.masked_autoregressive = { layers = 3, hidden = [20, 20] }, base.mixture = { components = 4, init = \"random\" } }",
    "flow = { bijection.masked_autoregressive_spline = { layers = 2, hidden = [20], bins = 5, order = \"shuffle\" } }",
    "flow = { bijection.chain = [{ linear = {} }, { permutation = {} }, { elementwise = {} }] }",
    "flow = { bijection.chain = [{ affine_coupling = { layers = 2, hidden = [20], log_scale_bound = 1.0, log_shrink_bound = 0.2 } }, { soft_tails = { threshold = 0.7 } }] }",
    "rad = { layers = 3, hidden = [20], interleave = [\"linear\"] }",
    "rad = { layers = 3, hidden = [20], gates = \"flat\" }",
];

/// How a batch is cut depends on its size only, and sums have a fixed order; a point's density does not depend
/// on its neighbours.
#[test]
fn any_number_of_threads_gives_the_same_bytes() {
    for isa in Isa::available() {
        for text in KINDS {
            let twins = Twins::new(text, 2, 4, isa, 0.1);
            let x = points(1500, 2, 5);
            let vars = twins.params.trained();
            let model = twins.fused.as_ref();
            let with = |threads: usize| {
                on_threads(threads, || {
                    let fused = model.fused().unwrap();
                    let mut training = fused.training(&vars, 0.0).unwrap();
                    let mut seen = Vec::new();
                    for _ in 0..3 {
                        let (loss, norm) = training.loss(&x).unwrap();
                        training.update(1.0, 1e-2);
                        seen.extend([loss, norm]);
                    }
                    seen.extend(log_prob(model, &x));
                    let samples = model.sample(1500, &mut Rng::new(6)).unwrap();
                    seen.extend(values(&samples));
                    let mean = model
                        .mean_training_log_prob(0, &x, &mut Rng::new(0))
                        .unwrap();
                    seen.extend(gradients(&vars, &mean));
                    let z = points(1500, 2, 7);
                    if let Some((x, log_det)) = fused.to_data_and_log_det(&z).unwrap() {
                        let loss = (x.sum(1).unwrap() - log_det).unwrap().mean_all().unwrap();
                        seen.extend(gradients(&vars, &loss));
                    }
                    seen.into_iter().map(f64::to_bits).collect::<Vec<_>>()
                })
            };
            let one = with(1);
            assert_eq!(one, with(2), "{isa} {text}");
            assert_eq!(one, with(5), "{isa} {text}");
            let all = log_prob(model, &x);
            for i in [0, 700, 1499] {
                let alone = log_prob(model, &x.narrow(0, i, 1).unwrap())[0];
                assert_eq!(alone.to_bits(), all[i].to_bits(), "{isa} {text}");
            }
        }
    }
}

/// Whichever number is broken, the loss and the norm of the gradient show it.
#[test]
fn a_broken_number_shows() {
    for isa in Isa::available() {
        for text in KINDS {
            let twins = Twins::new(text, 2, 4, isa, 0.1);
            let vars = twins.params.trained();
            let x = points(100, 2, 5);
            for (name, var) in twins.params.trainable() {
                // The triangles of a linear layer have halves that do not count.
                if ["lower", "upper"].iter().any(|t| name.ends_with(t)) {
                    continue;
                }
                let saved = var.as_tensor().copy().unwrap();
                var.set(&(var.as_tensor() * f64::NAN).unwrap()).unwrap();
                let log_q = log_prob(twins.fused.as_ref(), &x);
                assert!(log_q.iter().all(|v| v.is_nan()), "{isa} {text}: {name}");
                let draws = twins.fused.draws(64, 0.5, &mut Rng::new(7)).unwrap();
                let seen = [values(&draws.log_prob), values(&draws.x)].concat();
                let fine = seen.iter().any(|v| v.is_nan());
                assert!(fine, "{isa} {text}: {name}, of samples");
                let fused = twins.fused.fused().unwrap();
                let (loss, norm) = fused.training(&vars, 0.0).unwrap().loss(&x).unwrap();
                assert!(loss.is_nan() && norm.is_nan(), "{isa} {text}: {name}");
                var.set(&saved).unwrap();
            }
            for broken in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let x = Tensor::new(&[[0.5f32, broken], [0.5, 0.5]], &Device::Cpu).unwrap();
                let log_q = log_prob(twins.fused.as_ref(), &x);
                let fine = !log_q[0].is_finite() && log_q[1].is_finite();
                assert!(fine, "{isa} {text}: {broken} has {log_q:?}");
            }
        }
    }
}

/// With a base that the kernels lack the bijection is fused, with the gradients that plain tensors
/// have for the same noise.
#[test]
fn a_base_outside_the_kernels_has_the_same_gradients() {
    let text = "flow = { bijection.affine_coupling = { layers = 3, hidden = [20] }, \
                base.resampled = { hidden = [12], activation = \"tanh\" } }";
    for isa in Isa::available() {
        for dim in [1, 2] {
            let twins = Twins::new(text, dim, 3, isa, 0.2);
            // More than one piece, and a tile that is not full.
            let x = points(333, dim, 8);
            let wide = x.to_dtype(DType::F64).unwrap();
            assert!(twins.fused.fused().is_none());
            let loss = |model: &dyn Model, x: &Tensor| {
                model
                    .mean_training_log_prob(0, x, &mut Rng::new(5))
                    .unwrap()
            };
            let got = loss(twins.fused.as_ref(), &x);
            let expected = loss(twins.exact.as_ref(), &wide);
            let (value, exact) = (values(&got)[0], values(&expected)[0]);
            assert!(
                (value - exact).abs() < 1e-5 * exact.abs().max(10.0),
                "{isa}, {dim}: {value}, {exact}"
            );
            let got = gradients(&twins.params.trained(), &got);
            let expected = gradients(&twins.exact_params.trained(), &expected);
            let off = apart(&got, &expected);
            assert!(off < 1e-3, "{isa}, {dim}: gradients {off:.1e} apart");
            let log_q = log_prob(twins.fused.as_ref(), &x);
            let exact = log_prob(twins.exact.as_ref(), &wide);
            let off = apart(&log_q, &exact);
            assert!(off < 1e-4, "{isa}, {dim}: densities {off:.1e} apart");
        }
    }
}

/// Gate networks and smooth activations run as plain tensors: silently under `auto`, as a bad
/// request under `fused`.
#[test]
fn what_the_kernels_lack_is_plain() {
    for (text, plain) in [
        (KINDS[0], false),
        ("rad = { gates = \"net\", layers = 1, hidden = [4] }", true),
        ("flow = { base.resampled = { hidden = [4] } }", false),
        (
            "rad = { layers = 1, base.resampled = { hidden = [4] } }",
            true,
        ),
        (
            "flow = { bijection.affine_coupling = { layers = 1, activation = \"gelu\" } }",
            true,
        ),
    ] {
        let build = |choice, dtype| {
            let params = Params::seeded(Rng::new(0), dtype, &Device::Cpu).with_kernels(choice);
            let start = points(20, 2, 1).to_dtype(dtype).unwrap();
            spec::<ModelSpec>(text).build(&params, 2, Some(start))
        };
        let auto = build(Choice::Auto, DType::F32).unwrap();
        assert_eq!(auto.kernels().is_none(), plain, "{text}");
        assert_eq!(build(Choice::Auto, DType::F64).unwrap().kernels(), None);
        assert_eq!(build(Choice::Plain, DType::F32).unwrap().kernels(), None);
        let forced = build(Choice::Fused(None), DType::F32);
        match forced {
            Ok(model) => assert!(!plain && model.kernels() == Some(Isa::best()), "{text}"),
            Err(e) => assert!(
                plain && e.to_string().contains("--kernels plain"),
                "{text}: {e}"
            ),
        }
        assert!(build(Choice::Fused(None), DType::F64).is_err());
    }
}
