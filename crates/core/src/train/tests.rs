use candle_core::{DType, Device};

use super::*;
use crate::models::ModelSpec;
use crate::nn::params::Snapshot;
use crate::num;
use crate::objectives::maximum_likelihood::MaximumLikelihood;
use mdn_kernels::{Choice, Isa};

fn points(n: usize, rng: &mut Rng) -> Tensor {
    let rows: Vec<f64> = (0..2 * n)
        .map(|i| if (i / 2) % 2 == 0 { -2.0 } else { 2.0 } + rng.uniform())
        .collect();
    num::from_rows(&rows, 2, DType::F32, &Device::Cpu).unwrap()
}

const FLOW: &str = "[flow]\nbijection.affine_coupling = { layers = 2, hidden = [8] }\n";

const MODELS: [&str; 5] = [
    FLOW,
    "[flow]\nbijection.affine_coupling = { layers = 2 }\nbase.mixture = { components = 4 }\n",
    "[flow]\nbijection.spline_coupling = { layers = 2, hidden = [8] }\n",
    "[rad]\nlayers = 2\nhidden = [8]\ngates = \"net\"\n",
    "[clusters]\nclusters = 2\nfine_tune = 0.25\n",
];

type Make = for<'a> fn(&'a Training<'a>) -> Result<Box<dyn Steps + 'a>>;

fn queued<'a>(task: &'a Training<'a>) -> Result<Box<dyn Steps + 'a>> {
    Ok(Box::new(steps::QueuedSteps::new(task)?))
}

fn run(model: &str, spec: &TrainSpec) -> (Curves, Snapshot) {
    run_by(model, spec, steps::for_device, &Device::Cpu, Choice::Auto)
}

fn run_by(
    model: &str,
    spec: &TrainSpec,
    make: Make,
    device: &Device,
    kernels: Choice,
) -> (Curves, Snapshot) {
    run_for(model, spec, make, device, kernels, None)
}

fn run_for(
    model: &str,
    spec: &TrainSpec,
    make: Make,
    device: &Device,
    kernels: Choice,
    seconds: Option<f64>,
) -> (Curves, Snapshot) {
    let rng = Rng::new(5);
    let dtype = spec.precision.dtype();
    let points = |n, label| {
        let x = points(n, &mut rng.fork(label)).to_dtype(dtype).unwrap();
        x.to_device(device).unwrap()
    };
    let (x, validation) = (points(500, "x"), points(200, "validation"));
    let params = Params::seeded(rng.fork("init"), dtype, device).with_kernels(kernels);
    let model_spec: ModelSpec = toml::from_str(model).unwrap();
    let model = model_spec.build(&params, 2, Some(x.clone())).unwrap();
    let task = Training {
        model: model.as_ref(),
        params: &params,
        objective: &MaximumLikelihood,
        points: &Points::Fixed(x),
        validation: Some(&validation),
        spec,
        seconds,
        rng: &rng,
    };
    let mut heard = 0;
    let make = || make(&task);
    let mut watch = |p: &Progress| {
        assert_eq!(p.step, heard + 1);
        heard = p.step;
    };
    let hooks: course::Hooks<'_> = (&mut NoCheckpoints, &mut watch);
    let out = course::run(&task, None, &make, hooks).unwrap();
    assert!(out.diverged.is_some() || heard == out.steps);
    (out, params.snapshot().unwrap())
}

fn quick() -> TrainSpec {
    TrainSpec {
        steps: 120,
        batch_size: 64,
        learning_rate: 5e-3,
        validate_every: 20,
        ..TrainSpec::default()
    }
}

pub(super) fn bytes(snapshot: &Snapshot) -> Vec<(String, Vec<f64>)> {
    snapshot
        .iter()
        .map(|(name, t)| (name.clone(), num::to_vec(t).unwrap()))
        .collect()
}

#[test]
fn the_same_seed_gives_the_same_weights_and_curves() {
    let (a, weights_a) = run(FLOW, &quick());
    let (b, weights_b) = run(FLOW, &quick());
    assert_eq!(a.history, b.history);
    assert_eq!(bytes(&weights_a), bytes(&weights_b));
    let validation: Vec<f64> = a
        .history
        .iter()
        .filter(|r| r.split == Split::Validation)
        .map(|r| r.loss)
        .collect();
    assert!(validation.last() < validation.first(), "{validation:?}");
    assert_eq!(validation.len(), 7);
}

