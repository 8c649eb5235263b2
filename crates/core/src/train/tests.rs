use candle_core::{DType, Device};

use super::*;
use crate::models::testing::{bytes, largest_gap, spec, values};
use crate::models::ModelSpec;
use crate::nn::params::Snapshot;
use crate::num;
use crate::objectives::maximum_likelihood::MaximumLikelihood;
use crate::objectives::ProblemSpec;
use mdn_kernels::{Choice, Isa};

const FLOW: &str = "[flow]\nbijection.affine_coupling = { layers = 2, hidden = [8] }\n";

const MODELS: [&str; 5] = [
    FLOW,
    "[flow]\nbijection.affine_coupling = { layers = 2, hidden = [8] }\nbase.mixture = { components = 4 }\n",
    "[flow]\nbijection.spline_coupling = { layers = 2, hidden = [8] }\n",
    "[rad]\nlayers = 2\nhidden = [8]\ngates = \"net\"\n",
    "[clusters]\nclusters = 2\nfine_tune = 0.25\nbijection.affine_coupling = { layers = 2, hidden = [8] }\n",
];

pub(super) type Make = for<'a> fn(&'a Training<'a>) -> Result<Box<dyn Steps + 'a>>;

/// The steps of a GPU.
pub(super) fn queued<'a>(task: &'a Training<'a>) -> Result<Box<dyn Steps + 'a>> {
    Ok(Box::new(steps::TensorSteps::new(task, true)?))
}

/// What is trained, on points of two clusters or, with a problem, without data.
#[derive(Clone)]
pub(super) struct Case<'c> {
    pub model: &'c str,
    pub problem: Option<&'c str>,
    pub spec: TrainSpec,
    pub make: Make,
    pub device: Device,
    pub kernels: Choice,
    pub seconds: Option<f64>,
}

impl<'c> Case<'c> {
    pub fn of(model: &'c str, spec: &TrainSpec) -> Self {
        Self {
            model,
            problem: None,
            spec: spec.clone(),
            make: steps::for_device,
            device: Device::Cpu,
            kernels: Choice::Auto,
            seconds: None,
        }
    }

    /// Trains a new model, from the start or from a checkpoint.
    pub fn train(
        &self,
        from: Option<Checkpoint>,
        checkpointer: &mut dyn Checkpointer,
    ) -> Result<(Curves, Snapshot)> {
        let rng = Rng::new(5);
        let dtype = self.spec.precision.dtype();
        let draw = |n: usize, label| {
            let rng = &mut rng.fork(label);
            let side = |i: usize| if (i / 2).is_multiple_of(2) { -2.0 } else { 2.0 };
            let rows: Vec<f64> = (0..2 * n).map(|i| side(i) + rng.uniform()).collect();
            num::from_rows(&rows, 2, dtype, &self.device).unwrap()
        };
        let (x, validation) = (draw(500, "x"), draw(200, "validation"));
        let params = Params::seeded(rng.fork("init"), dtype, &self.device);
        let params = params.with_kernels(self.kernels);
        let with_data = self.problem.is_none();
        let start = with_data.then(|| x.clone());
        let model = spec::<ModelSpec>(self.model).build(&params, 2, start)?;
        let objective: Box<dyn Objective> = match self.problem {
            None => Box::new(MaximumLikelihood),
            Some(text) => {
                let problem: ProblemSpec = spec(text);
                assert_eq!(problem.check(), Ok(2));
                problem.build()?
            }
        };
        let task = Training {
            model: model.as_ref(),
            params: &params,
            objective: objective.as_ref(),
            points: &match with_data {
                true => Points::Fixed(x),
                false => Points::Nothing,
            },
            validation: with_data.then_some(&validation),
            spec: &self.spec,
            seconds: self.seconds,
            rng: &rng,
        };
        let mut heard = from.as_ref().map_or(0, |from| from.curves.steps);
        let mut watch = |p: &Progress| {
            assert_eq!(p.step, heard + 1);
            heard = p.step;
        };
        let make_steps = || (self.make)(&task);
        let curves = course::run(&task, from, &make_steps, checkpointer, &mut watch)?;
        assert!(curves.diverged.is_some() || heard == curves.steps);
        Ok((curves, params.snapshot()?))
    }

    pub fn run(&self) -> (Curves, Snapshot) {
        self.train(None, &mut NoCheckpoints).unwrap()
    }
}

fn run(model: &str, spec: &TrainSpec) -> (Curves, Snapshot) {
    Case::of(model, spec).run()
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

/// Losses and gradient norms of two histories agree to `tolerance`.
fn compare(a: &Curves, b: &Curves, tolerance: f64, what: &str) {
    assert_eq!(a.history.len(), b.history.len(), "{what}");
    for (a, b) in a.history.iter().zip(&b.history) {
        assert_eq!((a.step, a.split), (b.step, b.split), "{what}");
        let norms = [a, b].map(|row| row.grad_norm.unwrap_or(0.0));
        let off = largest_gap(&[a.loss, norms[0]], &[b.loss, norms[1]]);
        assert!(off < tolerance, "{what}: {a:?} {b:?}");
    }
}

/// The largest difference between parameters of the same name.
fn worst(a: &Snapshot, b: &Snapshot) -> Vec<(String, f64)> {
    let gap =
        |(name, t): (&String, &Tensor)| (name.clone(), largest_gap(&values(t), &values(&b[name])));
    a.iter().map(gap).collect()
}

/// The steps of a GPU, on the CPU: late outcomes, flat parameters and moments. Rounding differs from
/// plain steps in the clipping factor alone.
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
        let late = Case {
            make: queued,
            ..Case::of(model, &double)
        };
        let (late, late_weights) = late.run();
        assert_eq!((late.steps, late.best_step), (120, plain.best_step));
        compare(&plain, &late, 1e-9, model);
        for (name, off) in worst(&weights, &late_weights) {
            assert!(off < 1e-9, "{model} {name}: {off}");
        }
    }
}