#[test]
fn a_huge_learning_rate_diverges_and_says_where() {
    let spec = TrainSpec {
        learning_rate: 1e30,
        ..quick()
    };
    let (out, weights) = run(FLOW, &spec);
    let why = out.diverged.unwrap();
    assert!(why.contains("not finite at step"), "{why}");
    assert!(out.steps < 120);
    let last = out.history.last().unwrap();
    assert!(!last.loss.is_finite() || !last.grad_norm.unwrap().is_finite());
    for (name, values) in bytes(&weights) {
        assert!(values.iter().all(|v| v.is_finite()), "{name}");
    }
}

/// What a GPU does, on the processor: outcomes late, parameters and moments flat. Rounding differs
/// from the plain way in the clipping factor alone.
#[test]
fn queued_steps_train_as_plain_ones_do() {
    let double = TrainSpec {
        precision: Precision::F64,
        clip_norm: 0.5,
        weight_decay: 0.01,
        validate_every: 70,
        ..quick()
    };
    for model in MODELS {
        let (plain, weights) = run(model, &double);
        let (late, late_weights) = run_by(model, &double, queued, &Device::Cpu, Choice::Auto);
        assert_eq!((late.steps, late.best_step), (120, plain.best_step));
        assert_eq!(late.history.len(), plain.history.len());
        for (a, b) in plain.history.iter().zip(&late.history) {
            assert_eq!((a.step, a.split), (b.step, b.split));
            assert!((a.loss - b.loss).abs() < 1e-9, "{a:?} {b:?}");
            let off = a.grad_norm.unwrap_or(0.0) - b.grad_norm.unwrap_or(0.0);
            assert!(off.abs() < 1e-9, "{a:?} {b:?}");
        }
        for ((name, a), (_, b)) in bytes(&weights).iter().zip(bytes(&late_weights)) {
            let off = a.iter().zip(&b).map(|(a, b)| (a - b).abs());
            assert!(off.fold(0.0, f64::max) < 1e-9, "{model} {name}");
        }
    }
}

/// Fused steps against plain tensors, in single precision both: the same losses but for rounding,
/// which training makes larger, and what is frozen stays as it is.
#[test]
fn fused_steps_train_as_plain_ones_do() {
    let spec = TrainSpec {
        steps: 40,
        clip_norm: 0.5,
        weight_decay: 0.01,
        ..quick()
    };
    let models = [
        MODELS[0],
        "[flow]\nbijection.affine_coupling = { layers = 2, mixing = \"linear\" }\n\
         base.mixture = { components = 4, frozen = [\"means\", \"weights\"] }\n",
        MODELS[2],
        "[rad]\nlayers = 2\nhidden = [8]\n",
        MODELS[4],
    ];
    for model in models {
        let by = |kernels| run_by(model, &spec, steps::for_device, &Device::Cpu, kernels);
        let (plain, weights) = by(Choice::Plain);
        for isa in Isa::available() {
            let (fused, fused_weights) = by(Choice::Fused(Some(isa)));
            assert_eq!(plain.history.len(), fused.history.len());
            for (a, b) in plain.history.iter().zip(&fused.history) {
                assert!((a.loss - b.loss).abs() < 2e-3, "{isa} {model}: {a:?} {b:?}");
            }
            for ((name, a), (_, b)) in bytes(&weights).iter().zip(bytes(&fused_weights)) {
                let frozen = name.starts_with("base.means") || name.starts_with("standardise");
                let off = a.iter().zip(&b).map(|(a, b)| (a - b).abs());
                let most = if frozen { 0.0 } else { 2e-2 };
                assert!(off.fold(0.0, f64::max) <= most, "{isa} {model} {name}");
            }
        }
    }
}

#[test]
fn queued_steps_diverge_where_plain_ones_do() {
    for learning_rate in [1e30, 1e4] {
        let spec = TrainSpec {
            learning_rate,
            clip_norm: 0.0,
            ..quick()
        };
        let (plain, weights) = run(FLOW, &spec);
        let (late, late_weights) = run_by(FLOW, &spec, queued, &Device::Cpu, Choice::Auto);
        assert!(plain.diverged.is_some());
        assert_eq!(late.diverged, plain.diverged);
        assert_eq!((late.steps, late.best_step), (plain.steps, plain.best_step));
        assert_eq!(bytes(&late_weights), bytes(&weights));
    }
}

/// Says nothing where this build or this machine has no GPU.
#[test]
fn a_gpu_trains_as_the_processor_does() {
    let device = crate::device::Choice::Auto.open(DType::F32).unwrap().device;
    if device.is_cpu() {
        return;
    }
    let spec = TrainSpec {
        steps: 20,
        validate_every: 10,
        ..quick()
    };
    for model in MODELS {
        let (cpu, _) = run(model, &spec);
        let (gpu, _) = run_by(model, &spec, steps::for_device, &device, Choice::Auto);
        assert_eq!(gpu.history.len(), cpu.history.len(), "{model}");
        for (a, b) in cpu.history.iter().zip(&gpu.history) {
            assert!((a.loss - b.loss).abs() < 1e-3, "{model}: {a:?} {b:?}");
        }
    }
}

#[test]
fn early_stopping_keeps_the_best_weights() {
    let spec = TrainSpec {
        steps: 3000,
        learning_rate: 0.05,
        validate_every: 10,
        patience: 4,
        ..quick()
    };
    let (out, _) = run(FLOW, &spec);
    assert!(out.steps < 3000, "{}", out.steps);
    assert_eq!(out.steps, out.best_step + 40);
    let best = out
        .history
        .iter()
        .filter(|r| r.split == Split::Validation)
        .min_by(|a, b| a.loss.total_cmp(&b.loss))
        .unwrap();
    assert_eq!(best.step, out.best_step);
}

#[test]
fn fine_tuning_follows_the_flows_of_the_clusters() {
    let model = |fine_tune| {
        format!(
            "[clusters]\nclusters = 2\nfine_tune = {fine_tune}\n\
             bijection.spline_coupling = {{ layers = 2, hidden = [8] }}\n"
        )
    };
    let (out, _) = run(&model("0.25"), &quick());
    assert_eq!(out.steps, 120);
    // Both clusters hold 250 points; only joint training moves their weights.
    for (share, moves) in [("0.0", false), ("1.0", true)] {
        let (out, weights) = run(&model(share), &quick());
        assert!(out.best_step > 0);
        let logits = num::to_vec(&weights["logits"]).unwrap();
        assert_eq!(logits[0] != logits[1], moves, "{share}: {logits:?}");
    }
}

/// The clock ends training, between phases too, and the learning rate falls by the time.
#[test]
fn training_ends_when_its_time_is_over() {
    let spec = TrainSpec {
        steps: 1_000_000_000,
        patience: 0,
        schedule: Schedule::Cosine {
            warmup: 0.0,
            floor: 0.0,
        },
        ..quick()
    };
    let by = |model, seconds, spec: &TrainSpec| {
        let make = steps::for_device;
        run_for(model, spec, make, &Device::Cpu, Choice::Auto, Some(seconds)).0
    };
    for model in [FLOW, MODELS[4]] {
        let out = by(model, 0.5, &spec);
        assert_eq!(out.diverged, None);
        assert!(out.steps > 20 && out.steps < spec.steps, "{}", out.steps);
        // One step and one validation may be slower than those before.
        assert!((0.4..5.0).contains(&out.seconds), "{}", out.seconds);
        let last = out.history.last().unwrap();
        assert_eq!((last.step, last.split), (out.steps, Split::Validation));
        assert!(out.validation_loss().unwrap().is_finite());
    }
    // Few steps end it sooner, and are the same as without a clock.
    let few = quick();
    let out = by(FLOW, 1000.0, &few);
    assert_eq!(out.steps, few.steps);
    let plain = run(FLOW, &few).0;
    let losses = |c: &Curves| c.history.last().map(|r| r.loss);
    assert_eq!(losses(&out), losses(&plain));
}

#[test]
fn an_epoch_sees_every_point_once() {
    let x = Tensor::arange(0f32, 10f32, &Device::Cpu)
        .unwrap()
        .reshape((10, 1))
        .unwrap();
    let points = Points::Fixed(x);
    let like = (DType::F32, Device::Cpu);
    let rng = Rng::new(1);
    let batch = |step, epoch: &mut Epoch| {
        num::to_vec(&points.batch(step, 4, &rng, &like, epoch).unwrap().unwrap()).unwrap()
    };
    let mut epoch = None;
    let mut seen: Vec<f64> = (0..5).flat_map(|step| batch(step, &mut epoch)).collect();
    let again = batch(3, &mut None);
    assert_eq!(seen[12..16], again);
    seen.sort_by(f64::total_cmp);
    let twice: Vec<f64> = (0..20).map(|i| f64::from(i / 2)).collect();
    assert_eq!(seen, twice);
}

#[test]
fn schedules_by_hand() {
    let cosine = Schedule::Cosine {
        warmup: 0.1,
        floor: 0.2,
    };
    assert!((cosine.factor(0, 100) - 1.0 / 11.0).abs() < 1e-12);
    assert!((cosine.factor(9, 100) - 10.0 / 11.0).abs() < 1e-12);
    assert!((cosine.factor(10, 100) - 1.0).abs() < 1e-12);
    assert!((cosine.factor(55, 100) - 0.6).abs() < 1e-12);
    assert!((cosine.factor(100, 100) - 0.2).abs() < 1e-12);
    assert_eq!(Schedule::Constant.factor(50, 100), 1.0);
}