/// Fused steps against plain tensors, both in single precision: the same losses up to rounding,
/// which grows in training, and frozen parameters stay as they are.
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
        let by = |kernels| {
            let case = Case {
                kernels,
                ..Case::of(model, &spec)
            };
            case.run()
        };
        let (plain, weights) = by(Choice::Plain);
        for isa in Isa::available() {
            let (fused, fused_weights) = by(Choice::Fused(Some(isa)));
            compare(&plain, &fused, 2e-3, &format!("{isa} {model}"));
            for (name, off) in worst(&weights, &fused_weights) {
                let frozen = name.starts_with("base.means") || name.starts_with("standardise");
                let most = if frozen { 0.0 } else { 2e-2 };
                assert!(off <= most, "{isa} {model} {name}: {off}");
            }
        }
    }
}

#[test]
fn a_huge_learning_rate_diverges_and_says_where_with_queued_steps_too() {
    for learning_rate in [1e30, 1e4] {
        let spec = TrainSpec {
            learning_rate,
            clip_norm: 0.0,
            ..quick()
        };
        let (plain, weights) = run(FLOW, &spec);
        let why = plain.diverged.as_ref().unwrap();
        assert!(why.contains("not finite at step"), "{why}");
        assert!(plain.steps < 120);
        let last = plain.history.last().unwrap();
        assert!(!last.loss.is_finite() || !last.grad_norm.unwrap().is_finite());
        for (name, values) in bytes(&weights) {
            assert!(values.iter().all(|v| v.is_finite()), "{name}");
        }
        let late = Case {
            make: queued,
            ..Case::of(FLOW, &spec)
        };
        let (late, late_weights) = late.run();
        assert_eq!(late.diverged, plain.diverged);
        assert_eq!((late.steps, late.best_step), (plain.steps, plain.best_step));
        assert_eq!(bytes(&late_weights), bytes(&weights));
    }
}

/// Passes without a check where this build or this machine has no GPU.
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
        let gpu = Case {
            device: device.clone(),
            ..Case::of(model, &spec)
        };
        let (gpu, _) = gpu.run();
        compare(&cpu, &gpu, 1e-3, model);
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
    let rows = out.history.iter().filter(|r| r.split == Split::Validation);
    let best = rows.min_by(|a, b| a.loss.total_cmp(&b.loss));
    assert_eq!(best.unwrap().step, out.best_step);
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
        let logits = values(&weights["logits"]);
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
        let case = Case {
            seconds: Some(seconds),
            ..Case::of(model, spec)
        };
        case.run().0
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
    let x = Tensor::arange(0f32, 10f32, &Device::Cpu).unwrap();
    let points = Points::Fixed(x.reshape((10, 1)).unwrap());
    let like = (DType::F32, Device::Cpu);
    let rng = Rng::new(1);
    let batch = |step, epoch: &mut Epoch| {
        values(&points.batch(step, 4, &rng, &like, epoch).unwrap().unwrap())
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
    let expected = [
        (0, 1.0 / 11.0),
        (9, 10.0 / 11.0),
        (10, 1.0),
        (55, 0.6),
        (100, 0.2),
    ];
    for (step, factor) in expected {
        assert!((cosine.factor(step, 100) - factor).abs() < 1e-12, "{step}");
    }
    assert_eq!(Schedule::Constant.factor(50, 100), 1.0);
}

#[test]
fn training_learned_nothing_where_the_start_is_kept_or_the_end_is_far_above_it() {
    // Validation losses by step, the step that is kept, and whether that is nothing.
    let cases: [(&[f64], usize, bool); 7] = [
        (&[37.0, 40.0, 1e7], 0, true),
        (&[37.0, 37.1, 37.3], 0, true),
        (&[37.0, 36.8, 1e6], 1, true),
        (&[37.0, 36.8, f64::NAN], 1, true),
        // Overfitting after something was learned.
        (&[3.0, 2.0, 9.0], 1, false),
        (&[3.0, 2.0, 1.0], 2, false),
        // A model that takes no steps.
        (&[3.0], 0, false),
    ];
    for (losses, best_step, is_nothing) in cases {
        let row = |(step, loss): (usize, &f64)| HistoryRow {
            target_evaluations: None,
            step,
            split: Split::Validation,
            loss: *loss,
            grad_norm: None,
            non_finite: 0,
        };
        let curves = Curves {
            history: losses.iter().enumerate().map(row).collect(),
            steps: losses.len() - 1,
            best_step,
            ..Curves::default()
        };
        let found = curves.learned_nothing(false);
        assert_eq!(found.is_some(), is_nothing, "{losses:?}");
        let is_far = losses.last().is_none_or(|last| !(last - losses[0] <= 1.0));
        let found = curves.learned_nothing(true);
        let expected = is_nothing && (best_step > 0 || is_far);
        assert_eq!(
            found.is_some(),
            expected,
            "{losses:?}, from a start that fits"
        );
    }
}
